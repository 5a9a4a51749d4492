"""Buildings of Open-RMF's traffic editor (`.building.yaml`)."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from stagetwin._errors import MapError
from stagetwin.maps._imported import Imported, Notes, Origin, Record, moved, read_text
from stagetwin.maps._road_map import Lane, Node, Obstacle, RoadMap, Station
from stagetwin.maps.geometry import Point, convex_hull

__all__ = ["import_open_rmf"]

_SYSTEMS = ("reference_image", "cartesian_meters")
_THICK = 0.1
"""Walls in the file are lines; this is how thick they are taken [m]."""

_ROLES = ("is_charger", "is_parking_spot", "pickup_dispenser", "dropoff_ingestor", "dock_name")

Points = list[Point]
_Vertex = tuple[float, float, str, Record]
_Place = Callable[[float, float], Point]


def import_open_rmf(
    path: str | Path,
    *,
    origin: Origin = (0.0, 0.0, 0.0),
    level: str = "",
    graph: int | None = None,
    scale: float | None = None,
) -> Imported:
    """Read a building: one map for each level, its id the level's name.

    Vertices are in pixels of the level's drawing with y down; the map has metres and y up. The
    scale is the mean over the level's measurements (as in Open-RMF's own building_map_tools), that
    of the reference level through their common fiducials where it has none, or `scale`.

    Args:
        path: the file.
        origin: where the file's origin (the upper left corner of the drawing) lies in the map.
        level: only this level.
        graph: only lanes of this graph; None takes all, each for vehicles of its graph if there
            are several.
        scale: metres in a pixel, whatever the measurements say.

    Raises:
        MapError: it is no building, or the scale of a level is not known; names the field.
    """
    at, text = read_text(path)
    root = Record(_parsed(at, text), at)
    if scale is not None and not (math.isfinite(scale) and scale > 0):
        raise MapError(f"{at}: the scale must be above 0 metres in a pixel, got {scale}")
    notes = Notes(at)
    system = root.text("coordinate_system", _SYSTEMS[0])
    if system not in _SYSTEMS:
        place = root.get("coordinate_system")
        raise place.fail(f"must be one of {', '.join(_SYSTEMS)}, got {system!r}")
    levels = root.get("levels")
    if not isinstance(levels.value, dict) or not levels.value:
        raise levels.fail("is missing; an object with one entry for each level is expected")
    known = [str(name) for name in levels.value]  # YAML reads a level called 1 as a number
    if level and level not in known:
        raise levels.fail(f"there is no level {level!r}; levels: {', '.join(known)}")
    if root.get("lifts").value:
        notes.add("lifts", f"{len(root.get('lifts').value)} lifts are not kept")
    building = _Building(root, notes, system == "cartesian_meters", graph, scale)
    names = [level] if level else known
    maps = tuple(moved(building.level(name), origin) for name in names)
    return Imported(maps=maps, notes=notes.done())


def _parsed(path: Path, text: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise MapError(
            f"{path}: reading YAML needs PyYAML (pip install 'stagetwin[maps]')"
        ) from None
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise MapError(f"{path}{where}: is no YAML: {getattr(error, 'problem', error)}") from None


class _Building:
    """A building while it is read."""

    def __init__(
        self, root: Record, notes: Notes, metric: bool, graph: int | None, scale: float | None
    ) -> None:
        self._root = root
        self._notes = notes
        self._metric = metric
        self._graph = graph
        self._scale = scale

    def _level(self, name: str) -> Record:
        levels = self._root.get("levels")
        key = next(key for key in levels.value if str(key) == name)
        return levels.child(key)

    def level(self, name: str) -> RoadMap:
        """Return the map of a level."""
        record = self._level(name)
        raw = [self._vertex(each) for each in record.items("vertices")]
        place = self._placing(name, record, raw)
        points = [place(x, y) for x, y, *_ in raw]
        names, nodes, lanes = self._network(record, raw, points)
        floors = [
            points[i] for each in record.items("floors") for i in self._corners(each, len(raw))
        ]
        for kind, text in (("models", "pieces of furniture"), ("doors", "doors")):
            count = sum(1 for _ in record.items(kind))
            if count:
                self._notes.add(f"{record.place}.{kind}", f"{count} {text} are not kept")
        return RoadMap(
            id=name,
            nodes=nodes,
            lanes=lanes,
            stations=self._stations(record, raw, names, nodes),
            obstacles=tuple(self._walls(record, points)),
            extent=_box(floors) if floors else None,
        )

    # -- vertices

    def _vertex(self, record: Record) -> _Vertex:
        row = list(record.items())
        if len(row) < 2:
            raise record.fail(f"a vertex is [x, y, z, name, parameters], got {record.value}")
        x, y = (each.as_number() for each in row[:2])
        name = row[3].value if len(row) > 3 else ""
        parameters = row[4] if len(row) > 4 else record.child("parameters")
        return x, y, str(name or ""), parameters

    def _placing(self, name: str, record: Record, raw: list[_Vertex]) -> _Place:
        """Return what puts a vertex of a level into the map [m]."""
        if self._metric:
            return lambda x, y: (x, y)
        scale = self._scale if self._scale is not None else self._measured(record, raw)
        if scale is not None:
            factor = scale
            return lambda x, y: (x * factor, -y * factor)
        reference = self._root.text("reference_level_name", "")
        fits = (
            reference
            and reference != name
            and str(reference) in map(str, self._root.get("levels").value)
        )
        if not fits:
            raise record.get("measurements").fail(
                "the scale is not known: draw a measurement on the level, or give metres in a pixel"
            )
        return self._aligned(record, reference)

    def _measured(self, record: Record, raw: list[_Vertex]) -> float | None:
        scales: list[float] = []
        for each in record.items("measurements"):
            a, b = self._pair(each, len(raw))
            distance = _parameter(each, 2, "distance")
            pixels = math.hypot(raw[a][0] - raw[b][0], raw[a][1] - raw[b][1])
            if not isinstance(distance, (int, float)) or not distance > 0 or pixels == 0:
                raise each.fail(f"a measurement has a distance above 0 m, got {distance!r}")
            scales.append(float(distance) / pixels)
        if not scales:
            return None
        if max(scales) > 1.05 * min(scales):
            text = f"measurements differ by {100 * (max(scales) / min(scales) - 1):.0f} %"
            self._notes.add(f"{record.place}.measurements", f"{text}; their mean is taken")
        return math.fsum(scales) / len(scales)

    def _aligned(self, record: Record, reference: str) -> _Place:
        """Return the placing by fiducials that a level shares with the reference level.

        Source: S. Umeyama, "Least-squares estimation of transformation parameters between two
        point patterns", IEEE PAMI 13 (1991), in the plane by complex numbers.
        """
        other = self._level(reference)
        marks = [_fiducials(record), _fiducials(other)]
        common = sorted(marks[0].keys() & marks[1].keys())
        if len(common) < 2:
            raise record.get("fiducials").fail(
                f"two or more fiducials of level {reference!r} are needed to place a level without "
                f"a measurement, got {len(common)}"
            )
        raw = [self._vertex(each) for each in other.items("vertices")]
        onto = self._placing(reference, other, raw)
        here = np.array([complex(marks[0][name][0], -marks[0][name][1]) for name in common])
        there = np.array([complex(*onto(*marks[1][name])) for name in common])
        a, b = here - here.mean(), there - there.mean()
        spread = float((np.abs(a) ** 2).sum())
        if spread == 0:
            raise record.get("fiducials").fail("the common fiducials lie on one point")
        turn = complex((np.conj(a) * b).sum() / spread)
        shift = complex(there.mean() - turn * here.mean())

        def place(x: float, y: float) -> Point:
            at = turn * complex(x, -y) + shift
            return at.real, at.imag

        return place

    def _pair(self, record: Record, count: int) -> tuple[int, int]:
        row = record.value
        if (
            not isinstance(row, list)
            or len(row) < 2
            or any(isinstance(i, bool) or not isinstance(i, int) for i in row[:2])
            or any(not 0 <= i < count for i in row[:2])
        ):
            raise record.fail(f"begins with two vertices, 0 to {count - 1}, got {str(row)[:60]}")
        return row[0], row[1]

    def _corners(self, record: Record, count: int) -> list[int]:
        found = [each.value for each in record.items("vertices")]
        if any(not isinstance(i, int) or not 0 <= i < count for i in found):
            raise record.fail(f"vertices are 0 to {count - 1}, got {found}")
        return found

    # -- lanes

    def _network(
        self, record: Record, raw: list[_Vertex], points: Points
    ) -> tuple[dict[int, str], dict[str, Node], dict[str, Lane]]:
        rows: list[tuple[Record, int, int, int]] = []
        for each in record.items("lanes"):
            a, b = self._pair(each, len(raw))
            number = _parameter(each, 2, "graph_idx", 0)
            if self._graph is None or number == self._graph:
                rows.append((each, a, b, int(number)))
        used = sorted({vertex for _, a, b, _ in rows for vertex in (a, b)})
        names = self._names(record, raw, used)
        nodes = {names[i]: Node(id=names[i], x=points[i][0], y=points[i][1]) for i in used}
        several = len({number for *_, number in rows}) > 1
        lanes: dict[str, Lane] = {}
        for each, a, b, number in rows:
            lane = self._lane(each, names[a], names[b], number, several)
            if a == b or lane.id in lanes:
                text = "leads nowhere" if a == b else f"is {lane.id!r} again"
                self._notes.add(each.place, f"this lane {text}; it is left out")
                continue
            lanes[lane.id] = lane
        return names, nodes, lanes

    def _names(self, record: Record, raw: list[_Vertex], used: list[int]) -> dict[int, str]:
        """Return ids of vertices: their names, and numbers for those that have none."""
        names: dict[int, str] = {}
        taken: set[str] = set()
        for i in used:
            name = raw[i][2]
            if name in taken:
                text = f"the name {name!r} is there already; it is called {name}_{i}"
                self._notes.add(f"{record.place}.vertices[{i}]", text)
                name = f"{name}_{i}"
            names[i] = name or f"v{i}"
            taken.add(names[i])
        return names

    def _lane(self, each: Record, a: str, b: str, number: int, several: bool) -> Lane:
        speed = _parameter(each, 2, "speed_limit", 0.0)
        facing = str(_parameter(each, 2, "orientation", "") or "")
        if facing not in ("", "forward", "backward"):
            text = f"orientation {facing!r} is not known (forward, backward); it is left out"
            self._notes.add(each.place, text)
        if _parameter(each, 2, "mutex", ""):
            self._notes.add(each.place, "its mutex is not kept")
        graphs = self._root.get("graphs").value
        told = graphs.get(number) if isinstance(graphs, dict) else None
        name = told.get("name") if isinstance(told, dict) else None
        return Lane(
            id=f"{number}:{a}-{b}" if several else f"{a}-{b}",
            start=a,
            end=b,
            both=bool(_parameter(each, 2, "bidirectional", False)),
            maximum_speed=float(speed) if isinstance(speed, (int, float)) and speed > 0 else None,
            orientation={"forward": 0.0, "backward": math.pi}.get(facing),
            vehicle_types=(str(name or f"graph {number}"),) if several else (),
        )

    # -- the rest

    def _stations(
        self, record: Record, raw: list[_Vertex], names: dict[int, str], nodes: dict[str, Node]
    ) -> dict[str, Station]:
        stations: dict[str, Station] = {}
        for i, (_, _, name, parameters) in enumerate(raw):
            told = {key: _parameter(parameters, None, key) for key in _ROLES}
            kind = _kind(told)
            if not kind and not told["dock_name"]:
                continue
            if i not in names:
                text = f"station {name or i!r} lies on no lane; it is left out"
                self._notes.add(f"{record.place}.vertices[{i}]", text)
                continue
            node = nodes[names[i]]
            label = told["pickup_dispenser"] or told["dropoff_ingestor"] or told["dock_name"] or ""
            stations[node.id] = Station(
                id=node.id, x=node.x, y=node.y, kind=kind, nodes=(node.id,), name=str(label)
            )
        return stations

    def _walls(self, record: Record, points: Points) -> list[Obstacle]:
        found: list[Obstacle] = []
        for each in record.items("walls"):
            a, b = (points[i] for i in self._pair(each, len(points)))
            length = math.hypot(b[0] - a[0], b[1] - a[1])
            if length == 0:
                continue
            dx, dy = (b[0] - a[0]) / length * _THICK / 2, (b[1] - a[1]) / length * _THICK / 2
            corners = [
                (x + sx * dx - sy * dy, y + sx * dy + sy * dx)
                for (x, y), sx in ((a, -1), (b, 1))
                for sy in (-1, 1)
            ]
            found.append(Obstacle(polygon=convex_hull(corners)))
        return found


def _kind(told: dict[str, Any]) -> str:
    if told["is_charger"]:
        return "charge"
    if told["pickup_dispenser"]:
        return "transfer" if told["dropoff_ingestor"] else "pick"
    if told["dropoff_ingestor"]:
        return "drop"
    return "park" if told["is_parking_spot"] else ""


def _parameter(record: Record, index: int | None, name: str, default: Any = None) -> Any:
    """Return a parameter of a row, which the editor writes as [type, value]."""
    value = record.value
    if index is not None:
        value = value[index] if isinstance(value, list) and len(value) > index else {}
    found = value.get(name) if isinstance(value, dict) else None
    if isinstance(found, list):
        if len(found) != 2:
            raise record.fail(f"{name} must be [type, value], got {found}")
        found = found[1]
    return default if found is None else found


def _fiducials(record: Record) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for each in record.items("fiducials"):
        row = list(each.items())
        if len(row) < 3:
            raise each.fail(f"a fiducial is [x, y, name], got {each.value}")
        found[str(row[2].value)] = (row[0].as_number(), row[1].as_number())
    return found


def _box(points: Points) -> tuple[float, float, float, float]:
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    return min(xs), min(ys), max(xs), max(ys)
