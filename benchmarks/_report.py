"""What every benchmark prints: a table for people, then one JSON line for machines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["Case", "cpu_seconds", "paired", "report"]


@dataclass(frozen=True, slots=True)
class Case:
    """One measured case.

    Attributes:
        case: name.
        ours: our figure.
        against: figures of the peers, by name.
    """

    case: str
    ours: float
    against: dict[str, float]


@contextmanager
def cpu_seconds() -> Iterator[Callable[[], float]]:
    """Yield a reading of the CPU seconds that this process spent inside the block."""
    started = time.process_time()
    spent = 0.0
    yield lambda: spent or time.process_time() - started
    spent = time.process_time() - started


def paired(rounds: int, *runs: Callable[[], float]) -> list[float]:
    """Run contenders in turn and return the best figure of each, higher being better.

    Turns keep a machine whose speed drifts from favouring whoever runs last; and what disturbs a
    run can only slow it down, so the best one is nearest to what the code costs.
    """
    figures: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for column, run in zip(figures, runs, strict=True):
            column.append(run())
    return [max(column) for column in figures]


def report(name: str, unit: str, lower_is_better: bool, cases: list[Case]) -> None:
    """Print the table and the JSON line."""
    print(f"\n{name} [{unit}], {'lower' if lower_is_better else 'higher'} is better")
    for case in cases:
        print(f"  {case.case:<24} ours {case.ours:>14,.4g}")
        for peer, figure in case.against.items():
            ratio = case.ours / figure if figure else float("inf")
            print(f"  {'':<24} {peer:<12} {figure:>14,.4g}   ours/{peer} {ratio:.2f}")
    line = {
        "name": name,
        "unit": unit,
        "lower_is_better": lower_is_better,
        "cases": [{"case": c.case, "ours": c.ours, "against": c.against} for c in cases],
    }
    print(json.dumps(line))
