"""A picture of futures: one panel a signal, one line a future, limits behind them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stagetwin._text import unit_text
from stagetwin_sim.futures._slots import Slots

if TYPE_CHECKING:
    from stagetwin_sim.futures._comparison import Comparison

__all__ = ["plot"]

# Okabe and Ito's palette, told apart with any colour vision; black stays for words.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A7A7A", "#8C6D31")
_INK, _FAINT = "#2B2F36", "#D9DDE3"
_MOST_PANELS = 8


def plot(comparison: Comparison, path: Path) -> None:
    """Draw the traces of a comparison into a file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    traces = comparison.traces
    count = min(len(traces.names), _MOST_PANELS)
    figure = Figure(figsize=(9.0, 1.2 + 2.1 * max(count, 1)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(max(count, 1), 1, sharex=True, squeeze=False)[:, 0]
    scale, unit = _time_unit(comparison.scenario.horizon)
    slots = Slots(comparison.present)
    for i in range(count):
        _panel(panels[i], comparison, i, scale, slots)
    panels[-1].set_xlabel(f"time from now [{unit}]", color=_INK)
    panels[-1].set_xlim(0, comparison.scenario.horizon / scale)
    title = comparison.scenario.name
    figure.suptitle(title, x=0.01, ha="left", color=_INK, fontsize=13, fontweight="bold")
    if len(comparison.rows) <= len(_COLOURS) and count:
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower left", ncols=4, frameon=False, labelcolor=_INK
        )
    figure.savefig(path, facecolor="white")


def _panel(panel: Any, comparison: Comparison, i: int, scale: float, slots: Slots) -> None:
    traces, rows = comparison.traces, comparison.rows
    times = traces.times / scale
    many = len(rows) > len(_COLOURS)
    for w, row in enumerate(rows):
        colour = _shade(w / (len(rows) - 1)) if many else _COLOURS[w % len(_COLOURS)]
        panel.plot(
            times,
            traces.values[:, w, i],
            color=colour,
            linewidth=0.9 if many else 1.8,
            alpha=0.65 if many else 1.0,
            label=row.name,
            solid_capstyle="round",
        )
    values = traces.values[:, :, i]
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    _limits(panel, slots, traces.names[i], low, high)
    unit = unit_text(traces.units[i])
    name = traces.names[i].rpartition("/")[2]
    panel.set_title(
        f"{name} [{unit}]" if unit else name,
        loc="left",
        fontsize=10,
        color=_INK,
    )
    panel.grid(axis="y", color=_FAINT, linewidth=0.7)
    panel.tick_params(colors=_INK, labelsize=9, length=0)
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)
    panel.spines["bottom"].set_color(_FAINT)
    panel.margins(y=0.12)


def _limits(panel: Any, slots: Slots, name: str, low: float, high: float) -> None:
    """Draw the limits of a signal that are near what it does."""
    signals = {signal.path: signal for signal in slots.telemetry.values()}
    found = signals.get(name) or slots.telemetry.get(name)
    if found is None:
        return
    reach = max(high - low, 1e-9 * max(abs(high), 1.0))
    bounds = found.limits
    for value, style, word in (
        (bounds.hard_min, "-", "limit"),
        (bounds.hard_max, "-", "limit"),
        (bounds.soft_min, (0, (4, 3)), "soft limit"),
        (bounds.soft_max, (0, (4, 3)), "soft limit"),
    ):
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            continue
        if low - 0.6 * reach <= value <= high + 0.6 * reach:
            panel.axhline(value, color="#B3261E", linewidth=1.0, linestyle=style, alpha=0.8)
            panel.annotate(
                word,
                (1.0, value),
                xycoords=("axes fraction", "data"),
                xytext=(-3, 2),
                textcoords="offset points",
                ha="right",
                fontsize=8,
                color="#B3261E",
            )


def _shade(part: float) -> Any:
    from matplotlib import colormaps

    return colormaps["viridis"](0.08 + 0.84 * part)


def _time_unit(horizon: float) -> tuple[float, str]:
    if horizon > 3 * 86400:
        return 86400.0, "d"
    if horizon > 3 * 3600:
        return 3600.0, "h"
    return (60.0, "min") if horizon > 300 else (1.0, "s")
