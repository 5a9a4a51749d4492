"""From the base of an order to legs: only what may be driven now is ever given to the body."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice

import msgspec

from stagetwin.fleets import Leg
from stagetwin_bridges.vda5050.vehicle._chassis import Chassis
from stagetwin_bridges.vda5050.vehicle._geometry import Point
from stagetwin_bridges.vda5050.vehicle._stretch import Stretch

__all__ = ["Driver"]

_LEAST = 0.02
"""Shorter pieces of way are not worth a leg of their own [m]."""


class Driver:
    """Gives legs to a body, and says which nodes it passed.

    Attributes:
        stretches: the base as far as it is not passed.
        standing_still: whether the body was told to stand, and keeps its legs.
    """

    def __init__(self, chassis: Chassis, *, margin: float, tolerance_theta: float) -> None:
        """Make it.

        Args:
            chassis: the body.
            margin: how far before a closed point it stands [m].
            tolerance_theta: how exactly the body turns [rad].
        """
        self._chassis = chassis
        self._margin = margin
        self._tolerance_theta = tolerance_theta
        self.stretches: deque[Stretch] = deque()
        self.standing_still = False
        # Legs given: how many there were in all, and what each of those still driven ends at.
        self._given_legs = chassis.done
        self._targets: deque[tuple[int, bool]] = deque()
        # Legs on their way to the body: one call for all of them costs it little more than for one.
        self._handed: list[Leg] = []
        # How many stretches were given to their ends, and how far the one behind them was.
        self._whole = 0
        self._part: float | None = None

    @property
    def busy(self) -> bool:
        """Whether the body still has legs."""
        return bool(self._targets)

    @property
    def position(self) -> float:
        """How far along the first stretch the vehicle is [m]."""
        if not self.stretches:
            return 0.0
        return self.stretches[0].way.near(self._chassis.x, self._chassis.y)[0]

    @property
    def remaining(self) -> float:
        """Length of the base that is still to be driven [m]."""
        if not self.stretches:
            return 0.0
        return sum(each.way.length for each in self.stretches) - self.position

    def extend(self, stretches: Iterable[Stretch]) -> None:
        """Append to the base."""
        self.stretches.extend(stretches)

    def passed(self) -> Stretch | None:
        """Return the next stretch that was driven to its end, if any; it leaves the base."""
        while self._targets and self._targets[0][0] <= self._chassis.done:
            _, node = self._targets.popleft()
            if node:
                self._whole -= 1
                return self.stretches.popleft()
        return None

    def plan(
        self,
        *,
        entered: bool,
        map_id: str,
        hold: Callable[[Stretch], float],
    ) -> Stretch | None:
        """Give what may be driven now; return the stretch at which it may not go on.

        Args:
            entered: whether the vehicle entered the first edge.
            map_id: of the map that it is on.
            hold: how far along a stretch it may go [m]; inf to its end.
        """
        if self._whole == len(self.stretches):
            return None
        try:
            return self._plan(entered, map_id, hold)
        finally:
            self._hand_over()

    def _plan(self, entered: bool, map_id: str, hold: Callable[[Stretch], float]) -> Stretch | None:
        while self._whole < len(self.stretches):
            at = self._whole
            stretch = self.stretches[at]
            if at == 0 and not entered:
                return None
            if at > 0 and (self.stretches[at - 1].node_stands or stretch.edge_stands):
                return None
            if stretch.map_id and stretch.map_id != map_id:
                return stretch if at == 0 else None
            low = self._start(at)
            closed = hold(stretch)
            length = stretch.way.length
            if closed <= length:
                high = closed - self._margin
                if high - low > _LEAST:
                    self._give(stretch.leg(low, high, self._tolerance_theta), node=False)
                    self._part = high
                return stretch
            self._give_whole(stretch, low)
        return None

    def stand(self, still: bool) -> None:
        """Let the body stand, or go on."""
        if still == self.standing_still:
            return
        self.standing_still = still
        if still:
            self._chassis.stop(keep=True)
        else:
            self._chassis.resume()

    def forget(self) -> None:
        """Take all legs back; the base stays."""
        if self._targets or self.standing_still:
            self._chassis.stop(keep=False)
            self.standing_still = False
        self._targets.clear()
        self._given_legs = self._chassis.done
        self._whole, self._part = 0, None

    def abandon(self) -> None:
        """Take all legs back and forget the base."""
        self.forget()
        self.stretches.clear()

    def abandon_behind_next(self) -> None:
        """Take all back but the way to the next node, where the vehicle will stop."""
        first = self.stretches[0] if self.stretches and self._whole else None
        under_way = first is not None and self.position > _LEAST
        self.abandon()
        if first is not None and under_way:
            self.stretches.append(first)
            self._give_whole(first, self._start(0))
            self._hand_over()

    def detour(self, points: list[Point]) -> None:
        """Drive other points than the way to the node of the first stretch."""
        self.forget()
        stretch = self.stretches[0]
        end = stretch.leg(stretch.way.length, stretch.way.length, self._tolerance_theta)
        self._give(msgspec.structs.replace(end, path=tuple(points), through=False), node=True)
        self._hand_over()
        self._whole = 1

    def escape(self, points: list[Point]) -> None:
        """Drive to the last of some points off the way; the base stays."""
        self.forget()
        x, y = points[-1]
        self._give(Leg(x=x, y=y, path=tuple(points[:-1])), node=False)
        self._hand_over()

    def ahead(self) -> Iterable[tuple[Stretch, float]]:
        """Yield the stretches of the base with the distance at which each begins [m]."""
        distance = -self.position
        for stretch in islice(self.stretches, len(self.stretches)):
            yield stretch, distance
            distance += stretch.way.length

    # -- parts -----------------------------------------------------------------------------------

    def _start(self, at: int) -> float:
        if self._part is not None:
            return self._part
        return self.position if at == 0 else 0.0

    def _give_whole(self, stretch: Stretch, low: float) -> None:
        leg = stretch.leg(low, stretch.way.length, self._tolerance_theta)
        far = math.dist((leg.x, leg.y), (self._chassis.x, self._chassis.y)) > _LEAST
        if stretch.way.length - low > _LEAST or far or not math.isnan(leg.theta):
            self._give(leg, node=True)
        else:
            # The node is where the vehicle will be: nothing to drive.
            self._targets.append((self._given_legs, True))
        self._whole += 1
        self._part = None

    def _give(self, leg: Leg, *, node: bool) -> None:
        self._handed.append(leg)
        self._given_legs += 1
        self._targets.append((self._given_legs, node))

    def _hand_over(self) -> None:
        if self._handed:
            legs, self._handed = self._handed, []
            self._chassis.drive(legs)
