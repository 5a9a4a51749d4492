"""Static obstacles: polygons, and which of their edges are near a place."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import warp as wp

from stagetwin_sim._errors import FleetError
from stagetwin_sim.fleet._near_kernels import Layout
from stagetwin_sim.fleet._sort_kernels import Grid

if TYPE_CHECKING:
    from stagetwin.maps import RoadMap

__all__ = ["Obstacles", "make_grid", "make_layout"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_MOST_CELLS = 1 << 16


class Obstacles:
    """The static obstacles of one layout.

    A polygon counter-clockwise is solid; a clockwise one is a room, whose inside is free. Two
    points are a wall that is seen from both sides.

    Args:
        polygons: corners of each [m], in the map's frame.

    Attributes:
        ends: of every edge: from x, y to x, y, shape (edges, 4); free space is to its right.
        ways: directions of the edges before and after it, shape (edges, 4).
        bends: bit 0 and bit 1 are set where its first and second end are convex, shape (edges,).

    Raises:
        FleetError: a polygon has less than two points, or an edge without a length.
    """

    def __init__(self, polygons: Iterable[Sequence[Sequence[float]] | Floats] = ()) -> None:
        ends, ways, bends = [], [], []
        for number, polygon in enumerate(polygons):
            points = np.asarray(polygon, np.float64)
            if points.ndim != 2 or points.shape[1] != 2 or len(points) < 2:
                text = f"two points or more, (x, y) each, got shape {points.shape}"
                raise FleetError(f"obstacle {number} must have {text}")
            following = np.roll(points, -1, axis=0)
            edges = following - points
            lengths = np.hypot(edges[:, 0], edges[:, 1])
            if not (np.isfinite(points).all() and (lengths > 1e-6).all()):
                at = int(np.argmin(np.nan_to_num(lengths, nan=0.0)))
                text = f"finite, and its corners apart, got {points[at].tolist()} at {at}"
                raise FleetError(f"obstacle {number} must be {text}")
            way = edges / lengths[:, None]
            before = np.roll(way, 1, axis=0)
            convex = before[:, 0] * way[:, 1] - before[:, 1] * way[:, 0] >= 0.0
            if len(points) == 2:
                convex[:] = True
            ends.append(np.hstack([points, following]))
            ways.append(np.hstack([before, np.roll(way, -1, axis=0)]))
            bends.append(convex.astype(np.int64) + 2 * np.roll(convex, -1).astype(np.int64))
        self.ends: Floats = np.vstack(ends) if ends else np.zeros((0, 4))
        self.ways: Floats = np.vstack(ways) if ways else np.zeros((0, 4))
        self.bends: Ints = np.concatenate(bends) if bends else np.zeros(0, np.int64)

    @classmethod
    def from_map(cls, road_map: RoadMap) -> Obstacles:
        """Return the obstacles of a map."""
        return cls([obstacle.polygon for obstacle in road_map.obstacles])

    @property
    def count(self) -> int:
        """How many edges they have."""
        return len(self.bends)

    def bounds(self) -> tuple[float, float, float, float] | None:
        """Return left, bottom, right and top [m]; None of nothing."""
        if not self.count:
            return None
        x, y = self.ends[:, [0, 2]], self.ends[:, [1, 3]]
        return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def make_grid(
    bounds: tuple[float, float, float, float], cell: float, most: int = _MOST_CELLS
) -> Any:
    """Return cells of at least a length that cover a floor, not more than `most` of them."""
    left, bottom, right, top = bounds
    width, height = max(right - left, cell), max(top - bottom, cell)
    length = max(cell, math.sqrt(width * height / max(most, 1)))
    grid: Any = Grid()
    grid.columns = max(1, min(most, math.floor(width / length)))
    grid.rows = max(1, min(most // grid.columns, math.floor(height / length)))
    # One length for both ways: the wider of what fits, so that none is shorter than asked.
    fitting = max(width / grid.columns, height / grid.rows)
    grid.x, grid.y, grid.inverse = left, bottom, 1.0 / fitting
    return grid


def make_layout(
    sets: Sequence[Obstacles],
    bounds: tuple[float, float, float, float],
    reach: float,
    device: str,
) -> tuple[Any, Ints]:
    """Put layouts on a device.

    Args:
        sets: the obstacles of each layout.
        bounds: of the floor [m]; all edges lie within.
        reach: edges up to this far from a place in a cell are named in it [m].
        device: Warp's name of it.

    Returns:
        The `Layout`, and the number of the first edge of each set and of the end.
    """
    grid = make_grid(bounds, max(reach / 4.0, 0.25), max(1, _MOST_CELLS // max(1, len(sets))))
    firsts = np.cumsum([0, *(each.count for each in sets)])
    size = 1.0 / grid.inverse
    cells = grid.columns * grid.rows
    centres_x = grid.x + (np.arange(grid.columns) + 0.5) * size
    centres_y = grid.y + (np.arange(grid.rows) + 0.5) * size
    # Rounding of float32 must not put a place into a cell that does not name its edges.
    near = reach + size * math.sqrt(0.5) + 0.01
    pairs_cell, pairs_edge = [], []
    for which, each in enumerate(sets):
        for n, (ax, ay, bx, by) in enumerate(each.ends.tolist()):
            columns = np.nonzero(
                (centres_x >= min(ax, bx) - near) & (centres_x <= max(ax, bx) + near)
            )[0]
            rows = np.nonzero(
                (centres_y >= min(ay, by) - near) & (centres_y <= max(ay, by) + near)
            )[0]
            x, y = centres_x[columns][None, :], centres_y[rows][:, None]
            ex, ey = bx - ax, by - ay
            t = np.clip(((x - ax) * ex + (y - ay) * ey) / (ex * ex + ey * ey), 0.0, 1.0)
            close = np.hypot(x - ax - t * ex, y - ay - t * ey) <= near
            found_row, found_column = np.nonzero(close)
            cell = (which * grid.rows + rows[found_row]) * grid.columns + columns[found_column]
            pairs_cell.append(cell)
            pairs_edge.append(np.full(len(cell), firsts[which] + n))
    cell_of = np.concatenate(pairs_cell) if pairs_cell else np.zeros(0, np.int64)
    edge_of = np.concatenate(pairs_edge) if pairs_edge else np.zeros(0, np.int64)
    order = np.lexsort((edge_of, cell_of))
    starts = np.searchsorted(cell_of[order], np.arange(len(sets) * cells + 1))
    layout: Any = Layout()
    layout.grid = grid
    ends = np.vstack([each.ends for each in sets]).astype(np.float32)
    ways = np.vstack([each.ways for each in sets]).astype(np.float32)
    bends = np.concatenate([each.bends for each in sets]).astype(np.int32)
    layout.ends = wp.array(ends, dtype=wp.vec4, device=device)
    layout.ways = wp.array(ways, dtype=wp.vec4, device=device)
    layout.bends = wp.array(bends, dtype=wp.int32, device=device)
    layout.starts = wp.array(starts.astype(np.int32), dtype=wp.int32, device=device)
    layout.near = wp.array(edge_of[order].astype(np.int32), dtype=wp.int32, device=device)
    return layout, firsts
