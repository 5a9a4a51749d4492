"""Simulators: processes that run the models of a stage beside the service.

A third party adds one by an entry point in the group `stagetwin.simulators`, whose value names the
module that `python -m` runs. It speaks the frames of `stagetwin.simulation.wire` on its standard
input and output; `Line` is its end of them. Nothing here loads USD.
"""

from stagetwin.simulation import wire
from stagetwin.simulation._find import DEFAULT, find_simulator, known_kinds
from stagetwin.simulation._line import Line

__all__ = ["DEFAULT", "Line", "find_simulator", "known_kinds", "wire"]
