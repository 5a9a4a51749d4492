"""Virtual fleets: simulated vehicles behind a real broker, each a participant of its own."""

from __future__ import annotations

from stagetwin_bridges.vda5050.virtual._files import allow_open_files
from stagetwin_bridges.vda5050.virtual._fleet import Pace, VirtualFleet
from stagetwin_bridges.vda5050.virtual._member import Counts

__all__ = ["Counts", "Pace", "VirtualFleet", "allow_open_files"]
