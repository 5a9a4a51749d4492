"""Floors as grids: MovingAI's benchmark maps, and the cells of a zone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stagetwin._errors import MapError
from stagetwin.maps._imported import Origin, moved, read_text
from stagetwin.maps._road_map import Obstacle, RoadMap, Zone
from stagetwin.maps.geometry import Point, contains

__all__ = ["Grid", "import_grid"]

Bools = npt.NDArray[np.bool_]

_FREE, _SHUT = ".GS", "@OTW"
_MOST = 50_000_000
"""Cells of one grid."""


@dataclass(frozen=True, eq=False)
class Grid:
    """A floor cut into square cells.

    Attributes:
        free: whether a cell may be driven on, shape (row_count, column_count); row 0 lies at the
            lowest y, column 0 at the lowest x.
        cell: edge of a cell [m].
        x: left edge of column 0 in the map's frame [m].
        y: lower edge of row 0 [m].
    """

    free: Bools
    cell: float = 1.0
    x: float = 0.0
    y: float = 0.0

    @classmethod
    def of(cls, road_map: RoadMap, zone: Zone | str) -> Grid:
        """Return the cells of a zone: free where they lie in it whole and nothing stands on them.

        Raises:
            MapError: there is no such zone, or it has no cells.
        """
        found = road_map.zones.get(zone) if isinstance(zone, str) else zone
        if found is None:
            raise MapError(f"map {road_map.id!r} has no zone {zone!r}")
        where = found.prim or f"zone {found.id!r}"
        if found.cell is None or not found.cell > 0 or len(found.polygon) < 3:
            raise MapError(f"{where}: a grid needs a polygon and a cell above 0 m")
        left, bottom = (min(p[i] for p in found.polygon) for i in (0, 1))
        right, top = (max(p[i] for p in found.polygon) for i in (0, 1))
        columns, rows = (
            math.floor((b - a) / found.cell + 1e-6) for a, b in ((left, right), (bottom, top))
        )
        if not 0 < rows * columns <= _MOST:
            raise MapError(f"{where}: its grid would have {rows} rows of {columns} cells")
        grid = cls(np.ones((rows, columns), np.bool_), found.cell, left, bottom)
        if len(found.polygon) > 4 or not _is_box(found.polygon):
            grid._keep_within(found.polygon)
        for obstacle in road_map.obstacles:
            grid._block(obstacle.polygon)
        return grid

    def centre(self, row: int, column: int) -> Point:
        """Return the middle of a cell in the map's frame [m]."""
        return self.x + (column + 0.5) * self.cell, self.y + (row + 0.5) * self.cell

    def at(self, x: float, y: float) -> tuple[int, int] | None:
        """Return row and column of the cell around a point, None beyond the grid."""
        row, column = math.floor((y - self.y) / self.cell), math.floor((x - self.x) / self.cell)
        rows, columns = self.free.shape
        return (row, column) if 0 <= row < rows and 0 <= column < columns else None

    def _keep_within(self, polygon: tuple[Point, ...]) -> None:
        rows, columns = self.free.shape
        edge = 1e-6 * self.cell
        for row in range(rows):
            for column in range(columns):
                x, y = self.x + column * self.cell, self.y + row * self.cell
                ends = (edge, self.cell - edge)
                if not all(contains(polygon, x + dx, y + dy) for dx in ends for dy in ends):
                    self.free[row, column] = False

    def _block(self, polygon: tuple[Point, ...]) -> None:
        """Close the cells that a convex polygon reaches into, by the separating axis theorem."""
        corners = np.array(polygon, np.float64).reshape(-1, 2)
        if len(corners) < 3:
            return
        rows, columns = self.free.shape
        low = np.floor((corners.min(axis=0) - (self.x, self.y)) / self.cell + 1e-6).astype(int)
        high = np.ceil((corners.max(axis=0) - (self.x, self.y)) / self.cell - 1e-6).astype(int)
        column = np.arange(max(low[0], 0), min(high[0], columns))
        row = np.arange(max(low[1], 0), min(high[1], rows))
        if not len(row) or not len(column):
            return
        x = self.x + (column + 0.5) * self.cell
        y = self.y + (row + 0.5) * self.cell
        reached = np.ones((len(row), len(column)), np.bool_)
        for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            normal = np.array([b[1] - a[1], a[0] - b[0]])
            length = float(np.hypot(*normal))
            if length == 0:
                continue
            normal = normal / length
            reach = float(np.abs(normal).sum()) * self.cell / 2
            off = (x[None, :] - a[0]) * normal[0] + (y[:, None] - a[1]) * normal[1]
            reached &= off < reach * (1 - 1e-6)
        self.free[np.ix_(row, column)] &= ~reached


