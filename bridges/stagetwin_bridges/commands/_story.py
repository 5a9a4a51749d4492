"""What happens in the demo, and when."""

from __future__ import annotations

import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.text import Text

from stagetwin._errors import StagetwinError
from stagetwin.cli.view import WatchModel
from stagetwin_bridges._errors import UnheardError
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.commands._cast import Cast
from stagetwin_bridges.commands._fleet_cast import FleetCast
from stagetwin_bridges.commands._fleet_scenes import FleetScenes
from stagetwin_bridges.commands._observer import Observer, StoppedError
from stagetwin_bridges.commands._plant import DemoPlant
from stagetwin_bridges.commands._scenes import Scenes
from stagetwin_bridges.commands._vehicles import FleetPark
from stagetwin_bridges.commands._words import fault_text
from stagetwin_bridges.devices import DevicePark

__all__ = ["Event", "Story", "Timing"]

_STYLES = {"info": "#8fc7ff", "good": "#4ec98a", "bad": "#ff6b6b", "note": "#9aa7b0"}
_MARKS = {"info": "•", "good": "✔", "bad": "✖", "note": " "}
_INDENT = 12
_LOOK_EVERY = 1.0
"""Time between two looks at what the machines have [s]."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: seconds since the start [s], kind (info, good, bad, note), words."""

    at: float
    kind: str
    text: str

    def line(self) -> Text:
        """Return it as a line."""
        return self._text(self.text)

    def lines(self, width: int) -> list[Text]:
        """Return it as lines of at most so many cells."""
        parts = textwrap.wrap(self.text, max(width - _INDENT, 20)) or [""]
        more = [Text(" " * _INDENT + part, _STYLES[self.kind]) for part in parts[1:]]
        return [self._text(parts[0]), *more]

    def _text(self, words: str) -> Text:
        clock = f" {self.at:6.1f} s " if self.kind != "note" else " " * (_INDENT - 2)
        style = _STYLES[self.kind]
        return Text.assemble((clock, "dim"), (f"{_MARKS[self.kind]} ", style), (words, style))


@dataclass(frozen=True, slots=True)
class Timing:
    """When what happens.

    Attributes:
        failure: whether machines misbehave and the broker is killed.
        pause: between two scenes [s].
        away: how long the broker is gone [s].
        show_after: time to look at the result before an unattended demo ends [s].
        ends: when the demo ends [s]; scenes that would not fit are left out.
    """

    failure: bool = True
    pause: float = 4.0
    away: float = 5.0
    show_after: float = 2.0
    ends: float = float("inf")

    @classmethod
    def within(cls, seconds: float | None, failure: bool, attended: bool = True) -> Timing:
        """Return a timing that fits into so many seconds, the usual one if there are enough."""
        usual = cls(failure) if attended else cls(failure, pause=2.0, away=4.0)
        if seconds is None:
            return usual
        pause = min(usual.pause, 0.02 * seconds)
        away = min(usual.away, max(0.1 * seconds, 1.0))
        return cls(failure, pause, away, min(usual.show_after, 0.05 * seconds), seconds)


@dataclass(frozen=True, slots=True)
class _Scene:
    """One scene: what it is called, how long it takes at most [s], and how much it is worth."""

    name: str
    takes: float
    rank: int
    play: Callable[[], None] = field(compare=False)


