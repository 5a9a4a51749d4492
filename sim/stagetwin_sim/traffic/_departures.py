"""How a vehicle sets out: the way to a goal from where it stands, also from within a lane."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stagetwin.maps import Route
from stagetwin_sim.fleet import Motion
from stagetwin_sim.traffic._gates import Gates
from stagetwin_sim.traffic._lanes import LaneAuthority
from stagetwin_sim.traffic._records import WorldRecord
from stagetwin_sim.traffic._route import LaneRoute
from stagetwin_sim.traffic._ways import Ways

__all__ = ["Departures", "Leg"]

_TAKEN = 30.0
"""What it costs to go on where somebody rests [s]."""

Leg = tuple[str, tuple[str, ...], int]
"""Authority, nodes, and number of the route of a stretch."""


class Departures:
    """Ways of vehicles that rest.

    Args:
        gates: the map, with its grids.
        motion: moves the vehicles.
        lanes: the authority of lanes.
        ways: between nodes, by the vehicles' type.
        worlds: what is remembered.
    """

    def __init__(
        self,
        gates: Gates,
        motion: Motion,
        lanes: LaneAuthority,
        ways: Sequence[Ways],
        worlds: list[WorldRecord],
    ) -> None:
        self._gates, self._motion, self._lanes = gates, motion, lanes
        self._ways, self._worlds = ways, worlds
        self._kinds: list[int] = [int(kind) for kind in motion.plan.type_indices()]

    def duration(self, world: int, vehicle: int, goal: str) -> float:
        """Return how long the way to a node takes where nobody is in it [s]."""
        ways = self._ways[self._kinds[vehicle]]
        return min(
            (more + ways.duration(node, goal) for node, more, _ in self._exits(world, vehicle)),
            default=math.inf,
        )

    def way(self, world: int, vehicle: int, goal: str) -> list[Leg]:
        """Return the way of a vehicle to a node; empty where it is there."""
        record = self._worlds[world].vehicles[vehicle]
        ways = self._ways[self._kinds[vehicle]]
        exits = self._exits(world, vehicle)
        node, _, back = min(exits, key=lambda e: e[1] + ways.duration(e[0], goal))
        found = ways.between(node, goal) or ()
        way = [(each.authority, each.nodes, each.number) for each in found]
        if record.cell >= 0:
            way = self._from_cell(record.cell, way, vehicle, back)
        return way

    def _exits(self, world: int, vehicle: int) -> list[tuple[str, float, bool]]:
        """Return the nodes by which a vehicle may go on: in how long [s], and whether backward."""
        record = self._worlds[world].vehicles[vehicle]
        if record.cell < 0:
            return [(record.node, 0.0, False)]
        net = self._lanes.net
        here = net.cells[record.cell]
        lane = self._gates.road_map.lanes[here.lane]
        ends = (lane.end, lane.start) if here.forward else (lane.start, lane.end)
        kind = self._motion.plan.types[self._kinds[vehicle]]
        left = net.cells[net.of_lane[here.lane, here.forward][-1]].end - here.end
        exits = [(ends[0], left / kind.speed, False)]
        # Nobody backs onto a grid.
        if kind.reverse_speed > 0 and ends[1] not in self._gates.gates:
            exits.append((ends[1], here.end / kind.reverse_speed, True))
        rests = self._lanes.column("rests")[world]
        taken = [
            any(rests[c] not in (-1, vehicle) for c in net.meets[net.of_node[node]])
            for node, _, _ in exits
        ]
        return [
            (node, more + (_TAKEN if full else 0.0), back)
            for (node, more, back), full in zip(exits, taken, strict=True)
        ]

    def _from_cell(self, cell: int, way: list[Leg], vehicle: int, back: bool) -> list[Leg]:
        """Return a way that begins on a cell of a lane."""
        on = bool(way) and way[0][0] == "lanes"
        nodes: tuple[str, ...] = way[0][1] if on else ()
        key = f"from {cell}|{self._kinds[vehicle]}|{int(back)}|{way[0][2] if on else ''}"
        number = self._lanes.find(key)
        if number < 0:
            kind = self._motion.plan.types[self._kinds[vehicle]]
            route = self._lanes_of(self._lanes.routes[way[0][2]], nodes) if on else None
            net = self._lanes.net
            made = (
                net.retreat(cell, route, speed=kind.speed, reverse=kind.reverse_speed)
                if back
                else net.onward(cell, route, speed=kind.speed)
            )
            number = self._lanes.add(made, key)
        first = ("lanes", nodes, number)
        return [first, *(way[1:] if on else way)]

    def _lanes_of(self, route: LaneRoute, nodes: tuple[str, ...]) -> Route:
        """Return the route of the map of which a route of cells was made."""
        ids: list[str] = []
        ways: list[bool] = []
        for step in route.steps:
            cell = self._lanes.net.cells[step.cell]
            if cell.lane and (not ids or (cell.lane, cell.forward) != (ids[-1], ways[-1])):
                ids.append(cell.lane)
                ways.append(cell.forward)
        return Route(nodes=nodes, lanes=tuple(ids), forward=tuple(ways))
