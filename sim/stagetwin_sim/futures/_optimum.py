"""Set-points that are sought, over futures that are tried."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from stagetwin_sim._errors import ScenarioError
from stagetwin_sim.engine import Floats
from stagetwin_sim.futures._bounds import Bounds
from stagetwin_sim.futures._branches import Reader, World, grid_of, random_of
from stagetwin_sim.futures._present import Present
from stagetwin_sim.futures._run import Batch, Measures
from stagetwin_sim.futures._scenario import Constraint, FutureOf, Optimise, Scenario
from stagetwin_sim.futures._slots import Slots

__all__ = ["Optimum", "optimise"]

STEP = 1e-3
"""Of a finite difference, as a part of the range: far above rounding, far below what matters."""

_WEIGHTS = (10.0, 1e3, 1e5)
_ITERATIONS = 30


@dataclass(frozen=True, kw_only=True)
class Optimum:
    """The best set-points that were found.

    Attributes:
        goal: what was made small.
        method: how.
        settings: by what is varied.
        present: the same as they are now; NaN where nobody knows.
        value, present_value: of the goal, with them and as it is.
        constraints, present_constraints: what each constrained measure comes to.
        feasible: whether the constraints hold.
        tried: futures that were run.
    """

    goal: str
    method: str
    settings: dict[str, float]
    present: dict[str, float]
    value: float
    present_value: float
    constraints: dict[str, float] = field(default_factory=dict)
    present_constraints: dict[str, float] = field(default_factory=dict)
    feasible: bool = True
    tried: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data; what is unknown is None."""

        def plain(value: float) -> float | None:
            return value if math.isfinite(value) else None

        return {
            "goal": self.goal,
            "method": self.method,
            "settings": {k: plain(v) for k, v in self.settings.items()},
            "present": {k: plain(v) for k, v in self.present.items()},
            "value": plain(self.value),
            "present_value": plain(self.present_value),
            "constraints": {k: plain(v) for k, v in self.constraints.items()},
            "present_constraints": {k: plain(v) for k, v in self.present_constraints.items()},
            "feasible": self.feasible,
            "tried": self.tried,
        }


def optimise(
    present: Present,
    scenario: Scenario,
    *,
    folder: Path | None = None,
    confined: bool = False,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    device: str = "cpu",
    bounds: Bounds | None = None,
) -> Optimum:
    """Seek the set-points that a scenario asks for.

    `grid` and `random` (a Latin hypercube) try all at once. `gradient` takes central finite
    differences, 2n + 1 worlds of one batch, into SciPy's L-BFGS-B (R. H. Byrd, P. Lu, J. Nocedal,
    C. Zhu, A Limited Memory Algorithm for Bound Constrained Optimization, SIAM J. Sci. Comput. 16,
    1995) with quadratic penalties of growing weight (J. Nocedal, S. J. Wright, Numerical
    Optimization, 2006, section 17.1), from the best of a few points.

    Args:
        present: where the futures start.
        scenario: what is asked; has `optimise`.
        folder, confined, progress, cancelled, device, bounds: see run_scenario.

    Raises:
        ScenarioError: it asks for what is not there, or may not be.
        CancelledError: nobody wants it any more.
    """
    asked = scenario.optimise
    if asked is None:
        raise ScenarioError(f"{scenario.name}: it has no [optimise]")
    allowed = bounds or Bounds()
    allowed.check(scenario)
    search = _Search(
        present,
        scenario,
        asked,
        folder or Path.cwd(),
        confined,
        cancelled,
        progress,
        device,
        allowed,
    )
    return search.run()


