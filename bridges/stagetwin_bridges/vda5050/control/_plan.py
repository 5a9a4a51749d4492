"""The whole way that an order is about: stops and the ways between them, in driving order.

A plan is what was approved. Released is a part of it at a time (VDA 5050 3.0, 6.1.1 and 6.1.2):
the stop of index i has the sequence id 2 i, the way behind it 2 i + 1, over all updates.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from stagetwin.maps import Node as MapNode
from stagetwin.maps import RoadMap, Route
from stagetwin.maps.geometry import contains, cuts, nearest_on
from stagetwin_bridges._errors import OrderError
from stagetwin_bridges.vda5050.control._blind import Blind
from stagetwin_bridges.vda5050.messages import (
    Action,
    AllowedDeviation,
    ControlPoint,
    Edge,
    Node,
    NodePosition,
    Trajectory,
)

__all__ = ["Plan", "Stop", "Way", "join", "lane_way", "plan_of", "polyline_length"]

Point = tuple[float, float]

_OFF = 1.0
"""A vehicle that is farther than this from its way has surely come nowhere on it [m]."""

_SLOW = 0.5
"""Speed that a way is taken to be driven at where nobody says one [m/s]."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A node of a plan.

    Attributes:
        id: `nodeId`.
        x: in the map's frame [m].
        y: likewise.
        theta: heading to be had there [rad]; None for any.
        deviation: how far from it a vehicle counts as there [m].
        deviation_theta: likewise [rad].
        actions: to be done there.
    """

    id: str
    x: float
    y: float
    theta: float | None = None
    deviation: float = 0.3
    deviation_theta: float = math.pi
    actions: tuple[Action, ...] = ()

    @classmethod
    def at(cls, node: MapNode) -> Stop:
        """Return a node of a map as a stop."""
        return cls(
            id=node.id,
            x=node.x,
            y=node.y,
            theta=node.theta,
            deviation=node.deviation,
            deviation_theta=node.deviation_theta,
        )

    def node(self, index: int, map_id: str, *, released: bool) -> Node:
        """Return it as it stands in an order.

        The vehicle stands on the first node already, however it is turned.
        """
        theta = self.theta if index else None
        return Node(
            node_id=self.id,
            sequence_id=2 * index,
            released=released,
            node_position=NodePosition(
                x=self.x,
                y=self.y,
                theta=theta,
                allowed_deviation_xy=AllowedDeviation(
                    a=self.deviation, b=self.deviation, theta=0.0
                ),
                allowed_deviation_theta=None if theta is None else self.deviation_theta,
                map_id=map_id,
            ),
            actions=self.actions,
        )


@dataclass(frozen=True, slots=True)
class Way:
    """An edge of a plan.

    Attributes:
        id: `edgeId`.
        points: its polyline, both ends included [m].
        length: [m].
        limit: highest speed on it [m/s]; None where only the vehicle limits it.
        rotation_limit: likewise [rad/s].
        orientation: of the vehicle against the tangent [rad]; None leaves it to the vehicle.
        speed: at which it is driven at most, the vehicle's own limit included [m/s].
        actions: to be done on it.
    """

    id: str
    points: tuple[Point, ...]
    length: float
    limit: float | None = None
    rotation_limit: float | None = None
    orientation: float | None = None
    speed: float = _SLOW
    actions: tuple[Action, ...] = ()

    def edge(self, index: int, *, released: bool, drawn: bool) -> Edge:
        """Return it as it stands in an order; `drawn` says whether a bend is sent with it."""
        trajectory = None
        if drawn and len(self.points) > 2 and self.length > 0.0:
            corners = tuple(ControlPoint(x=x, y=y) for x, y in self.points)
            trajectory = Trajectory(
                degree=1, knot_vector=_knots(self.points), control_points=corners
            )
        return Edge(
            edge_id=self.id,
            sequence_id=2 * index + 1,
            released=released,
            maximum_speed=self.limit,
            maximum_rotation_speed=self.rotation_limit,
            orientation=self.orientation,
            orientation_type=None if self.orientation is None else "TANGENTIAL",
            trajectory=trajectory,
            length=self.length,
            actions=self.actions,
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """Stops and the ways between them, one less.

    Attributes:
        map_id: whose frame the stops are in.
        stops: in driving order, the start first.
        ways: between them.
    """

    map_id: str
    stops: tuple[Stop, ...]
    ways: tuple[Way, ...]

    @property
    def last(self) -> int:
        """Index of the goal."""
        return len(self.stops) - 1

    @property
    def length(self) -> float:
        """Length of the whole way [m]."""
        return math.fsum(way.length for way in self.ways)

    def with_actions(self, actions: Mapping[int, Sequence[Action]]) -> Plan:
        """Return it with actions, by sequence id; -1 is the goal.

        Raises:
            OrderError: it has no such sequence id.
        """
        stops, ways = list(self.stops), list(self.ways)
        for key, given in actions.items():
            index = 2 * self.last if key == -1 else key
            if not 0 <= index <= 2 * self.last:
                raise OrderError(f"the plan has the sequence ids 0 to {2 * self.last}, got {key}")
            at = index // 2
            if index % 2:
                ways[at] = replace(ways[at], actions=ways[at].actions + tuple(given))
            else:
                stops[at] = replace(stops[at], actions=stops[at].actions + tuple(given))
        return replace(self, stops=tuple(stops), ways=tuple(ways))

    def reach(self, passed: int, driven: float, blind: Blind) -> int:
        """Return the index of the last stop that may be released.

        Args:
            passed: index of the last stop that was passed.
            driven: how far the vehicle has surely come on the way behind it [m].
            blind: the longest way to be driven blind. The next stop is released in any case.
        """
        if passed >= self.last:
            return self.last
        first = self.ways[passed]
        rest = max(first.length - driven, 0.0)
        metres, seconds = rest, rest / first.speed
        index = passed + 1
        while index < self.last:
            way = self.ways[index]
            metres, seconds = metres + way.length, seconds + way.length / way.speed
            if not (metres <= blind.distance and seconds <= blind.seconds):
                break
            index += 1
        return index

    def driven(self, passed: int, x: float, y: float) -> float:
        """Return how far along the way behind a stop a point lies [m]; 0 for one off the way.

        Where the way comes by more than once, the first time counts.
        """
        if passed >= self.last:
            return 0.0
        along, off = nearest_on(self.ways[passed].points, x, y, first=_OFF)
        return along if off <= _OFF else 0.0


def polyline_length(points: Sequence[Point]) -> float:
    """Return the length of a polyline [m]."""
    return math.fsum(math.dist(a, b) for a, b in itertools.pairwise(points))


def _knots(points: Sequence[Point]) -> tuple[float, ...]:
    """Return clamped knots by length, so that the curve's parameter is the share of the way."""
    total = polyline_length(points)
    shares, far = [], 0.0
    for a, b in itertools.pairwise(points):
        far += math.dist(a, b)
        shares.append(far / total)
    return (0.0, 0.0, *shares[:-1], 1.0, 1.0)


