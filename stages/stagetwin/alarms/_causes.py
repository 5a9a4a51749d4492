"""Why an alarm arose, in words that name the value and what it should be."""

from __future__ import annotations

from typing import Any

import numpy as np

from stagetwin.alarms._points import Part, Points
from stagetwin.bindings import BindingTable, TelemetryBinding
from stagetwin.signals import Quality, Status
from stagetwin.twin import Twin
from stagetwin.values import plain

__all__ = ["cause_of", "value_of"]

_NAMED = 6
"""Signals that a cause names."""


def value_of(twin: Twin, points: Points, point: int) -> Any:
    """Return what the signal of a point is now, as plain data; None for no signal."""
    if points.part_of(point) is Part.MODEL:
        number = twin.predicted.value(points.definition(point).signal)
        return number if number == number else None
    if point >= len(points.channel) or not points.trusted[point]:
        return None
    channel = int(points.channel[point])
    return plain(twin.value_of(channel)) if channel in twin.table.telemetry else None


def cause_of(twin: Twin, points: Points, point: int) -> str:
    """Return why the condition of a point holds."""
    part = points.part_of(point)
    if part is Part.STALE:
        return _stale_text(twin, points, point - points.parts[part].start)
    if part is Part.GOODBYE:
        return "the device said goodbye"
    if part is Part.CONNECTION:
        name = points.connections[point - points.parts[part].start]
        state, cause = twin.connection_states[name]
        return f"{state}: {cause}" if cause else str(state)
    if part is Part.COMMAND:
        return "ended UNVERIFIED"
    if part is Part.MODEL:
        return f"{_beyond(points, point, value_of(twin, points, point))}, says its model"
    if not points.trusted[point]:
        return "a session binds the signal elsewhere"
    channel = int(points.channel[point])
    if part in (Part.BAD, Part.QUALITY):
        return _quality_text(twin, channel)
    value = value_of(twin, points, point)
    if part is Part.OUTSIDE:
        text = "a component is outside the soft limits"
    elif part is Part.LIMIT:
        text = _beyond(points, point, value)
    else:
        text = f"it is {value!r:.80}"
    status = int(twin.hub.latest.status[channel])
    uncertain = twin.hub.latest.quality[channel] == Quality.UNCERTAIN
    if uncertain and status != Status.UNCERTAIN_ENGINEERING_UNITS_EXCEEDED:
        text += ", as far as is known (uncertain)"
    return text


def _beyond(points: Points, point: int, value: Any) -> str:
    definition = points.definition(point)
    word = "above" if definition.side in ("high", "high_high") else "below"
    return " ".join(f"{value:.6g} {definition.unit} is {word} {definition.limit:g}".split())


def _quality_text(twin: Twin, channel: int) -> str:
    latest, binding = twin.hub.latest, twin.table.telemetry[channel]
    if latest.quality[channel] == Quality.STALE:
        return "stale" if not latest.gone[channel] else "its device said goodbye"
    status = int(latest.status[channel])
    if status == Status.BAD_OUT_OF_RANGE:
        return f"what came is outside the hard limits {binding.limits} {binding.unit}"
    if status == Status.BAD_TYPE_MISMATCH:
        return f"what came is no {binding.type_name}"
    if status == Status.BAD_DEVICE_FAILURE:
        return "the device reports a failure"
    return f"its source calls it bad (status {status:#010x})"


def _stale_text(twin: Twin, points: Points, group: int) -> str:
    """Return which signals of an asset are stale, and of how many."""
    counted, _ = points.stale_rows(twin.hub, twin.clock.steady())
    own = points.stale.group == group
    rows = np.flatnonzero(own & counted)
    gone = [r for r in rows.tolist() if twin.hub.latest.gone[points.stale.channel[r]]]
    names = sorted(_names(twin.table, points, rows.tolist()))
    elsewhere = int((own & ~points.stale.trusted).sum())
    parts = [f"{len(rows)} of {int(own.sum())} signals"]
    if names:
        more = ", ..." if len(names) > _NAMED else ""
        parts[0] += f": {', '.join(names[:_NAMED])}{more}"
    if gone and len(gone) == len(rows):
        parts.append("their device said goodbye")
    if elsewhere:
        parts.append(f"{elsewhere} bound elsewhere by a session")
    return "; ".join(parts)


def _names(table: BindingTable, points: Points, rows: list[int]) -> list[str]:
    found: list[TelemetryBinding | None] = [
        table.telemetry.get(int(points.stale.channel[r])) if points.stale.trusted[r] else None
        for r in rows
    ]
    return [
        b.signal if b.element < 0 else f"{b.signal}[{b.element}]" for b in found if b is not None
    ]
