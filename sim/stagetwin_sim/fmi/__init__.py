"""FMUs of FMI 2.0 and 3.0 for co-simulation, as one system of a plan.

FMUs are native code of others: see docs/fmi.md for what is loaded, and how.
"""

from stagetwin_sim.fmi._family import FMUS, FmuFamily
from stagetwin_sim.fmi._fmu import Fmu, Variable, read_fmu
from stagetwin_sim.fmi._system import FmuHealth, FmuPlan, FmuSystem, FmuUnit
from stagetwin_sim.fmi._trial import trial

__all__ = [
    "FMUS",
    "Fmu",
    "FmuFamily",
    "FmuHealth",
    "FmuPlan",
    "FmuSystem",
    "FmuUnit",
    "Variable",
    "read_fmu",
    "trial",
]
