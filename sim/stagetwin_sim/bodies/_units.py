"""A scene in the stage's units, brought to metres and kilograms.

newton reads the numbers of a stage as they are, and its solvers have thresholds in metres; so a
scene is read in the stage's units, with defaults in these units, and every number with a length or
a mass in it is converted afterwards.
"""

from __future__ import annotations

from typing import Any

import newton
import numpy as np
import warp as wp

__all__ = ["set_defaults", "to_si"]

_DENSITY = 1000.0
"""Of what the stage gives no mass and no density [kg/m3], as UsdPhysics says."""

_GAP = 0.02
"""How far from a shape contacts begin [m]: what closes at 9 m/s is seen in time at 240 Hz."""

_GAINS = ("kp", "ki", "kd")
_EFFORTS = ("const_effort", "max_effort", "max_motor_effort", "saturation_effort")

_UNLIMITED = 1e9
"""Limits beyond this are none, whatever the unit."""


def set_defaults(builder: newton.ModelBuilder, metre: float, kilogram: float) -> None:
    """Set what a stage does not say, in the stage's units.

    Args:
        builder: empty.
        metre: length of a unit of the stage [m].
        kilogram: mass of a unit of the stage [kg].
    """
    config = builder.default_shape_cfg
    config.density = _DENSITY * metre**3 / kilogram
    config.margin /= metre
    builder.rigid_gap = _GAP / metre


def to_si(builder: Any, metre: float, kilogram: float) -> None:
    """Convert a scene to metres and kilograms.

    Args:
        builder: of one world; changed.
        metre: length of a unit of the stage [m].
        kilogram: mass of a unit of the stage [kg].
    """
    if metre == 1.0 and kilogram == 1.0:
        return
    for name in ("body_q", "shape_transform", "joint_X_p", "joint_X_c"):
        setattr(builder, name, [_moved(t, metre) for t in getattr(builder, name)])
    builder.body_com = [wp.vec3(*(np.array(c) * metre)) for c in builder.body_com]
    builder.body_mass = [mass * kilogram for mass in builder.body_mass]
    builder.body_inv_mass = [1 / m if m > 0 else 0.0 for m in builder.body_mass]
    square = kilogram * metre**2
    builder.body_inertia = [wp.mat33(np.array(i) * square) for i in builder.body_inertia]
    builder.body_inv_inertia = [wp.mat33(np.array(i) / square) for i in builder.body_inv_inertia]
    builder.body_qd = [_velocity(v, metre) for v in builder.body_qd]
    builder.shape_scale = [tuple(float(x) * metre for x in s) for s in builder.shape_scale]
    for name in ("shape_margin", "shape_gap", "shape_collision_radius"):
        setattr(builder, name, [value * metre for value in getattr(builder, name)])
    _convert_joints(builder, metre, kilogram)
    _convert_actuators(builder, metre, kilogram)


def _convert_joints(builder: Any, metre: float, kilogram: float) -> None:
    for joint, kind in enumerate(builder.joint_type):
        linear, angular = builder.joint_dof_dim[joint]
        first, place = builder.joint_qd_start[joint], builder.joint_q_start[joint]
        free = kind in (newton.JointType.FREE, newton.JointType.DISTANCE)
        for i in range(3 if free else linear):
            _scale(builder, ("joint_q", "joint_target_q", "joint_rest_q"), place + i, metre)
            _scale(builder, ("joint_qd", "joint_target_qd"), first + i, metre)
            if free:
                continue
            _scale(builder, ("joint_limit_lower", "joint_limit_upper"), first + i, metre)
            _scale(builder, ("joint_velocity_limit",), first + i, metre)
            _scale(builder, ("joint_effort_limit", "joint_friction"), first + i, metre * kilogram)
            _scale(builder, ("joint_target_ke", "joint_target_kd"), first + i, kilogram)
            _scale(builder, ("joint_stiffness", "joint_damping"), first + i, kilogram)
            _scale(builder, ("joint_armature",), first + i, kilogram)
        if free:
            continue
        torque = kilogram * metre**2
        for i in range(linear, linear + angular):
            names = ("joint_target_ke", "joint_target_kd", "joint_effort_limit", "joint_friction")
            _scale(builder, names, first + i, torque)
            _scale(builder, ("joint_stiffness", "joint_damping"), first + i, torque)
            _scale(builder, ("joint_armature",), first + i, torque)


def _convert_actuators(builder: Any, metre: float, kilogram: float) -> None:
    linear: set[int] = set()
    for joint, (count, _) in enumerate(builder.joint_dof_dim):
        first = builder.joint_qd_start[joint]
        linear |= set(range(first, first + count))
    for entry in builder.actuator_entries.values():
        for i, freedom in enumerate(entry.indices):
            along = freedom in linear
            gain = kilogram if along else kilogram * metre**2
            effort = kilogram * metre if along else kilogram * metre**2
            factors = {
                **dict.fromkeys(_GAINS, gain),
                **dict.fromkeys(_EFFORTS, effort),
                "velocity_limit": metre if along else 1.0,
            }
            for given in (entry.drive_args[i], *entry.clamping_args[i]):
                for name in given.keys() & factors.keys():
                    if abs(given[name]) < _UNLIMITED:
                        given[name] *= factors[name]


def _scale(builder: Any, names: tuple[str, ...], place: int, factor: float) -> None:
    for name in names:
        values = getattr(builder, name)
        if place < len(values) and abs(values[place]) < _UNLIMITED:
            values[place] *= factor


def _moved(transform: Any, metre: float) -> Any:
    return wp.transform(transform.p * metre, transform.q)


def _velocity(twist: Any, metre: float) -> Any:
    values = np.array(twist, np.float32)
    values[:3] *= metre
    return wp.spatial_vector(*values)
