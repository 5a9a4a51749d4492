"""From newton's poses to the transforms of prims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pxr import Usd, UsdGeom

__all__ = ["PoseFrames", "matrices", "quaternion", "read_frames"]

Floats = npt.NDArray[np.float64]

_Y_UP = np.array(
    [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)
"""From a stage with Y up to Z up, for row vectors."""


@dataclass(frozen=True)
class PoseFrames:
    """What takes the pose of each body to the transform of its prim.

    A prim may be scaled, lie below other bodies, and live on a stage with other units and up axis.

    Attributes:
        paths: of the bodies' prims.
        bodies: newton's index of each, shape (n,).
        resets: whether a prim's transform is of the world, shape (n,); else it is of its parent.
        shapes: scale and the like between prim and body, shape (n, 4, 4).
        parents: from the world, or from the body above, to the parent prim, shape (n, 4, 4).
        above: position of the body that the prim lies below, -1 for none, shape (n,).
        to_stage: from metres with Z up to the stage, shape (4, 4).
    """

    paths: tuple[str, ...]
    bodies: npt.NDArray[np.int32]
    resets: npt.NDArray[np.bool_]
    shapes: Floats
    parents: Floats
    above: npt.NDArray[np.int32]
    to_stage: Floats

    def local(self, poses: npt.NDArray[Any]) -> Floats:
        """Return the transforms of the prims, row vectors, shape (n, 16).

        Args:
            poses: of all bodies of a world, (x, y, z, qx, qy, qz, qw) [m], shape (n, 7).
        """
        prims = self.shapes @ (matrices(poses[self.bodies]) @ self.to_stage)
        below = self.above >= 0
        if below.any():
            held = prims[self.above[below]]
            prims = prims.copy()
            prims[below] = prims[below] @ np.linalg.inv(held)
        placed: Floats = prims @ self.parents
        return placed.reshape(len(self.paths), 16)


def matrices(poses: npt.NDArray[Any]) -> Floats:
    """Return poses (x, y, z, qx, qy, qz, qw) as matrices for row vectors, shape (n, 4, 4)."""
    values = np.asarray(poses, np.float64).reshape(-1, 7)
    x, y, z, w = (values[:, i] / np.linalg.norm(values[:, 3:], axis=1) for i in (3, 4, 5, 6))
    made = np.zeros((len(values), 4, 4))
    made[:, 0, 0] = 1 - 2 * (y * y + z * z)
    made[:, 0, 1] = 2 * (x * y + z * w)
    made[:, 0, 2] = 2 * (x * z - y * w)
    made[:, 1, 0] = 2 * (x * y - z * w)
    made[:, 1, 1] = 1 - 2 * (x * x + z * z)
    made[:, 1, 2] = 2 * (y * z + x * w)
    made[:, 2, 0] = 2 * (x * z + y * w)
    made[:, 2, 1] = 2 * (y * z - x * w)
    made[:, 2, 2] = 1 - 2 * (x * x + y * y)
    made[:, 3, :3] = values[:, :3]
    made[:, 3, 3] = 1
    return made


def quaternion(turn: Floats) -> tuple[float, float, float, float]:
    """Return a rotation matrix for row vectors as (x, y, z, w), w >= 0."""
    m = turn.T
    four = np.array(
        [
            [m[0, 0] - m[1, 1] - m[2, 2], 0.0, 0.0, 0.0],
            [m[0, 1] + m[1, 0], m[1, 1] - m[0, 0] - m[2, 2], 0.0, 0.0],
            [m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], m[2, 2] - m[0, 0] - m[1, 1], 0.0],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], np.trace(m)],
        ]
    )
    _, vectors = np.linalg.eigh(four)  # the lower half is read
    x, y, z, w = (vectors[:, -1] * (1.0 if vectors[3, -1] >= 0 else -1.0)).tolist()
    return x, y, z, w


def read_frames(
    stage: Usd.Stage, bodies: Mapping[str, int], poses: Sequence[Any], metre: float
) -> PoseFrames:
    """Read how the prims of bodies stand to them.

    Args:
        stage: as the bodies were read from it.
        bodies: index by prim path.
        poses: of the bodies as read [m].
        metre: length of a unit of the stage [m].
    """
    to_stage = np.diag([1 / metre, 1 / metre, 1 / metre, 1.0])
    if UsdGeom.GetStageUpAxis(stage) == "Y":
        to_stage = _Y_UP.T @ to_stage
    paths = tuple(sorted(bodies, key=lambda path: bodies[path]))
    cache = UsdGeom.XformCache(Usd.TimeCode.Default())
    order = [bodies[path] for path in paths]
    rest = matrices(np.array([list(poses[i]) for i in order], np.float64)) @ to_stage
    place = {path: i for i, path in enumerate(paths)}
    count = len(paths)
    shapes, parents = np.empty((count, 4, 4)), np.tile(np.eye(4), (count, 1, 1))
    resets, above = np.zeros(count, bool), np.full(count, -1, np.int32)
    for i, path in enumerate(paths):
        prim = stage.GetPrimAtPath(path)
        world = np.array(cache.GetLocalToWorldTransform(prim))
        shapes[i] = world @ np.linalg.inv(rest[i])
        resets[i] = UsdGeom.Xformable(prim).GetResetXformStack()
        if resets[i]:
            continue
        parent = prim.GetParent()
        standing = np.array(cache.GetLocalToWorldTransform(parent))
        holder = parent
        while holder and not holder.IsPseudoRoot() and str(holder.GetPath()) not in place:
            holder = holder.GetParent()
        above[i] = place.get(str(holder.GetPath()), -1) if holder else -1
        if above[i] >= 0:
            standing = standing @ np.linalg.inv(np.array(cache.GetLocalToWorldTransform(holder)))
        parents[i] = np.linalg.inv(standing)
    return PoseFrames(paths, np.array(order, np.int32), resets, shapes, parents, above, to_stage)
