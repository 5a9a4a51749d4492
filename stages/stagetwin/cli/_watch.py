"""`stagetwin watch`: a running stage, live on a terminal."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from stagetwin._errors import ServiceError
from stagetwin.cli._app import (
    SocketOption,
    StageArgument,
    app,
    console,
    errors_as_exit,
    socket_of,
)
from stagetwin.cli._cells import plain_text
from stagetwin.cli._model import WatchModel
from stagetwin.cli._rows import QUALITY_STYLES, model_texts, plain_row
from stagetwin.cli._screen import Feed, Screen
from stagetwin.service import ControlClient

__all__ = ["watch"]

_CANDIDATES = 5


@app.command()
@errors_as_exit
def watch(
    stage: StageArgument,
    prim: Annotated[
        str,
        typer.Argument(help="Show only what lies at or below: a path, or the end of one (P101)."),
    ] = "/",
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
    prim = _resolve(where, prim)
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
        console.print(Text(plain_text(ended)), soft_wrap=True)


def _resolve(socket: Path, prim: str) -> str:
    """Return the path that is meant, asking the service for all there are where it is an end."""
    if prim.startswith("/") or not prim:
        return prim or "/"
    with ControlClient(socket) as client:
        return _pick(prim, _paths(client.ask(op="values", prim="/")["signals"]))


def _pick(prim: str, paths: list[str]) -> str:
    """Return the only path that ends so.

    Raises:
        ServiceError: there is none, or more than one; names some.
    """
    wanted = prim.strip("/")
    found = [path for path in paths if path.endswith(f"/{wanted}")]
    found = found or [p for p in paths if p.lower().endswith(f"/{wanted.lower()}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise ServiceError(f"{prim!r} can be {len(found)} paths: {_some(found)}")
    last = wanted.rpartition("/")[2].lower()
    names = {path: path.rpartition("/")[2].lower() for path in paths}
    near = [path for path, name in names.items() if last in name]
    close = set(difflib.get_close_matches(last, list(dict.fromkeys(names.values())), _CANDIDATES))
    near = near or [path for path, name in names.items() if name in close]
    hint = f"; there are {_some(near or paths)}" if paths else ""
    raise ServiceError(f"no path with a signal at or below it ends in {prim!r}{hint}")


def _paths(signals: Iterable[dict[str, Any]]) -> list[str]:
    """Return every path that has a signal at or below it, prims before signals."""
    prims: dict[str, None] = {}
    paths: dict[str, None] = {}
    for signal in signals:
        path, name = str(signal["prim"]), str(signal["signal"]).partition("[")[0]
        paths[f"{path}.{name}"] = None
        while path:
            prims[path] = None
            path = path.rpartition("/")[0]
    return [*prims, *paths]


def _some(paths: list[str]) -> str:
    left = len(paths) - _CANDIDATES
    return ", ".join(paths[:_CANDIDATES]) + (f" and {left} more" if left > 0 else "")


def _print_once(reply: dict[str, object]) -> None:
    model = WatchModel()
    model.apply(reply, 0.0)
    rows = [plain_row(s, r) for s, r in zip(model.signals, model.readings, strict=True)]
    expected = [model_texts(r) if model.modelled else () for r in model.readings]
    widths = [max(map(len, column), default=0) for column in zip(*rows, strict=True)]
    more = [max(map(len, column), default=0) for column in zip(*expected, strict=True)]
    for (path, value, unit, quality, age), texts in zip(rows, expected, strict=True):
        line = "  ".join(
            (
                path.ljust(widths[0]),
                f"{value:>{min(widths[1], 14)}} {unit.ljust(widths[2])}",
                quality.ljust(widths[3]),
                age.rjust(widths[4]),
                *(text.rjust(width) for text, width in zip(texts, more, strict=True)),
            )
        )
        style = QUALITY_STYLES.get(quality, "")
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)
