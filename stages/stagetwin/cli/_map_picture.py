"""A map drawn with Braille dots: lanes, obstacles, zones, stations, and a route with its arrows.

A route must be seen without colours too: its arrows say where it goes, and the lanes that it does
not take are dotted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby, pairwise

from rich.text import Text

from stagetwin.cli._cells import plain_text
from stagetwin.maps import Point, RoadMap

__all__ = ["map_picture"]

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_MOST_COLUMNS, _MOST_ROWS = 110, 28
_DOTTED = 4
"""Between two dots of a lane beside a route."""
_ARROWS = (0.5,)
"""Where on each piece of a route an arrow is, as a share of the piece."""
_SHAPES = ("→", "↗", "↑", "↖", "←", "↙", "↓", "↘")
_STYLES = {
    "zone": "#5f6b7a",
    "obstacle": "#8a8f98",
    "lane": "#4aa3df",
    "node": "bold #d0d7de",
    "station": "bold #f0b94b",
    "route": "bold #4ec98a",
}
_RANK = {name: i for i, name in enumerate(_STYLES)}


class _Canvas:
    """Dots, two across and four down in a cell; the strongest kind colours the cell."""

    def __init__(self, box: tuple[float, float, float, float], width: int) -> None:
        left, bottom, right, top = box
        wide, high = max(right - left, 1e-6), max(top - bottom, 1e-6)
        # One is left: the far edge of the box opens a cell of its own.
        columns = max(min(width, _MOST_COLUMNS) - 1, 10)
        # A cell is about twice as high as it is wide, and so are its dots.
        self._scale = min(2 * columns / wide, 4 * _MOST_ROWS / high)
        self._left, self._top = left, top
        self.columns = max(math.ceil(wide * self._scale / 2 + 0.01), 1)
        self.rows = max(math.ceil(high * self._scale / 4 + 0.01), 1)
        self._bits = [[0] * self.columns for _ in range(self.rows)]
        self._kinds: list[list[str]] = [[""] * self.columns for _ in range(self.rows)]
        self._letters: dict[tuple[int, int], tuple[str, str]] = {}

    def _dot(self, x: float, y: float) -> tuple[int, int]:
        return int((x - self._left) * self._scale), int((self._top - y) * self._scale)

    def dot(self, x: float, y: float, kind: str) -> None:
        column, row = self._dot(x, y)
        if 0 <= row < 4 * self.rows and 0 <= column < 2 * self.columns:
            self._bits[row // 4][column // 2] |= _DOTS[row % 4][column % 2]
            old = self._kinds[row // 4][column // 2]
            if _RANK[kind] >= _RANK.get(old, -1):
                self._kinds[row // 4][column // 2] = kind

    def line(self, points: Sequence[Point], kind: str, gap: int = 1) -> None:
        for (ax, ay), (bx, by) in pairwise(points):
            steps = max(int(max(abs(bx - ax), abs(by - ay)) * self._scale), 1)
            for i in range(0, steps + 1, gap):
                share = i / steps
                self.dot(ax + (bx - ax) * share, ay + (by - ay) * share, kind)

    def label(self, x: float, y: float, text: str, kind: str) -> None:
        column, row = self._dot(x, y)
        column, row = column // 2, row // 4
        column = min(max(column, 0), max(self.columns - len(text), 0))
        row = min(max(row, 0), self.rows - 1)
        places = [(row, column + i) for i in range(len(text))]
        if all(place not in self._letters for place in places):
            self._letters.update(
                (place, (letter, kind)) for place, letter in zip(places, text, strict=True)
            )

    def arrow(self, x: float, y: float, dx: float, dy: float, kind: str) -> None:
        """Write an arrow into the cell of a point."""
        column, row = self._dot(x, y)
        shape = _SHAPES[round(math.atan2(dy, dx) / (math.pi / 4)) % len(_SHAPES)]
        self._letters.setdefault((row // 4, column // 2), (shape, kind))

    def _cell(self, row: int, column: int) -> tuple[str, str]:
        if (row, column) in self._letters:
            return self._letters[row, column]
        bits = self._bits[row][column]
        return (chr(0x2800 + bits), self._kinds[row][column]) if bits else (" ", "")

    def text(self) -> Text:
        found = Text()
        for row in range(self.rows):
            cells = [self._cell(row, column) for column in range(self.columns)]
            for kind, run in groupby(cells, key=lambda cell: cell[1]):
                found.append("".join(letter for letter, _ in run), _STYLES.get(kind, ""))
            found.rstrip()
            found.append("\n")
        found.rstrip()
        return found


def map_picture(
    road_map: RoadMap,
    width: int,
    route: Sequence[Point] = (),
    ends: tuple[str, str] = ("", ""),
) -> Text:
    """Return a picture of a map.

    Args:
        road_map: what is drawn.
        width: of the terminal [cells].
        route: points of a way that is drawn over it.
        ends: what its ends are called.
    """
    box = _box(road_map)
    if box is None:
        return Text("(nothing to draw)", style="dim")
    canvas = _Canvas(box, width)
    for zone in road_map.zones.values():
        canvas.line((*zone.polygon, *zone.polygon[:1]), "zone", gap=3)
    for obstacle in road_map.obstacles:
        canvas.line((*obstacle.polygon, *obstacle.polygon[:1]), "obstacle")
    for lane in road_map.lanes.values():
        canvas.line(road_map.lane_points(lane), "lane", gap=_DOTTED if route else 1)
    for node in road_map.nodes.values():
        canvas.dot(node.x, node.y, "node")
    if route:
        canvas.line(route, "route")
        for place, name in zip((route[0], route[-1]), ends, strict=True):
            canvas.label(*place, plain_text(name)[:12], "route")
    for station in road_map.stations.values():
        canvas.label(station.x, station.y, plain_text(station.id)[:12], "station")
    # Last, as names go before arrows.
    for (ax, ay), (bx, by) in pairwise(route):
        for share in _ARROWS:
            canvas.arrow(ax + (bx - ax) * share, ay + (by - ay) * share, bx - ax, by - ay, "route")
    return canvas.text()


def _box(road_map: RoadMap) -> tuple[float, float, float, float] | None:
    points: list[Point] = [(node.x, node.y) for node in road_map.nodes.values()]
    points += [(station.x, station.y) for station in road_map.stations.values()]
    points += [point for lane in road_map.lanes.values() for point in lane.path]
    points += [point for zone in road_map.zones.values() for point in zone.polygon]
    points += [point for obstacle in road_map.obstacles for point in obstacle.polygon]
    points = [p for p in points if math.isfinite(p[0]) and math.isfinite(p[1])]
    if not points:
        return None
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    margin = 0.01 * max(max(xs) - min(xs), max(ys) - min(ys), 1.0)
    return min(xs) - margin, min(ys) - margin, max(xs) + margin, max(ys) + margin
