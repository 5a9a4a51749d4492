"""The clock that everything that waits or judges age asks."""

from __future__ import annotations

import math
import threading
import time
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["AcceleratedClock", "Clock", "ManualClock", "ReplayClock", "WallClock"]

Floats = npt.NDArray[np.float64]

FUTURE_TOLERANCE = 60.0
"""How far a recording may be ahead of the machine's clock before it is not believed [s]."""


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
        """How many of its seconds pass in one on the wall; 0 if others move it."""
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


class AcceleratedClock:
    """A clock that runs some times as fast as the machine's, from the moment it was made.

    Args:
        rate: seconds of its time for a second on the wall.
        base: the machine's clock.
    """

    def __init__(self, rate: float, base: Clock | None = None) -> None:
        if not 0 < rate < math.inf:
            raise ValueError(f"rate must be positive and finite, got {rate}")
        self._rate = rate
        self._base = base if base is not None else WallClock()
        self._wall, self._steady = self._base.wall(), self._base.steady()

    @property
    def rate(self) -> float:
        """Seconds of its time for a second on the wall."""
        return self._rate

    def wall(self) -> float:
        """Return the time [s, Unix]; a step of the machine's clock is none of this one."""
        return self._wall + self._gone()

    def steady(self) -> float:
        """Return its seconds since the machine's arbitrary start [s]."""
        return self._steady + self._gone()

    def _gone(self) -> float:
        return (self._base.steady() - self._steady) * self._rate

    def of(self, times: Floats) -> Floats:
        """Return what this clock showed at times of the machine [s, Unix]; the past is as it was.

        Args:
            times: shape (n,); NaN stays NaN.
        """
        return np.where(times > self._wall, self._wall + (times - self._wall) * self._rate, times)


class ReplayClock:
    """A clock that shows the newest time of a recording, and stands still when that does.

    It shows the machine's time until it hears the first one. `hear` may be called by any thread.

    Args:
        base: the machine's clock.
    """

    rate = 0.0

    def __init__(self, base: Clock | None = None) -> None:
        self._base = base if base is not None else WallClock()
        self._lock = threading.Lock()
        self._now, self._steady = math.nan, 0.0

    def wall(self) -> float:
        """Return the newest time heard [s, Unix]; it never goes back."""
        with self._lock:
            return self._base.wall() if math.isnan(self._now) else self._now

    def steady(self) -> float:
        """Return how far the recording came since its first time [s]."""
        with self._lock:
            return self._steady

    def hear(self, times: Floats) -> None:
        """Go on to the newest of some source times [s, Unix], shape (n,), if it is newer.

        One that is ahead of the machine's clock is not believed: it would hold all others up.
        """
        believed = times[times <= self._base.wall() + FUTURE_TOLERANCE]  # none of NaN
        if not len(believed):
            return
        newest = float(believed.max())
        with self._lock:
            if math.isnan(self._now):
                self._now = newest
            elif newest > self._now:
                self._steady += newest - self._now
                self._now = newest
