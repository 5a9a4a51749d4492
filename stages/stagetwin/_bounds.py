"""Bounds: limits of numbers, and of vectors and arrays by component."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

__all__ = ["Bound", "as_bound", "bound_text", "spread", "tightest"]

Bound = float | tuple[float, ...]
"""A limit: one number for all components, or one for each."""


def as_bound(authored: Any) -> Bound | None:
    """Return an authored limit as a bound, or None if it is none: no number, or NaN."""
    if isinstance(authored, bool):
        return None
    if isinstance(authored, (int, float)):
        return None if math.isnan(authored) else float(authored)
    if isinstance(authored, (str, bytes)) or not hasattr(authored, "__len__"):
        return None
    parts = [as_bound(authored[i]) for i in range(len(authored))]
    numbers = tuple(part for part in parts if isinstance(part, float))
    if not numbers or len(numbers) != len(parts):
        return None
    return numbers[0] if len(set(numbers)) == 1 else numbers


def tightest(choose: Callable[[float, float], float], one: Bound, other: Bound) -> Bound:
    """Return the component-wise choice (min or max) of two bounds."""
    if isinstance(one, float) and isinstance(other, float):
        return choose(one, other)
    size = len(one) if isinstance(one, tuple) else len(other)  # type: ignore[arg-type]
    pairs = zip(spread(one, size), spread(other, size), strict=True)
    chosen = tuple(choose(a, b) for a, b in pairs)
    return chosen[0] if len(set(chosen)) == 1 else chosen


def spread(bound: Bound, size: int) -> tuple[float, ...]:
    """Return a bound with one number per component; one of another length is padded loosely."""
    if isinstance(bound, tuple):
        return (*bound, *(bound[-1:] * (size - len(bound))))[:size]
    return (bound,) * size


def bound_text(bound: Bound) -> str:
    """Return a bound as people write it."""
    if isinstance(bound, tuple):
        return f"({', '.join(f'{part:g}' for part in bound)})"
    return f"{bound:g}"
