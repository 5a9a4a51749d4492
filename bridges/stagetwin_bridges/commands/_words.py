"""How the demo says what it saw: numbers, evidence, and a command's way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stagetwin.cli._cells import split_number, unit_text

__all__ = ["evidence_text", "fault_text", "listed", "number_text", "signal_name", "way_text"]

Row = dict[str, Any]


def way_text(row: Row) -> str:
    """Return a command's states before its end, with their times since the request."""
    moments = row["history"][:-1]
    told = []
    for moment in moments:
        if moment["state"] == "NOTE":
            continue
        after = max(float(moment["time"]) - float(row["created"]), 0.0)
        told.append(f"{moment['state']} {after * 1e3:.0f}")
    return f"{', '.join(told)} ms"


def evidence_text(row: Row) -> str:
    """Return what a command was verified by: the value read back, the one before, and when."""
    evidence = row["evidence"]
    read, before = number_text(evidence["value"], row["unit"]), number_text(evidence["before"])
    return (
        f"{_label(evidence['signal'])} reads {read}, was {before}, "
        f"{float(evidence['after']):.1f} s after sending ({evidence['kind']} evidence)"
    )


def fault_text(row: Row) -> str:
    """Return what a machine or a sensor has: where, which kind, and how much in the end."""
    amount = "" if row["amount"] is None else f" {number_text(row['amount'], row['unit'])}"
    return f"{row['where'].rpartition('/')[2]}: {row['kind']}{amount}"


def _label(path: str) -> str:
    prim, _, signal = path.rpartition(".")
    return f"{prim.rpartition('/')[2]}.{signal}"


def signal_name(path: str) -> str:
    """Return the name of a signal at a path."""
    return path.rpartition(".")[2]


def number_text(value: Any, unit: str = "1") -> str:
    """Return a number as people read it, with four digits that tell something."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "nothing" if value is None else str(value)
    whole, fraction = split_number(value, max(abs(value), 1.0))
    if abs(value) >= 1000:
        fraction = ""
    printed = unit_text(unit)
    return f"{whole}{fraction} {printed}".rstrip()


def listed(names: Iterable[str]) -> str:
    """Return names in order."""
    return ", ".join(sorted(names))
