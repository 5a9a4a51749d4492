"""The order that a vehicle holds: base, horizon, and where the one ends (3.0, 6.1.1 and 6.1.2)."""

from __future__ import annotations

from collections import deque

from stagetwin_bridges.vda5050.messages import Edge, EdgeState, Node, NodePosition, NodeState, Order

__all__ = ["HeldOrder"]


class HeldOrder:
    """An order as far as it is not passed yet.

    Attributes:
        order_id, update_id: of the newest message that was taken.
        message: that message.
        nodes: still to be passed, horizon included.
        edges: likewise.
        decision: last node of the base, where an update is stitched on.
        cancelled: whether fleet control cancelled it.
        cleared: whether it was given up, for whatever reason.
    """

    def __init__(self, order: Order) -> None:
        self.order_id = order.order_id
        self.update_id = order.order_update_id
        self.message = order
        # The first node counts as passed: that it is in reach was checked (6.1.1).
        self.nodes: deque[Node] = deque(order.nodes[1:])
        self.edges: deque[Edge] = deque(order.edges)
        self.decision = _last_released(order)
        self.cancelled = False
        self.cleared = False
        self._told: tuple[tuple[NodeState, ...], tuple[EdgeState, ...]] | None = None

    @property
    def waits(self) -> bool:
        """Whether there is a horizon, and so an update to come."""
        return bool(self.nodes) and not self.nodes[-1].released

    @property
    def done(self) -> bool:
        """Whether nothing is left to pass."""
        return not self.nodes and not self.edges

    def pass_node(self) -> tuple[Node, Edge]:
        """Take the next node and the edge before it off the order."""
        if self._told is not None:
            self._told = self._told[0][1:], self._told[1][1:]
        return self.nodes.popleft(), self.edges.popleft()

    def drop_horizon(self) -> set[int]:
        """Forget the horizon; return the sequence ids that went with it."""
        self._told = None
        gone: set[int] = set()
        while self.nodes and not self.nodes[-1].released:
            gone.add(self.nodes.pop().sequence_id)
        while self.edges and not self.edges[-1].released:
            gone.add(self.edges.pop().sequence_id)
        return gone

    def stitch(self, order: Order) -> None:
        """Take what an update has behind its first node; the horizon must be gone already."""
        self._told = None
        self.update_id = order.order_update_id
        self.message = order
        self.nodes.extend(order.nodes[1:])
        self.edges.extend(order.edges)
        # The first node keeps what was said of it before: a base does not change.
        found = _last_released(order)
        if found.sequence_id != self.decision.sequence_id:
            self.decision = found

    def clear(self) -> None:
        """Forget all that is not passed."""
        self._told = None
        self.nodes.clear()
        self.edges.clear()
        self.cleared = True

    def same_as(self, order: Order) -> bool:
        """Return whether a message says the same as the newest one taken."""
        mine = self.message
        return mine.nodes == order.nodes and mine.edges == order.edges

    def states(self) -> tuple[tuple[NodeState, ...], tuple[EdgeState, ...]]:
        """Return nodes and edges as a state has them."""
        if self._told is None:
            nodes = tuple(
                NodeState(
                    node_id=node.node_id,
                    sequence_id=node.sequence_id,
                    node_descriptor=node.node_descriptor,
                    released=node.released,
                    node_position=_bare(node.node_position),
                )
                for node in self.nodes
            )
            edges = tuple(
                EdgeState(
                    edge_id=edge.edge_id,
                    sequence_id=edge.sequence_id,
                    edge_descriptor=edge.edge_descriptor,
                    released=edge.released,
                    trajectory=edge.trajectory,
                )
                for edge in self.edges
            )
            self._told = nodes, edges
        return self._told


def _last_released(order: Order) -> Node:
    return [node for node in order.nodes if node.released][-1]


def _bare(position: NodePosition | None) -> NodePosition | None:
    """Return a position as a node state has it: without deviations (7.8)."""
    if position is None:
        return None
    return NodePosition(x=position.x, y=position.y, theta=position.theta, map_id=position.map_id)
