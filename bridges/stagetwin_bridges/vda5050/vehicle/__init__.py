"""The vehicle's side of VDA 5050, 2.1 and 3.0, without I/O.

A `Vehicle` takes messages of fleet control, drives a body of `stagetwin.fleets.Bodies`, and says
what is to be sent. `docs/vehicles.md` has the numbered cases of the standard and what answers each.
"""

from __future__ import annotations

from stagetwin_bridges.vda5050.vehicle._device import Device, Progress, TimedDevice
from stagetwin_bridges.vda5050.vehicle._factsheets import make_factsheet
from stagetwin_bridges.vda5050.vehicle._options import VehicleOptions
from stagetwin_bridges.vda5050.vehicle._vehicle import Vehicle

__all__ = [
    "Device",
    "Progress",
    "TimedDevice",
    "Vehicle",
    "VehicleOptions",
    "make_factsheet",
]
