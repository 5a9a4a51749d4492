"""Hydraulics: pumps, pipes, valves and tanks in networks that are solved as a whole."""

from stagetwin_sim.hydraulics._assembly import ElementPlan
from stagetwin_sim.hydraulics._elements import ELEMENTS, Element
from stagetwin_sim.hydraulics._family import HYDRAULICS, HydraulicFamily
from stagetwin_sim.hydraulics._singles import PIPE_LOSS, PUMP_CURVE, TANK_LEVEL, VALVE_FLOW
from stagetwin_sim.hydraulics._system import HydraulicPlan, HydraulicSystem, hydraulic_plan

__all__ = [
    "ELEMENTS",
    "HYDRAULICS",
    "PIPE_LOSS",
    "PUMP_CURVE",
    "TANK_LEVEL",
    "VALVE_FLOW",
    "Element",
    "ElementPlan",
    "HydraulicFamily",
    "HydraulicPlan",
    "HydraulicSystem",
    "hydraulic_plan",
]
