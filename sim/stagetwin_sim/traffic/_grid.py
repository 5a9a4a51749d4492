"""Cells of a grid, and what leads where among them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stagetwin_sim._errors import TrafficError

if TYPE_CHECKING:
    from stagetwin.maps import RoadMap, Zone

__all__ = ["NO_WAY", "GridMap"]

NO_WAY = 65535
"""Steps to a goal that cannot be reached."""


@dataclass(frozen=True)
class GridMap:
    """Square cells in rows from the lower left; each is free or not.

    Attributes:
        free: whether one may be on a cell, shape (rows, columns).
        cell: edge of a cell [m].
        origin: lower left corner [m].
    """

    free: npt.NDArray[np.bool_]
    cell: float = 1.0
    origin: tuple[float, float] = (0.0, 0.0)
    neighbours: npt.NDArray[np.int32] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.free.ndim != 2 or not self.free.size:
            raise TrafficError(f"a grid has rows and columns, got shape {self.free.shape}")
        if not self.cell > 0:
            raise TrafficError(f"a grid's cell must be above 0 m, got {self.cell}")
        object.__setattr__(self, "neighbours", _neighbours(self.free))

    @property
    def count(self) -> int:
        """Cells, free or not."""
        return int(self.free.size)

    def place(self, cell: int) -> tuple[float, float]:
        """Return the middle of a cell [m]."""
        row, column = divmod(cell, self.free.shape[1])
        return (
            self.origin[0] + (column + 0.5) * self.cell,
            self.origin[1] + (row + 0.5) * self.cell,
        )

    def places(self) -> npt.NDArray[np.float64]:
        """Return the middle of every cell [m], shape (count, 2)."""
        rows, columns = np.divmod(np.arange(self.count), self.free.shape[1])
        middle = np.stack([columns + 0.5, rows + 0.5], axis=1) * self.cell
        shifted: npt.NDArray[np.float64] = middle + np.array(self.origin)
        return shifted

    def cell_at(self, x: float, y: float) -> int:
        """Return the cell around a point; -1 where none is, or it is not free."""
        column = int(np.floor((x - self.origin[0]) / self.cell))
        row = int(np.floor((y - self.origin[1]) / self.cell))
        rows, columns = self.free.shape
        if 0 <= row < rows and 0 <= column < columns and self.free[row, column]:
            return int(row * columns + column)
        return -1

    def distances(self, goals: Iterable[int]) -> npt.NDArray[np.uint16]:
        """Return the steps from every cell to each goal, NO_WAY for none, shape (goals, count)."""
        found = [self._steps(goal) for goal in goals]
        return np.array(found, np.uint16).reshape(len(found), self.count)

    def _steps(self, goal: int) -> npt.NDArray[np.uint16]:
        if not 0 <= goal < self.count or not self.free.reshape(-1)[goal]:
            raise TrafficError(f"a goal is a free cell below {self.count}, got {goal}")
        far = np.full(self.count, NO_WAY, np.uint16)
        far[goal] = 0
        todo = deque([goal])
        around: list[list[int]] = self.neighbours.tolist()
        steps: list[int] = far.tolist()
        while todo:
            here = todo.popleft()
            for cell in around[here]:
                if cell >= 0 and steps[cell] == NO_WAY:
                    steps[cell] = min(steps[here] + 1, NO_WAY - 1)
                    todo.append(cell)
        return np.array(steps, np.uint16)

    def connected(self) -> npt.NDArray[np.int64]:
        """Return the cells of the largest part that hangs together, in order."""
        labels = np.full(self.count, -1)
        best: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        for cell in np.flatnonzero(self.free.reshape(-1)):
            if labels[cell] < 0:
                part = np.flatnonzero(self._steps(int(cell)) < NO_WAY)
                labels[part] = cell
                if len(part) > len(best):
                    best = part
        return best

    @classmethod
    def of_zone(cls, road_map: RoadMap, zone: Zone, clearance: float) -> GridMap:
        """Return the cells of a grid zone: those within it that no obstacle comes near.

        Args:
            road_map: whose obstacles count.
            zone: with the authority `grid`.
            clearance: radius that must be free about the middle of a cell [m].
        """
        edge = zone.cell or 0.0
        if not edge >= 2 * clearance:
            where = zone.prim or zone.id
            raise TrafficError(
                f"{where}: cell of the grid zone {zone.id!r} must be {2 * clearance:.3f} m or "
                f"more, so that vehicles that turn on neighbouring cells never touch; got {edge:g}"
            )
        corners = np.array(zone.polygon)
        low, high = corners.min(axis=0), corners.max(axis=0)
        columns, rows = (np.maximum(np.floor((high - low) / edge + 1e-6), 1)).astype(int)
        empty = cls(np.ones((rows, columns), bool), edge, (float(low[0]), float(low[1])))
        places = empty.places()
        free = _inside(places, corners)
        for obstacle in road_map.obstacles:
            free &= ~_near(places, np.array(obstacle.polygon), clearance)
        return cls(free.reshape(rows, columns), edge, empty.origin)

    @classmethod
    def parse(cls, text: str, cell: float = 1.0) -> GridMap:
        """Return the grid of a MovingAI `.map`; its first line is the top row.

        Source: N. R. Sturtevant, "Benchmarks for Grid-Based Pathfinding", IEEE Trans. Computational
        Intelligence and AI in Games 4 (2012); `.`, `G` and `S` are free.
        """
        lines = text.splitlines()
        rows = lines[lines.index("map") + 1 :]
        rows = [row for row in rows if row]
        free = np.array([[letter in ".GS" for letter in row] for row in reversed(rows)])
        return cls(free, cell)


def _neighbours(free: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    rows, columns = free.shape
    numbers = np.where(free, np.arange(free.size).reshape(rows, columns), -1)
    around = np.full((rows, columns, 4), -1)
    around[:, :-1, 0] = numbers[:, 1:]
    around[:-1, :, 1] = numbers[1:]
    around[:, 1:, 2] = numbers[:, :-1]
    around[1:, :, 3] = numbers[:-1]
    around[~free] = -1
    return around.reshape(-1, 4).astype(np.int32)


def _inside(places: npt.NDArray[np.float64], polygon: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Tell which points lie in a polygon (crossing number)."""
    inside = np.zeros(len(places), bool)
    x, y = places[:, 0], places[:, 1]
    ax, ay = polygon[-1]
    for bx, by in polygon:
        if ay != by:
            between = (ay > y) != (by > y)
            inside ^= between & (x < ax + (y - ay) * (bx - ax) / (by - ay))
        ax, ay = bx, by
    return inside


def _near(
    places: npt.NDArray[np.float64], polygon: npt.NDArray[Any], radius: float
) -> npt.NDArray[np.bool_]:
    """Tell which points lie in a polygon or within a radius of its edges."""
    near = _inside(places, polygon)
    ends: Sequence[Any] = list(polygon)
    for a, b in zip((ends[-1], *ends[:-1]), ends, strict=True):
        way = b - a
        length = float(way @ way)
        share = np.clip((places - a) @ way / length, 0, 1) if length else np.zeros(len(places))
        far = places - a - share[:, None] * way
        near |= np.hypot(far[:, 0], far[:, 1]) < radius
    return near
