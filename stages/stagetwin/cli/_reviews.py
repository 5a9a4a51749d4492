"""`stagetwin review`: what people wrote about a running stage, and its exchange as BCF."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from stagetwin._errors import ReviewError
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
from stagetwin.guards import write_atomically
from stagetwin.service import ControlClient

__all__ = ["export", "import_", "list_", "show"]

Row = dict[str, Any]

EXCHANGE_TIMEOUT = 600.0
"""Longest wait for an archive to be written or taken in [s]."""

STATUS_STYLES = {"open": "yellow", "in_progress": "cyan", "resolved": "green", "closed": "dim"}
APPROVAL_STYLES = {"approved": "green", "rejected": "red", "requested": "yellow"}

review = typer.Typer(
    name="review",
    help="Topics of a running stage: what people pinned to it, wrote and decided.",
    no_args_is_help=True,
)
app.add_typer(review)


@review.command(name="list")
@errors_as_exit
def list_(
    stage: StageArgument,
    prim: Annotated[str, typer.Argument(help="Show only what names something below.")] = "/",
    status: Annotated[str, typer.Option(help="Only topics of this status.")] = "",
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=5000)] = 50,
    as_json: JsonOption = False,
    socket: SocketOption = None,
) -> None:
    """List topics, the one that changed last first."""
    with ControlClient(socket_of(stage, socket)) as service:
        reply = service.ask(op="topics", prim=prim, status=status, limit=limit)
    if as_json:
        print_json(reply)
        return
    rows = reply["topics"]
    if not rows:
        console.print(Text(f"No topic at or below {plain_text(prim)}."), soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("age", "id", "status", "author", "comments", "topic"):
        table.add_column(column, header_style="dim", no_wrap=column != "topic", overflow="fold")
    now = time.time()
    for row in rows:
        table.add_row(
            Text(age_text(now - float(row["changed"])), style="dim"),
            Text(plain_text(row["id"]), style="dim"),
            _status(row),
            Text(plain_text(row["author"])),
            Text(str(len(row["comments"])), justify="right"),
            Text.assemble(plain_text(row["title"]), ("\n" + _where(row), "dim")),
        )
    console.print(table)


@review.command()
@errors_as_exit
def show(
    stage: StageArgument,
    identifier: Annotated[str, typer.Argument(metavar="ID", help="Id of the topic.")],
    as_json: JsonOption = False,
    socket: SocketOption = None,
) -> None:
    """Show one topic: where it is pinned, what was measured then, and who said what."""
    with ControlClient(socket_of(stage, socket)) as service:
        row = service.ask(op="topic", id=identifier)["topic"]
    if as_json:
        print_json(row)
        return
    console.print(Text(plain_text(row["title"]), style="bold"), soft_wrap=True)
    line = Text.assemble(_status(row), f"  {row['type']}, {row['priority']}, revision ")
    console.print(line.append(str(row["revision"])), soft_wrap=True)
    console.print(Text(f"by {plain_text(row['author'])}, {_when(row['created'])}"), soft_wrap=True)
    if row["description"]:
        console.print(Text(_lines(row["description"])), soft_wrap=True)
    for anchor in row["anchors"]:
        console.print(_anchor(anchor), soft_wrap=True)
    for value in row["values"]:
        what = f"  {value['path']} = {value['value']} {value['unit']} ({value['quality']})"
        console.print(Text(plain_text(what)), soft_wrap=True)
    for comment in row["comments"]:
        head = f"{plain_text(comment['author'])}, {_when(comment['time'])}"
        if comment["replaces"]:
            head += f", instead of {plain_text(comment['replaces'])}"
        console.print(Text(head, style="dim"), soft_wrap=True)
        console.print(Text(_lines(comment["text"])), soft_wrap=True)


@review.command()
@errors_as_exit
def export(
    stage: StageArgument,
    output: Annotated[Path, typer.Argument(metavar="FILE", help="Archive to write, .bcfzip.")],
    topic: Annotated[
        list[str], typer.Option("--topic", help="Only this topic; may be repeated.")
    ] = [],
    prim: Annotated[str, typer.Option(help="Only what names something at or below.")] = "/",
    socket: SocketOption = None,
) -> None:
    """Write topics as BCF 3.0, for other tools."""
    with ControlClient(socket_of(stage, socket), timeout=EXCHANGE_TIMEOUT) as service:
        reply = service.ask(op="bcf_export", prim=prim, ids=topic or None)
    data = base64.b64decode(reply["bcf"])
    try:
        write_atomically(output, data, 0o644)
    except OSError as error:
        raise ReviewError(f"{output} cannot be written: {error}") from None
    text = f"{plain_text(output)}: {reply['topics']} topics, {len(data) / 1e3:,.0f} kB"
    console.print(Text(text), soft_wrap=True)


@review.command(name="import")
@errors_as_exit
def import_(
    stage: StageArgument,
    source: Annotated[Path, typer.Argument(metavar="FILE", help="Archive to read, .bcfzip.")],
    as_json: JsonOption = False,
    socket: SocketOption = None,
) -> None:
    """Take a BCF 3.0 archive in; what is there already stays as it is.

    Exit status: 0 all was taken, 1 some was not, 2 nothing could be.
    """
    try:
        data = source.read_bytes()
    except OSError as error:
        raise ReviewError(f"{source} cannot be read: {error}") from None
    with ControlClient(socket_of(stage, socket), timeout=EXCHANGE_TIMEOUT) as service:
        reply = service.ask(op="bcf_import", bcf=base64.b64encode(data).decode())
    problems = reply["problems"]
    if as_json:
        print_json(reply)
    else:
        console.print(
            f"{reply['created']} topics and {reply['commented']} comments are new, "
            f"{reply['unchanged']} topics were there already"
        )
        for problem in problems:
            console.print(Text(f"  {plain_text(problem)}", style="yellow"), soft_wrap=True)
    if problems:
        raise typer.Exit(1)


def _status(row: Row) -> Text:
    text = Text(plain_text(row["status"]), style=STATUS_STYLES.get(row["status"], ""))
    if row["approval"] != "none":
        approval = plain_text(row["approval"])
        text.append(f" {approval}", APPROVAL_STYLES.get(approval, ""))
    return text


def _where(row: Row) -> str:
    prims = [plain_text(anchor["prim"]) for anchor in row["anchors"]]
    return ", ".join(prims[:3]) + (", ..." if len(prims) > 3 else "") if prims else "the stage"


def _anchor(anchor: Row) -> Text:
    line = Text.assemble("  at ", plain_text(anchor["prim"]))
    if anchor["orphaned"]:
        moved = anchor["moved_to"]
        line.append(f", now {plain_text(moved)}" if moved else ", which is gone", "yellow")
    return line


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _lines(text: str) -> str:
    return "\n".join(f"  {plain_text(line)}" for line in text.split("\n"))
