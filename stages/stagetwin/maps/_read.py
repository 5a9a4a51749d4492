"""Maps out of a stage. One bad prim never stops the rest."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from pxr import Sdf, Usd, UsdGeom

from stagetwin._errors import MapError, usd_message
from stagetwin.maps._faults import MapFault
from stagetwin.maps._footprints import footprint
from stagetwin.maps._frame import MapFrame
from stagetwin.maps._outlines import outline, polyline
from stagetwin.maps._road_map import Lane, Node, Obstacle, RoadMap, Station, Zone
from stagetwin.maps._values import (
    Wrong,
    read_flag,
    read_number,
    read_targets,
    read_text,
    read_texts,
    read_whole,
)
from stagetwin.maps.geometry import Point, counter_clockwise

__all__ = ["MAP_APIS", "MapReading", "read_map", "read_maps"]

MAP_APIS = (
    "TwinMapAPI",
    "TwinNodeAPI",
    "TwinLaneAPI",
    "TwinZoneAPI",
    "TwinStationAPI",
    "TwinObstacleAPI",
)
_ORDER = {api: i for i, api in enumerate(MAP_APIS)}

_Thing = TypeVar("_Thing", Node, Lane, Zone, Station)


@dataclass
class _Map:
    """A map as it grows."""

    prim: Usd.Prim
    id: str
    frame: MapFrame
    nodes: dict[str, Node] = field(default_factory=dict)
    lanes: dict[str, Lane] = field(default_factory=dict)
    zones: dict[str, Zone] = field(default_factory=dict)
    stations: dict[str, Station] = field(default_factory=dict)
    obstacles: list[Obstacle] = field(default_factory=list)
    at: dict[Sdf.Path, str] = field(default_factory=dict)
    """Ids of the nodes by the path of their prims."""


class MapReading:
    """A reading of a stage's maps that may be done in steps.

    Attributes:
        maps: by id, once the reading is complete.
        problems: what could not be read, and what is wrong with what could.

    Args:
        stage: composed stage; only read.
    """

    def __init__(self, stage: Usd.Stage) -> None:
        self.maps: dict[str, RoadMap] = {}
        self.problems: list[MapFault] = []
        self._stage = stage
        self._found: list[tuple[Usd.Prim, str]] = []
        self._growing: dict[Sdf.Path, _Map] = {}
        self._unread: list[Sdf.Path] = []
        self._cache = UsdGeom.XformCache(Usd.TimeCode.EarliestTime())

    def note(self, prim: Usd.Prim, api: str) -> None:
        """Take note of a prim that one of `MAP_APIS` is applied to."""
        self._found.append((prim, api))

    def steps(self) -> Iterator[None]:
        """Read what was noted, a prim a step. Values may be written between steps."""
        # Maps first, then the nodes that all others refer to.
        for prim, api in sorted(self._found, key=lambda found: _ORDER[found[1]]):
            yield
            if self._lost(prim):
                continue
            try:
                _READERS[api](self, prim)
            except (Wrong, MapError) as error:
                code, text = error.args if len(error.args) == 2 else ("shape", str(error))
                self._report(prim, code, text, grave=api in _GRAVE)
            except Exception as error:
                # Layers hold surprises; one must cost one prim.
                text = f"cannot be read: {type(error).__name__}: {usd_message(error)}"
                self._report(prim, "unreadable", text, grave=api in _GRAVE)
            if api == "TwinMapAPI" and prim.GetPath() not in self._growing:
                self._unread.append(prim.GetPath())
        for growing in self._growing.values():
            yield
            self._finish(growing)
        self.problems.sort()

    def _report(
        self, prim: Usd.Prim, code: str, text: str, *, grave: bool = False, warning: bool = False
    ) -> None:
        path = str(prim.GetPath())
        text = text.removeprefix(f"{path}: ")
        severity = "warning" if warning else "error"
        owner = self._around(prim)
        of = owner.id if owner is not None else ""
        self.problems.append(MapFault(path, code, text, severity, map=of, grave=grave))  # type: ignore[arg-type]

    def _lost(self, prim: Usd.Prim) -> bool:
        """Tell whether a prim is of a map that could not be read, which was said once."""
        return any(prim.GetPath().HasPrefix(path) for path in self._unread)

    def _around(self, prim: Usd.Prim) -> _Map | None:
        while prim and not prim.IsPseudoRoot():
            if prim.GetPath() in self._growing:
                return self._growing[prim.GetPath()]
            prim = prim.GetParent()
        return None

    def _owner(self, prim: Usd.Prim) -> _Map:
        found = self._around(prim)
        if found is None:
            raise Wrong("outside-map", "no prim around it is a map (TwinMapAPI)")
        return found

    # -- the kinds of prims

    def map(self, prim: Usd.Prim) -> None:
        id_ = read_text(prim, "twin:map:id") or prim.GetName()
        for other in self._growing.values():
            if other.id == id_:
                text = f"{other.prim.GetPath()} has the id {id_!r} already"
                # Nobody can say which of the two a connection means.
                self._report(
                    other.prim, "duplicate-map", f"{prim.GetPath()} has its id", grave=True
                )
                raise Wrong("duplicate-map", text)
        frame = MapFrame(prim, self._cache)
        self._growing[prim.GetPath()] = _Map(prim, id_, frame)

    def node(self, prim: Usd.Prim) -> None:
        owner = self._owner(prim)
        x, y = _origin(owner, prim)
        node = Node(
            id=read_text(prim, "twin:node:id") or prim.GetName(),
            x=x,
            y=y,
            theta=owner.frame.heading(prim, read_number(prim, "twin:node:theta")),
            deviation=read_number(prim, "twin:node:deviation", 0.3),
            deviation_theta=read_number(prim, "twin:node:deviationTheta", math.pi),
            name=read_text(prim, "twin:node:name"),
            prim=str(prim.GetPath()),
        )
        _add(owner.nodes, node)
        owner.at[prim.GetPath()] = node.id

    def lane(self, prim: Usd.Prim) -> None:
        owner = self._owner(prim)
        ends = [self._one_node(owner, prim, f"twin:lane:{end}") for end in ("start", "end")]
        points = [(x, y) for x, y, _ in owner.frame.points(prim, polyline(prim))]
        if len(points) == 1:
            raise Wrong("path", "a lane's curve has two points or more, got 1")
        lane = Lane(
            id=read_text(prim, "twin:lane:id") or prim.GetName(),
            start=ends[0],
            end=ends[1],
            path=tuple(points[1:-1]),
            both=read_flag(prim, "twin:lane:both"),
            maximum_speed=read_number(prim, "twin:lane:maximumSpeed"),
            maximum_rotation_speed=read_number(prim, "twin:lane:maximumRotationSpeed"),
            width=read_number(prim, "twin:lane:width"),
            orientation=read_number(prim, "twin:lane:orientation"),
            vehicle_types=read_texts(prim, "twin:lane:vehicleTypes"),
            prim=str(prim.GetPath()),
        )
        _add(owner.lanes, lane)
        for name, point in zip(ends, (points[0], points[-1]) if points else (), strict=False):
            self._check_end(owner, prim, owner.nodes[name], point)

    def _check_end(self, owner: _Map, prim: Usd.Prim, node: Node, point: Point) -> None:
        off = math.hypot(point[0] - node.x, point[1] - node.y)
        if off > max(node.deviation, 0.01):
            text = f"its curve ends {off:.3g} m from node {node.id!r}; the lane goes to the node"
            self._report(prim, "path-end", text, warning=True)

    def _one_node(self, owner: _Map, prim: Usd.Prim, name: str) -> str:
        targets = read_targets(prim, name)
        if len(targets) != 1:
            raise Wrong("dangling", f"{name} must be one node of the map, got {len(targets)}")
        if targets[0] not in owner.at:
            text = f"{name} is {targets[0]}, which is no node of map {owner.id!r}"
            raise Wrong("dangling", text)
        return owner.at[targets[0]]

    def zone(self, prim: Usd.Prim) -> None:
        owner = self._owner(prim)
        corners = [(x, y) for x, y, _ in owner.frame.points(prim, outline(prim))]
        zone = Zone(
            id=read_text(prim, "twin:zone:id") or prim.GetName(),
            polygon=counter_clockwise(corners),
            type=read_text(prim, "twin:zone:type"),
            authority=read_text(prim, "twin:zone:authority"),
            maximum_speed=read_number(prim, "twin:zone:maximumSpeed"),
            factor=read_number(prim, "twin:zone:factor"),
            direction=owner.frame.heading(prim, read_number(prim, "twin:zone:direction")),
            limitation=read_text(prim, "twin:zone:limitation"),
            cell=read_number(prim, "twin:zone:cell"),
            prim=str(prim.GetPath()),
        )
        _add(owner.zones, zone)

    def station(self, prim: Usd.Prim) -> None:
        owner = self._owner(prim)
        x, y = _origin(owner, prim)
        nodes: list[str] = []
        for target in read_targets(prim, "twin:station:nodes"):
            if target in owner.at:
                nodes.append(owner.at[target])
            else:
                text = f"twin:station:nodes names {target}, which is no node of map {owner.id!r}"
                self._report(prim, "unknown-node", text)
        serves = read_targets(prim, "twin:station:serves")
        if len(serves) > 1 or any(not self._stage.GetPrimAtPath(path) for path in serves):
            text = f"twin:station:serves must be one prim, got {', '.join(map(str, serves))}"
            self._report(prim, "serves", text)
            serves = []
        station = Station(
            id=read_text(prim, "twin:station:id") or prim.GetName(),
            x=x,
            y=y,
            kind=read_text(prim, "twin:station:kind"),
            nodes=tuple(nodes),
            theta=owner.frame.heading(prim, read_number(prim, "twin:station:theta")),
            height=read_number(prim, "twin:station:height"),
            capacity=read_whole(prim, "twin:station:capacity", 1),
            serves=str(serves[0]) if serves else "",
            name=read_text(prim, "twin:station:name"),
            prim=str(prim.GetPath()),
        )
        _add(owner.stations, station)

    def obstacle(self, prim: Usd.Prim) -> None:
        self._stand(self._owner(prim), prim)

    def _stand(self, owner: _Map, prim: Usd.Prim) -> None:
        own = read_number(prim, "twin:obstacle:height")
        height = read_number(owner.prim, "twin:map:obstacleHeight", 2.0) if own is None else own
        if not height > 0:
            raise Wrong("number", f"the height of an obstacle must be above 0 m, got {height}")
        path = str(prim.GetPath())
        if all(obstacle.prim != path for obstacle in owner.obstacles):
            floor = read_number(owner.prim, "twin:map:floorHeight", 0.03)
            polygon = footprint(owner.frame, prim, height, floor)
            if polygon:
                owner.obstacles.append(Obstacle(polygon=polygon, prim=path))

    # -- the whole

    def _finish(self, growing: _Map) -> None:
        prim = growing.prim
        for path in read_targets(prim, "twin:map:obstacles"):
            target = self._stage.GetPrimAtPath(path)
            try:
                if not target:
                    raise Wrong("obstacle", f"twin:map:obstacles names {path}, which is no prim")
                self._stand(growing, target)
            except (Wrong, MapError) as error:
                code, text = error.args if len(error.args) == 2 else ("shape", str(error))
                self._report(prim, code, text, grave=True)
        extent = prim.GetAttribute("twin:map:extent").Get()
        road_map = RoadMap(
            id=growing.id,
            version=read_text(prim, "twin:map:version"),
            prim=str(prim.GetPath()),
            nodes=dict(sorted(growing.nodes.items())),
            lanes=dict(sorted(growing.lanes.items())),
            zones=dict(sorted(growing.zones.items())),
            stations=dict(sorted(growing.stations.items())),
            obstacles=tuple(sorted(growing.obstacles, key=lambda obstacle: obstacle.prim)),
            extent=None if extent is None else (extent[0], extent[1], extent[2], extent[3]),
        )
        self.maps[road_map.id] = road_map
        self.problems += road_map.faults()


_READERS = {
    "TwinMapAPI": MapReading.map,
    "TwinNodeAPI": MapReading.node,
    "TwinLaneAPI": MapReading.lane,
    "TwinZoneAPI": MapReading.zone,
    "TwinStationAPI": MapReading.station,
    "TwinObstacleAPI": MapReading.obstacle,
}
_GRAVE = frozenset({"TwinMapAPI", "TwinZoneAPI", "TwinObstacleAPI"})
"""What must not be missing from a map that is driven by: it forbids, and does not allow."""


def read_maps(stage: Usd.Stage) -> MapReading:
    """Read every map of a stage; only reads."""
    reading = MapReading(stage)
    for prim in Usd.PrimRange.Stage(stage, Usd.TraverseInstanceProxies()):
        for api in prim.GetPrimTypeInfo().GetAppliedAPISchemas():
            if api in _ORDER:
                reading.note(prim, api)
    for _ in reading.steps():
        pass
    return reading


def read_map(stage: Usd.Stage, id: str = "", problems: list[MapFault] | None = None) -> RoadMap:
    """Read one map of a stage.

    Args:
        stage: composed stage; only read.
        id: of the map; empty where the stage has only one.
        problems: where what is wrong with it is appended.

    Raises:
        MapError: there is no such map, or several and none is named.
    """
    reading = read_maps(stage)
    names = sorted(reading.maps)
    if problems is not None:
        problems += [p for p in reading.problems if not id or p.map in ("", id)]
    if id in reading.maps:
        return reading.maps[id]
    if not id and len(names) == 1:
        return reading.maps[names[0]]
    known = ", ".join(map(repr, names)) or "none"
    if id:
        raise MapError(f"there is no map {id!r} on the stage; maps: {known}")
    why = "; ".join(str(p) for p in reading.problems[:3])
    text = "name one of the stage's maps" if names else "there is no map on the stage"
    raise MapError(f"{text}; maps: {known}" + (f" ({why})" if why and not names else ""))


def _add(things: dict[str, _Thing], thing: _Thing) -> None:
    if thing.id in things:
        text = f"{things[thing.id].prim} has the id {thing.id!r} already; this one is left out"
        raise Wrong("duplicate-id", text)
    things[thing.id] = thing


def _origin(owner: _Map, prim: Usd.Prim) -> Point:
    if not prim.IsA("Xformable"):
        raise Wrong("no-place", f"a {prim.GetTypeName() or 'prim without a type'} has no place")
    x, y, _ = owner.frame.flat(owner.frame.relative(prim).ExtractTranslation())
    return x, y
