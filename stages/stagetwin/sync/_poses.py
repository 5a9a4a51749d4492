"""Rigid matrices as poses and back, whole columns at a time; row vectors as in USD."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["RIGID_WITHIN", "are_rigid", "matrices_of", "poses_of"]

Array = npt.NDArray[Any]

RIGID_WITHIN = 1e-9
"""How far rows of a rotation may be from orthonormal; what is further off travels as a matrix."""


def are_rigid(matrices: Array) -> Array:
    """Tell which matrices only turn and move; shape (n, 16) to bool, shape (n,)."""
    m = np.asarray(matrices, np.float64).reshape(-1, 4, 4)
    turn = m[:, :3, :3]
    with np.errstate(all="ignore"):
        gram = np.einsum("nij,nkj->nik", turn, turn)
        orthonormal = (np.abs(gram - np.eye(3)) <= RIGID_WITHIN).all(axis=(1, 2))
        proper = np.einsum("ni,ni->n", np.cross(turn[:, 0], turn[:, 1]), turn[:, 2]) > 0
    affine = (m[:, :3, 3] == 0).all(axis=1) & (m[:, 3, 3] == 1)
    rigid: Array = orthonormal & proper & affine & np.isfinite(m[:, 3, :3]).all(axis=1)
    return rigid


def poses_of(matrices: Array) -> Array:
    """Return rigid matrices as poses.

    Args:
        matrices: shape (n, 16), rows of row vectors.

    Returns:
        Position and unit quaternion (x, y, z, w) with w >= 0, float64, shape (n, 7).
    """
    m = np.asarray(matrices, np.float64).reshape(-1, 4, 4)
    # The rotation of column vectors, as textbooks have it.
    r = m[:, :3, :3].transpose(0, 2, 1)
    diagonal = np.einsum("nii->ni", r)
    trace = diagonal.sum(axis=1)
    # Four times each squared component; the largest divides, so that none is divided by nearly 0.
    squares = np.concatenate((1 + 2 * diagonal - trace[:, None], 1 + trace[:, None]), axis=1)
    xy, xz, yz = r[:, 0, 1] + r[:, 1, 0], r[:, 0, 2] + r[:, 2, 0], r[:, 1, 2] + r[:, 2, 1]
    wx, wy, wz = r[:, 2, 1] - r[:, 1, 2], r[:, 0, 2] - r[:, 2, 0], r[:, 1, 0] - r[:, 0, 1]
    x2, y2, z2, w2 = squares.T
    choices = np.stack(
        [
            np.stack((x2, xy, xz, wx), axis=1),
            np.stack((xy, y2, yz, wy), axis=1),
            np.stack((xz, yz, z2, wz), axis=1),
            np.stack((wx, wy, wz, w2), axis=1),
        ]
    )
    quaternion = choices[squares.argmax(axis=1), np.arange(len(m))]
    quaternion /= np.linalg.norm(quaternion, axis=1, keepdims=True)
    quaternion[quaternion[:, 3] < 0] *= -1
    return np.concatenate((m[:, 3, :3], quaternion), axis=1)


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
