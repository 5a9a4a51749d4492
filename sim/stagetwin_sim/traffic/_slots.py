"""Places beside each other at a node for several vehicles, in a free zone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stagetwin.maps import Point, RoadMap
from stagetwin.maps.geometry import contains, nearest_on

__all__ = ["Slots", "slot_places"]

_ROOM = 0.4
"""Between vehicles that stand beside each other [m]."""

_GRAIN, _REACH = 0.25, 32
"""Places are looked for that close together [m], and so many steps away."""

_BEYOND = 30.0
"""How far a way in is kept clear beyond its node [m]."""


class Slots:
    """Where vehicles stand at each node of a map; one place but in a free zone.

    Args:
        road_map: the map.
        radius: that a vehicle needs to turn [m].
    """

    def __init__(self, road_map: RoadMap, radius: float) -> None:
        self._road_map, self._radius = road_map, radius
        self._found: dict[str, list[Point]] = {}

    def at(self, node: str) -> list[Point]:
        """Return the places at a node [m]."""
        if node not in self._found:
            stations = self._road_map.stations.values()
            wanted = max((s.capacity for s in stations if node in s.nodes), default=1)
            self._found[node] = slot_places(self._road_map, node, self._radius, wanted)
        return self._found[node]

    def place(self, node: str, slot: int) -> Point:
        """Return one of them; the last where there are fewer [m]."""
        places = self.at(node)
        return places[min(slot, len(places) - 1)]


def slot_places(road_map: RoadMap, node: str, radius: float, count: int) -> list[Point]:
    """Return where up to so many vehicles stand at a node, one at least [m].

    Several stand within the zone around it, clear of obstacles and to both sides of the way in, so
    that nobody is shut in; the nearest first. In a small zone they are fewer; where there is no
    room beside the way, one stands on the node.

    Args:
        road_map: the map.
        node: id.
        radius: that a vehicle needs to turn [m].
        count: how many are wanted.
    """
    here = road_map.nodes[node]
    on = here.x, here.y
    zone = next((z for z in road_map.zones_at(here.x, here.y) if z.authority == "free"), None)
    if zone is None or count < 2:
        return [on]
    apart = 2 * radius + _ROOM
    steps = [k * _GRAIN for k in range(-_REACH, _REACH + 1)]
    lanes = [
        _through(road_map.lane_points(lane), lane.start == node)
        for lane in road_map.lanes.values()
        if node in (lane.start, lane.end)
    ]
    places: list[Point] = []
    offered = [(here.x + dx, here.y + dy) for dy in steps for dx in steps]
    offered.sort(key=lambda p: (round(math.dist(p, on), 6), p))
    around = [(math.cos(a) * radius, math.sin(a) * radius) for a in (0, 1.57, 3.14, 4.71)]
    for x, y in offered:
        if any(math.dist((x, y), place) < apart for place in places):
            continue
        inside = all(contains(zone.polygon, x + dx, y + dy) for dx, dy in around)
        off = all(nearest_on(line, x, y)[1] >= 0.9 * apart for line in lanes)
        clear = not any(
            contains(o.polygon, x, y) or nearest_on((*o.polygon, o.polygon[0]), x, y)[1] < radius
            for o in road_map.obstacles
        )
        if inside and off and clear:
            places.append((x, y))
        if len(places) == count:
            break
    return places or [on]


def _through(points: Sequence[Point], begins: bool) -> tuple[Point, ...]:
    """Return a lane from its node outward, and straight on beyond the node."""
    out = tuple(points) if begins else tuple(reversed(points))
    (x, y), (ax, ay) = out[0], out[1]
    far = math.dist(out[0], out[1]) or 1.0
    beyond = (x + (x - ax) / far * _BEYOND, y + (y - ay) / far * _BEYOND)
    return (beyond, *out)
