"""Values to write beside assets, as the stage has them."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from typing import Any

from pxr import Sdf, Usd

from stagetwin._text import plain_text, split_number, unit_text
from stagetwin.bindings import TelemetryBinding, read_bindings
from stagetwin.values import plain

__all__ = ["labels_of", "newest_time", "value_text"]

MOST_ROWS = 4
"""Signals on one label; the others are counted."""

_LONGEST = 24


def labels_of(stage: Usd.Stage, time: Usd.TimeCode) -> list[dict[str, Any]]:
    """Return a label for each asset that has a signal with a value to write.

    Poses, arrays and elements of arrays are left out: a picture shows them, or has no room.

    Returns:
        `path`, `name`, `alarm` (priority or empty), `rows` of `name`, `value`, `unit`, `quality`
        (empty where no service ever said), and how many `more` there are.
    """
    by_asset: dict[str, list[dict[str, str]]] = {}
    for binding in read_bindings(stage).telemetry.values():
        row = _row(stage, binding, time)
        if row is not None:
            by_asset.setdefault(binding.asset, []).append(row)
    for rows in by_asset.values():
        rows.sort(key=lambda row: row["quality"] in ("", "good"))  # what is not well is not cut off
    return [
        {
            "path": path,
            "name": _name(stage.GetPrimAtPath(path)),
            "alarm": _alarm(stage.GetPrimAtPath(path)),
            "rows": rows[:MOST_ROWS],
            "more": max(len(rows) - MOST_ROWS, 0),
        }
        for path, rows in by_asset.items()
    ]


def _row(stage: Usd.Stage, binding: TelemetryBinding, time: Usd.TimeCode) -> dict[str, str] | None:
    target = Sdf.Path(binding.target)
    attribute = stage.GetAttributeAtPath(target)
    if binding.element >= 0 or not attribute or attribute.GetTypeName().isArray:
        return None
    value = plain(attribute.Get(time))
    is_pose = target.name.startswith("xformOp:") and isinstance(value, list)
    text = value_text(value)
    if is_pose or not text:
        return None
    said = stage.GetAttributeAtPath(_part(binding, "quality"))
    # The schema's fallback is no word of a service.
    quality = str(said.Get(time)) if said and said.HasAuthoredValue() else ""
    unit = unit_text(binding.unit) if not isinstance(value, (bool, str)) else ""
    name = plain_text(binding.signal.replace("_", " "))
    return {"name": name, "value": text, "unit": unit, "quality": quality}


def _part(binding: TelemetryBinding, name: str) -> str:
    return f"{binding.prim}.twin:telemetry:{binding.signal}:{name}"


def value_text(value: Any) -> str:
    """Return a value as a label has it; empty for what has no room on one."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return _number_text(value) if math.isfinite(value) else ""
    if isinstance(value, str):
        text = plain_text(value)
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    if isinstance(value, Sequence) and 0 < len(value) <= 3:
        parts = [value_text(item) for item in value]
        return f"({', '.join(parts)})" if all(parts) else ""
    return ""


def _number_text(value: float) -> str:
    """Return a number in four digits, as far as that is possible."""
    size = abs(value)
    if isinstance(value, int) or not 1e-3 <= size < 1e9:
        return "".join(split_number(value)) if value else "0"
    text = f"{value:,.{max(3 - math.floor(math.log10(size)), 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _name(prim: Usd.Prim) -> str:
    return plain_text(prim.GetDisplayName() or prim.GetName())


def _alarm(prim: Usd.Prim) -> str:
    attribute = prim.GetAttribute("twin:alarmState")
    state = str(attribute.Get() or "") if attribute else ""
    return state if state in ("critical", "high", "medium", "low") else ""


def newest_time(stage: Usd.Stage) -> datetime.datetime | None:
    """Return when the newest value was taken, None where none has a time."""
    newest = -math.inf
    for binding in read_bindings(stage).telemetry.values():
        attribute = stage.GetAttributeAtPath(_part(binding, "time"))
        time = attribute.Get() if attribute and attribute.HasAuthoredValue() else None
        if isinstance(time, float) and math.isfinite(time):
            newest = max(newest, time)
    if newest <= 0:
        return None
    try:
        return datetime.datetime.fromtimestamp(newest, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return None
