"""One session of a policy's adviser: what was announced, who approved a loop, how it stands."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from stagetwin._errors import CommandError
from stagetwin.commands._chain import Entry
from stagetwin.envelopes import Envelope

__all__ = ["LOOP_BEGUN", "LOOP_ENDED", "Loop", "LoopState", "Statement", "ledger_id", "past_row"]

LOOP_BEGUN, LOOP_ENDED = "LOOP_BEGUN", "LOOP_ENDED"
"""States of a session in the ledger, beside those of commands."""


def ledger_id(session: str) -> str:
    """Return what a session is called in the ledger; no command can be called so."""
    return f"loop:{session}"


class LoopState(StrEnum):
    """How a session stands."""

    OPEN = "OPEN"
    """It records or advises."""
    BEGINNING = "BEGINNING"
    """A loop was approved, and is being written to the ledger."""
    BEGUN = "BEGUN"
    """It commands within its envelope."""
    CLOSED = "CLOSED"
    """Its adviser has left."""


class Announced(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an approval is of; see `stagetwin_sim.policies.Session`."""

    id: str
    bundle: str
    envelope: str
    author: str


class Statement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A signed approval, as a client hands it over; its signature is the adviser's to check.

    Attributes:
        session: that it is for.
        approver: id of the key that signed it.
        reason: in words.
        time: when [s, Unix].
        signature: base64 of Ed25519 over all else.
    """

    session: Announced
    approver: str
    reason: str
    time: float
    signature: str

    @classmethod
    def of(cls, content: object) -> Statement:
        """Read it from plain data.

        Raises:
            CommandError: it is none, or longer than one is.
        """
        try:
            made = msgspec.convert(content, cls)
        except msgspec.ValidationError as error:
            raise CommandError(f"no approval: {error}") from None
        for name, most in (("approver", 64), ("reason", 1000), ("signature", 128)):
            if len(getattr(made, name)) > most:
                raise CommandError(f"no approval: {name} has at most {most} characters")
        return made


@dataclass(slots=True, eq=False)
class Loop:
    """One session.

    Attributes:
        session: what an approval is of.
        policy: name and version.
        envelope: within which a loop may command.
        user: whose process it is, as the operating system says.
        created: [s, Unix].
        seen: when its adviser spoke last [s, steady clock].
        stage: `shadow`, `advisory` or `loop`, as its adviser says.
        ready: whether it has advised for long enough, by its own rule.
        state: as the service has it.
        approver: user who approved the loop in force.
        statement: their signed word.
        until: end of the loop [s, steady clock].
        guards: hashes of the guards that it was approved under, by asset.
        cause: why the last loop ended.
        commands: how many it gave.
        counts, advice: what the adviser tells of itself: its counts, and what it would command now.
        spent: signatures of approvals that were used.
        published: when it gave the commands of the last minute [s, steady clock].
        given: ids of its commands that may not have left.
    """

    session: Announced
    policy: str
    envelope: Envelope
    user: str
    created: float
    seen: float
    stage: str = "shadow"
    ready: bool = False
    state: LoopState = LoopState.OPEN
    approver: str = ""
    statement: Statement | None = None
    until: float = -math.inf
    guards: Mapping[str, str] = field(default_factory=dict)
    cause: str = ""
    commands: int = 0
    counts: Mapping[str, Any] = field(default_factory=dict)
    advice: Mapping[str, Any] = field(default_factory=dict)
    spent: set[str] = field(default_factory=set)
    published: deque[float] = field(default_factory=deque)
    given: list[str] = field(default_factory=list)

    @classmethod
    def announced(
        cls, content: object, policy: str, envelope: Envelope, user: str, wall: float, now: float
    ) -> Loop:
        """Return a session as its adviser announces it.

        Raises:
            CommandError: it is none, or its digest is of another envelope.
        """
        try:
            session = msgspec.convert(content, Announced)
        except msgspec.ValidationError as error:
            raise CommandError(f"no session: {error}") from None
        for name in ("id", "bundle", "envelope", "author"):
            text = getattr(session, name)
            if not 0 < len(text) <= 64 or not text.isascii() or not text.isprintable():
                raise CommandError(f"session {name} is 1 to 64 plain letters, got {text!r:.80}")
        if session.envelope != envelope.digest:
            raise CommandError(
                f"session {session.id} is of envelope {session.envelope}, got {envelope.digest}"
            )
        return cls(session, policy, envelope, user, wall, now)

    def row(self, now: float) -> dict[str, Any]:
        """Return it as clients see it; `now` is on the steady clock [s]."""
        begun = self.state is LoopState.BEGUN
        return {
            "id": self.session.id,
            "session": msgspec.to_builtins(self.session),
            "policy": self.policy,
            "envelope": self.envelope.plain(),
            "user": self.user,
            "created": self.created,
            "stage": self.stage,
            "ready": self.ready,
            "state": str(self.state),
            "approver": self.approver,
            "statement": None if self.statement is None else msgspec.to_builtins(self.statement),
            "left": max(self.until - now, 0.0) if begun else None,
            "silent": now - self.seen,
            "cause": self.cause,
            "commands": self.commands,
            "counts": dict(self.counts),
            "advice": dict(self.advice),
        }


def past_row(entries: Sequence[Entry]) -> dict[str, Any]:
    """Return the last loop of a session as the ledger has it, from its entries."""
    begins = [entry for entry in entries if entry.state == LOOP_BEGUN]
    first = begins[-1]
    ended = next((e for e in entries if e.state == LOOP_ENDED and e.seq > first.seq), None)
    body = first.body
    return {
        "id": body["statement"]["session"]["id"],
        "session": body["statement"]["session"],
        "policy": body["policy"],
        "envelope": body["envelope"],
        "user": body["author"],
        "approver": body["by"],
        "statement": body["statement"],
        "begun": first.time,
        "until": body["until"],
        "ended": None if ended is None else ended.time,
        "state": "BEGUN" if ended is None else "ENDED",
        "cause": "" if ended is None else ended.body["cause"],
        "commands": None if ended is None else ended.body["commands"],
    }
