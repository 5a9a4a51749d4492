"""What a dock shows of signals, and of what others draft."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stagetwin.sync._writing import Reading

__all__ = ["Ghost", "Row", "Summary", "row_of", "text_of"]

_LONGEST = 60


@dataclass(frozen=True, slots=True)
class Row:
    """One signal as a dock shows it.

    Attributes:
        path: prim path and signal, with the element where it is one of an array.
        prim, signal, label: where, and what it is called.
        value: plain data, None while there is none.
        text: the value to read.
        unit: UCUM unit, empty for 1.
        quality: `good`, `uncertain`, `bad` or `stale`.
        age: time since the source took it [s]; NaN if unknown.
        low, high: soft limits, or None.
        minimum, maximum: hard limits, or None.
    """

    path: str
    prim: str
    signal: str
    label: str
    value: Any
    text: str
    unit: str
    quality: str
    age: float
    low: float | None
    high: float | None
    minimum: float | None
    maximum: float | None


@dataclass(frozen=True, slots=True)
class Ghost:
    """What somebody else considers.

    Attributes:
        session, user: who.
        target: command, `/Prim.name`.
        value: plain data.
        prim: path of the command's prim.
        matrix: where a marker of it stands on the stage, 16 numbers in rows of row vectors; None
            where the value is no place.
    """

    session: str
    user: str
    target: str
    value: Any
    prim: str
    matrix: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What one tick found.

    Attributes:
        state: `connecting`, `live`, `lost`, `refused` or `closed`.
        cause: why it is not live.
        age: time since the service was last heard [s]; infinite for never.
        user: name by which the service knows this viewer.
        applied: values written in this tick.
        problems: channels that this stage cannot show.
        alarms: number of active ones by priority.
        changed: what is new: `values`, `alarms`, `commands`, `drafts`, `topics`, `people`, `state`.
    """

    state: str
    cause: str
    age: float
    user: str
    applied: int
    problems: int
    alarms: Mapping[str, int]
    changed: frozenset[str]


def text_of(value: Any) -> str:
    """Return a value as people read it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        text = f"({', '.join(text_of(item) for item in value[:16])})"
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def row_of(path: str, channel: Mapping[str, Any], reading: Reading, now: float) -> Row:
    """Return a channel's row; `now` is the service's clock [s, Unix]."""
    unit = str(channel.get("unit", ""))
    age = now - reading.time
    return Row(
        path=path,
        prim=str(channel["prim"]),
        signal=str(channel["signal"]),
        label=str(channel.get("label") or channel["signal"]),
        value=reading.value,
        text=text_of(reading.value),
        unit="" if unit == "1" else unit,
        quality=reading.quality.token,
        age=max(age, 0.0) if math.isfinite(age) else math.nan,
        low=_number(channel.get("softMin")),
        high=_number(channel.get("softMax")),
        minimum=_number(channel.get("min")),
        maximum=_number(channel.get("max")),
    )


def _number(bound: Any) -> float | None:
    is_number = isinstance(bound, (int, float)) and not isinstance(bound, bool)
    return float(bound) if is_number and math.isfinite(bound) else None
