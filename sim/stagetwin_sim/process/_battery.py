"""Batteries."""

from __future__ import annotations

from collections.abc import Mapping

from stagetwin_sim.engine import Floats, Kind, Parameter, Port, StateVariable
from stagetwin_sim.process._battery_kernels import battery_advance, battery_observe

__all__ = ["BATTERY"]


def _start(p: Mapping[str, Floats], u: Mapping[str, Floats]) -> Mapping[str, Floats]:
    return {"soc": p["soc"], "temperature": u["ambient"]}


BATTERY = Kind(
    name="battery",
    doc="cells in series: charge, resting voltage, resistance and one RC pair, heat",
    source="Chen, Rincon-Mora, Accurate Electrical Battery Model Capable of Predicting Runtime and "
    "I-V Performance, IEEE Trans. Energy Convers. 21(2), 2006; Plett, Battery Management Systems, "
    "vol. I, 2015, chapter 2",
    rate=20.0,
    inputs=(
        Port("current", "A", 0.0, "positive charges"),
        Port("ambient", "K", 295.15, ""),
    ),
    outputs=(
        Port("voltage", "V", 0.0, "at the terminals"),
        Port("soc", "1", 0.0, "state of charge"),
        Port("resting_voltage", "V", 0.0, ""),
        Port("accepted_current", "A", 0.0, "0 while full or empty and asked for more"),
        Port("power", "W", 0.0, "at the terminals, positive charges"),
        Port("temperature", "K", 295.15, ""),
        Port("stored_energy", "J", 0.0, "over empty"),
        Port("energy", "J", 0.0, "counter: in at the terminals, less out"),
        Port("heat", "J", 0.0, "counter: lost in resistances"),
        # Charge itself ends at 0 and 1: what is asked for beyond that is what may not be.
        Port("refused_current", "A", 0.0, "asked for while full or empty, its size", high=0.0),
    ),
    parameters=(
        Parameter("capacity", "C", 360e3, 1.0, 1e10, "charge: 100 A.h is 360,000 C"),
        Parameter("cells", "1", 13.0, 1.0, 1e4, "in series"),
        Parameter("resistance", "Ohm", 0.02, 0.0, 1e3, "of the battery"),
        Parameter("polarisation_resistance", "Ohm", 0.015, 1e-9, 1e3, "of the RC pair"),
        Parameter("polarisation_capacitance", "F", 15e3, 1e-3, 1e9, "of the RC pair"),
        Parameter("heat_capacity", "J/K", 25e3, 1.0, 1e9, ""),
        Parameter("conductance", "W/K", 3.0, 1e-4, 1e6, "to ambient"),
        Parameter("soc", "1", 0.8, 0.0, 1.0, "that it begins with"),
        Parameter("ocv_constant", "V", 3.685, 0.1, 10.0, "of the resting voltage of one cell"),
        Parameter("ocv_linear", "V", 0.2156, -10.0, 10.0, "times soc"),
        Parameter("ocv_square", "V", -0.1178, -10.0, 10.0, "times soc2"),
        Parameter("ocv_cube", "V", 0.3201, -10.0, 10.0, "times soc3"),
        Parameter("ocv_knee", "V", -1.031, -10.0, 0.0, "times exp(-ocv_rate soc)"),
        Parameter("ocv_rate", "1", 35.0, 0.1, 1e3, ""),
    ),
    states=(
        StateVariable("soc", "1", 0.8, "", 0.0, 1.0, 1e-6),
        StateVariable("polarisation", "V", 0.0, "of the RC pair", noise=1e-4),
        StateVariable("temperature", "K", 295.15, "", 200.0, 500.0, 0.01),
        StateVariable("taken", "A", 0.0, "current of the last step", noise=0.0),
        StateVariable("energy", "J", 0.0, "", noise=0.0),
        StateVariable("heat", "J", 0.0, "", noise=0.0),
    ),
    advance=battery_advance,
    observe=battery_observe,
    start=_start,
)
