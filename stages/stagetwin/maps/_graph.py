"""The network of lanes: what driving each costs, and the best way through it."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from stagetwin._errors import NoRouteError
from stagetwin.maps.geometry import Point, along, contains, cuts, lengths

if TYPE_CHECKING:
    from stagetwin.maps._road_map import RoadMap, Zone

__all__ = ["Graph", "Route"]

AVOID = 1e6
"""Cost of a way under the largest penalty: taken only where there is no other."""

_KEPT = 16
"""Pricings that a graph remembers."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A way through a map.

    Attributes:
        nodes: ids in driving order, start and goal included.
        lanes: ids of the lanes between them, one less.
        forward: for each lane whether it is driven from its start to its end.
        length: [m].
        duration: at the speeds that hold on the way, without turning, starting or braking [s].
        points: of the whole way, no point twice in a row.
    """

    nodes: tuple[str, ...]
    lanes: tuple[str, ...] = ()
    forward: tuple[bool, ...] = ()
    length: float = 0.0
    duration: float = 0.0
    points: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of a lane where the same rules hold."""

    length: float
    limit: float
    factor: float


@dataclass(frozen=True, slots=True)
class _Way:
    """A lane in the direction in which it is driven."""

    lane: str
    forward: bool
    end: int
    cost: float
    duration: float


@dataclass(frozen=True, slots=True)
class _Prices:
    """What driving costs one kind of vehicle.

    Attributes:
        ways: out of each node.
        least: least cost of a metre as the crow flies.
    """

    ways: list[list[_Way]]
    least: float


