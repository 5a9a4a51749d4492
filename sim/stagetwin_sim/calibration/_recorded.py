"""Recorded CSV and Parquet files as columns of numbers over time."""

from __future__ import annotations

import csv
import datetime
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stagetwin_sim._errors import CalibrationError
from stagetwin_sim.engine import Floats

__all__ = ["Recorded"]

_TIME_NAMES = ("datetime", "timestamp", "time", "date_time", "ts", "_ts", "date")
_EPOCHS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))
"""A time of this size at least is since 1970 in that unit [s]."""


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """Numbers over time.

    Attributes:
        path: the file.
        times: rising, shape (row_count,) [s, Unix or from a start of their own].
        columns: by name, shape (row_count,); NaN where the file has no number.
    """

    path: Path
    times: Floats
    columns: Mapping[str, Floats]

    @classmethod
    def open(cls, path: Path, time_column: str = "") -> Recorded:
        """Read a `.csv`, `.tsv`, `.txt` or `.parquet` file.

        Args:
            path: the file.
            time_column: which one tells the time; empty looks for the usual names.

        Raises:
            CalibrationError: it cannot be read, or no column tells the time.
        """
        try:
            table = _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise CalibrationError(f"{path} cannot be read: {error}") from None
        named = {name.lower(): name for name in reversed(table)}
        usual = next((named[name] for name in _TIME_NAMES if name in named), "")
        name = time_column or usual
        if name not in table:
            raise CalibrationError(
                f"{path}: no column {name or 'of a usual name'} tells the time; there are "
                f"{', '.join(table)}"
            )
        times = np.array([_moment(cell) for cell in table.pop(name)])
        known = np.isfinite(times)
        if not known.any():
            raise CalibrationError(f"{path}: no row of column {name} tells a time")
        size = float(np.abs(times[known]).max())
        times = times * next((unit for least, unit in _EPOCHS if size >= least), 1.0)
        order = np.flatnonzero(known)[np.argsort(times[known], kind="stable")]
        columns = {
            key: np.array([_number(c) for c in cells])[order] for key, cells in table.items()
        }
        return cls(path, times[order], columns)

    def interval(self) -> float:
        """Return the usual time between two rows [s].

        Raises:
            CalibrationError: there are no two times.
        """
        steps = np.diff(self.times)
        steps = steps[steps > 0]
        if not len(steps):
            raise CalibrationError(f"{self.path}: expected rows at different times")
        return float(np.median(steps))

    def on_grid(self, dt: float) -> tuple[Floats, dict[str, Floats], dict[str, Floats]]:
        """Return columns at equal distances.

        Args:
            dt: time between rows [s].

        Returns:
            Times; columns with NaN where nothing came within the distance; and columns that hold
            their last number (the first one before it came).
        """
        count = math.floor((self.times[-1] - self.times[0]) / dt + 1e-6) + 1
        grid = self.times[0] + dt * np.arange(count)
        newest = np.searchsorted(self.times, grid + 1e-6 * dt, side="right") - 1
        fresh = grid - self.times[newest] < dt * (1 - 1e-6)
        bare: dict[str, Floats] = {}
        held: dict[str, Floats] = {}
        for name, column in self.columns.items():
            bare[name] = np.where(fresh, column[newest], np.nan)
            known = np.isfinite(column)
            if not known.any():
                held[name] = np.full(count, np.nan)
                continue
            last = np.maximum.accumulate(np.where(known, np.arange(len(column)), -1))
            last[last < 0] = int(np.argmax(known))
            held[name] = column[last[newest]]
        return grid, bare, held


def _csv(path: Path) -> dict[str, list[Any]]:
    text = path.read_text(encoding="utf-8-sig")
    lines = text.splitlines()
    if not lines:
        raise CalibrationError(f"{path} is empty")
    delimiter = max(";,\t|", key=lines[0].count)
    rows = list(csv.reader(lines, delimiter=delimiter))
    names = [name.strip() for name in rows[0]]
    comma = delimiter != ","
    cells = [_cells(rows[1:], k, comma) for k in range(len(names))]
    return dict(zip(names, cells, strict=True))


def _cells(rows: Iterable[list[str]], k: int, comma: bool) -> list[str]:
    texts = [row[k].strip() if k < len(row) else "" for row in rows if row]
    return [text.replace(",", ".") for text in texts] if comma else texts


def _parquet(path: Path) -> dict[str, list[Any]]:
    try:
        import pyarrow.parquet
    except ImportError:
        raise CalibrationError(f"{path}: Parquet needs pyarrow (stagetwin[bridges])") from None
    try:
        table = pyarrow.parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise CalibrationError(f"{path}: expected Parquet: {error}") from None
    return {
        name: column.to_pylist()
        for name, column in zip(table.column_names, table.columns, strict=True)
    }


def _number(cell: Any) -> float:
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return math.nan
    return value if math.isfinite(value) else math.nan


def _moment(cell: Any) -> float:
    """Return a time [s]; UTC where it names no zone; NaN if it is none."""
    if isinstance(cell, str):
        try:
            cell = datetime.datetime.fromisoformat(cell)
        except ValueError:
            return _number(cell)
    if isinstance(cell, datetime.datetime):
        zoned = cell if cell.tzinfo else cell.replace(tzinfo=datetime.UTC)
        return zoned.timestamp()
    return _number(cell)
