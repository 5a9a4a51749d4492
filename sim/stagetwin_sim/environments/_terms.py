"""What an environment is composed of: terms, as users of Isaac Lab know them.

A term names a Warp function and gives it up to four numbers. Functions take the world's `Episode`
e, the state s of the task, the world's index w and the params p, and are compiled into the task's
one kernel; weights, params, ranges and noise are read from tables and may change at any time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from stagetwin_sim.policies import Term

__all__ = [
    "ActionTerm",
    "CommandTerm",
    "CurriculumTerm",
    "EventTerm",
    "ObservationTerm",
    "Randomization",
    "Range",
    "RewardTerm",
    "TerminationTerm",
]

Distribution = Literal["uniform", "log-uniform", "normal", "integers"]
DISTRIBUTIONS = ("uniform", "log-uniform", "normal", "integers")
MODES = ("startup", "reset", "interval")
PARAMS = 4


@dataclass(frozen=True, slots=True)
class Range:
    """Where a number is drawn from.

    Attributes:
        low, high: both within.
        distribution: `normal` has its mean in the middle and two standard deviations to each side,
            and nothing beyond; `integers` are whole and equally likely.

    Raises:
        ValueError: the ends are not finite and in order, or not positive where decades are drawn.
    """

    low: float
    high: float
    distribution: Distribution = "uniform"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"a range needs finite ends in order, got [{self.low}, {self.high}]")
        if self.distribution not in DISTRIBUTIONS:
            raise ValueError(
                f"a distribution is one of {', '.join(DISTRIBUTIONS)}, got {self.distribution!r}"
            )
        if self.distribution == "log-uniform" and self.low <= 0.0:
            raise ValueError(f"a log-uniform range is positive, got [{self.low}, {self.high}]")
        if self.distribution == "integers" and not (
            float(self.low).is_integer() and float(self.high).is_integer()
        ):
            raise ValueError(f"a range of integers has whole ends, got [{self.low}, {self.high}]")


NO_DELAY = Range(0, 0, "integers")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionTerm:
    """Numbers that a policy says, in [-1, 1], and what they command.

    Attributes:
        term: name, unit, scale, offset and limits of the commands.
        delay: how many steps of the environment later a command takes effect, 0 to 3, drawn for
            each world and actuator at its resets.

    Raises:
        ValueError: a delay that is not within [0, 3].
    """

    term: Term
    delay: Range = NO_DELAY

    def __post_init__(self) -> None:
        if not 0 <= self.delay.low <= self.delay.high <= 3:
            raise ValueError(
                f"action {self.name!r}: a delay is within [0, 3] steps, "
                f"got [{self.delay.low}, {self.delay.high}]"
            )

    @property
    def name(self) -> str:
        """Its term's."""
        return self.term.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationTerm:
    """Numbers that a policy sees.

    Attributes:
        term: name, unit, frame, shape, scale, offset and limits.
        function: `f(e, s, w, p, out, row, column)`; writes the true values [unit] of the term to
            `out[row, column]` and what follows.
        params: at most four.
        noise: standard deviation [unit].
        dropout: probability that a number is missing in a step.
        dropped: what is shown then [unit]; NaN is the term's upper limit.

    Raises:
        ValueError: noise or a probability that cannot be.
    """

    term: Term
    function: Any
    params: tuple[float, ...] = ()
    noise: float = 0.0
    dropout: float = 0.0
    dropped: float = math.nan

    def __post_init__(self) -> None:
        _check_params(self.name, self.params)
        if not (self.noise >= 0.0 and math.isfinite(self.noise) and 0.0 <= self.dropout <= 1.0):
            raise ValueError(
                f"observation {self.name!r}: noise is at least 0 and dropout within [0, 1], "
                f"got {self.noise} and {self.dropout}"
            )

    @property
    def name(self) -> str:
        """Its term's."""
        return self.term.name


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardTerm:
    """A part of the reward.

    Attributes:
        name: unique among rewards.
        function: `f(e, s, w, p) -> float`.
        weight: [1/s], multiplied by the seconds of a step; of one that counts `once`, [1].
        params: at most four.
        once: whether it counts an event or a difference, and not what lasts.
    """

    name: str
    function: Any
    weight: float
    params: tuple[float, ...] = ()
    once: bool = False

    def __post_init__(self) -> None:
        _check_params(self.name, (self.weight, *self.params), PARAMS + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminationTerm:
    """A reason for an episode to end.

    Attributes:
        name: unique among terminations.
        function: `f(e, s, w, p) -> bool`.
        params: at most four.
        time_out: whether the episode is cut off (truncated) and not ended: its value goes on.
        success: whether it is what was wanted.
    """

    name: str
    function: Any
    params: tuple[float, ...] = ()
    time_out: bool = False
    success: bool = False

    def __post_init__(self) -> None:
        _check_params(self.name, self.params)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTerm:
    """Something that happens to a world.

    Attributes:
        name: unique among events and commands.
        function: `f(e, s, w, p, random)`; `random` is a state for `wp.randf` of its own.
        mode: `startup` (once after a seed), `reset` (as an episode begins), `interval` (within it).
        params: at most four.
        interval: seconds between two times.
    """

    name: str
    function: Any
    mode: Literal["startup", "reset", "interval"] = "reset"
    params: tuple[float, ...] = ()
    interval: Range | None = None

    def __post_init__(self) -> None:
        _check_params(self.name, self.params)
        if self.mode not in MODES:
            raise ValueError(f"event {self.name!r}: a mode is one of {MODES}, got {self.mode!r}")
        if (self.mode == "interval") != (self.interval is not None):
            raise ValueError(f"event {self.name!r}: an interval goes with the mode interval")
        if self.interval is not None and self.interval.low <= 0.0:
            raise ValueError(f"event {self.name!r}: an interval is above 0 s")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandTerm:
    """What a policy is asked for: drawn as an episode begins, after its events.

    Attributes:
        name: unique among events and commands.
        function: as of an event.
        params: at most four.
        resample: seconds until it is drawn anew within an episode; None is never.
    """

    name: str
    function: Any
    params: tuple[float, ...] = ()
    resample: Range | None = None

    def __post_init__(self) -> None:
        _check_params(self.name, self.params)
        if self.resample is not None and self.resample.low <= 0.0:
            raise ValueError(f"command {self.name!r}: a time to draw anew is above 0 s")


@dataclass(frozen=True, slots=True, kw_only=True)
class CurriculumTerm:
    """How difficult an episode is: a level of each world, 0 to 1, set as an episode ends.

    Attributes:
        name: unique among the terms of the curriculum.
        function: `f(e, s, w, p) -> float`, the new level.
        params: at most four.
    """

    name: str
    function: Any
    params: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _check_params(self.name, self.params)


@dataclass(frozen=True, slots=True, kw_only=True)
class Randomization:
    """A parameter of the physics that differs from world to world.

    Attributes:
        parameter: name among those of the task.
        range: [its unit].
        mode: `startup` (once after a seed) or `reset` (for each episode).
        curriculum: whether the range grows with the level, from the nominal value to the whole.
    """

    parameter: str
    range: Range
    mode: Literal["startup", "reset"] = "reset"
    curriculum: bool = False

    @property
    def name(self) -> str:
        """The parameter's."""
        return self.parameter


def _check_params(name: str, params: tuple[float, ...], most: int = PARAMS) -> None:
    """Raise ValueError where a term's numbers are too many or not finite."""
    if len(params) > most or not all(math.isfinite(value) for value in params):
        raise ValueError(f"term {name!r}: at most {PARAMS} finite params, got {params}")
