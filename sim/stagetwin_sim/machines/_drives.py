"""Pumps, the motors that drive them, and valves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from stagetwin_sim.machines._machine import Machine, approach, ramp
from stagetwin_sim.machines._nameplate import Nameplate

__all__ = ["Motor", "Pump", "Valve"]

AMBIENT = 22.0
"""Temperature of the hall [Cel]."""


class Pump(Machine):
    """A centrifugal pump with a variable-speed drive.

    Its speed follows the setpoint by the drive's ramp. Flow and head are those of its line's
    network; over speed they obey the affinity laws (flow ~ n, head ~ n^2, power ~ n^3): J. F.
    Guelich, Centrifugal Pumps, 3rd ed., Springer 2014, section 1.6.1.

    Attributes:
        setpoint, speed: [1/min].
        rated_flow, rated_head: at rated speed, in the units of its flow and its pressure.
        flow, suction, discharge: what the network found, in the units of the signals.
        flooded: whether the suction side holds liquid; without, it trips and is not ready.
    """

    kind = "pump"
    noisy: ClassVar[Mapping[str, float]] = {
        "flow": 0.002,
        "speed": 0.0003,
        "discharge_pressure": 0.0015,
        "suction_pressure": 0.002,
        "vibration": 0.03,
    }
    ailments: ClassVar[Mapping[str, tuple[float, float]]] = {"wear": (0.0, 0.95)}
    RAMP = 400.0
    """Of the drive [1/min per s]."""
    BEARING_TIME = 120.0
    """Time constant of the bearing's temperature [s]."""
    BEARING_RISE = 38.0
    """Of the bearing over the hall at rated speed [K]."""

    def __init__(self, plate: Nameplate, *, standby: bool = False) -> None:
        super().__init__(plate)
        self.rated_speed = 0.95 * plate.soft("speed", (0.0, 3000.0))[1]
        self.rated_flow = 0.5 * plate.soft("flow", (0.0, 100.0))[1]
        self.rated_head = 0.5 * plate.soft("discharge_pressure", (0.0, 10.0))[1]
        low, high = plate.reach("speed", (0.0, self.rated_speed))
        self.setpoint = min(max(0.8 * self.rated_speed, low), high)
        self._on = not standby
        self.speed = 0.0 if standby else self.setpoint
        self.flow = self.suction = self.discharge = 0.0
        self.flooded = True
        self.fluid_temperature = 30.0
        self._bearing = self._bearing_target
        self._seal = self._bearing + 4
        self._hours = 1200.0 + 37 * plate.ordinal
        self._alarm = 0

    @property
    def on(self) -> bool:
        """Whether the drive is enabled."""
        return self._on

    @property
    def share(self) -> float:
        """Speed as a share of rated speed."""
        return self.speed / self.rated_speed

    @property
    def _bearing_target(self) -> float:
        return AMBIENT + self.BEARING_RISE * self.share**2

    def obey(self, name: str, value: Any) -> str:
        """See Machine."""
        if name == "run":
            self._on = bool(value)
            if value:
                self._alarm = 0
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
        self.flow = values.get("flow", self.flow)
        self.suction = values.get("suction_pressure", self.suction)
        self.discharge = values.get("discharge_pressure", self.discharge)
        self.speed = values.get("speed", self.speed)

    def step(self, dt: float) -> None:
        """See Machine."""
        if self._on and not self.flooded:
            self._on, self._alarm = False, 101
        self.speed = ramp(self.speed, self.setpoint if self._on else 0.0, self.RAMP * dt)
        self._bearing = approach(self._bearing, self._bearing_target, dt, self.BEARING_TIME)
        seal = 0.5 * (self._bearing + self.fluid_temperature) + 6 * self.share
        self._seal = approach(self._seal, seal, dt, 90.0)
        if self.speed > 0:
            self._hours += dt / 3600
        self.activity = min(self.share, 1.0) ** 2

    def signals(self) -> Mapping[str, Any]:
        """See Machine."""
        shake = 0.2 + 1.6 * self.share**2 if self.speed > 0 else 0.05
        return {
            **self.switches,
            "running": self._on,
            "ready": self.flooded and self._alarm == 0,
            "state": self._state(),
            "flow": self.flow,
            "speed": self.speed,
            "suction_pressure": self.suction,
            "discharge_pressure": self.discharge,
            "bearing_temperature": self._bearing,
            "seal_temperature": self._seal,
            "vibration": [shake, 0.8 * shake, 0.5 * shake],
            "hours": self._hours,
            "alarm": self._alarm,
        }

    def _missing(self, name: str) -> str:
        # A tripped pump is made ready again by the next start, once it is flooded.
        if name == "run" and self.flooded:
            return ""
        return super()._missing(name)

    def _state(self) -> str:
        if self._alarm:
            return self.plate.word("state", "fault")
        if self._on:
            steady = abs(self.speed - self.setpoint) < 0.02 * self.rated_speed
            started = steady or self.speed > self.plate.soft("speed", (0.0, 1.0))[0]
            return self.plate.word("state", "running" if started else "starting")
        return self.plate.word("state", "stopping" if self.speed > 0 else "stopped")


