"""Giving an order up: by cancelOrder, an operating mode, or hibernation (3.0, 6.1.3 and 6.6.7)."""

from __future__ import annotations

from collections.abc import Callable

from stagetwin_bridges.vda5050.vehicle._parts import Clearing, Parts
from stagetwin_bridges.vda5050.vehicle._performer import Performer

__all__ = ["begin_clearing", "step_clearing"]


def begin_clearing(
    parts: Parts, performer: Performer, now: float, end: Callable[[float], None], *, at_node: bool
) -> None:
    """Give the order up: cancel what may be cancelled, stop, and let the rest run out.

    Args:
        parts: of the vehicle.
        performer: of its actions.
        now: [s].
        end: done once the vehicle stands and all actions of the order are over.
        at_node: whether the vehicle must reach the next node to stop.
    """
    if parts.clearing is None:
        parts.clearing = Clearing()
        if at_node:
            parts.driver.abandon_behind_next()
        else:
            parts.driver.abandon()
        for run in parts.order_runs.values():
            performer.cancel(run, now)
        parts.queue.prune()
        parts.dirty = True
    parts.clearing.ends.append(end)


def step_clearing(parts: Parts, now: float) -> None:
    """End it if the vehicle stands and no action of the order runs any more."""
    clearing = parts.clearing
    if clearing is None or parts.driver.busy or parts.chassis.moving:
        return
    if any(not run.ended for run in parts.order_runs.values()):
        return
    # Nodes, requests and the word that ends it change in one state (6.6.7).
    parts.clearing = None
    if parts.held is not None and not parts.held.done:
        parts.held.clear()
    parts.driver.abandon()
    parts.requests.clear()
    parts.dirty = True
    for end in clearing.ends:
        end(now)
