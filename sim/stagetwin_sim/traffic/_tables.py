"""Reports and comparisons as tables for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from stagetwin_sim.traffic._compare import Comparison
from stagetwin_sim.traffic._report import FIGURES, Figure, FleetReport

__all__ = ["comparison_table", "figure_text", "places_table", "report_table"]

_LESS = {"task_time", "wait_per_task", "waiting", "collisions", "near_misses", "deadlocks"}
_LESS |= {"bumps", "turned_away", "energy_per_task", "deadlock_time", "yields"}
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
    """Return variants against the layout as it is; differences that are sure are coloured."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("layout")
    for name in names:
        words, unit = FIGURES[name]
        table.add_column(
            f"{words} [{unit}]" if unit not in ("1", "1/h") else words, justify="right"
        )
    table.add_column("bottleneck")
    for number_, row in enumerate(found.rows):
        cells: list[Text | str] = [Text(row.variant.name, style="bold")]
        for name in names:
            cells.append(_cell(name, row.report.figures[name], row.differences[name], number_ > 0))
        worst = row.report.bottleneck
        cells.append(f"{worst.kind} {worst.name} {worst.share:.0%}" if worst.name else "none")
        table.add_row(*cells)
    return table


def _cell(name: str, figure: Figure, difference: Figure, other: bool) -> Text:
    text = Text(number(figure.mean))
    if not other:
        half = (figure.high - figure.low) / 2
        if math.isfinite(half) and half > 0:
            text.append(f" ± {number(half)}", style="dim")
        return text
    half = (difference.high - difference.low) / 2
    sure = math.isfinite(half) and (difference.low > 0 or difference.high < 0)
    better = (difference.mean < 0) == (name in _LESS)
    style = ("green" if better else "red") if sure else "dim"
    shown = f" ({'+' if difference.mean >= 0 else ''}{number(difference.mean)}"
    shown += f" ± {number(half)})" if math.isfinite(half) else ")"
    text.append(shown, style=style)
    return text
