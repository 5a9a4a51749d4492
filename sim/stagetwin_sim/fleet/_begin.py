"""Where and how vehicles and people begin."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from stagetwin_sim.engine import host_copy
from stagetwin_sim.fleet._plan import MotionPlan

__all__ = ["begin_state"]


def begin_state(plan: MotionPlan, state: Any, people: Any, worlds: int) -> None:
    """Put the state of vehicles and of people where a plan says that they begin."""
    shape = (worlds, plan.vehicles)
    poses = np.broadcast_to(np.asarray(plan.poses, np.float64), (*shape, 3))
    kinds = [plan.types[i] for i in plan.type_indices()]
    turned = np.mod(poses[..., 2] + math.pi, 2 * math.pi) - math.pi
    rows = plan.path_points * np.arange(worlds * plan.vehicles).reshape(shape)
    for names, values in (
        (("x", "seen_x", "goal_x"), poses[..., 0]),
        (("y", "seen_y", "goal_y"), poses[..., 1]),
        (("theta", "seen_theta"), np.where(turned == -math.pi, math.pi, turned)),
        (("goal_theta", "path_theta"), math.nan),
        (("speed_limit", "rotation_limit", "least_time"), math.inf),
        (("field",), int(plan.fields)),
        (("length",), [kind.length for kind in kinds]),
        (("width",), [kind.width for kind in kinds]),
        (("facing",), 1),
        (("charge",), plan.charge),
        (("store",), [plan.charge * kind.battery * 3600.0 for kind in kinds]),
        (("path_begin",), rows),
    ):
        for name in names:
            _fill(getattr(state, name), values)
    if plan.people and plan.people.count:
        places = np.asarray(plan.people.places, np.float64)
        for name, value in (
            ("x", places[:, 0]),
            ("y", places[:, 1]),
            ("goal_x", places[:, 0]),
            ("goal_y", places[:, 1]),
            ("speed", np.asarray(plan.people.speed)),
            ("radius", np.asarray(plan.people.radius)),
        ):
            _fill(getattr(people, name), value)


def _fill(array: Any, values: Any) -> None:
    kept = host_copy(array)
    array.assign(np.broadcast_to(np.asarray(values), kept.shape).astype(kept.dtype))
