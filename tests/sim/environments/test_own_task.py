"""A task of one's own: its terms, and when events and commands happen."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from stagetwin_sim.environments import (
    ActionTerm,
    CommandTerm,
    Environment,
    EnvironmentConfig,
    EventTerm,
    Layout,
    ObservationTerm,
    Parameter,
    Randomization,
    Range,
    RewardTerm,
    TaskError,
    TerminationTerm,
    make_environment,
    terms,
)
from stagetwin_sim.policies import Term
from tests.sim.environments import slider_kernels as kernels

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True, kw_only=True)
class SliderConfig(EnvironmentConfig):
    """A slider on a line of 2 m that follows a goal."""

    task: ClassVar[str] = "slider"

    dt: float = 0.05
    decimation: int = 2
    episode: float = 6.0
    actions: tuple[ActionTerm, ...] = (
        ActionTerm(term=Term(name="speed", unit="m/s", scale=0.5, low=-0.5, high=0.5)),
    )
    observations: tuple[ObservationTerm, ...] = (
        ObservationTerm(
            term=Term(name="way_left", unit="m", scale=2.0, low=-2.0, high=2.0),
            function=kernels.way_left,
        ),
    )
    rewards: tuple[RewardTerm, ...] = (
        RewardTerm(name="near", function=kernels.near, weight=1.0, params=(0.1,)),
        RewardTerm(name="effort", function=terms.action_size, weight=-0.1),
    )
    terminations: tuple[TerminationTerm, ...] = (
        TerminationTerm(name="time_out", function=terms.time_is_up, time_out=True),
    )
    events: tuple[EventTerm, ...] = (
        EventTerm(name="birth", function=kernels.birth, mode="startup"),
        EventTerm(name="middle", function=kernels.to_middle),
        EventTerm(name="push", function=kernels.push, mode="interval", interval=Range(1.0, 2.0)),
    )
    commands: tuple[CommandTerm, ...] = (
        CommandTerm(
            name="goal", function=kernels.new_goal, params=(0.9,), resample=Range(2.0, 2.0)
        ),
    )
    randomization: tuple[Randomization, ...] = (
        Randomization(parameter="gain", range=Range(0.9, 1.1)),
    )

    def layout(self) -> Layout:
        """See EnvironmentConfig."""
        return Layout(
            state=kernels.SliderState,
            sizes={"pushed": (8,)},
            values={"most": 1.0},
            advance=kernels.slide,
            physics=(Parameter("gain", 1.0, 0.0, 2.0),),
        )


@pytest.fixture(scope="module")
def sliders() -> Environment:
    """A hundred sliders."""
    return make_environment(SliderConfig(), worlds=100, seed=1)


def test_a_task_of_ones_own_runs_and_can_be_followed(sliders: Environment) -> None:
    sliders.reset(seed=1)
    total = torch.zeros(100)
    for _ in range(18):  # until just before the goals are drawn anew
        _, reward, terminated, truncated, _ = sliders.step(
            (20.0 * sliders.observation).clamp(-1, 1)
        )
        total += reward
        assert not terminated.any()
        assert not truncated.any()
    left = sliders.state("goal") - sliders.state("x")
    reachable = sliders.state("goal").abs() < 0.7
    assert left[reachable].abs().max() < 0.05
    assert (reward[reachable] > 0.05).all()
    assert sliders.task == "slider"
    assert sliders.step_seconds == pytest.approx(0.1)


def test_startup_happens_once_a_seed(sliders: Environment) -> None:
    sliders.reset(seed=1)
    born = sliders.state("born").clone()
    assert born.unique().numel() > 90
    sliders.reset()
    for _ in range(70):
        sliders.step(torch.zeros(100, 1))
    assert torch.equal(sliders.state("born"), born)
    sliders.reset(seed=2)
    assert not torch.equal(sliders.state("born"), born)


def test_intervals_lie_within_their_range(sliders: Environment) -> None:
    sliders.reset(seed=3)
    for _ in range(59):
        *_, info = sliders.step(torch.zeros(100, 1))
    assert not info["done"].any()
    pushed = sliders.state("pushed") * 0.1
    counts = sliders.state("pushes")
    assert counts.min() >= 2
    assert counts.max() <= 5
    first = pushed[:, 0]
    gaps = (pushed[:, 1:] - pushed[:, :-1])[pushed[:, 1:] > 0]
    for seconds in (first, gaps):
        assert seconds.min() >= 1.0 - 1e-4
        assert seconds.max() <= 2.1 + 1e-4  # at the end of the step in which it is due
        assert seconds.std() > 0.2
    sliders.step(torch.zeros(100, 1))
    assert (sliders.state("pushes") == 0).all()


def test_commands_are_drawn_anew_when_it_is_time(sliders: Environment) -> None:
    sliders.reset(seed=3)
    goals = [sliders.state("goal").clone()]
    for _ in range(59):
        sliders.step(torch.zeros(100, 1))
        goals.append(sliders.state("goal").clone())
    changes = [int((a != b).sum()) for a, b in itertools.pairwise(goals)]
    drawn = [i + 1 for i, count in enumerate(changes) if count]
    assert drawn in ([20, 40], [21, 42], [20, 41], [21, 41])  # every 2 s, by steps of 0.1 s
    assert all(changes[i - 1] == 100 for i in drawn)
    assert torch.stack(goals).abs().max() <= 0.9


def test_a_layout_that_does_not_fit_its_state_is_refused() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Wrong(SliderConfig):
        sizes: tuple[tuple[str, tuple[int, ...]], ...] = ()

        def layout(self) -> Layout:
            return dataclasses.replace(super().layout(), sizes=dict(self.sizes))

    with pytest.raises(TaskError, match=r"pushed has 2 axes, got \(1,\)"):
        make_environment(Wrong(), worlds=1)
    with pytest.raises(TaskError, match="it has no mass"):
        make_environment(Wrong(sizes=(("mass", (1,)),)), worlds=1)
    with pytest.raises(NotImplementedError, match="says no layout"):
        make_environment(EnvironmentConfig(), worlds=1)
