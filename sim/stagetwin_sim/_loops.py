"""Poses on smooth closed loops: vehicles, tools and instances that are somewhere, and move."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Loops", "as_value"]

Floats = npt.NDArray[np.float64]


class Loops:
    """Ellipses in the horizontal plane that begin where each body stands, along its heading.

    Args:
        starts: x, y, z [m] and heading [rad, counter-clockwise from +X] of each body, shape (n, 4).
        half_length, half_width: half axes along and across the heading [m], shape (n,).
        rng: where the speeds come from.
    """

    def __init__(
        self,
        starts: Sequence[tuple[float, float, float, float]],
        half_length: Sequence[float],
        half_width: Sequence[float],
        rng: np.random.Generator,
    ) -> None:
        self._starts: Floats = np.asarray(starts, float).reshape(-1, 4)
        self._length: Floats = np.asarray(half_length, float)
        self._width: Floats = np.asarray(half_width, float)
        self._phase = np.zeros(len(self._starts))
        self._rate = rng.uniform(0.12, 0.3, len(self._starts))

    def step(self, dt: float) -> Floats:
        """Move on by `dt` [s]; return x, y, z [m] and heading [rad], shape (n, 4)."""
        self._phase = (self._phase + self._rate * dt) % math.tau
        return self.poses()

    def poses(self) -> Floats:
        """Return x, y, z [m] and heading [rad], shape (n, 4)."""
        sine, cosine = np.sin(self._phase), np.cos(self._phase)
        along, across = self._length * sine, self._width * (1 - cosine)
        heading = self._starts[:, 3]
        forward = np.stack([np.cos(heading), np.sin(heading)], axis=1)
        left = np.stack([-forward[:, 1], forward[:, 0]], axis=1)
        plane = self._starts[:, :2] + along[:, None] * forward + across[:, None] * left
        turned = heading + np.arctan2(self._width * sine, self._length * cosine)
        return np.column_stack([plane, self._starts[:, 2], turned])


def as_value(pose: Floats, type_name: str) -> Any:
    """Return one pose as what a wire carries for a USD type: matrix, quaternion or position."""
    x, y, z, heading = (float(n) for n in pose)
    if type_name.startswith("matrix4"):
        c, s = math.cos(heading), math.sin(heading)
        return [[c, s, 0.0, 0.0], [-s, c, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [x, y, z, 1.0]]
    if type_name.startswith("quat"):
        return [0.0, 0.0, math.sin(heading / 2), math.cos(heading / 2)]
    return [x, y, z]
