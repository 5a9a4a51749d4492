"""Observers: states corrected by what is measured, and what each signal should be.

`Observer` serves a whole plant; `FilterBank` one group of any engine.
"""

from stagetwin_sim.estimation._bank import FilterBank, first_deviation, process_noise
from stagetwin_sim.estimation._observer import Observer
from stagetwin_sim.estimation._residuals import Fate, Measured, Residual, Residuals
from stagetwin_sim.estimation._slots import Correctable

__all__ = [
    "Correctable",
    "Fate",
    "FilterBank",
    "Measured",
    "Observer",
    "Residual",
    "Residuals",
    "first_deviation",
    "process_noise",
]
