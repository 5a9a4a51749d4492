"""What happens in the demo, when, and what was measured of it."""

from __future__ import annotations

import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from rich.text import Text

from stagetwin._errors import ServiceError, StagetwinError
from stagetwin.cli.view import Feed, WatchModel
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.commands._plant import DemoPlant
from stagetwin_bridges.commands._traffic import Traffic

__all__ = ["Event", "Story", "Timing", "connect"]

_STYLES = {"info": "#8fc7ff", "good": "#4ec98a", "bad": "#ff6b6b", "note": "dim"}
_MARKS = {"info": "•", "good": "✔", "bad": "✖", "note": " "}
_INDENT = 12
_START_TIMEOUT = 40.0
_RECOVERY_TIMEOUT = 45.0
_LIVE_SHARE = 0.995


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
        failure: whether the broker is killed at all.
        kill_after: time live before it is killed [s].
        away: how long it is gone [s].
        show_after: time to look at the result before an unattended demo ends [s].
    """

    failure: bool = True
    kill_after: float = 12.0
    away: float = 5.0
    show_after: float = 2.0

    @classmethod
    def within(cls, seconds: float | None, failure: bool, attended: bool = True) -> Timing:
        """Return a timing that fits into so many seconds, the usual one if there are enough."""
        if seconds is None and not attended:
            return cls(failure, kill_after=4.0)
        if seconds is None or seconds >= 30:
            return cls(failure)
        return cls(failure, 0.35 * seconds, min(5.0, 0.25 * seconds))


def connect(plant: DemoPlant, stopped: threading.Event) -> Feed:
    """Return a feed from the service as soon as it answers.

    Raises:
        BridgeError: the service ended.
        ServiceError: it does not answer in time.
    """
    until = time.monotonic() + _START_TIMEOUT
    while True:
        plant.check_alive()
        try:
            return Feed(plant.socket, rate=10.0)
        except ServiceError:
            if time.monotonic() > until or stopped.wait(0.1):
                raise


class Story:
    """Runs the demo's events in a thread and measures them on the control socket.

    Attributes:
        events: what happened so far, oldest first.
        told: set when everything that was to be shown was shown, or cannot be.
        failed: what went wrong, empty if nothing did.
    """

    def __init__(
        self,
        plant: DemoPlant,
        broker: LocalBroker,
        traffic: Traffic,
        timing: Timing,
        tell: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self.events: list[Event] = []
        self.told = threading.Event()
        self.failed = ""
        self.model = WatchModel()
        self._plant, self._broker, self._traffic = plant, broker, traffic
        self._timing, self._tell = timing, tell
        self._stopped = threading.Event()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="demo story", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End, wherever it is."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=15)

    def say(self, kind: str, text: str) -> None:
        """Add an event."""
        event = Event(time.monotonic() - self._began, kind, text)
        self.events.append(event)
        self._tell(event)

    # -- the thread

    def _run(self) -> None:
        feed: Feed | None = None
        try:
            feed = connect(self._plant, self._stopped)
            self._play(feed)
        except StagetwinError as error:
            if not self._stopped.is_set():
                self.failed = str(error)
                self.say("bad", self.failed)
        except _StoppedError:
            pass
        finally:
            self.told.set()
            if feed is not None:
                feed.close()

    def _play(self, feed: Feed) -> None:
        self._traffic.start()
        self.say("info", "the service is up, its bridges connect")
        self._await(feed, self._is_live, _START_TIMEOUT, "the plant did not come to life")
        count, links = len(self.model.signals), len(self._links())
        self.say("good", f"{count} signals of {links} connections are live on the stage")
        if self._timing.failure:
            self._rest(feed, self._timing.kill_after)
            self._survive(feed)
        else:
            self._rest(feed, self._timing.kill_after + self._timing.away)
        self._rest(feed, self._timing.show_after)
        self.told.set()
        self._rest(feed, float("inf"))

    def _survive(self, feed: Feed) -> None:
        books = self._traffic.books
        stale_before = self.model.count("stale")
        sent, received = self._balance(feed)
        unsent = books.unsent
        self._rest(feed, 1.0)
        pid = self._broker.pid
        self._broker.kill()
        killed = time.monotonic()
        self._traffic.away(True)
        self.say("bad", f"broker killed (SIGKILL to process {pid})")
        noticed = self._await(
            feed, lambda: not any(self._online()), _RECOVERY_TIMEOUT, "the service did not notice"
        )
        self.say("info", f"noticed within {noticed + 0.05:.1f} s: all connections offline")
        self._rest(feed, max(killed + self._timing.away - time.monotonic(), 0.0))
        most = self.model.count("stale")
        self.say("info", f"{most} signals are stale by now; they keep their last values, marked")
        self._broker.restart()
        back = time.monotonic()
        self._traffic.away(False)
        self.say("info", f"broker started again, {back - killed:.1f} s after it was killed")
        online = self._await(
            feed, lambda: all(self._online()), _RECOVERY_TIMEOUT, "a connection stayed offline"
        )
        self.say("info", f"all connections online again {online:.1f} s later, unasked")
        self._await(
            feed,
            lambda: self.model.count("stale") <= stale_before,
            _RECOVERY_TIMEOUT,
            "signals stayed stale",
        )
        recovery = time.monotonic() - back
        self.say(
            "good",
            f"recovered: no signal is stale {recovery:.1f} s after the broker was back "
            f"({time.monotonic() - killed:.1f} s after it died)",
        )
        sent_by_now, received_by_now = self._balance(feed)
        sent, received = sent_by_now - sent, received_by_now - received
        self.say("good", _account(books.unsent - unsent, sent, received))

    def _balance(self, feed: Feed) -> tuple[int, int]:
        """Return values sent by the devices and received by the service, at a quiet moment."""
        with self._traffic.books.quiet():
            before = -1
            until = time.monotonic() + 4.0
            while time.monotonic() < until and before != self._received():
                before = self._received()
                self._rest(feed, 0.4)
            return self._traffic.books.sent, self._received()

    def _received(self) -> int:
        fates = self.model.status.get("fates") or {}
        return int(fates.get("received", 0))

    # -- waiting

    def _links(self) -> list[str]:
        connections = self.model.status.get("connections") or {}
        return [str(link.get("state", "")) for link in connections.values()]

    def _online(self) -> list[bool]:
        return [state == "online" for state in self._links()] or [False]

    def _is_live(self) -> bool:
        arrived = sum(reading.age is not None for reading in self.model.readings)
        return all(self._online()) and arrived >= _LIVE_SHARE * max(len(self.model.signals), 1)

    def _await(
        self, feed: Feed, condition: Callable[[], bool], timeout: float, otherwise: str
    ) -> float:
        """Return how long it took until a condition came true [s]."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > timeout:
                raise ServiceError(f"{otherwise} within {timeout:g} s")
            self._step(feed)
        return time.monotonic() - began

    def _rest(self, feed: Feed, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._step(feed, min(left, 0.2))

    def _step(self, feed: Feed, timeout: float = 0.2) -> None:
        if self._stopped.is_set():
            raise _StoppedError
        if feed.ended:
            self._plant.check_alive()
            raise ServiceError(feed.ended)
        if feed.wait(timeout):
            feed.apply_to(self.model)


def _account(unsent: int, sent: int, received: int) -> str:
    """Return where the values of an outage are."""
    lost = sent - received
    text = f"{unsent:,} values had nowhere to go; of {sent:,} sent since, {received:,} arrived"
    if lost > 0:
        return f"{text}, {lost:,} fell before the service was back"
    return f"{text}, none was lost" if not lost else f"{text}, {-lost:,} of them twice"


class _StoppedError(Exception):
    """Ends the thread where it is."""