def lane_way(road_map: RoadMap, lane_id: str, *, forward: bool, speed: float) -> Way:
    """Return a lane as a way.

    Args:
        road_map: the map.
        lane_id: the lane.
        forward: whether it is driven from its start to its end.
        speed: the vehicle's own highest [m/s].
    """
    lane = road_map.lanes[lane_id]
    points = road_map.lane_points(lane)
    if not forward:
        points = points[::-1]
    limit = _limit(road_map, points, lane.maximum_speed)
    return Way(
        id=lane_id,
        points=points,
        length=polyline_length(points),
        limit=limit,
        rotation_limit=lane.maximum_rotation_speed,
        orientation=lane.orientation,
        speed=min(speed, limit) if limit is not None else speed,
    )


def _limit(road_map: RoadMap, points: Sequence[Point], own: float | None) -> float | None:
    """Return the tightest limit of a lane and of the zones it goes through [m/s]."""
    limits = [] if own is None else [own]
    for zone in road_map.zones.values():
        if zone.type != "SPEED_LIMIT" or zone.maximum_speed is None or len(zone.polygon) < 3:
            continue
        if cuts(points, zone.polygon) or contains(zone.polygon, *points[0]):
            limits.append(zone.maximum_speed)
    return min(limits, default=None)


def plan_of(
    road_map: RoadMap,
    route: Route,
    *,
    speed: float = _SLOW,
) -> Plan:
    """Return a route as a plan.

    Args:
        road_map: the map that it leads through.
        route: from `RoadMap.route`.
        speed: the vehicle's own highest [m/s].
    """
    ways = [
        lane_way(road_map, lane, forward=forward, speed=speed)
        for lane, forward in zip(route.lanes, route.forward, strict=True)
    ]
    stops = [Stop.at(road_map.nodes[name]) for name in route.nodes]
    return Plan(road_map.id, tuple(stops), tuple(ways))


def join(head: Plan, tail: Plan) -> Plan:
    """Return two plans as one; the tail's first stop is the head's last, whose content stays."""
    return Plan(head.map_id, head.stops + tail.stops[1:], head.ways + tail.ways)
