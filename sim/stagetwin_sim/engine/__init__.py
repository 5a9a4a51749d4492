"""The engine: models of one kind as batches, in any number of worlds, on CPU and CUDA alike.

A plan says what runs: columns of a bus, where models meet, and systems that read and write it. An
engine steps a plan frame by frame, from graphs that were captured once. Its state can be saved,
restored and forked between any two frames.
"""

from stagetwin_sim.engine._arrays import host_copy
from stagetwin_sim.engine._engine import Engine
from stagetwin_sim.engine._group import Group, GroupPlan
from stagetwin_sim.engine._kind import Floats, Kind, Parameter, Port, StartValues, StateVariable
from stagetwin_sim.engine._plan import FRAME, Column, Plan, PlanBuilder, fingerprint
from stagetwin_sim.engine._snapshot import Snapshot
from stagetwin_sim.engine._system import Context, Saved, System, SystemPlan

__all__ = [
    "FRAME",
    "Column",
    "Context",
    "Engine",
    "Floats",
    "Group",
    "GroupPlan",
    "Kind",
    "Parameter",
    "Plan",
    "PlanBuilder",
    "Port",
    "Saved",
    "Snapshot",
    "StartValues",
    "StateVariable",
    "System",
    "SystemPlan",
    "fingerprint",
    "host_copy",
]
