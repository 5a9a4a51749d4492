"""States and visualizations (VDA 5050 3.0, 7.8 and 7.9)."""

from __future__ import annotations

from typing import ClassVar, Literal

from stagetwin_bridges.vda5050.messages._header import Message, Part
from stagetwin_bridges.vda5050.messages._order import NodePosition, Trajectory

__all__ = [
    "ActionState",
    "ActionStatus",
    "BoundingBoxReference",
    "EdgeRequest",
    "EdgeState",
    "EmergencyStop",
    "ErrorEntry",
    "ErrorLevel",
    "ErrorReference",
    "InfoEntry",
    "InfoLevel",
    "InfoReference",
    "IntermediatePath",
    "Load",
    "LoadDimensions",
    "MapState",
    "MobileRobotPosition",
    "NodeState",
    "OperatingMode",
    "PlannedPath",
    "PowerSupply",
    "RequestStatus",
    "SafetyState",
    "State",
    "Storage",
    "Translation",
    "Velocity",
    "Visualization",
    "Waypoint",
    "ZoneRequest",
    "ZoneRequestType",
    "ZoneSetState",
]

ActionStatus = Literal[
    "WAITING", "INITIALIZING", "RUNNING", "PAUSED", "RETRIABLE", "FINISHED", "FAILED"
]
EmergencyStop = Literal["MANUAL", "REMOTE", "NONE"]
ErrorLevel = Literal["WARNING", "URGENT", "CRITICAL", "FATAL"]
InfoLevel = Literal["INFO", "DEBUG"]
OperatingMode = Literal[
    "STARTUP", "AUTOMATIC", "SEMIAUTOMATIC", "INTERVENED", "MANUAL", "SERVICE", "TEACH_IN"
]
RequestStatus = Literal["REQUESTED", "GRANTED", "REVOKED", "EXPIRED"]
Storage = Literal["ENABLED", "DISABLED"]
ZoneRequestType = Literal["ACCESS", "REPLANNING"]


class MapState(Part, frozen=True, kw_only=True):
    """A map that a vehicle has stored."""

    map_id: str
    map_version: str
    map_descriptor: str | None = None
    map_status: Storage


class ZoneSetState(Part, frozen=True, kw_only=True):
    """A zone set that a vehicle has stored."""

    zone_set_id: str
    map_id: str
    zone_set_status: Storage


class NodeState(Part, frozen=True, kw_only=True):
    """A node that is still to be passed."""

    node_id: str
    sequence_id: int
    node_descriptor: str | None = None
    released: bool
    node_position: NodePosition | None = None


class EdgeState(Part, frozen=True, kw_only=True):
    """An edge that is still to be passed."""

    edge_id: str
    sequence_id: int
    edge_descriptor: str | None = None
    released: bool
    trajectory: Trajectory | None = None


class PlannedPath(Part, frozen=True, kw_only=True):
    """The path that a vehicle has planned, and the nodes on it."""

    trajectory: Trajectory
    traversed_nodes: tuple[str, ...] | None = None


class Waypoint(Part, frozen=True, kw_only=True):
    """A corner of the path close ahead [m, rad]; `eta` is ISO 8601, UTC."""

    x: float
    y: float
    theta: float | None = None
    eta: str


class IntermediatePath(Part, frozen=True, kw_only=True):
    """The path close ahead, as far as a vehicle sees."""

    polyline: tuple[Waypoint, ...]


class MobileRobotPosition(Part, frozen=True, kw_only=True):
    """Where a vehicle believes to be [m, rad]."""

    x: float
    y: float
    theta: float
    map_id: str
    localized: bool
    localization_score: float | None = None
    deviation_range: float | None = None


class Velocity(Part, frozen=True, kw_only=True):
    """Velocity in the vehicle's frame [m/s, m/s, rad/s]."""

    vx: float | None = None
    vy: float | None = None
    omega: float | None = None


class BoundingBoxReference(Part, frozen=True, kw_only=True):
    """Centre of the bottom of a load, in the vehicle's frame [m, rad]."""

    x: float
    y: float
    z: float
    theta: float | None = None


class LoadDimensions(Part, frozen=True, kw_only=True):
    """Size of a load [m]."""

    length: float
    width: float
    height: float | None = None


