"""Commands that ask a running service: `status`, `snapshot`, `stop`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from stagetwin.cli._alarm_text import alarm_summary
from stagetwin.cli._app import (
    SidecarOption,
    SocketOption,
    StageArgument,
    app,
    console,
    errors_as_exit,
    socket_of,
)
from stagetwin.cli._cells import plain_text
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
            f"{_figure(health, 'signals')} signals, {_figure(health, 'stale')} stale; "
            f"{_figure(health, 'rate')} samples/s, "
            f"lag p50 {_figure(health, 'lagP50', 1e3, 1)} ms, "
            f"p99 {_figure(health, 'lagP99', 1e3, 1)} ms"
        )
    fates = reply["fates"]
    console.print(
        f"{fates['received']} samples received: {fates['applied']} applied, "
        f"{fates['unchanged']} unchanged, {fates['deadband']} within the deadband, "
        f"{fates['superseded']} superseded within a tick, {fates['standby']} on standby, "
        f"{fates['status_only']} marked bad by their source, {fates['rejected']} rejected",
        highlight=False,
    )
    for path, why in reply["unreadable"].items():
        text = Text.assemble(
            (plain_text(path), "bold red"),
            f" cannot be read, its last good state runs: {plain_text(why)}",
        )
        console.print(text, soft_wrap=True)
    if reply["error_count"]:
        console.print(f"[bold red]{reply['error_count']} bindings cannot run[/], the first:")
        for line in reply["errors"][:3]:
            console.print(Text(f"  {plain_text(line)}", style="dim"), soft_wrap=True)
    _print_demoted(reply["demoted"])
    if "commands" in reply:  # a service of an earlier release says nothing of them
        _print_commands(reply["commands"])
    if "alarms" in reply:
        console.print(alarm_summary(reply["alarms"]), soft_wrap=True)
    if "models" in reply:
        _print_models(reply["models"])
    for row in reply["rejections"]:
        where = f" on {plain_text(row['connection'])}" if row["connection"] else ""
        what = f"{row['count']} {plain_text(row['reason'])}"
        console.print(Text.assemble((what, "yellow"), where))
        for entry in examples:
            if (entry["connection"], entry["reason"]) == (row["connection"], row["reason"]):
                example = plain_text(entry["examples"][-1])
                console.print(Text(f"  {example}", style="dim"), soft_wrap=True)


def _figure(health: dict[str, Any], name: str, scale: float = 1.0, digits: int = 0) -> str:
    """Return a figure of the health as text; the service sends null for what is not finite."""
    value = health.get(name)
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return "-"
    return f"{value * scale:.{digits}f}"


def _print_connections(reply: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("connection", "state", "realm", "endpoint", "restarts", "cause"):
        table.add_column(column, header_style="dim", overflow="fold")
    for name, link in reply["connections"].items():
        table.add_row(
            Text(plain_text(name)),
            Text(plain_text(link["state"]), style=STATE_STYLES.get(link["state"], "")),
            Text(plain_text(link["realm"])),
            Text(plain_text(link["endpoint"])),
            Text(str(link["restarts"])),
            Text(plain_text(link["cause"])),
        )
    console.print(table)


def _print_demoted(demoted: dict[str, str]) -> None:
    by_cause: dict[str, list[str]] = {}
    for prim, cause in sorted(demoted.items()):
        by_cause.setdefault(cause, []).append(prim)
    for cause, prims in by_cause.items():
        some = ", ".join(map(plain_text, prims[:3])) + (", ..." if len(prims) > 3 else "")
        why = f": {plain_text(cause)}"
        console.print(Text.assemble((f"{len(prims)} run as shadow", "yellow"), why))
        console.print(Text(f"  {some}", style="dim"), soft_wrap=True)


def _print_commands(commands: dict[str, Any]) -> None:
    if not commands["allowed"]:
        cause = plain_text(commands.get("cause", ""))
        style = "dim" if "--allow-commands" in cause else "bold red"
        console.print(Text.assemble("commands: none, ", (cause, style)), soft_wrap=True)
        return
    line = Text(f"commands: {commands['open']} open")
    for end, count in sorted(commands["ended"].items()):
        # What may have moved a machine, and was not seen to.
        line.append(", ").append(f"{count} {end}", "bold red" if end == "UNVERIFIED" else "")
    console.print(line, soft_wrap=True)
    for name, client in sorted(commands["clients"].items()):
        state, cause = plain_text(client["state"]), plain_text(client["cause"])
        line = Text.assemble(f"  {plain_text(name)} ", (state, STATE_STYLES.get(state, "")))
        console.print(line.append(f": {cause}" if cause else ""), soft_wrap=True)
    if broken := plain_text(commands["ledger"]["broken"]):
        text = Text.assemble(("the ledger is broken, nothing leaves", "bold red"), f": {broken}")
        console.print(text, soft_wrap=True)


def _print_models(models: dict[str, Any]) -> None:
    if not models["models"]:
        return
    states = ", ".join(f"{count} {state}" for state, count in sorted(models["states"].items()))
    console.print(Text(f"models: {plain_text(states)}"), soft_wrap=True)
    if models["fault"]:
        console.print(Text(f"  {plain_text(models['fault'])}", "bold red"), soft_wrap=True)
    for role, row in sorted(models["simulators"].items()):
        line = Text.assemble(f"  {plain_text(role)} ", (plain_text(row["state"]), ""))
        if row["factor"] is not None:
            line.append(f", {row['factor']:.0f} times real time, {row['lag']:.2g} s behind")
        if row["restarts"]:
            line.append(f", {row['restarts']} restarts", "yellow")
        line.append(f": {plain_text(row['cause'])}" if row["cause"] else "", "dim")
        console.print(line, soft_wrap=True)


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
    console.print(Text(f"{plain_text(output)}: {size / 1e3:,.0f} kB"), soft_wrap=True)


@app.command()
@errors_as_exit
def stop(stage: StageArgument, socket: SocketOption = None) -> None:
    """Ask a running service to stop."""
    with ControlClient(socket_of(stage, socket)) as service:
        service.ask(op="stop")
