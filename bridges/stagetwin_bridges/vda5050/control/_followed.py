"""One command that was sent to a vehicle: what its news mean for the command's life."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from stagetwin.actuation import Fate, Transmission
from stagetwin_bridges.vda5050.control._control import Control
from stagetwin_bridges.vda5050.control._order import Event, EventKind
from stagetwin_bridges.vda5050.control._plan import Plan
from stagetwin_bridges.vda5050.control._standing import Standing
from stagetwin_bridges.vda5050.control._zone_sets import Transfer

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
        transfer: the zone set that it brings; None for another kind.
        standing: says why its vehicle stands still.
        until: how long it may go on [s, boot-time clock].
        accepted: whether the vehicle has shown it.
        expired: whether it was given up unconfirmed.
        over: whether nothing more will become of it.
    """

    transmission: Transmission
    control: Control
    wire_id: str
    is_order: bool = False
    transfer: Transfer | None = None
    standing: Standing = field(default_factory=Standing)
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
                if event.failed:
                    return [(Fate.REFUSED, event.words, True)]
                words = f": {event.words}" if event.words else ""
                return [(Fate.NOTED, f"the vehicle finished it{words}", True)]

    def bring(self) -> list[News]:
        """Return what to report of a zone set on its way."""
        transfer = self.transfer
        if transfer is None or not (transfer.done or transfer.fault):
            return []
        self.over = True
        if transfer.fault:
            return [(Fate.REFUSED, transfer.fault, True)]
        self.accepted = True
        return [(Fate.ACKNOWLEDGED, f"zone set {transfer.contents.zone_set_id} is enabled", True)]

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
