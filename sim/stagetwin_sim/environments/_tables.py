"""A config as the tables and functions that the kernel of its task reads."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stagetwin_sim._errors import TaskError
from stagetwin_sim.environments._config import EnvironmentConfig, Layout, Parameter
from stagetwin_sim.environments._terms import (
    DISTRIBUTIONS,
    CommandTerm,
    ObservationTerm,
    Randomization,
    Range,
    RewardTerm,
)
from stagetwin_sim.policies import Term

__all__ = ["Composition", "Tables", "compose"]

Floats = npt.NDArray[np.float32]
_WHEN = {"startup": 0.0, "reset": 1.0, "interval": 2.0}
_NEVER = -1.0


class Composition(NamedTuple):
    """What the kernel of a task is compiled from; all else is in tables.

    Attributes:
        state: the task's struct.
        prepare, advance: its functions, or None.
        action_count: numbers that the policy says.
        observations, rewards, terminations, happenings, curriculum: functions; what happens are
            events, then commands.
    """

    state: Any
    prepare: Any
    advance: Any
    action_count: int
    observations: tuple[Any, ...]
    rewards: tuple[Any, ...]
    terminations: tuple[Any, ...]
    happenings: tuple[Any, ...]
    curriculum: tuple[Any, ...]


class Tables:
    """The numbers of a config, as the arrays of an `Episode` want them.

    Attributes:
        parameters: of the physics, the delays of actuators last.
        drawn: those that are randomised, by name.
        arrays: by the name of the field of `Episode`.
    """

    def __init__(self, config: EnvironmentConfig, layout: Layout) -> None:
        self.config = config
        seconds = config.dt * config.decimation
        self.parameters = (*layout.physics, *_delays(config))
        shown = (*config.observations, *config.privileged)
        happenings = (*config.events, *config.commands)
        drawn = {term.parameter: term for term in config.randomization}
        for term in config.actions:
            names = _numbered(f"delay.{term.name}", term.term.size)
            for name in names:
                drawn.setdefault(name, Randomization(parameter=name, range=term.delay))
        self.drawn = drawn
        known = [parameter.name for parameter in self.parameters]
        if unknown := sorted(set(drawn) - set(known)):
            raise TaskError(
                f"{config.task}: no parameter {', '.join(unknown)}; there are {', '.join(known)}"
            )
        self.arrays: dict[str, npt.NDArray[Any]] = {
            "action_table": _rows([_action_row(t.term) for t in config.actions for _ in _each(t)]),
            "columns": _rows([_line(t.term) for t in shown for _ in _each(t)]),
            "noises": _rows([_noise(t) for t in shown for _ in _each(t)]),
            "observation_columns": np.cumsum([0, *[t.term.size for t in shown[:-1]]]),
            "observation_params": _params(shown),
            "reward_weights": np.array(
                [reward_weight(term, seconds) for term in config.rewards] or [0.0], np.float32
            ),
            "reward_params": _params(config.rewards),
            "termination_kinds": np.array(
                [1 if t.time_out else 2 if t.success else 0 for t in config.terminations] or [0],
                np.int32,
            ),
            "termination_params": _params(config.terminations),
            "event_table": _rows([_event_row(term) for term in happenings] or [[_NEVER] * 4]),
            "event_params": _params(happenings),
            "curriculum_params": _params(config.curriculum),
            "range_table": _rows(
                [_range_row(config.task, p, drawn.get(p.name)) for p in self.parameters]
            ),
            "noisy": np.array([any(t.noise or t.dropout for t in config.observations)], np.int32),
        }

    # -- changes: each returns the names of the arrays that changed

    def set_weight(self, reward: str, value: float) -> tuple[str, ...]:
        """Change the weight of a reward.

        Raises:
            TaskError: there is no such reward.
            ValueError: the weight is not finite.
        """
        i, term = self._term("rewards", reward)
        changed = dataclasses.replace(term, weight=value)
        seconds = self.config.dt * self.config.decimation
        self.arrays["reward_weights"][i] = reward_weight(changed, seconds)
        return ("reward_weights",)

    def set_params(self, group: str, name: str, params: Sequence[float]) -> tuple[str, ...]:
        """Change the params of a term.

        Args:
            group: one of `observations`, `privileged`, `rewards`, `terminations`, `events`,
                `commands` and `curriculum`.
            name: of the term.
            params: at most four.

        Raises:
            TaskError: there is no such term.
            ValueError: too many, or not finite.
        """
        if group not in _PARAMS:
            raise TaskError(f"{self.config.task}: {', '.join(_PARAMS)} have params, got {group!r}")
        i, term = self._term(group, name)
        dataclasses.replace(term, params=tuple(params))  # says what is wrong with them
        before = {"privileged": self.config.observations, "commands": self.config.events}
        self.arrays[_PARAMS[group]][i + len(before.get(group, ()))] = _padded(params)
        return (_PARAMS[group],)

    def set_range(self, parameter: str, low: float, high: float) -> tuple[str, ...]:
        """Change the range of a randomised parameter, from the next time on that it is drawn.

        Raises:
            TaskError: it is not randomised, or cannot be in such a range.
            ValueError: the range is none.
        """
        term = self.drawn.get(parameter)
        if term is None:
            raise TaskError(
                f"{self.config.task}: {parameter!r} is not randomised; "
                f"{', '.join(self.drawn) or 'nothing'} is"
            )
        i = [p.name for p in self.parameters].index(parameter)
        changed = dataclasses.replace(term, range=Range(low, high, term.range.distribution))
        self.arrays["range_table"][i] = _range_row(self.config.task, self.parameters[i], changed)
        self.drawn[parameter] = changed
        return ("range_table",)

    def set_noise(self, observation: str, noise: float, dropout: float) -> tuple[str, ...]:
        """Change the noise [unit] and the dropout of an observation.

        Raises:
            TaskError: there is no such observation.
            ValueError: they cannot be so.
        """
        i, term = self._term("observations", observation)
        first = sum(t.term.size for t in self.config.observations[:i])
        noises = self.arrays["noises"]
        changed = dataclasses.replace(term, noise=noise, dropout=dropout)
        noises[first : first + term.term.size] = _noise(changed)
        self.arrays["noisy"][0] = noises[:, :2].any()
        return "noises", "noisy"

    def _term(self, group: str, name: str) -> tuple[int, Any]:
        terms = getattr(self.config, group)
        for i, term in enumerate(terms):
            if term.name == name:
                return i, term
        names = ", ".join(term.name for term in terms) or "none"
        raise TaskError(f"{self.config.task}: no {group} named {name!r}; there are {names}")


_PARAMS = {
    "observations": "observation_params",
    "privileged": "observation_params",
    "rewards": "reward_params",
    "terminations": "termination_params",
    "events": "event_params",
    "commands": "event_params",
    "curriculum": "curriculum_params",
}
"""Tables of the params, by group."""


def compose(config: EnvironmentConfig, layout: Layout) -> Composition:
    """Return what the kernel of a config is compiled from.

    Raises:
        TaskError: terms are missing, or named alike.
    """
    for group in ("actions", "observations", "terminations"):
        if not getattr(config, group):
            raise TaskError(f"{config.task}: it has no {group}")
    groups: dict[str, Sequence[Any]] = {
        "actions": config.actions,
        "observations": (*config.observations, *config.privileged),
        "rewards": config.rewards,
        "terminations": config.terminations,
        "events": (*config.events, *config.commands),
        "curriculum": config.curriculum,
        "randomization": config.randomization,
    }
    for group, terms in groups.items():
        names = [term.name for term in terms]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise TaskError(f"{config.task}: {group} named alike: {', '.join(twice)}")
    if config.decimation < 1 or not 0.0 < config.dt < math.inf or not config.episode > 0.0:
        raise TaskError(
            f"{config.task}: decimation is at least 1, dt and episode are above 0 s, "
            f"got {config.decimation}, {config.dt} and {config.episode}"
        )
    shown = (*config.observations, *config.privileged)
    happenings: tuple[Any, ...] = (*config.events, *config.commands)
    return Composition(
        state=layout.state,
        prepare=layout.prepare,
        advance=layout.advance,
        action_count=sum(term.term.size for term in config.actions),
        observations=tuple(term.function for term in shown),
        rewards=tuple(term.function for term in config.rewards),
        terminations=tuple(term.function for term in config.terminations),
        happenings=tuple(term.function for term in happenings),
        curriculum=tuple(term.function for term in config.curriculum),
    )


def reward_weight(term: RewardTerm, seconds: float) -> float:
    """Return what a reward is multiplied by in each step."""
    return term.weight if term.once else term.weight * seconds


def _line(term: Term) -> list[float]:
    """Return how a value becomes a policy's number: slope, offset, least and greatest."""
    return [1.0 / term.scale, -term.offset / term.scale, *term.bounds]


