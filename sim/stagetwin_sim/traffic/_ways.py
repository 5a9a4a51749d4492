"""From one node to another: stretches, each under the authority of its zone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from stagetwin.maps import NoRouteError, RoadMap, Route
from stagetwin.maps._geometry import along
from stagetwin_sim.traffic._lanes import LaneAuthority
from stagetwin_sim.traffic._net import LaneNet

__all__ = ["Stretch", "Ways"]


@dataclass(frozen=True)
class Stretch:
    """A part of a way that one authority decides on.

    Attributes:
        authority: `lanes`, `grid` or `free`.
        nodes: ids, first and last included.
        number: of the lane authority's route; -1 elsewhere.
    """

    authority: str
    nodes: tuple[str, ...]
    number: int = -1


class Ways:
    """The ways between nodes for one kind of vehicle, found once each.

    Args:
        road_map: the map.
        net: its lanes that are under reservation.
        speed: of the vehicles [m/s].
        vehicle_type: their name.
        closed: lanes and nodes that nobody uses.
        lanes: the authority of lanes, which is given their routes.
    """

    def __init__(
        self,
        road_map: RoadMap,
        net: LaneNet,
        speed: float,
        vehicle_type: str,
        closed: Iterable[str],
        lanes: LaneAuthority,
    ) -> None:
        self.road_map, self.net = road_map, net
        self._speed, self._type, self._closed = speed, vehicle_type, frozenset(closed)
        self._lanes = lanes
        self._found: dict[tuple[str, str], tuple[tuple[Stretch, ...], float] | None] = {}
        self._authority = {name: authority_of(road_map, name) for name in road_map.lanes}

    def forget(self) -> None:
        """Find all ways anew."""
        self._found.clear()

    def between(self, start: str, goal: str) -> tuple[Stretch, ...] | None:
        """Return the stretches from a node to another; None where no way leads there."""
        found = self._look(start, goal)
        return None if found is None else found[0]

    def duration(self, start: str, goal: str) -> float:
        """Return how long a way takes where nobody is in it [s]; infinite where there is none."""
        found = self._look(start, goal)
        return math.inf if found is None else found[1]

    def route(self, start: str, goal: str) -> Route | None:
        """Return the route of the map; None where there is none."""
        try:
            return self.road_map.route(
                start, goal, speed=self._speed, vehicle_type=self._type, closed=self._closed
            )
        except NoRouteError:
            return None

    def _look(self, start: str, goal: str) -> tuple[tuple[Stretch, ...], float] | None:
        key = start, goal
        if key not in self._found:
            self._found[key] = self._make(start, goal)
        return self._found[key]

    def _make(self, start: str, goal: str) -> tuple[tuple[Stretch, ...], float] | None:
        nodes = self.road_map.nodes
        a, b = nodes[start], nodes[goal]
        both = {self.road_map.authority_at(each.x, each.y) for each in (a, b)}
        apart = math.hypot(a.x - b.x, a.y - b.y) / self._speed
        if start != goal and both == {"grid"}:
            if self._zone(start) != self._zone(goal):
                return None
            return (Stretch("grid", (start, goal)),), apart
        route = self.route(start, goal)
        if route is None:
            if both == {"free"}:
                return (Stretch("free", (start, goal)),), apart
            return None
        if not route.lanes:
            return (), 0.0
        stretches: list[Stretch] = []
        first = 0
        for k in range(1, len(route.lanes) + 1):
            kind = self._authority[route.lanes[first]]
            if k == len(route.lanes) or self._authority[route.lanes[k]] != kind:
                stretches.append(self._stretch(kind, route, first, k))
                first = k
        if len(stretches) > 1 and any(each.authority == "grid" for each in stretches):
            return None  # nobody hands vehicles over between a grid and what lies around it
        return tuple(stretches), route.duration

    def _zone(self, node: str) -> str:
        """Return the zone that says who decides at a node; empty where none does."""
        here = self.road_map.nodes[node]
        zones = self.road_map.zones_at(here.x, here.y)
        return next((zone.id for zone in zones if zone.authority), "")

    def _stretch(self, kind: str, route: Route, first: int, end: int) -> Stretch:
        nodes = route.nodes[first : end + 1]
        if kind != "lanes":
            return Stretch(kind, nodes)
        part = Route(nodes=nodes, lanes=route.lanes[first:end], forward=route.forward[first:end])
        turns = "".join(">" if forward else "<" for forward in part.forward)
        key = f"way {self._type}|{','.join(nodes)}|{','.join(part.lanes)}|{turns}"
        number = self._lanes.find(key)
        if number < 0:
            number = self._lanes.add(self.net.route(part, speed=self._speed), key)
        return Stretch(kind, nodes, number)


def authority_of(road_map: RoadMap, lane: str) -> str:
    """Return who decides on a lane: whose zone its middle is in."""
    points = road_map.lane_points(lane)
    x, y, _ = along(points, road_map.lane_length(lane) / 2)
    return road_map.authority_at(x, y)
