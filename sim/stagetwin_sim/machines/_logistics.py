"""Transfer stations and autonomous mobile robots, as far as commands concern them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from stagetwin_sim.machines._machine import Machine, ramp
from stagetwin_sim.machines._nameplate import Nameplate

__all__ = ["MobileRobot", "Station"]


class Station(Machine):
    """A transfer station: a released load leaves, and the next one in the queue comes.

    Attributes:
        occupied: whether a load stands on it.
        queue: loads that wait.
    """

    kind = "station"
    LEAVES, COMES, ARRIVES = 2.0, 8.0, 30.0
    """How long a load takes to leave, the next to come, and another to join the queue [s]."""

    def __init__(self, plate: Nameplate) -> None:
        super().__init__(plate)
        self.occupied = True
        self.queue = 2 + plate.ordinal
        self._most = int(plate.soft("queue", (0.0, 12.0))[1])
        self._leaving = self._coming = -1.0
        self._arriving = self.ARRIVES
        self._number = 4100 + 100 * plate.ordinal

    def obey(self, name: str, value: Any) -> str:
        """See Machine."""
        if name != "release":
            return super().obey(name, value)
        if value:
            self._leaving = self.LEAVES
        return ""

    def step(self, dt: float) -> None:
        """See Machine."""
        self._arriving -= dt
        if self._arriving <= 0:
            self._arriving = self.ARRIVES
            self.queue = min(self.queue + 1, self._most)
        if self._leaving > 0:
            self._leaving -= dt
            if self._leaving <= 0:
                self.occupied, self._coming = False, self.COMES
        elif self._coming > 0 and self.queue:
            self._coming -= dt
            if self._coming <= 0:
                self.occupied = True
                self.queue -= 1
                self._number += 1
        self.activity = float(self._leaving > 0 or self._coming > 0)

    def signals(self) -> Mapping[str, Any]:
        """See Machine."""
        weight = 250.0 + self._number * 37 % 400
        return {
            **self.switches,
            "occupied": self.occupied,
            "free": not self.occupied,
            "queue": self.queue,
            "weight": weight if self.occupied else 0.0,
            "code": f"LOAD-{self._number}" if self.occupied else "",
        }


class MobileRobot(Machine):
    """An autonomous mobile robot: a speed below its limit, a battery, a goal that it reaches.

    Where it is on the floor is left to the synthetic model.

    Attributes:
        limit, speed: [m/s].
        charge: of the battery [%].
    """

    kind = "amr"
    noisy: ClassVar[Mapping[str, float]] = {"battery_voltage": 0.001}
    CRUISE, ACCELERATION = 1.2, 0.5
    UNDER_WAY = 12.0
    """How long it drives to a goal at cruising speed [s]."""
    DRAIN, GAIN = 0.004, 0.02
    """Of the battery, driving and charging [%/s]."""

    def __init__(self, plate: Nameplate) -> None:
        super().__init__(plate)
        self.limit = plate.reach("speed_limit", (0.0, 2.0))[1]
        self.charge = 82.0 - 3.0 * plate.ordinal
        self.speed = 0.0
        self._charging = False
        self._node, self._goal = f"node-{plate.ordinal + 1}", ""
        self._orders = 700 + 10 * plate.ordinal
        self._left = 0.0

    def obey(self, name: str, value: Any) -> str:
        """See Machine."""
        if name == "speed_limit":
            self.limit = float(value)
        elif name == "goal":
            self._goal, self._left = str(value), self.UNDER_WAY * self.CRUISE
            self._orders += 1
        else:
            return super().obey(name, value)
        return ""

    def wants(self, name: str) -> Any:
        """See Machine."""
        return self.limit if name == "speed_limit" else super().wants(name)

    def feel(self, values: Mapping[str, Any]) -> None:
        """See Machine."""
        super().feel(values)
        self.charge = values.get("battery", self.charge)

    def step(self, dt: float) -> None:
        """See Machine."""
        if self.charge < 25:
            self._charging = True
        elif self.charge > 95:
            self._charging = False
        wanted = 0.0 if self._charging else min(self.limit, self.CRUISE)
        self.speed = ramp(self.speed, wanted, self.ACCELERATION * dt)
        rate = self.GAIN if self._charging else -self.DRAIN * (0.3 + self.speed / self.CRUISE)
        self.charge = min(max(self.charge + rate * dt, 0.0), 100.0)
        if self._goal:
            self._left -= self.speed * dt
            if self._left <= 0:
                self._node, self._goal = self._goal, ""
        self.activity = self.speed / self.CRUISE

    def signals(self) -> Mapping[str, Any]:
        """See Machine."""
        return {
            **self.switches,
            "battery": self.charge,
            "battery_voltage": 45.0 + 0.08 * self.charge,
            "charging": self._charging,
            "speed": self.speed,
            "driving": self.speed > 0,
            "mode": self.plate.word("mode", "AUTOMATIC"),
            "order": f"order-{self._orders}",
            "last_node": self._node,
        }
