"""Heat of motors, and wear of bearings."""

from __future__ import annotations

from collections.abc import Mapping

from stagetwin_sim.engine import Floats, Kind, Parameter, Port, StateVariable
from stagetwin_sim.process._thermal_kernels import (
    bearing_advance,
    bearing_observe,
    motor_thermal_advance,
    motor_thermal_observe,
)

__all__ = ["BEARING", "MOTOR_THERMAL"]


def _thermal_start(p: Mapping[str, Floats], u: Mapping[str, Floats]) -> Mapping[str, Floats]:
    """Begin in the steady state of the losses that are fed as power: at ambient without."""
    total = u["winding_loss"] + u["frame_loss"]
    fan = p["fan_conductance"] * (abs(u["speed"]) / p["rated_speed"]).clip(0.0, 1.0)
    frame = u["ambient"] + total / (p["frame_conductance"] + fan)
    return {
        "winding_temperature": frame + u["winding_loss"] / p["winding_conductance"],
        "frame_temperature": frame,
        "winding_seen": u["winding_heat"],
        "frame_seen": u["frame_heat"],
    }


MOTOR_THERMAL = Kind(
    name="motor-thermal",
    doc="two nodes, winding and frame; a fan on the shaft cools with speed",
    source="Boglietti et al., Evolution and Modern Approaches for Thermal Analysis of Electrical "
    "Machines, IEEE Trans. Ind. Electron. 56(3), 2009; class limits: IEC 60085:2007",
    rate=1.0,
    inputs=(
        Port("winding_loss", "W", 0.0, "power into the winding"),
        Port("frame_loss", "W", 0.0, "power into the frame"),
        Port("winding_heat", "J", 0.0, "counter; what was added since the last step goes in"),
        Port("frame_heat", "J", 0.0, "counter"),
        Port("speed", "rad/s", 0.0, "of the shaft with the fan"),
        Port("ambient", "K", 295.15, ""),
    ),
    outputs=(
        Port("winding_temperature", "K", 295.15, ""),
        Port("frame_temperature", "K", 295.15, ""),
        Port("margin", "K", 0.0, "to the limit of the winding", low=0.0),
        Port("thermal_use", "1", 0.0, "share of the allowed rise over ambient"),
        Port("heat_out", "J", 0.0, "counter: given to the air"),
    ),
    parameters=(
        Parameter("winding_capacity", "J/K", 5000.0, 1.0, 1e8, ""),
        Parameter("frame_capacity", "J/K", 45e3, 1.0, 1e9, ""),
        Parameter("winding_conductance", "W/K", 18.0, 1e-3, 1e6, "winding to frame"),
        Parameter("frame_conductance", "W/K", 8.0, 1e-3, 1e6, "frame to air, standing"),
        Parameter("fan_conductance", "W/K", 18.0, 0.0, 1e6, "more of it at rated speed"),
        Parameter("rated_speed", "rad/s", 153.0, 1e-3, 1e4, ""),
        Parameter("limit", "K", 428.15, 273.15, 600.0, "of the winding: class F is 155 Cel"),
    ),
    states=(
        StateVariable("winding_temperature", "K", 295.15, "", 200.0, 700.0, 0.05),
        StateVariable("frame_temperature", "K", 295.15, "", 200.0, 700.0, 0.02),
        StateVariable("heat_out", "J", 0.0, "", noise=0.0),
        StateVariable("winding_seen", "J", 0.0, "counter at the last step", noise=0.0),
        StateVariable("frame_seen", "J", 0.0, "counter at the last step", noise=0.0),
    ),
    advance=motor_thermal_advance,
    observe=motor_thermal_observe,
    start=_thermal_start,
)


def _bearing_start(p: Mapping[str, Floats], u: Mapping[str, Floats]) -> Mapping[str, Floats]:
    """Begin in the steady state of speed and load."""
    friction = 0.5 * p["friction"] * abs(u["load"]) * p["bore"]
    heat = friction * (1 + p["friction_growth"] * p["damage"]) * abs(u["speed"])
    return {"damage": p["damage"], "temperature": u["ambient"] + heat / p["conductance"]}


BEARING = Kind(
    name="bearing",
    doc="rolling bearing: rated life, accumulated damage, friction, temperature, vibration",
    source="ISO 281:2007 (life); Palmgren 1924, Miner 1945 (sum of damage); SKF, Rolling bearings, "
    "2018 (friction); Gebraeel et al., IIE Trans. 37(6), 2005 (exponential growth of vibration)",
    rate=1.0,
    fidelity="screening",
    inputs=(
        Port("speed", "rad/s", 0.0, "of the shaft"),
        Port("load", "N", 1500.0, "equivalent dynamic load"),
        Port("ambient", "K", 295.15, "of what the housing gives its heat to"),
    ),
    outputs=(
        Port("temperature", "K", 295.15, ""),
        Port("vibration", "m/s", 0.0, "velocity, RMS"),
        Port("damage", "1", 0.0, "of 1", high=1.0),
        Port("remaining_life", "s", 0.0, "at this load and rated speed, that 90 % reach"),
        Port("friction_torque", "N.m", 0.0, ""),
        Port("friction_power", "W", 0.0, ""),
    ),
    parameters=(
        Parameter("dynamic_rating", "N", 32.5e3, 1.0, 1e8, "C of its catalogue"),
        Parameter("exponent", "1", 3.0, 3.0, 10 / 3, "3 for balls, 10/3 for rollers"),
        Parameter("life_factor", "1", 1.0, 0.01, 50.0, "a1 aISO: reliability, lubrication, dirt"),
        Parameter("wear_factor", "1", 1.0, 1e-6, 1e9, "damage goes so much faster"),
        Parameter("friction", "1", 0.0015, 0.0, 0.1, "coefficient"),
        Parameter("bore", "m", 0.04, 1e-3, 5.0, ""),
        Parameter("heat_capacity", "J/K", 600.0, 1.0, 1e7, "with its housing"),
        Parameter("conductance", "W/K", 0.5, 1e-3, 1e5, "housing to ambient"),
        Parameter("rated_speed", "rad/s", 153.0, 1e-3, 1e5, ""),
        Parameter("rated_vibration", "m/s", 1e-3, 0.0, 1.0, "at rated speed without damage"),
        Parameter("friction_growth", "1", 4.0, 0.0, 100.0, "share of it added at damage 1"),
        Parameter("vibration_growth", "1", 2.5, 0.0, 10.0, "its logarithm at damage 1"),
        Parameter("damage", "1", 0.0, 0.0, 1.0, "that it begins with"),
    ),
    states=(
        StateVariable("damage", "1", 0.0, "", 0.0, 1.0, 1e-6),
        StateVariable("temperature", "K", 295.15, "", 200.0, 600.0, 0.02),
    ),
    advance=bearing_advance,
    observe=bearing_observe,
    start=_bearing_start,
)
