"""`stagetwin commands` and `stagetwin halt`: what was asked for, and what became of it."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stagetwin._errors import ServiceError
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
from stagetwin.cli._lives import (
    UNSENT_ENDS,
    end_text,
    headline,
    moment_text,
    short_ids,
    state_style,
    value_text,
    waiting_text,
)
from stagetwin.cli._set import follow_to_end
from stagetwin.service import ControlClient

__all__ = ["approve", "cancel", "deny", "halt", "list_", "show", "verify"]

Row = dict[str, Any]

VERIFY_TIMEOUT = 3600.0
"""Longest wait for a whole ledger to be checked [s]."""

_COLUMNS = ("age", "id", "state", "value", "author")
_LEAST_ROOM = 34
"""With less, a path and a cause stand below their row [characters]."""

commands = typer.Typer(
    name="commands",
    help="Commands of a running stage: what was asked for, by whom, and what became of it.",
    no_args_is_help=True,
)
app.add_typer(commands)

IdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="Id of the command, or the beginning of it.")
]
ReasonOption = Annotated[str, typer.Option(help="Why, for the record.")]


@commands.command(name="list")
@errors_as_exit
def list_(
    stage: StageArgument,
    prim: Annotated[str, typer.Argument(help="Show only what lies at or below.")] = "/",
    only_open: Annotated[
        bool, typer.Option("--open", help="Only those that have not ended.")
    ] = False,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=1000)] = 20,
    as_json: JsonOption = False,
    socket: SocketOption = None,
) -> None:
    """List the newest commands, newest first."""
    with ControlClient(socket_of(stage, socket)) as service:
        reply = service.ask(op="commands", prim=prim, open=only_open, limit=limit)
    if as_json:
        print_json(reply)
        return
    if not reply["allowed"]:
        text = Text("This service is read-only: it takes no commands.", "yellow")
        if cause := reply.get("cause"):
            text = Text(plain_text(cause), "bold red")
        console.print(text, soft_wrap=True)
    rows = reply["commands"]
    if rows:
        console.print(_listed(rows))
        return
    what = "No open command" if only_open else "No command"
    console.print(Text(f"{what} at or below {plain_text(prim)}."), soft_wrap=True)


def _listed(rows: list[Row]) -> RenderableType:
    """Return a table with targets and causes in its last column, or below where that is narrow."""
    now = time.time()
    cells = [_cells(row, short, now) for row, short in zip(rows, short_ids(rows), strict=True)]
    last = [_target_and_cause(row) for row in rows]
    cells.insert(0, [Text(name, "dim") for name in _COLUMNS])
    widths = [max(cell.cell_len for cell in column) for column in zip(*cells, strict=True)]
    for row in cells:
        for cell, width, name in zip(row, widths, _COLUMNS, strict=True):
            cell.align("right" if name in ("age", "value") else "left", width)
    if console.width - sum(widths) - 2 * len(widths) < _LEAST_ROOM:
        lines: list[RenderableType] = [Text("  ").join(cells[0])]
        for row, end in zip(cells[1:], last, strict=True):
            lines += [Text("  ").join(row), Padding(end, (0, 0, 0, widths[0] + 2))]
        return Group(*lines)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for _ in _COLUMNS:
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row, end in zip(cells, [Text("command", "dim"), *last], strict=True):
        table.add_row(*row, end)
    return table


def _cells(row: Row, short: str, now: float) -> list[Text]:
    state, author = plain_text(row["state"]), plain_text(row["author"])
    if row["origin"] != "human":
        author += f" ({plain_text(row['origin'])})"
    return [
        Text(age_text(now - float(row["created"])), style="dim"),
        Text(short, style="dim"),
        Text(state, style=state_style(state)),
        Text(value_text(row["value"], row["unit"])),
        Text(author),
    ]


def _target_and_cause(row: Row) -> Text:
    cause = plain_text(row["cause"]) if row["ended"] else waiting_text(row)
    return Text.assemble(plain_text(row["target"]), (f"\n{cause}" if cause else "", "dim"))


@commands.command()
@errors_as_exit
def show(
    stage: StageArgument,
    identifier: IdArgument,
    follow: Annotated[
        bool, typer.Option("--follow", help="Wait for its end; exit status as of `set`.")
    ] = False,
    as_json: JsonOption = False,
    socket: SocketOption = None,
) -> None:
    """Show everything about one command: its states with their times, its evidence."""
    where = socket_of(stage, socket)
    with ControlClient(where) as service:
        row = service.ask(op="command", id=identifier)["command"]
    if as_json:
        print_json(follow_to_end(where, stage, row["id"], quiet=True) if follow else row)
    else:
        _print_head(row)
        if follow:
            row = follow_to_end(where, stage, row["id"])
        else:
            _print_life(row)
    if follow and row["state"] != "VERIFIED":
        raise typer.Exit(1)


def _print_head(row: Row) -> None:
    console.print(headline(row), soft_wrap=True)
    details = [("id", row["id"]), ("asked", _when(row["created"]))]
    if row["reason"]:
        details.append(("reason", row["reason"]))
    if row["needs"] or row["approvals"]:
        by = ", ".join(row["approvals"]) or "nobody yet"
        details.append(("approved", f"by {by}, needs {row['needs']}"))
    if row["needs"] and row.get("hash"):
        details.append(("hash", row["hash"]))
    if not row["ended"] and row["expires_in"] is not None:
        details.append(("expires", f"in {age_text(float(row['expires_in']))}"))
    for name, text in details:
        line = Text.assemble((f"  {name:<8}  ", "dim"), plain_text(text))
        console.print(line, soft_wrap=True)


def _when(seconds: float) -> str:
    moment = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(seconds))
    return f"{moment}, {age_text(time.time() - seconds)} ago"


def _print_life(row: Row) -> None:
    for moment in row["history"]:
        console.print(moment_text(moment, float(row["created"])), soft_wrap=True)
    end = end_text(row) if row["ended"] else Text(f"{waiting_text(row)}", "dim")
    console.print(end, soft_wrap=True)


@commands.command()
@errors_as_exit
def cancel(
    stage: StageArgument,
    identifier: IdArgument,
    reason: ReasonOption = "",
    as_json: JsonOption = False,
    socket: SocketOption = None,
) -> None:
    """Cancel a command that has not been sent; what was sent cannot be taken back."""
    _ask(stage, socket, "cancel", identifier, reason, as_json)


@commands.command()
@errors_as_exit
def approve(
    stage: StageArgument,
    identifier: IdArgument,
    reason: ReasonOption = "",
    seen: Annotated[
        str,
        typer.Option(
            "--hash",
            help="Hash that `show` printed: refuse if the command is another by now.",
            show_default=False,
        ),
    ] = "",
    as_json: JsonOption = False,
    socket: SocketOption = None,
) -> None:
    """Approve a command of somebody else's."""
    bound = {"hash": seen} if seen else {}
    _ask(stage, socket, "approve_command", identifier, reason, as_json, **bound)


