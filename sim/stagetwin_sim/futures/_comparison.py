"""Futures beside each other: a table, plain data, a plot, stages to look at."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from stagetwin._text import unit_text
from stagetwin_sim._errors import ScenarioError
from stagetwin_sim.engine import Floats
from stagetwin_sim.futures._branch import Branch
from stagetwin_sim.futures._present import Present
from stagetwin_sim.futures._scenario import Scenario

if TYPE_CHECKING:
    from stagetwin_sim.futures._optimum import Optimum

__all__ = ["Comparison", "Row", "Traces"]


@dataclass(frozen=True, slots=True)
class Row:
    """One future.

    Attributes:
        name: unique.
        branch: what it was told.
        measures: by name; NaN for what never happened.
        relaid: whether it is of another layout than the plant's own.
    """

    name: str
    branch: Branch
    measures: dict[str, float]
    relaid: bool = False


@dataclass(frozen=True, slots=True)
class Traces:
    """Signals over time.

    Attributes:
        names, units: of the signals.
        times: from now [s], shape (times,).
        values: shape (times, futures, signals).
    """

    names: Sequence[str]
    units: Sequence[str]
    times: Floats
    values: Floats


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What became of the futures of a scenario.

    Attributes:
        scenario: what was asked.
        present: where they started.
        rows: one for each future, in order.
        units: of each measure.
        traces: signals over time.
        spent: how long it took [s].
        optimum: set-points that were sought.
        without: models that did not run, or stopped, as `PRIM.NAME`.
    """

    scenario: Scenario
    present: Present
    rows: Sequence[Row]
    units: dict[str, str]
    traces: Traces
    spent: float
    optimum: Optimum | None = None
    without: Sequence[str] = ()

    @property
    def speed(self) -> float:
        """Simulated time of all futures over the time it took."""
        return self.scenario.horizon * len(self.rows) / self.spent if self.spent else math.inf

    def row(self, name: str) -> Row:
        """Return a future.

        Raises:
            ScenarioError: there is none of that name.
        """
        for row in self.rows:
            if row.name == name:
                return row
        known = ", ".join(row.name for row in self.rows[:8])
        raise ScenarioError(f"no future {name!r}; there are {known}")

    def to_json(self, traces: bool = False) -> dict[str, Any]:
        """Return it as plain data; what never happened is None.

        Args:
            traces: whether signals over time go with it.
        """
        said: dict[str, Any] = {
            "name": self.scenario.name,
            "horizon": self.scenario.horizon,
            "spent": self.spent,
            "speed": self.speed,
            "units": self.units,
            "without": list(self.without),
            "futures": [
                {"name": row.name, "measures": {k: _plain(v) for k, v in row.measures.items()}}
                for row in self.rows
            ],
        }
        if traces:
            said["traces"] = {
                "times": self.traces.times.tolist(),
                "signals": [
                    {
                        "name": name,
                        "unit": self.traces.units[i],
                        "values": [
                            [_plain(v) for v in self.traces.values[:, w, i].tolist()]
                            for w in range(len(self.rows))
                        ],
                    }
                    for i, name in enumerate(self.traces.names)
                ],
            }
        if self.optimum is not None:
            said["optimum"] = self.optimum.to_json()
        return said

    def table(self, most: int = 40) -> Table:
        """Return it as a table for a terminal, with the least and greatest of each measure marked.

        Args:
            most: futures that are shown.
        """
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("future", no_wrap=True)
        names = list(self.rows[0].measures) if self.rows else []
        for name in names:
            unit = escape(unit_text(self.units.get(name, "")))
            table.add_column(f"{name} [dim]{unit}[/]" if unit else name, justify="right")
        ends = [_ends([row.measures[name] for row in self.rows]) for name in names]
        for row in self.rows[:most]:
            cells = [
                _cell(row.measures[name], *ends[i]) if len(self.rows) > 1 else f"{_text(v)}"
                for i, (name, v) in enumerate(row.measures.items())
            ]
            table.add_row(row.name, *cells)
        if len(self.rows) > most:
            table.add_row(f"[dim]… {len(self.rows) - most} more[/]")
        return table

    def plot(self, path: Path) -> None:
        """Draw the traces of all futures into a PNG, SVG or PDF file."""
        from stagetwin_sim.futures._plot import plot

        plot(self, path)

    def first_of_this_layout(self) -> Row:
        """Return the first future that is of the plant's own layout.

        Raises:
            ScenarioError: all are of other ones.
        """
        for row in self.rows:
            if not row.relaid:
                return row
        raise ScenarioError(f"{self.scenario.name}: every future is of another layout")

    def write_stage(
        self, path: Path, future: str = "", cancelled: Callable[[], bool] | None = None
    ) -> None:
        """Write one future as a stage to look at: the plant, and its expected values over time.

        Args:
            path: of the layer.
            future: name of it; empty is the first.
            cancelled: asked whether nobody wants it any more.

        Raises:
            ScenarioError: there is none of that name, or it is of another layout.
        """
        from stagetwin_sim.futures._stage import write_stage

        row = self.row(future) if future else self.rows[0]
        if row.relaid:
            raise ScenarioError(f"{row.name}: a what-if stage of another layout is not written")
        write_stage(self.present, self.scenario, row.branch, path, cancelled)


def _ends(values: Sequence[float]) -> tuple[float, float]:
    finite = [v for v in values if math.isfinite(v)]
    return (min(finite), max(finite)) if finite else (math.nan, math.nan)


def _cell(value: float, low: float, high: float) -> str:
    text = _text(value)
    if low < high and value == low:
        return f"[green]{text}[/]"
    if low < high and value == high:
        return f"[yellow]{text}[/]"
    return text


def _text(value: float) -> str:
    return "never" if math.isnan(value) else f"{value:,.5g}"


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
