"""Why a vehicle with an order stands still, as its state says it (3.0, 6.6)."""

from __future__ import annotations

import math
import re

from stagetwin_bridges.vda5050.control._mirror import COMMANDED, STOPS_ORDER, Mirror
from stagetwin_bridges.vda5050.control._order import ActiveOrder, Phase
from stagetwin_bridges.vda5050.messages import State

__all__ = ["STANDSTILL", "Standing"]

STANDSTILL = 10.0
"""After so long without a movement an operator is told [s]."""

_MOVED = 0.1
"""A vehicle that is so far from where it was has moved [m]."""

_NAMED = 3
"""Errors and actions that are named."""

_AGAIN = 60.0
"""Time after which what was noted of an order is noted again, be it with other numbers [s]."""

_MOST = 100
"""Notes of one order at most: a vehicle may say anything, and the ledger keeps it."""

_GOES_ON = "it drives on"


class Standing:
    """Watches one order; says once why its vehicle stands still, and when it goes on.

    Args:
        after: how long it must stand [s].
    """

    def __init__(self, after: float = STANDSTILL) -> None:
        self._after = after
        self._place: tuple[str, float, float] | None = None
        self._since = math.inf
        self._said = ""
        self._told: dict[str, float] = {}
        self._count = 0

    def look(self, order: ActiveOrder, mirror: Mirror, now: float) -> str:
        """Return what is to be noted now; empty for nothing; `now` is steady [s]."""
        state = mirror.state
        if state is None or order.phase is not Phase.RUNNING:
            return ""
        if self._has_moved(state):
            self._since = now
            said, self._said = self._said, ""
            return self._note(_GOES_ON, f"{_GOES_ON}, at {_where(state)}", now) if said else ""
        if not state.node_states and not state.action_states:
            return ""
        grave = mirror.absent() or _grave(state)
        if not grave and not now - self._since >= self._after:
            return ""
        why = grave or _reasons(order, state) or "it reports no cause"
        kind = re.sub(r"\d+", "", why)
        if kind == self._said:
            return ""
        words = self._note(kind, f"the vehicle stands at {_where(state)}: {why}", now)
        self._said = kind if words else self._said
        return words

    def _note(self, kind: str, words: str, now: float) -> str:
        """Return words that are to be noted now; empty for what was noted a moment ago."""
        if self._count >= _MOST or now - self._told.get(kind, -math.inf) < _AGAIN:
            return ""
        self._told[kind], self._count = now, self._count + 1
        return words if self._count < _MOST else f"{words}; nothing more of this order is noted"

    def _has_moved(self, state: State) -> bool:
        where, last = state.mobile_robot_position, self._place
        x, y = (where.x, where.y) if where is not None else (0.0, 0.0)
        node = f"{state.last_node_id}:{state.last_node_sequence_id}"
        if last is not None and last[0] == node and math.dist(last[1:], (x, y)) <= _MOVED:
            return False
        self._place = node, x, y
        return True


def _where(state: State) -> str:
    where = state.mobile_robot_position
    at = f" ({where.x:.2f}, {where.y:.2f})" if where is not None else ""
    return f"{state.last_node_id or 'no node'}{at}"


def _grave(state: State) -> str:
    """Return what stops an order at once, whoever waits."""
    found = []
    if state.safety_state.active_emergency_stop != "NONE":
        found.append(f"its emergency stop is {state.safety_state.active_emergency_stop}")
    if state.operating_mode not in COMMANDED:
        found.append(f"its operating mode is {state.operating_mode}")
    errors = [error for error in state.errors if error.error_level in STOPS_ORDER]
    for error in errors[:_NAMED]:
        words = f": {error.error_description}" if error.error_description else ""
        found.append(f"it reports {error.error_type} ({error.error_level}){words}")
    return "; ".join(found)


def _reasons(order: ActiveOrder, state: State) -> str:
    """Return what may hold it up, the likeliest first."""
    found = []
    if state.safety_state.field_violation:
        found.append("something is in its protective field")
    if state.paused:
        found.append("it is paused")
    for error in [e for e in state.errors if e.error_level not in STOPS_ORDER][:_NAMED]:
        words = f": {error.error_description}" if error.error_description else ""
        found.append(f"it reports {error.error_type} ({error.error_level}){words}")
    for request in state.zone_requests or ():
        if request.request_status != "GRANTED":
            found.append(f"it waits for zone {request.zone_id!r} ({request.request_status})")
    running = [a for a in state.action_states if a.action_status not in ("FINISHED", "WAITING")]
    for action in running[:_NAMED]:
        found.append(f"action {action.action_type or action.action_id} is {action.action_status}")
    if not any(node.released for node in state.node_states) and order.released < order.plan.last:
        found.append(f"it is released to {order.plan.stops[order.released].id} and no further")
    return "; ".join(found)
