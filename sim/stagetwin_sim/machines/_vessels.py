"""Tanks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from stagetwin_sim.machines._machine import Machine, approach
from stagetwin_sim.machines._nameplate import Nameplate

__all__ = ["Tank"]


class Tank(Machine):
    """An upright tank of constant cross-section.

    Attributes:
        capacity: [unit of its volume].
        height: of the full tank [unit of its level].
        volume: what is in it.
        setpoint: of its temperature [Cel].
        makeup: newest flow from the supply [volume/s], for its line to reckon.
    """

    kind = "tank"
    noisy: ClassVar[Mapping[str, float]] = {
        "level": 0.0008,
        "level_a": 0.0008,
        "level_b": 0.0008,
        "volume": 0.0005,
        "temperature": 0.0005,
    }
    HEATING_TIME = 140.0
    """Time constant of the contents behind the heater's setpoint [s]."""
    LOW, HIGH = 0.15, 0.92
    """Where the level switches sit, as shares of the height."""
    BAND = 0.02
    """Hysteresis of the switches, as a share of the height."""

    def __init__(self, plate: Nameplate, *, fill: float = 0.65) -> None:
        super().__init__(plate)
        self.capacity = plate.hard("volume", (0.0, 10.0))[1]
        level = next((n for n in ("level", "level_a", "level_b") if plate.has(n)), "level")
        self.height = plate.hard(level, (0.0, 3.0))[1]
        self.volume = fill * self.capacity
        self.wanted = fill
        self.makeup = 0.0
        low, high = plate.soft("temperature", (10.0, 60.0))
        self.setpoint = self._temperature = low + 0.45 * (high - low)
        self._agitated = True
        self._low_clear, self._high_clear = True, True
        self._switch()

    @property
    def level(self) -> float:
        """Height of the surface [unit of its level]."""
        return self.volume / self.capacity * self.height

    @property
    def temperature(self) -> float:
        """Of the contents [Cel]."""
        return self._temperature

    def exchange(self, inflow: float, outflow: float) -> None:
        """Take in and give out volumes; the caller keeps them within what there is room for."""
        self.volume = min(max(self.volume + inflow - outflow, 0.0), self.capacity)

    def obey(self, name: str, value: Any) -> str:
        """See Machine."""
        if name == "temperature":
            self.setpoint = float(value)
        elif name == "agitate":
            self._agitated = bool(value)
        else:
            return super().obey(name, value)
        return ""

    def wants(self, name: str) -> Any:
        """See Machine."""
        own = {"temperature": self.setpoint, "agitate": self._agitated}
        return own.get(name, super().wants(name))

    def feel(self, values: Mapping[str, Any]) -> None:
        """See Machine."""
        super().feel(values)
        level = next((values[n] for n in ("level", "level_a", "level_b") if n in values), None)
        volume = values.get("volume")
        if volume is None and level is not None:
            volume = level / self.height * self.capacity
        if volume is not None:
            self.volume = min(max(volume, 0.0), self.capacity)
        self._temperature = values.get("temperature", self._temperature)

    def step(self, dt: float) -> None:
        """See Machine. The volume is moved by its line."""
        # A stirred tank takes the heat evenly; one that is not takes it at half the rate.
        time_constant = self.HEATING_TIME * (1.0 if self._agitated else 2.0)
        self._temperature = approach(self._temperature, self.setpoint, dt, time_constant)
        self._switch()

    def _switch(self) -> None:
        fill = self.volume / self.capacity
        self._low_clear = fill > (self.LOW if self._low_clear else self.LOW + self.BAND)
        self._high_clear = fill < (self.HIGH if self._high_clear else self.HIGH - self.BAND)

    def signals(self) -> Mapping[str, Any]:
        """See Machine."""
        return {
            **self.switches,
            "level": self.level,
            "level_a": self.level,
            "level_b": self.level,
            "volume": self.volume,
            "temperature": self._temperature,
            "low_level_clear": self._low_clear,
            "high_level_clear": self._high_clear,
        }