class Story:
    """Runs the demo's scenes in a thread.

    Attributes:
        events: what happened so far, oldest first.
        told: set when everything that was to be shown was shown, or cannot be.
        failed: what went wrong, empty if nothing did.
        model: the service as the story sees it.
    """

    def __init__(
        self,
        plant: DemoPlant,
        broker: LocalBroker,
        park: DevicePark,
        vehicles: FleetPark,
        timing: Timing,
        tell: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self.events: list[Event] = []
        self.told = threading.Event()
        self.failed = ""
        self.model = WatchModel()
        self._plant, self._broker, self._park = plant, broker, park
        self._vehicles = vehicles
        self._timing, self._tell = timing, tell
        self._stopped = threading.Event()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="demo story", daemon=True)
        self._faults = threading.Thread(target=self._watch_faults, name="demo faults", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()
        self._faults.start()

    def close(self) -> None:
        """End, wherever it is."""
        self._stopped.set()
        for thread in (self._thread, self._faults):
            if thread.ident is not None:
                thread.join(timeout=15)

    @property
    def elapsed(self) -> float:
        """Time since it began [s]."""
        return time.monotonic() - self._began

    def say(self, kind: str, text: str) -> None:
        """Add an event."""
        event = Event(self.elapsed, kind, text)
        self.events.append(event)
        self._tell(event)

    # -- the thread

    def _run(self) -> None:
        try:
            check = self._vehicles.check_alive
            with Observer(self._plant, self.model, self._stopped, check) as observer:
                self._play(observer)
        except (StagetwinError, OSError) as error:
            if not self._stopped.is_set():
                self.failed = str(error)
                self.say("bad", self.failed)
        except StoppedError:
            pass
        finally:
            self.told.set()

    def _play(self, observer: Observer) -> None:
        self.say("info", "the service is up, its bridges connect")
        cast = Cast.of(self._plant.table)
        scenes = Scenes(observer, self._park, self._broker, cast, self.say)
        scenes.come_alive()
        wanted = [*self._fleet_scenes(observer), *self._scenes(scenes, cast)]
        fitting = self._fitting(wanted)
        if left_out := [scene.name for scene in wanted if scene not in fitting]:
            self.say("note", f"no time for: {', '.join(left_out)}")
        for scene in fitting:
            observer.rest(self._timing.pause)
            self._show(scene)
        observer.rest(self._timing.show_after)
        self.told.set()
        observer.rest(float("inf"))

    def _show(self, scene: _Scene) -> None:
        try:
            scene.play()
        except UnheardError as error:
            if self._timing.failure:
                raise
            # Whoever wants no failures wants the plant, not a verdict on a busy machine.
            self.say("bad", f"warning: {scene.name} is left out: {error}")

    def _watch_faults(self) -> None:
        """Tell of machines and sensors that begin to fail, and of those that are well again."""
        told: set[str] = set()
        while not self._stopped.wait(_LOOK_EVERY):
            try:
                rows = self._park.faults()
            except (StagetwinError, OSError):
                continue  # a device process that is away says nothing of what it has
            now = {fault_text(row) for row in rows if row["level"] > 0}
            for text in sorted(now - told):
                self.say("bad", f"a fault begins: {text}")
            for text in sorted(told - now):
                self.say("info", f"a fault is over: {text}")
            told = now

    def _scenes(self, scenes: Scenes, cast: Cast) -> list[_Scene]:
        """Return the scenes that this plant can play, in the order of the story."""
        away, failure = self._timing.away, self._timing.failure
        can = [
            (cast.obeys is not None, _Scene("a command", 5.0, 0, scenes.obey)),
            (failure and cast.refuses is not None, _Scene("a refusal", 2.0, 2, scenes.refuse)),
            (failure and self._has_witness(cast), _Scene("a lie", 5.0, 3, scenes.lie)),
            (
                failure and cast.drops_off is not None,
                _Scene("a gateway gone", 5.0, 4, scenes.drop_off),
            ),
            (
                failure,
                _Scene("the broker's death", away + 7.0, 1, lambda: scenes.broker_dies(away)),
            ),
        ]
        return [scene for possible, scene in can if possible]

    def _fleet_scenes(self, observer: Observer) -> list[_Scene]:
        """Return the scenes with vehicles that this plant can play."""
        cast = FleetCast.of(self._plant.stage, self._plant.table)
        scenes = FleetScenes(self._plant, observer, self._vehicles, cast, self.say)
        can = [
            (bool(cast.drivers), _Scene("goals", 25.0, 0, scenes.drive)),
            (
                cast.edited is not None,
                _Scene("an edit of the stage", 8.0, 2, scenes.edit_and_cancel),
            ),
            (
                self._timing.failure and cast.lost is not None,
                _Scene("a vehicle's death", 12.0, 1, scenes.lose),
            ),
            (
                self._timing.failure and cast.lost is not None,
                _Scene("its way back to work", 12.0, 3, scenes.work_again),
            ),
        ]
        return [scene for possible, scene in can if possible]

    @staticmethod
    def _has_witness(cast: Cast) -> bool:
        return cast.obeys is not None and bool(cast.obeys.witness)

    def _fitting(self, scenes: list[_Scene]) -> list[_Scene]:
        """Return the scenes that there is time for, the worthiest taken first."""
        left = self._timing.ends - self.elapsed - self._timing.show_after
        chosen: list[_Scene] = []
        for scene in sorted(scenes, key=lambda each: each.rank):
            if scene.takes + self._timing.pause <= left:
                left -= scene.takes + self._timing.pause
                chosen.append(scene)
        # The lie is judged by what the honest command moved.
        names = {scene.name for scene in chosen}
        return [s for s in scenes if s in chosen and (s.name != "a lie" or "a command" in names)]
