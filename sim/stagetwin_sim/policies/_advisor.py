"""A policy over fleet control: shadow first, then advice, then a loop that somebody approved."""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from stagetwin import StagetwinError
from stagetwin.envelopes import Envelope
from stagetwin.identifiers import uuid7
from stagetwin_sim._errors import PolicyError
from stagetwin_sim.policies._approval import Approval, Session
from stagetwin_sim.policies._inputs import Reading
from stagetwin_sim.policies._keys import VerifyKey
from stagetwin_sim.policies._proposals import Advice, Choices, Proposal, Value
from stagetwin_sim.policies._runner import Action, Runner

__all__ = ["Advisor", "Desk", "Stage"]


class Stage(StrEnum):
    """How much a policy may do."""

    SHADOW = "shadow"
    """What it would do is recorded, and nothing else."""
    ADVISORY = "advisory"
    """What it would do is drafted; a person publishes it or does not."""
    LOOP = "loop"
    """What it would do is published, within the envelope of the session's approval."""


class Desk(Protocol):
    """Where proposals go: a person's drafts, and the command path."""

    def open(self, session: Session, envelope: Envelope, policy: str) -> None:
        """Announce a session that begins to advise, so that somebody may approve its loop.

        Raises:
            StagetwinError: it was refused.
        """

    def begin(self, approval: Approval) -> None:
        """Make sure that a loop may begin by an approval, and that it is on record.

        Raises:
            StagetwinError: it may not.
        """

    def end(self, cause: str) -> None:
        """Take note that the loop has ended; nothing of it is asked for any more."""

    def beat(self, stage: Stage, counts: Mapping[str, int], advice: Mapping[str, Value]) -> None:
        """Tell that the adviser lives, what it did, and what it would command now.

        Raises:
            StagetwinError: its loop has ended elsewhere, or nobody can say.
        """

    def draft(self, proposal: Proposal, reason: str) -> None:
        """Show a person what might be commanded.

        Raises:
            StagetwinError: it cannot be drafted.
        """

    def publish(self, proposal: Proposal, reason: str) -> None:
        """Ask the command path for it; it judges as it judges a person's request.

        Raises:
            StagetwinError: it was refused.
        """

    def trouble(self) -> str:
        """Return what came to a bad end among the requests before; empty for nothing.

        Raises:
            StagetwinError: nobody can say.
        """
        ...


