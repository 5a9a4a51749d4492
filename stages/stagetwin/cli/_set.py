"""`stagetwin set`: ask for a setpoint, and follow what becomes of it."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from stagetwin._errors import ServiceError, WireError
from stagetwin.cli._app import (
    SocketOption,
    StageArgument,
    app,
    console,
    errors_as_exit,
    socket_of,
)
from stagetwin.cli._cells import plain_text
from stagetwin.cli._lives import (
    allowed_text,
    end_text,
    headline,
    moment_text,
    near_paths,
    waiting_text,
)
from stagetwin.identifiers import uuid7
from stagetwin.ports import ValueKind
from stagetwin.service import ControlClient
from stagetwin.values import stage_value, value_type

__all__ = ["follow_to_end", "set_"]

Row = dict[str, Any]

EXIT_NOT_VERIFIED = 1
EXIT_INTERRUPTED = 130
FOLLOW_TIMEOUT = 7 * 86_400.0
"""How long nothing may happen to a command that is followed [s]: an approval may take days."""

_WORDS = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}


# An unknown option may be a value: setpoints can be negative.
@app.command(name="set", context_settings={"ignore_unknown_options": True})
@errors_as_exit
def set_(
    stage: StageArgument,
    target: Annotated[
        str,
        typer.Argument(metavar="/PRIM.COMMAND", help="What to command, /World/Line1/P101.speed."),
    ],
    value: Annotated[
        str,
        typer.Argument(help="Number, true/false/on/off, text, or JSON for vectors and arrays."),
    ],
    with_: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="KEY=VALUE",
            help="A parameter of the command; may be given again.",
            show_default=False,
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    ttl: Annotated[
        float | None,
        typer.Option(
            help="Time to live in seconds; the command's own by default.", show_default=False
        ),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Follow the command to its end.")
    ] = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the command as JSON once it ended.")
    ] = False,
    socket: SocketOption = None,
) -> None:
    """Ask a running service to set a command to a value, and follow it to its end.

    Exit status: 0 verified (with --no-wait: on its way), 1 any other end,
    2 could not be asked, 130 interrupted while it goes on.
    """
    where = socket_of(stage, socket)
    with ControlClient(where) as service:
        known = _find_target(service, target)
        request = {
            "id": uuid7(),
            "target": known["path"],
            "value": _parse(value, known),
            "revision": known["revision"],
            "reason": reason,
            "ttl": ttl,
            "mode": "explicit",
        }
        if said := _parameters(with_ or [], known):
            request["parameters"] = said
        try:
            row = service.ask(op="publish", **request)["command"]
        except ServiceError as error:
            row = _recorded(where, stage, request, error)
    if not as_json:
        before = known["desired"] if known["desired"] is not None else known["reported"]
        console.print(headline(row, before), soft_wrap=True)
        console.print(Text(f"  id {plain_text(row['id'])}", "dim"), soft_wrap=True)
    if wait:
        row = follow_to_end(where, stage, row["id"], known, quiet=as_json)
    elif not as_json:
        _print_end(row, row["id"], stage, known)
    if as_json:
        print(json.dumps(row, indent=2))  # noqa: T201 - plain, for scripts
    _exit(row)


def _recorded(where: Path, stage: Path, request: Row, error: ServiceError) -> Row:
    """Return the command of a request whose answer was an error, if it was recorded anyway.

    Raises:
        ServiceError: it was not, or nobody can tell at the moment.
    """
    try:
        again = ControlClient(where)
    except ServiceError:
        raise ServiceError(
            f"the service left ({error}): it is not known whether the request arrived; "
            f"once it runs again: {_line('commands show', stage, request['id'])}"
        ) from None
    with again:
        try:
            row: Row = again.ask(op="command", id=request["id"])["command"]
        except ServiceError:
            raise ServiceError(f"{request['target']} was not set: {error}") from None
    return row


def _exit(row: Row) -> None:
    if row["ended"] and row["state"] != "VERIFIED":
        raise typer.Exit(EXIT_NOT_VERIFIED)


def _find_target(service: ControlClient, path: str) -> Row:
    """Return the target at a path.

    Raises:
        ServiceError: there is none; names those that may have been meant.
    """
    targets = {row["path"]: row for row in service.ask(op="targets", prim="/")["targets"]}
    if path in targets:
        found: Row = targets[path]
        return found
    if not targets:
        raise ServiceError("the stage has no commands that can run; `stagetwin check` says why")
    near = near_paths(path, targets)
    some = ", ".join(near or sorted(targets)[:5])
    what = "did you mean" if near else f"among its {len(targets)} commands are"
    raise ServiceError(f"no command {path}; {what} {some}{'?' if near else ''}")


def _parse(text: str, target: Row) -> Any:
    """Return the value that was written, held to the target's type and limits.

    Raises:
        ServiceError: it is none of that type, or outside the limits; says what is allowed.
    """
    try:
        value = _literal(text, str(target["type"]))
        low = -math.inf if target["min"] is None else float(target["min"])
        high = math.inf if target["max"] is None else float(target["max"])
        stage_value(target["type"], value, low, high)
    except (ValueError, WireError) as error:
        why = f": {error}" if isinstance(error, WireError) else ""
        raise ServiceError(
            f"{text!r} is no value for {target['path']}{why}; allowed: {allowed_text(target)}"
        ) from None
    return value


def _parameters(pairs: list[str], target: Row) -> Row:
    """Return the parameters that were written, held to their types and limits.

    Raises:
        ServiceError: the command has no such parameter, or not with this value.
    """
    known = {row["name"]: row for row in target.get("parameters", ())}
    said: Row = {}
    for pair in pairs:
        key, is_pair, text = pair.partition("=")
        if not is_pair or key not in known:
            names = f"the parameters {', '.join(known)}" if known else "no parameters"
            raise ServiceError(
                f"expected KEY=VALUE, where {target['path']} has {names}, got {pair!r:.80}"
            )
        if text not in (tokens := known[key]["tokens"]) and tokens:
            raise ServiceError(f"parameter {key}: {text!r:.80} is none of {', '.join(tokens)}")
        said[key] = _parse(text, {**known[key], "path": f"parameter {key}", "unit": "1"})
    return said


def _literal(text: str, type_name: str) -> Any:
    """Return plain data; raises ValueError if the text is of another type."""
    known = value_type(type_name)
    kind = known.kind if known is not None else ValueKind.COMPOSITE
    if kind is ValueKind.TEXT:
        return text
    word = text.strip().lower()
    if kind is ValueKind.BOOLEAN:
        if word not in _WORDS:
            raise ValueError("no truth value")
        return _WORDS[word]
    if kind is ValueKind.INTEGER:
        return int(word)
    if kind is ValueKind.NUMBER:
        return float(word)
    return json.loads(text)


def follow_to_end(
    where: Path, stage: Path, identifier: str, target: Row | None = None, *, quiet: bool = False
) -> Row:
    """Print a command's transitions as they come and the sentence of its end; returns its row.

    Args:
        where: control socket.
        stage: as the user named it, for what is proposed to be typed next.
        identifier: id of the command, or the beginning of it.
        target: what it commands, where that is known.
        quiet: print nothing but errors.

    Raises:
        ServiceError: it is unknown, or the service ended before the command did.
    """
    row: Row | None = None
    told = 0
    with ControlClient(where, timeout=FOLLOW_TIMEOUT) as service, _spinner(quiet) as spin:
        try:
            for reply in service.follow(op="follow", id=identifier):
                newest: Row = reply["command"]
                row = newest
                for moment in newest["history"][told:]:
                    if not quiet:
                        console.print(moment_text(moment, newest["created"]), soft_wrap=True)
                told = len(newest["history"])
                if newest["ended"]:
                    break
                spin(newest)
            interrupted = False
        except KeyboardInterrupt:
            interrupted = True
    if interrupted or (row is not None and row["ended"]):
        if not quiet:
            _print_end(row, identifier, stage, target)
        if row is None or not row["ended"]:
            raise typer.Exit(EXIT_INTERRUPTED)
        return row
    raise ServiceError(
        f"the service ended before command {identifier} did; "
        f"once it runs again: {_line('commands show', stage, identifier)}"
    )


def _print_end(row: Row | None, identifier: str, stage: Path, target: Row | None) -> None:
    if row is not None and row["ended"]:
        console.print(end_text(row, target), soft_wrap=True)
        return
    what = f": {waiting_text(row)}" if row is not None else ""
    console.print(Text(f"The command goes on by itself{what}."), soft_wrap=True)
    for does, command, more in (
        ("follow", "commands show", " --follow"),
        ("cancel", "commands cancel", ""),
    ):
        line = plain_text(_line(command, stage, identifier) + more)
        console.print(Text.assemble((f"  {does}  ", "dim"), line), soft_wrap=True)


def _line(command: str, stage: Path, identifier: str) -> str:
    return f"stagetwin {command} {shlex.quote(str(stage))} {identifier}"


class _Waiting:
    """Says once, where nothing can spin, that a command waits for a person."""

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, row: Row) -> None:
        """Take the newest row of the command."""
        text = waiting_text(row) if str(row["state"]) == "REHEARSED" else ""
        if text != self._said:
            self._said = text
            if text and int(row["needs"]) > len(row["approvals"]):
                console.print(Text(f"  {text}"), soft_wrap=True)


@contextmanager
def _spinner(quiet: bool) -> Iterator[Any]:
    """Show what is waited for, and for how long, where the output is a terminal."""
    if quiet:
        yield lambda _row: None
        return
    if not console.is_terminal:
        yield _Waiting()
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("asked")
        yield lambda row: progress.update(task, description=waiting_text(row))
