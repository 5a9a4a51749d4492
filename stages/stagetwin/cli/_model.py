"""What the live view knows: signals, their newest readings, and what they did lately."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from stagetwin.cli._cells import numbers_in

__all__ = ["HISTORY_LENGTH", "HISTORY_STEP", "Reading", "Signal", "WatchModel"]

HISTORY_LENGTH = 40
HISTORY_STEP = 0.5
"""Time between two values of a sparkline [s]: its cells are of one moment on every row."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal as the service announces it.

    Attributes:
        prim, name: where it is and what it is called.
        unit: UCUM unit.
        connection: name of the connection.
        hard, soft: lowest and highest value [unit], infinite where there is no limit.
    """

    prim: str
    name: str
    unit: str = "1"
    connection: str = ""
    hard: tuple[float, float] = (-math.inf, math.inf)
    soft: tuple[float, float] = (-math.inf, math.inf)

    @classmethod
    def of(cls, reply: dict[str, Any]) -> Signal:
        """Read one entry of a `signals` reply; what it does not say has a default."""

        def pair(low: str, high: str) -> tuple[float, float]:
            lows, highs = numbers_in(reply.get(low)), numbers_in(reply.get(high))
            return min(lows, default=-math.inf), max(highs, default=math.inf)

        return cls(
            prim=str(reply.get("prim", "")),
            name=str(reply.get("signal", "")),
            unit=str(reply.get("unit", "1")),
            connection=str(reply.get("connection", "")),
            hard=pair("min", "max"),
            soft=pair("softMin", "softMax"),
        )

    @property
    def path(self) -> str:
        """Prim path and name, as the command line writes a signal."""
        return f"{self.prim}.{self.name}"

    @property
    def scale(self) -> tuple[float, float]:
        """Ends of the scale to draw the value on [unit]; infinite if nothing says."""
        low, high = self.hard
        if math.isfinite(low) and math.isfinite(high):
            return low, high
        margin = (self.soft[1] - self.soft[0]) / 5
        return (
            low if math.isfinite(low) else self.soft[0] - margin,
            high if math.isfinite(high) else self.soft[1] + margin,
        )

    @property
    def span(self) -> float:
        """Width of the limits within which the value usually is [unit]; infinite if unknown."""
        soft = self.soft[1] - self.soft[0]
        return soft if math.isfinite(soft) else self.scale[1] - self.scale[0]


@dataclass(frozen=True, slots=True)
class Reading:
    """The newest value of a signal: any JSON value, quality token, age [s] if one ever arrived.

    `expected` is what a model says that it should be [unit], None where none does; `sigmas` how far
    it is from that in standard deviations.
    """

    value: Any = None
    quality: str = "stale"
    age: float | None = None
    expected: float | None = None
    sigmas: float | None = None

    @classmethod
    def of(cls, entry: dict[str, Any]) -> Reading:
        """Read one entry of a frame."""
        expected, residual, sigma = (
            next(iter(numbers_in(entry.get(name))), None)
            for name in ("predicted", "residual", "residualSigma")
        )
        return cls(
            entry.get("value"),
            str(entry.get("quality", "stale")),
            entry.get("age"),
            expected,
            residual / sigma if residual is not None and sigma else None,
        )


@dataclass(slots=True)
class WatchModel:
    """Everything the view draws.

    Attributes:
        signals, readings, history: one entry a signal, in the service's order.
        status: the newest `status` reply.
    """

    signals: list[Signal] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    history: list[deque[float | None]] = field(default_factory=list)
    status: dict[str, Any] = field(default_factory=dict)
    _noted: float = -math.inf

    def apply(self, reply: dict[str, Any], now: float) -> None:
        """Take in one reply to `watch` that arrived at steady time `now` [s]."""
        if "signals" in reply:
            self._announce([Signal.of(entry) for entry in reply["signals"]])
        if "frame" in reply:
            self.readings = [Reading.of(entry) for entry in reply["frame"][: len(self.signals)]]
            missing = len(self.signals) - len(self.readings)
            self.readings += [Reading()] * missing
            self._note(now)
        self.status = reply.get("status", self.status)

    def _announce(self, signals: list[Signal]) -> None:
        kept = dict(zip((s.path for s in self.signals), self.history, strict=False))
        self.signals = signals
        self.readings = [Reading()] * len(signals)
        self.history = [kept.get(s.path) or deque(maxlen=HISTORY_LENGTH) for s in signals]

    def _note(self, now: float) -> None:
        # A little early is on time: the service's frames come with some jitter.
        if now - self._noted < HISTORY_STEP * 0.9:
            return
        self._noted = now
        for reading, history in zip(self.readings, self.history, strict=True):
            history.append(None if reading.quality == "stale" else _height(reading.value))

    @property
    def modelled(self) -> bool:
        """Whether a model expects anything of any signal."""
        return any(reading.expected is not None for reading in self.readings)

    def count(self, *qualities: str) -> int:
        """Return how many signals have one of these qualities."""
        return sum(reading.quality in qualities for reading in self.readings)


def _height(value: Any) -> float:
    """Return what a sparkline draws: the number, a vector's length, NaN for what has neither."""
    numbers = numbers_in(value)
    if len(numbers) <= 1:
        return numbers[0] if numbers else math.nan
    return math.hypot(*numbers)
