"""What a future is told of its boundary: how a signal that nobody will measure goes on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from stagetwin_sim._errors import ScenarioError

__all__ = ["Forecast", "Mode", "Setting"]


class Mode:
    """How a row of the boundary moves; numbers that the kernels know."""

    NONE = 0
    SETPOINT = 1
    LINEAR = 2
    STEPPED = 3
    SINE = 4
    RATE = 5
    LAG = 6
    SWITCH = 7


@dataclass(frozen=True, slots=True)
class Forecast:
    """The course of one signal from now on, in the stage's unit.

    Attributes:
        mode: of `Mode`: LINEAR or STEPPED through points, or SINE.
        points: times from now [s] and values; the first and last hold before and after.
        wave: mean, amplitude, period [s] and phase [rad] of a sine.
    """

    mode: int
    points: tuple[tuple[float, float], ...] = ()
    wave: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 0.0)

    @classmethod
    def value(cls, value: float) -> Forecast:
        """Return a signal that stays at a value."""
        return cls(Mode.STEPPED, ((0.0, _finite(value)),))

    @classmethod
    def ramp(cls, start: float, to: float, over: float, at: float = 0.0) -> Forecast:
        """Return a signal that moves evenly to a value and stays there.

        Args:
            start, to: first and last value.
            over: how long it takes [s].
            at: when it begins [s].
        """
        points = ((at, _finite(start)), (at + over, _finite(to)))
        return cls(Mode.LINEAR if over > 0 else Mode.STEPPED, points[1:] if over <= 0 else points)

    @classmethod
    def profile(cls, points: Sequence[tuple[float, float]], stepped: bool = False) -> Forecast:
        """Return a signal that goes through points, (time from now [s], value).

        Raises:
            ScenarioError: there is none, or their times do not grow.
        """
        given = tuple((_finite(t), _finite(v)) for t, v in points)
        if not given:
            raise ScenarioError("a profile has at least one point")
        for (before, _), (after, _) in itertools.pairwise(given):
            if after <= before:
                raise ScenarioError(f"the times of a profile must grow, got {before:g}, {after:g}")
        return cls(Mode.STEPPED if stepped else Mode.LINEAR, given)

    @classmethod
    def sine(cls, mean: float, amplitude: float, period: float, phase: float = 0.0) -> Forecast:
        """Return a signal that swings.

        Args:
            mean, amplitude: of it.
            period: [s].
            phase: at the fork [rad].
        """
        if not 0 < period < math.inf:
            raise ScenarioError(f"period must be positive and finite, got {period} s")
        return cls(Mode.SINE, wave=(_finite(mean), _finite(amplitude), period, _finite(phase)))


@dataclass(frozen=True, slots=True)
class Setting:
    """A set-point that a future is given.

    Attributes:
        path: of the commanded property.
        value: in the stage's unit.
        at: when [s from now].
    """

    path: str
    value: float
    at: float = 0.0

    def __post_init__(self) -> None:
        _finite(self.value)
        if not 0 <= self.at < math.inf:
            raise ScenarioError(f"{self.path}: at must be 0 or later, got {self.at} s")


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ScenarioError(f"a forecast is a finite number, got {value}")
    return float(value)
