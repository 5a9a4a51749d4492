"""Reports and comparisons as tables for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from stagetwin_sim.traffic._compare import Comparison
from stagetwin_sim.traffic._report import FIGURES, Figure, FleetReport

__all__ = [
    "LESS_IS_BETTER",
    "comparison_table",
    "figure_text",
    "hint_of",
    "is_sure",
    "number",
    "places_table",
    "report_table",
]

LESS_IS_BETTER = {"task_time", "wait_per_task", "waiting", "collisions", "near_misses", "deadlocks"}
LESS_IS_BETTER |= {"bumps", "turned_away", "energy_per_task", "deadlock_time", "yields"}
_BAD = {"collisions", "near_misses", "deadlocks", "bumps", "turned_away"}
_COMPARED = ("throughput", "task_time", "wait_per_task", "waiting", "near_misses", "deadlocks")


def number(value: float) -> str:
    """Return a number in few digits, a dash where nobody knows it."""
    if not math.isfinite(value):
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.1f}"


def figure_text(name: str, figure: Figure) -> tuple[str, str]:
    """Return what a figure is, and its mean with half the interval."""
    words, unit = FIGURES[name]
    text = number(figure.mean)
    half = (figure.high - figure.low) / 2
    if math.isfinite(half) and half > 0:
        text += f" ± {number(half)}"
    shown = {"1": "", "1/h": "", "W.h": " Wh"}.get(unit, f" {unit}")
    return words, text + shown


def report_table(report: FleetReport) -> Table:
    """Return the figures of a report."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="right")
    for name, figure in report.figures.items():
        words, text = figure_text(name, figure)
        bad = name in _BAD and figure.mean > 0
        table.add_row(words, Text(text, style="red" if bad else "bold"))
    return table


def places_table(report: FleetReport, most: int = 8) -> Table:
    """Return what causes most of the waiting."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("waited for")
    for title in ("share", "caused min/h", "waited on it min/h", "passed 1/h"):
        table.add_column(title, justify="right")
    for place in [p for p in report.places if p.share > 0][:most]:
        table.add_row(
            f"{place.kind} {place.name}",
            f"{place.share:.0%}",
            number(place.caused / 60),
            number(place.waited / 60),
            number(place.passed),
        )
    return table


def comparison_table(found: Comparison, names: Sequence[str] = _COMPARED) -> Table:
    """Return variants against the layout as it is; differences that are sure are coloured.

    It fits into 80 columns: a line for each figure of each layout.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("layout", max_width=26, overflow="fold")
    table.add_column("")
    table.add_column("mean", justify="right")
    table.add_column("against as it is", justify="right")
    for k, row in enumerate(found.rows):
        if k:
            table.add_row("")
        title = Text(row.variant.name, style="bold")
        for name in names:
            words, unit = FIGURES[name]
            what = words if unit in ("1", "1/h") else f"{words} [{unit}]"
            mean, against = _cells(name, row.report.figures[name], row.differences[name], k > 0)
            table.add_row(title, Text(what, style="dim"), mean, against)
            title = Text("")
        worst = row.report.bottleneck
        named = f"{worst.kind} {worst.name} {worst.share:.0%}" if worst.name else "none"
        table.add_row("", Text("bottleneck", style="dim"), "", named)
    return table


def hint_of(found: Comparison, names: Sequence[str] = _COMPARED) -> str:
    """Return what to do where no difference is sure; empty where one is."""
    if any(is_sure(row.differences[name]) for row in found.rows[1:] for name in names):
        return ""
    if len(found.rows) < 2:
        return ""
    worlds = found.study.worlds
    return (
        f"no difference is sure over {worlds} world{'s' if worlds > 1 else ''}: "
        f"with more worlds (worlds = {max(4 * worlds, 8)}) the intervals become narrower"
    )


def is_sure(difference: Figure) -> bool:
    """Tell whether a difference is not 0, with 95 % confidence."""
    half = (difference.high - difference.low) / 2
    return math.isfinite(half) and (difference.low > 0 or difference.high < 0)


def _cells(name: str, figure: Figure, difference: Figure, other: bool) -> tuple[Text, Text]:
    mean = Text(number(figure.mean))
    if not other:
        return mean, Text(_half(figure), style="dim")
    sure = is_sure(difference)
    better = (difference.mean < 0) == (name in LESS_IS_BETTER)
    style = ("green" if better else "red") if sure else "dim"
    sign = "+" if difference.mean >= 0 else ""
    return mean, Text(f"{sign}{number(difference.mean)} {_half(difference)}".rstrip(), style=style)


def _half(figure: Figure) -> str:
    half = (figure.high - figure.low) / 2
    return f"± {number(half)}" if math.isfinite(half) and half > 0 else ""
