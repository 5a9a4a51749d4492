"""Carrying an order out: nodes passed, edges entered, actions triggered (3.0, 6.6.2)."""

from __future__ import annotations

from collections.abc import Sequence

from stagetwin_bridges.vda5050.messages import Action, Edge, Node, Order
from stagetwin_bridges.vda5050.vehicle._held import HeldOrder
from stagetwin_bridges.vda5050.vehicle._parts import Parts
from stagetwin_bridges.vda5050.vehicle._performer import Performer
from stagetwin_bridges.vda5050.vehicle._rules import Cause, Until
from stagetwin_bridges.vda5050.vehicle._runs import Run
from stagetwin_bridges.vda5050.vehicle._stretch import Stretch, place_of
from stagetwin_bridges.vda5050.vehicle._watch import ZoneWatch

__all__ = ["Execution"]


class Execution:
    """Takes accepted orders and carries them out."""

    def __init__(self, parts: Parts, performer: Performer, watch: ZoneWatch) -> None:
        self._parts = parts
        self._performer = performer
        self._watch = watch

    def begin(self, order: Order) -> None:
        """Take a new order; its first node counts as passed at once (6.1.1)."""
        parts = self._parts
        parts.faults.end(Until.ORDER)
        parts.held = HeldOrder(order)
        parts.order_runs.clear()
        if not parts.rules.modern:
            # 2.1, 6.10.6: a new order removes all action states but those that still run.
            parts.instant_runs = {n: r for n, r in parts.instant_runs.items() if not r.ended}
        parts.driver.abandon()
        parts.entered = -1
        self._add_runs(order.nodes, order.edges)
        self._add_stretches(order.nodes, order.edges)
        self._arrive(order.nodes[0])
        self._enter()

    def extend(self, order: Order) -> None:
        """Take an update: another horizon, and more base (6.1.2)."""
        parts = self._parts
        held = parts.held
        if held is None:
            raise RuntimeError("there is no order to extend")
        parts.faults.end(Until.ORDER)
        gone = held.drop_horizon()
        for name, run in list(parts.order_runs.items()):
            if run.place in gone:
                del parts.order_runs[name]
        held.stitch(order)
        self._add_runs(order.nodes[1:], order.edges)
        self._add_stretches(order.nodes, order.edges)
        self._enter()

    def progress(self, now: float) -> None:
        """See which nodes were passed."""
        parts = self._parts
        while (stretch := parts.driver.passed()) is not None:
            held = parts.held
            self._watch.passed(stretch)
            if held is None or not held.nodes:
                continue
            node, edge = held.pass_node()
            self._performer.stop_edge(edge.sequence_id, now)
            self._arrive(node)
            self._enter()

    def drive(self, now: float) -> None:
        """Let the body drive as far as it may, or stand."""
        parts, driver = self._parts, self._parts.driver
        if parts.clearing is not None:
            # A line-guided vehicle still goes to its next node; else there is nothing to drive.
            if driver.busy:
                driver.stand(parts.emergency != "NONE")
            return
        self._enter()
        may = (
            parts.controlled
            and parts.emergency == "NONE"
            and not (parts.paused or parts.faults.holds or parts.queue.stands)
        )
        if driver.busy or driver.standing_still:
            driver.stand(not may)
        if not may or not driver.stretches:
            return
        if parts.charging:
            # Driving off ends it, as pulling away from a contact does.
            parts.charging = False
            parts.chassis.plug(False)
        entered = parts.entered == driver.stretches[0].edge.sequence_id
        stuck = driver.plan(entered=entered, map_id=parts.map_id, hold=self._watch.hold)
        if stuck is not None and not driver.busy and not parts.chassis.moving:
            self._check_way(stuck, now)

    # -- parts -----------------------------------------------------------------------------------

    def _check_way(self, stretch: Stretch, now: float) -> None:
        """Report a node that will not be reached, however long the vehicle waits (6.4.5)."""
        parts, name = self._parts, stretch.node.node_id
        if stretch.map_id and stretch.map_id != parts.map_id:
            if parts.queue:
                return
            why = f"node {name!r} is on map {stretch.map_id!r}, the vehicle on {parts.map_id!r}"
        elif self._watch.closed_for_good:
            why = f"a zone closes the way to node {name!r}"
        else:
            return
        parts.faults.report(Cause.NODE_UNREACHABLE, now, why, {"nodeId": name})

    def _arrive(self, node: Node) -> None:
        parts = self._parts
        parts.last_node_id, parts.last_sequence_id = node.node_id, node.sequence_id
        parts.queue.add(self._runs(node.actions))
        parts.dirty = True

    def _enter(self) -> None:
        """Enter the next edge, unless the vehicle must stand on the node first (6.6.2)."""
        parts = self._parts
        held = parts.held
        if held is None or not held.edges or parts.queue.stands:
            return
        edge = held.edges[0]
        before = edge.sequence_id - 1
        if edge.released and parts.entered < before and parts.last_sequence_id == before:
            parts.entered = edge.sequence_id
            parts.queue.add(self._runs(edge.actions))

    def _runs(self, actions: Sequence[Action]) -> list[Run]:
        return [self._parts.order_runs[action.action_id] for action in actions]

    def _add_runs(self, nodes: Sequence[Node], edges: Sequence[Edge]) -> None:
        places: list[Node | Edge] = sorted([*nodes, *edges], key=lambda each: each.sequence_id)
        for place in places:
            for action in place.actions:
                run = Run(action, "NODE" if isinstance(place, Node) else "EDGE", place.sequence_id)
                self._parts.order_runs[action.action_id] = run

    def _add_stretches(self, nodes: Sequence[Node], edges: Sequence[Edge]) -> None:
        parts = self._parts
        start = place_of(nodes[0], parts.road_map) or (parts.chassis.x, parts.chassis.y)
        for edge, node in zip(edges, nodes[1:], strict=True):
            if not edge.released:
                return
            stretch = Stretch(start, edge, node, parts.road_map)
            parts.driver.extend([stretch])
            start = stretch.way.points[-1]
