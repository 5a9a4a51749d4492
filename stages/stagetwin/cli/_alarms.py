"""`stagetwin alarms`: what somebody must know, and saying that one knows."""

from __future__ import annotations

import re
import time
from typing import Annotated, Any

import typer
from rich.cells import cell_len
from rich.text import Text

from stagetwin.cli._alarm_text import PRIORITY_STYLES, STATE_WORDS, alarm_summary
from stagetwin.cli._app import (
    JsonOption,
    SocketOption,
    StageArgument,
    app,
    console,
    errors_as_exit,
    print_json,
    socket_of,
)
from stagetwin.cli._cells import age_text, plain_text
from stagetwin.cli._lives import value_text
from stagetwin.service import ControlClient

__all__ = ["ack", "history", "list_", "shelve", "unshelve"]

Row = dict[str, Any]

alarms = typer.Typer(
    name="alarms",
    help="Alarms of a running stage: what stands, who knows, what was.",
    no_args_is_help=True,
)
app.add_typer(alarms)

IdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="Id of the alarm, such as /World/P101.flow_low.")
]
PrimArgument = Annotated[str, typer.Argument(help="Only what lies at or below.")]

_DIGITS = 5
"""Digits of a measured value that stands in an alarm."""
_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


@alarms.command(name="list")
@errors_as_exit
def list_(
    stage: StageArgument,
    prim: PrimArgument = "/",
    everything: Annotated[
        bool, typer.Option("--all", help="Shelved, suppressed and normal ones too.")
    ] = False,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=5000)] = 100,
    as_json: JsonOption = False,
    socket: SocketOption = None,
) -> None:
    """List the alarms that stand, worst first. Exit status: 0 none stands, 1 some do."""
    show = "all" if everything else "active"
    with ControlClient(socket_of(stage, socket)) as service:
        reply = service.ask(op="alarms", prim=prim, show=show, limit=limit)
    rows, counts = reply["alarms"], reply["counts"]
    if as_json:
        print_json(reply)
    else:
        if rows:
            _print(rows)
        console.print(alarm_summary(counts), soft_wrap=True)
    if any(counts[priority] for priority in PRIORITY_STYLES):
        raise typer.Exit(1)


def _print(rows: list[Row]) -> None:
    """Print alarms, each with its name first and what it says on lines of their own."""
    now = time.time()
    table = [_cells(row, now) for row in rows]
    widths = [max(cell_len(cell.plain) for cell in column) for column in zip(*table, strict=True)]
    if sum(widths) + 2 * (len(widths) - 1) > console.width:
        widths = [0] * len(widths)
    for row, cells in zip(rows, table, strict=True):
        line = Text()
        for cell, width in zip(cells, widths, strict=True):
            if width or cell.plain:
                line.append("  " if line else "").append(cell)
                line.append(" " * (width - cell_len(cell.plain)))
        line.rstrip()
        console.print(line, soft_wrap=True)
        for words in _about(row):
            console.print(Text(f"    {words}", style="dim"), soft_wrap=True)


def _cells(row: Row, now: float) -> list[Text]:
    priority, raised = plain_text(row["priority"]), row["raised"]
    state = STATE_WORDS.get(row["state"], plain_text(row["state"]))
    value = "" if row["value"] is None else value_text(row["value"], row["unit"], _DIGITS)
    return [
        Text(plain_text(row["id"]), style="bold"),
        Text(priority, style=PRIORITY_STYLES.get(priority, "")),
        Text(state, style="bold" if "UNACK" in state else ""),
        Text(value),
        Text(age_text(now - float(raised)) if raised is not None else "", style="dim"),
    ]


