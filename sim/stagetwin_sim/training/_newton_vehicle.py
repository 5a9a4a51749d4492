"""Differential-drive vehicles as rigid bodies in newton, with parameters unknown to training.

Importing it imports newton.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import newton
import numpy as np
import numpy.typing as npt
import warp as wp

from stagetwin.fleets import VehicleType

__all__ = ["HiddenParameters", "NewtonVehicles"]

Floats = npt.NDArray[np.float64]

_RADIUS, _TRACK = 0.1, 0.5
"""Of the wheels, as the vehicle's own controller believes [m]."""
_CASTER, _RAISED = 0.05, 0.003
"""Radius of the casters, and how far they hang above the floor: the wheels carry [m]."""
_WHEEL = 4.0
_DT, _EVERY = 1.0 / 200.0, 2


@dataclass(frozen=True, kw_only=True)
class HiddenParameters:
    """What a vehicle is really like.

    Attributes:
        mass: of vehicle and load [kg].
        middle: of mass, from the axle forward [m].
        wheel: radius over what the controller believes.
        track: likewise.
        friction: of the wheels on the floor.
        grip: of the motors' speed control [N.m.s/rad].
        torque: the most that a motor gives [N.m].
        delay: of commands [s].
        noise: standard deviation of what its sensors tell, in shares of their scale.
    """

    mass: float
    middle: float
    wheel: float
    track: float
    friction: float
    grip: float
    torque: float
    delay: float
    noise: float

    @classmethod
    def draw(cls, seed: int | Sequence[int], kind: VehicleType) -> HiddenParameters:
        """Draw one that is off the middle of what training takes for granted, in everything."""
        rng = np.random.default_rng([*np.atleast_1d(seed), 20])

        def off(low: float, high: float) -> float:
            """Return a number in the outer half of a range."""
            middle, half = (low + high) / 2.0, (high - low) / 2.0
            return middle + float(rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.0)) * half

        return cls(
            mass=kind.mass + kind.payload * float(rng.uniform(0.6, 1.0)),
            middle=off(-0.08, 0.12),
            wheel=off(0.93, 1.05),
            track=off(0.94, 1.08),
            friction=off(0.4, 0.9),
            # Steel adds grip x step to the inertia, saturated or not: more would hide the torque.
            grip=off(10.0, 60.0),
            torque=off(12.0, 40.0),
            delay=float(rng.uniform(0.15, 0.3)),
            noise=float(rng.uniform(0.002, 0.008)),
        )


class NewtonVehicles:
    """Vehicles, each on a floor of its own: a chassis, two driven wheels, two casters.

    Args:
        kind: type of the vehicles, whose limits their controllers keep.
        hidden: what each of them is really like.

    Attributes:
        count: how many.
        hidden: as given.
    """

    def __init__(self, kind: VehicleType, hidden: Sequence[HiddenParameters]) -> None:
        self.count, self._kind, self.hidden = len(hidden), kind, tuple(hidden)
        many: Any = newton.ModelBuilder()
        for really, same in groupby(hidden):
            many.replicate(_vehicle(kind, really), len(list(same)))
        self._model: Any = many.finalize(device="cpu")
        contacts = 8 * self.count
        self._pipeline: Any = newton.CollisionPipeline(
            self._model, deterministic=True, rigid_contact_max=contacts
        )
        self._contacts = self._pipeline.contacts()
        self._solver: Any = newton.solvers.SolverSteel(
            self._model,
            articulation_constraint_max=64,
            free_body_constraint_max=8,
            warn_constraint_overflow=False,
        )
        self._states = [self._model.state(), self._model.state()]
        self._control = self._model.control()
        self._speeds = np.zeros((self.count, 2))
        self._radii = np.array([one.wheel * _RADIUS for one in hidden])
        self._graph: Any = None

    def place(self, poses: Floats) -> None:
        """Put the vehicles somewhere, at rest.

        Args:
            poses: x, y [m], theta [rad], shape (count, 3).
        """
        state = self._states[0]
        q = state.joint_q.numpy().reshape(self.count, -1)
        half = 0.5 * poses[:, 2]
        q[:] = 0.0
        q[:, :2], q[:, 2] = poses[:, :2], self._radii
        q[:, 5], q[:, 6] = np.sin(half), np.cos(half)
        state.joint_q.assign(q.reshape(-1))
        state.joint_qd.zero_()
        newton.eval_fk(self._model, state.joint_q, state.joint_qd, state)
        self._speeds[:] = 0.0

    def step(self, commands: Floats, seconds: float) -> None:
        """Move on.

        Args:
            commands: speed [m/s] and rotation [rad/s], shape (count, 2); the controller keeps its
                type's limits.
            seconds: of the command.
        """
        kind = self._kind
        asked = np.empty_like(commands)
        asked[:, 0] = np.clip(commands[:, 0], -kind.reverse_speed, kind.speed)
        asked[:, 1] = np.clip(commands[:, 1], -kind.rotation_speed, kind.rotation_speed)
        target = self._control.joint_target_qd
        wheels = target.numpy().reshape(self.count, -1)
        chunk = _DT * _EVERY
        for _ in range(max(1, round(seconds / chunk))):
            up = np.array([kind.acceleration, kind.rotation_acceleration]) * chunk
            down = np.array([kind.deceleration, kind.rotation_acceleration]) * chunk
            slower = np.abs(asked) < np.abs(self._speeds)
            most = np.where(slower, down, up)
            self._speeds += np.clip(asked - self._speeds, -most, most)
            turn = 0.5 * _TRACK * self._speeds[:, 1]
            wheels[:, 6] = (self._speeds[:, 0] + turn) / _RADIUS
            wheels[:, 7] = (self._speeds[:, 0] - turn) / _RADIUS
            target.assign(wheels.reshape(-1))
            self._advance()

    def _advance(self) -> None:
        if self._graph is None:
            kept = [self._states[0].joint_q.numpy().copy(), self._states[0].joint_qd.numpy().copy()]
            self._launch()  # by hand once: that loads the kernels, which no capture may hold
            with wp.ScopedCapture(device="cpu") as capture:
                self._launch()
            self._graph = capture.graph
            state = self._states[0]
            state.joint_q.assign(kept[0])
            state.joint_qd.assign(kept[1])
            newton.eval_fk(self._model, state.joint_q, state.joint_qd, state)
        wp.capture_launch(self._graph)

    def _launch(self) -> None:
        here, there = self._states
        for _ in range(_EVERY):
            here.clear_forces()
            self._pipeline.collide(here, self._contacts)
            self._solver.step(here, there, self._control, self._contacts, _DT)
            here, there = there, here

    def poses(self) -> Floats:
        """Return x, y [m], theta [rad], shape (count, 3)."""
        q = self._states[0].joint_q.numpy().reshape(self.count, -1).astype(np.float64)
        x, y, z, w = q[:, 3:7].T
        theta = np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
        return np.stack([q[:, 0], q[:, 1], theta], axis=1)

    def odometry(self) -> Floats:
        """Return speed [m/s] and rotation [rad/s] as the encoders tell them, shape (count, 2).

        They believe in the nominal wheels, and know nothing of slip.
        """
        qd = self._states[0].joint_qd.numpy().reshape(self.count, -1).astype(np.float64)
        right, left = qd[:, 6] * _RADIUS, qd[:, 7] * _RADIUS
        return np.stack([0.5 * (left + right), (right - left) / _TRACK], axis=1)


