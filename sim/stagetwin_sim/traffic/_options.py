"""What a fleet's simulation is told."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from stagetwin_sim._errors import TrafficError

__all__ = ["FleetOptions"]


class FleetOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a fleet works, and what goes wrong in it.

    Attributes:
        arrivals: loads that arrive at a pick station in an hour, by id; what is not named always
            has a load waiting. Times between arrivals are exponential.
        queue: loads that wait at a station at most; more are turned away, and counted.
        transfer_time: to take or give a load [s].
        load_mass: [kg].
        charge_below: an idle vehicle with less charge goes to charge, 0 to 1.
        charge_to: it leaves the charger with more.
        charge_first: charge of the batteries at first; they are spread over 0.2 below it.
        closed: lanes and nodes that nobody uses.
        people: who walk on the floor and give way to nobody.
        people_speed: [m/s].
        noise_position, noise_heading: of localisation [m, rad].
        slip: typical share of the speed that wheels lose.
        delay: of a message between control and vehicle, each way [s].
        loss: share of these messages that are lost.
        step: of motion [s].
        period: between two rounds of the authorities [s].
        look: between two rounds of dispatching [s].
        piece: length of a reserved cell, about [m].
        gap: between vehicles on lanes [m].
        deadlock_time: after which a circle of waiting vehicles counts as a deadlock [s].
        clear: whether deadlocks are cleared.
        heat: edge of the squares in which waiting is added up [m].
    """

    arrivals: Mapping[str, float] = {}
    queue: int = 20
    transfer_time: float = 8.0
    load_mass: float = 100.0
    charge_below: float = 0.3
    charge_to: float = 0.9
    charge_first: float = 0.9
    closed: tuple[str, ...] = ()
    people: int = 0
    people_speed: float = 1.2
    noise_position: float = 0.0
    noise_heading: float = 0.0
    slip: float = 0.0
    delay: float = 0.0
    loss: float = 0.0
    step: float = 0.05
    period: float = 0.2
    look: float = 0.4
    piece: float = 0.5
    gap: float = 0.2
    deadlock_time: float = 3.0
    clear: bool = True
    heat: float = 0.5

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise TrafficError(f"{name} must be in [{low:g}, {high:g}], got {value}")
        for station, rate in self.arrivals.items():
            if not 0 <= rate < math.inf:
                raise TrafficError(f"arrivals: {station!r} must be 0 or more an hour, got {rate}")
        if self.charge_to <= self.charge_below:
            raise TrafficError(
                f"charge_to must be above charge_below, {self.charge_below}, got {self.charge_to}"
            )
        for name in ("period", "look"):
            ratio = getattr(self, name) / (self.step if name == "period" else self.period)
            if ratio < 1 or abs(ratio - round(ratio)) > 1e-6:
                of = "step" if name == "period" else "period"
                raise TrafficError(
                    f"{name} must be a whole multiple of {of}, got {getattr(self, name)} s"
                )


_RANGES = {
    "queue": (1, 100000),
    "transfer_time": (0, 3600),
    "load_mass": (0, 1e6),
    "charge_below": (0, 1),
    "charge_to": (0, 1),
    "charge_first": (0, 1),
    "people": (0, 10000),
    "people_speed": (0.01, 10),
    "noise_position": (0, 1),
    "noise_heading": (0, 1),
    "slip": (0, 0.5),
    "delay": (0, 30),
    "loss": (0, 0.95),
    "step": (0.005, 0.2),
    "period": (0.01, 2),
    "look": (0.05, 10),
    "piece": (0.1, 5),
    "gap": (0, 2),
    "deadlock_time": (0.5, 600),
    "heat": (0.1, 10),
}
