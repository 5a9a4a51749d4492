"""The way up: from the messages of vehicles to samples, and from samples back for a replay."""

from __future__ import annotations

from stagetwin_bridges.vda5050.telemetry._dialect import (
    FleetDialect,
    channel_problems,
    identity_of,
)
from stagetwin_bridges.vda5050.telemetry._fields import COMPUTED, TOPICS, field_of
from stagetwin_bridges.vda5050.telemetry._options import FleetEndpoint, FleetOptions
from stagetwin_bridges.vda5050.telemetry._publisher import FleetPublisher

__all__ = [
    "COMPUTED",
    "TOPICS",
    "FleetDialect",
    "FleetEndpoint",
    "FleetOptions",
    "FleetPublisher",
    "channel_problems",
    "field_of",
    "identity_of",
]
