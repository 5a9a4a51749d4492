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

__all__ = ["RuleBook"]

_log = logging.getLogger(__name__)

TRY_AGAIN = 5.0
"""A request that did not get as far as being sent is made again after this long [s]."""

_AGAIN = frozenset({State.REJECTED, State.EXPIRED})
"""Ends after which a rule whose condition still holds asks again: nothing left, and nobody meant
it. A command that failed, or whose outcome is unknown, is never sent again by itself."""


@dataclass(slots=True)
class _Rule:
    binding: RuleBinding
    since: float = math.nan
    command: Command | None = None
    again: float = math.inf
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
        bindings = {rule.path: rule for rule in guarded.rules} if guarded is not None else {}
        # A rule that changed begins anew: what it said before was another rule's word.
        self._rules = {
            path: known
            if (known := self._rules.get(path)) is not None and known.binding == binding
            else _Rule(binding)
            for path, binding in bindings.items()
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

    def _step(self, rule: _Rule, now: float) -> None:
        if not (self._runs(rule.binding) and self._holds(rule.binding)):
            rule.since, rule.command, rule.again = math.nan, None, math.inf
            return
        if math.isnan(rule.since):
            rule.since = now
        if now - rule.since >= rule.binding.hold_for and self._is_due(rule, now):
            self._fire(rule, now)

    def _runs(self, binding: RuleBinding) -> bool:
        """Tell whether the guards that a rule belongs to are approved."""
        target = self._path.targets.get(binding.command)
        return target is not None and target.binding.asset in self._twin.approved

    def _holds(self, binding: RuleBinding) -> bool:
        known = self._path.inputs.one(binding.signal)
        if known is None or not known.fresh:
            return False
        return _compare(binding.comparison, known.value, binding.threshold)

    def _is_due(self, rule: _Rule, now: float) -> bool:
        if rule.command is None:
            return now >= rule.again or math.isinf(rule.again)
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
        except StagetwinError as error:
            _log.warning("rule %s could not ask: %s", binding.path, error)
            rule.again = now + TRY_AGAIN


def _compare(comparison: str, value: Any, threshold: Any) -> bool:
    if comparison in ("above", "below"):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return bool(value > threshold if comparison == "above" else value < threshold)
    same = type(value) is type(threshold) or not isinstance(value, bool)
    equal = same and value == threshold
    return bool(equal if comparison == "equal" else not equal)
