"""`stagetwin replay`: a recording through the real broker of a connection."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from stagetwin.bindings import BindingTable, TelemetryBinding, read_bindings
from stagetwin.opening import open_stage
from stagetwin.ports import ConnectionSpec, find_protocol
from stagetwin_bridges._errors import ConnectionConfigError, RealmError
from stagetwin_bridges.commands._opening import credential_of, endpoints_of, interruptible
from stagetwin_bridges.fields import FieldPath, is_struct
from stagetwin_bridges.recording import Played, Recording, play

__all__ = ["ReplayRequest", "mismatch", "run_replay", "topic_of"]

_NAMED = 8
"""How many columns or signals a warning names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRequest:
    """What the command line asked for; see `stagetwin replay --help`."""

    recording: Path
    stage: Path
    connection: str
    topic: str = ""
    speed: float = 1.0
    rebase: bool = False
    loop: bool = False
    time_column: str | None = None
    credentials: Path | None = None
    credential: str = ""
    sidecars: tuple[Path, ...] = ()
    endpoints: tuple[str, ...] = ()


def run_replay(request: ReplayRequest) -> None:
    """Play, with a progress bar on a terminal, and say what came of it.

    Raises:
        RealmError: the connection leads to a plant.
        ConnectionConfigError: there is no such connection, or the topic must be named.
    """
    console = Console()
    recording = Recording.open(request.recording, request.time_column)
    stage = open_stage(request.stage, request.sidecars, endpoints_of(request.endpoints))
    table = read_bindings(stage)
    connection = _connection(table, request.connection)
    topic = request.topic or topic_of(table, connection.name)
    credential = credential_of(request.credential or connection.credential, request.credentials)
    bindings = [b for b in table.telemetry.values() if b.connection == connection.name]
    for warning in _warnings(recording, bindings, topic):
        Console(stderr=True).print(
            f"[yellow]warning:[/] {escape(warning)}", highlight=False, soft_wrap=True
        )
    publisher = find_protocol(connection.endpoint).publisher(connection, credential)
    try:
        with interruptible() as interrupt:
            played = _play(console, request, recording, publisher, topic, interrupt)
    finally:
        publisher.close()
    _summary(console, recording, played, topic)


def _play(
    console: Console,
    request: ReplayRequest,
    recording: Recording,
    publisher: object,
    topic: str,
    interrupt: threading.Event,
) -> Played:
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TextColumn("{task.fields[moment]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(recording.path.name, total=len(recording), moment="")

        def tell(sent: int, total: int, recorded: float) -> None:
            moment = datetime.datetime.fromtimestamp(recorded, datetime.UTC)
            in_pass = (sent - 1) % total + 1 if sent else 0
            progress.update(
                task, completed=in_pass, total=total, moment=f"{moment:%Y-%m-%d %H:%M:%S}"
            )

        return play(
            recording,
            publisher,  # type: ignore[arg-type]
            topic,
            speed=request.speed,
            loop=request.loop,
            rebase=request.rebase,
            on_progress=tell,
            interrupt=interrupt,
        )


def _summary(console: Console, recording: Recording, played: Played, topic: str) -> None:
    console.print(
        f"{played.rows} rows of {recording.path.name} in {played.messages} messages to {topic}: "
        f"{played.cells} values, {played.missing} cells missing, "
        f"{played.unacknowledged} messages unacknowledged",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    if recording.untimed:
        console.print(f"{recording.untimed} rows tell no time and were left out", style="yellow")


def mismatch(
    recording: Recording, bindings: Iterable[TelemetryBinding], topic: str
) -> tuple[list[str], list[str]]:
    """Return the columns that feed no signal, and the signals that no column feeds.

    Args:
        recording: what is to be played.
        bindings: signals of the connection that it is played into.
        topic: address, or template of one, as `play` takes it.
    """
    # As `play` fills a topic in: no separator, no wildcard.
    stem = _level(recording.path.stem)
    head, by_column, tail = topic.replace("{stem}", stem).partition("{column}")
    if by_column:
        there = [b for b in bindings if b.address.startswith(head) and b.address.endswith(tail)]
        addresses = {name: f"{head}{_level(name)}{tail}" for name in recording.columns}
        read = {b.address for b in there}
        unread = [name for name, address in addresses.items() if address not in read]
        sent = set(addresses.values())
        return unread, [b.path for b in there if b.address not in sent]
    there = [b for b in bindings if b.address == head]
    column_of = {b.path: _column(b) for b in there}
    used = set(column_of.values())
    return (
        [name for name in recording.columns if name not in used],
        [path for path, name in column_of.items() if name not in recording.columns],
    )


def _column(binding: TelemetryBinding) -> str | None:
    """Return the column that a signal reads in a message that is a row; None if it reads none."""
    if binding.encoding == "struct" or is_struct(binding.field):
        return None
    steps = FieldPath.parse(binding.field).steps if binding.field else ()
    return steps[0] if steps and isinstance(steps[0], str) else None


def _level(name: str) -> str:
    return name.translate(str.maketrans("+#/\x00", "____"))


def _warnings(
    recording: Recording, bindings: Sequence[TelemetryBinding], topic: str
) -> Iterator[str]:
    columns, signals = mismatch(recording, bindings, topic)
    if columns:
        yield f"no signal on {topic} reads {_count(columns, 'column')}: {_some(columns)}"
    if signals:
        yield f"no column feeds {_count(signals, 'signal')} on {topic}: {_some(signals)}"


def _count(names: Sequence[str], what: str) -> str:
    return f"{len(names)} {what}{'s' if len(names) > 1 else ''}"


def _some(names: Sequence[str]) -> str:
    left = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {left} more" if left > 0 else "")


def _connection(table: BindingTable, name: str) -> ConnectionSpec:
    connection = table.connections.get(name)
    if connection is None:
        known = ", ".join(sorted(table.connections)) or "none"
        raise ConnectionConfigError(f"no connection {name!r} on the stage; there are {known}")
    if connection.realm == "plant":
        raise RealmError(
            f"{connection.prim}: connection {name!r} leads to a plant; a recording is played into "
            f"the realms replay and simulation only"
        )
    return connection


def topic_of(table: BindingTable, connection: str) -> str:
    """Return the address that all signals of a connection share.

    Raises:
        ConnectionConfigError: there is none, or more than one; names them.
    """
    addresses = sorted({c.address for c in table.channels(connection)})
    if len(addresses) == 1:
        return addresses[0]
    if not addresses:
        raise ConnectionConfigError(
            f"no signal is bound on connection {connection!r}; name a topic with --topic"
        )
    some = ", ".join(addresses[:8]) + (", ..." if len(addresses) > 8 else "")
    raise ConnectionConfigError(
        f"the signals of connection {connection!r} have {len(addresses)} addresses, name one with "
        f"--topic: {some}"
    )
