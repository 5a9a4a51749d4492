"""Rigid matrices as poses and back, whole columns at a time; row vectors as in USD."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["RIGID_WITHIN", "are_rigid", "matrices_of", "poses_of"]

Array = npt.NDArray[Any]
_Three = tuple[Array, Array, Array]

RIGID_WITHIN = 1e-9
"""How far rows of a rotation may be from orthonormal; what is further off travels as a matrix."""


def are_rigid(matrices: Array) -> Array:
    """Tell which matrices only turn and move; shape (n, 16) to bool, shape (n,)."""
    # One array for each number of the matrix: numpy is slow with many small ones.
    m = np.ascontiguousarray(np.asarray(matrices, np.float64).reshape(-1, 16).T)
    a, b, c = m[0:3], m[4:7], m[8:11]
    with np.errstate(all="ignore"):
        rigid: Array = (m[3] == 0) & (m[7] == 0) & (m[11] == 0) & (m[15] == 1)
        for one, other, wanted in (
            (a, a, 1),
            (b, b, 1),
            (c, c, 1),
            (a, b, 0),
            (a, c, 0),
            (b, c, 0),
        ):
            rigid &= np.abs(_dot(one, other) - wanted) <= RIGID_WITHIN
        rigid &= _dot(_cross(a, b), c) > 0
    return rigid & np.isfinite(m[12:15]).all(axis=0)


def _dot(a: Array | _Three, b: Array | _Three) -> Array:
    dot: Array = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    return dot


def _cross(a: Array, b: Array) -> _Three:
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


def poses_of(matrices: Array) -> Array:
    """Return rigid matrices as poses.

    Args:
        matrices: shape (n, 16), rows of row vectors.

    Returns:
        Position and unit quaternion (x, y, z, w) with w >= 0, float64, shape (n, 7).
    """
    m = np.ascontiguousarray(np.asarray(matrices, np.float64).reshape(-1, 16).T)
    p, q, r = m[0], m[5], m[10]
    # Four times each squared component; the largest divides, so that none is divided by nearly 0.
    squares = np.stack((1 + p - q - r, 1 - p + q - r, 1 - p - q + r, 1 + p + q + r))
    x2, y2, z2, w2 = squares
    # A row vector's rotation is the transpose of what textbooks have.
    xy, xz, yz = m[1] + m[4], m[2] + m[8], m[6] + m[9]
    wx, wy, wz = m[6] - m[9], m[8] - m[2], m[1] - m[4]
    choices = np.stack(
        (
            np.stack((x2, xy, xz, wx)),
            np.stack((xy, y2, yz, wy)),
            np.stack((xz, yz, z2, wz)),
            np.stack((wx, wy, wz, w2)),
        )
    )
    quaternion = choices[squares.argmax(axis=0), :, np.arange(m.shape[1])].T
    length = np.sqrt((quaternion * quaternion).sum(axis=0))
    quaternion = quaternion / np.where(quaternion[3] < 0, -length, length)
    return np.concatenate((m[12:15], quaternion)).T


def matrices_of(poses: Array) -> Array:
    """Return poses, shape (n, 7), as matrices, float64, shape (n, 16); quaternions are normalised.

    One of length 0 is taken as no rotation.
    """
    p = np.asarray(poses, np.float64).reshape(-1, 7)
    q = p[:, 3:]
    length = np.linalg.norm(q, axis=1)
    still = length == 0
    q = np.where(still[:, None], (0.0, 0.0, 0.0, 1.0), q / np.where(still, 1, length)[:, None])
    x, y, z, w = q.T
    out = np.zeros((len(p), 4, 4))
    out[:, 0, 0] = 1 - 2 * (y * y + z * z)
    out[:, 0, 1] = 2 * (x * y + z * w)
    out[:, 0, 2] = 2 * (x * z - y * w)
    out[:, 1, 0] = 2 * (x * y - z * w)
    out[:, 1, 1] = 1 - 2 * (x * x + z * z)
    out[:, 1, 2] = 2 * (y * z + x * w)
    out[:, 2, 0] = 2 * (x * z + y * w)
    out[:, 2, 1] = 2 * (y * z - x * w)
    out[:, 2, 2] = 1 - 2 * (x * x + y * y)
    out[:, 3, :3] = p[:, :3]
    out[:, 3, 3] = 1
    return out.reshape(-1, 16)
