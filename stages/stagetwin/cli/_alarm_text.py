"""Alarms as text: what the list, the status and the live view say of them."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from stagetwin.cli._cells import plain_text

__all__ = ["PRIORITY_STYLES", "STATE_WORDS", "alarm_count", "alarm_summary"]

PRIORITY_STYLES = {
    "critical": "bold white on #c0392b",
    "high": "bold red",
    "medium": "bold #f0b94b",
    "low": "#8fc7ff",
}
"""Worst first."""

STATE_WORDS = {
    "NORMAL": "normal",
    "UNACK": "UNACK",
    "ACKED": "acked",
    "RTN_UNACK": "over, UNACK",
    "SHELVED": "shelved",
    "SUPPRESSED": "suppressed",
}


def _number(counts: dict[str, Any], name: str) -> int:
    value = counts.get(name)
    return value if isinstance(value, int) else 0


def alarm_count(counts: dict[str, Any]) -> int:
    """Return how many alarms are active."""
    return sum(_number(counts, priority) for priority in PRIORITY_STYLES)


def alarm_summary(counts: dict[str, Any]) -> Text:
    """Return how many alarms there are, in one line; empty where nobody says."""
    if not counts:
        return Text("")
    total = alarm_count(counts)
    line = Text(f"{total or 'no'} active alarm{'' if total == 1 else 's'}")
    parts = [
        (f"{_number(counts, p)} {p}", style)
        for p, style in PRIORITY_STYLES.items()
        if _number(counts, p)
    ]
    for name in ("unacknowledged", "shelved", "suppressed"):
        if _number(counts, name):
            parts.append((f"{_number(counts, name)} {name}", ""))
    for number, (text, style) in enumerate(parts):
        line.append(", " if number else ": ").append(text, style)
    if fault := plain_text(counts.get("fault") or ""):
        line.append(f"; their journal cannot be written: {fault}", "bold red")
    return line
