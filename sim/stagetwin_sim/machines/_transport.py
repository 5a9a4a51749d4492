"""Conveyors, and the line that holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from stagetwin_sim.machines._drives import AMBIENT, Pump
from stagetwin_sim.machines._machine import Machine, approach, ramp
from stagetwin_sim.machines._nameplate import Nameplate
from stagetwin_sim.machines._network import Network

__all__ = ["Conveyor", "Line"]


class Conveyor(Machine):
    """A belt that accelerates evenly and carries loads a constant pitch apart.

    Attributes:
        setpoint, speed: [m/s].
        pitch: distance of two loads [m]; the travel begins anew after it.
        travel: of a load within the pitch [m].
    """

    kind = "conveyor"
    noisy: ClassVar[Mapping[str, float]] = {"speed": 0.001, "motor_current": 0.01}
    ACCELERATION = 0.3
    """[m/s2]"""

    def __init__(self, plate: Nameplate) -> None:
        super().__init__(plate)
        self.pitch = plate.hard("travel", (0.0, 1.5))[1]
        self._fastest = plate.soft("speed", (0.0, 1.0))[1]
        self.setpoint = 0.5 * self._fastest
        self._on = True
        self.speed = self.setpoint
        self.travel = 0.1 * plate.ordinal * self.pitch % self.pitch
        self._most = plate.soft("items", (0.0, 8.0))[1]
        self._items = int(self._most) // 2
        self._passed = plate.ordinal
        self._temperature = AMBIENT + 12

    @property
    def on(self) -> bool:
        """Whether its drive is enabled."""
        return self._on

    def obey(self, name: str, value: Any) -> str:
        """See Machine."""
        if name == "run":
            self._on = bool(value)
        elif name == "speed":
            self.setpoint = float(value)
        else:
            return super().obey(name, value)
        return ""

    def wants(self, name: str) -> Any:
        """See Machine."""
        own = {"run": self._on, "speed": self.setpoint}
        return own.get(name, super().wants(name))

    def feel(self, values: Mapping[str, Any]) -> None:
        """See Machine."""
        super().feel(values)
        self.speed = values.get("speed", self.speed)

    def step(self, dt: float) -> None:
        """See Machine."""
        before = self.speed
        self.speed = ramp(before, self.setpoint if self._on else 0.0, self.ACCELERATION * dt)
        moved = self.travel + (before + self.speed) / 2 * dt
        if moved >= self.pitch:
            self._passed += int(moved // self.pitch)
            self._items = int(self._most) // 2 + (-1, 0, 1, 0)[self._passed % 4]
        self.travel = moved % self.pitch
        self.activity = min(self.speed / self._fastest, 1.0)
        rise = 35 * self.activity
        self._temperature = approach(self._temperature, AMBIENT + rise, dt, 180.0)

    def signals(self) -> Mapping[str, Any]:
        """See Machine."""
        loaded = 0.6 + 0.35 * self._items
        return {
            **self.switches,
            "running": self._on,
            "speed": self.speed,
            "travel": self.travel,
            "motor_current": 0.8 + loaded * self.activity * 2 if self.speed > 0 else 0.0,
            "motor_temperature": self._temperature,
            "items": self._items,
        }


class Line(Machine):
    """A process line: its throughput is what its pumps bring to the filler, or its belts away.

    `run` starts and stops the machines of the line that this park holds.

    Attributes:
        network: pumps, valves and tanks of the line; None where this park has none.
        conveyors: belts of the line.
        throughput: [unit of its signal].
    """

    kind = "line"
    noisy: ClassVar[Mapping[str, float]] = {"throughput": 0.004}
    REJECTS = 0.012
    """Share of parts that are rejected."""

    def __init__(self, plate: Nameplate) -> None:
        super().__init__(plate)
        self.network: Network | None = None
        self.conveyors: tuple[Conveyor, ...] = ()
        self._on = True
        self._nominal = 0.7 * plate.soft("throughput", (0.0, 90.0))[1]
        self.throughput = 0.0
        self._made = 48_000.0
        self._standing: tuple[Pump, ...] = ()

    def obey(self, name: str, value: Any) -> str:
        """See Machine."""
        if name != "run":
            return super().obey(name, value)
        pumps = self.network.pumps if self.network else ()
        if value and not self._on:
            for pump in self._standing:
                pump.obey("run", True)
        elif not value and self._on:
            # The standby stays in standby when the line comes back.
            self._standing = tuple(pump for pump in pumps if pump.on)
            for pump in pumps:
                pump.obey("run", False)
        for conveyor in self.conveyors:
            conveyor.obey("run", bool(value))
        self._on = bool(value)
        return ""

    def step(self, dt: float) -> None:
        """See Machine."""
        self.throughput = approach(self.throughput, self._nominal * self._share(), dt, 2.0)
        self._made += self.throughput * dt / 60
        self.activity = min(self.throughput / self._nominal, 1.0)

    def _share(self) -> float:
        if not self._on:
            return 0.0
        shares = []
        if self.network and self.network.pumps:
            duty = max(len(self.network.pumps) - 1, 1)
            shares.append(self.network.flow / (duty * self.network.pumps[0].rated_flow))
        if self.conveyors:
            moved = [c.speed / max(c.setpoint, 0.05) for c in self.conveyors]
            shares.append(min(moved))
        return min(min(shares, default=0.8), 1.4)

    def signals(self) -> Mapping[str, Any]:
        """See Machine."""
        tanks = self.network.tanks if self.network else ()
        flooded = all(tank.signals()["low_level_clear"] for tank in tanks)
        return {
            **self.switches,
            "running": self._on,
            "ready": flooded and self.switches.get("ready", True),
            "throughput": self.throughput,
            "good_count": int(self._made * (1 - self.REJECTS)),
            "reject_count": int(self._made * self.REJECTS),
        }
