"""The command path: from a request to its end, for all commands of one plant.

Everything here runs on the thread that owns the stage. What other threads know (reports, readings,
durable entries) is posted as an event and taken up by `pump`. A command advances as far as it can
whenever something happens that concerns it, and at every tick.
"""

from __future__ import annotations

import json
import logging
import math
from collections import deque
from collections.abc import Callable, Sequence

from stagetwin._errors import CommandError
from stagetwin.actuation import Reading, Report
from stagetwin.commands._command import MAX_REASON, Command, Origin, PublishRequest
from stagetwin.commands._inputs import Inputs
from stagetwin.commands._ledger import Ledger
from stagetwin.commands._life import Life, Transport
from stagetwin.commands._outcome import Outcomes
from stagetwin.commands._records import Records, words
from stagetwin.commands._rehearsal import Rehearsals
from stagetwin.commands._renewals import Renewals
from stagetwin.commands._states import ENDS, Code, State
from stagetwin.commands._targets import Target, Targets
from stagetwin.commands._way_out import WayOut, guarded_table
from stagetwin.people import Access
from stagetwin.twin import Twin

__all__ = ["CommandPath"]

_log = logging.getLogger(__name__)

MAX_OPEN = 10_000
"""Commands that may be on their way at once."""

CLOCK_STEP = 1.0
"""A step of the wall clock beyond this expires what has not been sent [s]."""

_APPROVERS = {"none": 0, "single": 1, "dual": 2}


