"""Monitors: what measurements say of a machine."""

from __future__ import annotations

from stagetwin_sim.engine import Kind, Parameter, Port
from stagetwin_sim.process._monitor_kernels import pump_monitor_observe

__all__ = ["PUMP_MONITOR"]

PUMP_MONITOR = Kind(
    name="pump-monitor",
    doc="actual efficiency of a pump from its measurements, against that of its curve",
    source="ISO 9906:2012 (overall efficiency): flow times pressure rise over "
    "electrical power; in kW, flow in l/min times pressure in bar over 600. Nominal: that of the "
    "kind `pump`",
    phase="monitor",
    inputs=(
        Port("flow", "m3/s", 0.0, ""),
        Port("suction_pressure", "Pa", 0.0, ""),
        Port("discharge_pressure", "Pa", 0.0, ""),
        Port("power", "W", 0.0, "electrical"),
        Port("speed", "rad/s", 303.7, "of the pump"),
    ),
    outputs=(
        Port("hydraulic_power", "W", 0.0, ""),
        Port("efficiency", "1", 0.0, "actual, of pump, motor and drive together"),
        Port("nominal_efficiency", "1", 0.0, "of a sound pump at this flow and speed, likewise"),
        Port("efficiency_ratio", "1", 1.0, "actual over nominal; 1 while it is not judged"),
        Port("judged", "1", 0.0, "1 while there is enough flow and power to judge by"),
        Port("head", "m", 0.0, ""),
    ),
    parameters=(
        Parameter("rated_flow", "m3/s", 0.0139, 1e-6, 100.0, "where its efficiency is best"),
        Parameter("rated_speed", "rad/s", 303.7, 1.0, 1e4, ""),
        Parameter("rated_efficiency", "1", 0.75, 0.05, 1.0, "of the pump"),
        Parameter("motor_efficiency", "1", 0.9, 0.05, 1.0, "of motor and drive"),
        Parameter("minimum_power", "W", 100.0, 1e-3, 1e8, "below which nothing is judged"),
        Parameter("minimum_flow", "1", 0.2, 0.01, 2.0, "of rated flow, likewise"),
        Parameter("density", "kg/m3", 998.2, 100.0, 2e4, ""),
    ),
    observe=pump_monitor_observe,
)
