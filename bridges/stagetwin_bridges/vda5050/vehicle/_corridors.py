"""Corridors: whether the vehicle is inside, and driving round an obstacle (3.0, 6.1.5, 6.6.10)."""

from __future__ import annotations

import math

from stagetwin_bridges.vda5050.messages import Corridor
from stagetwin_bridges.vda5050.vehicle._geometry import Point
from stagetwin_bridges.vda5050.vehicle._parts import Parts
from stagetwin_bridges.vda5050.vehicle._requests import Request
from stagetwin_bridges.vda5050.vehicle._rules import Cause
from stagetwin_bridges.vda5050.vehicle._stretch import Stretch

__all__ = ["CorridorWatch"]

_SPACING = 0.5
_RAMP = 1.0
"""Length over which it leaves the trajectory and comes back [m]."""


class CorridorWatch:
    """Keeps to the corridor of the edge that the vehicle is on, and uses it where it must."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._blocked_since: float | None = None
        self._beside: Stretch | None = None

    @property
    def deviating(self) -> bool:
        """Whether it has left the trajectory."""
        return self._beside is not None

    def begun(self, request: Request) -> bool:
        """Return whether the corridor of a request is being used."""
        return self._beside is not None and _key(self._beside) == request.key

    def step(self, now: float) -> None:
        """Look at the corridor of the edge that was entered."""
        parts = self._parts
        stretch = parts.driver.stretches[0] if parts.driver.stretches else None
        if self._beside is not None and stretch is not self._beside:
            self._end(self._beside, now)
        if stretch is None or stretch.edge.corridor is None:
            self._blocked_since = None
            if parts.faults:
                parts.faults.withdraw(Cause.OUTSIDE_CORRIDOR)
            return
        if stretch.edge.sequence_id != parts.entered:
            return
        corridor = stretch.edge.corridor
        self._check(stretch, corridor, now)
        if not parts.chassis.blocked:
            self._blocked_since = None
            if self._beside is None:
                self._drop(stretch, now)
            return
        if self._blocked_since is None:
            self._blocked_since = now
        waited = now - self._blocked_since >= parts.options.corridor_patience
        if waited and parts.controlled and self._beside is None and not parts.faults.holds:
            self._use(stretch, corridor, now)

    def lost(self, request: Request, now: float) -> None:
        """Act on a permission that is no more while it is used: stand, or go back."""
        stretch = self._beside
        if stretch is None or stretch.edge.corridor is None or not self.begun(request):
            self._parts.requests.drop(request, now, wait=True)
            return
        if stretch.edge.corridor.release_loss_behavior == "RETURN":
            self._beside = None
            s, _ = stretch.way.near(self._parts.chassis.x, self._parts.chassis.y)
            x, y, _ = stretch.way.at(s)
            self._parts.driver.escape([(x, y)])
            self._parts.requests.drop(request, now, wait=True)
            return
        why = f"the permission for the corridor of edge {stretch.edge.edge_id!r} was lost"
        self._parts.faults.report(Cause.CORRIDOR_LOST, now, why, {"edgeId": stretch.edge.edge_id})

    # -- parts -----------------------------------------------------------------------------------

    def _check(self, stretch: Stretch, corridor: Corridor, now: float) -> None:
        body = self._parts.chassis
        points: list[Point] = [(body.x, body.y)]
        if corridor.corridor_reference_point == "CONTOUR":
            points = body.contour(body.x, body.y, body.theta)
        sides = [stretch.way.near(x, y)[1] for x, y in points]
        slack = self._parts.options.tolerance
        if max(sides) > corridor.left_width + slack or -min(sides) > corridor.right_width + slack:
            why = (
                f"{max(sides):.2f} m left and {-min(sides):.2f} m right of edge "
                f"{stretch.edge.edge_id!r}; allowed are {corridor.left_width} and "
                f"{corridor.right_width}"
            )
            if Cause.OUTSIDE_CORRIDOR not in self._parts.faults:
                references = {"edgeId": stretch.edge.edge_id}
                self._parts.faults.report(Cause.OUTSIDE_CORRIDOR, now, why, references)
        else:
            self._parts.faults.withdraw(Cause.OUTSIDE_CORRIDOR)

    def _use(self, stretch: Stretch, corridor: Corridor, now: float) -> None:
        parts = self._parts
        offset = self._offset(corridor)
        if offset == 0.0:
            return
        if corridor.release_required:
            parts.requests.ask("CORRIDOR", _key(stretch), now)
            request = parts.requests.of(_key(stretch))
            if request is None or not request.granted:
                return
        self._beside = stretch
        way, low = stretch.way, parts.driver.position
        points: list[Point] = []
        s = low + _SPACING
        while s < way.length:
            x, y, heading = way.at(s)
            share = min((s - low) / _RAMP, (way.length - s) / _RAMP, 1.0)
            points.append(
                (x - math.sin(heading) * offset * share, y + math.cos(heading) * offset * share)
            )
            s += _SPACING
        parts.driver.detour(points)

    def _offset(self, corridor: Corridor) -> float:
        """Return how far to the left it goes [m]; 0 where the corridor is too narrow."""
        body = self._parts.chassis
        own = body.width / 2 if corridor.corridor_reference_point == "CONTOUR" else 0.0
        left, right = corridor.left_width - own, corridor.right_width - own
        side = max(left, right) - self._parts.options.tolerance
        if side < self._parts.options.tolerance:
            return 0.0
        return side if left >= right else -side

    def _drop(self, stretch: Stretch, now: float) -> None:
        """Take back a request for what is not needed any more."""
        request = self._parts.requests.of(_key(stretch))
        if request is not None:
            self._parts.requests.drop(request, now)

    def _end(self, stretch: Stretch, now: float) -> None:
        self._beside, self._blocked_since = None, None
        self._drop(stretch, now)


def _key(stretch: Stretch) -> tuple[str, int]:
    return stretch.edge.edge_id, stretch.edge.sequence_id
