"""Intervals of what was counted and measured."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Interval", "bootstrap", "wilson"]

_Z = 1.959963984540054
"""Of 95 % of a normal distribution, both sides."""


class Interval(NamedTuple):
    """An estimate, and where the truth is with a confidence of 95 %."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def wilson(successes: int, trials: int) -> Interval:
    """Return the share of successes and its score interval.

    Source: Wilson, Probable Inference, the Law of Succession, and Statistical Inference, Journal of
    the American Statistical Association 22, 1927.

    Args:
        successes: within [0, trials].
        trials: independent ones; none leaves the share unknown.

    Raises:
        ValueError: more successes than trials, or less than none.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"successes must be within [0, {trials}], got {successes}")
    if trials == 0:
        return Interval(math.nan, 0.0, 1.0)
    share, squared = successes / trials, _Z * _Z / trials
    middle = (share + squared / 2.0) / (1.0 + squared)
    half = _Z / (1.0 + squared) * math.sqrt(share * (1.0 - share) / trials + squared / trials / 4.0)
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


def bootstrap(values: npt.ArrayLike, rounds: int = 4000, seed: int = 0) -> Interval:
    """Return the mean of values and its percentile interval.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.

    Args:
        values: one of each seed; what is not finite is left out.
        rounds: samples that are drawn.
        seed: of the drawing.
    """
    given = np.asarray(values, np.float64)
    given = given[np.isfinite(given)]
    if given.size == 0:
        return Interval(math.nan, math.nan, math.nan)
    drawn = np.random.default_rng(seed).integers(given.size, size=(rounds, given.size))
    low, high = np.percentile(given[drawn].mean(axis=1), [2.5, 97.5])
    return Interval(float(given.mean()), float(low), float(high))
