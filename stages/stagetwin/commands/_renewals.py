"""Renewal: whether a command that was sent may still go on, judged again each second.

Some commands are released bit by bit after they were sent: a vehicle gets its route as it drives.
Permissives that were read before the sending say nothing of that time. So the command is judged
as when it was armed, and its command client gets leave for two seconds at a time; without it
nothing more leaves. A lapse is not for ever: if everything holds again before the command has
ended, it goes on, and the ledger has both.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection
from dataclasses import dataclass

from stagetwin.actuation import RENEWED_FOR, Renewal
from stagetwin.clock import Clock
from stagetwin.commands._judge import Judge, Refusal
from stagetwin.commands._life import Life, Transport
from stagetwin.commands._records import Records
from stagetwin.commands._states import IN_FLIGHT
from stagetwin.commands._way_out import WayOut

__all__ = ["Renewals"]

_log = logging.getLogger(__name__)

PERIOD = 1.0
"""Time between two renewals of a command [s]."""


@dataclass(slots=True)
class _Leave:
    """How a command's leave stands; times on the steady clock [s], `halted` by whom."""

    next: float = -math.inf
    until: float = math.inf
    lapsed: bool = False
    halted: str = ""


class Renewals:
    """Judges what is under way, and renews it."""

    def __init__(self, way: WayOut, records: Records, transport: Transport, clock: Clock) -> None:
        self._way, self._records = way, records
        self._transport, self._clock = transport, clock
        self._leaves: dict[str, _Leave] = {}

    def halt(self, targets: Collection[str], author: str) -> None:
        """Renew what is under way to some targets no more, whatever becomes of the stop itself."""
        for life in self._records.lives():
            command = life.command
            if (
                command.target in targets
                and command.state in IN_FLIGHT
                and command.origin != "stop"
            ):
                self._leaves.setdefault(command.id, _Leave()).halted = author
                if self._transport.renews(life.target.binding.connection):
                    # What the client holds is good for a while yet: it is taken back.
                    self._tell(life, self._clock.steady())

    def look(self, now: float) -> None:
        """Renew what may go on; `now` is on the steady clock [s]."""
        under_way = {
            life.command.id: life
            for life in self._records.lives()
            if life.command.state in IN_FLIGHT
            and self._transport.renews(life.target.binding.connection)
        }
        self._leaves = {
            key: self._leaves.get(key) or _Leave(until=now + RENEWED_FOR) for key in under_way
        }
        due = [life for key, life in under_way.items() if now >= self._leaves[key].next]
        if not due:
            return
        judge = self._way.judge() if self._way.is_current() else None
        for life in due:
            leave = self._leaves[life.command.id]
            # Where nothing is known for a moment, it is looked at again at the next tick.
            leave.next = now + PERIOD if judge is not None else now
            self._renew(life, leave, judge, now)

    def _renew(self, life: Life, leave: _Leave, judge: Judge | None, now: float) -> None:
        command = life.command
        why = "the plant's guards were being read, or the service was busy"
        if leave.halted:
            why, leave.until = f"by the stop request of {leave.halted}", min(leave.until, now)
        elif judge is not None:
            why = _obstacle(judge, life)
        if not why:
            leave.until = now + RENEWED_FOR
            self._tell(life, leave.until)
            if leave.lapsed:
                leave.lapsed = False
                self._records.note(command, "renewed: it may go on")
        elif now >= leave.until and not leave.lapsed:
            leave.lapsed = True
            self._records.note(command, f"not renewed, nothing more of it is released: {why}")

    def _tell(self, life: Life, until: float) -> None:
        """Tell the client how long a command may go on [s, steady clock]."""
        command, binding = life.command, life.target.binding
        renewal = Renewal(
            id=command.id,
            target=binding.wire(),
            asset=command.asset,
            guard=command.guard,
            until=until,
        )
        self._transport.renew(binding.connection, renewal)


def _obstacle(judge: Judge, life: Life) -> str:
    """Return why a command may not go on; empty if it may."""
    command, target = life.command, life.target
    if not target.bound:
        return f"{command.target} is no more on the stage"
    try:
        if judge.guard(command, target.binding) != command.guard:
            return f"the guards of {command.asset} changed since"
        judge.rights(command, target.binding)
        judge.approvals(command, target.binding)
        judge.realm(target.binding, life.inputs)
        judge.reach(target.binding, stop=command.origin == "stop")
        if command.origin != "stop":
            judge.permissives(target.binding)
    except Refusal as refusal:
        return refusal.cause
    except Exception as error:
        # What cannot be judged is not proven; and one command must not hold up the others.
        _log.exception("command %s cannot be judged again", command.id)
        return f"it cannot be judged: {type(error).__name__}: {error}"
    return ""
