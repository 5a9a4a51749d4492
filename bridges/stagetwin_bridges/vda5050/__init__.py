"""VDA 5050, both sides, versions 2.1 and 3.0.

`messages` has the messages and codecs for both sides, `telemetry` the way from vehicles to prims,
`control` fleet control's side, `vehicle` the vehicle's, and `virtual` runs simulated vehicles.
"""

from __future__ import annotations

from stagetwin_bridges.vda5050._protocol import Vda5050Protocol

__all__ = ["Vda5050Protocol"]
