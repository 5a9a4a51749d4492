"""Faults of machines and of their sensors: scripted, seeded, or given on demand.

A fault of the process goes into the models: a port that nothing else feeds (`wear`, `leak`,
`blockage`, `stuck`, ...) takes its value, and everything that the plant shows follows from that. A
fault of a sensor changes what one signal says, and nothing of what it measures.
"""

from stagetwin_sim.faults._fault import Fault, FaultScript
from stagetwin_sim.faults._faults import Faults
from stagetwin_sim.faults._sensors import SENSOR_KINDS, SensorKind
from stagetwin_sim.faults._weakness import Weakness, port_range

__all__ = [
    "SENSOR_KINDS",
    "Fault",
    "FaultScript",
    "Faults",
    "SensorKind",
    "Weakness",
    "port_range",
]
