"""Zones while driving: what is asked for, where the way is closed, what a loss means (3.0, 6.4)."""

from __future__ import annotations

import math

from stagetwin_bridges.vda5050.messages import (
    Action,
    ControlPoint,
    Trajectory,
    Zone,
    ZoneAction,
)
from stagetwin_bridges.vda5050.vehicle._geometry import Point
from stagetwin_bridges.vda5050.vehicle._parts import Parts
from stagetwin_bridges.vda5050.vehicle._performer import Performer
from stagetwin_bridges.vda5050.vehicle._requests import Request
from stagetwin_bridges.vda5050.vehicle._rules import Cause
from stagetwin_bridges.vda5050.vehicle._runs import Run
from stagetwin_bridges.vda5050.vehicle._stretch import Stretch
from stagetwin_bridges.vda5050.vehicle._zones import ACTIVE, Crossing, ZoneField

__all__ = ["ZoneWatch"]

_TRAIL = 0.3
_REACTION = 0.6
"""Time in which a vehicle that is told of a limit has begun to brake [s]."""
_GUIDED = ("LINE_GUIDED", "COORDINATED_REPLANNING")
_MOVING = frozenset({"finePositioning"})
"""Actions that move a vehicle off its way, which these zones do not allow (table 8, note 1)."""


