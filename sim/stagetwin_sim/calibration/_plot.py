"""A picture of a fit: what was measured, what the fitted model does, and what is left."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from stagetwin_sim.calibration._fitted import Fitted
from stagetwin_sim.calibration._telemetry import Telemetry

__all__ = ["plot_fit"]

# Okabe and Ito's palette, told apart with any colour vision; black stays for words.
_MODEL, _ERROR, _BEFORE = "#0072B2", "#D55E00", "#CC79A7"
_INK, _FAINT, _DOT = "#2B2F36", "#D9DDE3", "#9AA1AB"
_MOST_PORTS = 4
_MOST_POINTS = 4000


def plot_fit(
    fitted: Fitted,
    telemetry: Telemetry,
    path: Path,
    index: int = 0,
    before: np.ndarray[Any, np.dtype[np.float64]] | None = None,
) -> None:
    """Draw one instance of a fit into a file.

    Args:
        fitted: the fit.
        telemetry: what it was made to.
        path: of the picture (png, svg or pdf).
        index: of the instance.
        before: outputs before the fit, shape (rows, output_count, count).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    known = np.isfinite(telemetry.outputs[:, :, index]).any(axis=0)
    ports = np.flatnonzero(known)[:_MOST_PORTS].tolist()
    figure = Figure(figsize=(11.0, 1.6 + 2.2 * len(ports)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(
        len(ports), 2, sharex="col", squeeze=False, gridspec_kw={"width_ratios": (3, 2)}
    )
    every = max(1, telemetry.rows // _MOST_POINTS)
    times = np.arange(telemetry.rows)[::every] * telemetry.dt / 60
    for row, j in enumerate(ports):
        port = fitted.kind.outputs[j]
        measured = telemetry.outputs[::every, j, index]
        shown = fitted.outputs[::every, j, index]
        left, right = panels[row]
        left.plot(times, measured, ".", color=_DOT, markersize=2, label="measured")
        if before is not None:
            left.plot(
                times, before[::every, j, index], color=_BEFORE, linewidth=1.2, label="before"
            )
        left.plot(times, shown, color=_MODEL, linewidth=1.6, label="fitted, running free")
        left.set_ylabel(f"{port.name} [{port.unit}]", color=_INK)
        right.plot(times, measured - shown, color=_ERROR, linewidth=0.7)
        noise = float(fitted.noise[j, index])
        right.axhspan(-2 * noise, 2 * noise, color=_FAINT, zorder=0)
        right.set_ylabel("measured - fitted", color=_INK)
        for panel in (left, right):
            panel.grid(color=_FAINT, linewidth=0.6)
            panel.tick_params(colors=_INK, labelsize=8)
            for side in ("top", "right"):
                panel.spines[side].set_visible(False)
    for panel in panels[-1]:
        panel.set_xlabel("time [min]", color=_INK)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower left", ncols=3, frameon=False, labelcolor=_INK
    )
    figure.suptitle(
        f"{fitted.kind.name} {fitted.places[index]}\n{_values(fitted, index)}",
        x=0.01,
        ha="left",
        color=_INK,
        fontsize=10,
    )
    figure.savefig(path, facecolor="white")


def _values(fitted: Fitted, index: int) -> str:
    parts = []
    for k, name in enumerate(fitted.names):
        if name.startswith("initial:"):
            continue
        value, low, high = (float(v[k, index]) for v in (fitted.values, fitted.low, fitted.high))
        span = f"{low:.4g} to {high:.4g}" if math.isfinite(high - low) else "not determined"
        parts.append(f"{name} {value:.4g} {fitted.units[k]} ({span})")
    lines = [", ".join(parts[i : i + 3]) for i in range(0, len(parts), 3)]
    return "\n".join(lines)
