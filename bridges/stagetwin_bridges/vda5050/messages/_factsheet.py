"""Factsheets (VDA 5050 3.0, 7.10)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from stagetwin_bridges.vda5050.messages._header import Message, Part
from stagetwin_bridges.vda5050.messages._order import BlockingType
from stagetwin_bridges.vda5050.messages._state import BoundingBoxReference, LoadDimensions
from stagetwin_bridges.vda5050.messages._zones import Vertex, ZoneType

__all__ = [
    "ActionParameterSpecification",
    "ActionScope",
    "BatteryCharging",
    "Envelope2d",
    "Envelope3d",
    "Factsheet",
    "LoadSet",
    "LoadSpecification",
    "MaximumArrayLengths",
    "MaximumStringLengths",
    "MobileRobotAction",
    "MobileRobotConfiguration",
    "MobileRobotGeometry",
    "Network",
    "OptionalParameter",
    "PhysicalParameters",
    "ProtocolFeatures",
    "ProtocolLimits",
    "Support",
    "Timing",
    "TypeSpecification",
    "ValueDataType",
    "VersionInfo",
    "WheelDefinition",
    "WheelPosition",
]

ActionScope = Literal["INSTANT", "NODE", "EDGE", "ZONE"]
Support = Literal["SUPPORTED", "REQUIRED"]
ValueDataType = Literal["BOOL", "NUMBER", "INTEGER", "STRING", "OBJECT", "ARRAY"]


class TypeSpecification(Part, frozen=True, kw_only=True):
    """What a type of vehicle is; load in kg."""

    series_name: str
    series_description: str | None = None
    mobile_robot_kinematics: str
    mobile_robot_class: str
    maximum_load_mass: float
    localization_types: tuple[str, ...]
    navigation_types: tuple[str, ...]
    supported_zones: tuple[ZoneType, ...] | None = None


class PhysicalParameters(Part, frozen=True, kw_only=True):
    """Speeds [m/s, rad/s], accelerations [m/s2] and sizes [m]."""

    minimum_speed: float
    maximum_speed: float
    minimum_angular_speed: float | None = None
    maximum_angular_speed: float | None = None
    maximum_acceleration: float
    maximum_deceleration: float
    minimum_height: float
    maximum_height: float
    width: float
    length: float


class MaximumStringLengths(Part, frozen=True, kw_only=True):
    """Limits of texts [characters]; none or 0 is no limit."""

    maximum_message_length: int | None = None
    maximum_topic_serial_length: int | None = None
    maximum_topic_element_length: int | None = None
    maximum_id_length: int | None = None
    id_numerical_only: bool | None = None
    maximum_load_id_length: int | None = None


def _limit(name: str) -> Any:
    return msgspec.field(default=None, name=name)


class MaximumArrayLengths(Part, frozen=True, kw_only=True):
    """Limits of arrays; none or 0 is no limit."""

    order_nodes: int | None = _limit("order.nodes")
    order_edges: int | None = _limit("order.edges")
    node_actions: int | None = _limit("node.actions")
    edge_actions: int | None = _limit("edge.actions")
    actions_actions_parameters: int | None = _limit("actions.actionsParameters")
    instant_actions: int | None = _limit("instantActions")
    trajectory_knot_vector: int | None = _limit("trajectory.knotVector")
    trajectory_control_points: int | None = _limit("trajectory.controlPoints")
    zone_set_zones: int | None = _limit("zoneSet.zones")
    state_node_states: int | None = _limit("state.nodeStates")
    state_edge_states: int | None = _limit("state.edgeStates")
    state_loads: int | None = _limit("state.loads")
    state_action_states: int | None = _limit("state.actionStates")
    state_instant_action_states: int | None = _limit("state.instantActionStates")
    state_zone_action_states: int | None = _limit("state.zoneActionStates")
    state_errors: int | None = _limit("state.errors")
    state_information: int | None = _limit("state.information")
    error_error_references: int | None = _limit("error.errorReferences")
    information_info_references: int | None = _limit("information.infoReferences")


class Timing(Part, frozen=True, kw_only=True):
    """How often messages may and do come [s]."""

    minimum_order_interval: float
    minimum_state_interval: float
    default_state_interval: float | None = None
    visualization_interval: float | None = None


class ProtocolLimits(Part, frozen=True, kw_only=True):
    """What a vehicle can take in."""

    maximum_string_lengths: MaximumStringLengths
    maximum_array_lengths: MaximumArrayLengths
    timing: Timing


class OptionalParameter(Part, frozen=True, kw_only=True):
    """An optional field that a vehicle understands or needs."""

    parameter: str
    support: Support
    description: str | None = None


class ActionParameterSpecification(Part, frozen=True, kw_only=True):
    """A parameter that an action takes."""

    key: str
    value_data_type: ValueDataType
    description: str | None = None
    is_optional: bool | None = None


class MobileRobotAction(Part, frozen=True, kw_only=True):
    """An action that a vehicle can do."""

    action_type: str
    action_description: str | None = None
    action_scopes: tuple[ActionScope, ...]
    action_parameters: tuple[ActionParameterSpecification, ...] | None = None
    action_result: str | None = None
    blocking_types: tuple[BlockingType, ...] | None = None
    pause_allowed: bool
    cancel_allowed: bool


class ProtocolFeatures(Part, frozen=True, kw_only=True):
    """What a vehicle understands of the standard."""

    optional_parameters: tuple[OptionalParameter, ...]
    mobile_robot_actions: tuple[MobileRobotAction, ...]


class WheelPosition(Part, frozen=True, kw_only=True):
    """Where a wheel is in the vehicle's frame [m, rad]."""

    x: float
    y: float
    theta: float | None = None


