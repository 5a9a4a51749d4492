"""What may be wrong with a map although it could be read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from stagetwin.maps.geometry import contains, cuts, is_simple, lengths, signed_area

if TYPE_CHECKING:
    from stagetwin.maps._road_map import Lane, RoadMap, Station, Zone

__all__ = ["AUTHORITIES", "KINDS", "LIMITATIONS", "ZONE_TYPES", "MapFault", "faults_of"]

AUTHORITIES = ("lanes", "grid", "free")
KINDS = ("pick", "drop", "transfer", "charge", "park")
LIMITATIONS = ("SOFT", "RESTRICTED", "STRICT")
ZONE_TYPES = (
    "BLOCKED",
    "LINE_GUIDED",
    "RELEASE",
    "COORDINATED_REPLANNING",
    "SPEED_LIMIT",
    "ACTION",
    "PRIORITY",
    "PENALTY",
    "DIRECTED",
    "BIDIRECTED",
)


class MapFault(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong with a map.

    Attributes:
        prim: path of the prim; the kind and id of what is meant where the map is of a file.
        code: short stable name, for scripts.
        message: what is wrong, what is allowed, what was got.
        severity: an error keeps vehicles from being sent there, a warning does not.
        map: id of the map.
        grave: whether nobody may drive by the map: something that forbids could not be read.
    """

    prim: str
    code: str
    message: str
    severity: Literal["error", "warning"] = "error"
    map: str = ""
    grave: bool = False

    def __str__(self) -> str:
        return f"{self.severity}: {self.prim}: {self.message} [{self.code}]"


_GRAVE = frozenset({"authority", "extent", "no-id", "number", "parameter", "polygon", "type"})


def faults_of(road_map: RoadMap) -> list[MapFault]:
    """Return what is wrong with a map, sorted by prim."""
    found: list[MapFault] = []
    where = road_map.prim or f"map {road_map.id!r}"
    if not road_map.id:
        found.append(MapFault(where, "no-id", "a map needs an id"))
    extent = road_map.extent
    if extent is not None and not (
        all(map(math.isfinite, extent)) and extent[0] < extent[2] and extent[1] < extent[3]
    ):
        text = f"the extent must be (left, bottom, right, top) in rising order, got {extent}"
        found.append(MapFault(where, "extent", text))
        extent = None
    for kind, check in _CHECKS.items():
        for key, thing in getattr(road_map, kind).items():
            place = thing.prim or f"{kind[:-1]} {key!r}"
            if key != thing.id:
                text = f"it is filed under {key!r} and says that it is {thing.id!r}"
                found.append(MapFault(place, "id", text))
            found += [MapFault(place, *wrong) for wrong in _numbers(thing)]
            found += [MapFault(place, *wrong) for wrong in check(road_map, thing)]
    found += _off_the_extent(road_map, extent)
    for number, obstacle in enumerate(road_map.obstacles):
        place = obstacle.prim or f"obstacle {number}"
        finite = all(math.isfinite(v) for point in obstacle.polygon for v in point)
        if len(obstacle.polygon) < 3 or not finite or not is_simple(obstacle.polygon):
            text = "the footprint must be a convex polygon of three corners or more"
            found.append(MapFault(place, "polygon", text))
    found += [*_lanes_at_nodes(road_map), *_in_the_way(road_map)]
    return sorted(
        msgspec.structs.replace(fault, map=road_map.id, grave=fault.code in _GRAVE)
        for fault in found
    )


_HALF_TURN = math.pi + 1e-6
"""A heading in single precision may be a little more than half a turn [rad]."""

_RANGES: dict[str, tuple[float, float, str]] = {
    "deviation": (0.0, math.inf, "0 m or more"),
    "deviation_theta": (0.0, math.inf, "0 rad or more"),
    "maximum_speed": (math.ulp(0.0), math.inf, "above 0 m/s"),
    "maximum_rotation_speed": (math.ulp(0.0), math.inf, "above 0 rad/s"),
    "width": (math.ulp(0.0), math.inf, "above 0 m"),
    "factor": (0.0, 1.0, "0 to 1"),
    "cell": (math.ulp(0.0), math.inf, "above 0 m"),
    "capacity": (1, math.inf, "1 or more"),
    "x": (-math.inf, math.inf, "a finite number"),
    "y": (-math.inf, math.inf, "a finite number"),
    "theta": (-math.inf, math.inf, "a finite number"),
    "orientation": (-_HALF_TURN, _HALF_TURN, "-pi to pi rad"),
    "direction": (-math.inf, math.inf, "a finite number"),
    "height": (-math.inf, math.inf, "a finite number"),
}


def _numbers(thing: Any) -> Iterator[tuple[str, str]]:
    for name, (low, high, allowed) in _RANGES.items():
        value = getattr(thing, name, None)
        if value is not None and not (math.isfinite(value) and low <= value <= high):
            yield "number", f"{name} must be {allowed}, got {value}"
    points = (*getattr(thing, "path", ()), *getattr(thing, "polygon", ()))
    if not all(math.isfinite(v) for point in points for v in point):
        yield "number", "all points must be finite numbers"