@commands.command()
@errors_as_exit
def deny(
    stage: StageArgument,
    identifier: IdArgument,
    reason: ReasonOption = "",
    as_json: JsonOption = False,
    socket: SocketOption = None,
) -> None:
    """Deny a command of somebody else's; it ends there."""
    _ask(stage, socket, "deny_command", identifier, reason, as_json)


@commands.command()
@errors_as_exit
def verify(stage: StageArgument, as_json: JsonOption = False, socket: SocketOption = None) -> None:
    """Check the whole ledger: that no entry was changed, removed or reordered.

    Exit status: 0 it is whole, 1 it is not, 2 it could not be checked.
    """
    with (
        ControlClient(socket_of(stage, socket), timeout=VERIFY_TIMEOUT) as service,
        console.status("checking every entry of the ledger") if not as_json else nullcontext(),
    ):
        reply = service.ask(op="verify_ledger")
    if as_json:
        print_json(reply)
    elif reply["damage"]:
        text = Text.assemble(
            ("The ledger is damaged", "bold red"), f": {plain_text(reply['damage'])}"
        )
        console.print(text, soft_wrap=True)
    else:
        text = Text("The ledger is whole", "bold green")
        text.append(f": {reply['entries']:,} entries, each follows the one before it", "default")
        console.print(text, soft_wrap=True)
    if reply["damage"]:
        raise typer.Exit(1)


def _ask(
    stage: StageArgument,
    socket: SocketOption,
    operation: str,
    identifier: str,
    reason: str,
    as_json: bool,
    **bound: str,
) -> None:
    with ControlClient(socket_of(stage, socket)) as service:
        row = service.ask(op=operation, id=identifier, reason=reason, **bound)["command"]
    if as_json:
        print_json(row)
        return
    console.print(headline(row), soft_wrap=True)
    end = end_text(row) if row["ended"] else Text(waiting_text(row))
    console.print(Text.assemble("  ", end), soft_wrap=True)


@app.command()
@errors_as_exit
def halt(
    stage: StageArgument,
    prim: Annotated[str, typer.Argument(help="Stop what lies at or below.")] = "/",
    reason: ReasonOption = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    socket: SocketOption = None,
) -> None:
    """Send every command at or below a prim to its safe value, past all approvals.

    This is a request over ordinary networks and software, at best effort.
    It is NO safety function and NO emergency stop (IEC 61508/61511, ISO 13850):
    in danger, use the plant's own.

    Exit status: 0 sent or on their way, 1 some were not, 2 could not be asked.
    """
    where = socket_of(stage, socket)
    if not yes:
        console.print(
            Text("This is no emergency stop: in danger, use the plant's own.", "bold yellow")
        )
        below = "of the stage" if prim == "/" else f"at or below {plain_text(prim)}"
        typer.confirm(f"Send every command {below} that has a safe value to it?", abort=True)
    with ControlClient(where) as service:
        rows = service.ask(op="halt", prim=prim, reason=reason)["commands"]
    if as_json:
        print_json({"commands": rows})
    else:
        for row in rows:
            console.print(_halt_line(row), soft_wrap=True)
    if not rows:
        raise ServiceError(f"no command at or below {prim} has a safe value: nothing was sent")
    bad = sum(row["ended"] and row["state"] != "VERIFIED" for row in rows)
    if not as_json:
        tail = f", {bad} of them ended at once" if bad else ""
        console.print(
            Text(f"{len(rows)} asked for{tail}; look at the machines: this is no proof.", "bold"),
            soft_wrap=True,
        )
    if bad:
        raise typer.Exit(1)


def _halt_line(row: Row) -> Text:
    state = str(row["state"])
    line = Text.assemble((plain_text(state).ljust(12), state_style(state)), "  ")
    line.append(plain_text(row["target"]))
    line.append(f"  {value_text(row['value'], row['unit'])}", "bold")
    if row["cause"]:
        line.append(f"  {plain_text(row['cause'])}")
    if state in UNSENT_ENDS:
        line.append("; nothing was sent", "red")
    return line
