"""`stagetwin devices`: what simulated devices do, and letting them misbehave or fail."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stagetwin._errors import ServiceError
from stagetwin.cli._cells import plain_text
from stagetwin.service import ControlClient
from stagetwin_bridges._errors import BridgeError
from stagetwin_bridges.commands._faults import run_fault
from stagetwin_bridges.devices import Misbehaviour, Mode, chosen, sockets_at

__all__ = ["run_devices"]

_KIND_STYLE = "#7fd1e0"


def run_devices(action: str, words: Sequence[str], place: Path | None) -> None:
    """Do what the command line asks; see `stagetwin devices --help`.

    Raises:
        BridgeError: nobody answers there, there is no such device, or no such misbehaviour.
        BadParameter: words are missing, or are too many.
    """
    if action == "list":
        if len(words) > (0 if place else 1) or not (words or place):
            raise typer.BadParameter("expected: devices list SOCKET_OR_FOLDER")
        _list(place or Path(words[0]))
    elif action == "misbehave":
        if len(words) != 2 or place is None:
            raise typer.BadParameter("expected: devices misbehave ASSET MODE --devices DIR")
        _misbehave(place, words[0], words[1])
    elif action == "fault":
        if not words or place is None:
            raise typer.BadParameter("expected: devices fault DEVICE [KIND:AMOUNT] --devices DIR")
        run_fault(place, _rows(place), words)
    else:
        raise typer.BadParameter(f"{action!r}: expected list, misbehave or fault")


def _rows(place: Path) -> list[dict[str, Any]]:
    """Return every device at a place, with the socket where it answers."""
    rows: list[dict[str, Any]] = []
    silent: list[str] = []
    for socket in sockets_at(place):
        try:
            with ControlClient(socket) as client:
                reply = client.ask(op="devices")
        except ServiceError as error:
            silent.append(str(error))
            continue
        rows += [{**row, "online": reply["online"], "socket": socket} for row in reply["devices"]]
    if not rows:
        raise BridgeError("; ".join(silent))
    return rows


def _list(place: Path) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("device", header_style="dim", no_wrap=True)
    for column in ("kind", "connection", "protocol", "behaviour", "faults"):
        table.add_column(column, header_style="dim", overflow="fold")
    for column in ("executed", "refused"):
        table.add_column(column, header_style="dim", justify="right")
    rows = _rows(place)
    for row in rows:
        table.add_row(
            Text(plain_text(row["id"] or row["asset"])),
            Text(plain_text(row["kind"]), style=_KIND_STYLE),
            Text(plain_text(row["connection"]), style="" if row["online"] else "red"),
            Text(plain_text(row["protocol"])),
            _mode(row["misbehaviour"]),
            Text(plain_text(", ".join(row.get("faults", ()))), "bold red"),
            _count(row["executed"], "green"),
            _count(row["refused"], "yellow"),
        )
    console = Console()
    console.print(table)
    bad = sum(row["misbehaviour"] != Mode.NONE for row in rows)
    console.print(
        f"{len(rows)} devices, {bad} misbehave; {sum(row['executed'] for row in rows)} commands "
        f"executed, {sum(row['refused'] for row in rows)} refused",
        highlight=False,
    )


def _mode(mode: str) -> Text:
    return Text("-", "dim") if mode == Mode.NONE else Text(plain_text(mode), "bold red")


def _count(number: int, style: str) -> Text:
    return Text(str(number), style if number else "dim")


def _misbehave(place: Path, asset: str, mode: str) -> None:
    how = Misbehaviour.parse(mode)
    row = chosen(_rows(place), asset)
    with contextlib.closing(ControlClient(row["socket"])) as client:
        client.ask(op="misbehave", asset=row["asset"], mode=mode)
    style = "green" if how.mode is Mode.NONE else "bold red"
    Console().print(
        Text.assemble(
            plain_text(row["id"] or row["asset"]),
            ": ",
            (str(how), style),
            (f", {how.mode.meaning}", "dim"),
        ),
        soft_wrap=True,
    )
