"""The models of a stage in a process of their own: `python -m stagetwin_sim.host`.

The service starts it and speaks to it by `stagetwin.simulation.wire`: beside the machine it steps
with the clock, ahead of it it answers questions about futures.
"""

from stagetwin_sim.host._host import main

__all__ = ["main"]
