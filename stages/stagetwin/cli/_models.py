"""`stagetwin models`: what models expect beside what is measured, and trying a command on them."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.text import Text

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
from stagetwin.cli._cells import plain_text
from stagetwin.cli._model_text import model_lines, port_lines
from stagetwin.service import ControlClient

__all__ = ["list_", "present", "rehearse", "show"]

Row = dict[str, Any]

models = typer.Typer(
    name="models",
    help="Models of a running stage: what they expect, and what would happen.",
    no_args_is_help=True,
)
app.add_typer(models)

VERDICT_STYLES = {"held": "green", "violated": "bold red", "inconclusive": "yellow"}

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="Prim path and name, such as /World/P101.hydraulics.")
]


@models.command(name="list")
@errors_as_exit
def list_(
    stage: StageArgument,
    prim: Annotated[str, typer.Argument(help="Only what lies at or below.")] = "/",
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=1000)] = 100,
    as_json: JsonOption = False,
    socket: SocketOption = None,
) -> None:
    """List models: kind, fidelity, state, and expected beside measured values.

    Exit status: 0 all run, 1 some do not.
    """
    with ControlClient(socket_of(stage, socket)) as service:
        reply = service.ask(op="models", prim=prim, limit=limit)
    rows = reply["models"]
    if as_json:
        print_json(reply)
    elif rows:
        _print(rows)
        if reply["total"] > len(rows):
            console.print(Text(f"and {reply['total'] - len(rows)} more", style="dim"))
    if reply["fault"] and not as_json:
        console.print(Text(plain_text(reply["fault"])), soft_wrap=True)
    if any(row["state"] != "running" for row in rows):
        raise typer.Exit(1)


def _print(rows: list[Row]) -> None:
    for line in model_lines(rows, console.width):
        console.print(line, soft_wrap=True)


@models.command()
@errors_as_exit
def show(
    stage: StageArgument,
    model: ModelArgument,
    as_json: JsonOption = False,
    socket: SocketOption = None,
) -> None:
    """Show one model: what it reads, its parameters, and every number that it gives."""
    with ControlClient(socket_of(stage, socket)) as service:
        row = service.ask(op="model", model=model)["model"]
    if as_json:
        print_json(row)
        return
    _print([row])
    for name, paths in sorted(row["relations"].items()):
        targets = paths if isinstance(paths, list) else [paths]
        for path in targets:
            console.print(Text.assemble((f"{plain_text(name)} ", "dim"), plain_text(path)))
    for line in port_lines(row):
        console.print(line, soft_wrap=True)
    if row["forkable"] is False:
        console.print(Text("its state cannot be copied: no future can start from it", "yellow"))


@models.command()
@errors_as_exit
def present(
    stage: StageArgument,
    name: Annotated[str, typer.Option(help="Name of the file; a new one by default.")] = "",
    as_json: JsonOption = False,
    socket: SocketOption = None,
) -> None:
    """Save the whole present to a file of the service's folder, to start futures from."""
    with ControlClient(socket_of(stage, socket), timeout=60) as service:
        reply = service.ask(op="present", name=name)
    if as_json:
        print_json(reply)
    else:
        size = f": {reply['bytes'] / 1e3:,.0f} kB"
        console.print(Text(plain_text(reply["path"]) + size), soft_wrap=True)


@models.command()
@errors_as_exit
def rehearse(
    stage: StageArgument,
    command: Annotated[str, typer.Argument(help="Prim path and name of the command.")],
    value: Annotated[str, typer.Argument(help="Setpoint, as JSON.")],
    horizon: Annotated[
        float | None, typer.Option(help="How far ahead to look \\[s].", show_default=False)
    ] = None,
    budget: Annotated[
        float | None, typer.Option(help="How long it may take \\[s].", show_default=False)
    ] = None,
    as_json: JsonOption = False,
    socket: SocketOption = None,
) -> None:
    """Try a command on the models; nothing is sent. Exit status: 0 it held, 1 it did not."""
    try:
        wanted = json.loads(value)
    except ValueError:
        raise typer.BadParameter(f"{value!r} is no JSON value", param_hint="VALUE") from None
    more = {k: v for k, v in (("horizon", horizon), ("budget", budget)) if v is not None}
    with ControlClient(socket_of(stage, socket), timeout=90) as service:
        found = service.ask(op="rehearse", target=command, value=wanted, **more)["rehearsal"]
    if as_json:
        print_json(found)
    else:
        verdict, cause = plain_text(found["verdict"]), plain_text(found["cause"])
        line = Text(verdict, style=VERDICT_STYLES.get(verdict, ""))
        console.print(line.append(f": {cause}" if cause else "", ""), soft_wrap=True)
    if found["verdict"] != "held":
        raise typer.Exit(1)
