"""The window of published messages that wait for their acknowledgement."""

from __future__ import annotations

import threading

__all__ = ["Window"]


class Window:
    """Counts what was published, settled and denied; holds back who publishes too much."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._change = threading.Condition()
        self._published = 0
        self._settled = 0
        self._denied = 0

    def enter(self, timeout: float) -> bool:
        """Count one message, once there is room; False if there was none for `timeout` [s]."""
        with self._change:
            if not self._change.wait_for(
                lambda: self._published - self._settled < self.size, timeout
            ):
                return False
            self._published += 1
            return True

    def settle(self, denied: bool = False) -> None:
        """Count an answer: the broker took a message, or refused it."""
        with self._change:
            self._settled += 1
            self._denied += denied
            self._change.notify_all()

    def give_up(self) -> None:
        """Count all that is on its way as denied: nobody will send it again."""
        with self._change:
            self._denied += self._published - self._settled
            self._settled = self._published
            self._change.notify_all()

    def drain(self, timeout: float) -> int:
        """Wait until all is settled or `timeout` [s] is over; return how many were not taken."""
        with self._change:
            self._change.wait_for(lambda: self._published == self._settled, timeout)
            return self._published - self._settled + self._denied
