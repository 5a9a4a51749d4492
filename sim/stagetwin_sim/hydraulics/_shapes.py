"""Shapes of tanks, on the host."""

from __future__ import annotations

import math

__all__ = ["volume_share"]


def volume_share(height_share: float, shape: float) -> float:
    """Return the share of a tank's volume below a share of its height.

    Args:
        height_share: 0 at the bottom, 1 at the rim; what is beyond counts as there.
        shape: 0 upright, 1 lying cylinder (segment of a circle), 2 sphere (its cap).
    """
    y = min(max(height_share, 0.0), 1.0)
    if shape > 1.5:
        return y * y * (3 - 2 * y)
    if shape > 0.5:
        c = 1 - 2 * y
        return (math.acos(c) - c * math.sqrt(max(1 - c * c, 0.0))) / math.pi
    return y
