"""Machines that obey: simple physics for the assets of a stage, without any transport.

A `MachinePark` is made from a stage and its bindings. It recognises what an asset is by the signals
and commands it has, couples the machines of a line, and steps them all. A machine takes commands
and has interlocks of its own. Signals that no physics covers come from the synthetic model.
"""

from stagetwin_sim.machines._machine import Machine
from stagetwin_sim.machines._nameplate import Nameplate
from stagetwin_sim.machines._park import MachinePark

__all__ = ["Machine", "MachinePark", "Nameplate"]
