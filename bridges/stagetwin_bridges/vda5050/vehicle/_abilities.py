"""What a factsheet says that a vehicle can do, and what of an order it cannot (6.1.4.2, .3)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from stagetwin_bridges.vda5050.messages import (
    Action,
    ActionScope,
    Factsheet,
    MobileRobotAction,
    Order,
    ZoneAction,
)
from stagetwin_bridges.vda5050.vehicle._shape import actions_of
from stagetwin_bridges.vda5050.vehicle._stretch import drives_backward

__all__ = ["Abilities", "Misfit"]


class Misfit(msgspec.Struct, frozen=True):
    """What cannot be done: the field or action, why, and what an error refers to."""

    name: str
    why: str
    references: dict[str, str]


_ALWAYS = ("cancelOrder", "startPause", "stopPause", "stateRequest", "factsheetRequest")
"""The first three every vehicle has (6.2.3); the others cost nothing."""

_ALIGNED = 1e-3
"""How exactly an edge's orientation is forward [rad]."""

_POSITION = {
    "theta": ("theta", "theta"),
    "allowed_deviation_xy": ("allowedDeviationXY", "allowedDeviationXY"),
    "allowed_deviation_theta": ("allowedDeviationTheta", "allowedDeviationTheta"),
}
# By field: its name in 3.0 and in 2.1, for a factsheet may be in the words of either.
_EDGE = {
    "maximum_speed": ("maximumSpeed", "maxSpeed"),
    "maximum_mobile_robot_height": ("maximumMobileRobotHeight", "maxHeight"),
    "minimum_load_handling_device_height": ("minimumLoadHandlingDeviceHeight", "minHeight"),
    "orientation": ("orientation", "orientation"),
    "orientation_type": ("orientationType", "orientationType"),
    "direction": ("direction", "direction"),
    "reach_orientation_before_entering": ("reachOrientationBeforeEntering", "rotationAllowed"),
    "maximum_rotation_speed": ("maximumRotationSpeed", "maxRotationSpeed"),
    "trajectory": ("trajectory", "trajectory"),
    "length": ("length", "length"),
    "corridor": ("corridor", "corridor"),
}


class Abilities:
    """A factsheet, indexed.

    Args:
        factsheet: what the vehicle says of itself.
        reverses: whether it can drive backward, for which a factsheet has no field.
    """

    def __init__(self, factsheet: Factsheet, *, reverses: bool = False) -> None:
        self._reverses = reverses
        features = factsheet.protocol_features
        self._sheet = factsheet
        self._actions = {each.action_type: each for each in features.mobile_robot_actions}
        self._fields = {each.parameter for each in features.optional_parameters}
        self._required = {
            each.parameter for each in features.optional_parameters if each.support == "REQUIRED"
        }
        self._omni = factsheet.type_specification.mobile_robot_kinematics == "OMNIDIRECTIONAL"

    def action(self, action_type: str) -> MobileRobotAction | None:
        """Return what the factsheet says of an action."""
        return self._actions.get(action_type)

    def action_fault(self, action: Action | ZoneAction, scope: ActionScope) -> str:
        """Return why an action cannot be done in a scope; empty if it can."""
        known = self._actions.get(action.action_type)
        if known is None:
            if scope == "INSTANT" and action.action_type in _ALWAYS:
                return ""
            return f"action {action.action_type!r} is not one of this vehicle's"
        if scope not in known.action_scopes:
            scopes = ", ".join(known.action_scopes)
            return f"action {action.action_type!r} is for {scopes}, not {scope}"
        if known.blocking_types and action.blocking_type not in known.blocking_types:
            return (
                f"action {action.action_type!r}: blockingType is one of "
                f"{', '.join(known.blocking_types)}, got {action.blocking_type}"
            )
        allowed = {each.key: each for each in known.action_parameters or ()}
        given = {each.key for each in action.action_parameters or ()}
        if unknown := sorted(given - set(allowed)):
            return f"action {action.action_type!r} has no parameter {', '.join(unknown)}"
        missing = [key for key, each in allowed.items() if not each.is_optional]
        if lacking := [key for key in missing if key not in given]:
            return f"action {action.action_type!r} needs the parameter {', '.join(lacking)}"
        return ""

    def misfit_action(self, order: Order) -> Misfit | None:
        """Return the first action of an order that cannot be done (6.1.4.3)."""
        for _, scope, action in actions_of(order):
            why = self.action_fault(action, "NODE" if scope == "NODE" else "EDGE")
            why = why or self._load_fault(action)
            if why:
                references = {"actionId": action.action_id, "actionType": action.action_type}
                return Misfit(action.action_type, why, references)
        return None

    def misfit_field(self, order: Order) -> Misfit | None:
        """Return the first optional field of an order that the vehicle cannot use (6.1.4.2)."""
        for name, alias, key, value in _optional_fields(order):
            if name not in self._fields and alias not in self._fields:
                return Misfit(name, f"{name} is not supported", {"parameter": name, key: value})
        for node in order.nodes:
            if node.node_position is None and "order.nodes.nodePosition" in self._required:
                name = "order.nodes.nodePosition"
                return Misfit(
                    name, f"{name} is needed", {"parameter": name, "nodeId": node.node_id}
                )
        for edge in order.edges:
            if edge.orientation is None or self._omni:
                continue
            tangential = edge.orientation_type != "GLOBAL"
            along = tangential and abs(edge.orientation) < _ALIGNED
            if not (along or (self._reverses and drives_backward(edge))):
                name = "order.edges.orientation"
                ways = "0.0 (forward) and pi (backward)" if self._reverses else "0.0 (forward)"
                why = (
                    f"{name}: this vehicle takes TANGENTIAL {ways}, got "
                    f"{edge.orientation_type or 'TANGENTIAL'} {edge.orientation:g}"
                )
                return Misfit(name, why, {"parameter": name, "edgeId": edge.edge_id})
        return None

    def _load_fault(self, action: Action) -> str:
        """Return why a load cannot be handled; empty if it can."""
        if action.action_type not in ("pick", "drop"):
            return ""
        loads = self._sheet.load_specification
        place, kind = action.parameter("lhd"), action.parameter("loadType")
        if place is not None and place not in (loads.load_positions or ()):
            return f"lhd: one of {', '.join(loads.load_positions or ()) or 'none'}, got {place}"
        sets = loads.load_sets or ()
        if kind is not None and sets and kind not in [each.load_type for each in sets]:
            return f"loadType: one of {', '.join(each.load_type for each in sets)}, got {kind}"
        height = action.parameter("height")
        highest = [each.maximum_loadhandling_height for each in sets]
        limit = max((h for h in highest if h is not None), default=math.inf)
        if isinstance(height, (int, float)) and height > limit:
            return f"height: at most {limit} m, got {height}"
        return ""


def _optional_fields(order: Order) -> Iterator[tuple[str, str, str, str]]:
    """Yield each optional field that an order uses: names in 3.0 and 2.1, and where it stands."""
    for node in order.nodes:
        if (position := node.node_position) is None:
            continue
        root = "order.nodes.nodePosition"
        yield root, root, "nodeId", node.node_id
        for field, (name, alias) in _POSITION.items():
            if getattr(position, field) is not None:
                yield f"{root}.{name}", f"{root}.{alias}", "nodeId", node.node_id
    for edge in order.edges:
        for field, (name, alias) in _EDGE.items():
            if getattr(edge, field) is not None:
                yield f"order.edges.{name}", f"order.edges.{alias}", "edgeId", edge.edge_id
