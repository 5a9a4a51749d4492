"""What a vehicle can take in, by its factsheet (VDA 5050 3.0, 7.1.1, 7.1.2 and 7.10)."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Sequence

from stagetwin_bridges._errors import OrderError
from stagetwin_bridges.vda5050.messages import (
    Action,
    ActionScope,
    BlockingType,
    Factsheet,
    MaximumArrayLengths,
    MaximumStringLengths,
    MobileRobotAction,
    Order,
)

__all__ = ["Limits"]

_SHORTEST_ID = 8
"""Ids shorter than this would meet each other too soon [characters]."""

_SPEED = 1.0
"""Speed of a vehicle that says none [m/s]."""

_ALWAYS = frozenset({"cancelOrder", "startPause", "stopPause"})
"""Every vehicle supports these (6.2.3), and these are asked of any to learn more of it."""
_ASKED = frozenset({"stateRequest", "factsheetRequest"})


class Limits:
    """Limits of one vehicle; without a factsheet there are none but what every vehicle keeps.

    Args:
        factsheet: what the vehicle said of itself; None where it has not.
    """

    def __init__(self, factsheet: Factsheet | None = None) -> None:
        self.factsheet = factsheet
        limits = factsheet.protocol_limits if factsheet is not None else None
        self._arrays = limits.maximum_array_lengths if limits else MaximumArrayLengths()
        self._texts = limits.maximum_string_lengths if limits else MaximumStringLengths()
        self._actions: dict[str, MobileRobotAction] | None = None
        self._parameters: frozenset[str] = frozenset()
        if factsheet is not None:
            features = factsheet.protocol_features
            self._actions = {each.action_type: each for each in features.mobile_robot_actions}
            self._parameters = frozenset(
                _same(each.parameter) for each in features.optional_parameters
            )

    # -- figures

    @property
    def speed(self) -> float:
        """Highest speed of the vehicle [m/s]."""
        sheet = self.factsheet
        said = sheet.physical_parameters.maximum_speed if sheet is not None else 0.0
        return said if said > 0 and math.isfinite(said) else _SPEED

    @property
    def type_name(self) -> str:
        """Name of its series, which lanes may ask for."""
        return self.factsheet.type_specification.series_name if self.factsheet is not None else ""

    @property
    def free(self) -> bool:
        """Whether the vehicle finds ways of its own."""
        return bool({"FREELY_NAVIGATING", "AUTONOMOUS"} & self._navigation)

    @property
    def on_rails(self) -> bool:
        """Whether it can only begin where a node is: it follows a line in the floor."""
        return self._navigation == {"PHYSICAL_LINE_GUIDED"}

    @property
    def _navigation(self) -> set[str]:
        sheet = self.factsheet
        return set() if sheet is None else set(sheet.type_specification.navigation_types)

    @property
    def order_interval(self) -> float:
        """Shortest time between two orders [s]."""
        if self.factsheet is None:
            return 0.0
        return max(self.factsheet.protocol_limits.timing.minimum_order_interval, 0.0)

    @property
    def nodes(self) -> int:
        """Most nodes of one message."""
        edges = self._arrays.order_edges
        return min(_most(self._arrays.order_nodes), _most(edges + 1 if edges else None))

    @property
    def ahead(self) -> int:
        """Most nodes that the vehicle can have before it."""
        return min(_most(self._arrays.state_node_states), _most(self._arrays.state_edge_states))

    @property
    def message(self) -> int:
        """Longest message [B]."""
        return _most(self._texts.maximum_message_length)

    @property
    def draws(self) -> bool:
        """Whether the course of an edge is sent with it: not where the vehicle cannot use it."""
        return not self._parameters or "order.edges.trajectory" in self._parameters

    @property
    def reach(self) -> float | None:
        """How far the vehicle reaches from its kinematic centre, unloaded [m]; None if not said."""
        sheet = self.factsheet
        if sheet is None:
            return None
        geometry = sheet.mobile_robot_geometry
        outlines = (geometry.envelopes2d if geometry is not None else None) or ()
        corners = [math.hypot(v.x, v.y) for each in outlines for v in each.vertices]
        size = sheet.physical_parameters
        # Nobody says where between front and back the centre is.
        reach = max(corners, default=math.hypot(size.length, size.width / 2))
        return reach if math.isfinite(reach) and reach > 0 else None

    def blocking_of(self, kind: str) -> BlockingType:
        """Return how an action of a node blocks: HARD, or what the vehicle has for it."""
        known = self._actions.get(kind) if self._actions is not None else None
        allowed = known.blocking_types if known is not None else None
        return "HARD" if not allowed or "HARD" in allowed else allowed[0]

    # -- ids

    def id_of(self, command_id: str) -> str:
        """Return the id that a command (UUIDv7) has on the wire: itself, or what fits of it.

        The same command has the same id again after a restart.

        Raises:
            OrderError: the vehicle takes no id that is long enough to be one.
        """
        length = _most(self._texts.maximum_id_length)
        if not self._texts.id_numerical_only and length >= len(command_id):
            return command_id
        number = uuid.UUID(command_id).int
        text = str(number) if self._texts.id_numerical_only else f"{number:032x}"
        if min(length, len(text)) < _SHORTEST_ID:
            raise OrderError(
                f"ids of at most {length} characters are too short; {_SHORTEST_ID} are needed"
            )
        # The end of it is random, the beginning is the time.
        return text[-length:] if length < len(text) else text

    # -- faults

    def order_faults(self, order: Order) -> list[str]:
        """Return what of an order the vehicle cannot take in; empty if nothing."""
        faults = self._id_faults(
            (("orderId", order.order_id),),
            (("nodeId", node.node_id) for node in order.nodes),
            (("edgeId", edge.edge_id) for edge in order.edges),
            (("mapId", node.node_position.map_id) for node in order.nodes if node.node_position),
        )
        faults += _too_many("nodes", len(order.nodes), self._arrays.order_nodes)
        faults += _too_many("edges", len(order.edges), self._arrays.order_edges)
        for node in order.nodes:
            where = f"node {node.node_id!r}"
            faults += self.action_faults(where, node.actions, "NODE", self._arrays.node_actions)
        for edge in order.edges:
            where = f"edge {edge.edge_id!r}"
            faults += self.action_faults(where, edge.actions, "EDGE", self._arrays.edge_actions)
        return faults

    def instant_faults(self, actions: Sequence[Action]) -> list[str]:
        """Return what of a message of instant actions the vehicle cannot take in."""
        return self.action_faults(
            "instant actions", actions, "INSTANT", self._arrays.instant_actions
        )

    def action_faults(
        self, where: str, actions: Sequence[Action], scope: ActionScope, most: int | None
    ) -> list[str]:
        """Return what is wrong with actions in one place; empty if nothing."""
        faults = _too_many(f"actions at {where}", len(actions), most)
        faults += self._id_faults(("actionId", each.action_id) for each in actions)
        for action in actions:
            faults += self._action_faults(where, action, scope)
        return faults

    def _action_faults(self, where: str, action: Action, scope: ActionScope) -> list[str]:
        kind, given = action.action_type, action.action_parameters or ()
        text = f"{where}: action {kind!r}"
        faults = _too_many(
            f"parameters of {text}", len(given), self._arrays.actions_actions_parameters
        )
        if self._actions is None or kind in _ASKED:
            return faults
        known = self._actions.get(kind)
        if known is None:
            if kind in _ALWAYS and scope == "INSTANT":
                return faults
            names = ", ".join(sorted(self._actions)) or "none"
            return [*faults, f"{text} is none of the vehicle's, which are {names}"]
        if scope not in known.action_scopes:
            allowed = ", ".join(known.action_scopes)
            faults.append(f"{text} may be {allowed}, not {scope}")
        blocking: Sequence[BlockingType] = known.blocking_types or ()
        if scope != "INSTANT" and blocking and action.blocking_type not in blocking:
            allowed = ", ".join(blocking)
            faults.append(f"{text} blocks {allowed}, not {action.blocking_type}")
        missing = [
            each.key
            for each in known.action_parameters or ()
            if not each.is_optional and action.parameter(each.key) is None
        ]
        if missing:
            faults.append(f"{text} needs {', '.join(missing)}")
        return faults

    def _id_faults(self, *groups: Iterable[tuple[str, str]]) -> list[str]:
        length = _most(self._texts.maximum_id_length)
        numerical = bool(self._texts.id_numerical_only)
        faults: list[str] = []
        for group in groups:
            for what, name in group:
                if len(name) > length:
                    faults.append(f"{what} {name!r}: at most {length} characters are allowed")
                if numerical and not (name.isascii() and name.isdigit()):
                    faults.append(f"{what} {name!r}: only digits are allowed")
        return faults


def _most(limit: int | None) -> int:
    """Return a limit as a number: none, and 0, are no limit."""
    return limit if limit else 2**31


def _too_many(what: str, count: int, most: int | None) -> list[str]:
    return [f"{count} {what}, at most {most} are allowed"] if count > _most(most) else []


def _same(parameter: str) -> str:
    """Return the name of a parameter without the message's own spelling."""
    name = parameter.replace("[]", "").replace("order.node.", "order.nodes.")
    return name.replace("order.edge.", "order.edges.")