def _is_box(polygon: tuple[Point, ...]) -> bool:
    return all(
        (a[0] == b[0]) != (a[1] == b[1])
        for a, b in zip(polygon, (*polygon[1:], polygon[0]), strict=True)
    )


def import_grid(
    path: str | Path, cell: float = 1.0, *, origin: Origin = (0.0, 0.0, 0.0)
) -> tuple[RoadMap, Grid]:
    """Read a MovingAI map: one zone with authority `grid`, and rectangles for what is shut.

    `.`, `G` and `S` (swamp) are free; `@`, `O`, `T` and `W` (water) are shut. The file's first row
    is the northernmost, so it has the highest y.

    Source of the format: N. R. Sturtevant, "Benchmarks for Grid-Based Pathfinding", IEEE TCIAIG 4
    (2012), section III.

    Args:
        path: the file.
        cell: edge of a cell [m].
        origin: where the lower left corner lies in the map; the grid follows it only unturned.

    Returns:
        The map and its cells.

    Raises:
        MapError: it is no such file; names the line.
    """
    at, text = read_text(path)
    if not (math.isfinite(cell) and cell > 0):
        raise MapError(f"{at}: the edge of a cell must be above 0 m, got {cell}")
    if origin[2] != 0:
        raise MapError(f"{at}: a grid lies along the axes of its map, got a yaw of {origin[2]} rad")
    free = _cells(at, text.splitlines())
    rows, columns = free.shape
    wide, high = columns * cell, rows * cell
    zone = Zone(
        id="grid",
        polygon=((0.0, 0.0), (wide, 0.0), (wide, high), (0.0, high)),
        authority="grid",
        cell=cell,
    )
    road_map = RoadMap(
        id=at.stem,
        zones={zone.id: zone},
        obstacles=tuple(_rectangles(~free, cell)),
        extent=(0.0, 0.0, wide, high),
    )
    return moved(road_map, origin), Grid(free, cell, origin[0], origin[1])


def _cells(path: Path, lines: list[str]) -> Bools:
    header: dict[str, str] = {}
    number = 0
    for line in lines:
        number += 1
        word, _, rest = line.strip().partition(" ")
        if word.lower() == "map" and not rest.strip():
            break
        if word:
            header[word.lower()] = rest.strip()
    else:
        raise MapError(f"{path}: has no line 'map', after which the rows come")
    size: list[int] = []
    for name in ("height", "width"):
        value = header.get(name, "")
        if not value.isdecimal() or not 0 < int(value) <= _MOST:
            raise MapError(f"{path}: {name} must be a whole number above 0, got {value!r}")
        size.append(int(value))
    if size[0] * size[1] > _MOST:
        raise MapError(f"{path}: has {size[0] * size[1]} cells, {_MOST} are allowed")
    rows = lines[number : number + size[0]]
    if len(rows) < size[0]:
        raise MapError(f"{path}: height is {size[0]}, got {len(rows)} rows")
    free = np.zeros((size[0], size[1]), np.bool_)
    for i, row in enumerate(rows):
        row = row.rstrip("\r")
        if len(row) != size[1]:
            text = f"width is {size[1]}, got {len(row)} cells"
            raise MapError(f"{path}, line {number + 1 + i}: {text}")
        strange = sorted(set(row) - set(_FREE + _SHUT))
        if strange:
            text = f"cells are {' '.join(_FREE + _SHUT)}, got {strange[0]!r}"
            raise MapError(f"{path}, line {number + 1 + i}: {text}")
        free[size[0] - 1 - i] = [mark in _FREE for mark in row]
    return free


def _rectangles(shut: Bools, cell: float) -> list[Obstacle]:
    """Return rectangles that cover what is shut once: as wide as possible, then as high."""
    rest = shut.copy()
    rows, columns = rest.shape
    found: list[Obstacle] = []
    for row in range(rows):
        column = 0
        while column < columns:
            if not rest[row, column]:
                column += 1
                continue
            right = column
            while right < columns and rest[row, right]:
                right += 1
            top = row
            while top < rows and rest[top, column:right].all():
                top += 1
            rest[row:top, column:right] = False
            x, y, wide, high = (v * cell for v in (column, row, right, top))
            corners = ((x, y), (wide, y), (wide, high), (x, high))
            found.append(Obstacle(polygon=tuple(corners)))
            column = right
    return found