class CommandPath:
    """Takes requests, judges them, sends each at most once, and looks for the proof.

    Attributes:
        records: the commands, and how they stand.
        targets: what can be commanded.
        inputs: what is known of the plant.
    """

    def __init__(
        self,
        twin: Twin,
        ledger: Ledger,
        transport: Transport,
        access: Access,
        wake: Callable[[], None],
        is_calm: Callable[[], bool] = lambda: True,
    ) -> None:
        """Begin.

        Args:
            twin: the live stage; its guards are those that count.
            ledger: the record; owned by this process.
            transport: how commands leave.
            access: says who may command and approve.
            wake: called from any thread when `pump` has something to do.
            is_calm: tells whether what is known is of now; commands wait while it is not.
        """
        self.twin = twin
        self.targets = Targets(twin.layers, ledger.epoch * 1_000_000_000)
        self.inputs = Inputs(twin)
        self._ledger, self._transport, self._access = ledger, transport, access
        self._wake, self._clock = wake, twin.clock
        self._events, self._closed = deque[Callable[[], None]](), False
        self.records = Records(ledger, self.targets, twin.clock)
        self._outcomes = Outcomes(self.records, self.inputs, transport, twin.clock)
        self._way = WayOut(
            twin,
            ledger,
            transport,
            access,
            self.records,
            self.inputs,
            self._outcomes,
            self.post,
            is_calm,
        )
        self._offset = self._clock.wall() - self._clock.steady()
        self._renewals = Renewals(self._way, self.records, transport, self._clock)
        twin.on_guards.append(self._rebound)
        self._rebound()

    @property
    def rehearsals(self) -> Rehearsals:
        """How commands are rehearsed; whoever can do it is named there."""
        return self._way.rehearsals

    # -- what people and rules ask

    def publish(self, request: PublishRequest, author: str) -> Command:
        """Make a person's draft a request.

        Args:
            request: what is asked for.
            author: user name, from the peer's credentials.

        Returns:
            The command; REJECTED with its cause where it does not go on.

        Raises:
            CommandError: no such command, the id was used for something else, or too many are open.
        """
        return self.request(request, author, "human")

    def request(
        self,
        request: PublishRequest,
        author: str,
        origin: Origin,
        inputs: Sequence[str] = (),
    ) -> Command:
        """Begin a command's life; see `publish`. `inputs` are signals that led to it."""
        target = self._target(request.target)
        binding = target.binding
        ttl = min(request.ttl or binding.expiry, binding.expiry)
        spec = guarded_table(self.twin).connections[binding.connection]
        now = self._clock.steady()
        command = Command(
            id=request.id,
            target=binding.path,
            value=request.value,
            unit=binding.unit,
            author=author,
            origin=origin,
            reason=request.reason,
            mode=request.mode,
            base=request.revision,
            ttl=ttl,
            created=self._clock.wall(),
            expires=now + ttl,
            realm=spec.realm,
            asset=binding.asset,
            needs=0 if origin == "stop" else _APPROVERS.get(binding.approval, 2),
            parameters=dict(request.parameters),
        )
        if known := self.records.find(request.id):
            if known.fingerprint != command.fingerprint:
                raise CommandError(f"command {request.id} exists with another content")
            return known
        if len(self.records) >= MAX_OPEN and origin != "stop":
            raise CommandError(f"{MAX_OPEN} commands are on their way; wait until some have ended")
        life = Life(command, target, tuple(inputs))
        life.approved = self.twin.approved.get(command.asset, "")
        self.records.adopt(life)
        self.records.enter(life, State.REQUESTED, body=command.asked_for)
        self._proceed(life, now)
        return command

    def cancel(
        self, command_id: str, author: str, reason: str = "", *, owner: bool = False
    ) -> Command:
        """End a command that has not left.

        Args:
            command_id: the command.
            author: who cancels it.
            reason: why, for the record.
            owner: whether that is the service's own user, who may cancel any.

        Raises:
            CommandError: unknown, it has left or ended, or it is neither this user's nor of an
                asset that this user may command.
        """
        life = self._unsent(command_id, "be cancelled")
        command = life.command
        if not owner and author != command.author:
            asset = guarded_table(self.twin).assets.get(command.asset)
            if asset is None or not self._way.judge().may_command(author, asset):
                raise CommandError(
                    f"{author} is not its author, and holds no role that may command "
                    f"{command.asset}"
                )
        cause = f"by {author}{f': {reason}' if reason else ''}"
        self.records.end(life, State.CANCELLED, Code.BY_HAND, cause)
        return life.command

    def approve(
        self, command_id: str, author: str, reason: str = "", hash_seen: str = ""
    ) -> Command:
        """Approve a command; it goes on once enough people did.

        Args:
            command_id: the command.
            author: who approves it.
            reason: why, for the record.
            hash_seen: hash of what was shown to them; empty for whatever the command is now.

        Raises:
            CommandError: it does not wait for approval, this user may not approve it, or it is
                not what they saw.
        """
        life = self._awaiting(command_id, author)
        command = life.command
        if hash_seen and hash_seen != command.hash:
            raise CommandError(
                f"command {command.id} has the hash {command.hash}, and {hash_seen:.80} was "
                f"approved: look at it again"
            )
        if not any(self._access.same_person(author, name) for name in command.approvals):
            command.approvals.append(author)
            body = {"approved": command.hash, "by": author, "reason": words(reason)}
            self.records.note(command, f"approved by {author}", body)
        self._proceed(life, self._clock.steady())
        return command

    def deny(self, command_id: str, author: str, reason: str = "") -> Command:
        """Deny a command; see `approve`."""
        life = self._awaiting(command_id, author)
        cause = f"by {author}{f': {reason}' if reason else ''}"
        self.records.end(life, State.DENIED, Code.BY_HAND, cause)
        return life.command

    def halt(self, prim: str, author: str, reason: str = "") -> list[Command]:
        """Make the stop request: send every command below a prim that has a safe value to it.

        What waits there is ended first. Best effort, and no safety function.
        """
        targets = self.targets.below(prim)
        if not targets:
            raise CommandError(f"nothing can be commanded at or below {prim}")
        paths = {target.binding.path for target in targets}
        for life in self.records.lives():
            if life.unsent and life.command.target in paths:
                self.records.end(
                    life, State.SUPERSEDED, Code.STOP, f"by the stop request of {author}"
                )
        self._renewals.halt(paths, author)
        made: list[Command] = []
        for target in targets:
            if target.binding.safe:
                request = PublishRequest(
                    target=target.binding.path,
                    value=json.loads(target.binding.safe),
                    reason=words(reason)[:MAX_REASON] or "stop request",
                )
                made.append(self.request(request, author, "stop"))
        return made

    # -- events and ticks

    def post(self, event: Callable[[], None]) -> None:
        """Queue something for the owner's thread; may be called from any thread."""
        self._events.append(event)
        self._wake()

    def report(self, report: Report) -> None:
        """Take news of a transmission, from any thread."""
        self.post(lambda: self._outcomes.report(report))

    def reading(self, reading: Reading) -> None:
        """Take an answer of a device, from any thread."""
        self.post(lambda: self._outcomes.reading(reading))

    def lost(self, connection: str, cause: str) -> None:
        """Take note that a command client is gone with whatever it knew, from any thread."""
        self.post(lambda: self._outcomes.lost(connection, cause))

    def pump(self) -> None:
        """Take up what was posted."""
        while self._events and not self._closed:
            event = self._events.popleft()
            try:
                event()
            except Exception:
                # The next event is another command's.
                _log.exception("an event of the command path failed")

    def tick(self) -> None:
        """Go on with every command: called after each tick of the twin."""
        self.pump()
        now = self._clock.steady()
        self._look_at_the_clock(now)
        for life in self.records.lives():
            try:
                if life.unsent:
                    self._proceed(life, now)
                elif not life.committing and self.records.life(life.command.id) is life:
                    self._outcomes.look(life, now)
            except Exception as error:
                # What goes wrong with one command must not hold up the others.
                self._outcomes.give_up(life, now, error)
        self._renewals.look(now)

    def _proceed(self, life: Life, now: float) -> None:
        """Take a command on, unless its time to live is over; `now` is on the steady clock [s]."""
        if life.unsent and now >= life.command.expires:
            text = f"not sent within {life.command.ttl:g} s{self._waited_for(life)}"
            self.records.end(life, State.EXPIRED, Code.TIME_TO_LIVE, text)
        else:
            self._way.advance(life)

    def housekeeping(self) -> None:
        """Keep the ledger's newest hash outside of it; call about once a second."""
        self._ledger.anchor()

    def recover(self) -> None:
        """Take up what a service before this one left: nothing is sent again."""
        self._outcomes.recover(self._ledger.open_commands(frozenset(map(str, ENDS))))

    # -- parts

    def _rebound(self) -> None:
        guarded, approved = self.twin.guarded, self.twin.approved
        # Before anything else: what was approved under other guards must not leave any more.
        self._transport.authorise(dict(approved))
        self.inputs.rebind(guarded)
        self.targets.rebind(guarded)
        for life in self.records.lives():
            command, target = life.command, life.target
            same = target.bound and target.binding == life.asked
            same = same and life.approved == approved.get(command.asset, "")
            if life.unsent and not same:
                text = f"the guards of {command.asset} changed before it was sent"
                self.records.end(life, State.REJECTED, Code.GUARDS, text)

    def _target(self, path: str) -> Target:
        target = self.targets.get(path)
        if target is None:
            raise CommandError(f"no command {path!r} runs here")
        return target

    def _unsent(self, command_id: str, what: str) -> Life:
        command = self.records.find_one(command_id)
        life = self.records.life(command.id)
        if life is None or not life.unsent:
            raise CommandError(f"command {command.id} is {command.state} and can no more {what}")
        return life

    def _awaiting(self, command_id: str, author: str) -> Life:
        life = self._unsent(command_id, "be approved or denied")
        command = life.command
        if command.state is not State.REHEARSED:
            raise CommandError(f"command {command.id} is {command.state}, it awaits no approval")
        if self._access.same_person(author, command.author):
            raise CommandError(f"{author} is its author; somebody else must approve")
        asset = guarded_table(self.twin).assets[command.asset]
        if not self._way.judge().may_approve(author, asset):
            raise CommandError(f"{author} holds no role that may approve at {command.asset}")
        return life

    def _waited_for(self, life: Life) -> str:
        command = life.command
        if command.state is State.REQUESTED:
            return ": the plant's guards were being read"
        if command.state is State.VALIDATED:
            return ": it was being rehearsed"
        if command.state is State.REHEARSED:
            return f": {len(command.approvals)} of {command.needs} approved it"
        if command.state is State.APPROVED and life.target.holder:
            return f": {life.target.holder} was under way to it"
        return ""

    def _look_at_the_clock(self, now: float) -> None:
        offset = self._clock.wall() - now
        step, self._offset = offset - self._offset, offset
        if math.fabs(step) > CLOCK_STEP:
            for life in self.records.lives():
                if life.unsent:
                    text = f"the wall clock stepped by {step:+.1f} s"
                    self.records.end(life, State.EXPIRED, Code.CLOCK_STEP, text)

    def close(self) -> None:
        """Stop looking at the twin; what is unsent ends, what is sent is for the next service."""
        self._closed = True
        for life in self.records.lives():
            if life.unsent:
                self.records.end(life, State.EXPIRED, Code.RESTART, "the service stopped")
        if self._rebound in self.twin.on_guards:
            self.twin.on_guards.remove(self._rebound)
