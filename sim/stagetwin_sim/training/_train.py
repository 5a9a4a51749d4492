"""The training: collect, learn, tell, keep."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from stagetwin_sim._errors import TrainingError
from stagetwin_sim.environments import Environment, EnvironmentConfig, as_rsl_rl, make_environment
from stagetwin_sim.training._actor import make_algorithm
from stagetwin_sim.training._checkpoint import Checkpoint
from stagetwin_sim.training._config import TrainingConfig, environment_config
from stagetwin_sim.training._evaluate import success_of
from stagetwin_sim.training._policies import ActorPolicy

__all__ = ["Progress", "Run", "train"]

_NEWEST = 512
"""Episodes that the share of successes is taken of."""


class Progress(NamedTuple):
    """Where a training stands, once an iteration.

    Attributes:
        iteration: how many are done.
        iterations: in all.
        steps: of environments so far.
        rate: steps of environments a second, of collecting and learning together.
        reward: mean of the newest episodes.
        success: share among the newest episodes.
        length: mean steps of the newest episodes.
        std: mean standard deviation of actions.
        left: time that is left [s].
    """

    iteration: int
    iterations: int
    steps: int
    rate: float
    reward: float
    success: float
    length: float
    std: float
    left: float


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a training came to.

    Attributes:
        config: of the training.
        environment_config: of the worlds that it trained in.
        policy: the actor.
        curves: by name, one number an iteration.
        steps: of environments.
        seconds: spent.
        checkpoint: the last one; None without a folder.
        observations: numbers of observations of the last iteration, shape (rows, n).
    """

    config: TrainingConfig
    environment_config: EnvironmentConfig
    policy: ActorPolicy
    curves: dict[str, list[float]]
    steps: int
    seconds: float
    checkpoint: Path | None
    observations: torch.Tensor


