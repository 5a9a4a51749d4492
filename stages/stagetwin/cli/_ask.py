"""Commands that ask a running service: `status`, `snapshot`, `stop`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from stagetwin.cli._app import (
    SidecarOption,
    SocketOption,
    StageArgument,
    app,
    console,
    errors_as_exit,
    socket_of,
)
from stagetwin.opening import open_stage
from stagetwin.service import ControlClient, write_snapshot

__all__ = ["snapshot", "status", "stop"]

STATE_STYLES = {"online": "green", "connecting": "yellow", "offline": "red", "failed": "bold red"}


@app.command()
@errors_as_exit
def status(
    stage: StageArgument,
    socket: SocketOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show how a running service is doing: connections, rates, and what was not used and why."""
    with ControlClient(socket_of(stage, socket)) as service:
        reply = service.ask(op="status")
        examples = service.ask(op="rejections")["examples"]
    if as_json:
        print(json.dumps({**reply, "examples": examples}, indent=2))  # noqa: T201
        return
    _print_connections(reply)
    health = reply["health"]
    if health:
        console.print(
            f"{health['signals']:.0f} signals, {health['stale']:.0f} stale; "
            f"{health['rate']:.0f} samples/s, lag p50 {health['lagP50'] * 1e3:.1f} ms, "
            f"p99 {health['lagP99'] * 1e3:.1f} ms"
        )
    fates = reply["fates"]
    console.print(
        f"{fates['received']} samples received: {fates['applied']} applied, "
        f"{fates['unchanged']} unchanged, {fates['deadband']} within the deadband, "
        f"{fates['superseded']} superseded within a tick, {fates['status_only']} marked bad by "
        f"their source, {fates['rejected']} rejected",
        highlight=False,
    )
    for path, why in reply["unreadable"].items():
        text = Text.assemble(
            (path, "bold red"), f" cannot be read, its last good state runs: {why}"
        )
        console.print(text, soft_wrap=True)
    if reply["error_count"]:
        console.print(f"[bold red]{reply['error_count']} bindings cannot run[/], the first:")
        for line in reply["errors"][:3]:
            console.print(Text(f"  {line}", style="dim"), soft_wrap=True)
    _print_demoted(reply["demoted"])
    for row in reply["rejections"]:
        where = f" on {row['connection']}" if row["connection"] else ""
        console.print(f"[yellow]{row['count']} {row['reason']}[/]{where}", highlight=False)
        for entry in examples:
            if (entry["connection"], entry["reason"]) == (row["connection"], row["reason"]):
                console.print(Text(f"  {entry['examples'][-1]}", style="dim"), soft_wrap=True)


def _print_connections(reply: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("connection", "state", "realm", "endpoint", "restarts", "cause"):
        table.add_column(column, header_style="dim", overflow="fold")
    for name, link in reply["connections"].items():
        table.add_row(
            name,
            Text(link["state"], style=STATE_STYLES[link["state"]]),
            link["realm"],
            link["endpoint"],
            str(link["restarts"]),
            link["cause"],
        )
    console.print(table)


def _print_demoted(demoted: dict[str, str]) -> None:
    by_cause: dict[str, list[str]] = {}
    for prim, cause in sorted(demoted.items()):
        by_cause.setdefault(cause, []).append(prim)
    for cause, prims in by_cause.items():
        some = ", ".join(prims[:3]) + (", ..." if len(prims) > 3 else "")
        console.print(Text.assemble((f"{len(prims)} run as shadow", "yellow"), f": {cause}"))
        console.print(Text(f"  {some}", style="dim"), soft_wrap=True)


@app.command()
@errors_as_exit
def snapshot(
    stage: StageArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write, .usdc or .usda.")
    ] = Path("snapshot.usdc"),
    sidecar: SidecarOption = [],
    socket: SocketOption = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Flatten the stage without a running service.")
    ] = False,
) -> None:
    """Write the composed stage with the values seen, atomically, as one file."""
    path = output.resolve()
    if offline:
        size = write_snapshot(open_stage(stage, sidecar), path)
    else:
        with ControlClient(socket_of(stage, socket), timeout=300) as service:
            size = service.ask(op="snapshot", path=str(path))["bytes"]
    console.print(f"{output}: {size / 1e3:,.0f} kB", highlight=False)


@app.command()
@errors_as_exit
def stop(stage: StageArgument, socket: SocketOption = None) -> None:
    """Ask a running service to stop."""
    with ControlClient(socket_of(stage, socket)) as service:
        service.ask(op="stop")
