"""From stretch to stretch: what takes vehicles along their ways."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin.maps import RoadMap, Route
from stagetwin_sim.engine import host_copy
from stagetwin_sim.fleet import Motion
from stagetwin_sim.traffic._grid_authority import GridAuthority
from stagetwin_sim.traffic._lanes import LaneAuthority
from stagetwin_sim.traffic._net import LaneRoute
from stagetwin_sim.traffic._records import Phase, VehicleRecord, WorldRecord
from stagetwin_sim.traffic._ways import Stretch, Ways

__all__ = ["Drivers"]


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
        self._kinds = motion.plan.type_indices().tolist()
        shape = (motion.worlds, motion.plan.vehicles)
        self.driving: npt.NDArray[np.bool_] = np.zeros(shape, bool)
        self._watched: npt.NDArray[np.bool_] = np.zeros(shape, bool)
        self._standing: dict[str, int] = {}
        self._onward: dict[tuple[int, str, int], int] = {}

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
        here = self.road_map.nodes[node]
        return self.road_map.authority_at(here.x, here.y)

    def can_go(self, world: int, vehicle: int, goal: str) -> bool:
        """Tell whether a way leads to a node."""
        return math.isfinite(self.duration(world, vehicle, goal))

    def duration(self, world: int, vehicle: int, goal: str) -> float:
        """Return how long the way to a node takes where nobody is in it [s]."""
        record = self.record(world, vehicle)
        return self.ways_of(vehicle).duration(self._from(record), goal)

    def _from(self, record: VehicleRecord) -> str:
        if record.cell < 0:
            return record.node
        here = self.lanes.net.cells[record.cell]
        lane = self.road_map.lanes[here.lane]
        return lane.end if here.forward else lane.start

    def go(self, world: int, vehicle: int, goal: str) -> None:
        """Send a vehicle to a node."""
        record = self.record(world, vehicle)
        found = self.ways_of(vehicle).between(self._from(record), goal) or ()
        way = [(each.authority, each.nodes, each.number) for each in found]
        if record.cell >= 0:
            way = self._from_cell(record.cell, way, vehicle)
        record.goal, record.way, record.leg = goal, way, 0
        if not way:
            record.node = goal
            self._arrived(world, vehicle)
            return
        self._begin(world, vehicle)

    def _from_cell(
        self, cell: int, way: list[tuple[str, tuple[str, ...], int]], vehicle: int
    ) -> list[tuple[str, tuple[str, ...], int]]:
        """Return a way that begins on a cell of a lane."""
        on = bool(way) and way[0][0] == "lanes"
        nodes: tuple[str, ...] = way[0][1] if on else ()
        key = (cell, ">".join(nodes), self._kinds[vehicle])
        if key not in self._onward:
            speed = self.motion.plan.types[self._kinds[vehicle]].speed
            route = None
            if on:
                lanes = self._lanes_of(self.lanes.routes[way[0][2]], nodes)
                route = lanes
            self._onward[key] = self.lanes.add(
                self.lanes.net.onward(cell, route, speed=speed)
            )
        first = ("lanes", nodes, self._onward[key])
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
        kind, nodes, number = record.way[record.leg]
        here = record.node
        self.driving[world, vehicle] = True
        if kind == "lanes":
            first = self.lanes.routes[number].steps[0].cell
            held = int(self.lanes.column("rest")[world, vehicle])
            record.cell = -1
            if held == first:
                self._drive_route(world, vehicle, number)
                record.phase = Phase.LANES
            else:
                # Its path is at its begin: what it has reported of another says nothing now.
                self._drive_route(world, vehicle, number)
                self._stay(world, vehicle)
                record.phase = Phase.DOOR
        elif kind == "free":
            record.holding = record.leg > 0 or self.authority_at(here) == "lanes"
            record.waypoint = 1
            record.phase = Phase.FREE
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

    def _head(self, world: int, vehicle: int) -> None:
        record = self.record(world, vehicle)
        _, nodes, _ = record.way[record.leg]
        node = self.road_map.nodes[nodes[record.waypoint]]
        last = record.leg == len(record.way) - 1 and record.waypoint == len(nodes) - 1
        x, y = self.place_of(node.id, record.slot if last else 0)
        theta = math.nan if node.theta is None or not last else node.theta
        self.motion.set_goal(world, vehicle, x, y, theta)

    def place_of(self, node: str, slot: int) -> tuple[float, float]:
        """Return where a vehicle stands at a node for several [m]."""
        here = self.road_map.nodes[node]
        if slot == 0:
            return here.x, here.y
        apart = 2 * self.lanes.net.footprint.radius + 0.3
        across, up = ((1, 0), (0, 1), (1, 1), (-1, 0), (0, -1), (-1, -1), (1, -1), (-1, 1))[
            (slot - 1) % 8
        ]
        ring = 1 + (slot - 1) // 8
        return here.x + across * apart * ring, here.y + up * apart * ring

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
        if there:
            record.waypoint += 1
            if record.waypoint < len(nodes):
                self._head(world, vehicle)
            else:
                self._ended(world, vehicle)

    def _on_grid(self, world: int, vehicle: int) -> None:
        if any(grid.arrived(world, vehicle) for grid in self.grids.values()):
            self._ended(world, vehicle)

    def _ended(self, world: int, vehicle: int) -> None:
        """Go on after a stretch, or be there."""
        record = self.record(world, vehicle)
        kind, nodes, number = record.way[record.leg]
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
        key = f"#{cell}"
        if key not in self._standing:
            from stagetwin_sim.traffic._net import Step

            x, y, _ = self.lanes.net.standing(cell)
            route = LaneRoute((Step(cell, -1.0, 0.0, True),), ((x, y),), ())
            self._standing[key] = self.lanes.add(route)
        return self._standing[key]

    # -- the whole state

    def save(self) -> dict[str, Any]:
        """Return what is to be kept beside the records."""
        return {"driving": self.driving.copy(), "watched": self._watched.copy()}

    def load(self, saved: dict[str, Any]) -> None:
        """Take what was saved."""
        self.driving[:] = saved["driving"]
        self._watched[:] = saved["watched"]


_ = Stretch
