"""Source times and sequence numbers: what a message says of itself besides its values."""

from __future__ import annotations

import datetime
import math
from typing import Any, Final

from stagetwin_bridges.mqtt._values import RefusedError, number_of_text

__all__ = ["NAN", "TIME_UNITS", "RelativeClock", "SequenceCounter", "iso_time", "source_time"]

NAN: Final = float("nan")
TIME_UNITS: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "relative": 1.0}
"""Seconds in one unit of a numeric source time."""

_LATEST = 253_402_300_800.0
"""Year 10000. A later time [s] is one whose unit was declared wrongly."""


def iso_time(text: Any) -> float:
    """Return the Unix time [s] of an ISO 8601 text, UTC if it names no zone; NaN if it is none."""
    if not isinstance(text, str):
        return NAN
    try:
        moment = datetime.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        return moment.timestamp()
    except (ValueError, OverflowError):
        return NAN


def source_time(value: Any, unit: str) -> float:
    """Return a source time [s] from what a message carries; NaN if it is none.

    Args:
        value: number, numeric text, or ISO 8601 text.
        unit: one of TIME_UNITS, or `iso`.
    """
    if unit == "iso":
        return iso_time(value)
    if type(value) is str:
        try:
            value = number_of_text(value)
        except RefusedError:
            return NAN
    if type(value) not in (int, float):
        return NAN
    try:
        seconds = value * TIME_UNITS[unit]
    except OverflowError:
        return NAN
    return seconds if abs(seconds) < _LATEST else NAN


class RelativeClock:
    """Places seconds since a source's own start on the Unix clock.

    The first message is taken to be as old as its way here. No sample can be taken after it
    arrived, so a message that would be moves the start back; a time that jumps backwards is a
    source that started again.
    """

    __slots__ = ("_last", "_start")

    def __init__(self) -> None:
        self._start = math.inf
        self._last = -math.inf

    def place(self, seconds: float, receive_time: float) -> float:
        """Return the Unix time [s] of a relative time; NaN stays NaN."""
        start = receive_time - seconds
        if seconds < self._last or start < self._start:
            self._start = start
        if seconds == seconds:
            self._last = seconds
        return self._start + seconds


class SequenceCounter:
    """Follows the counter of one topic."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: int | None = None

    def follow(self, value: Any, again: bool) -> int:
        """Return how many messages are missing before this one; -1 if it was here already.

        Args:
            value: the counter; what is no integer says nothing.
            again: whether the broker says that it sends the message again. A lower number is
                then a repetition, else the source started anew.
        """
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int:
            return 0
        last, self._last = self._last, value
        if last is None or value == last + 1:
            return 0
        if value > last:
            return value - last - 1
        if value == last or again:
            self._last = last
            return -1
        return 0
