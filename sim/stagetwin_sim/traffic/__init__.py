"""Who goes first, what vehicles of a fleet do, and what came of it."""

from stagetwin_sim.traffic._bodies import SimulatedBodies, make_bodies
from stagetwin_sim.traffic._grid import GridMap
from stagetwin_sim.traffic._pibt import Pibt

__all__ = ["GridMap", "Pibt", "SimulatedBodies", "make_bodies"]