def _noise(term: ObservationTerm) -> list[float]:
    dropped = term.term.high if math.isnan(term.dropped) else term.dropped
    return [term.noise, term.dropout, dropped]


def _range_row(task: str, parameter: Parameter, term: Randomization | None) -> list[float]:
    """Return the row of a parameter: drawn as a term says, or nominal.

    Raises:
        TaskError: the range has what the parameter cannot be.
    """
    if term is None:
        return [_NEVER, 0.0, parameter.default, parameter.default, parameter.default, 0.0]
    drawn = term.range
    if not parameter.low <= drawn.low <= drawn.high <= parameter.high:
        raise TaskError(
            f"{task}: {parameter.name} can be within [{parameter.low:g}, {parameter.high:g}] "
            f"{parameter.unit}, got the range [{drawn.low:g}, {drawn.high:g}]"
        )
    kind = float(DISTRIBUTIONS.index(drawn.distribution))
    ends = [drawn.low, drawn.high, parameter.default]
    return [_WHEN[term.mode], kind, *ends, float(term.curriculum)]


def _padded(params: Sequence[float]) -> list[float]:
    """Return a term's numbers, filled up with zeros."""
    return [*params, *[0.0] * (4 - len(params))]


def _delays(config: EnvironmentConfig) -> list[Parameter]:
    return [
        Parameter(name, 0.0, 0.0, 3.0)
        for term in config.actions
        for name in _numbered(f"delay.{term.name}", term.term.size)
    ]


def _numbered(stem: str, size: int) -> list[str]:
    return [stem] if size == 1 else [f"{stem}.{i}" for i in range(size)]


def _each(term: Any) -> range:
    return range(term.term.size)


def _action_row(term: Any) -> list[float]:
    return [term.scale, term.offset, term.low, term.high]


def _event_row(term: Any) -> list[float]:
    if isinstance(term, CommandTerm):
        if term.resample is None:
            return [_WHEN["reset"], 0.0, 0.0, 1.0]
        return [_WHEN["interval"], term.resample.low, term.resample.high, 1.0]
    ends = (term.interval.low, term.interval.high) if term.interval else (0.0, 0.0)
    return [_WHEN[term.mode], *ends, 0.0]


def _params(terms: Sequence[Any]) -> Floats:
    return _rows([_padded(term.params) for term in terms] or [_padded(())])


def _rows(rows: list[list[float]]) -> Floats:
    return np.array(rows, np.float32)
