"""The commands that are on their way and those that ended, and how each state is entered."""

from __future__ import annotations

import logging
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from stagetwin._errors import CommandError
from stagetwin.bindings import is_below
from stagetwin.clock import Clock
from stagetwin.commands._command import Command, Evidence, Moment
from stagetwin.commands._ledger import Entry, Ledger
from stagetwin.commands._life import Life
from stagetwin.commands._states import IN_FLIGHT, Code, State, check_transition
from stagetwin.commands._targets import Targets

__all__ = ["Records", "words"]

_log = logging.getLogger(__name__)

KEPT = 10_000
"""Ended commands kept in memory; the ledger has them all."""

KEPT_SIZE = 64_000_000
"""About how much memory they may take [B]."""

RECALLED = 10_000
"""Newest requests of the ledger among which a rule's last one is looked for."""

_LONGEST = 2_000
"""Characters of a cause or note that are kept; a device may say anything."""


_CONTROLS = {
    ord(sign): " " if sign.isspace() else "?"
    for sign in map(chr, [*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F)])
}
"""What would begin a line of its own in a log, or rewrite one on a screen."""


def words(text: str) -> str:
    """Return words of people and devices, as one line that every record and log can hold."""
    said = text.encode("utf-8", "replace").decode().translate(_CONTROLS)
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}..."


