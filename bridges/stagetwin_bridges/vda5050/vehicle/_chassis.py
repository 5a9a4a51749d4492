"""One vehicle's body among many: what it measures, and what it is told."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stagetwin.fleets import Bodies, Leg
from stagetwin_bridges.vda5050.vehicle._geometry import Point, outline

__all__ = ["Chassis"]

_STILL = 0.02
"""Speed below which a vehicle stands [m/s, rad/s]."""


class Chassis:
    """A body of `bodies` by its index.

    Attributes:
        x, y, theta: where it believes to be [m, rad].
        vx, vy, omega: its velocity in its own frame [m/s, rad/s].
        charge: share, 0 to 1.
        blocked: whether something stands in its protective field.
        done: legs finished since the start.
        length, width, front: its contour now [m].
    """

    def __init__(self, bodies: Bodies, index: int, length: float, width: float) -> None:
        if not 0 <= index < bodies.count:
            raise ValueError(f"vehicle {index}: there are {bodies.count}, counted from 0")
        self._bodies = bodies
        self._index = index
        # Bodies that many vehicles look at may have each one's measurements ready as plain numbers.
        self._measured = getattr(bodies, "measured", None)
        self._empty = (length, width)
        self.length, self.width, self.front = length, width, length / 2
        self._limit = math.inf
        self.x = self.y = self.theta = 0.0
        self.vx = self.vy = self.omega = 0.0
        self.charge, self.blocked, self.done = 1.0, False, 0
        self.look()

    def look(self) -> None:
        """Read what it measures."""
        bodies, index = self._bodies, self._index
        if self._measured is not None:
            (
                (self.x, self.y, self.theta),
                (self.vx, self.vy, self.omega),
                self.charge,
                self.blocked,
                self.done,
            ) = self._measured(index)
            return
        self.x, self.y, self.theta = bodies.poses()[index].tolist()
        self.vx, self.vy, self.omega = bodies.velocities()[index].tolist()
        self.charge = float(bodies.charge()[index])
        self.blocked = bool(bodies.blocked()[index])
        self.done = int(bodies.done()[index])

    @property
    def speed(self) -> float:
        """Over the floor [m/s]."""
        return math.hypot(self.vx, self.vy)

    @property
    def moving(self) -> bool:
        """Whether it drives or turns."""
        return abs(self.vx) > _STILL or abs(self.vy) > _STILL or abs(self.omega) > _STILL

    @property
    def reach(self) -> float:
        """Radius round the kinematic centre that holds the contour [m]."""
        return math.hypot(max(self.front, self.length - self.front), self.width / 2)

    def contour(self, x: float, y: float, theta: float) -> list[Point]:
        """Return the corners of its contour at a pose."""
        return outline(x, y, theta, self.front, self.length, self.width)

    def drive(self, legs: Sequence[Leg]) -> None:
        """Append legs."""
        self._bodies.drive(self._index, legs)

    def stop(self, *, keep: bool) -> None:
        """Brake; see `Bodies.stop`."""
        self._bodies.stop(self._index, keep=keep)

    def resume(self) -> None:
        """Go on with what a stop kept."""
        self._bodies.resume(self._index)

    def place(self, x: float, y: float, theta: float) -> None:
        """Let it believe to stand here."""
        self._bodies.place(self._index, x, y, theta)
        self.look()

    def carry(self, mass: float, length: float, width: float) -> None:
        """Let it carry; mass 0 takes the load off [kg, m, m]."""
        self._bodies.load(self._index, mass, length, width)
        self.length = max(self._empty[0], length)
        self.width = max(self._empty[1], width)
        self.front = self.length / 2

    def plug(self, on: bool) -> None:
        """Begin or end to charge."""
        self._bodies.plug(self._index, on)

    def limit(self, speed: float) -> None:
        """Bound its speed [m/s]."""
        if speed != self._limit:
            self._limit = speed
            self._bodies.limit(self._index, speed)