class _Search:
    """Everything that was tried, and what came of it."""

    def __init__(
        self,
        present: Present,
        scenario: Scenario,
        asked: Optimise,
        folder: Path,
        confined: bool,
        cancelled: Callable[[], bool] | None,
        progress: Callable[[float], None] | None,
        device: str,
        bounds: Bounds,
    ) -> None:
        self._asked, self._cancelled, self._progress = asked, cancelled, progress
        self._slots = Slots(present)
        self._reader = Reader(scenario, self._slots, folder, confined)
        measures = Measures(scenario)
        for name in (asked.goal, *(c.measure for c in asked.constraint)):
            if name not in measures.names:
                known = ", ".join(measures.names) or "none"
                raise ScenarioError(f"optimise: no measure {name!r}; there are {known}")
        self._batch = Batch(
            present=present, scenario=scenario, measures=measures, device=device, bounds=bounds
        )
        futures = {future.name: future for future in scenario.future}
        if asked.future and asked.future not in futures:
            raise ScenarioError(
                f"optimise: no future {asked.future!r}; there are {', '.join(futures) or 'none'}"
            )
        future = futures.get(asked.future, FutureOf(name="as it is"))
        if future.layout is not None:
            raise ScenarioError(f"optimise: future {future.name!r} is of another layout")
        self._base = self._reader.branch(World(future, future.name, (), scenario.seed))
        self._low = np.array([over.low for over in asked.over], np.float64)
        self._high = np.array([over.high for over in asked.over], np.float64)
        self._tried: list[tuple[Floats, dict[str, float]]] = []

    def run(self) -> Optimum:
        """Try, and return the best."""
        now = self._present_point()
        ((_, untouched),) = self._try([None])
        known = np.where(np.isfinite(now), np.clip(now, self._low, self._high), np.nan)
        asked = self._asked
        if asked.method == "gradient":
            self._descend(known)
        else:
            points = (
                grid_of(asked.over)
                if asked.method == "grid"
                else random_of(asked.over, asked.samples, asked.seed)
            )
            self._try([np.array(point) for point in points])
        self._tell(1.0)
        best, measures = min(self._tried, key=self._rank)
        broken = self._broken(measures)
        labels = [self._label(i) for i in range(len(asked.over))]
        return Optimum(
            goal=asked.goal,
            method=asked.method,
            settings=dict(zip(labels, best.tolist(), strict=True)),
            present=dict(zip(labels, now.tolist(), strict=True)),
            value=measures[asked.goal],
            present_value=untouched[asked.goal],
            constraints={c.measure: measures[c.measure] for c in asked.constraint},
            present_constraints={c.measure: untouched[c.measure] for c in asked.constraint},
            feasible=broken <= 1e-9,
            tried=len(self._tried) + 1,
        )

    def _label(self, i: int) -> str:
        over = self._asked.over[i]
        return over.command or over.signal or f"{over.model}.{over.parameter}"

    def _present_point(self) -> Floats:
        values = []
        for over in self._asked.over:
            path = ""
            if over.command:
                path = self._slots.command(over.command)
            elif over.signal:
                path = self._slots.signal(over.signal)
            known = self._slots.present.value(path) if path else None
            values.append(math.nan if known is None else known)
        return np.array(values)

    def _try(self, points: Sequence[Floats | None]) -> list[tuple[Floats | None, dict[str, float]]]:
        """Run a future for each point; None is the present set-point."""
        branches = [
            self._base
            if point is None
            else self._reader.varied(
                self._base, list(zip(self._asked.over, point.tolist(), strict=True))
            )
            for point in points
        ]
        rows, _ = self._batch.run(branches, None, self._cancelled)
        found = list(zip(points, rows, strict=True))
        self._tried.extend((point, row) for point, row in found if point is not None)
        return found

    def _broken(self, measures: dict[str, float]) -> float:
        """Return how far the constraints are broken, each against its bound's size."""
        return math.fsum(_excess(c, measures[c.measure]) for c in self._asked.constraint)

    def _rank(self, tried: tuple[Floats, dict[str, float]]) -> tuple[float, float]:
        broken, goal = self._broken(tried[1]), tried[1][self._asked.goal]
        goal = goal if math.isfinite(goal) else math.inf
        return (0.0, goal) if broken <= 1e-9 else (broken, goal)

    # -- downhill

    def _descend(self, now: Floats) -> None:
        width = self._high - self._low
        spread = random_of(self._asked.over, 4 * len(width), self._asked.seed)
        points = [np.array(point) for point in spread]
        if np.isfinite(now).all():
            points.append(now)
        self._try(points)
        goals = [abs(row[self._asked.goal]) for _, row in self._tried]
        scale = max(float(np.nanmedian(goals)), 1e-9)
        for i, weight in enumerate(_WEIGHTS):
            start = (min(self._tried, key=self._rank)[0] - self._low) / width
            minimize(
                self._slope,
                start,
                args=(weight, scale),
                jac=True,
                method="L-BFGS-B",
                bounds=[(0.0, 1.0)] * len(width),
                options={"maxiter": _ITERATIONS, "ftol": 1e-10, "gtol": 1e-6},
            )
            self._tell((i + 1) / len(_WEIGHTS))
            if not self._asked.constraint:
                break

    def _slope(self, unit: Floats, weight: float, scale: float) -> tuple[float, Floats]:
        """Return the penalised goal and its gradient, from one batch of 2n + 1 worlds."""
        n = len(unit)
        points, widths = [np.array(unit)], []
        for i in range(n):
            up, down = np.array(unit), np.array(unit)
            up[i], down[i] = min(unit[i] + STEP, 1.0), max(unit[i] - STEP, 0.0)
            points += [up, down]
            widths.append(up[i] - down[i])
        width = self._high - self._low
        found = self._try([self._low + point * width for point in points])
        costs = np.array([self._penalised(row, weight, scale) for _, row in found])
        return float(costs[0]), (costs[1::2] - costs[2::2]) / np.array(widths)

    def _penalised(self, measures: dict[str, float], weight: float, scale: float) -> float:
        goal = measures[self._asked.goal] / scale
        if not math.isfinite(goal):
            return 1e6
        return goal + weight * math.fsum(
            _excess(c, measures[c.measure]) ** 2 for c in self._asked.constraint
        )

    def _tell(self, done: float) -> None:
        if self._progress is not None:
            self._progress(done)


def _excess(constraint: Constraint, value: float) -> float:
    """Return how far a measure is beyond what it may be, against the size of the bound."""
    if not math.isfinite(value):
        return 1.0
    excess = 0.0
    if constraint.most is not None:
        excess = max(excess, (value - constraint.most) / max(abs(constraint.most), 1.0))
    if constraint.least is not None:
        excess = max(excess, (constraint.least - value) / max(abs(constraint.least), 1.0))
    return excess
