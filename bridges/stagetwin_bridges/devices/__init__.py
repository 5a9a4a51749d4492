"""Simulated PLCs and gateways, each an operating-system process of its own.

A device serves the machines of one connection, or a part of them, over the connection's own
protocol: as a client of a real MQTT broker, or as an OPC UA server. Its machines are the physics
that `stagetwin.ports.find_model("machines")` finds. It judges commands like a PLC, keeps a log of
what it executed, and misbehaves when it is told to. `DevicePark` runs those of a whole plant.

For demos and tests: nothing of it ever serves a connection of realm `plant`.
"""

from stagetwin_bridges.devices._config import DeviceConfig, ServerOptions, ServerUser
from stagetwin_bridges.devices._finding import chosen, place_of, sockets_at
from stagetwin_bridges.devices._log import Entry, read_log
from stagetwin_bridges.devices._misbehaviour import Misbehaviour, Mode
from stagetwin_bridges.devices._park import DeviceGroup, DevicePark

__all__ = [
    "DeviceConfig",
    "DeviceGroup",
    "DevicePark",
    "Entry",
    "Misbehaviour",
    "Mode",
    "ServerOptions",
    "ServerUser",
    "chosen",
    "place_of",
    "read_log",
    "sockets_at",
]
