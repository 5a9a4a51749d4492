"""From stretch to stretch: what takes vehicles along their ways."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin.maps import Point, RoadMap, Route
from stagetwin_sim.engine import host_copy
from stagetwin_sim.fleet import Motion
from stagetwin_sim.traffic._grid_authority import GridAuthority
from stagetwin_sim.traffic._lanes import LaneAuthority
from stagetwin_sim.traffic._records import Phase, VehicleRecord, WorldRecord
from stagetwin_sim.traffic._route import LaneRoute, Step
from stagetwin_sim.traffic._slots import slot_places
from stagetwin_sim.traffic._ways import Ways

__all__ = ["Drivers"]

_TAKEN = 30.0
"""What it costs to go on where somebody rests [s]."""


class Drivers:
    """Take vehicles along their ways, through the zones of all authorities.

    Args:
        road_map: the map.
        motion: moves the vehicles.
        lanes: the authority of lanes.
        grids: those of grid zones, by zone.
        ways: between nodes, by the vehicles' type.
        worlds: what is remembered.
        arrived: is told world and vehicle when one has come to its goal.
    """

    def __init__(
        self,
        road_map: RoadMap,
        motion: Motion,
        lanes: LaneAuthority,
        grids: dict[str, GridAuthority],
        ways: Sequence[Ways],
        worlds: list[WorldRecord],
        arrived: Callable[[int, int], None],
    ) -> None:
        self.road_map, self.motion, self.lanes, self.grids = road_map, motion, lanes, grids
        self.ways, self.worlds = ways, worlds
        self._arrived = arrived
        self._kinds: list[int] = [int(kind) for kind in motion.plan.type_indices()]
        shape = (motion.worlds, motion.plan.vehicles)
        self.driving: npt.NDArray[np.bool_] = np.zeros(shape, bool)
        self._watched: npt.NDArray[np.bool_] = np.zeros(shape, bool)
        self._authorities: dict[str, str] = {}
        self._slots: dict[str, list[Point]] = {}

    def record(self, world: int, vehicle: int) -> VehicleRecord:
        """Return what a vehicle is about."""
        return self.worlds[world].vehicles[vehicle]

    def ways_of(self, vehicle: int) -> Ways:
        """Return the ways of a vehicle's type."""
        return self.ways[self._kinds[vehicle]]

    # -- beginnings

    def settle(self, world: int, vehicle: int) -> None:
        """Let a vehicle hold the place where it stands."""
        record = self.record(world, vehicle)
        if record.cell >= 0:
            self.lanes.order(world, vehicle, self._stand(record.cell))
        elif self.authority_at(record.node) == "grid":
            node = self.road_map.nodes[record.node]
            for grid in self.grids.values():
                if (cell := grid.grid.cell_at(node.x, node.y)) >= 0:
                    grid.put(world, vehicle, cell)
        elif self.authority_at(record.node) == "lanes":
            self.lanes.order(world, vehicle, self._stand(self.lanes.net.of_node[record.node]))

    def authority_at(self, node: str) -> str:
        """Return who decides at a node."""
        if node not in self._authorities:
            here = self.road_map.nodes[node]
            self._authorities[node] = self.road_map.authority_at(here.x, here.y)
        return self._authorities[node]

    def can_go(self, world: int, vehicle: int, goal: str) -> bool:
        """Tell whether a way leads to a node."""
        return math.isfinite(self.duration(world, vehicle, goal))

    def duration(self, world: int, vehicle: int, goal: str) -> float:
        """Return how long the way to a node takes where nobody is in it [s]."""
        exits = self._exits(world, vehicle)
        return min(
            (more + self.ways_of(vehicle).duration(node, goal) for node, more, _ in exits),
            default=math.inf,
        )

    def _exits(self, world: int, vehicle: int) -> list[tuple[str, float, bool]]:
        """Return the nodes by which a vehicle may go on: in how long [s], and whether backward."""
        record = self.record(world, vehicle)
        if record.cell < 0:
            return [(record.node, 0.0, False)]
        net = self.lanes.net
        here = net.cells[record.cell]
        lane = self.road_map.lanes[here.lane]
        ends = (lane.end, lane.start) if here.forward else (lane.start, lane.end)
        kind = self.motion.plan.types[self._kinds[vehicle]]
        left = net.cells[net.of_lane[here.lane, here.forward][-1]].end - here.end
        exits = [(ends[0], left / kind.speed, False)]
        if kind.reverse_speed > 0:
            exits.append((ends[1], here.end / kind.reverse_speed, True))
        rests = self.lanes.column("rests")[world]
        taken = [
            any(rests[c] not in (-1, vehicle) for c in net.meets[net.of_node[node]])
            for node, _, _ in exits
        ]
        return [
            (node, more + (_TAKEN if full else 0.0), back)
            for (node, more, back), full in zip(exits, taken, strict=True)
        ]

    def go(self, world: int, vehicle: int, goal: str) -> None:
        """Send a vehicle to a node."""
        record = self.record(world, vehicle)
        ways = self.ways_of(vehicle)
        exits = self._exits(world, vehicle)
        node, _, back = min(exits, key=lambda e: e[1] + ways.duration(e[0], goal))
        found = ways.between(node, goal) or ()
        way = [(each.authority, each.nodes, each.number) for each in found]
        if record.cell >= 0:
            way = self._from_cell(record.cell, way, vehicle, back)
        record.goal, record.way, record.leg = goal, way, 0
        if not way:
            record.node, record.goal = goal, ""
            self._arrived(world, vehicle)
            return
        self._begin(world, vehicle)

    def _from_cell(
        self, cell: int, way: list[tuple[str, tuple[str, ...], int]], vehicle: int, back: bool
    ) -> list[tuple[str, tuple[str, ...], int]]:
        """Return a way that begins on a cell of a lane."""
        on = bool(way) and way[0][0] == "lanes"
        nodes: tuple[str, ...] = way[0][1] if on else ()
        key = f"from {cell}|{self._kinds[vehicle]}|{int(back)}|{way[0][2] if on else ''}"
        number = self.lanes.find(key)
        if number < 0:
            kind = self.motion.plan.types[self._kinds[vehicle]]
            route = self._lanes_of(self.lanes.routes[way[0][2]], nodes) if on else None
            net = self.lanes.net
            made = (
                net.retreat(cell, route, speed=kind.speed, reverse=kind.reverse_speed)
                if back
                else net.onward(cell, route, speed=kind.speed)
            )
            number = self.lanes.add(made, key)
        first = ("lanes", nodes, number)
        return [first, *(way[1:] if on else way)]

    def _lanes_of(self, route: LaneRoute, nodes: tuple[str, ...]) -> Route:
        """Return the route of the map of which a route of cells was made."""
        ids: list[str] = []
        ways: list[bool] = []
        for step in route.steps:
            cell = self.lanes.net.cells[step.cell]
            if cell.lane and (not ids or (cell.lane, cell.forward) != (ids[-1], ways[-1])):
                ids.append(cell.lane)
                ways.append(cell.forward)
        return Route(nodes=nodes, lanes=tuple(ids), forward=tuple(ways))

    def follow(self, world: int, vehicle: int, route: LaneRoute) -> None:
        """Send a vehicle that rests on lanes along a route of its own, out of the way."""
        record = self.record(world, vehicle)
        number = self.lanes.add(route)
        self._drive_route(world, vehicle, number)
        record.phase = Phase.AWAY
        record.node, record.cell = "", -1
        record.way, record.leg = [("lanes", (), number)], 0

    # -- on the way

    def _begin(self, world: int, vehicle: int) -> None:
        record = self.record(world, vehicle)
        kind, _, number = record.way[record.leg]
        self.driving[world, vehicle] = True
        if kind == "lanes":
            first = self.lanes.routes[number].steps[0].cell
            held = int(self.lanes.column("rest")[world, vehicle])
            record.cell = -1
            self._drive_route(world, vehicle, number)
            record.phase = Phase.LANES
            if held != first:
                self._stay(world, vehicle)
                record.phase = Phase.DOOR
        elif kind == "free":
            record.holding = self._holds(world, vehicle)
            record.waypoint = 1
            record.phase = Phase.FREE
            if self._to_door(world, vehicle):
                return
            self._head(world, vehicle)
        else:
            self._enter(world, vehicle)
        record.node = ""
        self._watched[world, vehicle] = record.phase in (Phase.DOOR, Phase.FREE, Phase.GRID)

    def _drive_route(self, world: int, vehicle: int, number: int) -> None:
        route = self.lanes.routes[number]
        self.driving[world, vehicle] = True
        self.lanes.order(world, vehicle, number)
        self.motion.set_path(
            world, vehicle, route.points, limits=route.limits, theta=route.theta, s_max=0.0
        )

    def _stay(self, world: int, vehicle: int) -> None:
        x, y = self._place(world, vehicle)
        self.motion.set_goal(world, vehicle, x, y)

    def _place(self, world: int, vehicle: int) -> tuple[float, float]:
        state = self.motion.state
        return float(state.x.numpy()[world, vehicle]), float(state.y.numpy()[world, vehicle])

    def _holds(self, world: int, vehicle: int) -> bool:
        return int(self.lanes.column("rest")[world, vehicle]) >= 0

    def _to_door(self, world: int, vehicle: int) -> bool:
        """Ask for the lanes where only their first node is left of a free zone.

        That node is on the lanes: nobody drives there before it is his.
        """
        record = self.record(world, vehicle)
        nodes = record.way[record.leg][1]
        last = record.waypoint == len(nodes) - 1 and record.leg + 1 < len(record.way)
        if not last or record.holding or record.way[record.leg + 1][0] != "lanes":
            return False
        record.leg += 1
        record.node = nodes[-1]
        self._begin(world, vehicle)
        return True

    def _head(self, world: int, vehicle: int) -> None:
        record = self.record(world, vehicle)
        _, nodes, _ = record.way[record.leg]
        if record.leg + 1 < len(record.way) and record.waypoint == len(nodes) - 1:
            # On to the next lanes, but these are not its own yet: clear of those it comes from.
            a, b = (self.road_map.nodes[nodes[k]] for k in (record.waypoint - 1, record.waypoint))
            self.motion.set_goal(world, vehicle, (a.x + b.x) / 2, (a.y + b.y) / 2)
            return
        node = self.road_map.nodes[nodes[record.waypoint]]
        last = record.leg == len(record.way) - 1 and record.waypoint == len(nodes) - 1
        x, y = self.place_of(node.id, record.slot) if last else (node.x, node.y)
        theta = math.nan if node.theta is None or not last else node.theta
        self.motion.set_goal(world, vehicle, x, y, theta)

    def place_of(self, node: str, slot: int) -> tuple[float, float]:
        """Return where a vehicle stands at a node for several [m]."""
        places = self.slots(node)
        return places[min(slot, len(places) - 1)]

    def slots(self, node: str) -> list[Point]:
        """Return where vehicles stand at a node; one place but in a free zone [m]."""
        if node not in self._slots:
            wanted = [s.capacity for s in self.road_map.stations.values() if node in s.nodes]
            radius = self.lanes.net.footprint.radius
            self._slots[node] = slot_places(self.road_map, node, radius, max(wanted, default=1))
        return self._slots[node]

    def _enter(self, world: int, vehicle: int) -> None:
        record = self.record(world, vehicle)
        _, nodes, _ = record.way[record.leg]
        start, goal = self.road_map.nodes[nodes[0]], self.road_map.nodes[nodes[-1]]
        record.phase = Phase.GRID
        for grid in self.grids.values():
            here = grid.grid.cell_at(start.x, start.y)
            there = grid.grid.cell_at(goal.x, goal.y)
            if here >= 0 and there >= 0:
                grid.send(world, vehicle, there)
                return

    def look(self) -> None:
        """Go on with all vehicles that have come to the end of a stretch."""
        state = self.motion.state
        arrived = host_copy(state.arrived) != 0
        for world, vehicle in np.argwhere(self.driving & (arrived | self._watched)).tolist():
            record = self.record(world, vehicle)
            there = bool(arrived[world, vehicle])
            if record.phase in (Phase.LANES, Phase.AWAY):
                if there and self._through(world, vehicle):
                    self._ended(world, vehicle)
            elif record.phase == Phase.DOOR:
                self._at_door(world, vehicle)
            elif record.phase == Phase.APPROACH:
                if there:
                    self._on_lanes(world, vehicle)
            elif record.phase == Phase.FREE:
                self._in_free(world, vehicle, there)
            elif record.phase == Phase.GRID:
                self._on_grid(world, vehicle)

    def _through(self, world: int, vehicle: int) -> bool:
        number = self.record(world, vehicle).way[self.record(world, vehicle).leg][2]
        lanes = self.lanes
        if int(lanes.column("route")[world, vehicle]) != number:
            return False
        return int(lanes.column("go")[world, vehicle]) == len(lanes.routes[number].steps)

    def _at_door(self, world: int, vehicle: int) -> None:
        record = self.record(world, vehicle)
        number = record.way[record.leg][2]
        lanes = self.lanes
        if int(lanes.column("route")[world, vehicle]) == number and (
            int(lanes.column("go")[world, vehicle]) > 0
        ):
            x, y = lanes.routes[number].points[0]
            self.motion.set_goal(world, vehicle, x, y)
            record.phase = Phase.APPROACH
            self._watched[world, vehicle] = False

    def _on_lanes(self, world: int, vehicle: int) -> None:
        record = self.record(world, vehicle)
        route = self.lanes.routes[record.way[record.leg][2]]
        self.motion.set_path(
            world, vehicle, route.points, limits=route.limits, theta=route.theta, s_max=0.0
        )
        record.phase = Phase.LANES

    def _in_free(self, world: int, vehicle: int, there: bool) -> None:
        record = self.record(world, vehicle)
        _, nodes, _ = record.way[record.leg]
        if record.holding:
            x, y = self._place(world, vehicle)
            left = self.road_map.nodes[nodes[0]]
            if there or math.hypot(x - left.x, y - left.y) > 2.2 * self.lanes.net.footprint.radius:
                self.lanes.drop(world, vehicle)
                record.holding = False
                if self._to_door(world, vehicle):
                    return
        if there:
            record.waypoint += 1
            if record.waypoint >= len(nodes):
                self._ended(world, vehicle)
            elif not self._to_door(world, vehicle):
                self._head(world, vehicle)

    def _on_grid(self, world: int, vehicle: int) -> None:
        if any(grid.arrived(world, vehicle) for grid in self.grids.values()):
            self._ended(world, vehicle)

    def _ended(self, world: int, vehicle: int) -> None:
        """Go on after a stretch, or be there."""
        record = self.record(world, vehicle)
        _, nodes, number = record.way[record.leg]
        self._watched[world, vehicle] = False
        if record.phase == Phase.AWAY:
            self._is_away(world, vehicle, number)
            return
        record.leg += 1
        if record.leg < len(record.way):
            record.node = nodes[-1] if nodes else record.node
            if not record.node:
                record.node = self.lanes.routes[number].goal
            self._begin(world, vehicle)
            return
        record.phase, record.node, record.way = Phase.REST, record.goal, []
        record.goal = ""
        self.driving[world, vehicle] = False
        self._arrived(world, vehicle)

    def _is_away(self, world: int, vehicle: int, number: int) -> None:
        record = self.record(world, vehicle)
        last = self.lanes.net.cells[self.lanes.routes[number].steps[-1].cell]
        record.phase, record.way = Phase.REST, []
        self.driving[world, vehicle] = False
        record.node = last.node
        record.cell = -1 if last.node else self.lanes.routes[number].steps[-1].cell

    def _stand(self, cell: int) -> int:
        """Return the number of the route of who only stands on a cell."""
        number = self.lanes.find(f"stand {cell}")
        if number < 0:
            x, y, _ = self.lanes.net.standing(cell)
            route = LaneRoute((Step(cell, -1.0, 0.0, True),), ((x, y),), ())
            number = self.lanes.add(route, f"stand {cell}")
        return number

    # -- the whole state

    def save(self) -> dict[str, Any]:
        """Return what is to be kept beside the records."""
        return {"driving": self.driving.copy(), "watched": self._watched.copy()}

    def load(self, saved: dict[str, Any]) -> None:
        """Take what was saved."""
        self.driving[:] = saved["driving"]
        self._watched[:] = saved["watched"]
