"""A sink that keeps what it is given, and a way to wait for it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from stagetwin.ports import ConnectionState, Reject
from stagetwin.signals import Samples

__all__ = ["RecordingSink", "eventually"]


def eventually(what: Callable[[], Any], timeout: float = 10.0) -> Any:
    """Return the first true answer; fail after `timeout` [s]."""
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        if answer := what():
            return answer
        time.sleep(0.005)
    raise AssertionError("it never came true")


class RecordingSink:
    """`Sink` that keeps every sample, state and count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.batches: list[Samples] = []
        self.states: list[tuple[ConnectionState, str]] = []
        self.counts: Counter[Reject] = Counter()
        self.examples: list[str] = []
        self.vouched: list[tuple[tuple[int, ...], bool]] = []

    def samples(self, batch: Samples) -> None:
        with self._lock:
            self.batches.append(batch)

    def state(self, state: ConnectionState, cause: str = "") -> None:
        with self._lock:
            self.states.append((state, cause))

    def rejected(self, reason: Reject, count: int, example: str = "") -> None:
        with self._lock:
            self.counts[reason] += count
            self.examples.append(example)

    def vouch(self, channels: Sequence[int], alive: bool) -> None:
        with self._lock:
            self.vouched.append((tuple(channels), alive))

    @property
    def rows(self) -> int:
        """How many samples have come."""
        with self._lock:
            return sum(len(batch) for batch in self.batches)

    @property
    def current(self) -> tuple[ConnectionState, str]:
        """The newest state and its cause."""
        with self._lock:
            return self.states[-1] if self.states else (ConnectionState.OFFLINE, "")

    def online(self) -> bool:
        """Whether the newest state is online."""
        return self.current[0] is ConnectionState.ONLINE

    def seen(self) -> list[tuple[int, Any]]:
        """Channel and value of every sample, in order of arrival."""
        with self._lock:
            return [
                (int(channel), batch.objects.get(row, float(batch.value[row])))
                for batch in self.batches
                for row, channel in enumerate(batch.channel)
            ]

    def of(self, channel: int) -> list[Any]:
        """The values of one channel."""
        return [value for index, value in self.seen() if index == channel]

    def column(self, name: str) -> list[float]:
        """One column of all samples."""
        with self._lock:
            parts = [getattr(batch, name) for batch in self.batches]
        return np.concatenate(parts).tolist() if parts else []
