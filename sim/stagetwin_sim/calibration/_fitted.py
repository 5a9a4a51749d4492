"""What came of a fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stagetwin_sim.calibration._free import INITIAL
from stagetwin_sim.calibration._statistics import Information
from stagetwin_sim.engine import Floats, Kind

__all__ = ["Fitted", "Identifiability"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Identifiability:
    """What the data of one instance can tell.

    Attributes:
        place: of the instance.
        names: of what was free.
        unidentifiable: those that the data do not determine.
        at_bound: those that ran into a bound of theirs.
        rank: how many directions are determined, of `len(names)`.
        condition: of the Fisher information in the fit's coordinates.
        eigenvalues: of it, ascending: its profile.
        correlation: of the estimates, shape (free, free); NaN for what is not determined.
    """

    place: str
    names: tuple[str, ...]
    unidentifiable: tuple[str, ...]
    at_bound: tuple[str, ...]
    rank: int
    condition: float
    eigenvalues: Floats
    correlation: Floats

    def entangled(self, least: float = 0.95) -> list[tuple[str, str, float]]:
        """Return pairs whose estimates are correlated at least that much, and how much."""
        pairs = []
        for i in range(len(self.names)):
            for j in range(i):
                r = float(self.correlation[i, j])
                if abs(r) >= least:
                    pairs.append((self.names[j], self.names[i], r))
        return pairs

    def __str__(self) -> str:
        lines = [
            f"{self.place}: rank {self.rank} of {len(self.names)}, condition {self.condition:.3g}"
        ]
        if self.unidentifiable:
            lines.append(f"  the data do not determine {', '.join(self.unidentifiable)}")
        if self.at_bound:
            lines.append(f"  at a bound: {', '.join(self.at_bound)}")
        lines += [f"  {a} and {b} go together (r = {r:.3f})" for a, b, r in self.entangled()]
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """Parameters of all instances of a kind, fitted.

    Attributes:
        kind: whose.
        places: who the instances are.
        names, units: of what was free: parameters, then `initial:<state>`.
        parameters: all of them, shape (parameter_count, count).
        first: first states, shape (state_count, count).
        values, stderr, low, high: of what was free, with intervals of `level`, shape (free, count);
            errors and intervals are infinite where the data do not tell.
        level: of the intervals.
        noise: standard deviation of the errors, shape (output_count, count) [unit].
        measurement_noise: the part of it that is white, the same shape [unit].
        process_noise: what makes the rest, the same shape [unit/sqrt(s)].
        correlated: whether errors are correlated in time (the model misses something), shape
            (count,); intervals allow for it.
        agreement: share of the ends that have the least cost, shape (count,).
        outputs: of the fitted models, shape (rows, output_count, count).
        iterations: of least squares.
        information: of each instance.
        bounded: which values ran into a bound, shape (free, count).
        data: fingerprint of the telemetry.
        rows: of it.
        dt: time between them [s].
    """

    kind: Kind
    places: tuple[str, ...]
    names: tuple[str, ...]
    units: tuple[str, ...]
    parameters: Floats
    first: Floats
    values: Floats
    stderr: Floats
    low: Floats
    high: Floats
    level: float
    noise: Floats
    measurement_noise: Floats
    process_noise: Floats
    correlated: npt.NDArray[np.bool_]
    agreement: Floats
    outputs: Floats
    iterations: int
    information: tuple[Information, ...]
    bounded: npt.NDArray[np.bool_]
    data: str
    rows: int
    dt: float

    def report(self, index: int) -> Identifiability:
        """Return what the data of one instance can tell."""
        info = self.information[index]
        lost = info.unidentifiable
        deviation = np.sqrt(np.maximum(np.diag(info.inverse), 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            correlation = info.inverse / np.outer(deviation, deviation)
        correlation[lost, :] = np.nan
        correlation[:, lost] = np.nan
        bounded = self.bounded[:, index]
        return Identifiability(
            place=self.places[index],
            names=self.names,
            unidentifiable=tuple(n for n, gone in zip(self.names, lost, strict=True) if gone),
            at_bound=tuple(n for n, gone in zip(self.names, bounded, strict=True) if gone),
            rank=info.rank,
            condition=info.condition,
            eigenvalues=info.eigenvalues,
            correlation=correlation,
        )

    def unidentifiable(self, index: int) -> tuple[str, ...]:
        """Return the parameters that the data of one instance do not determine."""
        names = self.report(index).unidentifiable
        return tuple(name for name in names if not name.startswith(INITIAL))

    def row(self, name: str) -> int:
        """Return the row of a free number.

        Raises:
            ValueError: it was not free.
        """
        return self.names.index(name)