class ZoneWatch:
    """Sees to the zones of the map that a vehicle is on.

    Attributes:
        closed_for_good: whether what closes the way is no matter of a permission.
    """

    def __init__(self, parts: Parts, performer: Performer) -> None:
        self._parts = parts
        self._performer = performer
        self._field: ZoneField | None = None
        self._seen: tuple[int, str] = (0, "")
        self._inside: dict[str, Zone] = {}
        self._trails: dict[str, list[Point]] = {}
        self._before: Point = (parts.chassis.x, parts.chassis.y)
        self._evacuating = ""
        self._count = 0
        self.closed_for_good = False

    def step(self, now: float) -> None:
        """See where the vehicle is and what lies ahead."""
        parts = self._parts
        if self._seen != (parts.zone_sets.epoch, parts.map_id):
            self._change(now)
        if self._field is None:
            return
        inside = {zone.zone_id: zone for zone in self._field.around()}
        for name, zone in inside.items():
            if name not in self._inside:
                self._enter(zone, now)
        for name, zone in list(self._inside.items()):
            if name not in inside:
                self._leave(zone, now)
        self._inside = inside
        if self._evacuating and self._evacuating not in inside and not parts.driver.busy:
            self._evacuating = ""
        self._follow_trails()
        self._limit()
        if parts.held is not None and parts.controlled and parts.clearing is None:
            self._ask(now)
        self._tidy(now)

    def hold(self, stretch: Stretch) -> float:
        """Return how far along a stretch the vehicle may go [m]; inf to its end."""
        self.closed_for_good = False
        if self._field is None:
            return math.inf
        if self._evacuating:
            return 0.0
        first = bool(self._parts.driver.stretches) and stretch is self._parts.driver.stretches[0]
        position = self._parts.driver.position if first else 0.0
        for crossing in self._field.crossings(stretch):
            if crossing.high > position and not self._open(stretch, crossing):
                self.closed_for_good = crossing.zone.zone_type not in ACTIVE
                return crossing.low
        return math.inf

    def passed(self, stretch: Stretch) -> None:
        """Forget a stretch."""
        if self._field is not None:
            self._field.passed(stretch)

    def begun(self, request: Request) -> bool:
        """Return whether the vehicle is in the zone of a request."""
        return str(request.key[1]) in self._inside

    def lost(self, request: Request, now: float) -> None:
        """Act on a permission that is no more (6.4.3)."""
        name = str(request.key[1])
        zone = self._inside.get(name)
        if zone is None:
            # Legs into the zone may have been given.
            self._parts.driver.forget()
            return
        word = "was revoked" if request.status == "REVOKED" else "has expired"
        why = f"the permission for zone {name!r} {word} while the vehicle is in it"
        references = {"zoneId": name, "zoneSetId": str(request.key[0])}
        faults = self._parts.faults
        if zone.zone_type != "RELEASE":
            faults.report(Cause.RELEASE_ENDED, now, why, references, key=name)
            self._parts.driver.forget()
        elif zone.release_loss_behavior in ("CONTINUE", "EVACUATE"):
            faults.report(Cause.RELEASE_ENDED, now, why, references, key=name)
            if zone.release_loss_behavior == "EVACUATE":
                self._evacuate(zone)
        else:
            faults.report(Cause.RELEASE_LOST, now, why, references, key=name)

    def granted(self, request: Request) -> None:
        """Take back what was reported of a permission that is there again."""
        name = str(request.key[1])
        self._parts.faults.withdraw(Cause.RELEASE_LOST, name)
        self._parts.faults.withdraw(Cause.RELEASE_ENDED, name)
        if self._evacuating == name:
            self._evacuating = ""
            self._parts.driver.forget()

    # -- entering and leaving --------------------------------------------------------------------

    def _change(self, now: float) -> None:
        parts = self._parts
        self._seen = (parts.zone_sets.epoch, parts.map_id)
        contents = parts.zone_sets.of(parts.map_id)
        if self._field is not None and (contents is None or contents is not self._field.contents):
            for zone in list(self._inside.values()):
                self._leave(zone, now)
            for request in parts.requests.all():
                if request.kind != "CORRIDOR":
                    parts.requests.drop(request, now)
            self._inside.clear()
            self._evacuating = ""
            parts.chassis.limit(math.inf)
        if contents is None:
            self._field = None
        elif self._field is None or self._field.contents is not contents:
            self._field = ZoneField(contents, parts.chassis)
            # What was given was planned without these zones.
            parts.driver.forget()

    def _enter(self, zone: Zone, now: float) -> None:
        self._inside[zone.zone_id] = zone
        self._trails[zone.zone_id] = [self._before]
        if zone.zone_type == "BLOCKED":
            why = f"the vehicle is in the blocked zone {zone.zone_id!r}"
            references = {"zoneId": zone.zone_id}
            self._parts.faults.report(Cause.BLOCKED_ZONE, now, why, references, key=zone.zone_id)
        elif zone.zone_type == "ACTION":
            self._act(zone, (zone.entry_actions or ()) + (zone.during_actions or ()), now)

    def _leave(self, zone: Zone, now: float) -> None:
        parts, name = self._parts, zone.zone_id
        self._inside.pop(name, None)
        self._trails.pop(name, None)
        for cause in (Cause.BLOCKED_ZONE, Cause.RELEASE_LOST, Cause.RELEASE_ENDED):
            parts.faults.withdraw(cause, name)
        parts.faults.withdraw(Cause.ZONE_CONFLICT, name)
        request = self._request(zone)
        if request is not None:
            parts.requests.drop(request, now, wait=request.lost)
        if zone.zone_type == "ACTION":
            during = {each.action_type for each in zone.during_actions or ()}
            for run in parts.queue.runs:
                if run.scope == "ZONE" and run.place == name and run.kind in during:
                    self._performer.finish_early(run, now)
            self._act(zone, zone.exit_actions or (), now)

    def _act(self, zone: Zone, actions: tuple[ZoneAction, ...], now: float) -> None:
        """Queue a zone's actions, unless they work against another zone (table 8, note 1)."""
        parts = self._parts
        others = [z.zone_id for z in self._inside.values() if z.zone_type in _GUIDED]
        moving = [a.action_type for a in actions if a.action_type in _MOVING]
        if others and moving:
            why = f"{moving[0]} of zone {zone.zone_id!r} is not allowed in zone {others[0]!r}"
            references = {"zoneId": zone.zone_id}
            parts.faults.report(Cause.ZONE_CONFLICT, now, why, references, key=zone.zone_id)
            return
        for each in actions:
            self._count += 1
            run = Run(
                Action(
                    action_type=each.action_type,
                    action_id=f"{zone.zone_id}-{self._count}",
                    action_descriptor=each.action_descriptor,
                    blocking_type=each.blocking_type,
                    action_parameters=each.action_parameters,
                    retriable=each.retriable,
                ),
                "ZONE",
                zone.zone_id,
            )
            parts.zone_runs[run.action.action_id] = run
            if why := parts.abilities.action_fault(each, "ZONE"):
                parts.set_status(run, "FAILED", why)
            else:
                parts.queue.add([run])
            parts.dirty = True
        if len(parts.zone_runs) > parts.options.instant_states:
            why = f"there are {len(parts.zone_runs)} zone actions in the state; clear them"
            parts.faults.report(Cause.ZONE_FULL, now, why)

    # -- permissions -----------------------------------------------------------------------------

    def _request(self, zone: Zone) -> Request | None:
        if self._field is None:
            return None
        return self._parts.requests.of((self._field.contents.zone_set_id, zone.zone_id))

    def _open(self, stretch: Stretch, crossing: Crossing) -> bool:
        zone = crossing.zone
        match zone.zone_type:
            case "BLOCKED":
                return False
            case "LINE_GUIDED":
                return stretch.guided
            case "DIRECTED" | "BIDIRECTED":
                # A trajectory of the order comes before the zone's direction (table 8, note 9).
                return not crossing.opposed or stretch.edge.trajectory is not None
            case "RELEASE":
                request = self._request(zone)
                if request is None:
                    return False
                stays = zone.release_loss_behavior in ("CONTINUE", "EVACUATE")
                return request.granted or (request.lost and stays and zone.zone_id in self._inside)
            case "COORDINATED_REPLANNING":
                request = self._request(zone)
                return request is not None and request.granted
        return True

    def _ask(self, now: float) -> None:
        """Ask for what lies ahead, and for what the vehicle is in without having asked."""
        parts, field = self._parts, self._field
        if field is None or not parts.driver.stretches:
            return
        brake = parts.chassis.speed**2 / self._braking() / 2
        far = parts.options.request_distance + brake
        for stretch, distance in parts.driver.ahead():
            if distance > far:
                return
            for crossing in field.crossings(stretch):
                zone = crossing.zone
                if zone.zone_type not in ACTIVE or distance + crossing.high < 0.0:
                    continue
                if distance + crossing.low > far:
                    continue
                key = (field.contents.zone_set_id, zone.zone_id)
                if zone.zone_type == "RELEASE":
                    parts.requests.ask("ACCESS", key, now)
                elif parts.requests.of(key) is None:
                    low = max(crossing.low, -distance)
                    points = stretch.way.cut(low, min(crossing.high, stretch.way.length))
                    parts.requests.ask("REPLANNING", key, now, _polyline(points))

    def _tidy(self, now: float) -> None:
        """Take requests out that were told as ended, or that nothing ahead needs."""
        parts, field = self._parts, self._field
        if field is None or not parts.requests:
            return
        ahead = {
            crossing.zone.zone_id
            for stretch, distance in parts.driver.ahead()
            for crossing in field.crossings(stretch)
            if distance + crossing.high >= 0.0
        }
        for request in parts.requests.all():
            name = str(request.key[1])
            if request.kind == "CORRIDOR" or name in self._inside:
                zone = self._inside.get(name)
                replan = zone is not None and zone.zone_type == "COORDINATED_REPLANNING"
                if replan and request.lost and request.shown:
                    parts.requests.drop(request, now, wait=True)
                continue
            if (request.lost and request.shown) or name not in ahead:
                parts.requests.drop(request, now, wait=request.lost)

    # -- driving ---------------------------------------------------------------------------------

    def _braking(self) -> float:
        return max(self._parts.sheet.physical_parameters.maximum_deceleration, 0.05)

    def _limit(self) -> None:
        """Keep to the limits of zones, reached before the vehicle is in them."""
        parts, field = self._parts, self._field
        if field is None or not any(z.zone_type == "SPEED_LIMIT" for z in field.contents.zones):
            return
        limits = [math.inf]
        limits += [z.maximum_speed or 0.0 for z in self._inside.values() if z.maximum_speed]
        speed, braking = parts.chassis.speed, self._braking()
        top = parts.sheet.physical_parameters.maximum_speed
        for stretch, distance in parts.driver.ahead():
            if distance > top * top / braking + top:
                break
            for crossing in field.crossings(stretch):
                most = crossing.zone.maximum_speed
                if crossing.zone.zone_type != "SPEED_LIMIT" or not most:
                    continue
                gap = distance + crossing.low
                # With the acceleration that may come before the next look.
                fastest = speed + braking * _REACTION
                brake = max(fastest * fastest - most * most, 0.0) / (2 * braking)
                need = brake + fastest * _REACTION
                if gap <= need and distance + crossing.high >= 0.0:
                    limits.append(most)
        parts.chassis.limit(min(limits))

    def _follow_trails(self) -> None:
        here = (self._parts.chassis.x, self._parts.chassis.y)
        for trail in self._trails.values():
            if math.dist(trail[-1], here) > _TRAIL:
                trail.append(here)
        self._before = here

    def _evacuate(self, zone: Zone) -> None:
        """Leave a zone: on along the base if that leads out of it, else back as it came."""
        parts, field = self._parts, self._field
        if field is None:
            return
        for stretch, _ in parts.driver.ahead():
            ends = [c.high for c in field.crossings(stretch) if c.zone is zone]
            if not ends or max(ends) < stretch.way.length:
                return
        self._evacuating = zone.zone_id
        back = list(reversed(self._trails.get(zone.zone_id, [])))
        if back:
            parts.driver.escape(_beyond(back, parts.options.hold_margin))


def _beyond(back: list[Point], margin: float) -> list[Point]:
    """Return the way back with its end a little further out."""
    if len(back) < 2:
        return back
    (ax, ay), (bx, by) = back[-2], back[-1]
    length = math.dist((ax, ay), (bx, by)) or 1.0
    more = margin + 0.1
    return [*back[:-1], (bx + (bx - ax) / length * more, by + (by - ay) / length * more)]


def _polyline(points: list[Point]) -> Trajectory:
    return Trajectory(degree=1, control_points=tuple(ControlPoint(x=x, y=y) for x, y in points))
