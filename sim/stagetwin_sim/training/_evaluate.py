"""How good a policy is: the first episode of many worlds, by seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from stagetwin_sim._errors import TrainingError
from stagetwin_sim.environments import (
    Environment,
    EnvironmentConfig,
    find_config,
    make_environment,
)
from stagetwin_sim.training._policies import Policy
from stagetwin_sim.training._statistics import Interval, bootstrap, wilson

__all__ = ["Evaluation", "evaluate", "success_of"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What came of the episodes of a policy.

    Attributes:
        policy: its name.
        task: name.
        seeds: each of them with as many episodes.
        succeeded: shape (seeds, episodes); of a task without a success of its own, those that
            lasted to the end of the time.
        failed: ended, not by time, and not in success; shape (seeds, episodes).
        seconds: how long each episode took [s], shape (seeds, episodes).
        rewards: sums, shape (seeds, episodes).
        figures: the task's own figure, shape (seeds, episodes); None where it has none.
    """

    policy: str
    task: str
    seeds: tuple[int, ...]
    succeeded: Bools
    failed: Bools
    seconds: Floats
    rewards: Floats
    figures: Floats | None = None

    @property
    def success(self) -> Interval:
        """Share of episodes that succeeded; episodes as independent trials (Wilson)."""
        return wilson(int(self.succeeded.sum()), self.succeeded.size)

    @property
    def success_by_seed(self) -> Interval:
        """The same over seeds, each of them one value (bootstrap)."""
        return bootstrap(self.succeeded.mean(axis=1))

    @property
    def failure(self) -> Interval:
        """Share of episodes that ended in failure: in navigation, in a collision (Wilson)."""
        return wilson(int(self.failed.sum()), self.failed.size)

    @property
    def time(self) -> Interval:
        """Seconds to success, over seeds (bootstrap); failed episodes have none."""
        times = np.where(self.succeeded, self.seconds, np.nan)
        some = self.succeeded.any(axis=1)
        return bootstrap(np.nanmean(times[some], axis=1)) if some.any() else bootstrap([])

    @property
    def reward(self) -> Interval:
        """Sum of rewards of an episode, over seeds (bootstrap)."""
        return bootstrap(self.rewards.mean(axis=1))

    @property
    def figure(self) -> Interval:
        """The task's own figure, over seeds (bootstrap); unknown where it has none."""
        return bootstrap([] if self.figures is None else self.figures.mean(axis=1))

    @property
    def figure_titles(self) -> tuple[str, ...]:
        """What the columns of the task's own figures are called: one, or none."""
        figure = find_config(self.task).figure if self.figures is not None else None
        return (f"{figure.name} [{figure.unit}]",) if figure is not None else ()

    def to_json(self) -> dict[str, Any]:
        """Return it for a report; an interval is [value, low, high], null where nobody knows."""

        def known(interval: Interval) -> list[float | None]:
            return [value if np.isfinite(value) else None for value in interval]

        return {
            "policy": self.policy,
            "task": self.task,
            "seeds": list(self.seeds),
            "episodes": int(self.succeeded.size),
            "success": known(self.success),
            "success_by_seed": known(self.success_by_seed),
            "failure": known(self.failure),
            "time": known(self.time),
            "reward": known(self.reward),
            "figure": known(self.figure),
        }


def success_of(environment: Environment) -> torch.Tensor:
    """Return which worlds ended well in the last step, shape (worlds,).

    A task that has no success of its own is one to hold out in: there the end of the time is it.
    """
    if any(term.success for term in environment.config.terminations):
        found: torch.Tensor = environment.info["success"]
        return found
    return environment.truncated


def evaluate(
    policy: Policy,
    task: str,
    seeds: Sequence[int] = range(20),
    *,
    episodes: int = 10,
    config: EnvironmentConfig | None = None,
    device: str = "cpu",
) -> Evaluation:
    """Run a policy in worlds of full difficulty.

    Every world counts with one episode, so that quick episodes do not count more often than long
    ones. The worlds of a seed are the same for every policy.

    Args:
        policy: what acts.
        task: name.
        seeds: each with `episodes` worlds.
        episodes: of each seed.
        config: of the task; None is its default.
        device: Warp's name of it.

    Raises:
        TaskError: the environment cannot be made so.
        TrainingError: there is no seed or no episode.
    """
    count = len(seeds) * episodes
    if count < 1:
        raise TrainingError(f"{task}: an evaluation has at least one seed and one episode")
    each = np.concatenate(
        [np.random.SeedSequence([abs(seed), 1]).generate_state(episodes) for seed in seeds]
    )
    environment = make_environment(
        task, worlds=count, seed=each.astype(np.int64).tolist(), device=device, config=config
    )
    environment.level.fill_(1.0)
    environment.reset()  # the same seeds, and now as difficult as it gets
    policy.begin(environment)
    succeeded, failed = torch.zeros(2, count, dtype=torch.bool, device=environment.reward.device)
    steps, rewards, counted = torch.zeros(3, count, device=environment.reward.device)
    weights = {term.name: term.weight for term in environment.config.rewards}
    figure = environment.config.figure
    if figure is not None and not weights.get(figure.reward):
        figure = None  # whoever leaves the reward out does not have it counted
    running = torch.ones(count, dtype=torch.bool, device=environment.reward.device)
    for _ in range(environment.max_steps + 1):
        _, _, terminated, _, info = environment.step(policy.act(environment))
        ended = running & info["done"]
        if bool(ended.any()):
            good = success_of(environment)
            succeeded |= ended & good
            failed |= ended & terminated & ~good
            steps = torch.where(ended, info["episode_steps"], steps)
            rewards = torch.where(ended, info["episode_reward"], rewards)
            if figure is not None:
                counted = torch.where(ended, info["terms"][figure.reward], counted)
            running &= ~ended
            if not bool(running.any()):
                break

    if figure is not None:
        lasting = environment.max_steps * environment.step_seconds
        counted = counted * (figure.seconds / lasting / weights[figure.reward])

    def table(values: torch.Tensor) -> npt.NDArray[Any]:
        shaped: npt.NDArray[Any] = values.cpu().numpy().reshape(len(seeds), episodes)
        return shaped

    return Evaluation(
        policy=policy.name,
        task=task,
        seeds=tuple(seeds),
        succeeded=table(succeeded),
        failed=table(failed),
        seconds=table(steps).astype(np.float64) * environment.step_seconds,
        rewards=table(rewards).astype(np.float64),
        figures=table(counted).astype(np.float64) if figure is not None else None,
    )
