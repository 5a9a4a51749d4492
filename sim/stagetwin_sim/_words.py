"""Signals that change seldom: switches, states, names, alarm codes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from stagetwin.bindings import TelemetryBinding
from stagetwin.ports import ValueKind
from stagetwin_sim._loads import Loads
from stagetwin_sim._roles import Habit, habit_of

__all__ = ["Words", "is_alarm"]

_STANDS = ("stopped", "idle", "waiting", "hold", "off")
_WORD_LASTS = 40.0
_ALARM = Habit(on=8.0, off=900.0, start=False)


def is_alarm(binding: TelemetryBinding) -> bool:
    """Return whether an integer is an alarm code rather than a quantity."""
    return binding.value_type.kind is ValueKind.INTEGER and bool(
        re.search(r"alarm|fault|error", binding.signal)
    )


class Words:
    """The seldom changing signals of a model.

    Args:
        bindings: index and binding of each.
        loads: an asset's `running` or `driving` tells it whether it runs.
        words: allowed values of text, by path of the driven property.
        rng: source of everything random.
    """

    def __init__(
        self,
        bindings: Sequence[tuple[int, TelemetryBinding]],
        loads: Loads,
        words: dict[str, tuple[str, ...]],
        rng: np.random.Generator,
    ) -> None:
        self._rng = rng
        self._loads = loads
        self._bindings = list(bindings)
        self._vocabulary = {
            i: words.get(b.target, ()) for i, b in bindings if b.value_type.kind is ValueKind.TEXT
        }
        self._habits: dict[int, Habit] = {
            i: _ALARM if is_alarm(b) else habit_of(b.signal)
            for i, b in bindings
            if i not in self._vocabulary
        }
        self._now = 0.0
        self._values: dict[int, Any] = {
            i: habit.start if not is_alarm(b) else 0
            for i, b in bindings
            if (habit := self._habits.get(i)) is not None
        }
        self._values |= {i: self._next_word(i, b) for i, b in bindings if i in self._vocabulary}
        self._due = np.array([rng.exponential(self._lasts(i)) for i, _ in bindings])

    def step(self, dt: float, values: list[Any]) -> None:
        """Move on by `dt` [s] and put the values where they belong."""
        self._now += dt
        for place in np.flatnonzero(self._due <= self._now):
            i, binding = self._bindings[place]
            self._values[i] = self._next(i, binding)
            self._due[place] = self._now + self._rng.exponential(self._lasts(i))
        for i, value in self._values.items():
            values[i] = value
        # Only now: a state says what the switch beside it says.
        for i, known in self._vocabulary.items():
            if "running" in known:
                stands = next((word for word in _STANDS if word in known), known[0])
                values[i] = "running" if self._loads.runs[self._loads.row_of[i]] else stands

    def _next(self, i: int, binding: TelemetryBinding) -> Any:
        if i in self._vocabulary:
            return self._next_word(i, binding)
        if is_alarm(binding):
            return 0 if self._values[i] else int(self._rng.integers(100, 140))
        value = not self._values[i]
        if binding.signal in ("running", "driving"):
            self._loads.runs[self._loads.row_of[i]] = value
        return value

    def _next_word(self, i: int, binding: TelemetryBinding) -> str:
        known = [word for word in self._vocabulary[i] if word not in ("fault", "error")]
        if known:
            # The first one is the usual one.
            return known[0] if self._rng.random() < 0.8 else str(self._rng.choice(known))
        number = int(self._rng.integers(1000, 10000))
        return f"{binding.signal.replace('last_', '').replace('_', '-')}-{number}"

    def _lasts(self, i: int) -> float:
        habit = self._habits.get(i)
        if habit is None:
            return _WORD_LASTS
        return habit.on if self._values[i] else habit.off
