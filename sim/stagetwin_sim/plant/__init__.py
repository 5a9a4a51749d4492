"""The models of a stage, read into a plan."""

from stagetwin_sim.plant._model import Feed, Instance, Output, PlantModel
from stagetwin_sim.plant._read import read_plant
from stagetwin_sim.plant._scope import PHASES, Family, PortScope, group_plan
from stagetwin_sim.plant._units import Conversion, UnitsError, conversion

__all__ = [
    "PHASES",
    "Conversion",
    "Family",
    "Feed",
    "Instance",
    "Output",
    "PlantModel",
    "PortScope",
    "UnitsError",
    "conversion",
    "group_plan",
    "read_plant",
]
