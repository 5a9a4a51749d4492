"""Whether an order is taken: figure 8's eleven questions, and why not (3.0, 6.1.2 and 6.1.4)."""

from __future__ import annotations

import itertools
import math
from typing import Literal

import msgspec

from stagetwin_bridges.vda5050.messages import Node, Order
from stagetwin_bridges.vda5050.vehicle._geometry import in_ellipse, turn
from stagetwin_bridges.vda5050.vehicle._held import HeldOrder
from stagetwin_bridges.vda5050.vehicle._parts import Parts
from stagetwin_bridges.vda5050.vehicle._rules import Cause
from stagetwin_bridges.vda5050.vehicle._shape import order_faults, size_faults
from stagetwin_bridges.vda5050.vehicle._stretch import place_of

__all__ = ["Verdict", "judge"]

_SAME_PLACE = 1e-3

_FARTHEST = 2000.0
"""A node that is farther from the one before is an error: zones are looked for all along [m]."""


class Verdict(msgspec.Struct, frozen=True):
    """What becomes of an order.

    Attributes:
        word: `new`, `update`, `ignore` or `refuse`.
        cause: of a refusal.
        why: of a refusal, for people.
        references: of a refusal.
    """

    word: Literal["new", "update", "ignore", "refuse"]
    cause: Cause | None = None
    why: str = ""
    references: dict[str, str] = {}


def judge(parts: Parts, order: Order) -> Verdict:
    """Answer the questions of figure 8 for an order that came."""
    held = parts.held
    update = held is not None and held.order_id == order.order_id
    # 1: is it valid?
    faults = order_faults(order, update=update, blocking=parts.rules.blocking)
    if faults:
        return _refuse(order, Cause.MALFORMED, "; ".join(faults[:3]))
    # 6.1.4.9 and 6.6.5.1, before the state of the order is looked at.
    if parts.mode not in parts.rules.orders_in:
        why = f"no orders are taken in operating mode {parts.mode}"
        return _refuse(order, Cause.UNAVAILABLE, why)
    # 2: is it new, or an update?
    if held is not None and update:
        verdict = _judge_update(parts, held, order)
    else:
        verdict = _judge_new(parts, order)
    if verdict is not None:
        return verdict
    return _judge_content(parts, order) or Verdict("update" if update else "new")


def _refuse(order: Order, cause: Cause, why: str, **more: str) -> Verdict:
    references = {
        "topic": "order",
        "headerId": str(order.header_id),
        "orderId": order.order_id,
        "orderUpdateId": str(order.order_update_id),
        **more,
    }
    return Verdict("refuse", cause, why, references)


def _judge_new(parts: Parts, order: Order) -> Verdict | None:
    # 3: is the vehicle idle, and not waiting for an update?
    if not parts.idle:
        held = parts.held
        name = held.order_id if held is not None else ""
        return _refuse(order, Cause.OTHER_ACTIVE, f"order {name!r} is active")
    if parts.faults.fatal:
        return _refuse(order, Cause.UNAVAILABLE, "a fatal error is active")
    # 4: is its update id 0?
    if parts.rules.first_update_zero and order.order_update_id:
        why = f"a new order has orderUpdateId 0, got {order.order_update_id}"
        return _refuse(order, Cause.NO_CONTINUATION, why)
    # 6.1.4.10 comes before the position, which means nothing on a map that is not there.
    if verdict := _unknown_map(parts, order):
        return verdict
    # 5: is its start close enough?
    if why := _far(parts, order.nodes[0]):
        return _refuse(order, Cause.START_FAR, why, nodeId=order.nodes[0].node_id)
    return None


def _judge_update(parts: Parts, held: HeldOrder, order: Order) -> Verdict | None:
    # 6 and 8: is it deprecated, or on the vehicle already?
    if order.order_update_id < held.update_id:
        why = f"the vehicle has orderUpdateId {held.update_id}, got {order.order_update_id}"
        return _refuse(order, Cause.OUTDATED, why)
    if order.order_update_id == held.update_id:
        if not parts.rules.compare_same or held.same_as(order):
            return Verdict("ignore")
        why = f"another content came under orderUpdateId {held.update_id}"
        return _refuse(order, Cause.SAME_UPDATE, why)
    # 7: does it follow a cancelOrder?
    if held.cancelled:
        return _refuse(order, Cause.AFTER_CANCEL, f"order {held.order_id!r} was cancelled")
    if held.cleared or parts.clearing is not None:
        return _refuse(order, Cause.NO_CONTINUATION, f"order {held.order_id!r} was given up")
    if parts.faults.fatal:
        return _refuse(order, Cause.UNAVAILABLE, "a fatal error is active")
    # 9 and 10: does it begin at the decision point?
    first, decision = order.nodes[0], held.decision
    if (first.node_id, first.sequence_id) != (decision.node_id, decision.sequence_id):
        why = (
            f"the base ends at node {decision.node_id!r} with sequenceId {decision.sequence_id}, "
            f"the update begins at {first.node_id!r} with {first.sequence_id}"
        )
        return _refuse(order, Cause.NO_CONTINUATION, why, nodeId=first.node_id)
    if why := _changed(parts, decision, first):
        return _refuse(order, Cause.NO_CONTINUATION, why, nodeId=first.node_id)
    known = {action.action_id for action in decision.actions}
    base = {
        name
        for name, run in parts.order_runs.items()
        if isinstance(run.place, int) and run.place <= decision.sequence_id
    }
    new = [a.action_id for node in order.nodes[1:] for a in node.actions]
    new += [a.action_id for edge in order.edges for a in edge.actions]
    if again := sorted((base | known) & set(new)):
        why = f"actionId {again[0]!r} is in the base already"
        return _refuse(order, Cause.MALFORMED, why, actionId=again[0])
    return None


