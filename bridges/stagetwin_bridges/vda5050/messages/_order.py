"""Orders, actions and connection states (VDA 5050 3.0, 7.3, 7.4, 7.5 and 7.7)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from stagetwin_bridges.vda5050.messages._header import Message, Part

__all__ = [
    "Action",
    "ActionParameter",
    "AllowedDeviation",
    "BlockingType",
    "Connection",
    "ConnectionWord",
    "ControlPoint",
    "Corridor",
    "CorridorLoss",
    "CorridorReference",
    "Edge",
    "GrantType",
    "InstantActions",
    "Node",
    "NodePosition",
    "Order",
    "OrientationType",
    "Response",
    "Responses",
    "Trajectory",
]

BlockingType = Literal["NONE", "SOFT", "SINGLE", "HARD"]
ConnectionWord = Literal["ONLINE", "OFFLINE", "HIBERNATING", "CONNECTION_BROKEN"]
CorridorLoss = Literal["STOP", "RETURN"]
CorridorReference = Literal["KINEMATIC_CENTER", "CONTOUR"]
GrantType = Literal["GRANTED", "QUEUED", "REVOKED", "REJECTED"]
OrientationType = Literal["GLOBAL", "TANGENTIAL"]


class ActionParameter(Part, frozen=True, kw_only=True):
    """A parameter of an action; its value is any JSON value but null."""

    key: str
    value: Any


class Action(Part, frozen=True, kw_only=True):
    """What a vehicle is to do at a node, on an edge, or at once."""

    action_type: str
    action_id: str
    action_descriptor: str | None = None
    blocking_type: BlockingType
    action_parameters: tuple[ActionParameter, ...] | None = None
    retriable: bool | None = None

    def parameter(self, key: str) -> Any:
        """Return the value of a parameter, None where it is not given."""
        for each in self.action_parameters or ():
            if each.key == key:
                return each.value
        return None


class AllowedDeviation(Part, frozen=True, kw_only=True):
    """An ellipse round a node: semi-axes `a` and `b` [m], turned by `theta` [rad]."""

    a: float
    b: float
    theta: float


class NodePosition(Part, frozen=True, kw_only=True):
    """Where a node is [m] on a map, and how a vehicle stands there [rad]."""

    x: float
    y: float
    theta: float | None = None
    allowed_deviation_xy: AllowedDeviation | None = msgspec.field(
        default=None, name="allowedDeviationXY"
    )
    allowed_deviation_theta: float | None = None
    map_id: str


class Node(Part, frozen=True, kw_only=True):
    """A node of an order."""

    node_id: str
    sequence_id: int
    node_descriptor: str | None = None
    released: bool
    node_position: NodePosition | None = None
    actions: tuple[Action, ...]


class ControlPoint(Part, frozen=True, kw_only=True):
    """A control point of a NURBS [m]; weight 1 where it has none."""

    x: float
    y: float
    weight: float | None = None


class Trajectory(Part, frozen=True, kw_only=True):
    """A clamped NURBS; degree 1 and uniform knots where they are not given."""

    degree: int | None = None
    knot_vector: tuple[float, ...] | None = None
    control_points: tuple[ControlPoint, ...]


class Corridor(Part, frozen=True, kw_only=True):
    """How far a vehicle may leave its trajectory to either side [m]."""

    left_width: float
    right_width: float
    corridor_reference_point: CorridorReference | None = None
    release_required: bool | None = None
    release_loss_behavior: CorridorLoss | None = None


class Edge(Part, frozen=True, kw_only=True):
    """An edge of an order; speeds in m/s and rad/s, lengths in m, angles in rad."""

    edge_id: str
    sequence_id: int
    edge_descriptor: str | None = None
    released: bool
    maximum_speed: float | None = None
    maximum_mobile_robot_height: float | None = None
    minimum_load_handling_device_height: float | None = None
    orientation: float | None = None
    orientation_type: OrientationType | None = None
    direction: str | None = None
    reach_orientation_before_entering: bool | None = None
    maximum_rotation_speed: float | None = None
    trajectory: Trajectory | None = None
    length: float | None = None
    corridor: Corridor | None = None
    actions: tuple[Action, ...]


class Order(Message, frozen=True, kw_only=True):
    """An order or an update of one: released nodes and edges are its base, the others its horizon.

    Attributes:
        zone_set_id: of 2.1 alone; 3.0 has no such field.
    """

    topic: ClassVar[str] = "order"

    order_id: str
    order_update_id: int
    order_description: str | None = None
    zone_set_id: str | None = None
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


class InstantActions(Message, frozen=True, kw_only=True):
    """Actions to be done at once; 3.0 allows them the blocking type NONE alone."""

    topic: ClassVar[str] = "instantActions"

    actions: tuple[Action, ...]


class Response(Part, frozen=True, kw_only=True):
    """An answer to a request in a vehicle's state; `lease_expiry` is ISO 8601, UTC."""

    request_id: str
    grant_type: GrantType
    lease_expiry: str | None = None


class Responses(Message, frozen=True, kw_only=True):
    """Answers to requests (3.0 alone)."""

    topic: ClassVar[str] = "responses"

    responses: tuple[Response, ...]


class Connection(Message, frozen=True, kw_only=True):
    """Whether a vehicle is connected to the broker; also its last will."""

    topic: ClassVar[str] = "connection"

    connection_state: ConnectionWord
