"""Alarms on what models give: expected values, residuals and outputs that nothing measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Given", "signal_of"]

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

_ENDS = (":predicted", ":residual")


@dataclass(frozen=True, slots=True)
class Given:
    """Limits of numbers that models give; every array has shape (n,).

    Attributes:
        paths: properties that are judged.
        sign: 1 above a limit, -1 below.
        limit: limit, times sign.
        hysteresis: how far a number must come back.
    """

    paths: list[str]
    sign: Floats
    limit: Floats
    hysteresis: Floats

    def judge(self, expected: Callable[[str], float], active: Mask) -> tuple[Mask, Mask]:
        """Return which are beyond their limits, and which are known at all.

        Args:
            expected: returns the newest number of a property; NaN where it is not known.
            active: which were beyond their limits before.
        """
        values = np.array([expected(path) for path in self.paths], np.float64)
        beyond: Mask = values * self.sign > self.limit - self.hysteresis * active
        known: Mask = values == values
        return beyond, known


def signal_of(path: str) -> str:
    """Return the measured property beside an expected one; empty where there is none."""
    for end in _ENDS:
        if path.endswith(end):
            return f"{path.removesuffix(end)}:value"
    return ""
