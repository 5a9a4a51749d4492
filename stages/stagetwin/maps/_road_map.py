"""A map as plain data: nodes, lanes, zones, stations and obstacles in one frame."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from functools import cached_property

import msgspec
import numpy as np

from stagetwin._errors import MapError
from stagetwin.maps._faults import MapFault, faults_of
from stagetwin.maps._graph import Graph, Route
from stagetwin.maps.geometry import Point, along, contains, lengths, nearest_on, signed_area

__all__ = ["Lane", "Node", "Obstacle", "Point", "RoadMap", "Station", "Zone"]


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A place where lanes meet.

    Attributes:
        id: unique in the map; VDA 5050's `nodeId`.
        x: in the map's frame [m].
        y: likewise.
        theta: heading that a vehicle has there [rad]; None for any.
        deviation: how far from it a vehicle still counts as there [m].
        deviation_theta: likewise [rad].
        name: for people.
        prim: path of its prim; empty where it came from elsewhere.
    """

    id: str
    x: float
    y: float
    theta: float | None = None
    deviation: float = 0.3
    deviation_theta: float = 3.141592653589793
    name: str = ""
    prim: str = ""


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """A way from one node to another, driven in that direction.

    Attributes:
        id: unique in the map; VDA 5050's `edgeId`.
        start: id of the node where it begins.
        end: id of the node where it ends.
        path: points between, in driving direction; none is straight.
        both: whether it may be driven backward through, from `end` to `start`.
        maximum_speed: [m/s]; None for the vehicle's own.
        maximum_rotation_speed: [rad/s]; None for the vehicle's own.
        width: free width [m]; None where nobody says.
        orientation: of the vehicle against the lane's tangent [rad]; None for along it.
        vehicle_types: who may drive it; empty for all.
        prim: path of its prim.
    """

    id: str
    start: str
    end: str
    path: tuple[Point, ...] = ()
    both: bool = False
    maximum_speed: float | None = None
    maximum_rotation_speed: float | None = None
    width: float | None = None
    orientation: float | None = None
    vehicle_types: tuple[str, ...] = ()
    prim: str = ""


