"""One command that was sent to a vehicle: what its news mean for the command's life."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stagetwin.actuation import Fate, Transmission
from stagetwin_bridges.vda5050.control._control import Control
from stagetwin_bridges.vda5050.control._order import Event, EventKind
from stagetwin_bridges.vda5050.control._plan import Plan

__all__ = ["Followed", "News", "shows_of"]

News = tuple[Fate, str, bool]
"""What is reported: fate, cause, and whether nothing more will come."""


@dataclass(slots=True)
class Followed:
    """A command that was written, until it is over.

    Attributes:
        transmission: the command.
        control: of its vehicle.
        wire_id: its `orderId` or `actionId`.
        is_order: whether it is an order.
        until: how long it may go on [s, boot-time clock].
        accepted: whether the vehicle has shown it.
        expired: whether it was given up unconfirmed.
        over: whether nothing more will become of it.
    """

    transmission: Transmission
    control: Control
    wire_id: str
    is_order: bool
    until: float = -math.inf
    accepted: bool = False
    expired: bool = False
    over: bool = False

    def judge(self, event: Event) -> list[News]:
        """Return what to report of an event that is this command's."""
        match event.kind:
            case EventKind.ACCEPTED:
                self.accepted = True
                order = self.control.order
                repeats = order.repeats if order is not None and order.id == self.wire_id else 0
                times = f", after {repeats} repetitions" if repeats else ""
                return [(Fate.ACKNOWLEDGED, f"{event.words}{times}", not self.is_order)]
            case EventKind.EXTENDED:
                return [(Fate.NOTED, event.words, False)]
            case EventKind.REFUSED | EventKind.DROPPED:
                self.over = True
                return [(Fate.REFUSED, event.words, True)]
            case EventKind.FINISHED:
                self.over = True
                words = f": {event.words}" if event.words else ""
                return [(Fate.NOTED, f"the vehicle finished it{words}", True)]

    def expire(self, now: float) -> list[News]:
        """Return what to report where nobody confirmed it within its time to live [s]."""
        if self.accepted or self.expired or self.over or now < self.transmission.expires:
            return []
        self.expired = True
        if self.is_order:
            self.control.give_up(self.wire_id)
        return [(Fate.UNKNOWN, "no state of the vehicle showed it within its time to live", True)]


def shows_of(plan: Plan) -> tuple[object, ...]:
    """Return what a read-back shows at the goal of a plan: its node, or the pose there."""
    goal = plan.stops[-1]
    pose = [] if goal.theta is None else [[goal.x, goal.y, goal.theta]]
    return (goal.id, *pose)
