"""What a fit may move: parameters and first states, in coordinates that have no bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin_sim._errors import CalibrationError
from stagetwin_sim.calibration._rollout_kernels import ABOVE, BELOW, BETWEEN, DECADES, PLAIN
from stagetwin_sim.engine import Floats, Kind

__all__ = ["INITIAL", "Coordinates", "Prior"]

INITIAL = "initial:"
"""Before the name of a state: its first value is fitted too."""

_SATURATED = 12.0
"""Coordinates beyond it are at a bound: what is left of the range is 6e-6 of it."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What is known of a parameter before any telemetry: normally distributed.

    Attributes:
        mean, sigma: [unit of the parameter].
    """

    mean: float
    sigma: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Coordinates:
    """Free numbers of a fit, their bounds, and the way between them and coordinates.

    Attributes:
        names: of what is free: parameters, then first states as `initial:<state>`.
        units: UCUM.
        form: how each is bounded, shape (free,), int32.
        low, high: bounds, shape (free,); of unbounded ones any number.
        size: scale of each, shape (free, count).
        place: index among the free of each parameter, -1 for fixed, shape (parameter_count or 1,).
        first_place: the same of each state.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    form: npt.NDArray[np.int32]
    low: Floats
    high: Floats
    size: Floats
    place: npt.NDArray[np.int32]
    first_place: npt.NDArray[np.int32]

    @classmethod
    def of(
        cls,
        kind: Kind,
        free: Sequence[str],
        guess: Floats,
        first: Floats,
        fit_first: bool | Sequence[str],
        bounds: Mapping[str, tuple[float, float]],
    ) -> Coordinates:
        """Return the coordinates of a fit.

        Args:
            kind: whose.
            free: names of parameters; empty for all.
            guess: all parameters, shape (parameter_count, count).
            first: first states, shape (state_count, count).
            fit_first: whether first states are free too, or the names of those that are; true is
                all that are not declared free of noise (counters are).
            bounds: narrower ones than the kind's, by name.

        Raises:
            CalibrationError: a name is unknown, nothing is free, or a bound or guess is impossible.
        """
        known = [p.name for p in kind.parameters]
        if unknown := sorted({*free, *bounds} - set(known)):
            raise CalibrationError(
                f"a {kind.name} has no parameter {', '.join(unknown)}; it has "
                f"{', '.join(known) or 'none'}"
            )
        chosen = [p for p in kind.parameters if not free or p.name in free]
        loose = [s.name for s in kind.states if s.noise != 0] if fit_first is True else []
        loose = list(fit_first) if not isinstance(fit_first, bool) else loose
        if unknown := sorted(set(loose) - {s.name for s in kind.states}):
            raise CalibrationError(f"a {kind.name} has no state {', '.join(unknown)}")
        states = [(j, s) for j, s in enumerate(kind.states) if s.name in loose]
        if not chosen and not states:
            raise CalibrationError(f"{kind.name}: nothing is free to be fitted")
        form, low, high, sizes = [], [], [], []
        for p in chosen:
            least, most = bounds.get(p.name, (p.minimum, p.maximum))
            least, most = max(least, p.minimum), min(most, p.maximum)
            values = guess[known.index(p.name)]
            if not least < most or not ((values >= least) & (values <= most)).all():
                raise CalibrationError(
                    f"{kind.name}: the first guess of {p.name} must be in [{least:g}, {most:g}] "
                    f"{p.unit}, got {np.min(values):g} to {np.max(values):g}"
                )
            form.append(_form(least, most))
            low.append(least if math.isfinite(least) else 0.0)
            high.append(most if math.isfinite(most) else 0.0)
            sizes.append(np.maximum(np.abs(values), 1e-12) if np.any(values) else values + 1.0)
        for j, _state in states:
            form.append(PLAIN)
            low.append(0.0)
            high.append(0.0)
            sizes.append(np.maximum(0.1 * np.abs(first[j]), 1e-3 if np.any(first[j]) else 1.0))
        place = np.full(max(len(known), 1), -1, np.int32)
        for k, p in enumerate(chosen):
            place[known.index(p.name)] = k
        first_place = np.full(max(len(kind.states), 1), -1, np.int32)
        for k, (j, _state) in enumerate(states):
            first_place[j] = k + len(chosen)
        return cls(
            names=(*[p.name for p in chosen], *[INITIAL + s.name for _, s in states]),
            units=(*[p.unit for p in chosen], *[s.unit for _, s in states]),
            form=np.array(form, np.int32),
            low=np.array(low),
            high=np.array(high),
            size=np.array(sizes),
            place=place,
            first_place=first_place,
        )

    @property
    def count(self) -> int:
        """How many are free."""
        return len(self.names)

    def natural(self, z: Floats) -> Floats:
        """Return values in their units from coordinates, shape (..., free, count).

        First states are what is added to the first guess.
        """
        form, low, high = (v[:, None] for v in (self.form, self.low, self.high))
        size = self.size
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            share = 1 / (1 + np.exp(-z))
            values: Any = np.select(
                [form == ABOVE, form == BELOW, form == BETWEEN, form == DECADES],
                [
                    low + np.exp(z) * size,
                    high - np.exp(z) * size,
                    low + (high - low) * share,
                    low * np.exp(np.log(np.where(low > 0, high / low, 1.0)) * share),
                ],
                z * size,
            )
        natural: Floats = values
        return natural

    def bare(self, values: Floats) -> Floats:
        """Return coordinates from values in their units, shape (free, count).

        Values at a bound are taken as a hundred-thousandth of the range away from it.
        """
        z: Floats = np.empty_like(values)
        for k, form in enumerate(self.form.tolist()):
            low, high, value, size = self.low[k], self.high[k], values[k], self.size[k]
            if form == PLAIN:
                z[k] = value / size
            elif form == ABOVE:
                z[k] = np.log(np.maximum(value - low, 1e-5 * size) / size)
            elif form == BELOW:
                z[k] = np.log(np.maximum(high - value, 1e-5 * size) / size)
            else:
                share = (value - low) / (high - low)
                if form == DECADES:
                    share = np.log(value / low) / math.log(high / low)
                share = np.clip(share, 1e-5, 1 - 1e-5)
                z[k] = np.log(share / (1 - share))
        return z

    def at_bound(self, z: Floats) -> npt.NDArray[np.bool_]:
        """Return which coordinates have run into a bound, shape as given."""
        bounded = (self.form != PLAIN)[:, None]
        one_sided = np.isin(self.form, (ABOVE, BELOW))[:, None]
        reached: npt.NDArray[np.bool_] = bounded & np.where(
            one_sided, z < -_SATURATED, np.abs(z) > _SATURATED
        )
        return reached


def _form(low: float, high: float) -> int:
    if math.isfinite(low) and math.isfinite(high):
        return DECADES if low > 0 and high / low > 100 else BETWEEN
    if math.isfinite(low):
        return ABOVE
    return BELOW if math.isfinite(high) else PLAIN
