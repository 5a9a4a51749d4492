"""Where vehicles and people begin."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stagetwin.fleets import VehicleType
from stagetwin.maps import RoadMap
from stagetwin.maps.geometry import contains
from stagetwin_sim._errors import TrafficError
from stagetwin_sim.traffic._gates import Gates
from stagetwin_sim.traffic._net import LaneNet
from stagetwin_sim.traffic._slots import slot_places

__all__ = ["Place", "start_places", "walkers"]


@dataclass(frozen=True)
class Place:
    """Where a vehicle begins.

    Attributes:
        pose: x, y [m], theta [rad].
        node: on which it stands; empty on a lane.
        cell: of the lane; -1 at a node.
        slot: its place at a node for several.
    """

    pose: tuple[float, float, float]
    node: str = ""
    cell: int = -1
    slot: int = 0


def start_places(
    gates: Gates,
    net: LaneNet,
    types: Sequence[VehicleType],
    kinds: Sequence[int],
    closed: Collection[str],
    asked: Sequence[str] | None,
) -> list[Place]:
    """Return where each vehicle begins, none in the way of another's place.

    Parks come first, then chargers, other stations, other nodes, and places on lanes where one may
    rest, evenly spread.

    Raises:
        TrafficError: there are fewer places than vehicles, or an asked one is taken.
    """
    road_map = gates.road_map
    found: list[Place] = []
    taken: set[int] = set()

    def take(place: Place) -> bool:
        if len(found) >= len(kinds):
            return False
        cell = place.cell if place.cell >= 0 else net.of_node.get(place.node, -1)
        free = place.node and road_map.authority_at(*place.pose[:2]) != "lanes"
        if cell >= 0 and not free:
            if taken & set(net.meets[cell]):
                return False
            taken.add(cell)
        elif any(math.dist(place.pose[:2], p.pose[:2]) < 2 * net.footprint.radius for p in found):
            return False
        found.append(place)
        return True

    if asked is not None:
        if len(asked) != len(kinds):
            raise TrafficError(f"starts must be {len(kinds)}, for each vehicle one: {len(asked)}")
        for name in asked:
            if not take(_named(road_map, net, name)):
                raise TrafficError(f"starts: {name!r} is taken, or named twice")
        return found
    for place in _offered(gates, net, closed):
        take(place)
    if len(found) < len(kinds):
        raise TrafficError(
            f"map {road_map.id!r} has room for {len(found)} vehicles at rest, got {len(kinds)}"
        )
    return found


def _offered(gates: Gates, net: LaneNet, closed: Collection[str]) -> list[Place]:
    road_map = gates.road_map
    order = {"park": 0, "charge": 1}
    stations = sorted(road_map.stations.values(), key=lambda s: (order.get(s.kind, 2), s.id))
    offered: list[Place] = []
    # Nobody begins in a gate, or on a cell that is none of its grid.
    lost = {
        n
        for n, at in road_map.nodes.items()
        if n not in gates.cells and road_map.authority_at(at.x, at.y) == "grid"
    }
    used: set[str] = {*closed, *gates.gates, *lost}
    for station in stations:
        for node in station.nodes:
            if node in road_map.nodes and node not in used:
                used.add(node)
                room = slot_places(road_map, node, net.footprint.radius, station.capacity)
                offered += [_at_node(road_map, node, k, at) for k, at in enumerate(room)]
    connected = {n for lane in road_map.lanes.values() for n in (lane.start, lane.end)}
    rest = [n for n in sorted(road_map.nodes) if n not in used]
    on = [
        n
        for n in rest
        if n in connected
        or road_map.authority_at(road_map.nodes[n].x, road_map.nodes[n].y) != "lanes"
    ]
    offered += [_at_node(road_map, n) for n in on]
    # Evenly over the lanes: every n-th of the cells where one may rest.
    cells = [c for c, rests in enumerate(net.rests) if rests]
    step = max(1, math.ceil(2 * (net.footprint.ahead + net.footprint.behind) / net.piece))
    spread = [c for first in range(step) for c in cells[first::step]]
    return offered + [Place(net.standing(c), cell=c) for c in spread]


def _at_node(
    road_map: RoadMap, node: str, slot: int = 0, place: tuple[float, float] | None = None
) -> Place:
    here = road_map.nodes[node]
    theta = here.theta
    if theta is None:
        out = next((lane for _, lane in sorted(road_map.lanes.items()) if lane.start == node), None)
        theta = 0.0
        if out is not None and out.end in road_map.nodes:
            points = road_map.lane_points(out)
            theta = math.atan2(points[1][1] - points[0][1], points[1][0] - points[0][0])
    x, y = place or (here.x, here.y)
    return Place((x, y, theta), node=node, slot=slot)


def _named(road_map: RoadMap, net: LaneNet, name: str) -> Place:
    lane, at, metres = name.rpartition("@")
    if not at:
        if name not in road_map.nodes:
            raise TrafficError(f"starts: map {road_map.id!r} has no node {name!r}")
        return _at_node(road_map, name)
    backward = lane.startswith("-")
    numbers = net.of_lane.get((lane.removeprefix("-"), not backward))
    if numbers is None:
        raise TrafficError(f"starts: no lane {lane!r} of map {road_map.id!r} is reserved")
    far = float(metres)
    cell = next((c for c in numbers if net.cells[c].end >= far - 1e-9), numbers[-1])
    if net.gates & set(net.meets[cell]):
        raise TrafficError(f"starts: {name!r} is in the way at a gate of a grid")
    return Place(net.standing(cell), cell=cell)


def walkers(road_map: RoadMap, count: int, seed: int) -> npt.NDArray[np.float64]:
    """Return where people begin: anywhere on the floor but in obstacles, shape (count, 2)."""
    if not count:
        return np.zeros((0, 2))
    xs = [node.x for node in road_map.nodes.values()]
    ys = [node.y for node in road_map.nodes.values()]
    left, bottom, right, top = road_map.extent or (min(xs), min(ys), max(xs), max(ys))
    lot = np.random.default_rng(seed)
    places: list[tuple[float, float]] = []
    for _ in range(1000 * count):
        x, y = float(lot.uniform(left, right)), float(lot.uniform(bottom, top))
        far = all(math.dist((x, y), (a, b)) > 1.5 for a, b in zip(xs, ys, strict=True))
        if far and not any(contains(o.polygon, x, y) for o in road_map.obstacles):
            places.append((x, y))
        if len(places) == count:
            return np.array(places)
    raise TrafficError(f"map {road_map.id!r} has no room for {count} people")
