"""The command line: options that commands share, and how errors end."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, ParamSpec

import typer
from rich.console import Console
from rich.text import Text

from stagetwin._errors import StagetwinError
from stagetwin.cli._cells import plain_text
from stagetwin.service import default_socket

__all__ = [
    "EndpointOption",
    "JsonOption",
    "SidecarOption",
    "SocketOption",
    "StageArgument",
    "add_installed_commands",
    "app",
    "console",
    "errors_as_exit",
    "parse_endpoints",
    "print_json",
    "socket_of",
]

P = ParamSpec("P")

EXIT_FAILED = 2
"""The thing asked for could not be done; 1 is left for "done, and the answer is no"."""

app = typer.Typer(
    name="stagetwin",
    help="The USD stage is the twin: live telemetry on prims, checked and watched from here.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console()
_stderr = Console(stderr=True)

StageArgument = Annotated[Path, typer.Argument(help="Root layer of the plant.", show_default=False)]
SidecarOption = Annotated[
    list[Path],
    typer.Option("--sidecar", help="Layer with bindings for the stage; strongest first."),
]
EndpointOption = Annotated[
    list[str],
    typer.Option(
        "--endpoint", metavar="NAME=URI", help="Use this endpoint for a connection on this host."
    ),
]
SocketOption = Annotated[
    Path | None,
    typer.Option(
        "--socket", help="Control socket; the stage's own by default.", show_default=False
    ),
]


def _show_version(asked: bool) -> None:
    if asked:
        console.print(importlib.metadata.version("stagetwin"), highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    del version  # its callback has answered


def errors_as_exit(command: Callable[P, None]) -> Callable[P, None]:
    """Turn an expected error into one line and exit status 2; a surprise keeps its traceback."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except StagetwinError as error:
            # No markup: a message may repeat a path, an address or a payload, brackets and all.
            text = Text.assemble(("error:", "bold red"), f" {plain_text(error)}")
            _stderr.print(text, soft_wrap=True)
            raise typer.Exit(EXIT_FAILED) from None

    return run


def parse_endpoints(pairs: list[str]) -> dict[str, str]:
    """Return endpoints by connection name."""
    endpoints: dict[str, str] = {}
    for pair in pairs:
        name, found, uri = pair.partition("=")
        if not found or not name or "://" not in uri:
            raise typer.BadParameter(f"{pair!r} is not NAME=URI", param_hint="--endpoint")
        endpoints[name] = uri
    return endpoints


def socket_of(stage: Path, socket: Path | None) -> Path:
    """Return the control socket to use for a stage."""
    return socket if socket is not None else default_socket(stage, os.environ)


def add_installed_commands() -> None:
    """Add the commands that installed packages offer in the group `stagetwin.commands`."""
    for entry in sorted(
        importlib.metadata.entry_points(group="stagetwin.commands"), key=lambda e: e.name
    ):
        try:
            command = entry.load()
        except (ImportError, AttributeError) as error:
            # A package that is half installed must not take the other commands down.
            text = Text.assemble(
                ("warning:", "yellow"), f" no command {entry.name!r}: {plain_text(error)}"
            )
            _stderr.print(text)
            continue
        if isinstance(command, typer.Typer):
            # A group of commands; each of them ends its errors by `errors_as_exit` itself.
            app.add_typer(command, name=entry.name)
        else:
            app.command(name=entry.name)(errors_as_exit(command))


JsonOption = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


def print_json(reply: object) -> None:
    """Print a reply as it is, for scripts."""
    sys.stdout.write(f"{json.dumps(reply, indent=2)}\n")
