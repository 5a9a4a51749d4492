"""Zone sets (VDA 5050 3.0, 7.6); 2.1 has none."""

from __future__ import annotations

from typing import ClassVar, Literal

from stagetwin_bridges.vda5050.messages._header import Message, Part
from stagetwin_bridges.vda5050.messages._order import ActionParameter, BlockingType

__all__ = [
    "BidirectedLimitation",
    "DirectedLimitation",
    "Vertex",
    "Zone",
    "ZoneAction",
    "ZoneContents",
    "ZoneLoss",
    "ZoneSet",
    "ZoneType",
]

BidirectedLimitation = Literal["SOFT", "RESTRICTED"]
DirectedLimitation = Literal["SOFT", "RESTRICTED", "STRICT"]
ZoneLoss = Literal["STOP", "CONTINUE", "EVACUATE"]
ZoneType = Literal[
    "BLOCKED",
    "LINE_GUIDED",
    "RELEASE",
    "COORDINATED_REPLANNING",
    "SPEED_LIMIT",
    "ACTION",
    "PRIORITY",
    "PENALTY",
    "DIRECTED",
    "BIDIRECTED",
]


class Vertex(Part, frozen=True, kw_only=True):
    """A corner of a polygon [m]."""

    x: float
    y: float


class ZoneAction(Part, frozen=True, kw_only=True):
    """An action whose id the vehicle makes up."""

    action_type: str
    action_descriptor: str | None = None
    blocking_type: BlockingType
    action_parameters: tuple[ActionParameter, ...] | None = None
    retriable: bool | None = None


class Zone(Part, frozen=True, kw_only=True):
    """A zone: a simple polygon, counter-clockwise, and what its type asks for."""

    zone_id: str
    zone_type: ZoneType
    zone_descriptor: str | None = None
    vertices: tuple[Vertex, ...]
    maximum_speed: float | None = None
    entry_actions: tuple[ZoneAction, ...] | None = None
    during_actions: tuple[ZoneAction, ...] | None = None
    exit_actions: tuple[ZoneAction, ...] | None = None
    release_loss_behavior: ZoneLoss | None = None
    priority_factor: float | None = None
    penalty_factor: float | None = None
    direction: float | None = None
    directed_limitation: DirectedLimitation | None = None
    bidirected_limitation: BidirectedLimitation | None = None


class ZoneContents(Part, frozen=True, kw_only=True):
    """The zones of one map."""

    map_id: str
    zone_set_id: str
    zone_set_descriptor: str | None = None
    zones: tuple[Zone, ...]


class ZoneSet(Message, frozen=True, kw_only=True):
    """A zone set on its way to a vehicle."""

    topic: ClassVar[str] = "zoneSet"

    zone_set: ZoneContents
