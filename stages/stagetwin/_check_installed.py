"""Checks that other installed packages offer for a stage.

A third party adds one by an entry point in the group `stagetwin.checks`: a function
`(stage, table) -> Iterable[Problem]` that only reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points

from pxr import Usd

from stagetwin.bindings import BindingTable, Problem, Severity

__all__ = ["checked_by_others"]

GROUP = "stagetwin.checks"


def checked_by_others(
    stage: Usd.Stage, table: BindingTable, known: Sequence[Problem]
) -> Iterator[Problem]:
    """Yield what installed checks find.

    Args:
        stage: only read.
        table: its bindings.
        known: what was found already; what it says of a model is not said twice.
    """
    errors = [p for p in known if p.severity is Severity.ERROR]
    refused = {(p.prim, p.signal) for p in errors if p.signal}
    for point in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        for problem in _found(point, stage, table):
            if (problem.prim, problem.signal) not in refused:
                yield problem


def _found(point: EntryPoint, stage: Usd.Stage, table: BindingTable) -> list[Problem]:
    try:
        return list(point.load()(stage, table))
    except Exception as error:
        # A third party's package: that it fails is reported, and costs no other check.
        text = f"the check {point.name!r} failed: {type(error).__name__}: {error}"
        return [Problem("/", "", "check-failed", text)]
