"""Models in place of machines: fed by what controllers do, telling what sensors measure."""

from stagetwin_sim.standin._physics import Physics
from stagetwin_sim.standin._reach import models_for

__all__ = ["Physics", "models_for"]
