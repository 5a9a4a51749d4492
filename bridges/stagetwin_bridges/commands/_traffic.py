"""What the demo's devices say: simulated signals and a recording, published like real ones."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stagetwin.bindings import TelemetryBinding
from stagetwin.ports import Payload, Publisher
from stagetwin_bridges._errors import BridgeError
from stagetwin_bridges.commands._messages import MessagePlan
from stagetwin_bridges.recording import Recording, play

__all__ = ["Books", "CountedPublisher", "Player", "Traffic"]

_log = logging.getLogger(__name__)

_SELDOM = 1.0
"""Time between two messages of a switch or text that need not change [s]."""


class Books:
    """Counts what all devices of the demo send, and can have them hold their breath.

    Attributes:
        sent: values handed to the broker.
        unsent: values that nobody could take because there was no broker.
    """

    def __init__(self) -> None:
        self.sent = self.unsent = 0
        self._lock = threading.Lock()
        self._gate = threading.Event()
        self._gate.set()
        self._publishers: list[Publisher] = []

    def publisher(self, inner: Publisher, values_of: Mapping[str, int]) -> CountedPublisher:
        """Return a publisher that is counted here.

        Args:
            inner: the one that publishes.
            values_of: how many signals read a message, by address.
        """
        self._publishers.append(inner)
        return CountedPublisher(inner, values_of, self)

    def note(self, *, sent: int = 0, unsent: int = 0) -> None:
        """Count values."""
        with self._lock:
            self.sent += sent
            self.unsent += unsent

    def wait(self) -> None:
        """Wait while everyone is to hold their breath; not for ever."""
        self._gate.wait(5.0)

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Let nobody send until the end of the block; what was sent is with the broker."""
        self._gate.clear()
        try:
            for publisher in self._publishers:
                publisher.drain(5.0)
            yield
        finally:
            self._gate.set()


class CountedPublisher:
    """`Publisher` whose values are counted."""

    def __init__(self, inner: Publisher, values_of: Mapping[str, int], books: Books) -> None:
        self._inner, self._values_of, self._books = inner, values_of, books

    def publish(self, address: str, payload: Payload, *, time: float) -> None:
        """See Publisher."""
        self._books.wait()
        values = self._values_of.get(address, 0)
        try:
            self._inner.publish(address, payload, time=time)
        except BridgeError:
            self._books.note(unsent=values)
            raise
        self._books.note(sent=values)

    def drain(self, timeout: float) -> int:
        """See Publisher."""
        return self._inner.drain(timeout)

    def close(self) -> None:
        """See Publisher."""
        self._inner.close()


class Traffic:
    """Steps a model and publishes what its machines measure, in a thread of its own."""

    def __init__(
        self,
        model: Any,
        bindings: Sequence[TelemetryBinding],
        publishers: Mapping[str, Publisher],
        books: Books,
        rate: float,
    ) -> None:
        self.books = books
        self._model = model
        self._plan = MessagePlan(bindings)
        self._publishers = publishers
        self._period = 1 / rate
        self._away = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo traffic", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def away(self, broker_is_away: bool) -> None:
        """Say whether there is a broker: devices without a store lose what they measure then."""
        (self._away.set if broker_is_away else self._away.clear)()

    def close(self) -> None:
        """End."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=15)

    def _run(self) -> None:
        due = time.monotonic()
        seldom_due = due
        while not self._stopped.wait(max(due - time.monotonic(), 0.0)):
            now = time.monotonic()
            seldom = now >= seldom_due
            if seldom:
                seldom_due = now + _SELDOM
            values = self._model.step(self._period)
            taken = time.time()
            for message in self._plan.messages(values, seldom=seldom):
                if self._away.is_set():
                    self.books.note(unsent=message.values)
                    continue
                if self._stopped.is_set():
                    return
                try:
                    publisher = self._publishers[message.connection]
                    publisher.publish(message.address, message.payload, time=taken)
                except BridgeError as error:
                    _log.debug("not sent: %s", error)
            due = max(due + self._period, time.monotonic())


class Player:
    """Plays a recording in a loop, in a thread of its own.

    Attributes:
        failed: why it ended too early, empty if it did not.
    """

    def __init__(
        self, recording: Recording, publisher: Publisher, topic: str, speed: float
    ) -> None:
        self.failed = ""
        self._interrupt = threading.Event()
        self._thread = threading.Thread(
            target=self._run,
            args=(recording, publisher, topic, speed),
            name="demo recording",
            daemon=True,
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._interrupt.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=15)

    def _run(self, recording: Recording, publisher: Publisher, topic: str, speed: float) -> None:
        try:
            play(
                recording,
                publisher,
                topic,
                speed=speed,
                loop=True,
                rebase=True,
                interrupt=self._interrupt,
            )
        except BridgeError as error:
            self.failed = str(error)