class WheelDefinition(Part, frozen=True, kw_only=True):
    """A wheel [m]."""

    type: str
    is_active_driven: bool
    is_active_steered: bool
    position: WheelPosition
    diameter: float
    width: float
    center_displacement: float | None = None
    constraints: str | None = None


class Envelope2d(Part, frozen=True, kw_only=True):
    """An outline."""

    envelope2d_id: str
    vertices: tuple[Vertex, ...]
    description: str | None = None


class Envelope3d(Part, frozen=True, kw_only=True):
    """An outline in space, in a format of somebody else's."""

    envelope3d_id: str
    format: str
    data: dict[str, Any] | None = None
    url: str | None = None
    description: str | None = None


class MobileRobotGeometry(Part, frozen=True, kw_only=True):
    """Wheels and outlines."""

    wheel_definitions: tuple[WheelDefinition, ...] | None = None
    envelopes2d: tuple[Envelope2d, ...] | None = None
    envelopes3d: tuple[Envelope3d, ...] | None = None


class LoadSet(Part, frozen=True, kw_only=True):
    """A kind of load: sizes [m], weight [kg], limits with it on [m/s, m/s2], times [s]."""

    set_name: str
    load_type: str
    load_positions: tuple[str, ...] | None = None
    bounding_box_reference: BoundingBoxReference | None = None
    load_dimensions: LoadDimensions | None = None
    maximum_weight: float | None = None
    minimum_loadhandling_height: float | None = None
    maximum_loadhandling_height: float | None = None
    minimum_loadhandling_depth: float | None = None
    maximum_loadhandling_depth: float | None = None
    minimum_loadhandling_tilt: float | None = None
    maximum_loadhandling_tilt: float | None = None
    maximum_speed: float | None = None
    maximum_acceleration: float | None = None
    maximum_deceleration: float | None = None
    pick_time: float | None = None
    drop_time: float | None = None
    description: str | None = None


class LoadSpecification(Part, frozen=True, kw_only=True):
    """What a vehicle can carry, and where."""

    load_positions: tuple[str, ...] | None = None
    load_sets: tuple[LoadSet, ...] | None = None


class VersionInfo(Part, frozen=True, kw_only=True):
    """Version of a piece of hardware or software."""

    key: str
    value: str


class Network(Part, frozen=True, kw_only=True):
    """Network settings of a vehicle."""

    dns_servers: tuple[str, ...] | None = None
    ntp_servers: tuple[str, ...] | None = None
    local_ip_address: str | None = None
    netmask: str | None = None
    default_gateway: str | None = None


class BatteryCharging(Part, frozen=True, kw_only=True):
    """Charging levels in per cent, time in s."""

    critical_low_charging_level: float | None = None
    minimum_desired_charging_level: float | None = None
    maximum_desired_charging_level: float | None = None
    minimum_charging_time: float | None = None


class MobileRobotConfiguration(Part, frozen=True, kw_only=True):
    """Versions, network and charging."""

    versions: tuple[VersionInfo, ...] | None = None
    network: Network | None = None
    battery_charging: BatteryCharging | None = None


class Factsheet(Message, frozen=True, kw_only=True):
    """What a type of vehicle is and can do; retained."""

    topic: ClassVar[str] = "factsheet"

    type_specification: TypeSpecification
    physical_parameters: PhysicalParameters
    protocol_limits: ProtocolLimits
    protocol_features: ProtocolFeatures
    mobile_robot_geometry: MobileRobotGeometry
    load_specification: LoadSpecification
    mobile_robot_configuration: MobileRobotConfiguration | None = None
