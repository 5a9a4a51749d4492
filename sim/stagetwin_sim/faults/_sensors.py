"""What goes wrong with a sensor: what it says of what it measures."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["SENSOR_KINDS", "SensorFault", "SensorKind"]

Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class SensorKind:
    """One way of a sensor to be wrong.

    Attributes:
        name: of it.
        doc: what it says then; y is what it should say.
        measure: what its amount is: `difference` [the signal's unit], `rate` [that by s], `share`
            [1], or empty where it has none.
        low, high: what the amount may be.
        gradual: whether it may come on by a ramp.
        numbers: whether it is for numbers alone.
    """

    name: str
    doc: str
    measure: str = ""
    low: float = -math.inf
    high: float = math.inf
    gradual: bool = False
    numbers: bool = True


SENSOR_KINDS: dict[str, SensorKind] = {
    kind.name: kind
    for kind in (
        SensorKind("bias", "y + amount", "difference", gradual=True),
        SensorKind("drift", "y + amount times the time since it began", "rate"),
        SensorKind("gain", "y times (1 + amount)", "share", -1.0, 10.0, gradual=True),
        SensorKind("noise", "y + amount times a normal draw", "difference", 0.0, gradual=True),
        SensorKind("resolution", "y in whole steps of amount", "difference", 0.0),
        SensorKind("freeze", "what it said when it began", numbers=False),
        SensorKind("dropout", "nothing, for a share of samples", "share", 0.0, 1.0, True, False),
    )
}  # fmt: skip
"""All of them, by name."""


class SensorFault:
    """One fault of one sensor while it lasts.

    Args:
        kind: of it.
        amount: in the signal's unit [by s for a drift].
        rng: source of what is random in it.
    """

    def __init__(self, kind: SensorKind, amount: float, rng: Rng) -> None:
        self._kind, self._amount, self._rng = kind, amount, rng
        self._held: tuple[Any] | None = None

    def told(self, value: Any, level: float, since: float) -> Any:
        """Return what is said where a sound sensor says `value`; None is nothing.

        Args:
            value: a number, bool, text, or a list of numbers.
            level: how far the fault has come, 0 to 1.
            since: time since it began [s].
        """
        if self._kind.name == "freeze":
            if self._held is None:
                self._held = (value,)
            return self._held[0]
        amount = level * self._amount
        if self._kind.name == "dropout":
            return None if float(self._rng.random()) < amount else value
        if self._kind.name == "drift":
            amount = self._amount * since
        change: Callable[[float], float] = _CHANGES[self._kind.name](amount, self._rng)
        if isinstance(value, list):
            return [_nested(change, item) for item in value]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return value
        return change(value)


def _nested(change: Callable[[float], float], value: Any) -> Any:
    return [_nested(change, item) for item in value] if isinstance(value, list) else change(value)


_CHANGES: dict[str, Callable[[float, Rng], Callable[[float], float]]] = {
    "bias": lambda amount, _: lambda y: y + amount,
    "drift": lambda amount, _: lambda y: y + amount,
    "gain": lambda amount, _: lambda y: y * (1 + amount),
    "noise": lambda amount, rng: lambda y: y + amount * float(rng.standard_normal()),
    "resolution": lambda amount, _: lambda y: round(y / amount) * amount if amount > 0 else y,
}
