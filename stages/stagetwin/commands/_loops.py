"""Loops of policies: approved once for a session and an envelope, recorded, ended when in doubt.

A session is announced by its adviser and lives in memory; what a loop may do and who let it stands
in the ledger before the first command of it: LOOP_BEGUN, and LOOP_ENDED with its cause. Every
command of a loop passes the command path as a person's does.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from stagetwin._errors import CommandError
from stagetwin.bindings import is_below
from stagetwin.commands._command import MAX_REASON, Command, PublishRequest
from stagetwin.commands._ledger import Ledger
from stagetwin.commands._life import Life
from stagetwin.commands._loop import (
    LOOP_BEGUN,
    LOOP_ENDED,
    Loop,
    LoopState,
    Statement,
    ledger_id,
    past_row,
)
from stagetwin.commands._loop_rights import LoopRights
from stagetwin.commands._path import CommandPath
from stagetwin.commands._records import words
from stagetwin.commands._states import Code, State
from stagetwin.envelopes import Envelope
from stagetwin.people import Access

__all__ = ["Loops"]

_log = logging.getLogger(__name__)

MAX_SESSIONS, MAX_OWN = 64, 16
"""Sessions that may be open at once, of all users and of one."""

SILENCE = 10.0
"""How long an adviser may say nothing before its loop ends [s]."""

GONE = 600.0
"""How long a session that is silent is kept [s]."""

LISTED, RECALLED = 50, 1000
"""Past loops that a list has at most, and that are looked at after a start."""


class Loops:
    """The sessions of advisers at one service; on the thread that owns the stage.

    Args:
        path: that takes the commands of loops.
        ledger: the record.
        access: says who may approve.
    """

    def __init__(self, path: CommandPath, ledger: Ledger, access: Access) -> None:
        self._path, self._ledger = path, ledger
        self._rights = LoopRights(path.twin, path.targets, access)
        self._clock = path.twin.clock
        self._loops: dict[str, Loop] = {}

    # -- what advisers say

    def announce(self, session: object, policy: str, envelope: object, user: str) -> Loop:
        """Take up a session.

        Raises:
            CommandError: it is malformed, was announced before, names a command that is not here,
                or too many are open.
        """
        wall, now = self._clock.wall(), self._clock.steady()
        made = Loop.announced(session, words(policy)[:200], Envelope.of(envelope), user, wall, now)
        identifier = made.session.id
        if identifier in self._loops or self._ledger.entries(ledger_id(identifier)):
            raise CommandError(f"session {identifier} was announced before")
        self._rights.assets(made)
        self._loops = {k: v for k, v in self._loops.items() if not self._is_gone(v, now)}
        own = sum(one.user == user for one in self._loops.values())
        if len(self._loops) >= MAX_SESSIONS or own >= MAX_OWN:
            raise CommandError(
                f"{len(self._loops)} sessions of advisers are open, {own} of {user}; close some"
            )
        self._loops[identifier] = made
        return made

    def beat(
        self,
        identifier: str,
        user: str,
        stage: str,
        *,
        ready: bool,
        counts: Mapping[str, Any],
        advice: Mapping[str, Any],
    ) -> Loop:
        """Take note that an adviser lives, and of what it says of itself; see Loop.

        Raises:
            CommandError: no such session, it is another's, or its stage is none.
        """
        loop = self._own(identifier, user)
        if stage not in ("shadow", "advisory", "loop"):
            raise CommandError(f"stage is shadow, advisory or loop, got {stage!r:.80}")
        self._look(loop)
        loop.seen, loop.stage, loop.ready = self._clock.steady(), stage, ready
        loop.counts, loop.advice = counts, advice
        return loop

    def publish(self, request: PublishRequest, user: str) -> Command:
        """Make a loop's proposal a request; see `CommandPath.publish`.

        Raises:
            CommandError: the loop has not begun or has ended, or the request is outside of its
                envelope, which ends it.
        """
        loop = self._own(request.session, user)
        self._look(loop)
        if loop.state is not LoopState.BEGUN:
            raise CommandError(f"session {loop.session.id} has no loop: {loop.cause or loop.state}")
        now = self._clock.steady()
        while loop.published and now - loop.published[0] >= 60.0:
            loop.published.popleft()
        cause = loop.envelope.refusal(request.target, request.value)
        if not cause and len(loop.published) >= loop.envelope.per_minute:
            cause = f"more than {loop.envelope.per_minute} commands a minute"
        if request.parameters and not cause:
            cause = f"{request.target} with parameters is outside the envelope"
        if cause:
            self._end(loop, cause)
            raise CommandError(f"session {loop.session.id}: {cause}")
        loop.published.append(now)
        loop.commands += 1
        loop.given = [*(life.command.id for life in self._waiting(loop)), request.id]
        reason = f"loop {loop.session.id}, approved by {loop.approver}: {request.reason}"
        asked = request.model_copy(update={"reason": reason[:MAX_REASON]})
        return self._path.request(asked, user, "policy")

    def leave(self, identifier: str, user: str, cause: str) -> Loop:
        """End a session's loop, for its adviser goes on without it; or nothing, if there is none.

        Raises:
            CommandError: no such session, or it is another's.
        """
        loop = self._own(identifier, user)
        self._end(loop, words(cause) or "its adviser ended it")
        return loop

    def close_session(self, identifier: str, user: str) -> Loop:
        """End a session for good; see `leave`."""
        loop = self.leave(identifier, user, "the session ended")
        loop.state = LoopState.CLOSED
        return loop

    # -- what people say

    def approve(
        self, identifier: str, statement: object, user: str, told: Callable[[str], None]
    ) -> Loop:
        """Let a session close its loop.

        Args:
            identifier: of the session.
            statement: the signed approval, as plain data.
            user: who approves, from the peer's credentials.
            told: called, on this thread, once the ledger has it; with why not, or nothing.

        Raises:
            CommandError: no such session, it is not advising, its adviser is silent or may not give
                its commands, this user may not approve it, or the statement is of something else or
                was used before.
        """
        loop, said = self.find(identifier), Statement.of(statement)
        name = loop.session.id
        if loop.state is not LoopState.OPEN or loop.stage != "advisory":
            stage = loop.stage if loop.state is LoopState.OPEN else loop.state
            raise CommandError(f"session {name} is {stage}; a loop comes after advisory")
        if self._clock.steady() - loop.seen > SILENCE:
            raise CommandError(f"session {name}: its adviser is silent")
        if not loop.ready:
            raise CommandError(f"session {name}: its adviser has not advised for long enough")
        if said.session != loop.session:
            raise CommandError(
                f"the approval is of another session, bundle or envelope than {name}"
            )
        if said.signature in loop.spent:
            raise CommandError(f"session {name}: the approval is spent")
        if said.approver == loop.session.author:
            raise CommandError(
                f"the author of session {name} signed it; somebody else must approve"
            )
        guards = self._rights.approve(loop, user)
        now, wall = self._clock.steady(), self._clock.wall()
        loop.state, loop.statement, loop.approver = LoopState.BEGINNING, said, user
        loop.spent.add(said.signature)
        loop.guards, loop.until = guards, now + loop.envelope.seconds
        loop.cause, loop.commands = "", 0
        loop.published.clear()
        body = {
            "policy": loop.policy,
            "envelope": loop.envelope.plain(),
            "author": loop.user,
            "by": user,
            "statement": msgspec.to_builtins(said),
            "until": wall + loop.envelope.seconds,
            "guards": dict(guards),
        }
        self._ledger.append(
            ledger_id(name),
            LOOP_BEGUN,
            wall,
            body,
            lambda why: self._path.post(lambda: durable(why)),
        )

        def durable(why: str) -> None:
            if loop.state is LoopState.BEGINNING and loop.statement is said:
                loop.state = LoopState.OPEN if why else LoopState.BEGUN
                loop.cause = f"the ledger cannot be written: {why}" if why else ""
                _log.info("loop %s, approved by %s: %s", name, user, loop.cause or "begun")
            begun = loop.state is LoopState.BEGUN and loop.statement is said
            told(why or ("" if begun else loop.cause or "it was approved anew"))

        return loop

    def stop(self, identifier: str, user: str, reason: str, *, owner: bool = False) -> Loop:
        """End a loop by hand.

        Args:
            identifier: of the session.
            user: who ends it.
            reason: why, for the record.
            owner: whether that is the service's own user, who may end any.

        Raises:
            CommandError: no such session, or somebody who may neither give nor approve a command of
                it.
        """
        loop = self.find(identifier)
        if not (owner or user in (loop.user, loop.approver) or self._rights.may_end(loop, user)):
            raise CommandError(f"{user} may not end the loop of session {loop.session.id}")
        self._end(loop, f"by {user}{f': {words(reason)}' if reason else ''}")
        return loop

    def halt(self, prim: str, user: str) -> None:
        """End each loop that has a command at or below a prim: the stop request goes before it."""
        for loop in self._loops.values():
            if any(is_below(one.target, prim) for one in loop.envelope.commands):
                self._end(loop, f"the stop request of {user}")

    # -- reading

    def find(self, identifier: str) -> Loop:
        """Return an open session by its id, or the beginning of it.

        Raises:
            CommandError: there is none, or several.
        """
        if (whole := self._loops.get(identifier)) is not None:
            return whole  # whatever others are called that begin so
        found = [one for key, one in self._loops.items() if key.startswith(identifier)]
        if len(found) != 1 or len(identifier) < 4:
            many = f"{len(found)} open sessions begin" if found else "no open session begins"
            raise CommandError(f"{many} with {identifier!r:.80}")
        return found[0]

    def row(self, loop: Loop) -> dict[str, Any]:
        """Return a session as clients see it."""
        return loop.row(self._clock.steady())

    def rows(self, seen: Callable[[str], bool]) -> list[dict[str, Any]]:
        """Return open sessions, then past loops from the ledger, newest first.

        Args:
            seen: tells whether whoever asks may see a command.
        """
        rows = [self.row(loop) for loop in reversed(self._loops.values())]
        for name in self._ledger.loops(LISTED):
            if all(ledger_id(row["id"]) != name for row in rows):
                rows.append(past_row(self._ledger.entries(name)))
        return [
            row for row in rows if all(seen(str(c["target"])) for c in row["envelope"]["commands"])
        ]

    # -- watching

    def look(self) -> None:
        """End loops whose time, rights or guards are over, or whose adviser is silent.

        Call about once a second.
        """
        for loop in self._loops.values():
            self._look(loop)

    def _look(self, loop: Loop) -> None:
        if loop.state not in (LoopState.BEGUN, LoopState.BEGINNING):
            return
        now = self._clock.steady()
        silent = now - loop.seen
        if now >= loop.until:
            self._end(loop, "its time is up")
        elif silent > SILENCE:
            self._end(loop, f"its adviser was silent for {silent:.0f} s")
        else:
            self._end(loop, self._rights.lapse(loop))

    def recover(self) -> None:
        """End in the ledger what a service before this one left open."""
        for name in self._ledger.loops(RECALLED):
            entries = self._ledger.entries(name)
            if entries and entries[-1].state == LOOP_BEGUN:
                body: dict[str, Any] = {"cause": "the service started anew", "commands": None}
                self._ledger.append(name, LOOP_ENDED, self._clock.wall(), body)

    def close(self) -> None:
        """End all loops: the service stops."""
        for loop in self._loops.values():
            self._end(loop, "the service stopped")

    def _end(self, loop: Loop, cause: str) -> None:
        if not cause or loop.state not in (LoopState.BEGUN, LoopState.BEGINNING):
            return
        loop.state, loop.cause, loop.until = LoopState.OPEN, cause, -math.inf
        body = {"cause": cause, "commands": loop.commands, "counts": dict(loop.counts)}
        self._ledger.append(ledger_id(loop.session.id), LOOP_ENDED, self._clock.wall(), body)
        _log.warning("loop %s ended: %s", loop.session.id, cause)
        for life in self._waiting(loop):
            text = f"the loop of session {loop.session.id} ended: {cause}"
            self._path.records.end(life, State.CANCELLED, Code.BY_HAND, text)
        loop.given = []

    # -- parts

    def _waiting(self, loop: Loop) -> list[Life]:
        """Return the commands that a loop gave and that have not left."""
        lives = (self._path.records.life(each) for each in loop.given)
        return [life for life in lives if life is not None and life.unsent]

    def _own(self, identifier: str, user: str) -> Loop:
        loop = self._loops.get(identifier)
        if loop is None or loop.state is LoopState.CLOSED:
            raise CommandError(f"no open session {identifier!r:.80}")
        if loop.user != user:
            raise CommandError(f"session {identifier} is of {loop.user}, not of {user}")
        return loop

    @staticmethod
    def _is_gone(loop: Loop, now: float) -> bool:
        return loop.state in (LoopState.OPEN, LoopState.CLOSED) and (
            loop.state is LoopState.CLOSED or now - loop.seen > GONE
        )
