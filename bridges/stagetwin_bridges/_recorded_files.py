"""Recorded CSV and Parquet files as columns of cells."""

from __future__ import annotations

import csv
import datetime
import decimal
import io
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stagetwin_bridges._errors import RecordingError

__all__ = ["Table", "read_csv", "read_parquet"]

Table = dict[str, list[Any]]
"""Cells by column: int, float, bool, str, or None where the file has nothing."""

_DELIMITERS = (";", ",", "\t", "|")
_SNIFFED = 20
_MISSING = {"", "na", "n/a", "nan", "null", "none"}
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


def read_csv(path: Path) -> Table:
    """Read a CSV file whose first line names the columns.

    The delimiter is the one of `;`, `,`, tab and `|` that cuts the first lines into most columns.
    Where it is not the comma, a decimal comma is understood.

    Raises:
        RecordingError: not UTF-8, no rows, a column named twice, or a row with too many cells.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecordingError(f"{path}: expected UTF-8: {error}") from None
    lines = text.splitlines()[:_SNIFFED]
    delimiter = max(_DELIMITERS, key=lambda mark: _columns(lines, mark))
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    names = [name.strip() for name in next(rows, [])]
    if not any(names):
        raise RecordingError(f"{path}: expected a first line that names the columns")
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise RecordingError(f"{path}: columns named twice: {', '.join(sorted(twice))}")
    cells: list[list[Any]] = [[] for _ in names]
    comma = delimiter != ","
    for row in rows:
        if not row:
            continue
        if len(row) > len(names) and any(row[len(names) :]):
            raise RecordingError(
                f"{path}, line {rows.line_num}: expected {len(names)} cells, got {len(row)}"
            )
        for number, column in enumerate(cells):
            column.append(_cell(row[number], comma) if number < len(row) else None)
    return dict(zip(names, cells, strict=True))


def _columns(lines: Sequence[str], delimiter: str) -> int:
    """Return how many columns the lines have, 1 if they disagree."""
    counts = {len(row) for row in csv.reader(lines, delimiter=delimiter) if row}
    return counts.pop() if len(counts) == 1 else min(counts, default=1)


def _cell(text: str, comma: bool) -> Any:
    text = text.strip()
    if text.lower() in _MISSING:
        return None
    if comma and _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    for number in (int, float):
        try:
            value = number(text)
        except ValueError:
            continue
        # JSON has no infinity, and "1_000" is no number outside of Python.
        return (value if math.isfinite(value) else None) if "_" not in text else text
    return text


def read_parquet(path: Path) -> Table:
    """Read a Parquet file.

    Raises:
        RecordingError: it is none, or a column holds bytes.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise RecordingError(f"{path}: expected Parquet: {error}") from None
    columns: Table = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type
        if pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind):
            raise RecordingError(f"{path}: column {name!r} holds bytes; expected numbers or text")
        if pyarrow.types.is_timestamp(kind):
            # Nanoseconds do not fit Python's datetime.
            column = column.cast(pyarrow.timestamp("us", kind.tz), safe=False)
        columns[name] = [_plain(value) for value in column.to_pylist()]
    return columns


_PLAIN: dict[type, Callable[[Any], Any]] = {
    decimal.Decimal: float,
    datetime.datetime: datetime.datetime.isoformat,
    datetime.date: str,
    datetime.time: str,
    datetime.timedelta: lambda value: value.total_seconds(),
}


def _plain(value: Any) -> Any:
    value = _PLAIN.get(type(value), lambda same: same)(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
