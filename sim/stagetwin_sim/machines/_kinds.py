"""What an asset is: told by the signals that it has, never by its name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stagetwin_sim.machines._drives import Motor, Pump, Valve
from stagetwin_sim.machines._energy import Charger, WindTurbine
from stagetwin_sim.machines._logistics import MobileRobot, Station
from stagetwin_sim.machines._machine import Machine
from stagetwin_sim.machines._nameplate import Nameplate
from stagetwin_sim.machines._transport import Conveyor, Line
from stagetwin_sim.machines._vessels import Tank

__all__ = ["kind_of", "make_machine"]

_SIGNS: tuple[tuple[type[Machine], tuple[str, ...]], ...] = (
    (Pump, ("flow", "speed", "discharge_pressure")),
    (Motor, ("current", "torque", "winding_temperature")),
    (Tank, ("volume", "level")),
    (Tank, ("volume", "level_a")),
    (Conveyor, ("speed", "travel")),
    (Line, ("running", "throughput")),
    (WindTurbine, ("wind_speed", "rotor_speed", "power")),
    (Charger, ("current", "voltage", "contact_ok")),
    (Station, ("occupied", "queue")),
    (MobileRobot, ("battery", "driving")),
    (Valve, ("opening",)),
    (Valve, ("position", "cycles")),
)


def kind_of(plate: Nameplate) -> type[Machine]:
    """Return the kind of machine that has such signals; Machine itself where none is known."""
    return next((kind for kind, signs in _SIGNS if plate.has(*signs)), Machine)


def make_machine(
    kind: type[Machine], plate: Nameplate, of_kind: int, rng: np.random.Generator
) -> Machine:
    """Make a machine as it stands when its line begins.

    Args:
        kind: what `kind_of` says.
        plate: its signals and commands.
        of_kind: how many machines of the kind the line has: the last of three pumps or more is the
            standby and stands behind a closed valve.
        rng: source of everything random.
    """
    special: dict[type[Machine], Callable[[], Machine]] = {
        Pump: lambda: Pump(plate, standby=of_kind >= 3 and plate.ordinal == of_kind - 1),
        Tank: lambda: Tank(plate, fill=0.72 - 0.14 * (plate.ordinal % 3)),
        WindTurbine: lambda: WindTurbine(plate, rng),
    }
    return special.get(kind, lambda: kind(plate))()