class Graph:
    """The lanes of a map as a network.

    Args:
        road_map: the map; lanes without their nodes are left out.
    """

    def __init__(self, road_map: RoadMap) -> None:
        self._map = road_map
        self._names = sorted(road_map.nodes)
        self._number = {name: i for i, name in enumerate(self._names)}
        self._lanes = [
            lane
            for _, lane in sorted(road_map.lanes.items())
            if lane.start in road_map.nodes and lane.end in road_map.nodes
        ]
        self.points = {lane.id: road_map.lane_points(lane) for lane in self._lanes}
        self._zones = [
            zone
            for _, zone in sorted(road_map.zones.items())
            if zone.type in _RULES and len(zone.polygon) > 2
        ]
        self._parts = {lane.id: self._split(self.points[lane.id]) for lane in self._lanes}
        self._prices: dict[tuple[float, str, frozenset[str]], _Prices] = {}

    def _split(self, points: Sequence[Point]) -> tuple[list[_Part], set[str]]:
        """Return the parts of a lane by the zones it goes through, and the zones that block it."""
        zones = [zone for zone in self._zones if _near(points, zone)]
        total = lengths(points)[-1]
        if not zones:
            return [_Part(total, math.inf, 1.0)], set()
        marks = sorted({0.0, total, *(c for zone in zones for c in cuts(points, zone.polygon))})
        parts: list[_Part] = []
        blocked: set[str] = set()
        for a, b in itertools.pairwise(marks):
            if b - a < 1e-9:
                continue
            x, y, _ = along(points, (a + b) / 2)
            within = [zone for zone in zones if contains(zone.polygon, x, y)]
            blocked |= {zone.id for zone in within if zone.type == "BLOCKED"}
            parts.append(_Part(b - a, _limit(within), _factor(within)))
        return parts, blocked

    def _priced(self, speed: float, vehicle_type: str, closed: frozenset[str]) -> _Prices:
        key = (speed, vehicle_type, closed)
        if key not in self._prices:
            if len(self._prices) >= _KEPT:
                self._prices.pop(next(iter(self._prices)))
            self._prices[key] = self._price(*key)
        return self._prices[key]

    def _price(self, speed: float, vehicle_type: str, closed: frozenset[str]) -> _Prices:
        ways: list[list[_Way]] = [[] for _ in self._names]
        least = math.inf
        for lane in self._lanes:
            if lane.vehicle_types and vehicle_type not in lane.vehicle_types:
                continue
            parts, blocked = self._parts[lane.id]
            if blocked or closed & {lane.id, lane.start, lane.end}:
                continue
            top = speed if lane.maximum_speed is None else min(speed, lane.maximum_speed)
            if any(min(top, part.limit) <= 0 for part in parts):
                continue  # nobody may drive there at all
            times = [part.length / min(top, part.limit) for part in parts]
            duration = math.fsum(times)
            cost = math.fsum(t * part.factor for t, part in zip(times, parts, strict=True))
            start, end = self._number[lane.start], self._number[lane.end]
            ways[start].append(_Way(lane.id, True, end, cost, duration))
            if lane.both:
                ways[end].append(_Way(lane.id, False, start, cost, duration))
            if apart := self._apart(start, end):
                least = min(least, cost / apart)
        return _Prices(ways, 0.0 if math.isinf(least) else least * (1 - 1e-12))

    def _apart(self, a: int, b: int) -> float:
        one, two = self._map.nodes[self._names[a]], self._map.nodes[self._names[b]]
        return math.hypot(one.x - two.x, one.y - two.y)

    def route(
        self,
        starts: Sequence[str],
        goals: Sequence[str],
        names: tuple[str, str],
        speed: float,
        vehicle_type: str,
        closed: frozenset[str],
    ) -> Route:
        """Return the cheapest way from one of `starts` to one of `goals`.

        Source: P. E. Hart, N. J. Nilsson, B. Raphael, "A Formal Basis for the Heuristic
        Determination of Minimum Cost Paths", IEEE Trans. SSC 4 (1968); the heuristic is the
        distance to the nearest goal at the least price of a metre, which never overestimates.

        Raises:
            NoRouteError: there is none.
        """
        prices = self._priced(speed, vehicle_type, closed)
        shut = closed | {
            zone.id for zone in self._zones if zone.type == "BLOCKED" and len(zone.polygon) > 2
        }
        targets = {self._number[g] for g in goals if self._open(g, closed)}
        begin = sorted(self._number[s] for s in starts if self._open(s, closed))
        best = dict.fromkeys(begin, 0.0)
        came: dict[int, tuple[int, _Way]] = {}
        done: set[int] = set()
        heap = [(self._ahead(n, targets, prices.least), n) for n in begin] if targets else []
        heapq.heapify(heap)
        while heap:
            _, here = heapq.heappop(heap)
            if here in targets:
                return self._trace(here, came)
            if here in done:
                continue
            done.add(here)
            for way in prices.ways[here]:
                cost = best[here] + way.cost
                if cost < best.get(way.end, math.inf):
                    best[way.end] = cost
                    came[way.end] = (here, way)
                    ahead = self._ahead(way.end, targets, prices.least)
                    heapq.heappush(heap, (cost + ahead, way.end))
        raise NoRouteError(self._why(names, vehicle_type, shut))

    def _open(self, node: str, closed: frozenset[str]) -> bool:
        """Tell whether one may stand on a node."""
        if node in closed:
            return False
        at = self._map.nodes[node]
        return not any(
            zone.type == "BLOCKED" and contains(zone.polygon, at.x, at.y) for zone in self._zones
        )

    def _ahead(self, node: int, targets: Iterable[int], least: float) -> float:
        return least * min(self._apart(node, target) for target in targets) if least else 0.0

    def _trace(self, goal: int, came: Mapping[int, tuple[int, _Way]]) -> Route:
        ways: list[_Way] = []
        nodes = [goal]
        while nodes[-1] in came:
            before, way = came[nodes[-1]]
            ways.append(way)
            nodes.append(before)
        ways.reverse()
        nodes.reverse()
        first = self._map.nodes[self._names[nodes[0]]]
        points: list[Point] = [(first.x, first.y)]
        for way in ways:
            lane = self.points[way.lane]
            for point in lane if way.forward else reversed(lane):
                if point != points[-1]:
                    points.append(point)
        return Route(
            nodes=tuple(self._names[node] for node in nodes),
            lanes=tuple(way.lane for way in ways),
            forward=tuple(way.forward for way in ways),
            length=lengths(points)[-1],
            duration=math.fsum(way.duration for way in ways),
            points=tuple(points),
        )

    def _why(self, names: tuple[str, str], vehicle_type: str, shut: frozenset[str]) -> str:
        text = f"map {self._map.id!r}: no route from {names[0]!r} to {names[1]!r}"
        text += f"; closed: {_some(sorted(shut))}" if shut else "; nothing is closed"
        barred = [
            lane
            for lane in self._lanes
            if lane.vehicle_types and vehicle_type not in lane.vehicle_types
        ]
        if barred:
            types = _some(sorted({name for lane in barred for name in lane.vehicle_types}))
            who = f"vehicle type {vehicle_type!r}" if vehicle_type else "a vehicle of no named type"
            text += f"; {len(barred)} lanes are not for {who} but for {types}"
        return text


def _limit(zones: Iterable[Zone]) -> float:
    """Return the lowest speed limit of zones over each other (VDA 5050 3.0, 6.4.4, note 4)."""
    limits = [z.maximum_speed for z in zones if z.type == "SPEED_LIMIT"]
    return min((limit for limit in limits if limit is not None), default=math.inf)


def _factor(zones: Iterable[Zone]) -> float:
    """Return what a second costs: the most restrictive of the zones (VDA 5050 3.0, 6.4.4, note 6).

    A penalty p makes the way 1 / (1 - p) times as dear, the largest so dear that it is taken only
    where there is no other; a priority q makes it 1 / (1 + q) times as dear.
    """
    penalties = [z.factor or 0.0 for z in zones if z.type == "PENALTY"]
    if penalties:
        return min(1.0 / max(1.0 - max(penalties), 1e-9), AVOID)
    priorities = [z.factor or 0.0 for z in zones if z.type == "PRIORITY"]
    return 1.0 / (1.0 + min(priorities)) if priorities else 1.0


_RULES = frozenset({"BLOCKED", "SPEED_LIMIT", "PENALTY", "PRIORITY"})


def _near(points: Sequence[Point], zone: Zone) -> bool:
    """Tell whether the boxes around a polyline and a zone meet."""
    return all(
        min(p[i] for p in points) <= max(q[i] for q in zone.polygon)
        and max(p[i] for p in points) >= min(q[i] for q in zone.polygon)
        for i in (0, 1)
    )


def _some(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
