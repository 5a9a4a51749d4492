"""`stagetwin check` and `stagetwin approve`: before a stage runs."""

from __future__ import annotations

import getpass
import json
import os
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from stagetwin._errors import ServiceError, StageError
from stagetwin.bindings import Problem, Severity
from stagetwin.check import Report, check_stage
from stagetwin.cli._app import (
    EndpointOption,
    SidecarOption,
    SocketOption,
    StageArgument,
    app,
    console,
    errors_as_exit,
    parse_endpoints,
    socket_of,
)
from stagetwin.cli._cells import counted, plain_text
from stagetwin.guards import GuardBook, GuardStage
from stagetwin.opening import open_stage
from stagetwin.service import ControlClient, default_state_dir

__all__ = ["approve", "check"]

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow"}


@app.command()
@errors_as_exit
def check(
    stage: StageArgument,
    sidecar: SidecarOption = [],
    endpoint: EndpointOption = [],
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
) -> None:
    """Report every bad binding of a stage.

    Exit status: 0 nothing wrong, 1 something is wrong, 2 the stage cannot be opened.
    """
    report = check_stage(stage, sidecar, parse_endpoints(endpoint))
    if as_json:
        print(json.dumps(report.as_json(), indent=2))  # noqa: T201 - plain, for scripts
    else:
        _print(report)
    if report.errors or (strict and report.problems):
        raise typer.Exit(1)


def _print(report: Report) -> None:
    prim = None
    for problem in report.problems:
        if problem.prim != prim:
            prim = problem.prim
            console.print(Text(plain_text(prim), style="bold"), soft_wrap=True)
        console.print(_line(problem), soft_wrap=True)
    warnings = len(report.problems) - report.errors
    models = f", {counted(report.models, 'model')}" if report.models else ""
    verdict = Text.assemble(
        (counted(report.signals, "signal"), "bold green" if report.signals else "bold"),
        f", {counted(report.commands, 'command')}{models} on {counted(report.assets, 'asset')} by "
        f"{counted(report.connections, 'connection')} can run; ",
        (counted(report.errors, "error"), "bold red" if report.errors else "green"),
        ", ",
        (counted(warnings, "warning"), "yellow" if warnings else "green"),
    )
    console.print(verdict, soft_wrap=True)


def _line(problem: Problem) -> Text:
    signal = f"{problem.signal}: " if problem.signal else ""
    return Text.assemble(
        "  ",
        (str(problem.severity), _STYLES[problem.severity]),
        plain_text(f" {signal}{problem.message} "),
        (f"[{plain_text(problem.code)}]", "dim"),
    )


def _state_dir(stage: Path, given: Path | None, socket: Path | None) -> Path:
    """Return the folder whose approvals count: that of the running service, if one runs.

    Raises:
        ServiceError: another folder was asked for, whose approvals the service would never see.
    """
    try:
        with ControlClient(socket_of(stage, socket)) as service:
            used = Path(service.ask(op="status")["state_dir"])
    except ServiceError:
        return given if given is not None else default_state_dir(stage, os.environ)
    if given is not None and given.resolve() != used:
        raise ServiceError(f"the running service keeps its approvals in {used}, not in {given}")
    return used


@app.command()
@errors_as_exit
def approve(
    stage: StageArgument,
    prim: Annotated[
        list[str] | None, typer.Argument(help="Assets to approve; all by default.")
    ] = None,
    sidecar: SidecarOption = [],
    endpoint: EndpointOption = [],
    state_dir: Annotated[Path | None, typer.Option(help="Where approvals are kept.")] = None,
    socket: SocketOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Approve the guards (level, limits, addresses, permissives, policy) of a stage's twins.

    An asset whose guards are not the approved ones runs as shadow and refuses every command.
    """
    opened = open_stage(stage, sidecar, parse_endpoints(endpoint))
    folder = _state_dir(stage, state_dir, socket)
    book = GuardBook(folder / "guards.json")
    hashes = GuardStage(opened.GetRootLayer()).hashes()
    if unknown := sorted(set(prim or ()) - hashes.keys()):
        some = ", ".join(sorted(hashes)[:5]) or "none"
        raise StageError(f"{', '.join(unknown)}: no twin on the stage; twins are {some}")
    open_ones = book.demotions(hashes)
    wanted = {p: c for p, c in open_ones.items() if not prim or p in prim}
    for path, cause in wanted.items():
        text = Text.assemble((plain_text(path), "bold"), f": {plain_text(cause)}")
        console.print(text, soft_wrap=True)
    if not wanted:
        console.print(f"nothing to approve, {len(hashes)} twins are as approved")
        return
    if not yes:
        typer.confirm(f"Approve the guards of {len(wanted)} assets as they are?", abort=True)
    book.approve({p: hashes[p] for p in wanted}, getpass.getuser(), time.time())
    console.print(f"approved {len(wanted)} assets")
    try:
        with ControlClient(socket_of(stage, socket)) as service:
            service.ask(op="guards_approved")
    except ServiceError:
        console.print("no service runs this stage now; the next one will know", style="dim")
