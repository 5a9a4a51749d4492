"""`stagetwin open`: how a browser or a program comes into a running service."""

from __future__ import annotations

import json
import sys
import webbrowser
from typing import Annotated

import typer

from stagetwin.cli._app import SocketOption, StageArgument, app, errors_as_exit, socket_of
from stagetwin.service import ControlClient

__all__ = ["open_viewer"]


@app.command(name="open")
@errors_as_exit
def open_viewer(
    stage: StageArgument,
    socket: SocketOption = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print address, link and the token of programs as JSON."),
    ] = False,
    browse: Annotated[bool, typer.Option(help="Start a browser, where there is one.")] = False,
) -> None:
    """Print a link that lets a browser into a running service; it is good once, for ten minutes."""
    with ControlClient(socket_of(stage, socket)) as service:
        web = service.ask(op="web")
    sys.stdout.write(f"{json.dumps(web) if as_json else web['login']}\n")
    if browse:
        webbrowser.open(web["login"])
