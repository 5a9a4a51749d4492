"""What a signal probably is, by its name and unit, and so how it behaves."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, replace

__all__ = ["Behaviour", "Habit", "Role", "habit_of", "role_of"]


class Behaviour(enum.Enum):
    """How a number moves."""

    PROCESS = "follows the load of its asset"
    COUNTER = "counts up"
    TURN = "runs through its range and begins again"
    SWEEP = "swings around a middle"


@dataclass(frozen=True, slots=True)
class Role:
    """How a number behaves.

    Attributes:
        behaviour: how it moves.
        base: where it is without load, as a share of its range.
        gain: how much of its range full load adds.
        exponent: of the load; the affinity laws of pumps and fans have 1 for flow, 2 for pressure
            and 3 for power.
        lag: time constant behind the load [s].
        noise: standard deviation of its own wandering, as a share of its range.
        stops: whether it falls to zero when the machine stands still.
        rate: of a counter under full load [unit/s]; of a turn [range/s].
    """

    behaviour: Behaviour = Behaviour.PROCESS
    base: float = 0.25
    gain: float = 0.45
    exponent: float = 1.0
    lag: float = 4.0
    noise: float = 0.015
    stops: bool = False
    rate: float = 0.0


@dataclass(frozen=True, slots=True)
class Habit:
    """How a two-valued signal behaves: mean time on and off [s], and what it starts with."""

    on: float
    off: float
    start: bool


_COUNTER = Role(Behaviour.COUNTER)
_ROLES: tuple[tuple[str, Role], ...] = (
    (r"(^|_)hours", replace(_COUNTER, rate=1 / 3600)),
    (r"reject_count", replace(_COUNTER, rate=0.02)),
    (r"(^|_)(count|total)$", replace(_COUNTER, rate=0.8)),
    (r"^(starts|cycles)$", replace(_COUNTER, rate=0.01)),
    (r"^energy|_energy", replace(_COUNTER, rate=0.02)),
    (r"rotor_angle|azimuth|^travel$", Role(Behaviour.TURN, rate=0.3)),
    (r"^(joint|axis)", Role(Behaviour.SWEEP)),
    (r"yaw|direction", Role(base=0.4, gain=0.2, lag=30, noise=0.003)),
    (r"temperature|thermo", Role(base=0.35, gain=0.4, lag=15, noise=0.002)),
    (r"voltage|frequency_grid|acidity|conductivity", Role(base=0.5, gain=-0.06, lag=1, noise=0.02)),
    (r"power_factor", Role(base=0.55, gain=0.3, lag=1, noise=0.02)),
    (r"level|volume|battery|weight", Role(base=0.25, gain=0.5, lag=25, noise=0.003)),
    (r"vibration|spectrum|accelerometer", Role(base=0.1, gain=0.5, exponent=2, lag=1, noise=0.03)),
    (r"torque|force|acceleration", Role(base=0.1, gain=0.6, exponent=2, lag=0.8, noise=0.025)),
    (r"power", Role(base=0.05, gain=0.8, exponent=3, lag=1.0, noise=0.012, stops=True)),
    (r"seal_pressure|suction", Role(base=0.55, gain=-0.2, lag=2, noise=0.01)),
    (r"pressure", Role(base=0.1, gain=0.65, exponent=2, lag=1.5, noise=0.012)),
    (r"flow|throughput", Role(base=0.05, gain=0.8, lag=1.5, noise=0.012, stops=True)),
    (r"speed|frequency|current|wind", Role(base=0.05, gain=0.8, lag=0.8, noise=0.01, stops=True)),
    (r"localisation|effectiveness", Role(base=0.75, gain=0.15, lag=10, noise=0.02)),
)
_HABITS: tuple[tuple[str, Habit], ...] = (
    (r"^driving$", Habit(40, 8, True)),
    (r"charging|occupied|docked", Habit(40, 40, False)),
    (
        r"running|ready|clear|(^|_)ok$|free|remote|closed|safe|enabled|online",
        Habit(900, 6, True),
    ),
)


def role_of(signal: str, unit: str, *, turns: bool = False) -> Role:
    """Return the role of a number.

    Args:
        signal: name of the signal.
        unit: UCUM unit.
        turns: whether the number drives a rotation.
    """
    for pattern, role in _ROLES:
        if re.search(pattern, signal):
            # A grid's frequency hardly moves; its limits are close.
            if signal == "frequency" and unit == "Hz" and not turns:
                return replace(role, stops=False)
            return replace(role, rate=0.5) if unit == "W.h" else role
    return Role(Behaviour.SWEEP) if turns else Role()


def habit_of(signal: str) -> Habit:
    """Return the habit of a two-valued signal."""
    return next((h for p, h in _HABITS if re.search(p, signal)), Habit(120, 30, True))
