"""What arms do between the steps of bodies: follow targets, hold parts, see where parts are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import newton
import numpy as np
import warp as wp

from stagetwin_sim._errors import ArmError
from stagetwin_sim.arms._arms_kernels import hold_parts, ramp_targets, show_parts
from stagetwin_sim.arms._chain import Floats
from stagetwin_sim.bodies import BodiesSystem, BodyHook, BodyScene, Mount
from stagetwin_sim.bodies._memory import ArrayMemory
from stagetwin_sim.bodies._poses import matrices
from stagetwin_sim.engine import Saved

__all__ = ["Gripper", "PartTracker", "TargetRamp"]


@dataclass(frozen=True)
class TargetRamp:
    """Leads the targets of joints in a straight line from frame to frame, with their velocities.

    A controller between whose set-points lie 50 ms does the same; without it a drive jumps.

    Attributes:
        joints: paths.
        targets: column of each [rad].
    """

    joints: Sequence[str]
    targets: Sequence[int]

    def __call__(self, system: BodiesSystem) -> BodyHook:
        """Make it for an engine."""
        return _Ramp(self, system)


class _Ramp:
    def __init__(self, plan: TargetRamp, system: BodiesSystem) -> None:
        scene, context = system.plan.scene, system.context
        joints = [scene.joints[path] for path in plan.joints]
        self._context, self._joints = context, len(joints)
        self._substeps = max(1, round(system.rate * context.frame))
        self._columns = _ints(plan.targets, context.device)
        self._coordinates = _ints([j.coordinate for j in joints], context.device)
        self._freedoms = _ints([j.freedom for j in joints], context.device)
        model = system.model
        self._coordinate_count = int(model.joint_coord_count) // context.worlds
        self._freedom_count = int(model.joint_dof_count) // context.worlds
        shape = (context.worlds, len(joints))
        self._before: wp.array[Any] = wp.zeros(shape, dtype=wp.float32, device=context.device)
        self._step: wp.array[Any] = wp.zeros(shape, dtype=wp.int32, device=context.device)
        self._memory = ArrayMemory({"before": self._before, "step": self._step}, context.worlds)

    def launch(self, state: Any, control: Any, dt: float) -> None:
        """See BodyHook."""
        wp.launch(
            ramp_targets,
            dim=(self._context.worlds, self._joints),
            inputs=[
                self._context.bus,
                self._columns,
                self._coordinates,
                self._freedoms,
                self._coordinate_count,
                self._freedom_count,
                self._substeps,
                dt,
            ],
            outputs=[self._before, self._step, control.joint_target_q, control.joint_target_qd],
            device=self._context.device,
        )

    def save(self) -> Saved:
        """See BodyHook."""
        return self._memory.save()

    def load(self, saved: Saved) -> None:
        """See BodyHook."""
        self._memory.load(saved)


@dataclass(frozen=True, kw_only=True)
class Gripper:
    """A tool that holds one part at a time: by vacuum, or between fingers that are not modelled.

    Attributes:
        site: its mouth.
        parts: paths of bodies that it may hold.
        close: column; above 0.5 it takes the nearest part within reach, and holds it.
        reach: from the mouth to the box around a part [m].
        limit: force at which it loses the part [N]; 0 is none.
        holding, force: columns to write, 1 while it holds a part, and the force [N]; -1 for none.
    """

    site: Mount
    parts: Sequence[str]
    close: int
    reach: float = 0.02
    limit: float = 0.0
    holding: int = -1
    force: int = -1

    def __call__(self, system: BodiesSystem) -> BodyHook:
        """Make it for an engine."""
        return _Holder(self, system)


class _Holder:
    def __init__(self, plan: Gripper, system: BodiesSystem) -> None:
        scene, context = system.plan.scene, system.context
        bodies = _bodies(scene, plan.parts)
        boxes = np.array([_box(scene, body) for body in bodies], np.float32)
        device = context.device
        self._plan, self._context = plan, context
        self._model = system.model
        self._tool = scene.bodies[plan.site.body]
        self._site = wp.transform(*plan.site.pose)
        self._parts = _ints(bodies, device)
        self._middles: wp.array[Any] = wp.array(boxes[:, 0], dtype=wp.vec3, device=device)
        self._halves: wp.array[Any] = wp.array(boxes[:, 1], dtype=wp.vec3, device=device)
        self._yielding, self._span = _wrist(scene, self._tool, 1 / system.rate)
        self._gravity = wp.vec3(*scene.gravity.tolist())
        open_ = np.full((context.worlds, 1), -1, np.int32)
        self._held: wp.array[Any] = wp.array(open_, dtype=wp.int32, device=device)
        self._grips: wp.array[Any] = wp.zeros(context.worlds, dtype=wp.transform, device=device)
        self._memory = ArrayMemory({"held": self._held, "grips": self._grips}, context.worlds)

    def launch(self, state: Any, control: Any, dt: float) -> None:
        """See BodyHook."""
        model, plan, context = self._model, self._plan, self._context
        wp.launch(
            hold_parts,
            dim=context.worlds,
            inputs=[
                context.bus,
                plan.close,
                self._tool,
                self._site,
                self._parts,
                self._middles,
                self._halves,
                int(model.body_count) // context.worlds,
                plan.reach,
                plan.limit,
                self._yielding,
                self._span,
                self._gravity,
                dt,
                state.body_q,
                state.body_qd,
                model.body_com,
                model.body_mass,
                model.body_inertia,
                plan.holding,
                plan.force,
            ],
            outputs=[self._held, self._grips, state.body_f, context.bus],
            device=context.device,
        )

    def save(self) -> Saved:
        """See BodyHook."""
        return self._memory.save()

    def load(self, saved: Saved) -> None:
        """See BodyHook."""
        self._memory.load(saved)


@dataclass(frozen=True)
class PartTracker:
    """Says where parts are, as a camera over the belt would.

    Attributes:
        parts: paths of bodies.
        columns: of each part x, y, z [m] and its turn about Z [rad], in the world, Z up.
    """

    parts: Sequence[str]
    columns: Sequence[tuple[int, int, int, int]]

    def __call__(self, system: BodiesSystem) -> BodyHook:
        """Make it for an engine."""
        return _Tracker(self, system)


class _Tracker:
    def __init__(self, plan: PartTracker, system: BodiesSystem) -> None:
        context = system.context
        bodies = _bodies(system.plan.scene, plan.parts)
        self._context, self._count = context, len(bodies)
        self._body_count = int(system.model.body_count) // context.worlds
        self._parts = _ints(bodies, context.device)
        self._columns = _ints(plan.columns, context.device)

    def launch(self, state: Any, control: Any, dt: float) -> None:
        """See BodyHook."""
        wp.launch(
            show_parts,
            dim=(self._context.worlds, self._count),
            inputs=[self._parts, self._body_count, state.body_q, self._columns],
            outputs=[self._context.bus],
            device=self._context.device,
        )

    def save(self) -> Saved:
        """See BodyHook."""
        return {}

    def load(self, saved: Saved) -> None:
        """See BodyHook."""


def _ints(values: Any, device: str) -> wp.array[Any]:
    made = np.array(values, np.int32)
    return wp.array(made, dtype=wp.int32, device=device)


def _bodies(scene: BodyScene, parts: Sequence[str]) -> list[int]:
    missing = [path for path in parts if path not in scene.bodies]
    if missing or not parts:
        raise ArmError(f"{', '.join(missing) or scene.root}: no body to hold", "gripper_part")
    return [scene.bodies[path] for path in parts]


def _wrist(scene: BodyScene, tool: int, dt: float) -> tuple[float, float]:
    """Return how easily the weakest joint above a tool yields in a step, and how far it is.

    What it resists is the implicit part of its drive, stiffness and damping in a step, as
    Steel adds it to the inertia.

    Returns:
        The inverse of that [1/(kg.m2)], and a distance [m].
    """
    builder = scene.builder
    into = {int(builder.joint_child[j.index]): j for j in scene.joints.values()}
    poses = matrices(np.array([list(q) for q in builder.body_q], np.float64))
    yielding, span, body = 0.0, 0.0, tool
    while body in into:
        joint = into[body]
        stiffness = builder.joint_target_ke[joint.freedom]
        damping = builder.joint_target_kd[joint.freedom]
        resists = float(stiffness * dt**2 + damping * dt + builder.joint_armature[joint.freedom])
        away = float(np.linalg.norm(poses[tool, 3, :3] - poses[body, 3, :3]))
        if resists > 0 and away < _WRIST and 1 / resists >= yielding:
            yielding, span = 1 / resists, max(span, away)
        body = int(builder.joint_parent[joint.index])
    return yielding, span


_WRIST = 0.5
"""Joints nearer to a tool than this turn about its wrist [m]."""


def _box(scene: BodyScene, body: int) -> tuple[Floats, Floats]:
    """Return middle and half size of the box around a body's colliders, in its frame [m]."""
    builder = scene.builder
    corners: list[Floats] = []
    for shape in range(builder.shape_count):
        if builder.shape_body[shape] != body:
            continue
        half = _half(builder, shape)
        signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
        place = matrices(np.array([list(builder.shape_transform[shape])]))[0]
        corners.append((signs * half) @ place[:3, :3] + place[3, :3])
    if not corners:
        raise ArmError(f"{builder.body_label[body]}: it has no collider to hold", "gripper_part")
    points = np.concatenate(corners)
    low, high = points.min(axis=0), points.max(axis=0)
    return (low + high) / 2, (high - low) / 2


def _half(builder: Any, shape: int) -> Floats:
    scale: Floats = np.array(builder.shape_scale[shape], np.float64)
    source = builder.shape_source[shape]
    if source is not None and hasattr(source, "vertices"):
        points: Floats = np.abs(np.asarray(source.vertices, np.float64) * scale)
        return np.asarray(points.max(axis=0), np.float64)
    if builder.shape_type[shape] == newton.GeoType.BOX:
        return scale
    return np.full(3, float(builder.shape_collision_radius[shape]))
