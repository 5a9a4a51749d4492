"""Counting what was not used, by connection and reason, with a few examples of each."""

from __future__ import annotations

import threading
from collections import Counter, deque

from stagetwin.ports import Reject

__all__ = ["Rejections"]

_EXAMPLES = 5


class Rejections:
    """Counts by (connection, reason). Written from bridge threads and the owner thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], deque[str]] = {}

    def add(self, connection: str, reason: Reject, count: int = 1, example: str = "") -> None:
        """Count; keeps the newest examples, which name prim, address and allowed range."""
        key = (connection, str(reason))
        with self._lock:
            self._counts[key] += count
            if example:
                self._examples.setdefault(key, deque(maxlen=_EXAMPLES)).append(example)

    def counts(self) -> dict[tuple[str, str], int]:
        """Return counts by (connection, reason)."""
        with self._lock:
            return dict(self._counts)

    def examples(self) -> dict[tuple[str, str], list[str]]:
        """Return the newest examples by (connection, reason)."""
        with self._lock:
            return {key: list(texts) for key, texts in self._examples.items()}

    def total(self, *reasons: Reject) -> int:
        """Return the count of some reasons over all connections; of all without arguments."""
        wanted = {str(reason) for reason in reasons}
        with self._lock:
            return sum(
                n for (_, reason), n in self._counts.items() if not wanted or reason in wanted
            )
