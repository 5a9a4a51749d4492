"""`stagetwin models`: what models expect beside what is measured, and trying a command on them."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.table import Table
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
from stagetwin.cli._cells import plain_text, unit_text
from stagetwin.cli._lives import value_text
from stagetwin.service import ControlClient

__all__ = ["list_", "present", "rehearse", "show"]

Row = dict[str, Any]

models = typer.Typer(
    name="models",
    help="Models of a running stage: what they expect, and what would happen.",
    no_args_is_help=True,
)
app.add_typer(models)

STATE_STYLES = {"running": "green", "starting": "yellow", "waiting": "yellow", "failed": "bold red"}
VERDICT_STYLES = {"held": "green", "violated": "bold red", "inconclusive": "yellow"}

FAR = 3.0
"""Standard deviations beyond which a residual is shown as one that hardly is chance."""

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
        console.print(_table(rows))
        if reply["total"] > len(rows):
            console.print(Text(f"and {reply['total'] - len(rows)} more", style="dim"))
    if reply["fault"] and not as_json:
        console.print(Text(plain_text(reply["fault"])), soft_wrap=True)
    if any(row["state"] != "running" for row in rows):
        raise typer.Exit(1)


def _table(rows: list[Row]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("model", "kind", "state", "signal", "measured", "expected", "residual"):
        right = column in ("measured", "expected", "residual")
        table.add_column(
            column, header_style="dim", justify="right" if right else "left", overflow="fold"
        )
    for row in rows:
        signals = row["signals"] or [None]
        for number, signal in enumerate(signals):
            first = number == 0
            table.add_row(
                _place(row) if first else Text(""),
                _kind(row) if first else Text(""),
                _state(row) if first else Text(""),
                *_cells(signal),
            )
    return table


def _place(row: Row) -> Text:
    text = Text(plain_text(row["path"]))
    if row["cause"]:
        text.append(f"\n{plain_text(row['cause'])}", "dim")
    return text


def _kind(row: Row) -> Text:
    text = Text(plain_text(row["kind"]))
    return text.append(f"\n{plain_text(row['fidelity'])}", "dim") if row["fidelity"] else text


def _state(row: Row) -> Text:
    state = plain_text(row["state"])
    return Text(state, style=STATE_STYLES.get(state, "dim"))


def _cells(signal: Row | None) -> list[Text]:
    if signal is None:
        return [Text("")] * 4
    unit = signal["unit"]
    stale = signal["quality"] != "good"
    measured, expected = _figure(signal["value"], unit), _figure(signal["predicted"], unit)
    return [
        Text(plain_text(signal["path"]).rpartition(".")[2]),
        Text(measured, style="dim" if stale else ""),
        Text(expected),
        _residual(signal),
    ]


def _figure(value: Any, unit: str) -> str:
    """Return a value with its unit, a number with as many digits as a model is good for."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value_text(value, unit)
    return f"{value:.5g} {unit_text(unit)}".rstrip()


def _residual(signal: Row) -> Text:
    """Return a residual in its unit, or how many standard deviations it is where that is known."""
    if signal["sigmas"] is not None:
        far = abs(signal["sigmas"]) > FAR
        return Text(f"{signal['sigmas']:+.1f} σ", style="bold #f0b94b" if far else "")
    if signal["residual"] is not None:
        return Text(_figure(signal["residual"], signal["unit"]))
    return Text("-", style="dim")


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
    console.print(_table([row]))
    for name, paths in (("reads", row["reads"]), *sorted(row["relations"].items())):
        targets = paths if isinstance(paths, list) else [paths]
        for path in targets:
            console.print(Text.assemble((f"{plain_text(name)} ", "dim"), plain_text(path)))
    for name, each in sorted(row["parameters"].items()):
        value = _figure(each["value"], each["unit"])
        console.print(Text.assemble(("param ", "dim"), f"{plain_text(name)} = {value}"))
    for each in row["outputs"]:
        value = _figure(each["value"], "")
        console.print(Text.assemble(("out ", "dim"), f"{plain_text(each['port'])} = {value}"))
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
