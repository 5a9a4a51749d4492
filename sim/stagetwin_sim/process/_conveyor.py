"""Belt conveyors."""

from __future__ import annotations

import math
from collections.abc import Mapping

from stagetwin_sim.engine import Floats, Kind, Parameter, Port, StateVariable
from stagetwin_sim.process._conveyor_kernels import CELLS, conveyor_advance, conveyor_observe

__all__ = ["CONVEYOR"]


def _start(p: Mapping[str, Floats], u: Mapping[str, Floats]) -> Mapping[str, Floats]:
    """Begin in motion, loaded evenly with the items it is said to begin with."""
    drum = u["drum_speed"] * (u["run"] > 0.5)
    cells = {f"cell{i}": p["items"].clip(0.0, p["capacity"]) / CELLS for i in range(CELLS)}
    return {
        "speed": u["shaft_speed"] * p["drum_radius"] / p["gear_ratio"] + drum,
        "drum": drum,
        **cells,
    }


CONVEYOR = Kind(
    name="conveyor",
    doc="belt conveyor: resistances, drum slip, and the items on it in plug flow",
    source="DIN 22101:2011-12 (resistances to motion, friction of the drum); plug flow in "
    f"{CELLS} cells that move with the belt",
    differentiable=False,
    inputs=(
        Port("shaft_speed", "rad/s", 0.0, "of the motor, before the gear"),
        Port("drum_speed", "m/s", 0.0, "wanted, where no motor is modelled; adds to the shaft's"),
        Port("run", "1", 1.0, "over 0.5 follows `drum_speed`, else that goes down to 0"),
        Port("infeed", "1/s", 0.0, "items offered at its tail"),
        Port("blocked", "1", 0.0, "over 0.5 nothing leaves: items pile up from its head"),
    ),
    outputs=(
        Port("speed", "m/s", 0.0, "of the belt"),
        Port("slip", "1", 0.0, "of the belt on its drum"),
        Port("items", "1", 0.0, "on the belt"),
        Port("load", "kg", 0.0, "on the belt"),
        Port("outfeed", "1/s", 0.0, "items that leave at its head"),
        Port("received", "1", 0.0, "counter of items"),
        Port("delivered", "1", 0.0, "counter of items"),
        Port("refused", "1", 0.0, "counter of items for which there was no room"),
        Port("force", "N", 0.0, "of the drum on the belt"),
        Port("load_torque", "N.m", 0.0, "at the motor's shaft"),
        Port("load_inertia", "kg.m2", 0.0, "at the motor's shaft; 0 while the belt slips"),
        Port("distance", "m", 0.0, "counter: run by the belt"),
        Port("travel", "m", 0.0, "distance within one `pitch`"),
    ),
    parameters=(
        Parameter("length", "m", 6.0, 0.1, 2e4, "between the drums, along the belt"),
        Parameter("height", "m", 0.0, -1e3, 1e3, "of its head over its tail"),
        Parameter("belt_mass", "kg/m", 4.0, 0.0, 1e3, "of one strand"),
        Parameter("roller_mass", "kg/m", 6.0, 0.0, 1e3, "turning, both strands"),
        Parameter("friction", "1", 0.025, 0.0, 0.5, "f of DIN 22101"),
        Parameter("secondary", "1", 1.8, 1.0, 10.0, "C of DIN 22101"),
        Parameter("drum_radius", "m", 0.1, 1e-3, 2.0, ""),
        Parameter("gear_ratio", "1", 20.0, 0.1, 1e3, "turns of the shaft for one of the drum"),
        Parameter("gear_efficiency", "1", 0.94, 0.1, 1.0, ""),
        Parameter("drum_friction", "1", 0.3, 0.01, 1.0, "belt on drum"),
        Parameter("tension", "N", 800.0, 0.0, 1e7, "of the slack strand"),
        Parameter("item_mass", "kg", 12.0, 0.0, 1e6, "1 makes items kilograms"),
        Parameter("capacity", "1", 8.0, 1e-6, 1e9, "items that fit on the belt"),
        Parameter("acceleration", "m/s2", 0.3, 1e-4, 100.0, "with which `drum_speed` is followed"),
        Parameter("wrap", "rad", math.pi, 0.1, 20.0, "angle of the belt on its drum"),
        Parameter("pitch", "m", 1.5, 1e-3, 1e4, "of `travel`"),
        Parameter("items", "1", 0.0, 0.0, 1e9, "that it begins with"),
    ),
    states=(
        StateVariable("speed", "m/s", 0.0, "of the belt", noise=0.01),
        StateVariable("drum", "m/s", 0.0, "`drum_speed` behind its ramp", noise=0.0),
        StateVariable("phase", "1", 0.0, "how far the belt is on its way by one cell", noise=0.0),
        StateVariable("entry", "1", 0.0, "items in the cell that is being filled", 0.0),
        StateVariable("received", "1", 0.0, "", noise=0.0),
        StateVariable("delivered", "1", 0.0, "", noise=0.0),
        StateVariable("refused", "1", 0.0, "", noise=0.0),
        StateVariable("distance", "m", 0.0, "", noise=0.0),
        StateVariable("force", "N", 0.0, "", noise=0.0),
        *(StateVariable(f"cell{i}", "1", 0.0, "items in it", 0.0) for i in range(CELLS)),
    ),
    advance=conveyor_advance,
    observe=conveyor_observe,
    start=_start,
)