def _vehicle(kind: VehicleType, hidden: HiddenParameters) -> Any:
    """Return newton's builder of one vehicle."""
    builder: Any = newton.ModelBuilder()
    newton.solvers.SolverSteel.register_custom_attributes(builder)
    builder.rigid_gap = 0.005
    shape = newton.ModelBuilder.ShapeConfig
    # newton takes the mean of both sides: by a floor without friction casters have none either.
    rubber = shape(mu=2.0 * hidden.friction, ke=1e5, kd=1e3, density=0.0)
    slick = shape(mu=0.0, ke=1e5, kd=1e3, density=0.0)
    builder.add_ground_plane(cfg=slick)
    radius, track = hidden.wheel * _RADIUS, hidden.track * _TRACK
    high = 0.3
    mass = hidden.mass - 2.0 * _WHEEL
    moments = (
        (high**2 + kind.width**2) / 12.0,
        (kind.length**2 + high**2) / 12.0,
        (kind.length**2 + kind.width**2) / 12.0,
    )
    here = wp.quat_identity()
    chassis = builder.add_link(
        xform=wp.transform((0.0, 0.0, radius), here),
        mass=mass,
        inertia=wp.mat33(*(mass * np.diag(moments)).ravel()),
        com=wp.vec3(hidden.middle, 0.0, 0.05),
    )
    joints = [builder.add_joint_free(chassis)]
    for x in (0.7 * kind.front, -0.7 * (kind.length - kind.front)):
        place = wp.transform((x, 0.0, _CASTER - radius + _RAISED), here)
        builder.add_shape_sphere(chassis, xform=place, radius=_CASTER, cfg=slick)
    spin = _WHEEL * radius**2 * np.diag([0.25, 0.5, 0.25])
    for side in (-0.5, 0.5):  # right, then left
        at = (0.0, side * track, 0.0)
        wheel = builder.add_link(
            xform=wp.transform((at[0], at[1], radius), here),
            mass=_WHEEL,
            inertia=wp.mat33(*spin.ravel()),
        )
        builder.add_shape_sphere(wheel, radius=radius, cfg=rubber)
        joints.append(
            builder.add_joint_revolute(
                chassis,
                wheel,
                axis=(0.0, 1.0, 0.0),
                parent_xform=wp.transform(at, here),
                child_xform=wp.transform_identity(),
                target_ke=0.0,
                target_kd=hidden.grip,
                effort_limit=hidden.torque,
                armature=0.05,
                actuator_mode=newton.JointTargetMode.VELOCITY,
            )
        )
    builder.add_articulation(joints)
    return builder
