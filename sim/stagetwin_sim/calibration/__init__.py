"""Calibration: parameters fitted to telemetry, with what the data can and cannot tell."""

from stagetwin_sim.calibration._fit import Progress, fit, simulate
from stagetwin_sim.calibration._fitted import Fitted, Identifiability
from stagetwin_sim.calibration._free import Prior
from stagetwin_sim.calibration._gather import Gathered, gather
from stagetwin_sim.calibration._parameter_set import (
    ParameterSet,
    SetValue,
    apply_parameter_set,
    read_parameter_set,
    unproven,
    write_parameter_set,
)
from stagetwin_sim.calibration._plot import plot_fit
from stagetwin_sim.calibration._recorded import Recorded
from stagetwin_sim.calibration._sweep import Objective, Swept, sweep, worlds_objective
from stagetwin_sim.calibration._telemetry import Telemetry
from stagetwin_sim.calibration._track import Drift, Tracker
from stagetwin_sim.calibration._tracked import Tracked, read_tracked
from stagetwin_sim.calibration._tracking import Tracking

__all__ = [
    "Drift",
    "Fitted",
    "Gathered",
    "Identifiability",
    "Objective",
    "ParameterSet",
    "Prior",
    "Progress",
    "Recorded",
    "SetValue",
    "Swept",
    "Telemetry",
    "Tracked",
    "Tracker",
    "Tracking",
    "apply_parameter_set",
    "fit",
    "gather",
    "plot_fit",
    "read_parameter_set",
    "read_tracked",
    "simulate",
    "sweep",
    "unproven",
    "worlds_objective",
    "write_parameter_set",
]
