"""How much of the service's time one person's questions may take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from stagetwin._errors import ServiceError

__all__ = ["Allowance", "Pace"]

SHARE = 0.1
"""Share of the time that answers to one person may take, over long."""

AT_ONCE = 2.0
"""What somebody who asked for nothing lately may take at once [s]."""

MAX_PEOPLE = 1000

PUBLISHED_A_SECOND = 5.0
PUBLISHED_AT_ONCE = 50.0


class Allowance:
    """Counts the time that answers take, by person: they are made on the thread that ticks."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, float]] = {}

    @contextmanager
    def spent_by(self, name: str) -> Iterator[None]:
        """Count the time of what is done within against somebody.

        Raises:
            ServiceError: they have taken too much already.
        """
        began = time.monotonic()
        left, at = self._left.pop(name, (AT_ONCE, began))
        left = min(left + (began - at) * SHARE, AT_ONCE)
        try:
            if left <= 0:
                raise ServiceError("you ask for more than may be answered; try again in a while")
            yield
        finally:
            now = time.monotonic()
            self._left[name] = (left - (now - began), now)
            while len(self._left) > MAX_PEOPLE:
                self._left.pop(next(iter(self._left)))


class Pace:
    """Counts what one person publishes."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, float]] = {}

    def count(self, name: str) -> None:
        """Count one.

        Raises:
            ServiceError: that is too fast.
        """
        now = time.monotonic()
        left, at = self._left.pop(name, (PUBLISHED_AT_ONCE, now))
        left = min(left + (now - at) * PUBLISHED_A_SECOND, PUBLISHED_AT_ONCE)
        self._left[name] = (max(left - 1, 0.0), now)
        while len(self._left) > MAX_PEOPLE:
            self._left.pop(next(iter(self._left)))
        if left < 1:
            raise ServiceError(
                f"at most {PUBLISHED_A_SECOND:g} commands a second are taken from one person"
            )
