"""Cells of the live view: numbers, units, bars and sparklines as short runs of text."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

from rich.text import Text

from stagetwin._text import plain_text, split_number, unit_text

__all__ = [
    "age_text",
    "bar",
    "counted",
    "numbers_in",
    "plain_text",
    "profile",
    "sparkline",
    "split_number",
    "unit_text",
]

# The full block is left out: rows would run into each other.
_LEVELS = "▁▂▃▄▅▆▇"

# Without colour the characters alone tell what is filled, and what lies beyond the soft limits.
_FILLED, _FILLED_BEYOND, _EMPTY, _EMPTY_BEYOND = "━╍─·"
TRACK, TRACK_BEYOND = "#56656f", "#a87c14"
FILL, FILL_BEYOND, FILL_IDLE = "#4ec98a", "#f0b94b", "#6b7780"


def counted(number: int, noun: str) -> str:
    """Return a number of things, such as `1 map` and `2 maps`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def age_text(seconds: float | None) -> str:
    """Return an age in at most six characters."""
    if seconds is None or not math.isfinite(seconds):
        return "never"
    seconds = max(seconds, 0.0)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    for size, unit in ((60, "s"), (60, "min"), (24, "h")):
        if seconds < size * 1.5:
            return f"{seconds:.0f} {unit}"
        seconds /= size
    return f"{min(seconds, 9999):.0f} d"


def numbers_in(value: Any) -> list[float]:
    """Return the numbers of a value in order, nested lists flattened; empty if there is another."""
    if isinstance(value, (bool, int, float)):
        return [float(value)] if math.isfinite(value) else []
    if not isinstance(value, (list, tuple)):
        return []
    flat: list[float] = []
    for item in value:
        found = numbers_in(item)
        if not found:
            return []
        flat.extend(found)
    return flat


def bar(
    value: float,
    hard: tuple[float, float],
    soft: tuple[float, float],
    width: int,
    *,
    trusted: bool = True,
) -> Text:
    """Draw a value within its limits, filled from zero, or from the lower limit above zero.

    Args:
        value: the value, drawn at the edge if it lies beyond.
        hard: lowest and highest value there may be [unit].
        soft: lowest and highest healthy value [unit]; what lies beyond is dashed or dotted.
        width: cells.
        trusted: a value that is not is drawn pale.
    """
    low, high = hard
    if not (math.isfinite(low) and math.isfinite(high) and high > low and width > 0):
        return Text(" " * max(width, 0))

    def halves(number: float) -> int:
        return round(min(max((number - low) / (high - low), 0.0), 1.0) * width * 2)

    start = end = 0
    if math.isfinite(value):
        # From whole cells on, so that only the moving end has a half one.
        origin = halves(max(low, min(0.0, high))) // 2 * 2
        start, end = sorted((origin, halves(value)))
        if start == end:
            # There is always something to see.
            start, end = (start, start + 1) if start < width * 2 else (start - 1, start)
    fill = (FILL if soft[0] <= value <= soft[1] else FILL_BEYOND) if trusted else FILL_IDLE
    out = Text()
    for cell in range(width):
        left, right = start <= 2 * cell < end, start <= 2 * cell + 1 < end
        healthy = soft[0] <= low + (cell + 0.5) / width * (high - low) <= soft[1]
        if left and right:
            out.append(_FILLED if healthy else _FILLED_BEYOND, fill)
        elif left or right:
            out.append("╸" if left else "╺", fill)
        elif healthy:
            out.append(_EMPTY, TRACK)
        else:
            out.append(_EMPTY_BEYOND, TRACK_BEYOND)
    return out


def _scaled(
    numbers: Iterable[float | None], least_span: float, ends: tuple[float, float] | None = None
) -> str:
    numbers = list(numbers)
    known = [n for n in numbers if n is not None and math.isfinite(n)]
    if not known:
        return "".join("·" if n is None else " " for n in numbers)
    low, high = ends or (min(known), max(known))
    span = max(high - low, least_span, 1e-12 * max(abs(low), abs(high)), 1e-300)
    # What hardly moves is drawn in the middle, not magnified.
    low -= (span - (high - low)) / 2
    top = len(_LEVELS) - 1

    def cell(number: float | None) -> str:
        if number is None:
            return "·"
        if not math.isfinite(number):
            return " "
        return _LEVELS[min(max(int((number - low) / span * (top + 1)), 0), top)]

    return "".join(map(cell, numbers))


def sparkline(
    history: Iterable[float | None],
    width: int,
    least_span: float,
    ends: tuple[float, float] | None = None,
) -> str:
    """Draw the newest `width` values, newest at the right; None, when nothing came, is a dot.

    Args:
        history: values, oldest first; NaN is left blank.
        width: cells.
        least_span: difference that fills the height, if the values differ by less.
        ends: lowest and highest value there can be, where the height shall stand for these.
    """
    newest = list(history)[-width:] if width > 0 else []
    return _scaled(newest, least_span, ends).rjust(max(width, 0))


def profile(numbers: Sequence[float], width: int) -> str:
    """Draw an array as a profile at most `width` cells wide, from zero up."""
    count = min(len(numbers), max(width, 0))
    if not count:
        return ""
    edges = [round(i * len(numbers) / count) for i in range(count + 1)]
    most = [max(numbers[a : max(b, a + 1)], key=abs) for a, b in itertools.pairwise(edges)]
    highest = max(abs(n) for n in most)
    return _scaled([abs(n) for n in most], 0.0, (0.0, highest))
