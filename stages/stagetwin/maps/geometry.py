"""Plane geometry of maps: polygons, polylines and where they cross; points are x, y [m]."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

__all__ = [
    "Point",
    "along",
    "contains",
    "convex_hull",
    "counter_clockwise",
    "cuts",
    "is_simple",
    "lengths",
    "nearest_on",
    "signed_area",
    "wrapped",
]

Point = tuple[float, float]
"""x and y in the map's frame [m]."""

NEAR = 1e-9
"""What counts as on a line [m]."""

_AWAY = 0.1
"""A polyline that is so much farther again from a point has passed it [m]."""


def wrapped(angle: float) -> float:
    """Return an angle [rad] in (-pi, pi]; one that is there already stays as it is."""
    if -math.pi < angle <= math.pi:
        return angle
    turned = math.remainder(angle, 2 * math.pi)
    return math.pi if turned <= -math.pi else turned


def signed_area(polygon: Sequence[Point]) -> float:
    """Return the area [m2], positive where the corners go counter-clockwise (shoelace formula)."""
    # From the first corner: far from the origin the products would lose the area.
    x0, y0 = polygon[0] if polygon else (0.0, 0.0)
    total = 0.0
    for (ax, ay), (bx, by) in zip(polygon, (*polygon[1:], *polygon[:1]), strict=True):
        total += (ax - x0) * (by - y0) - (bx - x0) * (ay - y0)
    return total / 2


def counter_clockwise(polygon: Sequence[Point]) -> tuple[Point, ...]:
    """Return the corners counter-clockwise, beginning with the one that was first."""
    corners = tuple(polygon)
    if signed_area(corners) < 0:
        return (corners[0], *reversed(corners[1:]))
    return corners


def contains(polygon: Sequence[Point], x: float, y: float) -> bool:
    """Tell whether a point lies in a polygon or on its edge (crossing number)."""
    inside = False
    ax, ay = polygon[-1]
    for bx, by in polygon:
        if (ay > y) != (by > y):
            cross = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
            if abs(cross) <= NEAR * math.hypot(bx - ax, by - ay):
                return True
            if (cross > 0) == (by > ay):
                inside = not inside
        elif (ay == y == by and min(ax, bx) <= x <= max(ax, bx)) or (
            abs(ax - x) <= NEAR and abs(ay - y) <= NEAR
        ):
            return True
        ax, ay = bx, by
    return inside


def convex_hull(points: Iterable[Point]) -> tuple[Point, ...]:
    """Return the convex hull, counter-clockwise from the leftmost (then lowest) corner.

    Source: A. M. Andrew, "Another efficient algorithm for convex hulls in two dimensions",
    Information Processing Letters 9 (1979).
    """
    ordered = sorted(set(points))
    if len(ordered) < 3:
        return tuple(ordered)

    def chain(way: Iterable[Point]) -> list[Point]:
        hull: list[Point] = []
        for x, y in way:
            while len(hull) > 1:
                (ax, ay), (bx, by) = hull[-2], hull[-1]
                if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0:
                    break
                hull.pop()
            hull.append((x, y))
        return hull[:-1]

    return (*chain(ordered), *chain(reversed(ordered)))


