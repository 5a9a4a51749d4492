"""A gap as a table and as a picture."""

from __future__ import annotations

import math
import os
from pathlib import Path

from rich.table import Table
from rich.text import Text

from stagetwin_sim.policies._gap import BANDS, Gap, pairs_of

__all__ = ["draw_gap", "gap_markdown", "gap_table"]

_BLUE, _ORANGE = "#0072B2", "#D55E00"
_INK, _FAINT = "#2B2F36", "#D9DDE3"
_MOST_PANELS = 8


def _bands() -> list[str]:
    ends = [*[f"{high:g}" for high in BANDS[1:]], "∞"]
    return [f"{low:g}-{high} Hz" for low, high in zip(BANDS, ends, strict=True)]


def _rows(gap: Gap) -> list[list[str]]:
    def text(value: float, form: str = ".3g") -> str:
        return f"{value:{form}}" if math.isfinite(value) else "-"

    return [
        [
            one.signal,
            text(one.rmse),
            text(one.bias),
            text(one.drift),
            text(one.delay),
            text(one.correlation, ".3f"),
            text(one.scale),
            *[text(part, ".2g") for part in one.spectrum],
        ]
        for one in gap.signals
    ]


_TITLES = ("signal", "RMSE", "bias", "drift [1/s]", "delay [s]", "correlation", "scale")


def gap_table(gap: Gap) -> Table:
    """Return it for a terminal."""
    title = f"predicted - measured over {gap.seconds:.1f} s"
    table = Table(
        title=f"{title}, {gap.label}" if gap.label else title,
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        header_style="bold",
    )
    # Figures are never cut short: titles stand on two lines, and names of signals fold.
    for name in (*_TITLES, *_bands()):
        if name == "signal":
            table.add_column(name, overflow="fold")
        else:
            title = name.replace("correlation", "corre- lation").replace(" ", "\n")
            table.add_column(Text(title), justify="right", no_wrap=True)
    for row in _rows(gap):
        table.add_row(*row)
    return table


def gap_markdown(gap: Gap) -> str:
    """Return it for a file."""
    titles = (*_TITLES, *_bands())
    lines = [
        f"Predicted - measured over {gap.seconds:.1f} s{f', {gap.label}' if gap.label else ''}. "
        f"Bands: power measured over predicted.",
        "",
        f"| {' | '.join(titles)} |",
        f"|{'---|' * len(titles)}",
        *[f"| {' | '.join(row)} |" for row in _rows(gap)],
    ]
    return "\n".join(lines) + "\n"


def draw_gap(gap: Gap, path: str | os.PathLike[str]) -> Path:
    """Draw both, signal by signal, into a picture (png, svg, pdf)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = pairs_of(gap)[:_MOST_PANELS]
    figure = Figure(figsize=(8.0, 0.8 + 1.7 * len(shown)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for panel, (one, recorded, predicted) in zip(panels, shown, strict=True):
        panel.plot(gap.time, recorded, color=_BLUE, lw=1.6, label="measured")
        panel.plot(gap.time, predicted, color=_ORANGE, lw=1.2, label="predicted")
        panel.set_title(f"{one.signal}, RMSE {one.rmse:.3g}", loc="left", fontsize=10, color=_INK)
        panel.grid(axis="y", color=_FAINT, lw=0.7)
        panel.tick_params(colors=_INK, labelsize=8, length=0)
        for side in ("top", "right", "left"):
            panel.spines[side].set_visible(False)
    panels[0].legend(frameon=False, fontsize=8, labelcolor=_INK, loc="upper right")
    panels[-1].set_xlabel("time [s]", color=_INK, fontsize=9)
    if gap.label:
        figure.suptitle(gap.label, x=0.01, ha="left", color=_INK, fontsize=11)
    figure.savefig(path, facecolor="white")
    return Path(path)
