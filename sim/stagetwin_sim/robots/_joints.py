"""Joints as UsdPhysics has them: frames, limits, drives, and what newton's schemas add."""

from __future__ import annotations

import math
from typing import Any

import newton
from pxr import Gf, Sdf, Usd, UsdPhysics

from stagetwin_sim.robots._layout import joint_frame
from stagetwin_sim.robots._turns import combined

__all__ = ["UNLIMITED", "Axis", "axes_of", "write_joint"]

_TYPES = Sdf.ValueTypeNames

UNLIMITED = 1e6
"""Limits beyond this are none [rad, m, N.m, N]."""

_KINDS = newton.JointType


class Axis:
    """One freedom of a joint, in SI units.

    Attributes:
        angular: whether it turns.
        lower, upper: of its position [rad or m]; infinite where there is no limit.
        velocity: highest speed [rad/s or m/s].
        effort: largest [N.m or N].

    Args:
        builder: newton's.
        freedom: newton's index.
        coordinate: newton's index of its position.
        angular: whether it turns.
    """

    def __init__(self, builder: Any, freedom: int, coordinate: int, angular: bool) -> None:
        def number(name: str) -> float:
            return float(getattr(builder, f"joint_{name}")[freedom])

        def bounded(name: str) -> float:
            value = number(name)
            return math.copysign(math.inf, value) if abs(value) >= UNLIMITED else value

        self.angular = angular
        self.lower, self.upper = bounded("limit_lower"), bounded("limit_upper")
        self.velocity, self.effort = bounded("velocity_limit"), bounded("effort_limit")
        self.stiffness, self.damping = number("target_ke"), number("target_kd")
        self.target = float(builder.joint_target_q[coordinate])
        self.target_speed = number("target_qd")
        self.passive, self.armature = number("damping"), number("armature")
        self.friction = number("friction")
        self.limit_stiffness, self.limit_damping = number("limit_ke"), number("limit_kd")
        self.mode = int(builder.joint_target_mode[freedom])

    @property
    def turn(self) -> float:
        """Units of USD in one of ours: degrees in a radian, or 1."""
        return math.degrees(1.0) if self.angular else 1.0


def axes_of(builder: Any, j: int) -> list[Axis]:
    """Return the freedoms of a joint that has axes, translations first."""
    if _KINDS(builder.joint_type[j]) not in (_KINDS.REVOLUTE, _KINDS.PRISMATIC, _KINDS.D6):
        return []
    first, place = int(builder.joint_qd_start[j]), int(builder.joint_q_start[j])
    linear, angular = builder.joint_dof_dim[j]
    return [Axis(builder, first + i, place + i, i >= linear) for i in range(linear + angular)]


