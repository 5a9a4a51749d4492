"""Where grids and lanes meet: which nodes are gates, and which cells lanes leave to a grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from stagetwin.fleets import VehicleType
from stagetwin.maps import Lane, Point, RoadMap
from stagetwin.maps.geometry import along
from stagetwin_sim._errors import TrafficError
from stagetwin_sim.traffic._footprint import Footprint, overlap
from stagetwin_sim.traffic._grid import GridMap
from stagetwin_sim.traffic._net import LaneNet

__all__ = ["Gates", "authority_of"]

_CLEARANCE = 0.05
"""Between vehicles that turn on neighbouring cells [m]."""

_OFF = 0.05
"""How far a gate may be from the middle of its cell [m]."""


@dataclass(frozen=True)
class Gates:
    """The grids of a map, and the nodes by which vehicles come and go.

    A lane of which one end alone is on a grid, or each end on another grid, leads through a gate:
    lanes decide on it, and its node on the grid is the gate, which both must grant.

    Attributes:
        road_map: the map.
        grids: by zone.
        cells: zone and cell of each node on a grid.
        lanes: who decides on each lane.
        gates: ids of nodes.
    """

    road_map: RoadMap
    grids: dict[str, GridMap]
    cells: dict[str, tuple[str, int]]
    lanes: dict[str, str]
    gates: frozenset[str]

    @classmethod
    def of(cls, road_map: RoadMap, types: Sequence[VehicleType]) -> Gates:
        """Return the grids and gates of a map for a kind of fleet.

        Raises:
            TrafficError: a grid's cells are too small, or a gate is not in the middle of one.
        """
        radius = Footprint.of(types, _CLEARANCE).radius
        grids = {
            name: GridMap.of_zone(road_map, zone, radius)
            for name, zone in sorted(road_map.zones.items())
            if zone.authority == "grid"
        }
        cells: dict[str, tuple[str, int]] = {}
        for name, node in road_map.nodes.items():
            zone = zone_of(road_map, name)
            if zone in grids and (cell := grids[zone].cell_at(node.x, node.y)) >= 0:
                cells[name] = zone, cell
        lanes = {name: authority_of(road_map, name) for name in road_map.lanes}
        gates: set[str] = set()
        for lane in road_map.lanes.values():
            ends = [end for end in (lane.start, lane.end) if end in cells]
            zones = {cells[end][0] for end in ends}
            within = len(ends) == 2 and len(zones) == 1
            if ends and not (within and lanes[lane.id] != "lanes"):
                lanes[lane.id] = "lanes"
                gates.update(ends)
        made = cls(road_map, grids, cells, lanes, frozenset(gates))
        for gate in sorted(gates):
            made._check_middle(gate)
        return made

    def _check_middle(self, gate: str) -> None:
        zone, cell = self.cells[gate]
        node, middle = self.road_map.nodes[gate], self.grids[zone].place(cell)
        if math.dist((node.x, node.y), middle) > _OFF:
            raise TrafficError(
                f"{node.prim or gate}: gate {gate!r} of the grid zone {zone!r} must be in the "
                f"middle of its cell, ({middle[0]:.3f}, {middle[1]:.3f}); got "
                f"({node.x:.3f}, {node.y:.3f})"
            )

    def node_at(self, zone: str, cell: int) -> str:
        """Return the gate on a cell.

        Raises:
            KeyError: there is none.
        """
        return self._nodes[zone, cell]

    @cached_property
    def _nodes(self) -> dict[tuple[str, int], str]:
        return {self.cells[gate]: gate for gate in self.gates}

    @property
    def places(self) -> dict[str, tuple[Point, ...]]:
        """The cell of every node on a grid, as an area."""
        return {name: self._square(*at) for name, at in self.cells.items()}

    def _square(self, zone: str, cell: int) -> tuple[Point, ...]:
        grid = self.grids[zone]
        (x, y), half = grid.place(cell), grid.cell / 2
        return (
            (x - half, y - half),
            (x + half, y - half),
            (x + half, y + half),
            (x - half, y + half),
        )

    def beside(self, net: LaneNet) -> Gates:
        """Return the same with the cells taken from the grids that vehicles on lanes sweep.

        Raises:
            TrafficError: a node lies on such a cell.
        """
        return replace(
            self, grids={name: self._left(name, grid, net) for name, grid in self.grids.items()}
        )

    def _left(self, zone: str, grid: GridMap, net: LaneNet) -> GridMap:
        nodes = {cell: name for name, (z, cell) in self.cells.items() if z == zone}
        free = grid.free.copy().reshape(-1)
        columns, rows = grid.free.shape[1], grid.free.shape[0]
        driven = {end for lane in net.lanes for end in _ends(self.road_map.lanes[lane])}
        for here in net.cells:
            if here.node and (here.node in self.cells or here.node not in driven):
                continue
            ends = _ends(self.road_map.lanes[here.lane]) if here.lane else ()
            area = np.asarray(here.area)
            low, high = area.min(axis=0) - grid.origin, area.max(axis=0) - grid.origin
            first = np.maximum(np.floor(low / grid.cell).astype(int), 0)
            last = np.minimum(np.floor(high / grid.cell).astype(int), (columns - 1, rows - 1))
            for row in range(first[1], last[1] + 1):
                for column in range(first[0], last[0] + 1):
                    cell = row * columns + column
                    name = nodes.get(cell, "")
                    if not free[cell] or (name and name in ends):
                        continue
                    if overlap(area, np.asarray(self._square(zone, cell))):
                        if name:
                            raise self._taken(zone, name, net.label_of(here))
                        free[cell] = False
        return replace(grid, free=free.reshape(grid.free.shape))

    def _taken(self, zone: str, name: str, what: str) -> TrafficError:
        node = self.road_map.nodes[name]
        return TrafficError(
            f"{node.prim or name}: vehicles at {what!r} sweep the cell of node {name!r} of the "
            f"grid zone {zone!r}; a lane and its junctions must keep clear of such cells but for "
            f"those of its own ends"
        )


def _ends(lane: Lane) -> tuple[str, str]:
    return lane.start, lane.end


def zone_of(road_map: RoadMap, node: str) -> str:
    """Return the zone that says who decides at a node; empty where none does."""
    here = road_map.nodes[node]
    return next((z.id for z in road_map.zones_at(here.x, here.y) if z.authority), "")


def authority_of(road_map: RoadMap, lane: str) -> str:
    """Return who decides on a lane: whose zone its middle is in."""
    points = road_map.lane_points(lane)
    x, y, _ = along(points, road_map.lane_length(lane) / 2)
    return road_map.authority_at(x, y)
