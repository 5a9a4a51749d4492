"""From one node to another: stretches, each under the authority of its zone."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from stagetwin.maps import NoRouteError, Route
from stagetwin_sim.traffic._gates import Gates, zone_of
from stagetwin_sim.traffic._grid import NO_WAY
from stagetwin_sim.traffic._lanes import LaneAuthority
from stagetwin_sim.traffic._net import LaneNet

__all__ = ["Stretch", "Ways"]

_Way = tuple[tuple["Stretch", ...], float]


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

    A way goes by lanes, over grids from gate to gate, and straight through a free zone. Where it
    comes to a gate it is handed over, so that a stretch on the grid stands between two on lanes.

    Args:
        gates: the map, with its grids and what leads to them.
        net: its lanes that are under reservation.
        speed: of the vehicles [m/s].
        vehicle_type: their name.
        closed: lanes and nodes that nobody uses.
        lanes: the authority of lanes, which is given their routes.
    """

    def __init__(
        self,
        gates: Gates,
        net: LaneNet,
        speed: float,
        vehicle_type: str,
        closed: Iterable[str],
        lanes: LaneAuthority,
    ) -> None:
        self.road_map, self.gates, self.net = gates.road_map, gates, net
        self._speed, self._type, self._closed = speed, vehicle_type, frozenset(closed)
        self._lanes = lanes
        self._found: dict[tuple[str, str], _Way | None] = {}
        self._direct: dict[tuple[str, str], _Way | None] = {}
        self._far: dict[tuple[str, int], list[int]] = {}
        on_grids = {name for name, kind in gates.lanes.items() if kind == "grid"}
        self._shut = self._closed | on_grids
        self._doors = sorted(gates.gates - self._closed)

    def forget(self) -> None:
        """Find all ways anew."""
        self._found.clear()
        self._direct.clear()

    def between(self, start: str, goal: str) -> tuple[Stretch, ...] | None:
        """Return the stretches from a node to another; None where no way leads there."""
        found = self._look(start, goal)
        return None if found is None else found[0]

    def duration(self, start: str, goal: str) -> float:
        """Return how long a way takes where nobody is in it [s]; infinite where there is none."""
        found = self._look(start, goal)
        return math.inf if found is None else found[1]

    def _look(self, start: str, goal: str) -> _Way | None:
        key = start, goal
        if key not in self._found:
            self._found[key] = self._make(start, goal)
        return self._found[key]

    def _make(self, start: str, goal: str) -> _Way | None:
        """Return the quickest way over any gates.

        Source: E. W. Dijkstra, "A note on two problems in connexion with graphs", Numerische
        Mathematik 1 (1959).
        """
        best = {start: 0.0}
        ways: dict[str, tuple[Stretch, ...]] = {start: ()}
        heap = [(0.0, start)]
        done: set[str] = set()
        while heap:
            took, here = heapq.heappop(heap)
            if here == goal:
                return tuple(self._handed_over(start, ways[here], goal)), took
            if here in done:
                continue
            done.add(here)
            for node in dict.fromkeys((goal, *self._doors)):
                leg = self._leg(here, node) if node not in done else None
                if leg is not None and took + leg[1] < best.get(node, math.inf):
                    best[node] = took + leg[1]
                    ways[node] = (*ways[here], *leg[0])
                    heapq.heappush(heap, (best[node], node))
        return None

    def _handed_over(self, start: str, way: tuple[Stretch, ...], goal: str) -> Iterator[Stretch]:
        """Put a stand on the grid wherever lanes lead to or from a gate."""
        before, at = "", start
        for each in way:
            if at in self.gates.cells and each.authority != "grid" != before:
                yield Stretch("grid", (at, at))
            yield each
            before, at = each.authority, each.nodes[-1]
        if goal in self.gates.cells and before != "grid":
            yield Stretch("grid", (goal, goal))
        node = self.road_map.nodes[goal]
        if before == "free" and self.road_map.authority_at(node.x, node.y) == "lanes":
            # Its last node is on lanes: nobody drives there before it is his.
            yield Stretch("lanes", (goal,), self._lanes.stand(self.net.of_node[goal]))

    def _leg(self, start: str, goal: str) -> _Way | None:
        """Return the way that passes no gate between."""
        key = start, goal
        if key not in self._direct:
            self._direct[key] = self._over_grid(start, goal) or self._over_lanes(start, goal)
        return self._direct[key]

    def _over_grid(self, start: str, goal: str) -> _Way | None:
        cells = self.gates.cells
        if start == goal or start not in cells or goal not in cells:
            return None
        (zone, here), (other, there) = cells[start], cells[goal]
        if zone != other:
            return None
        if (zone, there) not in self._far:
            (steps,) = self.gates.grids[zone].distances([there]).tolist()
            self._far[zone, there] = steps
        steps = self._far[zone, there][here]
        if steps >= NO_WAY:
            return None
        took = steps * self.gates.grids[zone].cell / self._speed
        return (Stretch("grid", (start, goal)),), took

    def _over_lanes(self, start: str, goal: str) -> _Way | None:
        passed = self.gates.gates - {start, goal}
        try:
            route = self.road_map.route(
                start,
                goal,
                speed=self._speed,
                vehicle_type=self._type,
                closed=self._shut | passed,
            )
        except NoRouteError:
            return self._straight(start, goal)
        if not route.lanes:
            return (), 0.0
        stretches: list[Stretch] = []
        first = 0
        kinds = [self.gates.lanes[lane] for lane in route.lanes]
        for k in range(1, len(kinds) + 1):
            if k == len(kinds) or kinds[k] != kinds[first]:
                stretches.append(self._stretch(kinds[first], route, first, k))
                first = k
        return tuple(stretches), route.duration

    def _straight(self, start: str, goal: str) -> _Way | None:
        """Return the way through a free zone in which both nodes are."""
        zone = zone_of(self.road_map, start)
        if not zone or zone != zone_of(self.road_map, goal):
            return None
        if self.road_map.zones[zone].authority != "free" or {start, goal} & self._closed:
            return None
        a, b = self.road_map.nodes[start], self.road_map.nodes[goal]
        return (Stretch("free", (start, goal)),), math.hypot(a.x - b.x, a.y - b.y) / self._speed

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
