"""A column of a recording as the forecast of a signal."""

from __future__ import annotations

import csv
import datetime
import math
from pathlib import Path

from stagetwin_sim._errors import ScenarioError
from stagetwin_sim.futures._forecast import Forecast

__all__ = ["recorded", "within"]

_TIMES = ("time", "datetime", "timestamp", "t")


def within(folder: Path, name: str, confined: bool) -> Path:
    """Return the path of a file that a scenario names.

    Args:
        folder: that relative names start from.
        name: as written.
        confined: whether it must lie in that folder.

    Raises:
        ScenarioError: it does not.
    """
    path = (folder / name).resolve()
    if confined and not path.is_relative_to(folder.resolve()):
        raise ScenarioError(f"{name}: a scenario reads only files beside the plant")
    return path


def recorded(path: Path, column: str, time: str = "", begin: float = 0.0) -> Forecast:
    """Return a column of a CSV file, linear between its rows.

    Args:
        path: of the file; comma or semicolon.
        column: heading of the values, in the signal's unit; rows without a number are left out.
        time: heading of the times, in seconds or as ISO dates; empty finds it.
        begin: time of the recording that is now [s after its first row].

    Raises:
        ScenarioError: it cannot be read, or has no such column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            head = file.readline()
            file.seek(0)
            rows = list(csv.DictReader(file, delimiter=";" if ";" in head else ","))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ScenarioError(f"{path}: {error}") from None
    names = list(rows[0]) if rows else []
    when = time or next((name for name in names if name.lower() in _TIMES), "")
    for name in (column, when):
        if name not in names:
            raise ScenarioError(f"{path}: no column {name or 'of times'}; there are {names}")
    points: list[tuple[float, float]] = []
    first = math.nan
    for row in rows:
        at, value = _seconds(row[when]), _number(row[column])
        if at is None or value is None:
            continue
        first = at if math.isnan(first) else first
        if not points or at - first - begin > points[-1][0]:
            points.append((at - first - begin, value))
    if not points:
        raise ScenarioError(f"{path}: column {column} has no number")
    return Forecast.profile(points)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _seconds(text: str | None) -> float | None:
    number = _number(text)
    if number is not None:
        return number
    try:
        moment = datetime.datetime.fromisoformat((text or "").strip())
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.timestamp()
