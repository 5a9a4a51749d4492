"""Wind turbines."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from stagetwin_sim.engine import Floats, Kind, Parameter, Port, StateVariable
from stagetwin_sim.process._wind_kernels import turbine_advance, turbine_observe

__all__ = ["BEST_COEFFICIENT", "BEST_RATIO", "WIND_TURBINE", "rotor_radius"]

BEST_COEFFICIENT = 0.4800119028278747
"""Largest power coefficient of the rotor."""

BEST_RATIO = 8.100117238232299
"""Tip speed ratio at which it has it."""


def rotor_radius(parameters: Mapping[str, Floats]) -> Floats:
    """Return the radius of rotors that reach rated power at rated wind [m], by parameters' name."""
    aerodynamic = parameters["rated_power"] / parameters["efficiency"]
    flux = 0.5 * parameters["air_density"] * BEST_COEFFICIENT * parameters["rated_wind"] ** 3
    radius: Floats = np.sqrt(aerodynamic / flux / math.pi)
    return radius


def _start(p: Mapping[str, Floats], u: Mapping[str, Floats]) -> Mapping[str, Floats]:
    """Begin facing the wind; in steady running where wind is between cut-in and rated."""
    wind, rated = u["wind_speed"], p["rated_wind"]
    runs = (u["run"] > 0.5) & (wind >= p["cut_in"]) & (wind < p["cut_out"])
    full = BEST_RATIO * rated / rotor_radius(p)
    share: Floats = np.where(runs, np.minimum(wind / rated, 1.0), 0.0)
    return {
        "rotor_speed": full * share,
        "pitch": np.where(runs, 0.0, math.pi / 2),
        "direction": u["wind_direction"] % (2 * math.pi),
        "storm": np.where(wind >= p["cut_out"], 1.0, 0.0),
        "gearbox": u["ambient"] + p["gearbox_rise"] * share**3,
        "generator": u["ambient"] + p["generator_rise"] * share**3,
    }


_DEGREE = math.pi / 180

WIND_TURBINE = Kind(
    name="wind-turbine",
    doc="variable-speed wind turbine: cubic below rated wind, pitch above, yaw, storm cut-out",
    source="Heier, Grid Integration of Wind Energy, 3rd ed. 2014, chapter 2 (power coefficient); "
    "Burton, Jenkins, Sharpe, Bossanyi, Wind Energy Handbook, 2nd ed. 2011, section 3.2 and "
    "chapter 8; Jonkman et al., NREL/TP-500-38060, 2009, section 7 (control)",
    differentiable=False,
    inputs=(
        Port("wind_speed", "m/s", 0.0, "at the hub"),
        Port("wind_direction", "rad", 0.0, "from, clockwise from north"),
        Port("power_limit", "W", 1e12, "no more than this"),
        Port("run", "1", 1.0, "over 0.5 runs, else it feathers"),
        Port("ambient", "K", 288.15, ""),
    ),
    outputs=(
        Port("power", "W", 0.0, "to the grid"),
        Port("rotor_speed", "rad/s", 0.0, ""),
        Port("pitch", "rad", 0.0, ""),
        Port("nacelle_yaw", "rad", 0.0, "counter-clockwise from above, 0 towards `heading`"),
        Port("rotor_angle", "rad", 0.0, "0 to 2 pi"),
        Port("available_power", "W", 0.0, "that the wind at the rotor gives in steady running"),
        Port("aerodynamic_power", "W", 0.0, "that the rotor took in the last step"),
        Port("thrust_coefficient", "1", 0.0, "for the wake behind it"),
        Port("yaw_error", "rad", 0.0, "wind less nacelle"),
        Port("storm", "1", 0.0, "1 from cut-out until the wind is below `restart_wind`"),
        Port("energy", "J", 0.0, "counter: to the grid"),
        Port("gearbox_temperature", "K", 288.15, ""),
        Port("generator_temperature", "K", 288.15, ""),
    ),
    parameters=(
        Parameter("rated_power", "W", 2e6, 100.0, 5e7, ""),
        Parameter("cut_in", "m/s", 3.0, 0.5, 10.0, ""),
        Parameter("rated_wind", "m/s", 12.0, 4.0, 20.0, ""),
        Parameter("cut_out", "m/s", 25.0, 10.0, 60.0, ""),
        Parameter("restart_wind", "m/s", 22.0, 5.0, 60.0, "after a storm"),
        Parameter("air_density", "kg/m3", 1.225, 0.5, 1.6, ""),
        Parameter("efficiency", "1", 0.94, 0.3, 1.0, "gearbox and generator"),
        Parameter("inertia_time", "s", 5.0, 0.2, 30.0, "kinetic energy at rated speed, of power"),
        Parameter("pitch_rate", "rad/s", 8 * _DEGREE, 1e-3, 2.0, ""),
        Parameter("yaw_rate", "rad/s", 0.5 * _DEGREE, 1e-4, 1.0, ""),
        Parameter("yaw_deadband", "rad", 8 * _DEGREE, 0.0, math.pi, ""),
        Parameter("heading", "rad", 0.0, -7.0, 7.0, "compass, of the tower's front"),
        Parameter("pitch_gain", "rad", 2.4, 0.0, 50.0, "for a speed error of 1"),
        Parameter("pitch_integral", "rad/s", 1.0, 0.0, 50.0, "for a speed error of 1"),
        Parameter("pitch_halving", "rad", 6.3 * _DEGREE, 0.01, 2.0, "where gains are half"),
        Parameter("gearbox_rise", "K", 30.0, 0.0, 200.0, "at rated power"),
        Parameter("generator_rise", "K", 55.0, 0.0, 200.0, "at rated power"),
        Parameter("thermal_time", "s", 600.0, 1.0, 1e5, ""),
        Parameter("rotor_quality", "1", 0.85, 0.5, 1.0, "of an ideal disc of the same thrust"),
    ),
    states=(
        StateVariable("rotor_speed", "rad/s", 0.0, "", 0.0, 100.0, 0.01),
        StateVariable("pitch", "rad", math.pi / 2, "", 0.0, math.pi / 2, 0.002),
        StateVariable("direction", "rad", 0.0, "compass, of the nacelle", noise=1e-3),
        StateVariable("angle", "rad", 0.0, "of the rotor", noise=0.0),
        StateVariable("yawing", "1", 0.0, "latch", noise=0.0),
        StateVariable("storm", "1", 0.0, "latch", noise=0.0),
        StateVariable("pitch_integral", "rad", 0.0, "integrator", noise=0.0),
        StateVariable("energy", "J", 0.0, "", noise=0.0),
        StateVariable("aerodynamic", "W", 0.0, "of the last step", noise=0.0),
        StateVariable("shaft", "W", 0.0, "of the last step", noise=0.0),
        StateVariable("gearbox", "K", 288.15, "", 200.0, 500.0, 0.02),
        StateVariable("generator", "K", 288.15, "", 200.0, 500.0, 0.02),
    ),
    advance=turbine_advance,
    observe=turbine_observe,
    start=_start,
)
