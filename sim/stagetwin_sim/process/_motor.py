"""Induction motors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stagetwin_sim.engine import Floats, Kind, Parameter, Port, StateVariable
from stagetwin_sim.process._motor_kernels import motor_advance, motor_observe

__all__ = ["INDUCTION_MOTOR", "CircuitResult", "steady_circuit"]

CircuitResult = tuple[Floats, Floats, Floats]


def steady_circuit(
    parameters: Mapping[str, Floats], voltage: Floats, frequency: Floats, slip: Floats
) -> CircuitResult:
    """Return stator and rotor current (phase peaks, the voltage real) and torque in steady state.

    Fitzgerald, Kingsley, Umans, Electric Machinery, 6th ed. 2003, section 6.3; the same circuit is
    that of IEEE Std 112-2017 without stray load.

    Args:
        parameters: of the kind, by name.
        voltage: line to line, RMS [V].
        frequency: [Hz].
        slip: not zero [1].
    """
    base = parameters["rated_voltage"] ** 2 / parameters["rated_power"]
    share = frequency / parameters["rated_frequency"]
    magnetizing = 1j * share * parameters["magnetizing_reactance"] * base
    stator = (parameters["stator_resistance"] + 1j * share * parameters["stator_leakage"]) * base
    rotor = (parameters["rotor_resistance"] / slip + 1j * share * parameters["rotor_leakage"]) * (
        base
    )
    peak = np.sqrt(2 / 3) * voltage
    parallel = magnetizing * rotor / (magnetizing + rotor)
    i_stator = peak / (stator + parallel)
    i_rotor = -i_stator * parallel / rotor
    air_gap = 1.5 * np.abs(i_rotor) ** 2 * parameters["rotor_resistance"] * base / slip
    torque = air_gap * parameters["pole_pairs"] / (2 * np.pi * frequency)
    return i_stator, i_rotor, torque


def _start(p: Mapping[str, Floats], u: Mapping[str, Floats]) -> Mapping[str, Floats]:
    """Begin in the steady state of supply and load; at rest without supply or if it would stall."""
    live = (u["voltage"] > 0) & (u["frequency"] > 0)
    voltage = np.where(live, u["voltage"], p["rated_voltage"])
    frequency = np.where(live, u["frequency"], p["rated_frequency"])
    sync = 2 * np.pi * frequency / p["pole_pairs"]
    low, high = np.full_like(voltage, 1e-9), np.ones_like(voltage)
    # Breakdown lies where the slip takes the most; below it, torque grows with slip.
    grid = np.geomspace(1e-4, 1.0, 200)[:, None]
    high = grid[np.argmax(steady_circuit(p, voltage, frequency, grid)[2], axis=0), 0]
    most = steady_circuit(p, voltage, frequency, high)[2]
    load = np.maximum(u["load_torque"], 0.0)
    for _ in range(60):
        middle = (low + high) / 2
        need = load + p["friction"] * sync * (1 - middle)
        short = steady_circuit(p, voltage, frequency, middle)[2] < need
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    runs = live & (most > load)
    i_stator, i_rotor, _ = steady_circuit(p, voltage, frequency, high)
    henry = p["rated_voltage"] ** 2 / p["rated_power"] / (2 * np.pi * p["rated_frequency"])
    mutual = p["magnetizing_reactance"] * henry
    stator = (p["stator_leakage"] + p["magnetizing_reactance"]) * henry * i_stator
    rotor = (p["rotor_leakage"] + p["magnetizing_reactance"]) * henry * i_rotor
    stator, rotor = stator + mutual * i_rotor, rotor + mutual * i_stator
    return {
        "stator_flux_d": np.where(runs, stator.real, 0.0),
        "stator_flux_q": np.where(runs, stator.imag, 0.0),
        "rotor_flux_d": np.where(runs, rotor.real, 0.0),
        "rotor_flux_q": np.where(runs, rotor.imag, 0.0),
        "speed": np.where(runs, sync * (1 - high), 0.0),
    }


INDUCTION_MOTOR = Kind(
    name="induction-motor",
    doc="three-phase squirrel-cage induction motor: fluxes, torque, slip, losses",
    source="Krause, Wasynczuk, Sudhoff, Pekarek, Analysis of Electric Machinery and Drive Systems, "
    "3rd ed. 2013, sections 6.4 to 6.8; equivalent circuit of IEEE Std 112-2017; resistance over "
    "temperature by IEC 60034-1:2022",
    rate=1000.0,
    phase="electrical",
    inputs=(
        Port("voltage", "V", 0.0, "line to line, RMS; 0 opens the terminals"),
        Port("frequency", "Hz", 0.0, "of the supply"),
        Port("load_torque", "N.m", 0.0, "what the driven machine takes; a load never drives back"),
        Port("load_inertia", "kg.m2", 0.0, "of the driven machine, at this shaft"),
        Port("winding_temperature", "K", 293.15, "for the resistance of the stator"),
    ),
    outputs=(
        Port("speed", "rad/s", 0.0, "of the shaft"),
        Port("torque", "N.m", 0.0, "in the air gap"),
        Port("current", "A", 0.0, "of a line, RMS"),
        Port("power", "W", 0.0, "drawn; negative while it brakes"),
        Port("shaft_power", "W", 0.0, "what torque less friction does at the shaft"),
        Port("power_factor", "1", 0.0, "0 without supply"),
        Port("efficiency", "1", 0.0, "shaft power over power; 0 below 1 % of rated power"),
        Port("slip", "1", 0.0, "0 without supply"),
        Port("loss", "W", 0.0, "stator, rotor, core and friction"),
        Port("winding_heat", "J", 0.0, "counter: lost in the stator's winding"),
        Port("frame_heat", "J", 0.0, "counter: lost in rotor, core and by friction"),
        Port("energy", "J", 0.0, "counter: drawn"),
        Port("work", "J", 0.0, "counter: given to the driven machine"),
    ),
    parameters=(
        Parameter("rated_power", "W", 15e3, 1.0, 1e8, "at the shaft; base of the resistances"),
        Parameter("rated_voltage", "V", 400.0, 1.0, 2e4, "line to line, RMS"),
        Parameter("rated_frequency", "Hz", 50.0, 1.0, 1000.0, ""),
        Parameter("pole_pairs", "1", 2.0, 1.0, 50.0, ""),
        Parameter("stator_resistance", "1", 0.022, 1e-4, 0.3, "of V2/P at 20 Cel"),
        Parameter("rotor_resistance", "1", 0.022, 1e-4, 0.5, "of V2/P"),
        Parameter("stator_leakage", "1", 0.055, 1e-3, 0.5, "reactance at rated frequency, of V2/P"),
        Parameter("rotor_leakage", "1", 0.065, 1e-3, 0.5, "reactance at rated frequency, of V2/P"),
        Parameter("magnetizing_reactance", "1", 2.2, 0.3, 20.0, "at rated frequency, of V2/P"),
        Parameter("core_loss", "1", 0.018, 0.0, 0.2, "at rated voltage, of rated power"),
        Parameter("inertia", "kg.m2", 0.12, 1e-6, 1e5, "of its rotor"),
        Parameter("friction", "N.m.s", 0.006, 0.0, 1e3, "torque per speed: bearings and fan"),
    ),
    states=(
        StateVariable("stator_flux_d", "V.s", 0.0, "along the voltage; phase peak", noise=0.0),
        StateVariable("stator_flux_q", "V.s", 0.0, "", noise=0.0),
        StateVariable("rotor_flux_d", "V.s", 0.0, "", noise=0.0),
        StateVariable("rotor_flux_q", "V.s", 0.0, "", noise=0.0),
        StateVariable("speed", "rad/s", 0.0, "of the shaft", noise=0.05),
        StateVariable("energy", "J", 0.0, "drawn", noise=0.0),
        StateVariable("winding_heat", "J", 0.0, "", noise=0.0),
        StateVariable("frame_heat", "J", 0.0, "", noise=0.0),
        StateVariable("work", "J", 0.0, "given to the driven machine", noise=0.0),
    ),
    advance=motor_advance,
    observe=motor_observe,
    start=_start,
)
