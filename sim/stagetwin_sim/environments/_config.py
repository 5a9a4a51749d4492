"""How a task is composed, and what its worlds are made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self

from stagetwin_sim._errors import TaskError
from stagetwin_sim.environments._terms import (
    ActionTerm,
    CommandTerm,
    CurriculumTerm,
    EventTerm,
    ObservationTerm,
    Randomization,
    RewardTerm,
    TerminationTerm,
)

__all__ = ["EnvironmentConfig", "Figure", "Layout", "Parameter", "Simulation"]

GROUPS = (
    "actions",
    "observations",
    "privileged",
    "rewards",
    "terminations",
    "events",
    "commands",
    "curriculum",
    "randomization",
)
"""Fields of a config that hold terms."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number of a world's physics, which may be randomised.

    Attributes:
        name: unique in the task.
        default: nominal value [unit].
        low, high: what can be [unit].
        unit: UCUM.
    """

    name: str
    default: float
    low: float
    high: float
    unit: str = "1"


@dataclass(frozen=True, slots=True)
class Figure:
    """How much a task's worlds got done, where success alone does not tell policies apart.

    It is how often a reward counted in an episode, over the time that an episode may last: what
    was not done because the episode ended early counts as not done.

    Attributes:
        name: what is counted, such as `throughput`.
        unit: in tables.
        reward: name of the reward; its sum is divided by its weight.
        seconds: what the count is over: 3600 is by the hour [s].
    """

    name: str
    unit: str
    reward: str
    seconds: float = 3600.0


class Simulation(Protocol):
    """What moves worlds on that are more than the task's own kernel, such as newton's.

    Attributes:
        arrays: of its own that go into the task's state, by the name of the field.
    """

    arrays: Mapping[str, Any]

    def launch(self) -> None:
        """Launch what moves every world on by one step of the environment; may be captured."""
        ...

    def begin(self) -> None:
        """Launch what follows from a new state of worlds that were reset; may be captured."""
        ...


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What the worlds of a task are made of.

    Attributes:
        state: a `wp.struct`: arrays with the world first, and settings.
        sizes: the shape of a world's part of each array; those not named have none, or are given by
            `values`.
        values: settings, and arrays that are the same for all worlds.
        prepare: `f(e, s, w)`; what a step of the environment begins with, once the commands stand.
        advance: `f(e, s, w, dt)`; moves a world on by `dt`. None leaves that to a simulation.
        physics: in the order of the columns of `e.physics`.
        noise_parameter: name of the one that multiplies all noise; empty for none.
        simulation: makes what moves the worlds; it is given their number and the device.
        simulated: names of the arrays of the state that are the simulation's.
    """

    state: Any
    sizes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    prepare: Any = None
    advance: Any = None
    physics: tuple[Parameter, ...] = ()
    noise_parameter: str = ""
    simulation: Callable[[int, str], Simulation] | None = None
    simulated: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EnvironmentConfig:
    """What an environment is composed of; a task is a subclass with a `layout`.

    Attributes:
        task: name.
        figure: what beside success tells how good a policy is; None where success does.
        sides: how many equal sides its worlds have in a circle: what has a first axis of as many is
            theirs, and worlds turned by a side are worlds of the task; 1 where there are none.
        dt: step of the physics [s].
        decimation: steps of the physics for each step of the environment.
        episode: how long one may last [s].
        actions, observations, rewards, terminations, events, commands, curriculum: terms.
        privileged: observations that a critic sees beside the policy's own, which it sees without
            noise.
        randomization: of the physics' parameters.
    """

    task: ClassVar[str] = ""
    figure: ClassVar[Figure | None] = None
    sides: ClassVar[int] = 1

    dt: float = 0.1
    decimation: int = 1
    episode: float = 30.0
    actions: tuple[ActionTerm, ...] = ()
    observations: tuple[ObservationTerm, ...] = ()
    privileged: tuple[ObservationTerm, ...] = ()
    rewards: tuple[RewardTerm, ...] = ()
    terminations: tuple[TerminationTerm, ...] = ()
    events: tuple[EventTerm, ...] = ()
    commands: tuple[CommandTerm, ...] = ()
    curriculum: tuple[CurriculumTerm, ...] = ()
    randomization: tuple[Randomization, ...] = ()

    def layout(self) -> Layout:
        """Return what its worlds are made of."""
        raise NotImplementedError(f"{type(self).__name__} says no layout")

    def parameter(self, name: str) -> Parameter:
        """Return a parameter of its physics.

        Raises:
            TaskError: there is none of the name.
        """
        known = {parameter.name: parameter for parameter in self.layout().physics}
        if name not in known:
            raise TaskError(f"{self.task}: no parameter {name!r}; there are {', '.join(known)}")
        return known[name]

    def changed(self, group: str, name: str, **changes: Any) -> Self:
        """Return this with one term changed.

        Args:
            group: a field with terms, such as `rewards`.
            name: of the term.
            changes: its fields.

        Raises:
            TaskError: there is no such term.
        """
        terms = self._terms(group)
        if name not in [term.name for term in terms]:
            names = ", ".join(term.name for term in terms) or "none"
            raise TaskError(f"{self.task}: no {group} named {name!r}; there are {names}")
        new = tuple(dataclasses.replace(t, **changes) if t.name == name else t for t in terms)
        return self._with(group, new)

    def without(self, group: str, *names: str) -> Self:
        """Return this without some terms."""
        left = tuple(term for term in self._terms(group) if term.name not in names)
        return self._with(group, left)

    def with_randomization(self, *terms: Randomization) -> Self:
        """Return this with parameters randomised, in place of what was said of the same ones."""
        named = {term.parameter for term in terms}
        kept = tuple(term for term in self.randomization if term.parameter not in named)
        return dataclasses.replace(self, randomization=(*kept, *terms))

    def _with(self, group: str, terms: tuple[Any, ...]) -> Self:
        changes: dict[str, Any] = {group: terms}
        return dataclasses.replace(self, **changes)

    def _terms(self, group: str) -> tuple[Any, ...]:
        if group not in GROUPS:
            raise TaskError(f"{self.task}: terms are in {', '.join(GROUPS)}, got {group!r}")
        terms: tuple[Any, ...] = getattr(self, group)
        return terms
