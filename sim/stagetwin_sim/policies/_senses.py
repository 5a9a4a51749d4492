"""What a vehicle of a simulation sees, and the plain controller of its last centimetres."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from stagetwin_sim.policies._bundle import Bundle
from stagetwin_sim.policies._drive import Body, wrap
from stagetwin_sim.policies._inputs import Reading

if TYPE_CHECKING:
    from stagetwin.maps import RoadMap

__all__ = ["KEPT_FREE", "KNOWN", "THERE", "TURNED", "dock", "edges_of", "room_ahead", "sense"]

Floats = npt.NDArray[np.float64]

THERE, TURNED = 0.02, 0.03
"""What counts as the end of a leg [m, rad]."""
KEPT_FREE = 0.05
"""What the protective field leaves between the vehicle and what it stops for [m]."""
KNOWN = ("goal_distance", "goal_direction", "goal_heading", "speed", "rotation", "lidar")
"""Names of the terms that it can measure."""


def sense(
    bundle: Bundle, body: Body, goal: tuple[float, float, float], rays: Floats, now: float
) -> dict[str, Reading]:
    """Return what a vehicle's sensors tell a policy, by the names of its terms.

    Args:
        bundle: of the policy.
        body: the vehicle.
        goal: x, y [m], theta [rad] in the map's frame.
        rays: how far the fan reaches [m].
        now: [s].
    """
    dx, dy = goal[0] - body.x, goal[1] - body.y
    far = math.hypot(dx, dy)
    near = 1.0 / max(far, 1e-6)
    c, n = math.cos(body.theta), math.sin(body.theta)
    left = goal[2] - body.theta
    known: dict[str, npt.ArrayLike] = {
        "goal_distance": far,
        "goal_direction": [(c * dx + n * dy) * near, (c * dy - n * dx) * near],
        "goal_heading": [math.cos(left), math.sin(left)],
        "speed": body.v,
        "rotation": body.omega,
        "lidar": rays,
    }
    return {
        seen.term.name: Reading(known[seen.term.name], now)
        for seen in bundle.spec.observations
        if seen.term.name in known
    }


def dock(body: Body, end: tuple[float, float, float]) -> tuple[float, float]:
    """Return the command that brings a vehicle the last stretch to a pose: turn, drive, turn."""
    x, y, theta = end
    dx, dy = x - body.x, y - body.y
    far = math.hypot(dx, dy)
    if far > 0.6 * THERE:
        bearing = wrap(math.atan2(dy, dx) - body.theta)
        back = abs(bearing) > math.pi / 2 and body.type.reverse_speed > 0.0
        off = wrap(bearing + math.pi) if back else bearing
        if abs(off) > 0.06 and far > 2.0 * THERE:
            return 0.0, _towards(off, body)
        # What is left sideways within a few centimetres is not worth a turn.
        along = dx * math.cos(body.theta) + dy * math.sin(body.theta)
        if abs(along) > 0.3 * THERE:
            speed = min(
                0.25, math.sqrt(1.0 * body.type.deceleration * abs(along)) * 0.7, abs(along) * 2.0
            )
            return math.copysign(max(speed, 0.01), along), 1.5 * off if far > 3.0 * THERE else 0.0
    if math.isnan(theta) or abs(wrap(theta - body.theta)) <= 0.5 * TURNED:
        return 0.0, 0.0
    return 0.0, _towards(wrap(theta - body.theta), body)


def _towards(left: float, body: Body) -> float:
    """Return the rotation speed that ends a turn at rest."""
    rate = min(0.8 * math.sqrt(body.type.rotation_acceleration * abs(left)), 2.0 * abs(left))
    return math.copysign(max(rate, 0.03), left)


def room_ahead(body: Body, rays: Floats) -> float:
    """Return how far the vehicle may go straight on before it touches what its rays show [m]."""
    angles = np.arange(len(rays)) * (2.0 * math.pi / len(rays))
    across = np.abs(rays * np.sin(angles)) < body.width / 2 + KEPT_FREE
    ahead = across & (np.cos(angles) > 0.0)
    return float((rays * np.cos(angles))[ahead].min() - body.front) if ahead.any() else math.inf


def edges_of(road_map: RoadMap | None) -> Floats:
    """Return the edges of a map's obstacles: x0, y0, x1, y1 [m], shape (n, 4)."""
    if road_map is None:
        return np.zeros((0, 4))
    edges = [
        (*a, *b)
        for obstacle in road_map.obstacles
        for a, b in zip(obstacle.polygon, (*obstacle.polygon[1:], obstacle.polygon[0]), strict=True)
    ]
    return np.asarray(edges, np.float64).reshape(-1, 4)
