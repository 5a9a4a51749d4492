"""Wind turbines and charging stations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from stagetwin_sim.machines._drives import AMBIENT
from stagetwin_sim.machines._machine import Machine, approach, ramp
from stagetwin_sim.machines._nameplate import Nameplate

__all__ = ["Charger", "WindTurbine"]


class WindTurbine(Machine):
    """A small wind turbine with pitch control.

    Below rated wind it takes what the wind gives, P ~ v^3 with a constant power coefficient, and
    above it no more than rated power; it never takes more than its limit. T. Burton et al., Wind
    Energy Handbook, 2nd ed., Wiley 2011, sections 3.2 and 6.3. The wind wanders by an
    Ornstein-Uhlenbeck process around a fresh breeze, so that a limit can be seen to hold.

    Attributes:
        limit, power: [kW].
        wind: at the hub [m/s].
    """

    kind = "wind turbine"
    noisy: ClassVar[Mapping[str, float]] = {"power": 0.003, "wind_speed": 0.01}
    CUT_IN, RATED_WIND, CUT_OUT = 3.0, 11.5, 25.0
    MEAN_WIND, GUSTS, GUST_TIME = 13.0, 0.5, 30.0
    RAMP = 5.0
    """Of the power [kW/s]."""

    def __init__(self, plate: Nameplate, rng: np.random.Generator) -> None:
        super().__init__(plate)
        self._rng = rng
        self.limit = plate.reach("power_limit", plate.soft("power", (0.0, 100.0)))[1]
        self.rated = 0.9 * self.limit
        self._on = True
        self.wind = self.MEAN_WIND
        self.power = self.available
        self._direction = 235.0
        self._yaw = 0.0
        self._from = self._direction
        self._angle = 0.0
        self._rotor = self._rotor_target
        self._pitch = 0.0
        self._energy = 184_000.0
        self._gearbox, self._generator = 48.0, 62.0

    @property
    def available(self) -> float:
        """What the wind gives [kW]."""
        if not self.CUT_IN <= self.wind <= self.CUT_OUT:
            return 0.0
        return self.rated * min((self.wind / self.RATED_WIND) ** 3, 1.0)

    @property
    def _rotor_target(self) -> float:
        fastest = 0.8 * self.plate.soft("rotor_speed", (0.0, 45.0))[1]
        if not self._on or self.wind < self.CUT_IN:
            return 0.0
        return fastest * min(self.wind / self.RATED_WIND, 1.0)

    def obey(self, name: str, value: Any) -> str:
        """See Machine."""
        if name == "run":
            self._on = bool(value)
        elif name == "power_limit":
            self.limit = float(value)
        else:
            return super().obey(name, value)
        return ""

    def wants(self, name: str) -> Any:
        """See Machine."""
        own = {"run": self._on, "power_limit": self.limit}
        return own.get(name, super().wants(name))

    def feel(self, values: Mapping[str, Any]) -> None:
        """See Machine."""
        super().feel(values)
        self.power = values.get("power", self.power)

    def step(self, dt: float) -> None:
        """See Machine."""
        left = math.exp(-dt / self.GUST_TIME)
        noise = math.sqrt(1 - left * left) * float(self._rng.standard_normal())
        self.wind = self.MEAN_WIND + (self.wind - self.MEAN_WIND) * left + self.GUSTS * noise
        self._direction = (self._direction + 0.4 * noise) % 360
        self._yaw = ramp(self._yaw, self._direction - self._from, 0.5 * dt)
        wanted = min(self.available, self.limit) if self._on else 0.0
        self.power = ramp(self.power, wanted, self.RAMP * dt)
        self._rotor = approach(self._rotor, self._rotor_target, dt, 4.0)
        self._angle = (self._angle + self._rotor * 6 * dt) % 360
        spare = 1 - self.power / self.available if self.available > 0 else 1.0
        feathered = 88.0 if not self._on else min(25 * max(spare, 0.0) + self._over_rated(), 88.0)
        self._pitch = ramp(self._pitch, feathered, 4.0 * dt)
        self._energy += self.power * dt / 3600
        self.activity = max(self.power / self.rated, 0.0)
        self._gearbox = approach(self._gearbox, AMBIENT + 30 * self.activity, dt, 300.0)
        self._generator = approach(self._generator, AMBIENT + 55 * self.activity, dt, 200.0)

    def _over_rated(self) -> float:
        return max(self.wind - self.RATED_WIND, 0.0) * 2.2

    def signals(self) -> Mapping[str, Any]:
        """See Machine."""
        return {
            **self.switches,
            "running": self._on,
            "rotor_angle": self._angle,
            "nacelle_yaw": self._yaw,
            "rotor_speed": self._rotor,
            "pitch": self._pitch,
            "wind_speed": self.wind,
            "wind_direction": self._direction,
            "power": self.power,
            "gearbox_temperature": self._gearbox,
            "generator_temperature": self._generator,
            "state": self._state(),
            "energy": self._energy,
        }

    def _state(self) -> str:
        if not self._on:
            return self.plate.word("state", "stopped")
        if self.available <= 0:
            return self.plate.word("state", "waiting")
        curtailed = self.limit < self.available
        return self.plate.word("state", "curtailed" if curtailed else "running")


class Charger(Machine):
    """A charging station: constant current up to its limit, while a vehicle is docked.

    Attributes:
        limit, current: [A].
        docked: whether there is a vehicle.
    """

    kind = "charger"
    noisy: ClassVar[Mapping[str, float]] = {"current": 0.003, "voltage": 0.001}
    NEED = 52.0
    """What a vehicle takes [A]."""
    LAG = 1.5

    def __init__(self, plate: Nameplate) -> None:
        super().__init__(plate)
        self.docked = plate.ordinal % 3 != 2
        self.limit = 0.7 * plate.reach("current_limit", (0.0, 60.0))[1]
        self._enabled = True
        self.current = self._wanted
        self._temperature = AMBIENT + 8
        self._energy = 61_000.0 + 900 * plate.ordinal

    @property
    def _wanted(self) -> float:
        return min(self.limit, self.NEED) if self._enabled and self.docked else 0.0

    def obey(self, name: str, value: Any) -> str:
        """See Machine."""
        if name in ("enable", "run"):
            self._enabled = bool(value)
        elif name == "current_limit":
            self.limit = float(value)
        else:
            return super().obey(name, value)
        return ""

    def wants(self, name: str) -> Any:
        """See Machine."""
        own = {"run": self._enabled, "enable": self._enabled, "current_limit": self.limit}
        return own.get(name, super().wants(name))

    def step(self, dt: float) -> None:
        """See Machine."""
        self.current = approach(self.current, self._wanted, dt, self.LAG)
        self.activity = self.current / self.NEED
        # Heat of the contact resistance grows with the square of the current.
        warm = AMBIENT + 26 * self.activity**2
        self._temperature = approach(self._temperature, warm, dt, 90.0)
        self._energy += self.current * self._voltage * dt / 3600

    @property
    def _voltage(self) -> float:
        return 48.0 + 0.09 * self.current if self.docked else 0.0

    def signals(self) -> Mapping[str, Any]:
        """See Machine."""
        return {
            **self.switches,
            "voltage": self._voltage,
            "current": self.current,
            "temperature": self._temperature,
            "occupied": self.docked,
            "contact_ok": self.docked and self.switches.get("contact_ok", True),
            "energy": self._energy,
        }
