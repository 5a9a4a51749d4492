"""`stagetwin devices fault`: what a machine or a sensor can have, and giving it to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stagetwin.cli._cells import plain_text, unit_text
from stagetwin.service import ControlClient
from stagetwin_bridges._errors import BridgeError
from stagetwin_bridges.devices import chosen, place_of, sockets_at

__all__ = ["run_fault"]

_NUMBERS = {"ramp": "ramp", "for": "lasts"}
_TEXTS = ("unit", "model")

Rows = Sequence[Mapping[str, Any]]


def run_fault(place: Path, rows: Rows, words: Sequence[str]) -> None:
    """Do what `devices fault` asks.

    Args:
        place: folder of control sockets, or one.
        rows: devices there.
        words: device, kind of fault with its amount, and more as KEY=VALUE.

    Raises:
        BridgeError: there is no such device, or nothing of it can fail.
        ServiceError: it cannot fail so; says what is allowed.
        BadParameter: words are not as they should be.
    """
    if len(words) == 1:
        _list(chosen(rows, words[0]))
        return
    kind, how = _asked(words[1:])
    where = place_of(rows, words[0])
    taken = []
    for socket in sockets_at(place):
        with ControlClient(socket) as client:
            taken.append(client.ask(op="fault", where=where, kind=kind, how=how)["taken"])
    if not any(taken):
        raise BridgeError(f"{where} cannot fail: there is no such machine or signal")
    said = Text.assemble(
        plain_text(words[0]),
        ": ",
        (
            plain_text(words[1]) + _unit(place, where, kind),
            "green" if kind == "none" else "bold red",
        ),
    )
    Console().print(said, soft_wrap=True)


def _unit(place: Path, where: str, kind: str) -> str:
    """Return the unit that the amount of a fault in force is taken in, with a blank before it."""
    for socket in sockets_at(place):
        with ControlClient(socket) as client:
            for row in client.ask(op="faults")["faults"]:
                if row["where"] == where and row["kind"] == kind and row["amount"] is not None:
                    unit = unit_text(row["unit"])
                    return f" {unit}" if unit else ""
    return ""


def _asked(words: Sequence[str]) -> tuple[str, dict[str, Any]]:
    kind, colon, amount = words[0].partition(":")
    how: dict[str, Any] = {"amount": _number("amount", amount)} if colon else {}
    for word in words[1:]:
        key, _, value = word.partition("=")
        if key in _NUMBERS:
            how[_NUMBERS[key]] = _number(key, value)
        elif key in _TEXTS and value:
            how[key] = value
        else:
            allowed = ", ".join(f"{k}=..." for k in (*_TEXTS, *_NUMBERS))
            raise typer.BadParameter(f"{word!r}: expected {allowed}")
    return kind, how


def _number(what: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{what}: expected a number, got {text!r}") from None


def _list(row: Mapping[str, Any]) -> None:
    """Show what a device can have, and what it has."""
    with ControlClient(row["socket"]) as client:
        said = client.ask(op="faults", asset=row["asset"])
    table = Table(box=None, pad_edge=False)
    for column in ("fault", "model", "range", "unit"):
        table.add_column(column, header_style="dim")
    for each in said["possible"]:
        table.add_row(
            Text(plain_text(each["kind"])),
            Text(plain_text(each["model"] or "machine")),
            Text(f"{_bound(each['low'], '-inf')} to {_bound(each['high'], 'inf')}"),
            Text(plain_text(each["unit"])),
        )
    console = Console()
    console.print(table)
    for each in said["faults"]:
        amount = "" if each["amount"] is None else f" {each['amount']:g} {each['unit']}"
        line = f"{each['where']}: {each['kind']}{amount}, {100 * each['level']:.0f} % there"
        console.print(Text(plain_text(line), "bold red"))
    console.print(
        Text("its sensors, DEVICE.SIGNAL: bias, drift, gain, noise, resolution, freeze, dropout"),
        soft_wrap=True,
    )


def _bound(number: float | None, infinite: str) -> str:
    """Return a limit as text; the control socket says null for what is not finite."""
    return infinite if number is None else f"{number:g}"