class Records:
    """Every command of the plant: in memory while it matters, in the ledger for ever.

    Attributes:
        targets: what can be commanded.
        counts: commands by their end.
        sent: commands that have left and not ended.
        on_entered: called with a command whenever it entered a state or was noted upon.
        watched: tells of an ended command whether late evidence is still looked for.
    """

    def __init__(self, ledger: Ledger, targets: Targets, clock: Clock) -> None:
        self.targets = targets
        self.counts: Counter[str] = Counter()
        self.sent = 0
        self.on_entered: list[Callable[[Command], None]] = []
        self.watched: Callable[[Life], bool] = lambda _: False
        self._ledger, self._clock = ledger, clock
        self._number = 0
        self._lives: dict[str, Life] = {}
        self._ended: OrderedDict[str, Command] = OrderedDict()
        self._size = 0
        self._by_rule: dict[str, Command] = {}
        self._past_rules: dict[str, str] | None = None

    def __len__(self) -> int:
        return len(self._lives)

    def life(self, command_id: str) -> Life | None:
        """Return a command that is on its way, or that late evidence is looked for."""
        return self._lives.get(command_id)

    def lives(self) -> list[Life]:
        """Return what is on its way."""
        return list(self._lives.values())

    def adopt(self, life: Life) -> None:
        """Take up a command."""
        self._number += 1
        life.command.number = self._number
        self.sent += life.command.state in IN_FLIGHT
        self._lives[life.command.id] = life
        if life.command.origin == "rule":
            self._by_rule[life.command.author] = life.command

    def enter(
        self,
        life: Life,
        state: State,
        cause: str = "",
        code: str = "",
        *,
        body: dict[str, Any] | None = None,
        recorded: bool = False,
    ) -> None:
        """Enter a state: in the ledger, on the prim, and in the command.

        Raises:
            TransitionError: the state cannot follow.
        """
        command, cause = life.command, words(cause)
        check_transition(command.state, state)
        now = self._clock.wall()
        if not recorded:
            entry = {**(body or {}), "cause": cause, "code": str(code)}
            self._ledger.append(command.id, str(state), now, entry)
        self.sent += (state in IN_FLIGHT) - (command.state in IN_FLIGHT)
        command.state, command.cause, command.code = state, cause, str(code)
        command.history.append(Moment(str(state), now, cause, str(code)))
        try:
            self.targets.tell(life.target, command)
        except Exception:
            # The ledger has it; a stage that cannot show it must not hold up a command's life.
            _log.exception("%s of command %s cannot be shown", state, command.id)
        self._notify(command)

    def _notify(self, command: Command) -> None:
        for callback in self.on_entered:
            try:
                callback(command)
            except Exception:
                # Who listens is no part of a command's life.
                _log.exception("a listener to command %s failed", command.id)

    def end(
        self,
        life: Life,
        state: State,
        code: str = "",
        cause: str = "",
        *,
        body: dict[str, Any] | None = None,
        revert: bool = True,
    ) -> None:
        """Enter an end, and give back what the command held.

        `desired` goes back to what it displaced where nothing of it came into force.
        """
        command, target, cause = life.command, life.target, words(cause)
        self.enter(life, state, cause, code, body=body)
        self.counts[str(state)] += 1
        if target.holder == command.id:
            target.holder = ""
        never = state not in (State.VERIFIED, State.UNVERIFIED)
        if revert and never:
            self._take_back(life)
        level = logging.WARNING if state in (State.FAILED, State.UNVERIFIED) else logging.INFO
        _log.log(level, "command %s to %s: %s %s", command.id, command.target, state, cause)
        if not self.watched(life):
            self.forget(life)

    def _take_back(self, life: Life) -> None:
        """Make `desired` what it was before a command that never came into force."""
        command_id, target = life.command.id, life.target
        for other in self._lives.values():
            if other.target is target and other.displaced[1] == command_id:
                other.displaced = life.displaced
        if target.desired[1] == command_id:
            try:
                self.targets.set_desired(target, life.displaced)
            except Exception:
                _log.exception("desired of %s cannot be set back", target.binding.path)

    def forget(self, life: Life) -> None:
        """Move an ended command out of the way."""
        command = life.command
        if self._lives.pop(command.id, None) is not None:
            self._keep(command)

    def _keep(self, command: Command) -> None:
        """Keep an ended command in memory, in place of the oldest ones."""
        if command.state is State.REJECTED:
            command.shorten()  # whoever may ask must not fill the memory by being refused
        self._ended[command.id] = command
        self._size += command.size
        while self._ended and (len(self._ended) > KEPT or self._size > KEPT_SIZE):
            self._size -= self._ended.popitem(last=False)[1].size

    def end_unbound(self, command: Command, state: State, cause: str) -> None:
        """End a command of a service before this one whose target is no more."""
        check_transition(command.state, state)
        now = self._clock.wall()
        self._ledger.append(
            command.id, str(state), now, {"cause": cause, "code": str(Code.RESTART)}
        )
        command.state, command.cause, command.code = state, cause, str(Code.RESTART)
        command.history.append(Moment(str(state), now, cause, str(Code.RESTART)))
        self.counts[str(state)] += 1
        self._keep(command)

    def note(self, command: Command, text: str, body: dict[str, Any] | None = None) -> None:
        """Record what was learned, without a change of state."""
        now, text = self._clock.wall(), words(text)
        self._ledger.append(command.id, "NOTE", now, {**(body or {}), "cause": text})
        command.history.append(Moment("NOTE", now, text))
        self._notify(command)

    def find(self, command_id: str) -> Command | None:
        """Return a command by its id: on its way, ended lately, or from the ledger."""
        if life := self._lives.get(command_id):
            return life.command
        if command := self._ended.get(command_id):
            return command
        try:
            command_id.encode()
        except UnicodeEncodeError:
            return None  # half a surrogate pair: the ledger can have no such id
        return self.recorded(self._ledger.entries(command_id))

    def find_one(self, start: str, seen: Callable[[Command], bool] = lambda _: True) -> Command:
        """Return the one command whose id begins so.

        Args:
            start: the id, or at least four letters of its beginning.
            seen: tells whether whoever asks may see a command; others are not there.

        Raises:
            CommandError: there is none, or several.
        """
        if (found := self.find(start)) and seen(found):
            return found
        ids = set[str]()
        if len(start) >= 4:
            known = [*(life.command for life in self._lives.values()), *self._ended.values()]
            ids = {each.id for each in known if each.id.startswith(start) and seen(each)}
        if len(ids) != 1:
            many = f"{len(ids)} commands begin" if ids else "no command begins"
            raise CommandError(f"{many} with {start!r:.80}; give the whole id")
        command = self.find(ids.pop())
        assert command is not None  # it was listed a moment ago, by this thread
        return command

    def listed(
        self,
        prim: str,
        only_open: bool,
        limit: int,
        seen: Callable[[Command], bool] = lambda _: True,
    ) -> list[Command]:
        """Return commands at or below a prim, newest first; ended ones from the ledger too.

        `seen` tells whether whoever asks may see a command.
        """
        known = [life.command for life in self._lives.values()]
        if only_open:
            known = [command for command in known if not command.ended]
        else:
            known += self._ended.values()
        found = sorted(
            (each for each in known if is_below(each.target, prim) and seen(each)),
            key=lambda command: command.number,
            reverse=True,
        )[:limit]
        if only_open or len(found) >= limit:
            return found
        ids = {command.id for command in known}
        for command_id in self._ledger.newest(limit):
            past = None if command_id in ids else self.recorded(self._ledger.entries(command_id))
            if past is not None and is_below(past.target, prim) and seen(past):
                found.append(past)
        return found[:limit]

    def newest_of(self, rule: str) -> Command | None:
        """Return what a rule asked for last, in this service or one before it."""
        if command := self._by_rule.get(rule):
            return command
        if self._past_rules is None:
            self._past_rules = self._rules_of_the_past()
        command_id = self._past_rules.get(rule)
        return None if command_id is None else self.find(command_id)

    def _rules_of_the_past(self) -> dict[str, str]:
        newest: dict[str, str] = {}
        for command_id in self._ledger.newest(RECALLED):
            first = self._ledger.entries(command_id)[0].body
            if first.get("origin") == "rule":
                newest.setdefault(first["author"], command_id)
        return newest

    def has_unsent(self, target: str) -> bool:
        """Tell whether a request to a target is on its way and has not left."""
        return any(life.unsent and life.command.target == target for life in self._lives.values())

    def recorded(self, entries: Sequence[Entry]) -> Command | None:
        """Return a command as the ledger has it, None if it has none of it."""
        if not entries or entries[0].state != State.REQUESTED:
            return None
        first = entries[0].body
        command = Command(
            id=entries[0].command,
            target=first["target"],
            value=first["value"],
            unit=first["unit"],
            author=first["author"],
            origin=first["origin"],
            reason=first["reason"],
            mode=first["mode"],
            base=first["base"],
            ttl=first["ttl"],
            created=entries[0].time,
            expires=-math.inf,
            realm=first["realm"],
            asset=first["asset"],
            needs=first["needs"],
            parameters=first.get("parameters", {}),
        )
        for entry in entries:
            self._replay(command, entry)
        return command

    @staticmethod
    def _replay(command: Command, entry: Entry) -> None:
        body: dict[str, Any] = entry.body
        cause, code = body.get("cause", ""), body.get("code", "")
        command.history.append(Moment(entry.state, entry.time, cause, code))
        if isinstance(body.get("rehearsal"), dict):
            command.rehearsal = body["rehearsal"]
        if entry.state == "NOTE":
            if "by" in body:
                command.approvals.append(body["by"])
            return
        command.state, command.cause, command.code = State(entry.state), cause, code
        if isinstance(body.get("resolved"), dict):
            command.resolve(**body["resolved"])
        command.guard = body.get("guard", command.guard)
        command.revision = body.get("revision", command.revision)
        command.before = body.get("before", command.before)
        if "evidence" in body:
            command.evidence = msgspec.convert(body["evidence"], Evidence)
