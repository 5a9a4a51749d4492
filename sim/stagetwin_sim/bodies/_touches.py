"""Which machines touch something that they should not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import newton
import numpy as np
import numpy.typing as npt

from stagetwin_sim.bodies._plan import BodiesPlan
from stagetwin_sim.bodies._poses import matrices
from stagetwin_sim.engine import host_copy

__all__ = ["Touch", "touches"]

CLOSE = 1e-3
"""Distance of surfaces that count as touching [m]: what pushes is held a few micrometres apart."""


class Touch(NamedTuple):
    """Two prims that touch.

    Attributes:
        world: where they do.
        a: a moving part of a machine: a body on a joint.
        b: another body, or a collider that stands still.
    """

    world: int
    a: str
    b: str


def touches(plan: BodiesPlan, model: Any, state: Any, contacts: Any) -> Sequence[Touch]:
    """Return which bodies on joints touch something now that is not made to be touched.

    Grounds and belts are made to be touched, and what the plan names; so are parts of one machine
    that newton does not let collide.
    """
    count = min(int(host_copy(contacts.rigid_contact_count)[0]), contacts.rigid_contact_max)
    if not count:
        return ()
    shapes = np.stack(
        [
            host_copy(contacts.rigid_contact_shape0)[:count],
            host_copy(contacts.rigid_contact_shape1)[:count],
        ]
    )
    body_of = host_copy(model.shape_body)
    touching = _gaps(state, contacts, body_of[shapes], count) <= CLOSE
    jointed = _jointed(plan)
    names = {i: path for path, i in plan.scene.shapes.items()}
    bodies = {i: path for path, i in plan.scene.bodies.items()}
    meant = _meant(plan, names)
    size, per_world = plan.scene.builder.shape_count, plan.scene.builder.body_count
    found: dict[Touch, None] = {}
    for i in np.flatnonzero(touching):
        pair = [int(s) for s in shapes[:, i]]
        world = pair[0] // size
        own = [s % size for s in pair]
        held = [int(body_of[s]) % per_world if body_of[s] >= 0 else -1 for s in pair]
        if any(s in meant for s in own) or not any(b in jointed for b in held):
            continue
        if held[0] not in jointed:
            own, held = own[::-1], held[::-1]
        places = [
            bodies[b] if b in bodies else names.get(s, "") for s, b in zip(own, held, strict=True)
        ]
        found[Touch(world, places[0], places[1])] = None
    return tuple(found)


def _gaps(
    state: Any, contacts: Any, bodies: npt.NDArray[Any], count: int
) -> npt.NDArray[np.float64]:
    """Return how far the surfaces of contacts are apart [m], negative where they overlap."""
    poses = matrices(host_copy(state.body_q))
    ends = []
    for side in (0, 1):
        point = host_copy(getattr(contacts, f"rigid_contact_point{side}"))[:count].astype(
            np.float64
        )
        place = np.where(
            (bodies[side] >= 0)[:, None, None], poses[np.maximum(bodies[side], 0)], np.eye(4)
        )
        ends.append(np.einsum("ni,nij->nj", point, place[:, :3, :3]) + place[:, 3, :3])
    normal = host_copy(contacts.rigid_contact_normal)[:count]
    margins = sum(
        host_copy(getattr(contacts, f"rigid_contact_margin{side}"))[:count] for side in (0, 1)
    )
    gaps: npt.NDArray[np.float64] = np.einsum("ni,ni->n", normal, ends[1] - ends[0]) - margins
    return gaps


def _jointed(plan: BodiesPlan) -> set[int]:
    """Return the bodies that a joint with an axis moves."""
    builder = plan.scene.builder
    return {int(builder.joint_child[joint.index]) for joint in plan.scene.joints.values()}


def _meant(plan: BodiesPlan, names: dict[int, str]) -> set[int]:
    builder = plan.scene.builder
    belts = {belt.path for belt in plan.belts}
    return {
        i
        for i, path in names.items()
        if path in belts
        or builder.shape_type[i] == newton.GeoType.PLANE
        or plan.touching_is_meant(path)
    }
