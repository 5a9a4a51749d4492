"""A number from one model's unit to another's, where two ports that are coupled differ."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

from typing import Any

import warp as wp

__all__ = ["convert"]


@wp.func
def convert(x: Any, u: Any, p: Any):
    y = wp.vector(length=1, dtype=wp.float64)
    y[0] = u[0] * p[0] + p[1]
    return y
