"""Rows of the API: flat objects, as tables and Grafana read them."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from stagetwin.signals import Quality
from stagetwin.sync import Board, Frame, Section, SectionKind
from stagetwin.sync._selection import Selection

__all__ = ["flat", "iso", "value_rows"]

Row = dict[str, Any]

_TIMES = frozenset(
    {"created", "changed", "raised", "cleared", "time", "until", "since", "began", "expires"}
)
_TOKENS = [quality.token for quality in Quality]
AT_ONCE = 500
"""Rows that are made before others are served."""

_AXES = ("x", "y", "z", "w")


def iso(seconds: float | None) -> str | None:
    """Return a time [s, Unix] as ISO 8601 in UTC, to the millisecond; None for unknown."""
    if seconds is None or not math.isfinite(seconds):
        return None
    try:
        moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def flat(row: Row, prefix: str = "") -> Row:
    """Return a row without depth: objects as `key_inner`, lists of texts joined, others counted.

    Times become ISO 8601. Values that are no scalar become JSON text.
    """
    out: Row = {}
    for key, value in row.items():
        name = f"{prefix}{key}"
        if key in _TIMES and isinstance(value, (int, float)) and not isinstance(value, bool):
            out[name] = iso(value)
        elif key in ("value", "desired", "reported") and isinstance(value, (list, dict)):
            out[name] = json.dumps(value)
        elif isinstance(value, dict):
            out.update(flat(value, f"{name}_"))
        elif isinstance(value, list):
            texts = all(isinstance(each, (str, int, float)) for each in value)
            out[name] = ", ".join(map(str, value)) if texts else len(value)
        else:
            out[name] = value
    return out


async def value_rows(board: Board, selection: Selection, quality: str = "") -> list[Row]:
    """Return a row for each channel of a selection, as it is now; others are served in between.

    Args:
        board: where values are.
        selection: of channels alone.
        quality: only those of this quality; all if empty.
    """
    frame = board.delta(selection, 0)
    rows: list[Row | None] = [None] * len(selection.channels)
    channels = board.channels
    for section in frame.sections:
        for row, made in _section_rows(channels, selection, frame, section):
            if not quality or made["quality"] == quality:
                rows[row] = made
            if row % AT_ONCE == 0:
                await asyncio.sleep(0)
    return [row for row in rows if row is not None]


def _section_rows(
    channels: Sequence[Mapping[str, Any]], selection: Selection, frame: Frame, section: Section
) -> Iterator[tuple[int, Row]]:
    places = section.rows.tolist()
    values: Iterable[Any] = [None] * len(places)
    if section.values is not None:
        values = section.values if isinstance(section.values, list) else section.values.tolist()
    if section.kind is SectionKind.BOOL:
        values = [bool(value) for value in values]
    times = frame.source_times(section).tolist()
    qualities = [3] * len(places) if section.qualities is None else section.qualities.tolist()
    status = [0] * len(places) if section.status is None else section.status.tolist()
    for place, value, time, quality, code in zip(
        places, values, times, qualities, status, strict=True
    ):
        channel = channels[int(selection.channels[place])]
        yield (
            place,
            {
                "path": channel["path"],
                "prim": channel["prim"],
                "signal": channel["signal"],
                "element": channel["element"],
                "label": channel["label"],
                **_value(value),
                "unit": channel["unit"],
                "type": channel["type"],
                "quality": _TOKENS[quality],
                "status": code,
                "time": iso(time),
                "age": round(frame.time - time, 3) if math.isfinite(time) else None,
            },
        )


def _value(value: Any) -> Row:
    """Return a value as flat fields: a scalar as it is, anything else as text and components."""
    if not isinstance(value, list):
        return {"value": value}
    row: Row = {"value": json.dumps(value)}
    if len(value) <= len(_AXES) and all(isinstance(each, (int, float)) for each in value):
        row.update(zip(_AXES, value, strict=False))
    return row
