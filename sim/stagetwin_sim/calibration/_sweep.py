"""Sweeps: parameters without gradients (contacts, friction, FMUs), found by trying many at once.

Source of the refinement: R. Rubinstein, The cross-entropy method for combinatorial and continuous
optimization, Methodology and Computing in Applied Probability 1 (1999) 127-190.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.stats import qmc

from stagetwin_sim._errors import CalibrationError
from stagetwin_sim.calibration._fit import Progress
from stagetwin_sim.engine import Engine, Floats

__all__ = ["Objective", "Swept", "sweep", "worlds_objective"]

Objective = Callable[[Mapping[str, Floats]], Floats]
"""Takes candidates by name, each shape (candidate_count,), to what is to be small; NaN for those
that came to nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Swept:
    """What came of a sweep.

    Attributes:
        best: parameters of the least loss.
        loss: of it.
        points: all that were tried, by name, shape (tried,).
        losses: of them, shape (tried,).
        spread: half width of what is about as good (within the tenth best), by name.
    """

    best: Mapping[str, float]
    loss: float
    points: Mapping[str, Floats]
    losses: Floats
    spread: Mapping[str, float]


def sweep(
    objective: Objective,
    ranges: Mapping[str, tuple[float, float]],
    *,
    method: Literal["grid", "random", "refine"] = "refine",
    budget: int = 256,
    batch: int = 64,
    seed: int = 0,
    progress: Progress | None = None,
) -> Swept:
    """Look for the parameters that make an objective least.

    Args:
        objective: judges a batch of candidates at once.
        ranges: lowest and highest of each parameter; by decades where they span more than two.
        method: all points of a grid, points spread evenly at random (Sobol), or these and then
            ever narrower around the best ones (cross entropy).
        budget: candidates in all.
        batch: candidates at once.
        seed: of what is random.
        progress: told how far it is.

    Raises:
        CalibrationError: a range is empty, or every candidate came to nothing.
    """
    names = list(ranges)
    if not names:
        raise CalibrationError("a sweep needs at least one range")
    for name, (low, high) in ranges.items():
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise CalibrationError(f"{name}: a range must rise and be finite, got {low} to {high}")
    tell = progress or (lambda share, what: None)
    shares: list[Floats] = []
    losses: list[Floats] = []

    def run(unit: Floats) -> None:
        for begin in range(0, len(unit), batch):
            part = unit[begin : begin + batch]
            loss = np.asarray(objective(_natural(part, ranges)), np.float64)
            if loss.shape != (len(part),):
                raise CalibrationError(
                    f"the objective must give {len(part)} numbers, got shape {loss.shape}"
                )
            shares.append(part)
            losses.append(loss)
            tell(min(sum(map(len, losses)) / budget, 1.0), "sweeping")

    if method == "grid":
        side = max(2, math.floor(budget ** (1 / len(names)) + 1e-9))
        axis = np.linspace(0, 1, side)
        run(np.array(list(itertools.product(axis, repeat=len(names)))))
    elif method == "random":
        run(_sobol(len(names), budget, seed))
    else:
        _refine(run, shares, losses, len(names), budget, batch, seed)
    points, values = np.concatenate(shares), np.concatenate(losses)
    usable = np.isfinite(values)
    if not usable.any():
        raise CalibrationError("every candidate of the sweep came to nothing")
    order = np.argsort(np.where(usable, values, math.inf))
    tenth = points[order[: max(2, int(usable.sum()) // 10)]]
    natural = _natural(points, ranges)
    near = _natural(tenth, ranges)
    first = int(order[0])
    return Swept(
        best={name: float(natural[name][first]) for name in names},
        loss=float(values[first]),
        points=natural,
        losses=values,
        spread={name: float(np.ptp(near[name])) / 2 for name in names},
    )


def worlds_objective(
    engine: Engine,
    assign: Callable[[Engine, Mapping[str, Floats]], None],
    loss: Callable[[Engine, Floats], Floats],
    columns: list[int],
    frames: int,
    every: int = 1,
) -> Objective:
    """Return an objective that runs one candidate in each world of an engine.

    The engine begins every time from the state it has now; worlds beyond the candidates repeat the
    last one.

    Args:
        engine: with as many worlds as a batch has candidates.
        assign: gives parameters to the worlds; each value has shape (worlds,).
        loss: takes the engine and the history of the columns, shape (samples, worlds, columns), to
            what is to be small, shape (worlds,).
        columns: of the bus to be kept.
        frames: how long to run.
        every: frames between two samples.
    """
    start = engine.save()

    def objective(candidates: Mapping[str, Floats]) -> Floats:
        count = len(next(iter(candidates.values())))
        if count > engine.worlds:
            raise CalibrationError(f"{count} candidates, {engine.worlds} worlds")
        indices = np.minimum(np.arange(engine.worlds), count - 1)
        engine.restore(start)
        assign(engine, {name: values[indices] for name, values in candidates.items()})
        samples = []
        for _ in range(frames // every):
            engine.step(every)
            samples.append(engine.read(columns))
        judged: Floats = np.asarray(loss(engine, np.array(samples)), np.float64)
        return judged[:count]

    return objective


def _refine(
    run: Callable[[Floats], None],
    shares: list[Floats],
    losses: list[Floats],
    count: int,
    budget: int,
    batch: int,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    run(_sobol(count, min(budget, max(batch, budget // 3)), seed))
    done = sum(map(len, losses))
    while done < budget:
        points, values = np.concatenate(shares), np.concatenate(losses)
        order = np.argsort(np.where(np.isfinite(values), values, math.inf))
        best = points[order[: max(4, batch // 6)]]
        spread = np.maximum(best.std(axis=0), 1e-4)
        more = best.mean(axis=0) + spread * rng.standard_normal((min(batch, budget - done), count))
        run(np.clip(more, 0, 1))
        done = sum(map(len, losses))


def _sobol(count: int, budget: int, seed: int) -> Floats:
    power = max(1, math.ceil(math.log2(budget)))
    make: Any = qmc.Sobol  # its argument for the seed has two names, by version
    points: Floats = make(count, seed=seed).random_base2(power)[:budget]
    return points


def _natural(unit: Floats, ranges: Mapping[str, tuple[float, float]]) -> dict[str, Floats]:
    values: dict[str, Floats] = {}
    for k, (name, (low, high)) in enumerate(ranges.items()):
        if low > 0 and high / low > 100:
            values[name] = low * (high / low) ** unit[:, k]
        else:
            values[name] = low + (high - low) * unit[:, k]
    return values
