"""Rules: signals that command machines by themselves, by the plant's own approved word."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass
from typing import Any

from stagetwin._errors import StagetwinError
from stagetwin.bindings import RuleBinding
from stagetwin.commands._command import MAX_REASON, Command, PublishRequest
from stagetwin.commands._path import CommandPath
from stagetwin.commands._states import State
from stagetwin.twin import Twin
from stagetwin.values import json_text

__all__ = ["RuleBook"]

_log = logging.getLogger(__name__)

TRY_AGAIN = 5.0
"""A request that did not get as far as being sent is made again after this long [s]."""

LEAST_PAUSE = 1.0
"""Least time between two requests of one rule [s]; its command's settle time where that is longer.

Two rules that set each other's condition would else move their machine at every tick."""

_AGAIN = frozenset({State.REJECTED, State.EXPIRED})
"""Ends after which a rule whose condition still holds asks again: nothing left, and nobody meant
it. A command that failed, or whose outcome is unknown, is never sent again by itself."""


@dataclass(slots=True)
class _Rule:
    """One rule as it stands.

    Attributes:
        binding: the rule.
        since: since when its condition is known to hold [s, steady clock]; NaN while it does not.
        command: what it asked for since its condition was last known not to hold.
        again: when it may ask once more [s, steady clock].
        asked: when it asked last [s, steady clock].
        recalled: whether what it asked for in an earlier life was looked up.
        faulty: whether judging it failed with an error.
    """

    binding: RuleBinding
    since: float = math.nan
    command: Command | None = None
    again: float = -math.inf
    asked: float = -math.inf
    recalled: bool = False
    faulty: bool = False


class RuleBook:
    """Watches the rules of the guards' stage, at every tick."""

    def __init__(self, twin: Twin, path: CommandPath) -> None:
        self._twin, self._path = twin, path
        self._rules: dict[str, _Rule] = {}
        twin.on_guards.append(self._rebind)
        self._rebind()

    def _rebind(self) -> None:
        guarded = self._twin.guarded
        bindings = guarded.rules if guarded is not None else []
        self._rules = {
            binding.path: _rebound(self._rules.get(binding.path), binding) for binding in bindings
        }

    def step(self, now: float) -> None:
        """Look at every rule; `now` is on the steady clock [s]."""
        for rule in list(self._rules.values()):
            try:
                self._step(rule, now)
            except Exception:
                # The next rule is another machine's.
                if not rule.faulty:
                    _log.exception("rule %s cannot be judged", rule.binding.path)
                rule.faulty = True

    def timers(self, now: float) -> dict[str, dict[str, Any]]:
        """Return how each rule stands, by prim path and name, for whoever goes on from here.

        Args:
            now: [s, steady clock].

        Returns:
            `held`: for how long its condition has held [s], None while it does not; `asked`:
            whether it has asked since then; `wait`: how long until it may ask again [s].
        """
        found: dict[str, dict[str, Any]] = {}
        for path, rule in self._rules.items():
            target = self._path.targets.get(rule.binding.command)
            settle = target.binding.settle_time if target is not None else 0.0
            again = max(rule.again, rule.asked + max(LEAST_PAUSE, settle))
            found[path] = {
                "held": None if math.isnan(rule.since) else now - rule.since,
                "asked": rule.command is not None,
                "wait": max(again - now, 0.0),
            }
        return found

    def _step(self, rule: _Rule, now: float) -> None:
        holds = self._holds(rule.binding) if self._runs(rule.binding) else None
        if holds is None:
            # Unknown is neither: nothing is asked for, and what was asked for stays asked.
            rule.since = math.nan
            return
        if not holds:
            rule.since, rule.command, rule.again, rule.recalled = math.nan, None, -math.inf, True
            return
        if not rule.recalled:
            rule.recalled, rule.command = True, self._recalled(rule.binding)
        if math.isnan(rule.since):
            rule.since = now
        if now - rule.since >= rule.binding.hold_for and self._is_due(rule, now):
            self._fire(rule, now)

    def _recalled(self, binding: RuleBinding) -> Command | None:
        """Return what the rule asked for last, be it in a service before this one.

        Nobody knows whether its condition was over in between.
        """
        past = self._path.records.newest_of(binding.path)
        if past is None or past.target != binding.command:
            return None
        return past if _same(past.value, binding.setpoint) else None

    def _runs(self, binding: RuleBinding) -> bool:
        """Tell whether the guards that a rule belongs to are approved."""
        target = self._path.targets.get(binding.command)
        return target is not None and target.binding.asset in self._twin.approved

    def _holds(self, binding: RuleBinding) -> bool | None:
        """Judge a rule's condition: True or False where it is known, None where it is not."""
        known = self._path.inputs.one(binding.signal)
        if known is None or not known.fresh:
            return None
        return _compare(binding.comparison, known.value, binding.threshold)

    def _is_due(self, rule: _Rule, now: float) -> bool:
        if rule.command is None:
            target = self._path.targets.get(rule.binding.command)
            settle = target.binding.settle_time if target is not None else 0.0
            return now >= max(rule.again, rule.asked + max(LEAST_PAUSE, settle))
        if rule.command.state in _AGAIN:
            rule.command, rule.again = None, now + TRY_AGAIN
        return False

    def _fire(self, rule: _Rule, now: float) -> None:
        binding = rule.binding
        if not binding.urgent and self._path.records.has_unsent(binding.command):
            return  # a person's request that is on its way goes first
        known = self._path.inputs.one(binding.signal)
        said = known.value if known is not None else None
        reason = f"{binding.signal} is {said}, {binding.comparison} {binding.threshold}"
        request = PublishRequest(
            target=binding.command, value=json.loads(binding.setpoint), reason=reason[:MAX_REASON]
        )
        try:
            rule.command = self._path.request(request, binding.path, "rule", (binding.signal,))
            rule.asked = now
        except StagetwinError as error:
            _log.warning("rule %s could not ask: %s", binding.path, error)
            rule.again = now + TRY_AGAIN


def _rebound(known: _Rule | None, binding: RuleBinding) -> _Rule:
    """Return a rule as it goes on after the guards were read again."""
    if known is None:
        return _Rule(binding)
    if known.binding == binding:
        return known
    rule = _Rule(binding, asked=known.asked)
    before = known.binding
    if (before.command, before.setpoint) == (binding.command, binding.setpoint):
        # Another condition, the same word: once said, it is said.
        rule.command, rule.again, rule.recalled = known.command, known.again, known.recalled
    return rule


def _same(value: Any, setpoint: str) -> bool:
    return json_text(value) == json_text(json.loads(setpoint))


def _compare(comparison: str, value: Any, threshold: Any) -> bool:
    if comparison in ("above", "below"):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return bool(value > threshold if comparison == "above" else value < threshold)
    same = type(value) is type(threshold) or not isinstance(value, bool)
    equal = same and value == threshold
    return bool(equal if comparison == "equal" else not equal)
