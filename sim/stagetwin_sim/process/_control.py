"""Ramps, PID controllers and drives."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stagetwin_sim.engine import Floats, Kind, Parameter, Port, StateVariable
from stagetwin_sim.process._control_kernels import (
    drive_advance,
    drive_observe,
    pid_advance,
    pid_observe,
    ramp_advance,
    ramp_observe,
)

__all__ = ["DRIVE", "PID", "RAMP"]

_FAR = 1e12

RAMP = Kind(
    name="ramp",
    doc="a setpoint that is followed within limits of value and rate",
    source="definition",
    phase="control",
    differentiable=False,
    inputs=(
        Port("setpoint", "*", 0.0, "what is wanted"),
        Port("run", "1", 1.0, "over 0.5 runs; else it goes down to 0"),
    ),
    outputs=(
        Port("value", "*", 0.0, "what follows"),
        Port("moving", "1", 0.0, "1 until it is there"),
    ),
    parameters=(
        Parameter("rate_up", "1/s", 1.0, 0.0, _FAR, "[unit of the value each second]"),
        Parameter("rate_down", "1/s", 1.0, 0.0, _FAR, "[unit of the value each second]"),
        Parameter("minimum", "1", -_FAR, -_FAR, _FAR, "[unit of the value]"),
        Parameter("maximum", "1", _FAR, -_FAR, _FAR, "[unit of the value]"),
    ),
    states=(StateVariable("value", "1", 0.0, ""),),
    advance=ramp_advance,
    observe=ramp_observe,
)


def _pid_start(p: Mapping[str, Floats], u: Mapping[str, Floats]) -> Mapping[str, Floats]:
    return {"measured": u["measured"], "output": p["rest"]}


PID = Kind(
    name="pid",
    doc="PID controller: anti-windup by tracking, manual without a bump, timers",
    source="Astrom, Murray, Feedback Systems, 2008, section 10.5; anti-windup by back-calculation: "
    "Astrom, Hagglund, Advanced PID Control, 2006, section 3.5",
    phase="control",
    differentiable=False,
    inputs=(
        Port("setpoint", "*", 0.0, "[unit of what is measured]"),
        Port("measured", "*", 0.0, ""),
        Port("enable", "1", 1.0, "over 0.5 controls; else the output rests"),
        Port("manual", "1", 0.0, "over 0.5 puts out `manual_output`"),
        Port("manual_output", "*", 0.0, "[unit of the output]"),
        Port("feedforward", "*", 0.0, "[unit of the output]"),
    ),
    outputs=(
        Port("output", "*", 0.0, ""),
        Port("error", "*", 0.0, "setpoint less measured"),
        Port("saturated", "1", 0.0, "1 at a limit of the output"),
        Port("waiting", "1", 0.0, "1 during `start_delay`"),
        Port("deviating", "1", 0.0, "1 once the error was over `deviation` for `deviation_delay`"),
    ),
    parameters=(
        Parameter("gain", "1", 1.0, 0.0, _FAR, "[unit of the output by that of what is measured]"),
        Parameter("integral_time", "s", 10.0, 0.0, _FAR, "0 is no integral"),
        Parameter("derivative_time", "s", 0.0, 0.0, _FAR, "0 is no derivative"),
        Parameter("derivative_filter", "1", 10.0, 1.0, 100.0, "derivative gain at most"),
        Parameter("setpoint_weight", "1", 1.0, 0.0, 1.0, "of the proportional part"),
        Parameter("minimum", "1", 0.0, -_FAR, _FAR, "of the output [its unit]"),
        Parameter("maximum", "1", 1.0, -_FAR, _FAR, "of the output [its unit]"),
        Parameter("direction", "1", 1.0, -1.0, 1.0, "-1 where more output lowers what is measured"),
        Parameter("rest", "1", 0.0, -_FAR, _FAR, "output while not enabled [its unit]"),
        Parameter("start_delay", "s", 0.0, 0.0, 1e6, "from enabling to controlling"),
        Parameter("tracking_time", "s", 1.0, 1e-3, _FAR, "of the anti-windup"),
        Parameter("deviation", "1", _FAR, 0.0, _FAR, "allowed error [its unit]"),
        Parameter("deviation_delay", "s", 10.0, 0.0, 1e6, ""),
    ),
    states=(
        StateVariable("integral", "1", 0.0, "", noise=0.0),
        StateVariable("derivative", "1", 0.0, "", noise=0.0),
        StateVariable("measured", "1", 0.0, "of the step before", noise=0.0),
        StateVariable("output", "1", 0.0, "", noise=0.0),
        StateVariable("wait", "s", 0.0, "timer of the start", noise=0.0),
        StateVariable("deviating", "s", 0.0, "timer of the deviation", noise=0.0),
    ),
    advance=pid_advance,
    observe=pid_observe,
    start=_pid_start,
)


def _drive_start(p: Mapping[str, Floats], u: Mapping[str, Floats]) -> Mapping[str, Floats]:
    """Begin where the shaft turns, if it is to run."""
    runs = u["run"] > 0.5
    return {
        "reference": np.where(runs, u["speed"].clip(0.0, p["maximum"]), 0.0),
        "temperature": u["ambient"],
        "on": np.where(runs & (u["speed"] > 0), 1.0, 0.0),
    }


DRIVE = Kind(
    name="drive",
    doc="frequency converter: speed ramp, constant V/f, speed control, current limit, heat sink",
    source="Mohan, Undeland, Robbins, Power Electronics, 3rd ed. 2003, chapter 14 (V/f with "
    "voltage boost and slip compensation); heat sink as a first-order lag",
    phase="control",
    differentiable=False,
    inputs=(
        Port("setpoint", "rad/s", 0.0, "speed of the shaft"),
        Port("run", "1", 1.0, "over 0.5 runs; else it ramps down and then lets go"),
        Port("speed", "rad/s", 0.0, "of the motor, for its speed control"),
        Port("current", "A", 0.0, "of the motor, for its current limit"),
        Port("power", "W", 0.0, "that the motor draws"),
        Port("ambient", "K", 295.15, ""),
    ),
    outputs=(
        Port("frequency", "Hz", 0.0, ""),
        Port("voltage", "V", 0.0, "line to line, RMS; 0 lets the motor go"),
        Port("reference", "rad/s", 0.0, "the setpoint behind its ramp"),
        Port("running", "1", 0.0, ""),
        Port("line_power", "W", 0.0, "drawn from the mains; what the motor brakes is burnt"),
        Port("drive_temperature", "K", 295.15, "of the heat sink"),
        Port("starts", "1", 0.0, "counter"),
    ),
    parameters=(
        Parameter("rated_voltage", "V", 400.0, 1.0, 2e4, "of the motor, line to line, RMS"),
        Parameter("rated_frequency", "Hz", 50.0, 1.0, 1000.0, "of the motor"),
        Parameter("pole_pairs", "1", 2.0, 1.0, 50.0, "of the motor"),
        Parameter("rate_up", "rad/s2", 40.0, 1e-3, 1e5, ""),
        Parameter("rate_down", "rad/s2", 40.0, 1e-3, 1e5, ""),
        Parameter("minimum", "rad/s", 0.0, 0.0, 1e4, "speed while it runs"),
        Parameter("maximum", "rad/s", 400.0, 0.0, 1e4, ""),
        Parameter("boost", "1", 0.03, 0.0, 0.2, "voltage at 0 Hz, of rated voltage"),
        Parameter("control_gain", "1/s", 2.0, 0.0, 50.0, "of the speed control, an integrator"),
        Parameter("slip_limit", "1", 0.06, 0.0, 0.3, "of rated frequency; 0 is no speed control"),
        Parameter("current_limit", "A", 1e9, 0.0, 1e9, "over which it accelerates no further"),
        Parameter("efficiency", "1", 0.97, 0.5, 1.0, ""),
        Parameter("thermal_resistance", "K/W", 0.05, 0.0, 100.0, "heat sink to ambient"),
        Parameter("thermal_time", "s", 180.0, 1.0, 1e5, "of the heat sink"),
    ),
    states=(
        StateVariable("reference", "rad/s", 0.0, "", noise=0.0),
        StateVariable("trim", "Hz", 0.0, "integrator of the speed control", noise=0.0),
        StateVariable("temperature", "K", 295.15, "of the heat sink", noise=0.05),
        StateVariable("starts", "1", 0.0, "", noise=0.0),
        StateVariable("on", "1", 0.0, "whether it was to run", noise=0.0),
    ),
    advance=drive_advance,
    observe=drive_observe,
    start=_drive_start,
)
