"""What an observer says of each signal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from stagetwin_sim.engine import Floats

__all__ = ["Fate", "Measured", "Residual", "Residuals"]


class Fate(StrEnum):
    """What became of a measurement."""

    MISSING = "missing"
    BAD = "bad"
    HELD = "held"
    USED = "used"
    OUTLIER = "outlier"
    RELOCKED = "relocked"


@dataclass(frozen=True, slots=True)
class Measured:
    """A signal's value and what is known of it.

    Attributes:
        value: in the signal's unit.
        good: whether its quality is good; anything else corrects nothing.
        fresh: whether it is no older than the signal's `staleAfter`.
    """

    value: float
    good: bool = True
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class Residual:
    """How far one signal is from what a model expects.

    Attributes:
        path: of the signal's property.
        model: `PRIM.NAME` of the model that expects, or empty.
        measured, expected: NaN where nothing was measured, or no model has run yet.
        residual: measured minus expected.
        sigma: standard deviation of the residual while the machine is as its model.
        fate: what became of the measurement.
    """

    path: str
    model: str
    measured: float
    expected: float
    residual: float
    sigma: float
    fate: Fate

    @property
    def score(self) -> float:
        """The residual in standard deviations."""
        return self.residual / self.sigma


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """All residuals after an update, as columns; see Residual for what they hold.

    Attributes:
        paths, models: shape (count,).
        measured, expected, residual, sigma: shape (count,) [unit of each signal].
        fates: shape (count,).
    """

    paths: tuple[str, ...]
    models: tuple[str, ...]
    measured: Floats
    expected: Floats
    residual: Floats
    sigma: Floats
    fates: tuple[Fate, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[Residual]:
        numbers = np.stack([self.measured, self.expected, self.residual, self.sigma], axis=1)
        for path, model, row, fate in zip(
            self.paths, self.models, numbers.tolist(), self.fates, strict=True
        ):
            measured, expected, residual, sigma = row
            yield Residual(path, model, measured, expected, residual, sigma, fate)

    def __getitem__(self, path: str) -> Residual:
        """Return the first residual of a signal.

        Raises:
            KeyError: no model expects anything of it.
        """
        for each in self:
            if each.path == path:
                return each
        raise KeyError(path)
