"""Where the links of a robot stand, and frames in which its joints are UsdPhysics' own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import newton
import numpy as np
import numpy.typing as npt
import warp as wp

from stagetwin_sim.robots._turns import about, quaternion_of

__all__ = ["JointFrame", "body_poses", "joint_frame"]

Floats = npt.NDArray[np.float64]

_AXES = ("X", "Y", "Z")


def body_poses(builder: Any) -> list[Any]:
    """Return the poses of all bodies in their joints' first positions, as Warp's transforms.

    Source: each joint takes its child from parent * X_p * J(q) * X_c^-1 (R. Featherstone, "Rigid
    Body Dynamics Algorithms" (2008), section 4.1).
    """
    poses = [wp.transform(*pose) for pose in builder.body_q]
    for j, child in enumerate(builder.joint_child):
        parent = int(builder.joint_parent[j])
        above = poses[parent] if parent >= 0 else wp.transform_identity()
        before = above * builder.joint_X_p[j] * _moved(builder, j)
        poses[int(child)] = before * wp.transform_inverse(builder.joint_X_c[j])
    return poses


def _moved(builder: Any, j: int) -> Any:
    """Return the transform that a joint's first position is."""
    kind = newton.JointType(builder.joint_type[j])
    q = [float(v) for v in builder.joint_q[builder.joint_q_start[j] :]]
    if kind is newton.JointType.FREE:
        return wp.transform(wp.vec3(*q[:3]), wp.quat(*q[3:7]))
    if kind is newton.JointType.BALL:
        return wp.transform(wp.vec3(0.0, 0.0, 0.0), wp.quat(*q[:4]))
    moved = wp.transform_identity()
    first = int(builder.joint_qd_start[j])
    linear, angular = builder.joint_dof_dim[j]
    for i in range(linear + angular):
        axis = builder.joint_axis[first + i]
        if i < linear:
            step = wp.transform(wp.vec3(*(float(v) * q[i] for v in axis)), wp.quat_identity())
        else:
            step = wp.transform(wp.vec3(0.0, 0.0, 0.0), about(axis, q[i]))
        moved = moved * step
    return moved


@dataclass(frozen=True)
class JointFrame:
    """How a joint's own frame is turned so that its axes are those of a frame.

    Attributes:
        turn: Warp's quaternion, applied on both sides of the joint.
        axes: the axis of each of its freedoms: X, Y or Z.
    """

    turn: Any
    axes: tuple[str, ...]


def joint_frame(linear: Sequence[Any], angular: Sequence[Any]) -> JointFrame | None:
    """Return the frame whose axes are those of a joint, None where no right-handed one has them.

    The freedoms of a generic joint come in the order X, Y, Z, translations first; so must these.
    """
    vectors = [np.array(axis, np.float64) for axis in (*linear, *angular)]
    count = len(linear)
    if any(abs(float(np.linalg.norm(v)) - 1) > 1e-4 for v in vectors):
        return None
    found: tuple[float, Floats, tuple[int, ...]] | None = None
    for first in itertools.combinations(range(3), count):
        for second in itertools.combinations(range(3), len(angular)):
            slots = (*first, *second)
            matrix = _completed(slots, vectors)
            # The least turned of all, so that plain axes keep plain frames.
            if matrix is not None and (found is None or np.trace(matrix) > found[0] + 1e-9):
                found = (float(np.trace(matrix)), matrix, slots)
    if found is None:
        return None
    return JointFrame(quaternion_of(found[1]), tuple(_AXES[slot] for slot in found[2]))


def _completed(slots: Sequence[int], vectors: Sequence[Floats]) -> Floats | None:
    """Return the rotation whose columns at `slots` are the vectors."""
    columns: list[Floats | None] = [None, None, None]
    for slot, vector in zip(slots, vectors, strict=True):
        known = columns[slot]
        if known is not None and float(known @ vector) < 1 - 1e-6:
            return None
        columns[slot] = vector
    if not vectors:
        return np.eye(3)
    known_slots = [i for i in range(3) if columns[i] is not None]
    if len(known_slots) == 1:
        slot = known_slots[0]
        only = columns[slot]
        assert only is not None
        unit = np.eye(3)[slot]
        cross = np.cross(unit, only)
        sine, cosine = float(np.linalg.norm(cross)), float(unit @ only)
        if sine < 1e-9:
            return np.eye(3) if cosine > 0 else _half_turn(slot)
        return _rotation(cross / sine, math.atan2(sine, cosine))
    if len(known_slots) == 2:
        a, b = known_slots
        missing = 3 - a - b
        one, two = columns[(missing + 1) % 3], columns[(missing + 2) % 3]
        assert one is not None
        assert two is not None
        columns[missing] = np.cross(one, two)
    matrix = np.stack([c for c in columns if c is not None], axis=1)
    sound = np.allclose(matrix.T @ matrix, np.eye(3), atol=1e-4)
    return matrix if sound and np.linalg.det(matrix) > 0 else None


def _half_turn(slot: int) -> Floats:
    turn = -np.eye(3)
    turn[(slot + 1) % 3, (slot + 1) % 3] = 1.0
    return turn


def _rotation(axis: Floats, angle: float) -> Floats:
    """Return a rotation (O. Rodrigues, 1840)."""
    x, y, z = axis
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn: Floats = np.eye(3) + math.sin(angle) * k + (1 - math.cos(angle)) * (k @ k)
    return turn
