"""Who may enter which zone: answers to requests, with leases (3.0, 6.4.3, 6.6.10 and 6.9).

The default policy lets one vehicle at a time hold a zone of type RELEASE or
COORDINATED_REPLANNING. Whoever was granted it holds it until its own state shows the request no
more: a lease that ran out, or a connection that broke, does not move a vehicle out of a zone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from stagetwin.clock import Clock, WallClock
from stagetwin.maps import RoadMap
from stagetwin_bridges.vda5050.control._mirror import COMMANDED
from stagetwin_bridges.vda5050.messages import (
    EdgeRequest,
    GrantType,
    Response,
    State,
    ZoneRequest,
    timestamp_of,
)

__all__ = ["Releases"]

_INTERACTIVE = frozenset({"RELEASE", "COORDINATED_REPLANNING"})
_REPEAT = 2.0
"""Time between two answers to a request that does not show the first [s]."""
_MOST = 50
"""Answers of one message: what is asked for must not make it longer than a socket takes."""


@dataclass(slots=True)
class _Held:
    """A request that was answered.

    Attributes:
        zone: id of its zone; empty for a corridor.
        edge: id and sequence id of the edge whose corridor is asked for; None for a zone.
        grant: last answer.
        until: end of its lease [s, steady clock].
        said: when it was answered last [s, steady clock].
        shown: status that the vehicle shows.
    """

    zone: str
    edge: tuple[str, int] | None = None
    grant: GrantType | None = None
    until: float = float("-inf")
    said: float = float("-inf")
    shown: str = "REQUESTED"


class Releases:
    """Answers the requests of all vehicles of one map. Used by one thread.

    Args:
        road_map: the map whose zones are asked for.
        lease: how long a permission lasts unless it is extended [s].
        clock: of leases.
    """

    def __init__(
        self, road_map: RoadMap, *, lease: float = 30.0, clock: Clock | None = None
    ) -> None:
        if not lease > 0:
            raise ValueError(f"a lease must be above 0 s, got {lease}")
        self._map, self._lease = road_map, lease
        self._clock = clock if clock is not None else WallClock()
        self._holders: dict[str, str] = {}
        self._queues: dict[str, list[str]] = {}
        self._requests: dict[str, dict[str, _Held]] = {}
        self._revoked: set[tuple[str, str]] = set()

    def holder(self, zone: str) -> str:
        """Return who holds a zone; empty for nobody."""
        return self._holders.get(zone, "")

    def receive(self, vehicle: str, state: State) -> None:
        """Take the requests that a vehicle's state shows, and those that it shows no more."""
        asked: dict[str, ZoneRequest | EdgeRequest] = {}
        asked.update((each.request_id, each) for each in state.zone_requests or ())
        asked.update((each.request_id, each) for each in state.edge_requests or ())
        known = self._requests.setdefault(vehicle, {})
        for request_id in known.keys() - asked.keys():
            if self._has_left(known[request_id].zone, state):
                del known[request_id]
                self._revoked.discard((vehicle, request_id))
        for request_id, request in asked.items():
            if isinstance(request, ZoneRequest):
                new = _Held(request.zone_id)
            else:
                new = _Held("", (request.edge_id, request.sequence_id))
            held = known.setdefault(request_id, new)
            if (held.zone, held.edge) != (new.zone, new.edge):
                # A vehicle that starts anew counts its requests anew: the answer was to another.
                held = known[request_id] = new
                self._revoked.discard((vehicle, request_id))
            held.shown = request.request_status
        wanted = {held.zone for held in known.values() if held.zone}
        for zone in [z for z, who in self._holders.items() if who == vehicle and z not in wanted]:
            if self._has_left(zone, state):
                del self._holders[zone]
        for zone, queue in self._queues.items():
            if vehicle in queue and zone not in wanted:
                queue.remove(vehicle)

    def _has_left(self, zone: str, state: State) -> bool:
        """Tell whether a request that is gone means that the vehicle is out of the zone.

        In other operating modes a vehicle withdraws its requests wherever it is (6.6.6).
        """
        area, where = self._map.zones.get(zone), state.mobile_robot_position
        if area is None or state.operating_mode in COMMANDED:
            return True
        if where is None or not where.localized or where.map_id != self._map.id:
            return False
        return all(each.id != zone for each in self._map.zones_at(where.x, where.y))

    def absent(self, vehicle: str) -> None:
        """Take a vehicle that went offline out of the queues; what it holds it keeps."""
        for queue in self._queues.values():
            if vehicle in queue:
                queue.remove(vehicle)

    def revoke(self, vehicle: str, request_id: str) -> None:
        """Withdraw a permission; it counts as given until the vehicle shows otherwise."""
        self._revoked.add((vehicle, request_id))

    def answers(
        self, vehicle: str, base: Collection[tuple[str, int]], *, leave: bool
    ) -> list[Response]:
        """Return what a vehicle is to be answered now.

        Args:
            vehicle: its name.
            base: edges of its base, by id and sequence id: corridors are granted there alone.
            leave: whether anything may be permitted; else requests wait, and leases run out.
        """
        now = self._clock.steady()
        found: list[Response] = []
        for request_id, held in self._requests.get(vehicle, {}).items():
            grant = self._grant(vehicle, request_id, held, base, leave)
            fresh = grant != held.grant
            if grant == "GRANTED":
                due = fresh or held.until - now < self._lease / 2 or held.shown != "GRANTED"
            else:
                due = fresh or held.shown == "GRANTED"
            if len(found) >= _MOST:
                break  # the others are answered with the next message
            if grant and due and (fresh or now - held.said >= _REPEAT):
                expiry = None
                if grant == "GRANTED":
                    held.until = now + self._lease
                    expiry = timestamp_of(self._clock.wall() + self._lease)
                held.grant, held.said = grant, now
                found.append(Response(request_id=request_id, grant_type=grant, lease_expiry=expiry))
        return found

    def _grant(
        self,
        vehicle: str,
        request_id: str,
        held: _Held,
        base: Collection[tuple[str, int]],
        leave: bool,
    ) -> GrantType | None:
        """Return what a request comes to; None where an earlier answer just stands."""
        if (vehicle, request_id) in self._revoked:
            return "REVOKED"
        wait: GrantType | None = None if held.grant == "GRANTED" else "QUEUED"
        if held.edge is not None:
            if held.edge not in base:
                return "REJECTED"
            return "GRANTED" if leave else wait
        area = self._map.zones.get(held.zone)
        if area is None or area.type not in _INTERACTIVE:
            return "REJECTED"
        if not leave:
            return wait
        queue = self._queues.setdefault(held.zone, [])
        if held.zone not in self._holders and (not queue or queue[0] == vehicle):
            self._holders[held.zone] = vehicle
            if queue:
                queue.pop(0)
        if self._holders.get(held.zone) == vehicle:
            return "GRANTED"
        if vehicle not in queue:
            queue.append(vehicle)
        return "QUEUED"
