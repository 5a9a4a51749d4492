"""Process machines: drives and motors, conveyors, wind turbines, batteries, controllers, monitors.

Each is a kind of model, found by its entry point in the group `stagetwin.models`; docs/process.md
has their ports, parameters and states.
"""

from stagetwin_sim.process._battery import BATTERY
from stagetwin_sim.process._control import DRIVE, PID, RAMP
from stagetwin_sim.process._conveyor import CONVEYOR
from stagetwin_sim.process._monitor import PUMP_MONITOR
from stagetwin_sim.process._motor import INDUCTION_MOTOR, steady_circuit
from stagetwin_sim.process._park import ParkPlan, WindPark
from stagetwin_sim.process._thermal import BEARING, MOTOR_THERMAL
from stagetwin_sim.process._wind import WIND_TURBINE, rotor_radius

__all__ = [
    "BATTERY",
    "BEARING",
    "CONVEYOR",
    "DRIVE",
    "INDUCTION_MOTOR",
    "MOTOR_THERMAL",
    "PID",
    "PUMP_MONITOR",
    "RAMP",
    "WIND_PARK",
    "WIND_TURBINE",
    "ParkPlan",
    "WindPark",
    "rotor_radius",
    "steady_circuit",
]

WIND_PARK = WindPark()
"""The family `wind-park`."""
