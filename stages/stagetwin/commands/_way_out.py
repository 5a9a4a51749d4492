"""The way to the wire: validate, rehearse, approve, arm, and send at most once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from stagetwin._errors import CommandError
from stagetwin.actuation import Transmission
from stagetwin.bindings import BindingTable
from stagetwin.commands._inputs import Inputs
from stagetwin.commands._judge import Judge, Refusal, Sent, wire_value
from stagetwin.commands._ledger import Ledger
from stagetwin.commands._life import Life, Transport
from stagetwin.commands._outcome import Outcomes
from stagetwin.commands._records import Records
from stagetwin.commands._rehearsal import Rehearsals
from stagetwin.commands._states import Code, State
from stagetwin.people import Access
from stagetwin.twin import Twin
from stagetwin.values import plain

__all__ = ["WayOut", "guarded_table"]

_log = logging.getLogger(__name__)

SEND_WITHIN = 0.25
"""Time from the last look at the permissives to the write to the socket, at most [s]."""


def guarded_table(twin: Twin) -> BindingTable:
    """Return the bindings that count; raises CommandError where a twin has no guards."""
    if twin.guarded is None:
        raise CommandError("this twin has no guards, so it commands nothing")
    return twin.guarded


class WayOut:
    """Takes commands from REQUESTED to SENT.

    A step returns whether the next may follow at once; one that has to wait is tried again at the
    next event or tick, until the command's time to live is over.

    Attributes:
        rehearsals: how commands are rehearsed.
    """

    def __init__(
        self,
        twin: Twin,
        ledger: Ledger,
        transport: Transport,
        access: Access,
        records: Records,
        inputs: Inputs,
        outcomes: Outcomes,
        post: Callable[[Callable[[], None]], None],
        is_calm: Callable[[], bool],
    ) -> None:
        self._twin, self._ledger, self._transport = twin, ledger, transport
        self._access, self._records, self._inputs = access, records, inputs
        self._outcomes, self._post, self._is_calm = outcomes, post, is_calm
        self._clock = twin.clock
        self.rehearsals = Rehearsals(records, post, self.advance)

    def advance(self, life: Life) -> None:
        """Take a command as far as it can go now."""
        steps = {
            State.REQUESTED: self._validate,
            State.VALIDATED: self.rehearsals.step,
            State.REHEARSED: self._seek_approval,
            State.APPROVED: self._arm,
            State.ARMED: self._commit,
        }
        try:
            while life.unsent and steps[life.command.state](life):
                pass
        except Refusal as refusal:
            rehearsal = life.command.rehearsal
            body = {"rehearsal": rehearsal} if refusal.code is Code.REHEARSAL else None
            self._records.end(life, State.REJECTED, refusal.code, refusal.cause, body=body)
        except Exception as error:
            # What cannot be judged is not proven; and one command must not hold up the others.
            _log.exception("command %s cannot go on", life.command.id)
            if life.unsent:
                cause = f"it cannot be judged: {type(error).__name__}: {error}"
                self._records.end(life, State.REJECTED, Code.FAULT, cause)

    def is_current(self) -> bool:
        """Tell whether guards and signals are those of now; files are looked at for it."""
        if not (self._twin.settled and self._is_calm()):
            return False  # and no look at files, which many that wait would do at every tick
        self._twin.look_at_files()
        return self._twin.settled

    def judge(self) -> Judge:
        """Return a judge of the guards in force."""
        twin = self._twin
        return Judge(
            guarded_table(twin),
            twin.approved,
            twin.demoted,
            self._access,
            self._inputs,
            self._transport.link,
        )

    def _validate(self, life: Life) -> bool:
        if not self.is_current():
            return False
        command, target, judge = life.command, life.target, self.judge()
        binding = target.binding
        if not target.bound:
            raise Refusal(Code.GUARDS, f"{command.target} is no more on the stage")
        value, place, words = judge.place(command, binding)
        parameters = judge.parameters(command, binding)
        resolved = place or parameters != command.parameters
        if resolved:
            command.resolve(value, parameters, place)
        life.value = judge.value(command, binding)
        wire_value(binding, life.value)
        command.guard = judge.guard(command, binding)
        judge.rights(command, binding)
        judge.realm(binding, life.inputs)
        if command.origin in ("human", "policy") and command.base != target.revision:
            seen = "no revision" if command.base is None else f"revision {command.base}"
            text = f"{binding.path} is at revision {target.revision}, its author saw {seen}"
            raise Refusal(Code.REVISION, text)
        self._may_move(judge, life)
        life.displaced = target.desired
        for other in self._records.lives():
            if other is life or other.target is not target or not other.unsent:
                continue
            if other.command.state is not State.REQUESTED:
                # What never was in force is not what this one displaces.
                life.displaced = other.displaced
            elif other.command.number > command.number:
                continue  # newer, and to be judged yet
            self._records.end(other, State.SUPERSEDED, Code.NEWER, f"by {command.id}", revert=False)
        self._records.targets.set_desired(target, (life.value, command.id), place)
        command.revision = target.revision
        body = {"guard": command.guard, "hash": command.hash, "revision": command.revision}
        if resolved:
            body["resolved"] = {"value": value, "parameters": parameters, "place": place}
        self._records.enter(life, State.VALIDATED, words, body=body)
        return True

    def _may_move(self, judge: Judge, life: Life) -> None:
        """Raise Refusal unless the machine can be reached, is fresh, and permits the step."""
        judge.reach(life.target.binding, stop=life.command.origin == "stop")
        if life.command.origin != "stop":
            judge.permissives(life.target.binding)
            now = self._clock.steady()
            judge.rate(life.command, life.target.binding, life.target.sent, now)

    def _seek_approval(self, life: Life) -> bool:
        command = life.command
        if len(command.approvals) < command.needs:
            return False
        by = ", ".join(command.approvals)
        cause = f"by {by}" if by else "no approval is asked for"
        body = {"hash": command.hash, "by": list(command.approvals)}
        self._records.enter(life, State.APPROVED, cause, body=body)
        return True

    def _arm(self, life: Life) -> bool:
        command, target = life.command, life.target
        if target.holder and command.origin != "stop":
            return False
        if not self.is_current():
            return False
        judge = self.judge()
        if not target.bound or judge.guard(command, target.binding) != command.guard:
            raise Refusal(Code.GUARDS, f"the guards of {command.asset} changed since")
        judge.rights(command, target.binding)
        judge.approvals(command, target.binding)
        self._may_move(judge, life)
        target.holder = command.id
        life.armed = self._clock.steady()
        command.token = self._ledger.token()
        self._records.enter(life, State.ARMED, body={"token": list(command.token)})
        return True

    def _commit(self, life: Life) -> bool:
        command, binding = life.command, life.target.binding
        known = self._inputs.one(binding.readback) if binding.readback else None
        command.before = known.value if known is not None else None
        body: dict[str, Any] = {"token": list(command.token), "before": command.before}
        if self._transport.repeats(binding.connection):
            body["repeats"] = True
        self._ledger.append(
            command.id,
            State.SENT,
            self._clock.wall(),
            body,
            lambda why: self._post(lambda: self._transmit(life, why)),
        )
        life.committing = True
        return False

    def _transmit(self, life: Life, broken: str) -> None:
        if not life.committing:
            return  # it had its one transmission
        life.committing = False
        command, target = life.command, life.target
        if broken:
            self._records.end(
                life, State.REJECTED, Code.LEDGER, f"the ledger cannot be written: {broken}"
            )
            return
        self._records.enter(life, State.SENT, recorded=True)
        self._outcomes.begin(life)
        life.sent_before = target.sent
        now, value = self._clock.steady(), plain(life.value)
        target.sent = life.sent = Sent.now(
            target.binding, value, now, life.sent_before, command.before
        )
        self._transport.send(
            target.binding.connection,
            Transmission(
                id=command.id,
                target=target.binding.wire(),
                value=wire_value(target.binding, life.value),
                asset=command.asset,
                guard=command.guard,
                token=command.token,
                deadline=life.armed + SEND_WITHIN,
                expires=command.expires,
                realm=command.realm,
                parameters=command.parameters,
            ),
        )
