"""Zones on the way: which there are, where the way meets them, and whether it may (3.0, 6.4)."""

from __future__ import annotations

import math

from stagetwin_bridges.vda5050.messages import Zone, ZoneContents
from stagetwin_bridges.vda5050.vehicle._chassis import Chassis
from stagetwin_bridges.vda5050.vehicle._geometry import Area, turn
from stagetwin_bridges.vda5050.vehicle._stretch import Stretch

__all__ = ["ACTIVE", "Crossing", "ZoneField"]

ACTIVE = frozenset({"RELEASE", "COORDINATED_REPLANNING"})
"""Zones that are entered with fleet control's permission alone."""

_CENTRE = frozenset({"PRIORITY", "PENALTY", "DIRECTED", "BIDIRECTED"})
_SPACING = 0.1
_LINE = math.radians(10.0)
_TURN_STEPS = 4


class Crossing:
    """Where a stretch meets a zone.

    Attributes:
        zone: it.
        low, high: first and last distance along the stretch at which the vehicle is in it [m].
        opposed: whether the way there runs against the zone's direction.
    """

    __slots__ = ("high", "low", "opposed", "zone")

    def __init__(self, zone: Zone, low: float, high: float, opposed: bool) -> None:
        self.zone, self.low, self.high, self.opposed = zone, low, high, opposed


class ZoneField:
    """The zones of one enabled zone set.

    Attributes:
        contents: the zone set.
        shapes: by zone id.
    """

    def __init__(self, contents: ZoneContents, chassis: Chassis) -> None:
        self.contents = contents
        self.shapes = {
            zone.zone_id: Area([(v.x, v.y) for v in zone.vertices]) for zone in contents.zones
        }
        self._chassis = chassis
        self._crossings: dict[int, tuple[Stretch, float, list[Crossing]]] = {}

    def zone(self, zone_id: str) -> Zone:
        """Return a zone by its id."""
        return next(zone for zone in self.contents.zones if zone.zone_id == zone_id)

    def around(self) -> list[Zone]:
        """Return the zones that the vehicle is in."""
        body = self._chassis
        reach = body.reach
        outline = body.contour(body.x, body.y, body.theta)
        found = []
        for zone in self.contents.zones:
            shape = self.shapes[zone.zone_id]
            if not shape.near(body.x, body.y, reach):
                continue
            if zone.zone_type in _CENTRE:
                inside = shape.holds(body.x, body.y)
            else:
                inside = shape.meets(outline)
            if inside:
                found.append(zone)
        return found

    def crossings(self, stretch: Stretch) -> list[Crossing]:
        """Return where a stretch meets zones, the nearest first."""
        known = self._crossings.get(id(stretch))
        size = self._chassis.reach
        if known is not None and known[0] is stretch and known[1] == size:
            return known[2]
        found = [c for z in self.contents.zones if (c := self._meet(stretch, z)) is not None]
        found.sort(key=lambda crossing: crossing.low)
        self._crossings[id(stretch)] = (stretch, size, found)
        return found

    def passed(self, stretch: Stretch) -> None:
        """Forget a stretch."""
        self._crossings.pop(id(stretch), None)

    def _meet(self, stretch: Stretch, zone: Zone) -> Crossing | None:
        way, shape = stretch.way, self.shapes[zone.zone_id]
        reach = 0.0 if zone.zone_type in _CENTRE else self._chassis.reach
        xs, ys = [p[0] for p in way.points], [p[1] for p in way.points]
        if (
            max(xs) < shape.low[0] - reach
            or min(xs) > shape.high[0] + reach
            or max(ys) < shape.low[1] - reach
            or min(ys) > shape.high[1] + reach
        ):
            return None
        steps = max(1, math.ceil(way.length / _SPACING))
        inside = []
        opposed = False
        before: float | None = None
        for k in range(steps + 1):
            s = way.length * k / steps
            x, y, heading = way.at(s)
            if shape.near(x, y, reach) and self._in(zone, x, y, heading, before):
                inside.append(s)
                opposed = opposed or _opposed(zone, heading)
            before = heading
        if not inside:
            return None
        # The sample before the first one inside is known to be free.
        spacing = way.length / steps
        return Crossing(zone, max(inside[0] - spacing, 0.0), inside[-1] + spacing, opposed)

    def _in(self, zone: Zone, x: float, y: float, heading: float, before: float | None) -> bool:
        shape = self.shapes[zone.zone_id]
        if zone.zone_type in _CENTRE:
            return shape.holds(x, y)
        bend = 0.0 if before is None else turn(heading - before)
        # In a corner the vehicle turns on the spot: its contour sweeps all headings between.
        steps = _TURN_STEPS if abs(bend) > _LINE else 0
        return any(
            shape.meets(self._chassis.contour(x, y, heading - bend * k / max(steps, 1)))
            for k in range(steps + 1)
        )


def _opposed(zone: Zone, heading: float) -> bool:
    """Return whether a direction of travel is one that a zone does not allow (table 7)."""
    if zone.direction is None:
        return False
    off = abs(turn(heading - zone.direction))
    if zone.zone_type == "DIRECTED":
        if zone.directed_limitation == "STRICT":
            return off > _LINE
        return zone.directed_limitation == "RESTRICTED" and off > math.pi / 2
    if zone.zone_type == "BIDIRECTED" and zone.bidirected_limitation == "RESTRICTED":
        return min(off, math.pi - off) > _LINE
    return False
