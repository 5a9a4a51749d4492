"""One row of the live view: a signal's name, value, recent past, quality and age."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from stagetwin.cli._cells import (
    age_text,
    bar,
    numbers_in,
    plain_text,
    profile,
    sparkline,
    split_number,
    unit_text,
)
from stagetwin.cli._model import HISTORY_LENGTH, HISTORY_STEP, Reading, Signal

__all__ = [
    "QUALITY_STYLES",
    "Columns",
    "columns_for",
    "heading",
    "model_texts",
    "plain_row",
    "signal_row",
]

QUALITY_STYLES = {
    "good": "#4ec98a",
    "uncertain": "#f0b94b",
    "bad": "bold #ff6b6b",
    "stale": "#c792ea",
}
_WHOLE, _FRACTION = 9, 4
_NUMBER = _WHOLE + _FRACTION
_UNIT = 7
_AGE = 6
_EXPECTED, _SIGMAS = 10, 6
_FAR = 3.0
"""Standard deviations beyond which a residual is no noise."""
_COUNTER_SPAN = 1e8


@dataclass(frozen=True, slots=True)
class Columns:
    """Widths of the columns [cells]; 0 leaves one out."""

    name: int
    bar: int
    spark: int
    word: int
    age: int
    expected: int = 0
    sigmas: int = 0


def columns_for(width: int, longest_name: int, modelled: bool = False) -> Columns:
    """Share a terminal's width out; what tells least goes first where it is narrow.

    Args:
        width: of the terminal [cells].
        longest_name: of a signal [cells].
        modelled: whether a model expects something of any of them.
    """
    expected = (_EXPECTED if width >= 100 else _EXPECTED - 2) if modelled and width >= 72 else 0
    sigmas = _SIGMAS if modelled and width >= 60 else 0
    age = _AGE + 1 if width >= 52 else 0
    word = 10 if width >= 60 else 0
    # One cell of margin, the number, its unit, the dot; gaps of two before each block.
    rest = width - (1 + 2 + _NUMBER + 1 + _UNIT + 2 + 1) - word - age
    rest -= sum(2 + each for each in (expected, sigmas) if each)
    name = max(min(longest_name, rest - 10 if rest > 44 else rest, 34), 6)
    rest -= name
    bar_width = min(max(rest // 3, 0), 24) if rest >= 12 else 0
    rest -= bar_width + 2 if bar_width else 0
    spark = min(rest - 2, HISTORY_LENGTH) if rest >= 10 else 0
    if bar_width:
        bar_width = min(bar_width + max(rest - 2 - spark, 0), 30)
    return Columns(name, bar_width, spark, word, age, expected, sigmas)


def heading(columns: Columns) -> Text:
    """Return the names of the columns, each where its column is."""
    text = Text(" " + _fit("signal", columns.name))
    if columns.bar:
        title = "within its limits" if columns.bar >= 17 else "limits"
        text.append("  " + _fit(title, columns.bar))
    text.append("  " + "value".rjust(_WHOLE) + " " * (_FRACTION + 1) + _fit("unit", _UNIT))
    if columns.expected:
        text.append("  " + "expected".rjust(columns.expected))
    if columns.sigmas:
        text.append("  " + "off by".rjust(columns.sigmas))
    if columns.spark:
        text.append("  " + f"last {columns.spark * HISTORY_STEP:g} s".rjust(columns.spark))
    text.append("  " + ("quality".ljust(columns.word + 1) if columns.word else "q"))
    if columns.age:
        text.append(" " + "age".rjust(_AGE))
    return text


def signal_row(
    label: Text, signal: Signal, reading: Reading, history: deque[float | None], columns: Columns
) -> Text:
    """Draw one signal."""
    trusted = reading.quality in ("good", "uncertain")
    label.truncate(columns.name, overflow="ellipsis", pad=True)
    row = Text.assemble(" ", label)
    row.append_text(_value_cells(signal, reading, columns.bar, trusted))
    row.append_text(_model_cells(signal, reading, columns, trusted))
    if columns.spark:
        least = signal.span / 25 if math.isfinite(signal.span) else 0.0
        ends = (0.0, 1.0) if isinstance(reading.value, bool) else None
        line = sparkline(history, columns.spark, least, ends)
        row.append("  ")
        row.append(line, "#4f8fb3" if trusted else "#6b7780")
    style = QUALITY_STYLES.get(reading.quality, "")
    row.append("  ")
    row.append("●" if reading.age is not None else "○", style)
    if columns.word:
        row.append(" " + _fit(plain_text(reading.quality), columns.word - 1), style)
    if columns.age:
        row.append(" " + age_text(reading.age).rjust(_AGE), "" if trusted else style)
    return row


def _model_cells(signal: Signal, reading: Reading, columns: Columns, trusted: bool) -> Text:
    """Return what a model expects, and how far the value is from it."""
    cells = Text()
    if columns.expected:
        cells.append("  " + _expected_text(signal, reading, columns.expected), "#8fa9b8")
    if columns.sigmas:
        far = reading.sigmas is not None and abs(reading.sigmas) > _FAR
        style = "dim" if not trusted else "bold #f0b94b" if far else "#8fa9b8"
        cells.append("  " + _sigmas_text(reading.sigmas).rjust(columns.sigmas), style)
    return cells


def _expected_text(signal: Signal, reading: Reading, width: int) -> str:
    if reading.expected is None:
        return " " * width
    if isinstance(reading.value, bool):
        return ("on" if reading.expected else "off").rjust(width)
    whole, fraction = split_number(reading.expected, signal.span)
    if len(whole) <= width - _FRACTION:
        return whole.rjust(width - _FRACTION) + fraction.ljust(_FRACTION)
    return _fit((whole + fraction).rjust(width), width)


def _sigmas_text(sigmas: float | None) -> str:
    """Return a residual in standard deviations, at most 9999 of them; empty for none."""
    if sigmas is None or not math.isfinite(sigmas):
        return ""
    digits = 1 if abs(sigmas) < 99.95 else 0
    rounded = round(max(min(sigmas, 9999.0), -9999.0), digits)
    return f"{rounded:+.{digits}f}σ" if rounded else "0.0σ"


def _value_cells(signal: Signal, reading: Reading, width: int, trusted: bool) -> Text:
    """Return bar, value and unit; what is no single number may use the room of all of them."""
    value, style = reading.value, "bold" if trusted else "dim"
    unit = unit_text(signal.unit)
    gap = "  " if width else ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        whole, fraction = split_number(value, signal.span)
        number = whole.rjust(_WHOLE) + fraction.ljust(_FRACTION)
        if len(whole) > _WHOLE:
            number = (whole + fraction).rjust(_NUMBER)
        # The range of a counter says nothing.
        scale = signal.scale if signal.span < _COUNTER_SPAN else (-math.inf, math.inf)
        cells = bar(float(value), scale, signal.soft, width, trusted=trusted)
        beyond = math.isfinite(value) and not signal.soft[0] <= value <= signal.soft[1]
        if trusted and beyond:
            style = "bold #f0b94b"
        return Text.assemble(
            gap, cells, "  ", (number[-_NUMBER:], style), " ", (_fit(unit, _UNIT), "dim")
        )
    numbers = numbers_in(value)
    if isinstance(value, list) and len(numbers) > 4 and not _is_pose(value, numbers):
        shape = profile(numbers, width)
        peak = "".join(split_number(max(numbers, key=abs), signal.span))
        return Text.assemble(
            gap,
            (shape.ljust(width), "#4ec98a" if trusted else "dim"),
            "  ",
            (f"↕ {peak}".rjust(_NUMBER)[-_NUMBER:], style),
            " ",
            (_fit(unit, _UNIT), "dim"),
        )
    text, own = _text_of(value, numbers, signal)
    room = len(gap) + width + 2 + _NUMBER
    body = Text(text, own if trusted and own else style)
    body.truncate(room - 2, overflow="ellipsis")
    body.pad_left(room - body.cell_len)
    return Text.assemble(body, " ", (_fit(unit if numbers else "", _UNIT), "dim"))


def _text_of(value: Any, numbers: list[float], signal: Signal) -> tuple[str, str]:
    """Return what is written of a value that is no single number, and a style of its own."""
    if value is None:
        return "—", "dim"
    if isinstance(value, bool):
        return ("on", "bold #4ec98a") if value else ("off", "#8a959c")
    if isinstance(value, list) and _is_pose(value, numbers):
        x, y, z = (f"{n:.2f}" for n in numbers[12:15])
        yaw = math.degrees(math.atan2(numbers[1], numbers[0]))
        return f"({x}, {y}, {z}) ∠ {yaw:.0f}°", ""
    if isinstance(value, list) and numbers:
        return "(" + ", ".join("".join(split_number(n, signal.span)) for n in numbers) + ")", ""
    return plain_text(value), "#7fd1e0"


def _is_pose(value: list[Any], numbers: list[float]) -> bool:
    return len(value) == 4 and len(numbers) == 16


def _fit(text: str, width: int) -> str:
    """Return text of exactly this many cells."""
    if cell_len(text) > width > 0:
        return set_cell_size(text, width - 1) + "…"
    return set_cell_size(text, width)


def plain_row(signal: Signal, reading: Reading) -> tuple[str, str, str, str, str]:
    """Return path, value, unit, quality and age as plain text, for scripts and pipes."""
    value = reading.value
    if value is None:
        text = "-"
    elif isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, float):
        text = f"{value:.6g}"
    elif isinstance(value, list):
        text = "[" + ", ".join(f"{n:.6g}" for n in numbers_in(value)) + "]"
    else:
        text = plain_text(value)
    return (
        plain_text(signal.path),
        text,
        "" if signal.unit == "1" else plain_text(signal.unit),
        plain_text(reading.quality),
        age_text(reading.age),
    )


def model_texts(reading: Reading) -> tuple[str, str]:
    """Return what a model expects, and how far the value is from it, as plain text."""
    expected = "" if reading.expected is None else f"{reading.expected:.6g}"
    return expected, _sigmas_text(reading.sigmas)
