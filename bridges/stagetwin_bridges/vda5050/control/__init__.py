"""Fleet control's side of VDA 5050: orders that are released bit by bit, and what becomes of them.

`Control` is one vehicle, free of I/O; `Releases` says who may enter which zone.
"""

from __future__ import annotations

from stagetwin_bridges.vda5050.control._blind import Blind
from stagetwin_bridges.vda5050.control._commander import FleetCommander
from stagetwin_bridges.vda5050.control._control import Control
from stagetwin_bridges.vda5050.control._fields import is_order, target_problems
from stagetwin_bridges.vda5050.control._limits import Limits
from stagetwin_bridges.vda5050.control._mirror import Mirror, is_idle
from stagetwin_bridges.vda5050.control._order import ActiveOrder, Event, EventKind, Phase
from stagetwin_bridges.vda5050.control._plan import Plan, Stop, Way, plan_of
from stagetwin_bridges.vda5050.control._releases import Releases
from stagetwin_bridges.vda5050.control._zone_sets import Transfer, zones_of

__all__ = [
    "ActiveOrder",
    "Blind",
    "Control",
    "Event",
    "EventKind",
    "FleetCommander",
    "Limits",
    "Mirror",
    "Phase",
    "Plan",
    "Releases",
    "Stop",
    "Transfer",
    "Way",
    "is_idle",
    "is_order",
    "plan_of",
    "target_problems",
    "zones_of",
]
