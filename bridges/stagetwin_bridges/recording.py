"""Recorded data of real machines, read from files and played through a publisher."""

from __future__ import annotations

import datetime
import math
import string
import threading
import time as clock
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from stagetwin.ports import Publisher
from stagetwin_bridges._errors import RecordingError
from stagetwin_bridges._recorded_files import Table, read_csv, read_parquet

__all__ = ["Played", "Recording", "TimeFormat", "play"]

TimeFormat = Literal["iso", "s", "ms", "us", "ns", "relative"]

_TIME_NAMES = ("datetime", "timestamp", "time", "date_time", "ts", "_ts", "date")
# A number of this size at least is a time since 1970 in that unit (1e8 s is 1973).
_EPOCHS: tuple[tuple[float, TimeFormat, float], ...] = (
    (1e17, "ns", 1e-9),
    (1e14, "us", 1e-6),
    (1e11, "ms", 1e-3),
    (1e8, "s", 1.0),
)
_PROGRESS = 0.1
_DRAIN = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """Rows with time stamps.

    Attributes:
        path: the file.
        columns: names of the columns, without the one that tells the time.
        times: when the rows were taken [s, Unix], float64, shape (row_count,).
        time_column: name of the column that told.
        time_format: how it was written: iso (UTC where it names no zone), s, ms, us or ns since
            1970, or relative (seconds from a start of their own, here taken as since 1970).
        untimed: rows of the file that had no readable time and were left out.
        missing: cells of the others that hold nothing.
    """

    path: Path
    columns: tuple[str, ...]
    times: npt.NDArray[np.float64] = field(repr=False)
    time_column: str
    time_format: TimeFormat
    untimed: int
    missing: int
    _rows: Sequence[tuple[Any, ...]] = field(repr=False)

    @classmethod
    def open(cls, path: str | Path, time_column: str | None = None) -> Self:
        """Read a `.csv`, `.tsv`, `.txt` or `.parquet` file.

        Args:
            path: the file.
            time_column: name of the column that tells the time; None looks for the usual names,
                then for the first column that holds dates.

        Raises:
            RecordingError: it cannot be read, or no column tells the time; names what is there.
        """
        path = Path(path)
        readers = {".csv": read_csv, ".tsv": read_csv, ".txt": read_csv, ".parquet": read_parquet}
        read = readers.get(path.suffix.lower())
        if read is None:
            raise RecordingError(f"{path}: expected one of {', '.join(readers)}")
        try:
            table = read(path)
        except OSError as error:
            raise RecordingError(f"{path}: {error.strerror}") from None
        name = _time_column(path, table, time_column)
        written = table.pop(name)
        form, times = _times(written)
        known = np.isfinite(times)
        if not known.any():
            raise RecordingError(f"{path}: no row of column {name!r} tells a time")
        rows = [row for row, good in zip(_rows(table, len(written)), known, strict=True) if good]
        missing = sum(cell is None for row in rows for cell in row)
        columns = tuple(table)
        return cls(path, columns, times[known], name, form, int((~known).sum()), missing, rows)

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, number: int) -> dict[str, Any]:
        """Return the cells of one row that hold something, by column."""
        cells = zip(self.columns, self._rows[number], strict=True)
        return {name: cell for name, cell in cells if cell is not None}


def _rows(table: Table, count: int) -> list[tuple[Any, ...]]:
    return list(zip(*table.values(), strict=True)) if table else [()] * count


def _time_column(path: Path, table: Table, asked: str | None) -> str:
    if asked is not None:
        if asked in table:
            return asked
        raise RecordingError(f"{path}: no column {asked!r}; there are {', '.join(table)}")
    lower = {name.lower(): name for name in reversed(table)}
    for name in _TIME_NAMES:
        if name in lower:
            return lower[name]
    for name, cells in table.items():
        first = next((cell for cell in cells if cell is not None), None)
        if isinstance(first, (str, datetime.datetime)) and math.isfinite(_moment(first)):
            return name
    raise RecordingError(
        f"{path}: no column tells the time; name one of {', '.join(table) or 'none'}"
    )


def _moment(cell: Any) -> float:
    """Return the Unix time [s] of a date, or the number as it is; NaN if it is neither."""
    if isinstance(cell, str):
        try:
            cell = datetime.datetime.fromisoformat(cell)
        except ValueError:
            return math.nan
    if isinstance(cell, datetime.datetime):
        zoned = cell if cell.tzinfo else cell.replace(tzinfo=datetime.UTC)
        return zoned.timestamp()
    numeric = isinstance(cell, (int, float)) and not isinstance(cell, bool)
    return float(cell) if numeric else math.nan


