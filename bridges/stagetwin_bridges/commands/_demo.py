"""`stagetwin demo`: the example plant alive, both ways, and failures survived."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Self, cast

import typer
from rich.console import Console
from rich.text import Text

from stagetwin._data import factory_folder
from stagetwin.cli.view import Feed, Screen, WatchModel
from stagetwin.ports import find_model, find_protocol
from stagetwin_bridges._errors import BridgeError, BrokerError
from stagetwin_bridges.broker import BrokerKind, LocalBroker
from stagetwin_bridges.commands._cast import Cast
from stagetwin_bridges.commands._fleet_cast import FleetCast
from stagetwin_bridges.commands._hints import hint_lines, hints
from stagetwin_bridges.commands._observer import connect
from stagetwin_bridges.commands._plant import DemoPlant
from stagetwin_bridges.commands._player import Player
from stagetwin_bridges.commands._replay import mismatch
from stagetwin_bridges.commands._story import Event, Story, Timing
from stagetwin_bridges.recording import Recording

__all__ = ["PLANTS", "DemoRequest", "run_demo"]

PLANTS = ("factory", "fleet")
"""Plants that come along."""
_PANEL_LINES = 15
_EVENT_LINES = 3
"""Lines that what happens is given at least."""
_RECORDING_SPEED = 5.0
_STATUS_EVERY = 5.0
"""Time between two lines about everything where nobody watches [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRequest:
    """What the command line asked for; see `stagetwin demo --help`."""

    seconds: float | None = None
    failure: bool = True
    recording: Path | None = None
    rate: float = 5.0
    broker: str = ""
    plant: str = ""
    stage: Path | None = None
    faults: Path | None = None


def run_demo(request: DemoRequest) -> None:
    """Run the demo until it is quit or told; everything it started ends with it.

    Raises:
        BrokerError: no broker is installed here.
        StagetwinError: the script of faults cannot be read, or says what is not allowed.
        Exit: with status 1 if what was to be shown did not happen.
    """
    if request.broker not in ("", "mosquitto", "nats"):
        raise BrokerError(f"broker {request.broker!r}: expected mosquitto or nats")
    kind = cast(BrokerKind, request.broker) if request.broker else None
    stage = _stage_of(request)
    if request.faults is not None:
        find_model("machines").read_faults(request.faults)
    console = Console()
    attended = console.is_terminal and sys.stdin.isatty()
    with contextlib.ExitStack() as stack:
        signals = stack.enter_context(_Signals())
        console.print("starting a broker, the service and the plant's devices ...", style="dim")
        with signals.held():
            broker = stack.enter_context(LocalBroker(kind))
            plant = DemoPlant(broker, stage)
            stack.callback(plant.close)
            plant.start()
        shown = None if attended else console
        story = _start_plant(stack, signals, plant, broker, request, shown)
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


def _stage_of(request: DemoRequest) -> Path | None:
    """Return the root layer that was asked for, None for the example plant."""
    if request.plant and request.stage is not None:
        raise BridgeError("--plant names a plant that comes along, --stage one of your own")
    if request.plant not in ("", *PLANTS):
        raise BridgeError(f"plant {request.plant!r}: expected one of {', '.join(PLANTS)}")
    return request.stage or (factory_folder() / "fleet.usda" if request.plant == "fleet" else None)


def _start_plant(
    stack: contextlib.ExitStack,
    signals: _Signals,
    plant: DemoPlant,
    broker: LocalBroker,
    request: DemoRequest,
    console: Console | None,
) -> Story:
    def tell(event: Event) -> None:
        if console is not None:
            console.print(event.line(), soft_wrap=True, highlight=False)

    path, recording = _recording(plant, request)
    recorded = plant.bench_topic if recording is not None else ""
    park = plant.device_park(request.rate, recorded, request.faults)
    timing = Timing.within(request.seconds, request.failure, console is None)
    table = plant.table
    vehicles = plant.fleet_park(FleetCast.of(plant.stage, table))
    story = Story(plant, broker, park, vehicles, timing, tell)
    story.say("info", f"{broker.kind} listens on 127.0.0.1:{broker.port}, passwords made up")
    commands = f", {len(table.commands)} commands" if table.commands else ""
    story.say("info", f"{plant.stage_path.name}: {len(table.telemetry)} signals{commands}")
    # The service starts meanwhile.
    stack.callback(park.stop)
    stack.callback(vehicles.stop)
    with signals.held():
        vehicles.start()
        park.start()
    if vehicles.vehicles:
        said = f"{vehicles.vehicles} made-up vehicles in {len(vehicles.pids)} processes"
        story.say("info", f"{said}, each a participant of its own at the broker")
    if park.names:
        names = ", ".join(park.names)
        story.say("info", f"made-up machines behind {names}: {len(park.pids)} processes")
    if recording is not None:
        connection = next(b.connection for b in table.telemetry.values() if b.address == recorded)
        spec = table.connections[connection]
        publisher = find_protocol(spec.endpoint).publisher(spec, broker.credential("publisher"))
        stack.callback(publisher.close)
        player = Player(recording, publisher, recorded, _RECORDING_SPEED)
        stack.callback(player.close)
        player.start()
        story.say("info", f"{path.name} plays into {connection}, {_RECORDING_SPEED:g} x")
    if console is not None:
        story.say("note", "try in another terminal:")
        for words in hints(plant, Cast.of(table)):
            story.say("note", "  " + " ".join(words))
    # The service ends while the machines do.
    stack.callback(plant.stop)
    # Before either leaves: that would be no story.
    stack.callback(story.close)
    story.start()
    return story


def _recording(plant: DemoPlant, request: DemoRequest) -> tuple[Path, Recording | None]:
    """Return what is played onto the stage, None if it has no place for it."""
    path = request.recording or factory_folder() / "recordings" / "testbed_synthetic.csv"
    topic = plant.bench_topic
    if not topic:
        return path, None
    recording = Recording.open(path)
    on_bench = [b for b in plant.table.telemetry.values() if b.address == topic]
    if request.recording is None and mismatch(recording, on_bench, topic)[1]:
        # A stage of one's own replays something else: made-up signals are what it gets.
        return path, None
    return path, recording


# -- attended: the live view


def _attend(console: Console, plant: DemoPlant, story: Story, request: DemoRequest) -> None:
    feed: Feed = connect(plant, threading.Event())
    cast = Cast.of(plant.table)

    def panel() -> Sequence[Text]:
        title = Text(" what happens ", "bold #8fc7ff on #1d2a33").append(" " * 500, "on #1d2a33")
        width, height = console.size
        # What another terminal can do stays in sight beside the newest.
        room = min(_PANEL_LINES, height // 3) - 1
        asked = hint_lines(plant, cast, width, room - _EVENT_LINES)
        lines = [line for event in story.events for line in event.lines(width)]
        return [title, *asked, *lines[-max(room - len(asked), 1) :]]

    def done() -> bool:
        return bool(story.failed) or (
            request.seconds is not None and story.elapsed > request.seconds
        )

    try:
        Screen(feed, console, panel, done).run()
    finally:
        feed.close()


# -- unattended: what happens, and a line now and then


def _narrate(console: Console, story: Story, request: DemoRequest) -> None:
    due = _STATUS_EVERY
    while not story.failed:
        if request.seconds is None and story.told.is_set():
            break
        if request.seconds is not None and story.elapsed >= request.seconds:
            break
        time.sleep(0.1)
        if story.elapsed >= due:
            due += _STATUS_EVERY
            if story.model.signals:
                console.print(_line(story.model, story.elapsed), highlight=False, soft_wrap=True)


def _line(model: WatchModel, elapsed: float) -> str:
    health = model.status.get("health") or {}
    links = model.status.get("connections") or {}
    states = ", ".join(f"{name} {link['state']}" for name, link in links.items())
    return (
        f" {elapsed:6.1f} s   {len(model.signals)} signals, {model.count('stale')} stale, "
        f"{health.get('rate', 0.0):,.0f} samples/s, lag p50 {health.get('lagP50', 0) * 1e3:.1f} ms "
        f"p99 {health.get('lagP99', 0) * 1e3:.1f} ms; {states}"
    )


class _Signals:
    """Lets SIGTERM, SIGHUP and Ctrl-C unwind the stack, and nothing interrupt that."""

    _NUMBERS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._is_held = False
        self._came = 0

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._leave) for number in self._NUMBERS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Let a signal wait for the end of the block: a process that is being started is nobody's.

        It is not blocked: the process would inherit that.
        """
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        if self._came:
            self._leave(self._came, None)

    def _leave(self, number: int, _frame: FrameType | None) -> None:
        self._came = number
        if self._is_held:
            return
        for each in self._NUMBERS:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)