def _crossing(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Tell whether the segments ab and cd have a point in common."""

    def side(p: Point, q: Point, r: Point) -> int:
        cross = (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])
        return 0 if abs(cross) <= 1e-12 else (1 if cross > 0 else -1)

    def within(p: Point, q: Point, r: Point) -> bool:
        return min(p[0], q[0]) <= r[0] <= max(p[0], q[0]) and (
            min(p[1], q[1]) <= r[1] <= max(p[1], q[1])
        )

    sides = side(a, b, c), side(a, b, d), side(c, d, a), side(c, d, b)
    if sides[0] != sides[1] and sides[2] != sides[3]:
        return True
    touching = zip(sides, ((a, b, c), (a, b, d), (c, d, a), (c, d, b)), strict=True)
    return any(s == 0 and within(*three) for s, three in touching)


def is_simple(polygon: Sequence[Point]) -> bool:
    """Tell whether a polygon's edges meet nowhere but neighbours at their corner."""
    n = len(polygon)
    edges = [(polygon[i], polygon[(i + 1) % n]) for i in range(n)]
    if n < 3 or any(a == b for a, b in edges):
        return False
    for i, (a, b) in enumerate(edges):
        for j in range(i + 1, n):
            c, d = edges[j]
            if j == i + 1 or (i == 0 and j == n - 1):
                p, q, r = (a, b, d) if j == i + 1 else (c, a, b)
                # Neighbours may only go straight back over each other.
                cross = (q[0] - p[0]) * (r[1] - q[1]) - (q[1] - p[1]) * (r[0] - q[0])
                ahead = (q[0] - p[0]) * (r[0] - q[0]) + (q[1] - p[1]) * (r[1] - q[1])
                if abs(cross) <= 1e-12 and ahead < 0:
                    return False
            elif _crossing(a, b, c, d):
                return False
    return True


def lengths(points: Sequence[Point]) -> list[float]:
    """Return how far along a polyline each of its points lies [m]."""
    total, far = 0.0, [0.0]
    for (ax, ay), (bx, by) in itertools.pairwise(points):
        total += math.hypot(bx - ax, by - ay)
        far.append(total)
    return far


def along(points: Sequence[Point], s: float) -> tuple[float, float, float]:
    """Return x, y [m] and heading [rad] at a distance along a polyline, kept to its ends."""
    remaining = max(s, 0.0)
    found = (points[0][0], points[0][1], 0.0)
    for (ax, ay), (bx, by) in itertools.pairwise(points):
        step = math.hypot(bx - ax, by - ay)
        if step == 0.0:
            continue
        share = min(remaining / step, 1.0)
        heading = wrapped(math.atan2(by - ay, bx - ax))
        found = (ax + (bx - ax) * share, ay + (by - ay) * share, heading)
        if share == 1.0:
            found = (bx, by, heading)
        if remaining < step:
            break
        remaining -= step
    return found


def nearest_on(
    points: Sequence[Point], x: float, y: float, *, first: float = -1.0
) -> tuple[float, float]:
    """Return how far along a polyline its point nearest to (x, y) lies, and how far from it [m].

    Args:
        points: the polyline.
        x, y: the point.
        first: where the polyline came as near as this [m] and leads away again, what is behind is
            not looked at: it may come by once more. Below 0 all of it is.
    """
    best, where, before = math.inf, 0.0, 0.0
    for (ax, ay), (bx, by) in itertools.pairwise(points):
        dx, dy = bx - ax, by - ay
        step = math.hypot(dx, dy)
        share = 0.0
        if step > 0.0:
            share = min(max(((x - ax) * dx + (y - ay) * dy) / (step * step), 0.0), 1.0)
        far = math.hypot(ax + dx * share - x, ay + dy * share - y)
        if far < best:
            best, where = far, before + step * share
        elif best <= first and far > best + _AWAY:
            break
        before += step
    return where, best


def cuts(points: Sequence[Point], polygon: Sequence[Point]) -> list[float]:
    """Return how far along a polyline it crosses or touches the edges of a polygon [m]."""
    found: list[float] = []
    before = 0.0
    for (ax, ay), (bx, by) in itertools.pairwise(points):
        dx, dy = bx - ax, by - ay
        step = math.hypot(dx, dy)
        cx, cy = polygon[-1]
        for ex, ey in polygon:
            fx, fy = ex - cx, ey - cy
            bend = dx * fy - dy * fx
            if step > 0.0 and bend != 0.0:
                t = ((cx - ax) * fy - (cy - ay) * fx) / bend
                u = ((cx - ax) * dy - (cy - ay) * dx) / bend
                if 0.0 <= t <= 1.0 and -NEAR <= u <= 1.0 + NEAR:
                    found.append(before + t * step)
            elif step > 0.0:
                # Along an edge: where that begins and ends.
                for px, py in ((cx, cy), (ex, ey)):
                    t = ((px - ax) * dx + (py - ay) * dy) / (step * step)
                    off = abs((px - ax) * dy - (py - ay) * dx) / step
                    if off <= NEAR and 0.0 <= t <= 1.0:
                        found.append(before + t * step)
            cx, cy = ex, ey
        before += step
    return sorted(found)
