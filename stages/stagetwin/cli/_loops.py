"""`stagetwin commands loops`: policies that command by themselves, and who let them."""

from __future__ import annotations

import time
from typing import Any

from rich.table import Table
from rich.text import Text

from stagetwin.cli._app import (
    JsonOption,
    SocketOption,
    StageArgument,
    console,
    errors_as_exit,
    print_json,
    socket_of,
)
from stagetwin.cli._cells import age_text, plain_text
from stagetwin.cli._commands import commands
from stagetwin.service import ControlClient

__all__ = ["loops"]


@commands.command()
@errors_as_exit
def loops(stage: StageArgument, as_json: JsonOption = False, socket: SocketOption = None) -> None:
    """List loops of policies: who began and approved them, until when, and how they ended."""
    with ControlClient(socket_of(stage, socket)) as service:
        rows = service.ask(op="loops")["loops"]
    if as_json:
        print_json({"loops": rows})
        return
    if not rows:
        console.print("No policy has commanded here, and none asks to.")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("session", "state", "commands", "policy"):
        table.add_column(column, header_style="dim", overflow="fold", no_wrap=column != "policy")
    for row in rows:
        state = plain_text(row["state"])
        given = "-" if row["commands"] is None else str(row["commands"])
        table.add_row(
            Text(plain_text(row["id"])[-12:], style="dim"),
            Text(state, style="bold green" if state == "BEGUN" else ""),
            given,
            Text.assemble(plain_text(row["policy"]), (f"\n{_story(row)}", "dim")),
        )
    console.print(table)


def _story(row: dict[str, Any]) -> str:
    """Return who let a session do what, and what came of it."""
    parts = [f"by {plain_text(row['user'])}"]
    if row["approver"]:
        key = plain_text(row["statement"]["approver"])
        parts.append(f"approved by {plain_text(row['approver'])} (key {key})")
    if row.get("left"):
        parts.append(f"{age_text(float(row['left']))} left")
    if row.get("begun"):
        parts.append(f"begun {age_text(time.time() - float(row['begun']))} ago")
    if row["cause"]:
        parts.append(f"ended: {plain_text(row['cause'])}")
    return ", ".join(parts)