def train(
    config: TrainingConfig,
    *,
    environment: EnvironmentConfig | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Run:
    """Train a policy.

    The same configuration gives the same run on one machine and device. A resumed one goes on with
    the same weights, optimizer and generator, but its worlds begin new episodes, by seeds of its
    own: it is as good a training, and not the same numbers as one that never stopped.

    Args:
        config: what it follows from.
        environment: in place of what the configuration says of it.
        out: folder for checkpoints and TensorBoard's events; None writes nothing.
        resume: a checkpoint to go on from.
        progress: told of each iteration.

    Raises:
        TaskError: the environment cannot be made so.
        TrainingError: the checkpoint does not fit, or a loss left the finite numbers.
    """
    before = Checkpoint.read(resume) if resume is not None else None
    if before is not None:
        before.check(config)
    chosen = environment or environment_config(config.task, config.environment)
    if not config.device.startswith("cuda"):
        torch.set_num_threads(config.threads)
    first = before.iteration if before is not None else 0
    torch.manual_seed(config.seed)
    worlds = make_environment(
        chosen, worlds=config.worlds, seed=config.seed + 7919 * first, device=config.device
    )
    training = _Training(config, worlds, Path(out) if out is not None else None, before)
    checkpoint = training.run(progress)
    return Run(
        config=config,
        environment_config=chosen,
        policy=ActorPolicy(training.algorithm.get_policy().eval(), name="trained"),
        curves=training.curves,
        steps=training.steps,
        seconds=training.seconds,
        checkpoint=checkpoint,
        observations=training.observations,
    )


class _Training:
    """One training, iteration by iteration."""

    def __init__(
        self,
        config: TrainingConfig,
        environment: Environment,
        folder: Path | None,
        before: Checkpoint | None,
    ) -> None:
        self.config, self.environment, self.folder = config, environment, folder
        self.vec_env = as_rsl_rl(environment)
        self.algorithm: Any = make_algorithm(config, self.vec_env)
        self.curves: dict[str, list[float]] = {}
        self.iteration, self.steps, self.seconds = 0, 0, 0.0
        self.observations = environment.observation.clone()
        if before is not None:
            self.algorithm.load(before.state, None, True)
            self.algorithm.learning_rate = before.state["optimizer_state_dict"]["param_groups"][0][
                "lr"
            ]
            self.curves = {name: list(values) for name, values in before.curves.items()}
            self.iteration, self.steps = before.iteration, before.steps
            self.seconds = before.seconds
            torch.set_rng_state(before.random)
        self._rewards: deque[float] = deque(maxlen=_NEWEST)
        self._lengths: deque[float] = deque(maxlen=_NEWEST)
        self._successes: deque[float] = deque(maxlen=_NEWEST)

    def run(self, progress: Callable[[Progress], None] | None) -> Path | None:
        """Go on to the end; return the last checkpoint."""
        config, writer, checkpoint = self.config, self._writer(), None
        # Episodes that all began together would end together: their ages are drawn.
        ages = torch.randint(0, self.environment.max_steps, (config.worlds,), dtype=torch.int32)
        self.environment.steps.copy_(ages)
        shown = self.vec_env.get_observations()
        self.algorithm.train_mode()
        try:
            while self.iteration < config.iterations:
                started = time.perf_counter()
                shown = self._collect(shown)
                self._settle()
                losses = self.algorithm.update()
                spent = time.perf_counter() - started
                self.seconds += spent
                self.iteration += 1
                self.steps += config.worlds * config.steps
                told = self._tell(losses, spent, writer)
                if progress is not None:
                    progress(told)
                enough = len(self._successes) == _NEWEST and told.success >= config.stop_at > 0.0
                last = enough or self.iteration == config.iterations
                if self.folder is not None and (last or self.iteration % config.save_every == 0):
                    checkpoint = self._save(self.folder)
                if enough:
                    break
        finally:
            if writer is not None:
                writer.close()
        return checkpoint

    def _settle(self) -> None:
        """Aim at smaller steps, and explore less, towards the end."""
        config = self.config
        last = max(1.0, config.settle * config.iterations)
        share = 0.1 + 0.9 * min(1.0, (config.iterations - self.iteration) / last)
        self.algorithm.entropy_coef = config.entropy * share
        if config.desired_kl > 0.0:
            self.algorithm.desired_kl = config.desired_kl * share

    def _collect(self, shown: Any) -> Any:
        """Let the worlds run; what they showed is kept for statistics."""
        algorithm, info = self.algorithm, self.environment.info
        with torch.inference_mode():
            for _ in range(self.config.steps):
                actions = algorithm.act(shown)
                shown, rewards, dones, extras = self.vec_env.step(actions)
                algorithm.process_env_step(shown, rewards, dones, extras)
                if bool(dones.any()):
                    self._rewards.extend(info["episode_reward"][dones].tolist())
                    self._lengths.extend(info["episode_steps"][dones].tolist())
                    self._successes.extend(success_of(self.environment)[dones].float().tolist())
            self.observations = algorithm.storage.observations["policy"].flatten(0, 1).clone()
            algorithm.compute_returns(shown)
        return shown

    def _tell(self, losses: dict[str, float], spent: float, writer: Any) -> Progress:
        def mean(values: deque[float]) -> float:
            return sum(values) / len(values) if values else float("nan")

        if not all(map(_is_finite, losses.values())):
            raise TrainingError(f"{self.config.task}: a loss is not finite: {losses}")
        std = float(self.algorithm.get_policy().output_std.detach().mean())
        done, config = self.iteration, self.config
        told = Progress(
            iteration=done,
            iterations=config.iterations,
            steps=self.steps,
            rate=config.worlds * config.steps / spent,
            reward=mean(self._rewards),
            success=mean(self._successes),
            length=mean(self._lengths),
            std=std,
            left=self.seconds / done * (config.iterations - done),
        )
        scalars = {
            "train/reward": told.reward,
            "train/success": told.success,
            "train/length": told.length,
            "train/level": float(self.environment.level.mean()),
            "perf/steps_per_second": told.rate,
            "policy/std": std,
            "policy/learning_rate": float(self.algorithm.learning_rate),
            **{f"loss/{name}": float(value) for name, value in losses.items()},
        }
        for name, value in {"steps": float(self.steps), "seconds": self.seconds, **scalars}.items():
            self.curves.setdefault(name, []).append(value)
        if writer is not None:
            for name, value in scalars.items():
                if _is_finite(value):
                    writer.add_scalar(name, value, self.steps)
        return told

    def _writer(self) -> Any:
        if self.folder is None:
            return None
        from torch.utils.tensorboard.writer import SummaryWriter

        self.folder.mkdir(parents=True, exist_ok=True)
        return SummaryWriter(log_dir=str(self.folder), purge_step=self.steps or None)

    def _save(self, folder: Path) -> Path:
        return Checkpoint(
            config=self.config,
            iteration=self.iteration,
            steps=self.steps,
            seconds=self.seconds,
            state=self.algorithm.save(),
            random=torch.get_rng_state(),
            curves=self.curves,
        ).write(folder / "checkpoints" / f"{self.iteration:06d}.pt")


def _is_finite(value: float) -> bool:
    return value - value == 0.0
