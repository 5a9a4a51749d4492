"""The clock that everything that waits or judges age asks."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "ManualClock", "WallClock"]


class Clock(Protocol):
    """Two readings: wall time for records, and a steady one for ages and deadlines."""

    def wall(self) -> float:
        """Return the wall time [s, Unix]."""
        ...

    def steady(self) -> float:
        """Return seconds that never step, from an arbitrary start, counting through suspend."""
        ...

    @property
    def rate(self) -> float:
        """How many of its seconds pass in one on the wall."""
        ...


class WallClock:
    """The machine's clocks: CLOCK_REALTIME, and CLOCK_BOOTTIME where there is one."""

    rate = 1.0

    def wall(self) -> float:
        return time.time()

    def steady(self) -> float:
        return _steady()


def _boot_time() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


_steady = _boot_time if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic


class ManualClock:
    """A clock that stands still until it is moved, for tests and for replay.

    Attributes:
        now: wall time [s, Unix].
        ticks: steady time [s].
    """

    rate = 1.0

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now
        self.ticks = 0.0

    def wall(self) -> float:
        return self.now

    def steady(self) -> float:
        return self.ticks

    def advance(self, seconds: float) -> None:
        """Move both readings on [s]."""
        self.now += seconds
        self.ticks += seconds
