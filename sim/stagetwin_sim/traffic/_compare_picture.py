"""A picture of layouts against each other: bars with intervals, coloured where they are sure."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from stagetwin_sim.traffic._compare import Comparison, Row
from stagetwin_sim.traffic._tables import LESS_IS_BETTER, is_sure, number

__all__ = ["draw_comparison"]

_INK, _FAINT = "#2B2F36", "#D9DDE3"
# Okabe and Ito's palette, told apart with any colour vision.
_FIRST, _BETTER, _WORSE, _UNSURE = "#7A838F", "#009E73", "#D55E00", "#C9CED6"
_SHOWN = ("throughput", "task_time", "wait_per_task", "waiting", "near_misses", "deadlocks")
_LONGEST = 34


def draw_comparison(found: Comparison, path: Path) -> None:
    """Draw each figure as a bar for each layout, with the 95 % interval of its mean.

    A bar is coloured where the difference from the layout as it is, seed by seed, is sure.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = found.rows
    figure = Figure(figsize=(13.0, max(3.4, 1.6 + 0.62 * len(rows)) * 1.5), dpi=120)
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    panels = figure.subplots(2, 3, sharey=True)
    for panel, name in zip(panels.flat, _SHOWN, strict=True):
        _draw(panel, rows, name)
    names = [_short(row.variant.name) for row in rows]
    panels[0, 0].set_yticks(range(len(rows)), names, color=_INK)
    panels[0, 0].invert_yaxis()
    study, first = found.study, rows[0].report
    title = f"{first.map}: {len(rows)} layouts, {study.worlds} worlds of {study.minutes:g} min each"
    figure.suptitle(title, x=0.01, ha="left", color=_INK, fontsize=14, fontweight="bold")
    keys = ((_FIRST, "as it is"), (_BETTER, "better"), (_WORSE, "worse"), (_UNSURE, "not sure"))
    handles = [panels[0, 0].barh([0], [0], color=colour, label=text) for colour, text in keys]
    figure.legend(
        handles=handles, loc="outside upper right", ncols=4, frameon=False, labelcolor=_INK
    )
    figure.savefig(path, facecolor="white")


def _draw(panel: Any, rows: tuple[Row, ...], name: str) -> None:
    from stagetwin_sim.traffic._report import FIGURES

    words, unit = FIGURES[name]
    title = words if unit in ("1", "1/h") else f"{words} [{unit}]"
    panel.set_title(title, loc="left", color=_INK, fontsize=10, fontweight="bold")
    most = 0.0
    for k, row in enumerate(rows):
        made = row.report.figures[name]
        value = made.mean if math.isfinite(made.mean) else 0.0
        panel.barh(k, value, color=_colour(row, name, first=k == 0), height=0.62)
        end = value
        if math.isfinite(made.low) and made.high > made.low:
            panel.plot([made.low, made.high], [k, k], color=_INK, lw=1.4, solid_capstyle="butt")
            end = max(value, made.high)
        panel.annotate(
            number(made.mean),
            (end, k),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=_INK,
            fontsize=9,
        )
        most = max(most, end)
    panel.set_xlim(0, 1.22 * most or 1.0)
    panel.set_xticks([])
    panel.tick_params(colors=_INK, labelsize=9, length=0)
    for side in ("top", "right", "bottom"):
        panel.spines[side].set_visible(False)
    panel.spines["left"].set_color(_FAINT)


def _colour(row: Row, name: str, *, first: bool) -> str:
    if first:
        return _FIRST
    difference = row.differences[name]
    if not is_sure(difference):
        return _UNSURE
    return _BETTER if (difference.mean < 0) == (name in LESS_IS_BETTER) else _WORSE


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
