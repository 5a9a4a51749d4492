"""What a vehicle of a simulation measures, by the names of a policy's terms."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stagetwin_sim.policies._inputs import OF_ACTION, Reading
from stagetwin_sim.policies._spec import PolicySpec

__all__ = ["SENSES", "Sight", "sense", "unknown_to"]

Floats = npt.NDArray[np.float64]


class Sight(NamedTuple):
    """What a vehicle knows when it decides.

    Attributes:
        pose: as it believes it to be: x, y [m], theta [rad], in the map's frame.
        twist: speed [m/s] and rotation speed [rad/s] of its wheels.
        goal: x, y [m], theta [rad] to head for, in the map's frame.
        rays: how far its fan reaches, all around from straight ahead to the left [m].
        load: mass that it carries [kg].
        time: [s].
    """

    pose: tuple[float, float, float]
    twist: tuple[float, float]
    goal: tuple[float, float, float]
    rays: Floats
    load: float
    time: float


def _distance(sight: Sight) -> float:
    return math.dist(sight.goal[:2], sight.pose[:2])


def _direction(sight: Sight) -> tuple[float, float]:
    dx, dy = sight.goal[0] - sight.pose[0], sight.goal[1] - sight.pose[1]
    near = 1.0 / max(math.hypot(dx, dy), 1e-6)
    c, n = math.cos(sight.pose[2]), math.sin(sight.pose[2])
    return (c * dx + n * dy) * near, (c * dy - n * dx) * near


def _heading(sight: Sight) -> tuple[float, float]:
    left = sight.goal[2] - sight.pose[2]
    return math.cos(left), math.sin(left)


SENSES: dict[str, Callable[[Sight], npt.ArrayLike]] = {
    "goal_distance": _distance,
    "goal_direction": _direction,
    "goal_heading": _heading,
    "speed": lambda sight: sight.twist[0],
    "rotation": lambda sight: sight.twist[1],
    "lidar": lambda sight: sight.rays,
    "load": lambda sight: sight.load,
}
"""What can be measured here; in the units and frames of the tasks with a vehicle."""


def unknown_to(spec: PolicySpec) -> list[str]:
    """Return what a policy sees and no vehicle here can measure."""
    return [
        one.term.name
        for one in spec.observations
        if one.term.name not in SENSES and one.term.source != OF_ACTION
    ]


def sense(spec: PolicySpec, sight: Sight) -> dict[str, Reading]:
    """Return what a vehicle's sensors tell a policy, by the names of its terms."""
    return {
        seen.term.name: Reading(SENSES[seen.term.name](sight), sight.time)
        for seen in spec.observations
        if seen.term.name in SENSES
    }
