"""`stagetwin watch`: a running stage, live on a terminal."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from stagetwin._errors import ServiceError
from stagetwin.cli._app import (
    SocketOption,
    StageArgument,
    app,
    console,
    errors_as_exit,
    socket_of,
)
from stagetwin.cli._model import WatchModel
from stagetwin.cli._rows import QUALITY_STYLES, plain_row
from stagetwin.cli._screen import Feed, Screen
from stagetwin.service import ControlClient

__all__ = ["watch"]


@app.command()
@errors_as_exit
def watch(
    stage: StageArgument,
    prim: Annotated[str, typer.Argument(help="Show only what lies at or below.")] = "/",
    rate: Annotated[float, typer.Option(help="Frames per second [Hz].", min=0.1, max=60.0)] = 5.0,
    once: Annotated[
        bool, typer.Option("--once", help="Print what is there now and leave.")
    ] = False,
    socket: SocketOption = None,
) -> None:
    """Watch a running stage: values within their limits, recent past, quality, connections.

    Where the output is no terminal, one snapshot is printed, one signal a line.
    """
    where = socket_of(stage, socket)
    if once or not (sys.stdin.isatty() and console.is_terminal):
        with ControlClient(where) as client:
            _print_once(client.ask(op="values", prim=prim))
        return
    feed = Feed(where, prim, rate)
    try:
        ended = Screen(feed, console).run()
    finally:
        feed.close()
    if feed.failed:
        raise ServiceError(ended)
    if ended:
        console.print(ended)


def _print_once(reply: dict[str, object]) -> None:
    model = WatchModel()
    model.apply(reply, 0.0)
    rows = [plain_row(s, r) for s, r in zip(model.signals, model.readings, strict=True)]
    widths = [max(map(len, column), default=0) for column in zip(*rows, strict=True)]
    for path, value, unit, quality, age in rows:
        line = "  ".join(
            (
                path.ljust(widths[0]),
                f"{value:>{min(widths[1], 14)}} {unit.ljust(widths[2])}",
                quality.ljust(widths[3]),
                age.rjust(widths[4]),
            )
        )
        style = QUALITY_STYLES.get(quality, "")
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)
