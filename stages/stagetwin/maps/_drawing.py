"""Shapes and colours by which a map is looked at. Lengths in metres, heights above the floor."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stagetwin.maps.geometry import Point, along, lengths

__all__ = [
    "DISC",
    "LANE_COLORS",
    "LIFT",
    "STATION_COLORS",
    "ZONE_COLORS",
    "ZONE_LIFT",
    "arrow",
    "box",
    "disc",
    "prism",
]

Color = tuple[float, float, float]
Place = tuple[float, float, float]
Shape = tuple[list[Place], list[list[int]]]

LIFT = 0.02
ZONE_LIFT = 0.01
"""Above the floor, so that neither fights with it for the same pixels."""

DISC: Color = (0.9, 0.9, 0.95)

LANE_COLORS: dict[str, Color] = {
    "one": (0.1, 0.45, 0.85),
    "both": (0.15, 0.6, 0.65),
    "slow": (0.9, 0.6, 0.1),
    "types": (0.55, 0.35, 0.75),
}
"""By rule: one way, both ways, with a speed limit of its own, for some types of vehicles."""

ZONE_COLORS: dict[str, Color] = {
    "": (0.6, 0.6, 0.6),
    "lanes": (0.3, 0.5, 0.8),
    "grid": (0.4, 0.7, 0.7),
    "free": (0.4, 0.75, 0.4),
    "BLOCKED": (0.8, 0.15, 0.15),
    "LINE_GUIDED": (0.3, 0.4, 0.8),
    "RELEASE": (0.85, 0.5, 0.1),
    "COORDINATED_REPLANNING": (0.5, 0.4, 0.75),
    "SPEED_LIMIT": (0.9, 0.75, 0.15),
    "ACTION": (0.2, 0.65, 0.75),
    "PRIORITY": (0.25, 0.65, 0.35),
    "PENALTY": (0.65, 0.4, 0.25),
    "DIRECTED": (0.55, 0.55, 0.75),
    "BIDIRECTED": (0.55, 0.65, 0.75),
}
"""By type, else by authority."""

STATION_COLORS: dict[str, Color] = {
    "": (0.7, 0.7, 0.7),
    "pick": (0.2, 0.6, 0.9),
    "drop": (0.9, 0.5, 0.2),
    "transfer": (0.6, 0.5, 0.85),
    "charge": (0.3, 0.75, 0.3),
    "park": (0.5, 0.5, 0.55),
}


def disc(theta: float | None) -> Shape:
    """Return a flat disc, with a nose where it has a heading."""
    count, radius = 12, 0.12
    points: list[Place] = [
        (radius * math.cos(a), radius * math.sin(a), LIFT)
        for a in (2 * math.pi * i / count for i in range(count))
    ]
    faces = [list(range(count))]
    if theta is not None:
        nose = [(0.3, 0.0), (0.12, 0.08), (0.12, -0.08)]
        cos, sin = math.cos(theta), math.sin(theta)
        points += [(x * cos - y * sin, x * sin + y * cos, LIFT) for x, y in nose]
        faces.append([count, count + 1, count + 2])
    return points, faces


def box(theta: float) -> Shape:
    """Return a low box turned to a heading."""
    half, height = 0.2, 0.08
    cos, sin = math.cos(theta), math.sin(theta)
    corners = [(-half, -half), (half, -half), (half, half), (-half, half)]
    turned = [(x * cos - y * sin, x * sin + y * cos) for x, y in corners]
    return prism(turned, height)


def prism(polygon: Sequence[Point], height: float = 0.5) -> Shape:
    """Return a block with a polygon as its footprint."""
    n = len(polygon)
    points: list[Place] = [(x, y, z) for z in (0.0, height) for x, y in polygon]
    sides = [[i, (i + 1) % n, (i + 1) % n + n, i + n] for i in range(n)]
    return points, [list(reversed(range(n))), list(range(n, 2 * n)), *sides]


def arrow(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return an arrow's head in the middle of a polyline."""
    total = lengths(points)[-1]
    if total < 0.5:
        return ()
    x, y, heading = along(points, total / 2 + 0.1)
    wings = (heading + 2.6, heading - 2.6)
    first, second = ((x + 0.22 * math.cos(a), y + 0.22 * math.sin(a)) for a in wings)
    return first, (x, y), second