def _changed(parts: Parts, before: Node, now: Node) -> str:
    """Return what an update changes of the decision point; empty if nothing (figure 7)."""
    if not parts.rules.modern:
        # 2.1, 6.6.2: what the first order said of the node holds.
        return ""
    known = {action.action_id for action in before.actions}
    new = [action.action_id for action in now.actions if action.action_id not in known]
    if new:
        return (
            f"action {new[0]!r} is new on the decision point; a node of its own with sequenceId "
            f"{before.sequence_id + 2} can bring it"
        )
    a, b = before.node_position, now.node_position
    if a is not None and b is not None:
        same = math.dist((a.x, a.y), (b.x, b.y)) <= _SAME_PLACE and a.map_id == b.map_id
        if not same:
            return "the decision point has another position than before"
    return ""


def _far(parts: Parts, node: Node) -> str:
    """Return why a start node is out of range; empty if it is not (6.1.1)."""
    place = place_of(node, parts.road_map)
    if place is None:
        if node.node_id == parts.last_node_id:
            return ""
        return f"node {node.node_id!r} has no position and is not the last node"
    body, options, position = parts.chassis, parts.options, node.node_position
    if position is not None and position.map_id != parts.map_id:
        return f"node {node.node_id!r} is on map {position.map_id!r}, not on {parts.map_id!r}"
    dx, dy = body.x - place[0], body.y - place[1]
    ellipse = position.allowed_deviation_xy if position is not None else None
    inside = math.hypot(dx, dy) <= options.tolerance or (
        ellipse is not None and in_ellipse(dx, dy, ellipse.a, ellipse.b, ellipse.theta)
    )
    if not inside:
        return f"node {node.node_id!r} is {math.hypot(dx, dy):.2f} m away"
    if position is not None and position.theta is not None:
        allowed = max(position.allowed_deviation_theta or 0.0, options.tolerance_theta)
        off = abs(turn(body.theta - position.theta))
        if off > allowed:
            return f"the heading is {off:.2f} rad off that of node {node.node_id!r}"
    return ""


def _unknown_map(parts: Parts, order: Order) -> Verdict | None:
    for node in order.nodes:
        position = node.node_position
        if position is not None and not parts.maps.enabled(position.map_id):
            why = f"map {position.map_id!r} of node {node.node_id!r} is not enabled on the vehicle"
            return _refuse(order, Cause.UNKNOWN_MAP, why, mapId=position.map_id)
    return None


def _judge_content(parts: Parts, order: Order) -> Verdict | None:
    """Return why the vehicle cannot do what an order asks for (6.1.4.2, .3, .8 and .10)."""
    sheet = parts.sheet
    if faults := size_faults(order, sheet.protocol_limits.maximum_array_lengths):
        return _refuse(order, Cause.MEMORY, "; ".join(faults))
    if misfit := parts.abilities.misfit_field(order):
        return _refuse(order, Cause.UNSUPPORTED, misfit.why, **misfit.references)
    if misfit := parts.abilities.misfit_action(order):
        return _refuse(order, Cause.ORDER_ACTION, misfit.why, **misfit.references)
    if verdict := _unknown_map(parts, order):
        return verdict
    for node in order.nodes[1:]:
        if place_of(node, parts.road_map) is None:
            why = f"nothing says where node {node.node_id!r} is"
            return _refuse(order, Cause.NO_ROUTE, why, nodeId=node.node_id)
    for before, node in itertools.pairwise(order.nodes):
        start, end = place_of(before, parts.road_map), place_of(node, parts.road_map)
        if start is not None and end is not None and not math.dist(start, end) <= _FARTHEST:
            why = f"node {node.node_id!r} is more than {_FARTHEST:g} m from the one before"
            return _refuse(order, Cause.NO_ROUTE, why, nodeId=node.node_id)
    height = sheet.physical_parameters.minimum_height
    for edge in order.edges:
        most = edge.maximum_mobile_robot_height
        if most is not None and most < height:
            why = f"edge {edge.edge_id!r} allows a height of {most} m, the vehicle has {height}"
            return _refuse(order, Cause.NO_ROUTE, why, edgeId=edge.edge_id)
    return None
