"""What the demo's devices say: simulated signals and a recording, published like real ones."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from stagetwin.bindings import TelemetryBinding
from stagetwin.ports import Publisher
from stagetwin_bridges._errors import BridgeError
from stagetwin_bridges.commands._messages import MessagePlan
from stagetwin_bridges.recording import Recording, play

__all__ = ["Player", "Traffic"]

_log = logging.getLogger(__name__)

_SELDOM = 1.0
"""Time between two messages of a switch or text that need not change [s]."""


class Traffic:
    """Steps a model and publishes what its machines measure, in a thread of its own.

    Attributes:
        sent: values published.
        unsent: values that nobody could take because there was no broker.
    """

    def __init__(
        self,
        model: Any,
        bindings: Sequence[TelemetryBinding],
        publishers: Mapping[str, Publisher],
        rate: float,
    ) -> None:
        self.sent = self.unsent = 0
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
                    self.unsent += message.values
                    continue
                if self._stopped.is_set():
                    return
                try:
                    publisher = self._publishers[message.connection]
                    publisher.publish(message.address, message.payload, time=taken)
                    self.sent += message.values
                except BridgeError as error:
                    _log.debug("not sent: %s", error)
                    self.unsent += message.values
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

    def _run(
        self, recording: Recording, publisher: Publisher, topic: str, speed: float
    ) -> None:
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