class Motor(Machine):
    """An induction motor on a frequency converter, loaded by its pump.

    P_shaft = Q dp / eta_pump; torque = P_shaft / omega; I = P / (sqrt(3) U cos phi). The winding
    warms by a first-order lag towards a rise that grows with the square of the current: IEC
    60034-1 duty S1, with one time constant.

    Attributes:
        pump: what it drives; None runs it idle.
    """

    kind = "motor"
    noisy: ClassVar[Mapping[str, float]] = {
        "current": 0.003,
        "voltage": 0.001,
        "power": 0.003,
        "torque": 0.003,
        "speed": 0.0003,
    }
    PUMP_EFFICIENCY = 0.65
    EFFICIENCY = 0.92
    POWER_FACTOR = 0.86
    NO_LOAD = 0.25
    """Magnetising current as a share of rated current."""
    WINDING_TIME = 240.0
    WINDING_RISE = 65.0

    def __init__(self, plate: Nameplate) -> None:
        super().__init__(plate)
        self.pump: Pump | None = None
        self._rated_current = 0.7 * plate.soft("current", (0.0, 60.0))[1]
        self._starts = 40 + plate.ordinal
        self._was_on: bool | None = None
        self._winding = self._drive = AMBIENT
        self._warm = False
        self._load()

    def _load(self) -> None:
        pump = self.pump
        self.speed = pump.speed if pump else 0.0
        # m3/h and bar: 1 m3/h * 1 bar = 1e5 / 3600 W.
        hydraulic = pump.flow * max(pump.discharge - pump.suction, 0.0) / 36.0 if pump else 0.0
        friction = 0.4 * (pump.share**3 if pump else 0.0)
        shaft = hydraulic / self.PUMP_EFFICIENCY + friction
        omega = 2 * math.pi * self.speed / 60
        self.torque = 1000 * shaft / omega if omega > 1 else 0.0
        self.power = shaft / self.EFFICIENCY
        real = 1000 * self.power / (math.sqrt(3) * 400.0 * self.POWER_FACTOR)
        idle = self.NO_LOAD * self._rated_current if self.speed > 0 else 0.0
        self.current = math.hypot(real, idle)

    def step(self, dt: float) -> None:
        """See Machine."""
        self._load()
        on = self.pump.on if self.pump else False
        if on and self._was_on is False:
            self._starts += 1
        self._was_on = on
        heat = (self.current / self._rated_current) ** 2
        winding, drive = AMBIENT + self.WINDING_RISE * heat, AMBIENT + 25 * heat**0.5
        if not self._warm:
            # It has been running for long when the simulation begins.
            self._winding, self._drive, self._warm = winding, drive, True
        self._winding = approach(self._winding, winding, dt, self.WINDING_TIME)
        self._drive = approach(self._drive, drive, dt, 60.0)
        self.activity = min(heat, 1.0)

    def signals(self) -> Mapping[str, Any]:
        """See Machine."""
        return {
            **self.switches,
            "current": self.current,
            "voltage": 400.0,
            "power": self.power,
            "torque": self.torque,
            "speed": self.speed,
            "frequency": self.speed / 60,
            "winding_temperature": self._winding,
            "drive_temperature": self._drive,
            "starts": self._starts,
        }


class Valve(Machine):
    """A valve whose actuator moves with a constant speed.

    Attributes:
        opening: 0 closed, 1 open.
        target: where the actuator moves to.
    """

    kind = "valve"
    ailments: ClassVar[Mapping[str, tuple[float, float]]] = {"stuck": (0.0, 1.0)}
    SPEED = 0.12
    """Of the actuator [1/s]: 12 % a second."""

    def __init__(self, plate: Nameplate, *, opening: float = 0.8) -> None:
        super().__init__(plate)
        self.opening = self.target = opening
        self._cycles = 300 + 11 * plate.ordinal
        self._moving = False

    def obey(self, name: str, value: Any) -> str:
        """See Machine."""
        if name not in ("opening", "position"):
            return super().obey(name, value)
        low, high = self._range(name)
        self.target = min(max((float(value) - low) / (high - low), 0.0), 1.0)
        self._cycles += 1
        return ""

    def wants(self, name: str) -> Any:
        """See Machine."""
        if name not in ("opening", "position"):
            return super().wants(name)
        low, high = self._range(name)
        return low + self.target * (high - low)

    def feel(self, values: Mapping[str, Any]) -> None:
        """See Machine."""
        super().feel(values)
        for name in ("opening", "position"):
            if name in values:
                low, high = self.plate.hard(name, (0.0, 100.0))
                self.opening = min(max((values[name] - low) / (high - low), 0.0), 1.0)

    def _range(self, name: str) -> tuple[float, float]:
        return self.plate.reach(name, self.plate.hard(name, (0.0, 100.0)))

    def step(self, dt: float) -> None:
        """See Machine."""
        before = self.opening
        if self.ills.get("stuck", 0.0) < 0.5:
            self.opening = ramp(self.opening, self.target, self.SPEED * dt)
        self._moving = self.opening != before
        self.activity = float(self._moving)

    def signals(self) -> Mapping[str, Any]:
        """See Machine."""
        values: dict[str, Any] = {**self.switches, "cycles": self._cycles}
        for name in ("opening", "position"):
            low, high = self.plate.hard(name, (0.0, 100.0))
            values[name] = low + self.opening * (high - low)
        # Breaking loose from the seat takes more than moving, and standing nearly nothing.
        values["torque"] = (38.0 + 22.0 * (self.opening < 0.1)) if self._moving else 3.0
        return values
