"""Quaternions (x, y, z, w) and matrices, by Warp's functions outside of kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import warp

__all__ = ["about", "combined", "matrix_of", "quaternion_of"]

wp: Any = warp
"""Warp types its functions for kernels, where values are its own."""


def quaternion_of(matrix: Any) -> Any:
    """Return the quaternion of a rotation, shape (3, 3)."""
    return wp.normalize(wp.quat_from_matrix(wp.mat33(*np.asarray(matrix).reshape(-1).tolist())))


def matrix_of(quaternion: Any) -> Any:
    """Return the rotation of a quaternion, shape (3, 3)."""
    return np.array(wp.quat_to_matrix(wp.quat(*map(float, quaternion)))).reshape(3, 3)


def about(axis: Any, angle: float) -> Any:
    """Return the quaternion of a turn about an axis [rad]."""
    return wp.quat_from_axis_angle(wp.vec3(*map(float, axis)), angle)


def combined(first: Any, second: Any) -> Any:
    """Return the product of two quaternions: the second turn happens in the first one's frame."""
    return wp.normalize(wp.mul(wp.quat(*map(float, first)), wp.quat(*map(float, second))))
