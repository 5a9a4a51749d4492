"""Scenes that tests of motion share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin.fleets import VehicleType
from stagetwin_sim.fleet import Mode, Motion, MotionPlan, Noise, Obstacles, People

Floats = npt.NDArray[np.float64]

AMR = VehicleType()
ROOM = [(0.0, 0.0), (0.0, 14.0), (14.0, 14.0), (14.0, 0.0)]
BOX = [(4.5, 4.5), (5.5, 4.5), (5.5, 5.5), (4.5, 5.5)]


def scattered(rng: np.random.Generator, count: int, side: float, apart: float) -> Floats:
    """Return places in a square, none near another or the box in it."""
    found: list[Floats] = [np.array([5.0, 5.0])]
    while len(found) <= count:
        place = rng.uniform(0.8, side - 0.8, 2)
        if all(np.hypot(*(place - other)) > apart for other in found):
            found.append(place)
    return np.array(found[1:])


def busy(worlds: int, seed: int = 3, device: str = "cpu", **changes: Any) -> Motion:
    """Return fleets with everything: paths, free motion, people, noise, obstacles; 12 a world."""
    starts = [np.random.default_rng(seed + w) for w in range(worlds)]
    poses = np.stack(
        [
            np.hstack([scattered(rng, 12, 14.0, 1.5), rng.uniform(-3.0, 3.0, (12, 1))])
            for rng in starts
        ]
    )
    plan = MotionPlan(
        types=(AMR, VehicleType(speed=0.8, length=1.2, front=0.8)),
        vehicle_types=[0, 1] * 6,
        poses=poses,
        obstacles=Obstacles([ROOM, BOX]),
        people=People(places=[(7.0, 2.0), (2.0, 7.0)], speed=[1.0, 0.7]),
        noise=Noise(position=0.01, heading=0.01, slip=0.02, slip_rotation=0.02, lag=0.05),
        **changes,
    )
    motion = Motion(plan, worlds, seed, device)
    for w, rng in enumerate(starts):
        goals = scattered(rng, 12, 14.0, 1.5)
        for i in range(8):
            motion.set_goal(w, i, *goals[i].tolist())
        for i in range(8, 12):
            x, y, theta = poses[w, i].tolist()
            line = [(x, y), (x + math.cos(theta), y + math.sin(theta)), tuple(goals[i].tolist())]
            motion.set_path(w, i, line, s_max=math.inf)
    return motion


def free(motion: Motion, goals: Floats) -> None:
    """Let all head for goals, shape (worlds, vehicles, 2)."""
    goals = np.ascontiguousarray(
        np.broadcast_to(goals, (motion.worlds, motion.plan.vehicles, 2)), np.float32
    )
    motion.state.goal_x.assign(np.ascontiguousarray(goals[..., 0]))
    motion.state.goal_y.assign(np.ascontiguousarray(goals[..., 1]))
    motion.state.mode.fill_(int(Mode.FREE))
