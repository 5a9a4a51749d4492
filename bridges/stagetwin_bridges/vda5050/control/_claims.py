"""The ways that vehicles ask for inside a zone, and whether two of them keep apart (3.0, 6.4.3).

In a zone of type COORDINATED_REPLANNING a vehicle asks for a planned path, and fleet control says
whether it may use it. Two paths that nowhere come nearer than both vehicles need may be used at
once; where a vehicle or path is not known well enough, it needs the whole zone.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stagetwin.maps import MapError, RoadMap, Zone, nurbs_points
from stagetwin.maps.geometry import contains, cuts, lengths
from stagetwin_bridges.vda5050.messages import Trajectory

__all__ = ["Claim", "claim_of"]

_SPACING, _MOST = 0.1, 500
"""Distance of the points at which a path is compared [m], and how many there are at most."""

_MARGIN = 0.2
"""What is left free between two vehicles [m]."""

_LONGEST = 2000.0
"""A longer path through a zone is none that anybody planned [m]."""

_MOST_CORNERS = 2000
"""Control points of a path; each costs time."""


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """What a vehicle needs of a zone.

    Attributes:
        points: of its path inside the zone, (n, 2) [m]; None for the whole zone.
        reach: how far the vehicle reaches from its path, the spacing of the points included [m].
    """

    points: NDArray[np.float64] | None = None
    reach: float = math.inf

    def meets(self, other: Claim) -> bool:
        """Tell whether two vehicles may come too near to each other."""
        if self.points is None or other.points is None:
            return True
        if not len(self.points) or not len(other.points):
            return False
        apart = self.points[:, None, :] - other.points[None, :, :]
        nearest = math.sqrt(float((apart**2).sum(axis=2).min()))
        # Not turned around: what cannot be compared is too near.
        return not nearest > self.reach + other.reach + _MARGIN


def claim_of(
    road_map: RoadMap, zone: Zone, trajectory: Trajectory | None, reach: float | None
) -> tuple[Claim, str]:
    """Return what a request needs, and why it can never be granted; empty where it may be.

    Args:
        road_map: the map in force.
        zone: what is asked for.
        trajectory: the planned path; None where the request has none.
        reach: how far the vehicle reaches from its kinematic centre [m]; None where not known.
    """
    if trajectory is None:
        return Claim(), ""
    corners = [(point.x, point.y) for point in trajectory.control_points]
    if not 2 <= len(corners) <= _MOST_CORNERS:
        return Claim(), f"a path has 2 to {_MOST_CORNERS} control points, got {len(corners)}"
    try:
        points = _curve(trajectory, corners)
        total = lengths(points)[-1]
    except (MapError, ValueError, OverflowError) as error:
        return Claim(), str(error)
    if not total <= _LONGEST:
        return Claim(), f"a path is at most {_LONGEST:g} m long, got {total:.0f} m"
    spaced, gap = _spaced(points, total)
    for shut in road_map.zones.values():
        if shut.type == "BLOCKED" and _crosses(points, shut):
            return Claim(), f"the path leads through the blocked zone {shut.id!r}"
    if reach is None:
        return Claim(), ""
    near = [_near(zone, x, y, reach + gap) for x, y in spaced.tolist()]
    return Claim(spaced[np.array(near, bool)], reach + gap / 2), ""


def _curve(trajectory: Trajectory, corners: list[tuple[float, float]]) -> Any:
    degree = trajectory.degree or 1
    knots = trajectory.knot_vector
    if knots is None:
        inner = len(corners) - degree
        steps = [k / inner for k in range(inner + 1)] if inner > 0 else []
        knots = (*([0.0] * degree), *steps, *([1.0] * degree))
    weights = [1.0 if p.weight is None else p.weight for p in trajectory.control_points]
    return nurbs_points(degree, knots, corners, weights)


def _spaced(points: Any, total: float) -> tuple[NDArray[np.float64], float]:
    """Return points of a path at even distances, and these [m]."""
    table = np.array(points, np.float64)
    count = min(max(math.ceil(total / _SPACING), 1), _MOST)
    steps = np.hypot(*np.diff(table, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    at = np.linspace(0.0, along[-1], count + 1)
    spaced = np.column_stack([np.interp(at, along, table[:, axis]) for axis in (0, 1)])
    return spaced, total / count


def _crosses(points: Any, zone: Zone) -> bool:
    """Tell whether a path leads into a zone, however thin that is and however long the path."""
    if len(zone.polygon) < 3:
        return False
    table, corners = np.array(points, np.float64), np.array(zone.polygon, np.float64)
    low, high = np.minimum(table[:-1], table[1:]), np.maximum(table[:-1], table[1:])
    beside = (high < corners.min(axis=0)) | (low > corners.max(axis=0))
    near = np.flatnonzero(~beside.any(axis=1)).tolist()
    inside = contains(zone.polygon, *points[0])
    return inside or any(cuts(points[k : k + 2], zone.polygon) for k in near)


def _near(zone: Zone, x: float, y: float, reach: float) -> bool:
    """Tell whether a vehicle at a point may reach into a zone."""
    if contains(zone.polygon, x, y):
        return True
    corners = [*zone.polygon, zone.polygon[0]]
    return any(_off(a, b, x, y) <= reach for a, b in itertools.pairwise(corners))


def _off(a: tuple[float, float], b: tuple[float, float], x: float, y: float) -> float:
    """Return how far a point is from a straight piece [m]."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    size = dx * dx + dy * dy
    share = min(max(((x - a[0]) * dx + (y - a[1]) * dy) / size, 0.0), 1.0) if size > 0 else 0.0
    return math.hypot(a[0] + dx * share - x, a[1] + dy * share - y)
