"""Whether an order is formally right: question 1 of figure 8, and what 7.3 says of its fields."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from stagetwin_bridges.vda5050.messages import (
    Action,
    Corridor,
    Edge,
    MaximumArrayLengths,
    NodePosition,
    Order,
    Trajectory,
)
from stagetwin_bridges.vda5050.vehicle._geometry import Point, sample_curve

__all__ = ["actions_of", "curve_of", "order_faults", "size_faults"]

_PI = math.pi + 1e-6
_MOST = 2**32 - 1


def actions_of(order: Order) -> Iterator[tuple[int, str, Action]]:
    """Yield sequence id, scope (NODE, EDGE) and action of all that an order has."""
    for node in order.nodes:
        for action in node.actions:
            yield node.sequence_id, "NODE", action
    for edge in order.edges:
        for action in edge.actions:
            yield edge.sequence_id, "EDGE", action


def curve_of(trajectory: Trajectory) -> list[Point]:
    """Return points along a trajectory.

    Raises:
        ValueError: it is no clamped NURBS.
    """
    points = [(p.x, p.y, 1.0 if p.weight is None else p.weight) for p in trajectory.control_points]
    return sample_curve(points, trajectory.degree or 1, trajectory.knot_vector)


def order_faults(order: Order, *, update: bool, blocking: frozenset[str]) -> list[str]:
    """Return what is formally wrong with an order; empty if nothing.

    Args:
        order: as it came.
        update: whether it continues an order; a new one begins with sequence id 0.
        blocking: blocking types that the version has.
    """
    if not order.nodes:
        return ["nodes: expected at least one"]
    if len(order.edges) != len(order.nodes) - 1:
        count = len(order.nodes) - 1
        return [f"edges: expected {count}, one fewer than nodes; got {len(order.edges)}"]
    faults = [*_sequence_faults(order, update=update), *_release_faults(order)]
    if not order.order_id:
        faults.append("orderId: expected a text that is not empty")
    if not 0 <= order.order_update_id <= _MOST:
        faults.append(f"orderUpdateId: expected 0 to {_MOST}, got {order.order_update_id}")
    for at, node in enumerate(order.nodes):
        if node.node_position is not None:
            faults += [f"nodes[{at}].{fault}" for fault in _position_faults(node.node_position)]
    for at, edge in enumerate(order.edges):
        faults += [f"edges[{at}].{fault}" for fault in _edge_faults(edge)]
    ids = Counter(action.action_id for _, _, action in actions_of(order))
    faults += [f"actionId {name!r}: used {n} times" for name, n in ids.items() if n > 1]
    faults += [
        f"action {action.action_id!r}: blockingType {action.blocking_type} is none of "
        f"{', '.join(sorted(blocking))}"
        for _, _, action in actions_of(order)
        if action.blocking_type not in blocking
    ]
    return faults


def size_faults(order: Order, limits: MaximumArrayLengths) -> list[str]:
    """Return by what an order is larger than a factsheet allows."""
    found: list[tuple[str, int, int | None]] = [
        ("order.nodes", len(order.nodes), limits.order_nodes),
        ("order.edges", len(order.edges), limits.order_edges),
    ]
    found += [("node.actions", len(node.actions), limits.node_actions) for node in order.nodes]
    found += [("edge.actions", len(edge.actions), limits.edge_actions) for edge in order.edges]
    for _, _, action in actions_of(order):
        count = len(action.action_parameters or ())
        found.append(("actions.actionsParameters", count, limits.actions_actions_parameters))
    for edge in order.edges:
        if edge.trajectory is not None:
            knots, points = edge.trajectory.knot_vector or (), edge.trajectory.control_points
            found.append(("trajectory.knotVector", len(knots), limits.trajectory_knot_vector))
            found.append(
                ("trajectory.controlPoints", len(points), limits.trajectory_control_points)
            )
    return [
        f"{name}: at most {most}, got {count}"
        for name, count, most in dict.fromkeys(found)
        if most and count > most
    ]


def _sequence_faults(order: Order, *, update: bool) -> list[str]:
    first = order.nodes[0].sequence_id
    if first % 2 or not 0 <= first <= _MOST:
        return [f"nodes[0].sequenceId: expected an even number, got {first}"]
    if not update and first:
        return [f"nodes[0].sequenceId: a new order begins with 0, got {first}"]
    nodes = [(f"nodes[{k}]", node.sequence_id, first + 2 * k) for k, node in enumerate(order.nodes)]
    edges = [
        (f"edges[{k}]", edge.sequence_id, first + 2 * k + 1) for k, edge in enumerate(order.edges)
    ]
    return [
        f"{name}.sequenceId: expected {wanted}, got {got}"
        for name, got, wanted in (*nodes, *edges)
        if got != wanted
    ]


def _release_faults(order: Order) -> list[str]:
    if not order.nodes[0].released:
        return ["nodes[0].released: the first node is always released"]
    open_ = True
    for at, (edge, node) in enumerate(zip(order.edges, order.nodes[1:], strict=True)):
        if edge.released != node.released:
            return [f"edges[{at}].released: an edge is released with the node at its end"]
        if edge.released and not open_:
            return [f"edges[{at}].released: nothing is released behind what is not"]
        open_ = edge.released
    return []


def _finite(**values: float | None) -> list[str]:
    return [
        f"{name}: expected a finite number, got {value}"
        for name, value in values.items()
        if value is not None and not math.isfinite(value)
    ]


def _position_faults(position: NodePosition) -> list[str]:
    faults = _finite(x=position.x, y=position.y, theta=position.theta)
    if position.theta is not None and abs(position.theta) > _PI:
        faults.append(f"theta: expected -pi to pi, got {position.theta}")
    ellipse, turn = position.allowed_deviation_xy, position.allowed_deviation_theta
    if ellipse is not None and not (
        ellipse.a >= 0.0 and ellipse.b >= 0.0 and math.isfinite(ellipse.theta)
    ):
        faults.append(f"allowedDeviationXY: axes of 0 or more, got {ellipse.a} and {ellipse.b}")
    if turn is not None and not 0.0 <= turn <= _PI:
        faults.append(f"allowedDeviationTheta: expected 0 to pi, got {turn}")
    return faults


def _edge_faults(edge: Edge) -> list[str]:
    faults = _finite(orientation=edge.orientation, length=edge.length)
    if edge.orientation is not None and abs(edge.orientation) > _PI:
        faults.append(f"orientation: expected -pi to pi, got {edge.orientation}")
    for name, value in (
        ("maximumSpeed", edge.maximum_speed),
        ("maximumRotationSpeed", edge.maximum_rotation_speed),
    ):
        if value is not None and not (math.isfinite(value) and value > 0.0):
            faults.append(f"{name}: expected more than 0, got {value}")
    if edge.trajectory is not None:
        faults += _trajectory_faults(edge.trajectory)
    if edge.corridor is not None:
        faults += _corridor_faults(edge.corridor)
    return faults


def _trajectory_faults(trajectory: Trajectory) -> list[str]:
    for point in trajectory.control_points:
        if faults := _finite(x=point.x, y=point.y, weight=point.weight):
            return [f"trajectory.controlPoints.{faults[0]}"]
    # What is accepted goes out again with every state, whose schema asks for the same.
    for knot in trajectory.knot_vector or ():
        if not 0.0 <= knot <= 1.0:
            return [f"trajectory.knotVector: expected 0 to 1, got {knot}"]
    try:
        curve_of(trajectory)
    except ValueError as error:
        return [f"trajectory: {error}"]
    return []


def _corridor_faults(corridor: Corridor) -> list[str]:
    return [
        f"corridor.{name}: expected 0 or more, got {value}"
        for name, value in (
            ("leftWidth", corridor.left_width),
            ("rightWidth", corridor.right_width),
        )
        if not (math.isfinite(value) and value >= 0.0)
    ]
