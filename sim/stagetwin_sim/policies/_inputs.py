"""From readings by name to a policy's numbers, and whether they may be believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stagetwin_sim.policies._spec import Novelty, ObservationSpec, PolicySpec
from stagetwin_sim.policies._term import Term

__all__ = ["Reading", "distance", "numbers_of", "read_inputs", "unfamiliar"]

Floats = npt.NDArray[np.float64]
OF_ACTION = "action"
"""Source of a term that a runner fills by itself: what was said last."""

_SOON = 0.05
"""How far ahead of the clock a reading may claim to be [s]; more is a clock that is wrong."""


class Reading(NamedTuple):
    """What somebody measured.

    Attributes:
        values: [unit of the term], shape of the term.
        time: when, by the runner's clock [s].
    """

    values: npt.ArrayLike
    time: float


def numbers_of(term: Term, values: npt.ArrayLike) -> Floats:
    """Return a policy's numbers of physical values [unit], flat."""
    flat = np.asarray(values, np.float64).reshape(-1)
    low, high = term.bounds
    return np.clip((flat - term.offset) / term.scale, low, high)


def read_inputs(
    spec: PolicySpec, readings: Mapping[str, Reading], last: Floats, now: float
) -> tuple[Floats, str]:
    """Build the numbers of one step from readings by name.

    Args:
        spec: of the policy.
        readings: by the term's name; what the policy does not see is ignored.
        last: the policy's numbers said last, for terms with the source `action`.
        now: by the runner's clock [s].

    Returns:
        The numbers, shape (n,), and why they cannot be used; empty if they can.
    """
    parts: list[Floats] = []
    for seen in spec.observations:
        term = seen.term
        if term.source == OF_ACTION:
            parts.append(numbers_of(term, last))
            continue
        cause = _why_not(seen, readings.get(term.name), now)
        if cause:
            return np.zeros(spec.observation_count), cause
        parts.append(numbers_of(term, readings[term.name].values))
    return np.concatenate(parts), ""


def _why_not(seen: ObservationSpec, reading: Reading | None, now: float) -> str:
    term = seen.term
    if reading is None:
        return f"missing: {term.name}"
    age = now - reading.time
    if not age <= seen.max_age:  # an unknown time is an old one
        return f"stale: {term.name} is {age:.3g} s old, at most {seen.max_age:g} s"
    if age < -_SOON:
        return f"stale: {term.name} is from {-age:.3g} s ahead"
    try:
        values = np.asarray(reading.values, np.float64)
    except (TypeError, ValueError):
        return f"malformed: {term.name} is no array of numbers"
    if values.size != term.size:
        return f"malformed: {term.name} has {term.size} numbers, got {values.size}"
    if np.isnan(values).any() or (np.isinf(values) & (values != term.high)).any():
        return f"not finite: {term.name}"
    return ""


def distance(novelty: Novelty, numbers: Floats) -> Floats:
    """Return Mahalanobis' distance of numbers, shape (..., n), to what training saw."""
    away = numbers - np.asarray(novelty.mean)
    precision = np.asarray(novelty.precision).reshape(len(novelty.mean), -1)
    squared: Floats = np.einsum("...i,ij,...j->...", away, precision, away)
    return np.sqrt(np.maximum(squared, 0.0))


def unfamiliar(spec: PolicySpec, numbers: Floats) -> str:
    """Return in what an observation is beyond what training saw; empty if in nothing."""
    novelty = spec.novelty
    if novelty.low:
        low, high = np.asarray(novelty.low), np.asarray(novelty.high)
        beyond = np.flatnonzero((numbers < low) | (numbers > high))
        if beyond.size:
            i = int(beyond[0])
            return (
                f"unfamiliar: {_name_of(spec, i)} is {numbers[i]:.3g}, "
                f"training saw [{low[i]:.3g}, {high[i]:.3g}]"
            )
    if novelty.mean:
        far = float(distance(novelty, numbers))
        if not far <= novelty.threshold:
            return f"unfamiliar: distance {far:.3g}, at most {novelty.threshold:.3g}"
    return ""


def _name_of(spec: PolicySpec, column: int) -> str:
    """Return the term of a column, with its place where it has several."""
    for seen in spec.observations:
        if column < seen.term.size:
            return seen.term.name if seen.term.size == 1 else f"{seen.term.name}[{column}]"
        column -= seen.term.size
    raise IndexError(column)
