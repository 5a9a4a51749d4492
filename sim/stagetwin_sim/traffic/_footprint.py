"""Areas that vehicles sweep on a map, and which of them meet."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stagetwin.fleets import VehicleType
from stagetwin.maps.geometry import convex_hull

__all__ = ["Footprint", "meeting", "overlap"]

Floats = npt.NDArray[np.float64]
Point = tuple[float, float]

AROUND = 12
"""Corners of what a turn on the spot sweeps."""


@dataclass(frozen=True)
class Footprint:
    """What every vehicle of a fleet stays within, loaded or not, with half a gap around it.

    Attributes:
        ahead, behind: from the kinematic centre [m].
        aside: half its width [m].
    """

    ahead: float
    behind: float
    aside: float

    @classmethod
    def of(cls, types: Sequence[VehicleType], gap: float) -> Footprint:
        """Return the footprint that holds all types, loaded too, and half of a gap [m]."""
        ahead = behind = aside = 0.0
        for kind in types:
            middle = kind.front - kind.length / 2
            half = max(kind.length, kind.loaded_length) / 2
            ahead, behind = max(ahead, half + middle), max(behind, half - middle)
            aside = max(aside, kind.width / 2, kind.loaded_width / 2)
        return cls(ahead + gap / 2, behind + gap / 2, aside + gap / 2)

    @property
    def radius(self) -> float:
        """What a turn on the spot sweeps [m]."""
        return math.hypot(max(self.ahead, self.behind), self.aside)

    def at(self, x: float, y: float, theta: float) -> list[Point]:
        """Return the corners of the footprint at a pose."""
        c, s = math.cos(theta), math.sin(theta)
        corners = (
            (self.ahead, self.aside),
            (-self.behind, self.aside),
            (-self.behind, -self.aside),
            (self.ahead, -self.aside),
        )
        return [(x + a * c - b * s, y + a * s + b * c) for a, b in corners]

    def swept(self, poses: Sequence[tuple[float, float, float]]) -> tuple[Point, ...]:
        """Return the convex hull of the footprint at poses near each other."""
        return convex_hull(corner for pose in poses for corner in self.at(*pose))

    def turned(self, x: float, y: float) -> tuple[Point, ...]:
        """Return what a turn on the spot sweeps, as a polygon around the circle."""
        radius = self.radius / math.cos(math.pi / AROUND)
        steps = (2 * math.pi * k / AROUND for k in range(AROUND))
        return tuple((x + radius * math.cos(a), y + radius * math.sin(a)) for a in steps)


def meeting(areas: Sequence[Sequence[Point]]) -> list[list[int]]:
    """Return for each convex area which areas it has more than an edge in common with, sorted.

    An area meets itself. Source of the test: separating axes, C. Ericson, "Real-Time Collision
    Detection", 2005, section 5.2.1.
    """
    shapes = [np.asarray(area, np.float64) for area in areas]
    if not shapes:
        return []
    low = np.array([shape.min(axis=0) for shape in shapes])
    high = np.array([shape.max(axis=0) for shape in shapes])
    edge = float(max((high - low).max(), 1e-3))
    buckets: dict[tuple[int, int], list[int]] = defaultdict(list)
    found: list[list[int]] = [[i] for i in range(len(shapes))]
    spans = np.floor(np.concatenate([low, high], axis=1) / edge).astype(int).tolist()
    seen: set[tuple[int, int]] = set()
    for i, (left, bottom, right, top) in enumerate(spans):
        for key in ((a, b) for a in range(left, right + 1) for b in range(bottom, top + 1)):
            for j in buckets[key]:
                if (j, i) not in seen:
                    seen.add((j, i))
                    apart = (low[i] >= high[j]).any() or (low[j] >= high[i]).any()
                    if not apart and overlap(shapes[i], shapes[j]):
                        found[i].append(j)
                        found[j].append(i)
            buckets[key].append(i)
    return [sorted(each) for each in found]


def overlap(a: Floats, b: Floats) -> bool:
    """Tell whether two convex polygons, shape (corners, 2), have more than an edge in common."""
    for shape in (a, b):
        edges = np.roll(shape, -1, axis=0) - shape
        normals = np.stack([edges[:, 1], -edges[:, 0]], axis=1)
        normals /= np.maximum(np.hypot(normals[:, 0], normals[:, 1]), 1e-12)[:, None]
        one, other = a @ normals.T, b @ normals.T
        if (
            (one.max(axis=0) <= other.min(axis=0) + 1e-6)
            | (other.max(axis=0) <= one.min(axis=0) + 1e-6)
        ).any():
            return False
    return True
