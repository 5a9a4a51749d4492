"""The rehearsal of a command: tried on a copy of the present before anybody approves it.

It never holds up a tick: whoever rehearses answers when it can, and what it cannot say refuses.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from stagetwin.bindings import CommandBinding
from stagetwin.commands._command import Command
from stagetwin.commands._judge import Refusal
from stagetwin.commands._life import Life
from stagetwin.commands._records import Records
from stagetwin.commands._states import Code, State
from stagetwin.values import json_text, plain

__all__ = ["Rehearsals", "Rehearser", "Verdict"]

_log = logging.getLogger(__name__)

MAX_EVIDENCE = 64_000
"""Longest evidence that the ledger keeps as a whole [characters of JSON]."""

_VERDICTS = ("held", "violated", "inconclusive")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a rehearsal.

    Attributes:
        verdict: `held`, `violated` or `inconclusive`; anything else counts as inconclusive.
        cause: why, in words.
        evidence: what it rests on, plain data.
    """

    verdict: str
    cause: str
    evidence: Mapping[str, Any]

    @property
    def held(self) -> bool:
        """Whether the command may go on."""
        return self.verdict == "held"

    def body(self) -> dict[str, Any]:
        """Return what the ledger keeps of it."""
        text = json_text(dict(self.evidence))
        said = self.evidence.get("hash")
        digest = said if isinstance(said, str) else hashlib.sha256(text.encode()).hexdigest()
        verdict = self.verdict if self.verdict in _VERDICTS else "inconclusive"
        body: dict[str, Any] = {"verdict": verdict, "cause": self.cause, "hash": digest}
        if len(text) <= MAX_EVIDENCE:
            body["evidence"] = dict(self.evidence)
        return body


class Rehearser(Protocol):
    """Who rehearses commands; called and answering on the thread that owns the stage."""

    def begin(
        self,
        command: Command,
        binding: CommandBinding,
        value: Any,
        done: Callable[[Verdict], None],
    ) -> Callable[[], None]:
        """Begin to rehearse; return at once.

        Args:
            command: the command.
            binding: it, as the guards' stage has it; its horizon and budget are in it.
            value: the setpoint, plain data.
            done: called once with the verdict, within the budget and a little more; models that
                still start are waited for before, for as long as the request lives.

        Returns:
            What gives it up; `done` is not called any more then.
        """
        ...


class Rehearsals:
    """Takes commands from VALIDATED to REHEARSED.

    Attributes:
        rehearser: who rehearses; None while nobody can.
    """

    def __init__(
        self,
        records: Records,
        post: Callable[[Callable[[], None]], None],
        proceed: Callable[[Life], None],
    ) -> None:
        """Begin.

        Args:
            records: where states are entered.
            post: queues something for the owner's thread.
            proceed: takes a command on.
        """
        self._records, self._post, self._proceed = records, post, proceed
        self.rehearser: Rehearser | None = None
        self._running: dict[str, Callable[[], None]] = {}
        self._verdicts: dict[str, Verdict] = {}
        records.on_entered.append(self._entered)

    def step(self, life: Life) -> bool:
        """Rehearse a command that asks for it; return whether it may go on at once.

        Raises:
            Refusal: the rehearsal did not hold, or could not be done.
        """
        command, binding = life.command, life.target.binding
        if command.origin == "stop":
            self._records.enter(life, State.REHEARSED, "a stop request is not rehearsed")
            return True
        if binding.rehearsal != "required":
            policy = binding.policy_class
            named = f"policy {policy}" if policy else "no policy named"
            self._records.enter(life, State.REHEARSED, f"{named}: no rehearsal is asked for")
            return True
        verdict = self._verdicts.pop(command.id, None)
        if verdict is None:
            if command.id not in self._running:
                self._begin(life)
            return False
        command.rehearsal = verdict.body()
        if not verdict.held:
            raise Refusal(Code.REHEARSAL, f"its rehearsal {_words(verdict)}")
        body = {"rehearsal": command.rehearsal}
        self._records.enter(life, State.REHEARSED, f"its rehearsal {_words(verdict)}", body=body)
        return True

    def _begin(self, life: Life) -> None:
        command, binding = life.command, life.target.binding
        self._running[command.id] = lambda: None  # until it has begun, which may end it

        def done(verdict: Verdict) -> None:
            self._post(lambda: self._done(life, verdict))

        if self.rehearser is None:
            done(Verdict("inconclusive", "nothing here can rehearse it", {}))
            return
        give_up = self.rehearser.begin(command, binding, plain(life.value), done)
        if command.id in self._running:
            self._running[command.id] = give_up

    def _done(self, life: Life, verdict: Verdict) -> None:
        command = life.command
        if self._running.pop(command.id, None) is None or command.state is not State.VALIDATED:
            return  # it ended meanwhile
        self._verdicts[command.id] = verdict
        self._proceed(life)

    def _entered(self, command: Command) -> None:
        if not command.ended:
            return
        self._verdicts.pop(command.id, None)
        give_up = self._running.pop(command.id, None)
        if give_up is not None:
            give_up()


def _words(verdict: Verdict) -> str:
    if verdict.held:
        return f"held: {verdict.cause}" if verdict.cause else "held"
    word = "is violated" if verdict.verdict == "violated" else "is inconclusive"
    return f"{word}: {verdict.cause}" if verdict.cause else word