class Advisor:
    """Runs a policy at 1 Hz or slower, stage by stage.

    A loop needs an approval for this session, this bundle and this envelope, by a person who is
    not the session's author. It ends with its time or the session, on any fallback of the runner,
    on a proposal outside the envelope, on too many commands and on any refusal by the command path.
    Then the adviser is advisory again, and that approval is spent.

    Args:
        runner: of a policy of kind `advice`.
        advice: from its numbers to commands.
        desk: where proposals go.
        envelope: of a loop.
        author: id of the key of whoever begins the session.
        approvers: keys of those who may approve.
        record: told of everything, as one JSON object a line.
        clock: the runner's [s].

    Attributes:
        stage: how much it may do now.
        session: what an approval is bound to.
        counts: of proposals by what became of them, and of loops by how they ended.

    Raises:
        PolicyError: the policy is of another kind, or says nothing of what is advised.
    """

    def __init__(
        self,
        runner: Runner,
        advice: Sequence[Advice],
        desk: Desk,
        *,
        envelope: Envelope,
        author: str,
        approvers: Iterable[VerifyKey] = (),
        record: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        spec = runner.spec
        said = {one.term.name for one in spec.actions}
        missing = sorted({one.action for one in advice} - said)
        if spec.kind != "advice" or missing:
            raise PolicyError(
                f"policy {spec.name!r}: an adviser runs advice about {sorted(said)}, "
                f"got {spec.kind} and {missing or 'nothing unknown'}"
            )
        self.runner, self.envelope = runner, envelope
        self.stage = Stage.SHADOW
        self.counts: Counter[str] = Counter()
        self.session = Session(
            id=uuid7(), bundle=runner.bundle.digest, envelope=envelope.digest, author=author
        )
        self._choices, self._desk, self._clock = Choices(advice), desk, clock
        self._approvers = tuple(approvers)
        self._record = record or (lambda _: None)
        self._approval: Approval | None = None
        self._until = 0.0
        self._published: deque[float] = deque()
        self._spent: set[str] = set()
        self._closed = self._opened = False
        self._advice: dict[str, Value] = {}
        self._unheard = ""
        self._next = 0.0
        self._note("session", session=msgspec.to_builtins(self.session), policy=spec.name)

    @property
    def name(self) -> str:
        """Name and version of its policy."""
        return f"{self.runner.spec.name} {self.runner.spec.version}"

    # -- stages

    def advise(self) -> None:
        """Let it draft what it would do; a loop ends by it.

        Raises:
            PolicyError: the session is closed.
            StagetwinError: the desk refuses the session; it stays a shadow.
        """
        self._open()
        if self.stage is Stage.LOOP:
            self._end_loop("asked to")
        elif self.stage is Stage.SHADOW:
            if not self._opened:
                self._desk.open(self.session, self.envelope, self.name)
                self._opened = True
            self._choices.forget()  # what a shadow said was said to nobody
            self._enter(Stage.ADVISORY, "asked to")

    def shadow(self) -> None:
        """Let it record alone; a loop ends by it."""
        if self.stage is Stage.LOOP:
            self._end_loop("asked to")
        if self.stage is not Stage.SHADOW:
            self._enter(Stage.SHADOW, "asked to")

    def close_loop(self, approval: Approval) -> None:
        """Let it publish what it would do.

        Raises:
            PolicyError: it was no adviser before, or the approval does not hold; nothing changes.
            StagetwinError: the desk refuses it; nothing changes.
        """
        self._open()
        cause = approval.refusal(self.session, self._approvers)
        if not cause and self.stage is not Stage.ADVISORY:
            cause = f"a loop comes after {Stage.ADVISORY}, it is {self.stage}"
        if not cause and approval.signature in self._spent:
            cause = "the approval is spent"
        if cause:
            self._refuse(approval, cause)
            raise PolicyError(f"policy {self.runner.spec.name!r}: {cause}")
        try:
            self._desk.begin(approval)
        except StagetwinError as error:
            self._refuse(approval, str(error))
            raise
        self._approval = approval
        self._spent.add(approval.signature)
        self._until = self._clock() + self.envelope.seconds
        self._published.clear()
        self._choices.forget()
        self._note("approved", approval=msgspec.to_builtins(approval))
        self._enter(Stage.LOOP, f"approved by {approval.approver}")

    def _refuse(self, approval: Approval, cause: str) -> None:
        self.counts["approvals refused"] += 1
        self._note("approval refused", cause=cause, approver=approval.approver)

    def close(self) -> None:
        """End the session; a loop ends by it, and nothing begins again."""
        if self.stage is Stage.LOOP:
            self._end_loop("the session ended")
        if not self._closed:
            self._closed = True
            self._enter(Stage.SHADOW, "the session ended")

    # -- work

    def step(self, readings: Mapping[str, Reading]) -> Action | None:
        """Decide, if it is time, and do with it what the stage permits.

        Returns:
            What the policy said; None where it is not time yet.

        Raises:
            PolicyError: the session is closed.
        """
        self._open()
        now = self._clock()
        self._beat()
        if now < self._next:
            return None
        self._next = now + self.runner.spec.period * (1.0 - 1e-6)
        if self.stage is Stage.LOOP:
            self._watch(now)
        action = self.runner.act(readings)
        if action.fallback:
            self.counts["fallbacks"] += 1
            self._note("fallback", cause=action.cause)
            if self.stage is Stage.LOOP:
                self._end_loop(f"fallback: {action.cause}")
            self._choices.forget()
            return action
        for proposal in self._choices.propose(action.values):
            self._handle(proposal, now)
        return action

    def _beat(self) -> None:
        if self.stage is Stage.SHADOW:
            return
        try:
            self._desk.beat(self.stage, self.counts, self._advice)
        except StagetwinError as error:
            if self.stage is Stage.LOOP:
                self._end_loop(str(error))
            elif str(error) != self._unheard:
                self._note("unheard", cause=str(error))
            self._unheard = str(error)
        else:
            self._unheard = ""

    def _watch(self, now: float) -> None:
        """End a loop whose time is up, or whose requests come to nothing."""
        try:
            cause = "its time is up" if now >= self._until else self._desk.trouble()
        except StagetwinError as error:
            cause = f"nobody can say: {error}"
        if cause:
            self._end_loop(cause)

    def _handle(self, proposal: Proposal, now: float) -> None:
        if self.stage is Stage.LOOP:
            cause = self.envelope.refusal(proposal.target, proposal.value)
            while self._published and now - self._published[0] >= 60.0:
                self._published.popleft()
            if not cause and len(self._published) >= self.envelope.per_minute:
                cause = f"more than {self.envelope.per_minute} commands a minute"
            if cause:
                self._end_loop(cause)
        stage = self.stage
        self._advice[proposal.target] = proposal.value
        self._note(stage, target=proposal.target, value=proposal.value)
        self.counts[f"proposals: {stage}"] += 1
        if stage is Stage.ADVISORY:
            try:
                self._desk.draft(proposal, self._reason())
            except StagetwinError as error:
                self.counts["drafts refused"] += 1
                self._note("draft refused", target=proposal.target, cause=str(error))
        elif stage is Stage.LOOP:
            self._published.append(now)
            try:
                self._desk.publish(proposal, self._reason())
            except StagetwinError as error:
                self._note("refused", target=proposal.target, cause=str(error))
                self._end_loop(f"refused: {error}")

    def _reason(self) -> str:
        words = f"policy {self.name} ({self.session.bundle[:12]})"
        if self._approval is not None:
            words += f", session {self.session.id}, approved by {self._approval.approver}"
        return words

    def _end_loop(self, cause: str) -> None:
        self._approval = None
        self._desk.end(cause)
        self.counts[f"loops ended: {cause.partition(':')[0]}"] += 1
        self._enter(Stage.ADVISORY, cause)

    def _enter(self, stage: Stage, cause: str) -> None:
        self.stage = stage
        self._note("stage", stage=str(stage), cause=cause)

    def _open(self) -> None:
        if self._closed:
            raise PolicyError(f"policy {self.runner.spec.name!r}: the session is closed")

    def _note(self, what: str, **more: Any) -> None:
        self._record(json.dumps({"time": time.time(), "what": what, **more}))
