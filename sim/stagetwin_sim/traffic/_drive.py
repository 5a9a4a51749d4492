"""From stretch to stretch: what takes vehicles along their ways."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin_sim.engine import host_copy
from stagetwin_sim.fleet import Motion
from stagetwin_sim.traffic._departures import Departures
from stagetwin_sim.traffic._gates import Gates
from stagetwin_sim.traffic._grid_authority import GridAuthority
from stagetwin_sim.traffic._lanes import LaneAuthority
from stagetwin_sim.traffic._latency import Latency
from stagetwin_sim.traffic._records import Phase, VehicleRecord, WorldRecord
from stagetwin_sim.traffic._route import LaneRoute
from stagetwin_sim.traffic._slots import Slots

__all__ = ["Drivers"]

_DRIVEN = (Phase.LANES, Phase.AWAY, Phase.APPROACH, Phase.FREE)
"""Phases that end when a vehicle says that it is there."""

_NEAR = 3
"""So many cells before a gate a vehicle asks for the lanes beyond it."""


class Drivers:
    """Take vehicles along their ways, through the zones of all authorities.

    Args:
        gates: the map, with its grids and what leads to them.
        motion: moves the vehicles.
        lanes: the authority of lanes.
        grids: those of grid zones, by zone.
        departures: how vehicles set out.
        worlds: what is remembered.
        latency: of messages.
        arrived: is told world and vehicle when one has come to its goal.
    """

    def __init__(
        self,
        gates: Gates,
        motion: Motion,
        lanes: LaneAuthority,
        grids: dict[str, GridAuthority],
        departures: Departures,
        worlds: list[WorldRecord],
        latency: Latency,
        arrived: Callable[[int, int], None],
    ) -> None:
        self.road_map, self.gates = gates.road_map, gates
        self.motion, self.lanes, self.grids = motion, lanes, grids
        self.departures, self.worlds = departures, worlds
        self.slots = Slots(gates.road_map, lanes.net.footprint.radius)
        self._latency, self._arrived = latency, arrived
        self._time = 0.0
        shape = (motion.worlds, motion.plan.vehicles)
        self.driving: npt.NDArray[np.bool_] = np.zeros(shape, bool)
        self._watched: npt.NDArray[np.bool_] = np.zeros(shape, bool)

    def record(self, world: int, vehicle: int) -> VehicleRecord:
        """Return what a vehicle is about."""
        return self.worlds[world].vehicles[vehicle]

    # -- beginnings

    def settle(self, world: int, vehicle: int) -> None:
        """Let a vehicle hold the place where it stands."""
        record = self.record(world, vehicle)
        if record.cell >= 0:
            self.lanes.order(world, vehicle, self.lanes.stand(record.cell))
        elif record.node in self.gates.cells:
            zone, cell = self.gates.cells[record.node]
            self.grids[zone].put(world, vehicle, cell)
            self.grids[zone].send(world, vehicle, cell)
        elif self.road_map.authority_at(*self._node_place(record.node)) == "lanes":
            cell = self.lanes.net.of_node[record.node]
            self.lanes.order(world, vehicle, self.lanes.stand(cell))

    def _node_place(self, node: str) -> tuple[float, float]:
        return self.road_map.nodes[node].x, self.road_map.nodes[node].y

    def can_go(self, world: int, vehicle: int, goal: str) -> bool:
        """Tell whether a way leads to a node."""
        return math.isfinite(self.departures.duration(world, vehicle, goal))

    def go(self, world: int, vehicle: int, goal: str) -> None:
        """Send a vehicle to a node."""
        record = self.record(world, vehicle)
        way = self.departures.way(world, vehicle, goal)
        record.goal, record.way, record.leg, record.after = goal, way, 0, -1
        if not way:
            record.node, record.goal = goal, ""
            self._arrived(world, vehicle)
            return
        self._begin(world, vehicle)

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
            record.cell = -1
            if int(self.lanes.column("rest")[world, vehicle]) == first:
                self._drive_route(world, vehicle, number)
                record.phase = Phase.LANES
            else:
                self.lanes.order(world, vehicle, number, later=True)
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
        self._watched[world, vehicle] = record.phase != Phase.LANES or self._to_gate(record)

    def _drive_route(self, world: int, vehicle: int, number: int, *, ordered: bool = False) -> None:
        route = self.lanes.routes[number]
        record = self.record(world, vehicle)
        record.sent, record.heard = None, -1.0
        self.driving[world, vehicle] = True
        if ordered:
            self.lanes.drive(world, vehicle)
        else:
            self.lanes.order(world, vehicle, number)
        self.motion.set_path(
            world,
            vehicle,
            route.points,
            limits=route.limits or None,
            theta=route.theta,
            s_max=0.0,
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
            self._head_for(world, vehicle, (a.x + b.x) / 2, (a.y + b.y) / 2, math.nan)
            return
        node = self.road_map.nodes[nodes[record.waypoint]]
        last = record.leg == len(record.way) - 1 and record.waypoint == len(nodes) - 1
        x, y = self.slots.place(node.id, record.slot) if last else (node.x, node.y)
        theta = math.nan if node.theta is None or not last else node.theta
        self._head_for(world, vehicle, x, y, theta)

    def _enter(self, world: int, vehicle: int) -> None:
        record = self.record(world, vehicle)
        zone, cell = self.gates.cells[record.way[record.leg][1][-1]]
        grid = self.grids[zone]
        record.phase = Phase.GRID
        if grid.is_expected(world, vehicle):
            self.lanes.drop(world, vehicle)
            grid.take(world, vehicle)
        grid.send(world, vehicle, cell)

    def look(self, time: float) -> None:
        """Go on with all vehicles that have come to the end of a stretch."""
        self._time = time
        for zone in self.grids:
            self._release(zone)
        arrived = host_copy(self.motion.state.arrived) != 0
        for world, vehicle in np.argwhere(self.driving & (arrived | self._watched)).tolist():
            record = self.record(world, vehicle)
            if record.sent is not None:
                self._deliver(world, vehicle, record)
                continue
            there = bool(arrived[world, vehicle]) and record.phase in _DRIVEN
            there = there and self._heard(world, record)
            if record.phase in (Phase.LANES, Phase.AWAY):
                self._on_route(world, vehicle, there)
            elif record.phase == Phase.DOOR:
                self._at_door(world, vehicle)
            elif record.phase == Phase.APPROACH:
                if there:
                    self._on_lanes(world, vehicle)
            elif record.phase == Phase.FREE:
                self._in_free(world, vehicle, there)
            elif record.phase == Phase.GRID:
                self._on_grid(world, vehicle)
            elif record.phase == Phase.GATE:
                self._at_gate(world, vehicle)

    def _heard(self, world: int, record: VehicleRecord) -> bool:
        """Tell whether control knows that a vehicle is where it was to go."""
        if self._latency.none:
            return True
        if record.heard < 0:
            record.heard = self._time + self._latency.draw(world)
        if record.heard > self._time:
            return False
        record.heard = -1.0
        return True

    def _head_for(self, world: int, vehicle: int, x: float, y: float, theta: float) -> None:
        """Give a vehicle a goal, which it hears of later."""
        record = self.record(world, vehicle)
        record.heard = -1.0
        if self._latency.none:
            self.motion.set_goal(world, vehicle, x, y, theta)
        else:
            record.sent = (self._time + self._latency.draw(world), x, y, theta)
            self._watched[world, vehicle] = True

    def _deliver(self, world: int, vehicle: int, record: VehicleRecord) -> None:
        assert record.sent is not None
        due, x, y, theta = record.sent
        if due <= self._time:
            record.sent = None
            self.motion.set_goal(world, vehicle, x, y, theta)
            self._watched[world, vehicle] = record.phase == Phase.FREE

    def _on_route(self, world: int, vehicle: int, there: bool) -> None:
        record = self.record(world, vehicle)
        if there and self._through(world, vehicle):
            self._ended(world, vehicle)
        elif self._to_gate(record) and int(self.lanes.column("gate")[world, vehicle]) == 1:
            # It is the next at the gate that it drives to: the grid gets ready for it.
            zone, cell = self.gates.cells[record.way[record.leg + 1][1][0]]
            if self.grids[zone].expect(world, vehicle, cell):
                self.lanes.open(world, vehicle)

    def _release(self, zone: str) -> None:
        """Give the cells of gates back that vehicles on lanes are clear of."""
        net, grid = self.lanes.net, self.grids[zone]
        for world, vehicle, cell in grid.leaving():
            gate = net.of_node[self.gates.node_at(zone, cell)]
            if not any(gate in net.meets[c] for c in self.lanes.holds(world, vehicle)):
                grid.release(world, vehicle)

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
        if lanes.granted(world, vehicle, number):
            x, y = lanes.routes[number].points[0]
            record.phase = Phase.APPROACH
            self._watched[world, vehicle] = False
            self._head_for(world, vehicle, x, y, math.nan)

    def _on_lanes(self, world: int, vehicle: int) -> None:
        """Drive the route whose first cell a vehicle has, and is on."""
        record = self.record(world, vehicle)
        self._drive_route(world, vehicle, record.way[record.leg][2], ordered=True)
        record.phase = Phase.LANES
        self._watched[world, vehicle] = self._to_gate(record)

    def _to_gate(self, record: VehicleRecord) -> bool:
        """Tell whether the stretch leads to a grid."""
        after = record.leg + 1
        return after < len(record.way) and record.way[after][0] == "grid"

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
        record = self.record(world, vehicle)
        zone, _ = self.gates.cells[record.way[record.leg][1][-1]]
        grid = self.grids[zone]
        if record.leg + 1 < len(record.way):
            # On to lanes: their first cells are wanted shortly before it is at the gate.
            if grid.far(world, vehicle) <= _NEAR:
                self.lanes.order(world, vehicle, record.way[record.leg + 1][2], later=True)
                record.phase = Phase.GATE
        elif grid.arrived(world, vehicle):
            self._ended(world, vehicle)

    def _at_gate(self, world: int, vehicle: int) -> None:
        """Leave the grid as soon as the lanes are a vehicle's, and it stands at the gate."""
        record = self.record(world, vehicle)
        zone, cell = self.gates.cells[record.way[record.leg][1][-1]]
        if self.lanes.granted(world, vehicle, record.way[record.leg + 1][2]):
            self.grids[zone].claim(world, vehicle, cell)
            if self.grids[zone].arrived(world, vehicle):
                self.grids[zone].lend(world, vehicle)
                record.leg += 1
                self._on_lanes(world, vehicle)

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

    # -- the whole state

    def save(self) -> dict[str, Any]:
        """Return what is to be kept beside the records."""
        return {"driving": self.driving.copy(), "watched": self._watched.copy()}

    def load(self, saved: dict[str, Any]) -> None:
        """Take what was saved."""
        self.driving[:] = saved["driving"]
        self._watched[:] = saved["watched"]
