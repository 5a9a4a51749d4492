"""`stagetwin demo`: the example plant alive, and a failure survived."""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, cast

import typer
from rich.console import Console
from rich.text import Text

from stagetwin._data import factory_folder
from stagetwin.cli.view import Feed, Screen, WatchModel
from stagetwin.ports import Publisher, find_model, find_protocol
from stagetwin_bridges._errors import BrokerError
from stagetwin_bridges.broker import BrokerKind, LocalBroker
from stagetwin_bridges.commands._plant import DemoPlant
from stagetwin_bridges.commands._replay import mismatch
from stagetwin_bridges.commands._story import Event, Story, Timing, connect
from stagetwin_bridges.commands._traffic import Books, Player, Traffic
from stagetwin_bridges.recording import Recording

__all__ = ["DemoRequest", "run_demo"]

_PANEL_LINES = 10
_RECORDING_SPEED = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRequest:
    """What the command line asked for; see `stagetwin demo --help`."""

    seconds: float | None = None
    failure: bool = True
    recording: Path | None = None
    rate: float = 5.0
    broker: str = ""
    stage: Path | None = None


def run_demo(request: DemoRequest) -> None:
    """Run the demo until it is quit or told; everything it started ends with it.

    Raises:
        BrokerError: no broker is installed here.
        Exit: with status 1 if what was to be shown did not happen.
    """
    if request.broker not in ("", "mosquitto", "nats"):
        raise BrokerError(f"broker {request.broker!r}: expected mosquitto or nats")
    kind = cast(BrokerKind, request.broker) if request.broker else None
    console = Console()
    attended = console.is_terminal and sys.stdin.isatty()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_signals_unwind())
        console.print("starting a broker, the service and the plant's devices ...", style="dim")
        broker = stack.enter_context(LocalBroker(kind))
        plant = DemoPlant(broker, request.stage)
        stack.callback(plant.close)
        plant.start()
        story = _start_plant(stack, plant, broker, request, None if attended else console)
        if attended:
            _attend(console, plant, story, request)
        else:
            _narrate(console, story, request)
        failed = story.failed
    if attended:
        for event in story.events:
            console.print(event.line(), soft_wrap=True)
    if failed:
        raise typer.Exit(1)


def _start_plant(
    stack: contextlib.ExitStack,
    plant: DemoPlant,
    broker: LocalBroker,
    request: DemoRequest,
    console: Console | None,
) -> Story:
    books = Books()
    publishers = _publishers(stack, plant, broker, books)
    bench, path, recording = plant.bench_topic, Path(), None
    if bench:
        path = request.recording or factory_folder() / "recordings" / "testbed_synthetic.csv"
        recording = Recording.open(path)
        on_bench = [b for b in plant.table.telemetry.values() if b.address == bench]
        if request.recording is None and mismatch(recording, on_bench, bench)[1]:
            # A stage of one's own replays something else: made-up signals are what it gets.
            bench, recording = "", None
    bindings = [b for b in plant.table.telemetry.values() if b.address != bench]
    model: Any = find_model("synthetic").of_stage(plant.stage, bindings, seed=1)
    traffic = Traffic(model, bindings, publishers, books, request.rate)

    def tell(event: Event) -> None:
        if console is not None:
            console.print(event.line(), soft_wrap=True)

    timing = Timing.within(request.seconds, request.failure, console is None)
    story = Story(plant, broker, traffic, timing, tell)
    story.say("info", f"{broker.kind} listens on 127.0.0.1:{broker.port}, passwords made up")
    recorded = f", {len(plant.table.commands)} commands" if plant.table.commands else ""
    story.say("info", f"{plant.stage_path.name}: {len(plant.table.telemetry)} signals{recorded}")
    if recording is not None:
        connection = next(
            b.connection for b in plant.table.telemetry.values() if b.address == bench
        )
        player = Player(recording, publishers[connection], bench, _RECORDING_SPEED)
        stack.callback(player.close)
        player.start()
        story.say("info", f"{path.name} plays into {connection}, {_RECORDING_SPEED:g} x")
    if console is not None:
        story.say("note", "try in another terminal:")
        for words in ("watch", "status", "snapshot"):
            story.say("note", "  " + " ".join(_hint(plant, words)))
    stack.callback(traffic.close)
    stack.callback(story.close)
    story.start()
    return story