def write_joint(
    stage: Usd.Stage, path: Sdf.Path, builder: Any, j: int, bodies: list[Sdf.Path]
) -> str:
    """Write one joint.

    Args:
        stage: that is written to.
        path: of its prim.
        builder: newton's.
        j: newton's index.
        bodies: paths of the bodies by newton's index.

    Returns:
        Why it cannot be written; empty where it was.
    """
    kind = _KINDS(builder.joint_type[j])
    first = int(builder.joint_qd_start[j])
    linear, angular = builder.joint_dof_dim[j]
    directions = [builder.joint_axis[first + i] for i in range(linear + angular)]
    frame = joint_frame([], [])
    define: Any = {
        _KINDS.FIXED: UsdPhysics.FixedJoint,
        _KINDS.BALL: UsdPhysics.SphericalJoint,
        _KINDS.REVOLUTE: UsdPhysics.RevoluteJoint,
        _KINDS.PRISMATIC: UsdPhysics.PrismaticJoint,
        _KINDS.D6: UsdPhysics.Joint,
    }.get(kind)
    if define is None:
        return f"a joint of type {kind.name.lower()} has no counterpart"
    if kind in (_KINDS.REVOLUTE, _KINDS.PRISMATIC, _KINDS.D6):
        frame = joint_frame(directions[:linear], directions[linear:])
    if frame is None:
        return "its axes are not at right angles, or not in an order that UsdPhysics has"
    joint = define.Define(stage, path)
    parent, child = int(builder.joint_parent[j]), int(builder.joint_child[j])
    if parent >= 0:
        joint.CreateBody0Rel().SetTargets([bodies[parent]])
    joint.CreateBody1Rel().SetTargets([bodies[child]])
    for side, transforms in ((0, builder.joint_X_p), (1, builder.joint_X_c)):
        pose = transforms[j]
        qx, qy, qz, qw = (float(v) for v in combined(pose[3:7], frame.turn))
        getattr(joint, f"CreateLocalPos{side}Attr")(Gf.Vec3f(*(float(v) for v in pose[:3])))
        getattr(joint, f"CreateLocalRot{side}Attr")(Gf.Quatf(qw, qx, qy, qz))
    if not builder.joint_collision_filter_parent[j]:
        joint.CreateCollisionEnabledAttr(True)
    axes = axes_of(builder, j)
    prim = joint.GetPrim()
    if kind in (_KINDS.REVOLUTE, _KINDS.PRISMATIC):
        axis = axes[0]
        joint.CreateAxisAttr(frame.axes[0])
        if math.isfinite(axis.lower):
            joint.CreateLowerLimitAttr(axis.lower * axis.turn)
        if math.isfinite(axis.upper):
            joint.CreateUpperLimitAttr(axis.upper * axis.turn)
        name = "angular" if axis.angular else "linear"
        _drive(prim, name, axis)
        _begin(prim, name, axis, float(builder.joint_q[builder.joint_q_start[j]]))
    elif kind is _KINDS.D6:
        _generic(prim, axes, frame.axes)
    if axes:
        _newton(prim, axes)
    return ""


def _drive(prim: Usd.Prim, name: str, axis: Axis) -> None:
    if not (axis.stiffness > 0 or axis.damping > 0 or math.isfinite(axis.effort)):
        return
    drive = UsdPhysics.DriveAPI.Apply(prim, name)
    drive.CreateTypeAttr(UsdPhysics.Tokens.force)
    drive.CreateStiffnessAttr(axis.stiffness / axis.turn)
    drive.CreateDampingAttr(axis.damping / axis.turn)
    if math.isfinite(axis.effort):
        drive.CreateMaxForceAttr(axis.effort)
    if axis.target:
        drive.CreateTargetPositionAttr(axis.target * axis.turn)
    if axis.target_speed:
        drive.CreateTargetVelocityAttr(axis.target_speed * axis.turn)


def _begin(prim: Usd.Prim, name: str, axis: Axis, position: float) -> None:
    if position:
        attr = prim.CreateAttribute(f"newton:{name}:position", _TYPES.Float, True)
        attr.Set(position * axis.turn)


def _generic(prim: Usd.Prim, axes: list[Axis], names: tuple[str, ...]) -> None:
    free = {("rot" if a.angular else "trans") + n: a for a, n in zip(axes, names, strict=True)}
    for name in ("transX", "transY", "transZ", "rotX", "rotY", "rotZ"):
        axis = free.get(name)
        limit = UsdPhysics.LimitAPI.Apply(prim, name)
        if axis is None:
            limit.CreateLowAttr(1.0)  # low above high is locked
            limit.CreateHighAttr(-1.0)
            continue
        if math.isfinite(axis.lower):
            limit.CreateLowAttr(axis.lower * axis.turn)
        if math.isfinite(axis.upper):
            limit.CreateHighAttr(axis.upper * axis.turn)
        _drive(prim, name, axis)


def _newton(prim: Usd.Prim, axes: list[Axis]) -> None:
    """Author what newton's schema knows of a joint, which holds for all of its freedoms."""
    prim.AddAppliedSchema("NewtonJointAPI")
    axis = axes[0]
    values = {
        "armature": axis.armature,
        "damping": axis.passive / axis.turn,
        "friction": axis.friction,
        "limitStiffness": axis.limit_stiffness / axis.turn,
        "limitDamping": axis.limit_damping / axis.turn,
    }
    if math.isfinite(axis.velocity):
        values["velocityLimit"] = axis.velocity * axis.turn
    for name, value in values.items():
        prim.CreateAttribute(f"newton:{name}", _TYPES.Float, False).Set(value)
