"""Requests to fleet control and what became of them (3.0, 6.4.3, 6.6.10 and 6.9)."""

from __future__ import annotations

import math

from stagetwin_bridges.vda5050.messages import (
    EdgeRequest,
    GrantType,
    RequestStatus,
    Trajectory,
    ZoneRequest,
    ZoneRequestType,
)

__all__ = ["Request", "Requests"]


class Request:
    """A request that is in the state.

    Attributes:
        request_id: unique among this vehicle's since its start.
        key: what is asked for: zone set and zone, or edge and sequence id.
        kind: ACCESS, REPLANNING or CORRIDOR.
        trajectory: with a REPLANNING.
        status: in the state; a request that fleet control queued stays REQUESTED there (7.8).
        queued: whether it was queued.
        expiry: until when it holds [s, Unix].
        shown: whether its end was in a state once.
    """

    __slots__ = ("expiry", "key", "kind", "queued", "request_id", "shown", "status", "trajectory")

    def __init__(
        self,
        request_id: str,
        kind: ZoneRequestType | str,
        key: tuple[str, str] | tuple[str, int],
        trajectory: Trajectory | None,
    ) -> None:
        self.request_id = request_id
        self.kind = kind
        self.key = key
        self.trajectory = trajectory
        self.status: RequestStatus = "REQUESTED"
        self.queued = False
        self.expiry = math.inf
        self.shown = False

    @property
    def granted(self) -> bool:
        """Whether what it asks for may be done."""
        return self.status == "GRANTED"

    @property
    def lost(self) -> bool:
        """Whether it was granted once and is no more."""
        return self.status in ("REVOKED", "EXPIRED")


class Requests:
    """All requests of a vehicle.

    Attributes:
        changed: whether they changed since somebody last set this to False.
    """

    def __init__(self, retry: float) -> None:
        """Make it; after a refusal or a loss, the same is asked for again after `retry` [s]."""
        self._retry = retry
        self._requests: dict[str, Request] = {}
        self._not_before: dict[object, float] = {}
        self._count = 0
        self.changed = False

    def __bool__(self) -> bool:
        return bool(self._requests)

    def of(self, key: tuple[str, str] | tuple[str, int]) -> Request | None:
        """Return the newest request for something."""
        found = [each for each in self._requests.values() if each.key == key]
        return found[-1] if found else None

    def get(self, request_id: str) -> Request | None:
        """Return a request by its id."""
        return self._requests.get(request_id)

    def all(self) -> list[Request]:
        """Return them all."""
        return list(self._requests.values())

    def ask(
        self,
        kind: ZoneRequestType | str,
        key: tuple[str, str] | tuple[str, int],
        now: float,
        trajectory: Trajectory | None = None,
    ) -> Request | None:
        """State a request, unless one is there or it is too early after a refusal."""
        if self.of(key) is not None or now < self._not_before.get(key, -math.inf):
            return None
        self._count += 1
        request = Request(f"r{self._count}", kind, key, trajectory)
        self._requests[request.request_id] = request
        self.changed = True
        return request

    def answer(
        self, request_id: str, grant: GrantType, expiry: float, now: float, *, begun: bool
    ) -> Request | None:
        """Take fleet control's answer; return the request if its permission was lost by it.

        Args:
            request_id: of the request; one that is unknown or gone is ignored.
            grant: the answer.
            expiry: until when it holds [s, Unix]; inf for ever.
            now: [s, Unix].
            begun: whether what was asked for is being done.
        """
        request = self._requests.get(request_id)
        if request is None:
            return None
        self.changed = True
        if grant == "GRANTED":
            if expiry > now:
                request.status, request.expiry, request.queued = "GRANTED", expiry, False
            return None
        if grant == "QUEUED":
            # It acknowledges; a permission that was given is not taken back by it.
            request.queued = not request.granted
            return None
        if grant == "REJECTED" and not request.granted:
            self.drop(request, now, wait=True)
            return None
        if not request.granted:
            # There is nothing to revoke; but it is no permission either.
            self.drop(request, now, wait=True)
            return None
        if not begun:
            self.drop(request, now, wait=True)
        else:
            request.status = "REVOKED"
        return request

    def expire(self, now: float) -> list[Request]:
        """Return the requests whose lease ended just now."""
        ended = [r for r in self._requests.values() if r.granted and now >= r.expiry]
        for request in ended:
            request.status, request.expiry = "EXPIRED", math.inf
            self.changed = True
        return ended

    def drop(self, request: Request, now: float, *, wait: bool = False) -> None:
        """Take a request out of the state; `wait` lets a while pass before the next."""
        if self._requests.pop(request.request_id, None) is not None:
            self.changed = True
        if wait:
            self._not_before[request.key] = now + self._retry

    def clear(self) -> None:
        """Take all out."""
        if self._requests:
            self._requests.clear()
            self.changed = True

    def zone_requests(self) -> tuple[ZoneRequest, ...]:
        """Return those for zones, as a state has them."""
        return tuple(
            ZoneRequest(
                request_id=each.request_id,
                request_type="ACCESS" if each.kind == "ACCESS" else "REPLANNING",
                zone_set_id=each.key[0],
                zone_id=str(each.key[1]),
                request_status=each.status,
                trajectory=each.trajectory,
            )
            for each in self._requests.values()
            if each.kind != "CORRIDOR"
        )

    def edge_requests(self) -> tuple[EdgeRequest, ...]:
        """Return those for corridors, as a state has them."""
        return tuple(
            EdgeRequest(
                request_id=each.request_id,
                request_type="CORRIDOR",
                edge_id=each.key[0],
                sequence_id=int(each.key[1]),
                request_status=each.status,
            )
            for each in self._requests.values()
            if each.kind == "CORRIDOR"
        )