def _about(row: Row) -> list[str]:
    said = [f"{row['message']}: {row['cause']}" if row["cause"] else row["message"]]
    if row["state"] == "SHELVED":
        shelf = row["shelved"]
        until = time.strftime("%H:%M:%S", time.localtime(shelf["until"]))
        said.append(f"shelved by {shelf['by']} until {until}: {shelf['reason']}")
    elif row["state"] == "SUPPRESSED":
        said.append(f"under {row['suppressed']}")
    elif known := row["acknowledged"]:
        comment = f": {known['comment']}" if known["comment"] else ""
        said.append(f"{known['by']} knows{comment}")
    if row["advice"] and row["state"] in ("UNACK", "ACKED"):
        said.append(f"→ {row['advice']}")
    return [plain_text(words) for words in said]


@alarms.command()
@errors_as_exit
def ack(
    stage: StageArgument,
    identifier: IdArgument,
    comment: Annotated[str, typer.Option(help="For the record.")] = "",
    as_json: JsonOption = False,
    socket: SocketOption = None,
) -> None:
    """Acknowledge an alarm: say that you know."""
    with ControlClient(socket_of(stage, socket)) as service:
        row = service.ask(op="acknowledge_alarm", id=identifier, comment=comment)["alarm"]
    _print_row(row, as_json)


@alarms.command()
@errors_as_exit
def shelve(
    stage: StageArgument,
    identifier: IdArgument,
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    period: Annotated[
        str, typer.Option("--for", metavar="TIME", help="How long: 90s, 30m, 2h; 8h at most.")
    ] = "30m",
    as_json: JsonOption = False,
    socket: SocketOption = None,
) -> None:
    """Put an alarm aside for a while."""
    seconds = _seconds(period)
    with ControlClient(socket_of(stage, socket)) as service:
        row = service.ask(op="shelve_alarm", id=identifier, seconds=seconds, reason=reason)["alarm"]
    _print_row(row, as_json)


@alarms.command()
@errors_as_exit
def unshelve(
    stage: StageArgument,
    identifier: IdArgument,
    as_json: JsonOption = False,
    socket: SocketOption = None,
) -> None:
    """Take a shelved alarm back."""
    with ControlClient(socket_of(stage, socket)) as service:
        row = service.ask(op="unshelve_alarm", id=identifier)["alarm"]
    _print_row(row, as_json)


@alarms.command()
@errors_as_exit
def history(
    stage: StageArgument,
    prim: PrimArgument = "/",
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=5000)] = 50,
    as_json: JsonOption = False,
    socket: SocketOption = None,
) -> None:
    """Show what happened to alarms, newest first: when, what, by whom."""
    with ControlClient(socket_of(stage, socket)) as service:
        reply = service.ask(op="alarms", prim=prim, show="history", limit=limit)
    if as_json:
        print_json(reply)
        return
    for entry in reply["entries"]:
        console.print(_entry_line(entry), soft_wrap=True)
    if not reply["entries"]:
        console.print(Text(f"Nothing happened at or below {plain_text(prim)}."), soft_wrap=True)


def _entry_line(entry: Row) -> Text:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry["time"]))
    event = plain_text(entry["event"]).replace("_", " ")
    priority = plain_text(entry["priority"])
    line = Text.assemble((when, "dim"), f"  {event:<13}")
    line.append(f"{priority:<9}", PRIORITY_STYLES.get(priority, ""))
    line.append(plain_text(entry["id"]))
    if entry["by"]:
        line.append(f"  by {plain_text(entry['by'])}")
    for words in (entry["cause"], entry["comment"]):
        if words:
            line.append(f"  {plain_text(words)}", "dim")
    if skipped := entry.get("skipped"):
        line.append(f"  after {skipped} more changes", "#f0b94b")
    return line


def _seconds(period: str) -> float:
    """Return a time such as `90s`, `30m` or `2h` in seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h)", period.strip())
    if found is None:
        raise typer.BadParameter(f"{period!r} is no time like 90s, 30m or 2h", param_hint="--for")
    return float(found[1]) * _UNITS[found[2]]


def _print_row(row: Row, as_json: bool) -> None:
    if as_json:
        print_json(row)
        return
    _print([row])