def _times(cells: Sequence[Any]) -> tuple[TimeFormat, npt.NDArray[np.float64]]:
    """Return how times are written, and the times [s, Unix], shape (len(cells),)."""
    times = np.array([_moment(cell) for cell in cells], np.float64)
    first = next((cell for cell in cells if math.isfinite(_moment(cell))), None)
    if isinstance(first, (str, datetime.datetime)):
        return "iso", times
    size = float(np.nan_to_num(np.abs(times)).max(initial=0.0))
    for least, form, unit in _EPOCHS:
        if size >= least:
            return form, times * unit
    return "relative", times


@dataclass(frozen=True, slots=True)
class Played:
    """What was played.

    Attributes:
        rows: rows sent.
        messages: messages sent: one a row, or one a cell.
        cells: values in them.
        missing: cells of those rows that hold nothing.
        unacknowledged: messages that the broker has not taken in the end.
    """

    rows: int
    messages: int
    cells: int
    missing: int
    unacknowledged: int


def _topic(template: str, recording: Recording) -> tuple[str, bool]:
    """Return the template with its stem filled in, and whether each column has its own topic."""
    try:
        names = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
    except ValueError as error:
        raise RecordingError(f"topic {template!r}: {error}") from None
    unknown = names - {"stem", "column"}
    if unknown:
        raise RecordingError(
            f"topic {template!r}: unknown {{{unknown.pop()}}}; allowed: {{stem}}, {{column}}"
        )
    return template.replace("{stem}", _level(recording.path.stem)), "column" in names


def _level(name: str) -> str:
    """Return a name without what a topic may not hold."""
    return name.translate(str.maketrans("+#/\x00", "____"))


def play(
    recording: Recording,
    publisher: Publisher,
    topic: str = "replay/{stem}",
    *,
    speed: float = 1.0,
    loop: bool = False,
    start: float = 0.0,
    stop: float = math.inf,
    rebase: bool = False,
    on_progress: Callable[[int, int, float], None] | None = None,
    interrupt: threading.Event | None = None,
) -> Played:
    """Publish a recording by its own time stamps.

    Each row is one JSON object of its columns, or, where the topic has `{column}`, one plain value
    per cell. The pace is kept against the clock, so that delays do not add up.

    Args:
        recording: what to play.
        publisher: where to; it adds the source time where its connection says so.
        topic: template of the topic.
        speed: 2 is twice as fast; 0 or inf as fast as the other side acknowledges.
        loop: begin again at the end, until interrupted; times go on rising.
        start, stop: part to play [s from the first row]; `stop` is not played itself.
        rebase: send the time of playing as source time instead of the recorded one.
        on_progress: told rows sent, rows in all, and the recorded time [s, Unix], ten times a
            second at most.
        interrupt: ends the play when set.

    Raises:
        RecordingError: the topic is malformed, or no row lies between start and stop.
    """
    address, by_column = _topic(topic, recording)
    since = recording.times - recording.times[0]
    chosen = np.flatnonzero((since >= start) & (since < stop)).tolist()
    if not chosen:
        raise RecordingError(f"{recording.path}: no row from {start:g} s to {stop:g} s")
    topics = [address.replace("{column}", _level(name)) for name in recording.columns]
    times = recording.times[chosen]
    period = float(times[-1] - times[0]) + float(np.median(np.diff(times)) if len(times) > 1 else 1)
    pace = speed if 0 < speed < math.inf else 0.0
    interrupt = interrupt or threading.Event()
    began, wall = clock.monotonic(), clock.time()
    told = -math.inf
    rows = messages = cells = missing = passes = 0
    while not interrupt.is_set():
        for number, recorded in zip(chosen, times.tolist(), strict=True):
            elapsed = recorded - float(times[0]) + passes * period
            if pace and (wait := began + elapsed / pace - clock.monotonic()) > 0:
                interrupt.wait(wait)
            if interrupt.is_set():
                break
            taken = recorded + passes * period
            if rebase:
                taken = wall + elapsed / pace if pace else clock.time()
            row = recording.row(number)
            if by_column:
                for name, cell in row.items():
                    own = topics[recording.columns.index(name)]
                    publisher.publish(own, cell, time=taken)
            else:
                publisher.publish(address, row, time=taken)
            rows += 1
            messages += len(row) if by_column else 1
            cells += len(row)
            missing += len(recording.columns) - len(row)
            if on_progress and (now := clock.monotonic()) - told >= _PROGRESS:
                told = now
                on_progress(rows, len(chosen), recorded)
        passes += 1
        if not loop:
            break
    left = publisher.drain(_DRAIN)
    if on_progress:
        on_progress(rows, len(chosen), float(times[-1]))
    return Played(rows, messages, cells, missing, left)