class Zone(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the floor with a rule of its own.

    Attributes:
        id: unique in the map.
        type: VDA 5050 3.0's zone type: `BLOCKED`, `LINE_GUIDED`, `RELEASE`,
            `COORDINATED_REPLANNING`, `SPEED_LIMIT`, `ACTION`, `PRIORITY`, `PENALTY`, `DIRECTED`,
            `BIDIRECTED`; empty where it only names an authority.
        polygon: corners, counter-clockwise, the first not repeated.
        authority: who decides how far a vehicle may go in it: `lanes`, `grid`, `free`; empty
            leaves it to what lies around it.
        maximum_speed: of a speed limit [m/s].
        factor: of a priority or penalty, 0 to 1.
        direction: of a directed zone [rad].
        limitation: of a directed zone: `SOFT`, `RESTRICTED`, `STRICT`.
        cell: edge of a grid's cell [m].
        prim: path of its prim.
    """

    id: str
    polygon: tuple[Point, ...]
    type: str = ""
    authority: str = ""
    maximum_speed: float | None = None
    factor: float | None = None
    direction: float | None = None
    limitation: str = ""
    cell: float | None = None
    prim: str = ""


class Station(msgspec.Struct, frozen=True, kw_only=True):
    """A place where something is done.

    Attributes:
        id: unique in the map.
        kind: `pick`, `drop`, `transfer`, `charge`, `park`, or empty.
        nodes: ids of the nodes from which it is served.
        x: in the map's frame [m].
        y: likewise.
        theta: [rad]; None where nobody says.
        height: of the transfer [m]; None where nobody says.
        capacity: vehicles at once.
        serves: prim path of the machine behind it (a conveyor, a charger); empty for none.
        name: for people.
        prim: path of its prim.
    """

    id: str
    x: float
    y: float
    kind: str = ""
    nodes: tuple[str, ...] = ()
    theta: float | None = None
    height: float | None = None
    capacity: int = 1
    serves: str = ""
    name: str = ""
    prim: str = ""


class Obstacle(msgspec.Struct, frozen=True, kw_only=True):
    """What never moves and is in the way.

    Attributes:
        polygon: convex footprint, counter-clockwise.
        prim: path of the prim it is of.
    """

    polygon: tuple[Point, ...]
    prim: str = ""


class RoadMap(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A map of a floor. Nobody changes its dictionaries: what is derived of them is kept.

    Attributes:
        id: VDA 5050's `mapId`.
        version: of its content.
        prim: path of its prim.
        nodes: by id.
        lanes: by id.
        zones: by id.
        stations: by id.
        obstacles: footprints.
        extent: left, bottom, right and top of the floor [m]; None where nobody says.
    """

    id: str
    version: str = ""
    prim: str = ""
    nodes: dict[str, Node] = {}
    lanes: dict[str, Lane] = {}
    zones: dict[str, Zone] = {}
    stations: dict[str, Station] = {}
    obstacles: tuple[Obstacle, ...] = ()
    extent: tuple[float, float, float, float] | None = None

    # -- as data

    def encode(self) -> bytes:
        """Return the map as canonical JSON: the same content gives the same bytes.

        Raises:
            MapError: a number is not finite.
        """
        return self._encoded

    @classmethod
    def decode(cls, data: bytes | str) -> RoadMap:
        """Return the map of what `encode` gave.

        Raises:
            MapError: it is something else; names the field.
        """
        try:
            return _DECODER.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MapError(f"this is no encoded map: {error}") from None

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, in hexadecimal."""
        return hashlib.sha256(self.encode()).hexdigest()

    def faults(self) -> list[MapFault]:
        """Return what is wrong with the map, each naming the prim; empty where nothing is."""
        return faults_of(self)

    # -- places

    def nearest(self, x: float, y: float, radius: float = math.inf) -> Node | None:
        """Return the node nearest to a point, None where there is none within `radius` [m]."""
        if not self.nodes:
            return None
        nodes, places = self._places
        far = np.hypot(places[:, 0] - x, places[:, 1] - y)
        found = int(far.argmin())
        return nodes[found] if far[found] <= radius else None

    def nearest_lane(
        self, x: float, y: float, radius: float = math.inf
    ) -> tuple[Lane, float, float] | None:
        """Return the lane nearest to a point, how far along it and how far from it [m]."""
        best: tuple[float, str, float] | None = None
        for name, points in sorted(self._graph.points.items()):
            s, far = nearest_on(points, x, y)
            if far <= radius and (best is None or far < best[0]):
                best = (far, name, s)
        return None if best is None else (self.lanes[best[1]], best[2], best[0])

    def zones_at(self, x: float, y: float) -> tuple[Zone, ...]:
        """Return the zones around a point, their edges included, the smallest first."""
        return tuple(zone for zone in self._zones if contains(zone.polygon, x, y))

    def authority_at(self, x: float, y: float) -> str:
        """Return who decides at a point: the smallest zone's that names one, else `lanes`."""
        named = (zone.authority for zone in self.zones_at(x, y) if zone.authority)
        return next(named, "lanes")

    def nodes_of(self, place: str) -> tuple[str, ...]:
        """Return the nodes that an id means: itself, or those of the station of that name.

        Raises:
            MapError: the map has neither, or the station has none of its nodes.
        """
        if place in self.nodes:
            return (place,)
        station = self.stations.get(place)
        if station is None:
            raise MapError(f"map {self.id!r} has no node or station {place!r}; {_known(self)}")
        nodes = tuple(node for node in station.nodes if node in self.nodes)
        if not nodes:
            where = station.prim or place
            raise MapError(f"{where}: station {place!r} of map {self.id!r} is served from no node")
        return nodes

    # -- lanes

    def lane_points(self, lane: Lane | str) -> tuple[Point, ...]:
        """Return a lane's polyline, both nodes included.

        Raises:
            MapError: there is no such lane, or it hangs in the air.
        """
        found = self._lane(lane)
        try:
            start, end = self.nodes[found.start], self.nodes[found.end]
        except KeyError as error:
            where = found.prim or found.id
            raise MapError(f"{where}: lane {found.id!r} leads to no node {error}") from None
        return ((start.x, start.y), *found.path, (end.x, end.y))

    def lane_length(self, lane: Lane | str) -> float:
        """Return a lane's length [m]; raises as `lane_points`."""
        return lengths(self.lane_points(lane))[-1]

    def point_on(self, lane: Lane | str, s: float) -> tuple[float, float, float]:
        """Return x, y [m] and the tangent's heading [rad] at a distance along a lane.

        Before its start and beyond its end it is that end. Raises as `lane_points`.
        """
        return along(self.lane_points(lane), s)

    def route(
        self,
        start: str,
        goal: str,
        *,
        speed: float = 1.5,
        vehicle_type: str = "",
        closed: Iterable[str] = frozenset(),
    ) -> Route:
        """Return the quickest way, with the penalties and priorities of zones counted in.

        Lanes through a blocked zone are closed, and so are lanes for other types of vehicles; one
        that names no type drives only where everybody may. Directed zones change nothing, since a
        lane's own path goes before them (VDA 5050 3.0, 6.4.4, note 9).

        Args:
            start: id of a node, or of a station: then the best of its nodes.
            goal: likewise.
            speed: the vehicle's own highest [m/s].
            vehicle_type: name of its type.
            closed: ids of lanes and nodes that may not be used.

        Raises:
            NoRouteError: there is none; names both and what is closed.
            MapError: the map has no such node or station, or the speed is not above 0.
        """
        if not speed > 0:
            raise MapError(f"a route needs a speed above 0 m/s, got {speed}")
        starts, goals = self.nodes_of(start), self.nodes_of(goal)
        return self._graph.route(
            starts, goals, (start, goal), speed, vehicle_type, frozenset(closed)
        )

    # -- derived once

    @cached_property
    def _encoded(self) -> bytes:
        # There and back: whole numbers that somebody wrote without a point become those with one.
        try:
            same = _DECODER.decode(msgspec.json.encode(self))
        except msgspec.DecodeError as error:
            raise MapError(f"map {self.id!r} cannot be encoded: {error}") from None
        return msgspec.json.encode(same, order="sorted")

    @cached_property
    def _graph(self) -> Graph:
        return Graph(self)

    @cached_property
    def _places(self) -> tuple[list[Node], np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
        nodes = [self.nodes[name] for name in sorted(self.nodes)]
        return nodes, np.array([(n.x, n.y) for n in nodes], np.float64).reshape(-1, 2)

    @cached_property
    def _zones(self) -> list[Zone]:
        sound = [zone for zone in self.zones.values() if len(zone.polygon) > 2]
        return sorted(sound, key=lambda zone: (abs(signed_area(zone.polygon)), zone.id))

    def _lane(self, lane: Lane | str) -> Lane:
        if not isinstance(lane, str):
            return lane
        found = self.lanes.get(lane)
        if found is None:
            raise MapError(f"map {self.id!r} has no lane {lane!r}")
        return found


def _known(road_map: RoadMap) -> str:
    names = sorted({*road_map.nodes, *road_map.stations})
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"it has {', '.join(names[:12])}{more}" if names else "it has none at all"


_DECODER = msgspec.json.Decoder(RoadMap)