class Load(Part, frozen=True, kw_only=True):
    """A load on a vehicle; weight in kg."""

    load_id: str | None = None
    load_type: str | None = None
    load_position: str | None = None
    bounding_box_reference: BoundingBoxReference | None = None
    load_dimensions: LoadDimensions | None = None
    weight: float | None = None


class ZoneRequest(Part, frozen=True, kw_only=True):
    """A vehicle's request to enter a zone, or to plan anew inside one."""

    request_id: str
    request_type: ZoneRequestType
    zone_id: str
    zone_set_id: str
    request_status: RequestStatus
    trajectory: Trajectory | None = None


class EdgeRequest(Part, frozen=True, kw_only=True):
    """A vehicle's request to use the corridor of an edge."""

    request_id: str
    request_type: Literal["CORRIDOR"]
    edge_id: str
    sequence_id: int
    request_status: RequestStatus


class ActionState(Part, frozen=True, kw_only=True):
    """How far an action is."""

    action_id: str
    action_type: str | None = None
    action_descriptor: str | None = None
    action_status: ActionStatus
    action_result: str | None = None


class PowerSupply(Part, frozen=True, kw_only=True):
    """The battery: charge and health in per cent, voltage [V], current [A], range [m]."""

    state_of_charge: float
    battery_voltage: float | None = None
    battery_current: float | None = None
    battery_health: float | None = None
    charging: bool
    range: float | None = None


class ErrorReference(Part, frozen=True, kw_only=True):
    """What an error refers to."""

    reference_key: str
    reference_value: str


class Translation(Part, frozen=True, kw_only=True):
    """A text in the language of an ISO 639-1 code."""

    translation_key: str
    translation_value: str


class ErrorEntry(Part, frozen=True, kw_only=True):
    """An error that a vehicle has (`error` in the standard)."""

    error_type: str
    error_references: tuple[ErrorReference, ...] | None = None
    error_description: str | None = None
    error_description_translations: tuple[Translation, ...] | None = None
    error_hint: str | None = None
    error_hint_translations: tuple[Translation, ...] | None = None
    error_level: ErrorLevel


class InfoReference(Part, frozen=True, kw_only=True):
    """What an information refers to."""

    reference_key: str
    reference_value: str


class InfoEntry(Part, frozen=True, kw_only=True):
    """Something to be shown, never to be acted upon (`info` in the standard)."""

    info_type: str
    info_references: tuple[InfoReference, ...] | None = None
    info_descriptor: str | None = None
    info_level: InfoLevel


class SafetyState(Part, frozen=True, kw_only=True):
    """Emergency stop and protective field, as the vehicle reports them; no safety function."""

    active_emergency_stop: EmergencyStop
    field_violation: bool


class State(Message, frozen=True, kw_only=True):
    """All that a vehicle says of itself, sent on events and at least every 30 s."""

    topic: ClassVar[str] = "state"

    maps: tuple[MapState, ...] | None = None
    zone_sets: tuple[ZoneSetState, ...] | None = None
    order_id: str
    order_update_id: int
    last_node_id: str
    last_node_sequence_id: int
    node_states: tuple[NodeState, ...]
    edge_states: tuple[EdgeState, ...]
    planned_path: PlannedPath | None = None
    intermediate_path: IntermediatePath | None = None
    mobile_robot_position: MobileRobotPosition | None = None
    velocity: Velocity | None = None
    loads: tuple[Load, ...] | None = None
    driving: bool
    paused: bool | None = None
    new_base_request: bool | None = None
    zone_requests: tuple[ZoneRequest, ...] | None = None
    edge_requests: tuple[EdgeRequest, ...] | None = None
    distance_since_last_node: float | None = None
    action_states: tuple[ActionState, ...]
    instant_action_states: tuple[ActionState, ...]
    zone_action_states: tuple[ActionState, ...] | None = None
    power_supply: PowerSupply
    operating_mode: OperatingMode
    errors: tuple[ErrorEntry, ...]
    information: tuple[InfoEntry, ...] | None = None
    safety_state: SafetyState


class Visualization(Message, frozen=True, kw_only=True):
    """Pose, velocity and planned path, more often than states come."""

    topic: ClassVar[str] = "visualization"

    reference_state_header_id: int
    planned_path: PlannedPath | None = None
    intermediate_path: IntermediatePath | None = None
    mobile_robot_position: MobileRobotPosition | None = None
    velocity: Velocity | None = None
