"""How much of the service's time one person's questions may take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from stagetwin._errors import ServiceError

__all__ = ["Allowance"]

SHARE = 0.1
"""Share of the time that answers to one person may take, over long."""

AT_ONCE = 2.0
"""What somebody who asked for nothing lately may take at once [s]."""

MAX_PEOPLE = 1000


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
