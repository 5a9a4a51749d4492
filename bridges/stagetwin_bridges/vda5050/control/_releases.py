"""Who may enter which zone: answers to requests, with leases (3.0, 6.4.3, 6.6.10 and 6.9).

One vehicle at a time holds a zone of type RELEASE. In one of type COORDINATED_REPLANNING a vehicle
holds the paths that it was granted; others may hold paths of theirs that keep apart from these,
and a request without a path needs the whole zone. Whoever was granted something holds it until its
own state shows the request no more: a lease that ran out, or a connection that broke, does not move
a vehicle out of a zone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from stagetwin.clock import Clock, WallClock
from stagetwin.maps import RoadMap
from stagetwin_bridges.vda5050.control._claims import Claim, claim_of
from stagetwin_bridges.vda5050.control._mirror import COMMANDED
from stagetwin_bridges.vda5050.messages import (
    EdgeRequest,
    GrantType,
    Response,
    State,
    Trajectory,
    ZoneRequest,
    ZoneRequestType,
    timestamp_of,
)

__all__ = ["Releases"]

_INTERACTIVE: dict[str, ZoneRequestType] = {
    "RELEASE": "ACCESS",
    "COORDINATED_REPLANNING": "REPLANNING",
}
"""Types of zones that are asked for, and the kind of request that each takes (6.4.3)."""
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
        kind: of a request for a zone.
        trajectory: the path that is asked for in it.
        claim: what it needs of the zone.
        fault: why it can never be granted; empty while it can.
        grant: last answer.
        until: end of its lease [s, steady clock].
        said: when it was answered last [s, steady clock].
        shown: status that the vehicle shows.
    """

    zone: str
    edge: tuple[str, int] | None = None
    kind: str = ""
    trajectory: Trajectory | None = None
    claim: Claim = field(default_factory=Claim)
    fault: str = ""
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
        self._held: dict[str, dict[tuple[str, str], Claim]] = {}
        self._queues: dict[str, list[tuple[str, str]]] = {}
        self._requests: dict[str, dict[str, _Held]] = {}
        self._revoked: set[tuple[str, str]] = set()

    def holders(self, zone: str) -> list[str]:
        """Return who holds a zone, or a path in it."""
        return sorted({vehicle for vehicle, _ in self._held.get(zone, ())})

    def receive(self, vehicle: str, state: State, reach: float | None = None) -> None:
        """Take the requests that a vehicle's state shows, and those that it shows no more.

        Args:
            vehicle: its name.
            state: the newest.
            reach: how far it reaches from its kinematic centre [m]; where that is not known, it
                needs a zone for itself.
        """
        asked: dict[str, ZoneRequest | EdgeRequest] = {}
        asked.update((each.request_id, each) for each in state.zone_requests or ())
        asked.update((each.request_id, each) for each in state.edge_requests or ())
        known = self._requests.setdefault(vehicle, {})
        for request_id in known.keys() - asked.keys():
            if self._has_left(known[request_id].zone, state):
                del known[request_id]
                self._revoked.discard((vehicle, request_id))
        for request_id, request in asked.items():
            held = known.get(request_id)
            if held is None or not _same(held, request):
                # A vehicle that starts anew counts its requests anew: the answer was to another.
                if held is not None:
                    self._part(vehicle, request_id, held.zone, state)
                held = known[request_id] = self._new(request, reach)
                self._revoked.discard((vehicle, request_id))
            held.shown = request.request_status
        wanted = {(held.zone, name) for name, held in known.items()}
        for zone, claims in self._held.items():
            for key in [each for each in claims if each[0] == vehicle]:
                if (zone, key[1]) not in wanted and self._has_left(zone, state):
                    del claims[key]
        for zone, queue in self._queues.items():
            queue[:] = [key for key in queue if key[0] != vehicle or (zone, key[1]) in wanted]

    def _new(self, request: ZoneRequest | EdgeRequest, reach: float | None) -> _Held:
        """Return a request as it begins."""
        if isinstance(request, EdgeRequest):
            return _Held("", (request.edge_id, request.sequence_id))
        held = _Held(request.zone_id, None, request.request_type, request.trajectory)
        area = self._map.zones.get(request.zone_id)
        if area is None or area.type not in _INTERACTIVE:
            held.fault = "it is no zone to be asked for"
        elif held.kind != _INTERACTIVE[area.type]:
            held.fault = f"a zone of type {area.type} takes a request {_INTERACTIVE[area.type]}"
        elif area.type == "COORDINATED_REPLANNING":
            held.claim, held.fault = claim_of(self._map, area, held.trajectory, reach)
        return held

    def _part(self, vehicle: str, request_id: str, zone: str, state: State) -> None:
        """Take from a request what another one of its id was granted: it was for another path."""
        claims = self._held.get(zone, {})
        claim = claims.pop((vehicle, request_id), None)
        if claim is not None and not self._has_left(zone, state):
            claims[vehicle, f"\0{request_id}"] = claim  # no request is called so: until it has left

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
            queue[:] = [key for key in queue if key[0] != vehicle]

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
        if held.fault:
            return "REJECTED"
        if not leave:
            return wait
        claims, key = self._held.setdefault(held.zone, {}), (vehicle, request_id)
        if key in claims:
            return "GRANTED"
        queue = self._queues.setdefault(held.zone, [])
        if key not in queue:
            queue.append(key)
        # Nobody overtakes whom it would hold up.
        before = [self._claim(*each) for each in queue[: queue.index(key)] if each[0] != vehicle]
        others = [claim for who, claim in claims.items() if who[0] != vehicle]
        if any(held.claim.meets(claim) for claim in (*before, *others)):
            return "QUEUED"
        queue.remove(key)
        claims[key] = held.claim
        return "GRANTED"

    def _claim(self, vehicle: str, request_id: str) -> Claim:
        held = self._requests.get(vehicle, {}).get(request_id)
        return held.claim if held is not None else Claim()


def _same(held: _Held, request: ZoneRequest | EdgeRequest) -> bool:
    """Tell whether a request is the one that was known by its id."""
    if isinstance(request, EdgeRequest):
        return held.edge == (request.edge_id, request.sequence_id)
    asked = (request.zone_id, request.request_type, request.trajectory)
    return held.edge is None and (held.zone, held.kind, held.trajectory) == asked
