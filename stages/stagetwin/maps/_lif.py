"""Layouts in the Layout Interchange Format (VDMA LIF 1.0)."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import TypeVar

import msgspec

from stagetwin._errors import MapError
from stagetwin.maps._imported import Imported, Notes, Origin, Record, moved, read_text
from stagetwin.maps._road_map import Lane, Node, RoadMap, Station
from stagetwin.maps._splines import nurbs_points
from stagetwin.maps.geometry import Point, wrapped

__all__ = ["import_lif"]

_Thing = TypeVar("_Thing", Node, Lane, Station)

_ENDS = 0.05
"""How far a trajectory may begin from its node [m]."""

_KINDS = {
    "pick": "pick",
    "load": "pick",
    "drop": "drop",
    "unload": "drop",
    "startcharging": "charge",
    "charge": "charge",
}
"""Kinds of stations by the actions at their nodes, in small letters."""


def import_lif(
    path: str | Path, *, origin: Origin = (0.0, 0.0, 0.0), degrees: bool | None = None
) -> Imported:
    """Read a LIF file: one map for each layout.

    A lane is for the vehicle types that its edge lists. Where they differ in speed, the least
    holds; where they differ in orientation or trajectory, the notes say what was taken.

    Args:
        path: the file.
        origin: where the file's origin lies in the map.
        degrees: whether headings of nodes are in degrees; None believes the standard (radians)
            unless one of them is larger than half a turn.

    Raises:
        MapError: it is no LIF file, or something that a map needs is missing; names the field.
    """
    at, text = read_text(path)
    try:
        data = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise MapError(f"{at}: is no JSON: {error}") from None
    root = Record(data, at)
    notes = Notes(at)
    layouts = list(root.items("layouts", needed=True))
    if degrees is None:
        largest = max(
            (abs(t) for one in layouts for n in one.items("nodes") for t in _thetas(n)), default=0.0
        )
        degrees = largest > math.pi * 1.001
        if degrees:
            text = f"a heading of {largest:g} is more than half a turn: headings are in degrees"
            notes.add("layouts", text)
    ids: Counter[str] = Counter()
    maps = []
    for layout in layouts:
        read = _Layout(layout, notes, degrees).read()
        ids[read.id] += 1
        if ids[read.id] > 1:
            layout_id = layout.text("layoutId")
            notes.add(layout.place, f"map id {read.id!r} is taken, the layout's id is used")
            read = msgspec.structs.replace(read, id=f"{read.id}/{layout_id}")
        maps.append(moved(read, origin))
    return Imported(maps=tuple(maps), notes=notes.done())


class _Layout:
    """One layout while it is read."""

    def __init__(self, record: Record, notes: Notes, degrees: bool) -> None:
        self._record = record
        self._notes = notes
        self._degrees = degrees
        self._actions: dict[str, set[str]] = {}
        self._dropped: Counter[str] = Counter()

    def read(self) -> RoadMap:
        record = self._record
        layout_id = record.text("layoutId")
        nodes = list(record.items("nodes", needed=True))
        maps = {each.text("mapId", "") for each in nodes} - {""}
        map_id = maps.pop() if len(maps) == 1 else layout_id
        if maps:
            text = f"its nodes name several maps; the layout's id {layout_id!r} is used"
            self._notes.add(record.place, text)
        found: dict[str, Node] = {}
        for each in nodes:
            node = self._node(each)
            self._put(found, node, each)
        lanes: dict[str, Lane] = {}
        for each in record.items("edges", needed=True):
            lane = self._lane(each, found)
            if lane is not None:
                self._put(lanes, lane, each)
        stations: dict[str, Station] = {}
        for each in record.items("stations"):
            self._put(stations, self._station(each, found), each)
        for what, count in sorted(self._dropped.items()):
            if count:
                text = f"{what} are not kept ({count}): a map has no place for them"
                self._notes.add(record.place, text)
        return RoadMap(
            id=map_id,
            version=record.text("layoutVersion", ""),
            nodes=found,
            lanes=lanes,
            stations=stations,
        )

    def _put(self, things: dict[str, _Thing], thing: _Thing, each: Record) -> None:
        if thing.id in things:
            self._notes.add(each.place, f"id {thing.id!r} is there already; this one is left out")
        else:
            things[thing.id] = thing

    def _node(self, record: Record) -> Node:
        position = record.get("nodePosition")
        if position.value is None:
            raise position.fail("is missing; an object with x and y is expected")
        id_ = record.text("nodeId")
        thetas = {wrapped(self._angle(theta)) for theta in _thetas(record)}
        if len(thetas) > 1:
            text = f"vehicle types have different headings at node {id_!r}: any is allowed"
            self._notes.add(record.place, text)
        for each in record.items("vehicleTypeNodeProperties"):
            for action in each.items("actions"):
                self._actions.setdefault(id_, set()).add(action.text("actionType", "").lower())
                self._dropped["actions at nodes"] += 1
        return Node(
            id=id_,
            x=position.number("x"),
            y=position.number("y"),
            theta=thetas.pop() if len(thetas) == 1 else None,
            name=record.text("nodeName", ""),
        )

    def _angle(self, value: float) -> float:
        return math.radians(value) if self._degrees else value

    def _lane(self, record: Record, nodes: dict[str, Node]) -> Lane | None:
        id_ = record.text("edgeId")
        ends = record.text("startNodeId"), record.text("endNodeId")
        missing = [end for end in ends if end not in nodes]
        if missing:
            text = f"edge {id_!r} leads to {missing[0]!r}, which is no node; it is left out"
            self._notes.add(record.place, text)
            return None
        types = list(record.items("vehicleTypeEdgeProperties"))
        orientations = {
            wrapped(math.radians(each.number("vehicleOrientation")))
            for each in types
            if "vehicleOrientation" in each
        }
        if len(orientations) > 1:
            self._notes.add(record.place, "vehicle types differ in orientation: none is taken")
        for each in types:
            self._dropped["actions on edges"] += sum(1 for _ in each.items("actions"))
            self._dropped["load restrictions"] += "loadRestriction" in each
            if each.get("rotationAllowed").value is False:
                self._dropped["bans of rotation"] += 1
            kind = each.text("orientationType", "TANGENTIAL")
            if kind.upper() == "GLOBAL":
                self._notes.add(each.place, "a GLOBAL orientation is not kept")
                orientations.clear()
        return Lane(
            id=id_,
            start=ends[0],
            end=ends[1],
            path=self._path(types, nodes[ends[0]], nodes[ends[1]]),
            maximum_speed=self._least(types, "maxSpeed"),
            maximum_rotation_speed=self._least(types, "maxRotationSpeed"),
            orientation=orientations.pop() if len(orientations) == 1 else None,
            vehicle_types=tuple(sorted({each.text("vehicleTypeId") for each in types})),
        )

    def _least(self, types: list[Record], name: str) -> float | None:
        values = {each.number(name) for each in types if name in each}
        if any(value < 0 for value in values):
            raise types[0].fail(f"{name} must be 0 or more, got {min(values):g}")
        if len(values) > 1:
            self._notes.add(types[0].place, f"vehicle types differ in {name}: the least is taken")
        # 0 means nobody may move there, and a lane that nobody can drive has no speed.
        return min(values) if values else None

    def _path(self, types: list[Record], start: Node, end: Node) -> tuple[Point, ...]:
        found = [each.get("trajectory") for each in types if "trajectory" in each]
        if not found:
            return ()
        if any(each.value != found[0].value for each in found):
            self._notes.add(found[0].place, "vehicle types differ in trajectory: this one is taken")
        record = found[0]
        try:
            controls = list(record.items("controlPoints", needed=True))
            knots = [each.as_number() for each in record.items("knotVector", needed=True)]
            points = nurbs_points(
                int(record.number("degree", 3.0)),
                knots,
                [(each.number("x"), each.number("y")) for each in controls],
                [each.number("weight", 1.0) for each in controls],
                where=record.where,
            )
        except MapError as error:
            text = str(error).removeprefix(f"{record.where}: ")
            self._notes.add(record.place, f"{text}; the lane is straight")
            return ()
        for node, point in ((start, points[0]), (end, points[-1])):
            off = math.hypot(node.x - point[0], node.y - point[1])
            if off > _ENDS:
                text = f"the trajectory ends {off:.3g} m from node {node.id!r}; the lane goes there"
                self._notes.add(record.place, text)
        return points[1:-1]

    def _station(self, record: Record, nodes: dict[str, Node]) -> Station:
        id_ = record.text("stationId")
        served: list[str] = []
        for each in record.items("interactionNodeIds", needed=True):
            if each.value in nodes:
                served.append(str(each.value))
            else:
                text = f"station {id_!r} is served from {each.value!r}, which is no node"
                self._notes.add(each.place, text)
        place = record.get("stationPosition")
        if place.value is not None:
            x, y = place.number("x"), place.number("y")
            theta = wrapped(self._angle(place.number("theta"))) if "theta" in place else None
        elif served:
            x, y, theta = nodes[served[0]].x, nodes[served[0]].y, None
        else:
            raise place.fail("is missing, and the station has no node to take it from")
        actions = {action for node in served for action in self._actions.get(node, ())}
        kinds = {_KINDS[action] for action in actions if action in _KINDS}
        kind = kinds.pop() if len(kinds) == 1 else "transfer" if kinds == {"pick", "drop"} else ""
        return Station(
            id=id_,
            x=x,
            y=y,
            kind=kind,
            nodes=tuple(served),
            theta=theta,
            height=record.number("stationHeight") if "stationHeight" in record else None,
            name=record.text("stationName", ""),
        )


def _thetas(record: Record) -> list[float]:
    types = record.items("vehicleTypeNodeProperties")
    return [each.number("theta") for each in types if "theta" in each]
