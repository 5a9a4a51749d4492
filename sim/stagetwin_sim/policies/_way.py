"""The way that one vehicle is sent: legs, their points, and which of them comes next."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from stagetwin.fleets import Leg

__all__ = ["NEAR", "PASSED", "Way"]

NEAR, PASSED = 0.3, 0.5
"""Where a leg's end is near, and where a point on the way to it counts as passed [m]."""

Pose = tuple[float, float, float]


class Way:
    """Legs that are driven one after another.

    Attributes:
        legs: those that are not driven yet.
        done: how many were.
    """

    def __init__(self) -> None:
        self.legs: deque[Leg] = deque()
        self.done = 0
        self._points: deque[tuple[float, float]] = deque()  # on the way to the first leg's end

    def __bool__(self) -> bool:
        return bool(self.legs)

    def extend(self, legs: Sequence[Leg]) -> None:
        """Add legs to its end."""
        begins = not self.legs
        self.legs.extend(legs)
        if begins:
            self._begin()

    def clear(self) -> None:
        """Forget it."""
        self.legs.clear()
        self._points.clear()

    def pass_points(self, x: float, y: float) -> bool:
        """Let go of points, and of ends that need no stop, where a vehicle at x, y is by them.

        Returns:
            Whether an end was passed.
        """
        before = self.done
        while self._points and math.dist(self._points[0], (x, y)) <= PASSED:
            self._points.popleft()
        while self._goes_on() and self.is_near(x, y):
            self.finish()
        return self.done != before

    def _goes_on(self) -> bool:
        """Tell whether the first leg's end needs no stop: another leg follows, the same way."""
        return (
            len(self.legs) > 1
            and self.legs[0].through
            and not (self.legs[0].backward or self.legs[1].backward)
        )

    @property
    def backward(self) -> bool:
        """Whether the first leg is driven backward."""
        return bool(self.legs) and self.legs[0].backward

    @property
    def points(self) -> list[tuple[float, float]]:
        """What is left of the points on the way to the first leg's end."""
        return list(self._points)

    def is_near(self, x: float, y: float) -> bool:
        """Tell whether the end of the leg comes next, and is near."""
        return bool(self.legs) and not self._points and math.dist(self.end[:2], (x, y)) <= NEAR

    def finish(self) -> None:
        """Count the first leg as driven."""
        self.legs.popleft()
        self.done += 1
        self._begin()

    def _begin(self) -> None:
        self._points = deque(self.legs[0].path) if self.legs else deque()

    @property
    def end(self) -> Pose:
        """Where the first leg ends; its heading is NaN where any will do."""
        leg = self.legs[0]
        return leg.x, leg.y, leg.theta

    def goal(self, x: float, y: float) -> Pose:
        """Return the pose to head for; where any heading will do, the one that leads on."""
        leg = self.legs[0]
        end_x, end_y, theta = self.end
        if self._points:
            end_x, end_y = self._points[0]
            after = self._points[1] if len(self._points) > 1 else (leg.x, leg.y)
            return end_x, end_y, math.atan2(after[1] - end_y, after[0] - end_x)
        if math.isnan(theta):
            following = self.legs[1] if leg.through and len(self.legs) > 1 else None
            there = (end_x, end_y)
            if following is not None:
                there = following.path[0] if following.path else (following.x, following.y)
            far = math.dist(there, (end_x, end_y)) > 1e-3
            from_x, from_y = (end_x, end_y) if far else (x, y)
            to_x, to_y = there if far else (end_x, end_y)
            theta = math.atan2(to_y - from_y, to_x - from_x)
        return end_x, end_y, theta