def _lanes_at_nodes(road_map: RoadMap) -> Iterator[MapFault]:
    """Yield nodes that cannot be reached, or not be left again."""
    out = {lane.start for lane in road_map.lanes.values()}
    into = {lane.end for lane in road_map.lanes.values()}
    both = {n for each in road_map.lanes.values() if each.both for n in (each.start, each.end)}
    for key, node in road_map.nodes.items() if road_map.lanes else ():
        place = node.prim or f"node {key!r}"
        if key in both or (key in out and key in into):
            continue
        if key in into:
            text = f"no lane leads away from node {key!r}"
            yield MapFault(place, "no-way-out", text, "warning")
        elif key in out:
            text = f"no lane leads to node {key!r}, only away from it"
            yield MapFault(place, "no-way-in", text, "warning")
        elif road_map.authority_at(node.x, node.y) == "lanes":
            text = f"no lane leads to node {key!r}, and it lies in no zone that is driven freely"
            yield MapFault(place, "no-lane", text, "warning")


def _lane(road_map: RoadMap, lane: Lane) -> Iterator[tuple[str, str]]:
    missing = [node for node in (lane.start, lane.end) if node not in road_map.nodes]
    for node in missing:
        yield "dangling", f"lane {lane.id!r} leads to node {node!r}, which the map does not have"
    if not missing and lengths(road_map.lane_points(lane))[-1] == 0.0:
        yield "no-length", f"lane {lane.id!r} from {lane.start!r} to {lane.end!r} has no length"


def _zone(road_map: RoadMap, zone: Zone) -> Iterator[tuple[str, str]]:
    if zone.type and zone.type not in ZONE_TYPES:
        yield "type", f"type must be one of {', '.join(ZONE_TYPES)} or empty, got {zone.type!r}"
    if zone.authority and zone.authority not in AUTHORITIES:
        allowed = ", ".join(AUTHORITIES)
        yield "authority", f"authority must be one of {allowed} or empty, got {zone.authority!r}"
    if len(zone.polygon) < 3:
        yield "polygon", f"a zone has three corners or more, got {len(zone.polygon)}"
    elif not is_simple(zone.polygon):
        yield "polygon", f"the polygon of zone {zone.id!r} crosses or touches itself"
    elif signed_area(zone.polygon) < 0:
        yield "polygon", f"the corners of zone {zone.id!r} go clockwise; they go counter-clockwise"
    needed = _NEEDED.get(zone.type)
    if needed and getattr(zone, needed) is None:
        yield "parameter", f"a zone of type {zone.type} needs {needed}"
    if zone.type in ("DIRECTED", "BIDIRECTED"):
        words = LIMITATIONS if zone.type == "DIRECTED" else LIMITATIONS[:2]
        if zone.limitation not in words:
            text = f"limitation of a zone of type {zone.type} must be one of {', '.join(words)}"
            yield "parameter", f"{text}, got {zone.limitation!r}"
    if zone.authority == "grid" and zone.cell is None:
        yield "parameter", f"zone {zone.id!r} with authority grid needs the edge of its cells, cell"


_NEEDED = {
    "SPEED_LIMIT": "maximum_speed",
    "PRIORITY": "factor",
    "PENALTY": "factor",
    "DIRECTED": "direction",
    "BIDIRECTED": "direction",
}


def _station(road_map: RoadMap, station: Station) -> Iterator[tuple[str, str]]:
    if station.kind and station.kind not in KINDS:
        yield "kind", f"kind must be one of {', '.join(KINDS)} or empty, got {station.kind!r}"
    if not station.nodes:
        yield "no-node", f"station {station.id!r} is served from no node"
    for node in station.nodes:
        if node not in road_map.nodes:
            text = f"station {station.id!r} is served from node {node!r}"
            yield "unknown-node", f"{text}, which the map does not have"
    if station.id in road_map.nodes and station.id not in station.nodes:
        yield "ambiguous", f"station and node {station.id!r} have one id and are not one place"


_CHECKS: dict[str, Callable[[RoadMap, Any], Iterable[tuple[str, str]]]] = {
    "nodes": lambda road_map, node: (),
    "lanes": _lane,
    "zones": _zone,
    "stations": _station,
}


def _off_the_extent(
    road_map: RoadMap, extent: tuple[float, float, float, float] | None
) -> Iterator[MapFault]:
    if extent is None:
        return
    left, bottom, right, top = extent
    for kind in ("nodes", "stations"):
        for key, thing in getattr(road_map, kind).items():
            if not (left <= thing.x <= right and bottom <= thing.y <= top):
                place = thing.prim or f"{kind[:-1]} {key!r}"
                text = f"({thing.x:g}, {thing.y:g}) lies off the map's extent, x {left:g} to "
                yield MapFault(
                    place, "off-extent", f"{text}{right:g} and y {bottom:g} to {top:g} m"
                )


def _in_the_way(road_map: RoadMap) -> Iterator[MapFault]:
    """Yield lanes and nodes that obstacles stand on."""
    solid = [o for o in road_map.obstacles if len(o.polygon) > 2]
    corners = [np.array(o.polygon, np.float64) for o in solid]
    lows = np.array([each.min(axis=0) for each in corners]).reshape(-1, 2)
    highs = np.array([each.max(axis=0) for each in corners]).reshape(-1, 2)
    for lane in road_map.lanes.values() if solid else ():
        if lane.start not in road_map.nodes or lane.end not in road_map.nodes:
            continue
        points = road_map.lane_points(lane)
        table = np.array(points, np.float64)
        near = ((lows <= table.max(axis=0)) & (highs >= table.min(axis=0))).all(axis=1)
        for number in np.flatnonzero(near).tolist():
            obstacle = solid[number]
            if cuts(points, obstacle.polygon) or contains(obstacle.polygon, *points[0]):
                place = lane.prim or f"lane {lane.id!r}"
                what = obstacle.prim or "an obstacle"
                text = f"{what} stands on lane {lane.id!r}"
                yield MapFault(place, "obstacle", text, "warning")
