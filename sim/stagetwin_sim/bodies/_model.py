"""newton's model of a plan in a number of worlds."""

from __future__ import annotations

from typing import Any

import newton
import numpy as np
import numpy.typing as npt
import warp as wp

from stagetwin_sim.bodies._plan import BodiesPlan
from stagetwin_sim.bodies._poses import matrices
from stagetwin_sim.bodies._surface import belt_mesh, tangents

__all__ = ["BeltMeshes", "contact_capacity", "make_model", "make_pipeline", "make_solver"]

_PER_SHAPE = 12
"""Contacts a moving shape is expected to have at most, half of them with other moving ones."""


class BeltMeshes:
    """The meshes of belts: one for each belt and world, so that each runs by itself.

    Attributes:
        ids: Warp's, shape (worlds, belts).
        directions: how each point moves at unit speed, in the mesh's own coordinates.
        firsts: where the points of each belt begin among them.
        columns: of their speeds.
    """

    def __init__(self, plan: BodiesPlan, model: Any, worlds: int) -> None:
        scene = plan.scene
        count = scene.builder.shape_count
        shapes = [scene.shapes[belt.path] for belt in plan.belts]
        ids = np.empty((worlds, len(shapes)), np.uint64)
        for world in range(worlds):
            for i, shape in enumerate(shapes):
                ids[world, i] = model.shape_source[world * count + shape].mesh.id
        moved = [
            tangents(_local(plan, i), belt_mesh(scene.builder, shape)[1])
            for i, shape in enumerate(shapes)
        ]
        firsts = np.cumsum([0, *[len(points) for points in moved[:-1]]])
        directions = np.concatenate(moved)
        device = model.device
        self.ids: wp.array[Any] = wp.array(ids, dtype=wp.uint64, device=device)
        self.firsts: wp.array[Any] = wp.array(firsts, dtype=wp.int32, device=device)
        self.directions: wp.array[Any] = wp.array(directions, dtype=wp.vec3, device=device)
        columns = [belt.speed for belt in plan.belts]
        self.columns: wp.array[Any] = wp.array(columns, dtype=wp.int32, device=device)


def make_model(plan: BodiesPlan, worlds: int, device: str) -> Any:
    """Return newton's model; everything of a scene belongs to one world, and none to all."""
    scene = plan.scene
    builder: Any = newton.ModelBuilder()
    builder.replicate(scene.builder, worlds)
    count = scene.builder.shape_count
    for belt in plan.belts:
        shape = scene.shapes[belt.path]
        mesh, _ = belt_mesh(scene.builder, shape)
        for world in range(worlds):
            at = world * count + shape
            # Its own object for each world: newton shares what is the same.
            builder.shape_source[at] = mesh.copy()
            builder.shape_type[at] = newton.GeoType.MESH
            if scene.builder.shape_type[shape] == newton.GeoType.BOX:
                builder.shape_scale[at] = (1.0, 1.0, 1.0)
    builder.rigid_contact_max = None
    return builder.finalize(device=device)


def contact_capacity(plan: BodiesPlan) -> int:
    """Return how many contacts fit in each world."""
    if plan.contacts:
        return plan.contacts
    moving = sum(int(body) >= 0 for body in plan.scene.builder.shape_body)
    return 16 + _PER_SHAPE * moving


def make_pipeline(plan: BodiesPlan, model: Any, worlds: int) -> Any:
    """Return newton's collision pipeline, in an order that does not depend on threads."""
    contacts = contact_capacity(plan) * worlds
    return newton.CollisionPipeline(
        model,
        deterministic=True,
        rigid_contact_max=contacts,
        # Triangles of belts and meshes near a body; newton's own floor is a million.
        max_triangle_pairs=max(1024, 8 * contacts),
        verify_buffers=False,  # we count what is lost instead of printing it
    )


def make_solver(plan: BodiesPlan, model: Any) -> Any:
    """Return newton's solver, with rows for all contacts that fit."""
    contacts = contact_capacity(plan)
    given: dict[str, Any] = {"iterations": plan.iterations} if plan.iterations else {}
    if plan.solver == "xpbd":
        given.setdefault("iterations", 16)
        return newton.solvers.SolverXPBD(model, **given)
    freedoms = len(plan.scene.builder.joint_qd)
    if plan.solver == "mujoco":
        return newton.solvers.SolverMuJoCo(
            model,
            use_mujoco_contacts=False,
            nconmax=contacts,
            njmax=4 * contacts + 2 * freedoms,
            **given,
        )
    if model.device.is_cuda:  # a CPU has one order
        given["deterministic"] = wp.DeterministicMode.RUN_TO_RUN
    jointed = len(plan.scene.joints) > 0
    return newton.solvers.SolverSteel(
        model,
        enable_joint_limits=True,
        joint_limit_activation_gap=0.1,
        articulation_constraint_max=2 * freedoms + 3 * contacts if jointed else 8,
        free_body_constraint_max=3 * contacts,
        warn_constraint_overflow=False,
        **given,
    )


def _local(plan: BodiesPlan, belt: int) -> npt.NDArray[np.float32]:
    """Return a belt's direction in the coordinates of its mesh, of length 1 in the world."""
    scene = plan.scene
    shape = scene.shapes[plan.belts[belt].path]
    direction = np.array(plan.belts[belt].direction, np.float64)
    direction /= np.linalg.norm(direction)
    turn = matrices(np.array([list(scene.builder.shape_transform[shape])]))[0, :3, :3]
    local = direction @ turn.T
    if scene.builder.shape_type[shape] != newton.GeoType.BOX:
        local /= np.array(scene.builder.shape_scale[shape], np.float64)
    return local.astype(np.float32)