def _publishers(
    stack: contextlib.ExitStack, plant: DemoPlant, broker: LocalBroker, books: Books
) -> dict[str, Publisher]:
    credential = broker.credential("publisher")
    publishers: dict[str, Publisher] = {}
    for name, spec in plant.table.connections.items():
        publisher = find_protocol(spec.endpoint).publisher(spec, credential)
        stack.callback(publisher.close)
        values_of = Counter(channel.address for channel in plant.table.channels(name))
        publishers[name] = books.publisher(publisher, values_of)
    return publishers


def _hint(plant: DemoPlant, command: str) -> list[str]:
    """Return a command line that asks the demo's service, as words for a shell."""
    stage = plant.stage_path.resolve()
    with contextlib.suppress(ValueError):
        stage = stage.relative_to(Path.cwd())
    words = ["stagetwin", command, str(stage), "--socket", str(plant.socket)]
    return [shlex.quote(word) for word in words]


def _hint_lines(plant: DemoPlant, width: int) -> list[Text]:
    """Return what to try in another terminal; what is too wide goes on as a shell reads it."""
    words = _hint(plant, "status")
    whole = " " + " ".join(words)
    lines = [whole]
    if len(whole) > width:
        lines = [" " + " ".join(words[:-2]) + " \\", "   " + " ".join(words[-2:])]
    title = " in another terminal (or snapshot, or watch):"
    return [Text(title, "dim"), *(Text(line, "#7fd1e0") for line in lines)]


# -- attended: the live view


def _attend(console: Console, plant: DemoPlant, story: Story, request: DemoRequest) -> None:
    feed: Feed = connect(plant, story.told)
    ends = None if request.seconds is None else time.monotonic() + request.seconds

    def panel() -> Sequence[Text]:
        title = Text(" what happens ", "bold #8fc7ff on #1d2a33").append(" " * 500, "on #1d2a33")
        width, height = console.size
        # Where the next terminal can look stays in sight beside the newest.
        hints = _hint_lines(plant, width)
        room = min(_PANEL_LINES, height // 3) - 1 - len(hints)
        if room < 1:
            hints, room = [], room + len(hints)
        lines = [line for event in story.events for line in event.lines(width)]
        return [title, *hints, *lines[-max(room, 1) :]]

    def done() -> bool:
        return bool(story.failed) or (ends is not None and time.monotonic() > ends)

    try:
        Screen(feed, console, panel, done).run()
    finally:
        feed.close()


# -- unattended: a line a second


def _narrate(console: Console, story: Story, request: DemoRequest) -> None:
    began = time.monotonic()
    while not story.failed:
        elapsed = time.monotonic() - began
        if request.seconds is not None and elapsed >= request.seconds:
            break
        if request.seconds is None and story.told.is_set():
            break
        time.sleep(1.0)
        if story.model.signals:
            console.print(_line(story.model, elapsed + 1.0), highlight=False, soft_wrap=True)


def _line(model: WatchModel, elapsed: float) -> str:
    health = model.status.get("health") or {}
    links = model.status.get("connections") or {}
    states = ", ".join(f"{name} {link['state']}" for name, link in links.items())
    return (
        f" {elapsed:6.1f} s   {len(model.signals)} signals, {model.count('stale')} stale, "
        f"{health.get('rate', 0.0):,.0f} samples/s, lag p50 {health.get('lagP50', 0) * 1e3:.1f} ms "
        f"p99 {health.get('lagP99', 0) * 1e3:.1f} ms; {states}"
    )


@contextlib.contextmanager
def _signals_unwind() -> Iterator[None]:
    """Let SIGTERM, SIGHUP and Ctrl-C unwind the stack, and nothing interrupt that."""

    def leave(number: int, _frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    before = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
