"""`stagetwin replay`: a recording through the real broker of a connection."""

from __future__ import annotations

import contextlib
import datetime
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from stagetwin.bindings import BindingTable, read_bindings
from stagetwin.opening import open_stage
from stagetwin.ports import ConnectionSpec, Credential, find_protocol
from stagetwin.service import load_credentials
from stagetwin_bridges._errors import ConnectionConfigError, RealmError
from stagetwin_bridges.recording import Played, Recording, play

__all__ = ["ReplayRequest", "run_replay", "topic_of"]


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
    stage = open_stage(request.stage, request.sidecars, _endpoints(request.endpoints))
    table = read_bindings(stage)
    connection = _connection(table, request.connection)
    topic = request.topic or topic_of(table, connection.name)
    credential = _credential(request, connection)
    publisher = find_protocol(connection.endpoint).publisher(connection, credential)
    try:
        with _interruptible() as interrupt:
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


def _endpoints(pairs: tuple[str, ...]) -> dict[str, str]:
    from stagetwin.cli._app import parse_endpoints

    return parse_endpoints(list(pairs))


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


def _credential(request: ReplayRequest, connection: ConnectionSpec) -> Credential | None:
    name = request.credential or connection.credential
    source = request.credentials
    if source is None and (folder := os.environ.get("CREDENTIALS_DIRECTORY")):
        source = Path(folder)
    if not name or source is None:
        return None
    known = load_credentials(source)
    if name not in known:
        raise ConnectionConfigError(
            f"no credential named {name!r} in {source}; there are "
            f"{', '.join(sorted(known)) or 'none'}"
        )
    return known[name]


@contextlib.contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Turn Ctrl-C and SIGTERM into an event, so that the summary still tells what was sent."""
    interrupt = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        interrupt.set()

    before = {n: signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
