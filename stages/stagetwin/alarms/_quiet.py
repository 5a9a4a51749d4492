"""Keeping floods and chatter out of the log and the journal: counted, not written."""

from __future__ import annotations

import logging
import math
from collections import deque
from typing import Any

__all__ = ["Quiet"]

MOST_ENTRIES = 20
"""Entries of one alarm within `MINUTE` that nobody made by hand."""

MOST_LINES = 10
"""Lines of the log within `SECOND`."""

MINUTE, SECOND = 60.0, 1.0


class Quiet:
    """Tells what is too much."""

    def __init__(self) -> None:
        self._entries: dict[str, deque[float]] = {}
        self._skipped: dict[str, int] = {}
        self._lines = 0
        self._more = 0
        self._since = -math.inf

    def skipped(self, alarm_id: str, now: float) -> int:
        """Return how many entries of an alarm were left out before this one; -1 for this one too.

        Args:
            alarm_id: the alarm.
            now: [s, steady clock].
        """
        times = self._entries.setdefault(alarm_id, deque(maxlen=MOST_ENTRIES))
        if len(times) == MOST_ENTRIES and now - times[0] < MINUTE:
            self._skipped[alarm_id] = self._skipped.get(alarm_id, 0) + 1
            return -1
        times.append(now)
        return self._skipped.pop(alarm_id, 0)

    def raised(self, log: logging.Logger, row: dict[str, Any]) -> None:
        """Log that an alarm arose, unless that many did just now."""
        if self._lines >= MOST_LINES:
            self._more += 1
            return
        self._lines += 1
        log.warning("alarm %s (%s): %s", row["id"], row["priority"], row["cause"])

    def report(self, now: float, log: logging.Logger) -> None:
        """Log how many more there were; call at each step."""
        if now - self._since < SECOND:
            return
        if self._more:
            log.warning("and %d more alarms", self._more)
        self._since, self._lines, self._more = now, 0, 0
