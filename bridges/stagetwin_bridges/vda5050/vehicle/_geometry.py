"""Ways, curves and areas on the floor. Lengths in m, angles in rad, all in the map's frame."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Sequence

__all__ = ["Area", "Point", "Way", "in_ellipse", "outline", "sample_curve", "turn"]

Point = tuple[float, float]

_SAME = 1e-9

_MOST_SAMPLES = 20_000
_MOST_WORK = 2_000_000
"""Points of one curve, and steps of the recurrence for all of them: one order must not block."""


def turn(angle: float) -> float:
    """Return an angle in (-pi, pi]."""
    wrapped = math.remainder(angle, math.tau)
    return math.pi if wrapped <= -math.pi else wrapped


def in_ellipse(dx: float, dy: float, a: float, b: float, theta: float) -> bool:
    """Return whether an offset lies in an ellipse of semi-axes a, b with a turned by theta."""
    if a <= 0.0 or b <= 0.0:
        return False
    along = dx * math.cos(theta) + dy * math.sin(theta)
    across = dy * math.cos(theta) - dx * math.sin(theta)
    return math.hypot(along / a, across / b) <= 1.0


def sample_curve(
    points: Sequence[tuple[float, float, float]],
    degree: int,
    knots: Sequence[float] | None,
    spacing: float = 0.1,
) -> list[Point]:
    """Return points along a NURBS curve, its ends among them.

    Args:
        points: control points: x [m], y [m], weight.
        degree: of the curve, 1 or more.
        knots: clamped knot vector; None is uniform.
        spacing: distance between two samples, at most about this [m].

    Raises:
        ValueError: too few control points, knots that do not fit them, or more than is sampled.

    Source: L. Piegl, W. Tiller, The NURBS Book, 2nd ed., 1997, algorithm A4.1 with the recurrence
    of de Boor.
    """
    count = len(points)
    if degree < 1 or count < degree + 1:
        raise ValueError(f"a curve of degree {degree} needs {degree + 1} control points or more")
    if knots is None:
        inner = count - degree
        knots = [0.0] * degree + [k / inner for k in range(inner + 1)] + [1.0] * degree
    if len(knots) != count + degree + 1:
        raise ValueError(f"expected {count + degree + 1} knots, got {len(knots)}")
    if any(b < a for a, b in itertools.pairwise(knots)) or knots[-1] <= knots[0]:
        raise ValueError("knots must not decrease")
    if any(weight <= 0.0 for _, _, weight in points):
        raise ValueError("weights of control points must be above 0")
    rough = sum(math.dist(a[:2], b[:2]) for a, b in itertools.pairwise(points))
    longest = _MOST_SAMPLES * spacing
    if not rough <= longest:
        raise ValueError(f"a curve of {rough:g} m; at most {longest:g} m are sampled")
    if degree == 1:
        return [(x, y) for x, y, _ in points]
    steps = max(2 * count, math.ceil(rough / spacing))
    if steps * degree * degree > _MOST_WORK:
        raise ValueError(f"a curve of degree {degree} with {steps} samples is too much to sample")
    low, high = knots[degree], knots[count]
    return [
        _de_boor(points, degree, knots, low + (high - low) * k / steps) for k in range(steps + 1)
    ]


def _de_boor(
    points: Sequence[tuple[float, float, float]], degree: int, knots: Sequence[float], u: float
) -> Point:
    span = min(bisect.bisect_right(knots, u, degree, len(points)) - 1, len(points) - 1)
    work = [[x * w, y * w, w] for x, y, w in (points[span - degree + j] for j in range(degree + 1))]
    for r in range(1, degree + 1):
        for j in range(degree, r - 1, -1):
            left, right = knots[span - degree + j], knots[span + 1 + j - r]
            share = (u - left) / (right - left) if right > left else 0.0
            for axis in range(3):
                work[j][axis] = (1.0 - share) * work[j - 1][axis] + share * work[j][axis]
    x, y, w = work[degree]
    return x / w, y / w


class Way:
    """A polyline with its length.

    Attributes:
        points: at least one.
        length: [m].
    """

    __slots__ = ("_sums", "length", "points")

    def __init__(self, points: Sequence[Point]) -> None:
        kept = [points[0]]
        for point in points[1:]:
            if math.dist(point, kept[-1]) > _SAME:
                kept.append(point)
        self.points = kept
        self._sums = [0.0]
        for a, b in itertools.pairwise(kept):
            self._sums.append(self._sums[-1] + math.dist(a, b))
        self.length = self._sums[-1]

    def at(self, s: float) -> tuple[float, float, float]:
        """Return x, y and heading at a distance [m] along."""
        if len(self.points) == 1:
            return (*self.points[0], 0.0)
        k = min(max(bisect.bisect_right(self._sums, s) - 1, 0), len(self.points) - 2)
        (ax, ay), (bx, by) = self.points[k], self.points[k + 1]
        share = min(max((s - self._sums[k]) / (self._sums[k + 1] - self._sums[k]), 0.0), 1.0)
        return ax + share * (bx - ax), ay + share * (by - ay), math.atan2(by - ay, bx - ax)

    def near(self, x: float, y: float) -> tuple[float, float]:
        """Return how far along the nearest point lies, and how far left of the way (x, y) is."""
        best = (math.inf, 0.0, 0.0)
        if len(self.points) == 1:
            return 0.0, math.dist(self.points[0], (x, y))
        for k, ((ax, ay), (bx, by)) in enumerate(zip(self.points, self.points[1:], strict=False)):
            ux, uy = bx - ax, by - ay
            length = self._sums[k + 1] - self._sums[k]
            share = ((x - ax) * ux + (y - ay) * uy) / (length * length)
            share = min(max(share, 0.0), 1.0)
            gap = math.hypot(ax + share * ux - x, ay + share * uy - y)
            if gap < best[0]:
                side = math.copysign(1.0, ux * (y - ay) - uy * (x - ax))
                best = (gap, self._sums[k] + share * length, side * gap)
        return best[1], best[2]

    def cut(self, low: float, high: float) -> list[Point]:
        """Return the points between two distances along, the ends among them."""
        ax, ay, _ = self.at(low)
        bx, by, _ = self.at(high)
        between = [
            p
            for p, s in zip(self.points, self._sums, strict=True)
            if low + _SAME < s < high - _SAME
        ]
        return [(ax, ay), *between, (bx, by)]


def outline(
    x: float, y: float, theta: float, front: float, length: float, width: float
) -> list[Point]:
    """Return the corners of a vehicle's contour, counter-clockwise.

    Args:
        x, y, theta: its pose.
        front: from the kinematic centre to the front end [m].
        length, width: over all [m].
    """
    c, s = math.cos(theta), math.sin(theta)
    half = width / 2
    corners = ((front, half), (front - length, half), (front - length, -half), (front, -half))
    return [(x + c * u - s * v, y + s * u + c * v) for u, v in corners]


class Area:
    """A simple polygon.

    Attributes:
        points: its corners.
        low, high: corners of the box around it.
    """

    __slots__ = ("high", "low", "points")

    def __init__(self, points: Sequence[Point]) -> None:
        self.points = list(points)
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        self.low, self.high = (min(xs), min(ys)), (max(xs), max(ys))

    def near(self, x: float, y: float, reach: float) -> bool:
        """Return whether a point is within reach [m] of the box around it."""
        return (
            self.low[0] - reach <= x <= self.high[0] + reach
            and self.low[1] - reach <= y <= self.high[1] + reach
        )

    def holds(self, x: float, y: float) -> bool:
        """Return whether a point lies inside (even-odd rule)."""
        inside = False
        px, py = self.points[-1]
        for qx, qy in self.points:
            if (py > y) != (qy > y) and x < (qx - px) * (y - py) / (qy - py) + px:
                inside = not inside
            px, py = qx, qy
        return inside

    def meets(self, other: Sequence[Point]) -> bool:
        """Return whether it shares a point with a convex outline."""
        if self.holds(*other[0]):
            return True
        if Area(other).holds(*self.points[0]):
            return True
        mine = list(zip(self.points, [*self.points[1:], self.points[0]], strict=True))
        theirs = list(zip(other, [*other[1:], other[0]], strict=True))
        return any(_cross(a, b, c, d) for a, b in mine for c, d in theirs)


def _side(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Return whether two segments share a point, touching ends left out."""
    return _side(a, b, c) * _side(a, b, d) < 0.0 and _side(c, d, a) * _side(c, d, b) < 0.0
