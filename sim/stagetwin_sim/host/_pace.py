"""How many frames are due, by the clock of the service."""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["Pace"]

JUMP = 0.5
"""By how much the service's time may differ from what was thought before it is believed [s]."""

MOST_BEHIND = 2.0
"""How far an engine may fall behind before frames are dropped [s on the wall]."""

MOST_REPLAYED = 600.0
"""The same where only words of the service move the time, be they minutes apart [s of the plant].
"""


class Pace:
    """Plant time, between two words of the service, and the frames that it makes due.

    Args:
        frame: length of a frame [s of the plant].
        rate: seconds of the plant for a second on the wall; 0 if only the service's words move it.
        steady: a clock that never steps [s].

    Attributes:
        dropped: frames that were left out because the engine could not keep up, or the time jumped.
    """

    def __init__(self, frame: float, rate: float, steady: Callable[[], float]) -> None:
        self._frame, self._rate, self._steady = frame, rate, steady
        self._said, self._heard_at = 0.0, steady()
        self._origin = 0.0
        self.dropped = 0

    def start(self, time: float, done: float = 0.0) -> None:
        """Let the engine, which has run for `done` [s], be at a time [s, Unix]."""
        self._said, self._heard_at = time, self._steady()
        self._origin = time - done

    @property
    def now(self) -> float:
        """Time of the plant [s, Unix]."""
        return self._said + (self._steady() - self._heard_at) * self._rate

    def hear(self, time: float, done: float) -> None:
        """Take the service's word for the time; one that jumps back takes the engine with it."""
        if self._rate == 0 or abs(time - self.now) > JUMP * max(1.0, self._rate):
            self._said, self._heard_at = time, self._steady()
        if self.lag(done) < -JUMP * max(1.0, self._rate):
            self._origin = self.now - done

    def lag(self, done: float) -> float:
        """Return how far an engine that has run for `done` [s] is behind [s of the plant]."""
        return self.now - self._origin - done

    def due(self, done: float) -> int:
        """Return how many frames are due."""
        return max(0, math.floor(self.lag(done) / self._frame + 1e-6))

    def settle(self, done: float) -> int:
        """Drop the frames that will not be caught up; return how many."""
        most = MOST_BEHIND * max(1.0, self._rate) if self._rate else MOST_REPLAYED
        if self.lag(done) <= most:
            return 0
        dropped = self.due(done)
        self._origin += dropped * self._frame
        self.dropped += dropped
        return dropped

    def time_of(self, done: float) -> float:
        """Return the time of the plant when the engine has run for `done` [s, Unix]."""
        return self._origin + done

    def wait(self, done: float) -> float:
        """Return how long until the next frame is due [s on the wall]."""
        if self._rate == 0:
            return 0.0 if self.due(done) else math.inf
        return max(0.0, (self._frame - self.lag(done)) / self._rate)
