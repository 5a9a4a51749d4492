"""The load of every asset: what its signals have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["Loads", "decay", "wander"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

_LAG = 4.0
_STEADY_FOR = 45.0


def decay(dt: float, time_constant: Floats | float) -> Floats:
    """Return how much of a first-order difference is left after `dt` [s]."""
    return np.exp(-dt / np.asarray(time_constant, float))


def wander(
    state: Floats,
    dt: float,
    time_constant: float,
    deviation: Floats | float,
    rng: np.random.Generator,
) -> None:
    """Step an Ornstein-Uhlenbeck process around 0 in place, exactly for any step.

    G. E. Uhlenbeck and L. S. Ornstein, On the Theory of the Brownian Motion, Phys. Rev. 36 (1930);
    exact update: D. T. Gillespie, Phys. Rev. E 54 (1996), eq. 1.9.

    Args:
        state: the process, shape (n,).
        dt: step [s].
        time_constant: of its return [s].
        deviation: stationary standard deviation, shape (n,) or one for all.
        rng: source of the noise.
    """
    left = float(np.exp(-dt / time_constant))
    state *= left
    state += deviation * np.sqrt(1 - left * left) * rng.standard_normal(len(state))


class Loads:
    """Loads between 0 and 1: half an asset's own, half that of the group it stands in.

    Args:
        assets: path of the asset of each signal.
        rng: source of everything random.

    Attributes:
        row_of: row of each signal in the columns below, shape (signal_count,).
        load: load of each asset, shape (asset_count,).
        runs: whether each asset runs; whoever owns a `running` signal sets it.
    """

    def __init__(self, assets: Sequence[str], rng: np.random.Generator) -> None:
        self._rng = rng
        names = sorted(set(assets))
        rows = {name: row for row, name in enumerate(names)}
        above = [name.rpartition("/")[0] for name in names]
        groups = {name: row for row, name in enumerate(sorted(set(above)))}
        self.row_of: Ints = np.array([rows[a] for a in assets], np.intp)
        self._group_of: Ints = np.array([groups[name] for name in above], np.intp)
        count = len(names) + len(groups)
        self._own = slice(len(groups), count)
        self._target: Floats = rng.uniform(0.45, 0.8, count)
        self._drift = np.zeros(count)
        self._steady: Floats = self._target.copy()
        self.runs = np.ones(len(names), bool)
        self.load: Floats = np.zeros(len(names))
        self._mix()

    def step(self, dt: float) -> None:
        """Move on by `dt` [s]."""
        changed = self._rng.random(len(self._target)) < -np.expm1(-dt / _STEADY_FOR)
        fresh = self._rng.uniform(0.25, 0.95, len(self._target))
        self._target = np.where(changed, fresh, self._target)
        self._steady = self._target + (self._steady - self._target) * decay(dt, _LAG)
        wander(self._drift, dt, 6.0, 0.03, self._rng)
        self._mix()

    def _mix(self) -> None:
        level = self._steady + self._drift
        self.load = np.clip((level[self._own] + level[self._group_of]) / 2, 0.0, 1.0)
