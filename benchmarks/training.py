"""Seconds and steps until a policy succeeds in 95 of 100 episodes, beside Stable-Baselines3.

Both learn the same task on the same worlds with PPO and one thread, each with settings that were
tried and suit it. Every so often the policy is evaluated, without noise, on seeds that training did
not have; that time does not count. Seconds are of CPU, since what else the machine does would
count on the clock. The task is `kinematics` by default: it is learnt within
seconds. `--task navigation` is the room with two pillars, and takes minutes.

    python -m benchmarks.training [--task navigation] [--seeds 3]
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch  # noqa: TID253 - both learn with it

from benchmarks._report import Case, report
from stagetwin_sim.environments import Environment, as_vector_env, make_environment
from stagetwin_sim.training import (
    TrainingConfig,
    environment_config,
    evaluate,
)

WANTED = 0.95
SEEDS, EPISODES = range(1000, 1010), 20

ROOM: dict[str, Any] = {
    "others": 0,
    "pillars": 2,
    "rewards": {"collision": -20.0, "too_near": -2.0, "action_change": -0.05},
    "params": {"events.pillars": [0.4, 0.6, 1.0], "rewards.too_near": [0.5]},
}
TASKS: dict[str, dict[str, Any]] = {"kinematics": {}, "navigation": ROOM}
OURS: dict[str, dict[str, Any]] = {
    "kinematics": {
        "worlds": 128,
        "steps": 16,
        "epochs": 5,
        "minibatches": 2,
        "iterations": 200,
        "desired_kl": 0.0,
    },
    "navigation": {"worlds": 256, "minibatches": 4, "desired_kl": 0.02, "iterations": 600},
}
THEIRS: dict[str, dict[str, Any]] = {
    "kinematics": {"worlds": 128, "n_steps": 32, "batch_size": 1024, "n_epochs": 8, "most": 1.5e6},
    "navigation": {"worlds": 256, "n_steps": 32, "batch_size": 2048, "n_epochs": 5, "most": 5e6},
}


class Figure(NamedTuple):
    """What it took: seconds of CPU."""

    seconds: float
    steps: int
    success: float


class _Reached(Exception):
    """Ends a training; it is no error."""


class Numbers:
    """A function from observations to actions, as a policy that can be evaluated."""

    name = "policy"

    def __init__(self, say: Callable[[Any], Any]) -> None:
        self._say = say

    def begin(self, environment: Environment) -> None:
        """Nothing is kept."""

    def act(self, environment: Environment) -> torch.Tensor:
        """Return what the function says."""
        return torch.as_tensor(self._say(environment.observation))


def judge(task: str, config: Any, say: Callable[[Any], Any]) -> float:
    """Return the share of successes on seeds that training did not have."""
    found = evaluate(Numbers(say), task, SEEDS, episodes=EPISODES, config=config)
    return found.success.value


def ours(task: str, seed: int) -> Figure:
    """Train with rsl_rl, as `stagetwin train` does."""
    from stagetwin_sim.training._train import _Training

    settings = TrainingConfig(task=task, seed=seed, environment=TASKS[task], **OURS[task])
    config = environment_config(task, settings.environment)
    torch.manual_seed(seed)
    environment = make_environment(config, worlds=settings.worlds, seed=seed)
    training = _Training(settings, environment, None, None)
    every = 2 if task == "kinematics" else 10
    best, aside = 0.0, 0.0

    def look(now: Any) -> None:
        nonlocal best, aside
        if now.iteration % every:
            return
        from tensordict import TensorDict

        started = time.process_time()
        actor = training.algorithm.get_policy()
        with torch.inference_mode():
            best = judge(
                task,
                config,
                lambda seen: actor(TensorDict({"policy": seen}, batch_size=[len(seen)])),
            )
        aside += time.process_time() - started
        if best >= WANTED:
            raise _Reached

    began = time.process_time()
    with contextlib.suppress(_Reached):
        training.run(look)
    return Figure(time.process_time() - began - aside, training.steps, best)


def theirs(task: str, seed: int) -> Figure:
    """Train with Stable-Baselines3 on the same worlds, through its own NumPy interface."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.vec_env import VecEnv, VecNormalize

    given = dict(THEIRS[task])
    worlds, most = int(given.pop("worlds")), int(given.pop("most"))
    config = environment_config(task, TASKS[task])
    environment = make_environment(config, worlds=worlds, seed=seed)
    vector = as_vector_env(environment)

    class Worlds(VecEnv):  # type: ignore[misc,unused-ignore]
        """The same worlds behind Stable-Baselines3's interface."""

        def __init__(self) -> None:
            super().__init__(worlds, vector.single_observation_space, vector.single_action_space)
            self._given: Any = None

        def reset(self) -> Any:
            return vector.reset()[0]

        def step_async(self, actions: Any) -> None:
            self._given = actions

        def step_wait(self) -> Any:
            seen, reward, terminated, truncated, info = vector.step(self._given)
            done = terminated | truncated
            told: list[dict[str, Any]] = [{} for _ in range(worlds)]
            for w in np.flatnonzero(done):
                told[w] = {
                    "terminal_observation": info["final_obs"][w],
                    "TimeLimit.truncated": bool(truncated[w] and not terminated[w]),
                }
            return seen, reward, done, told

        def close(self) -> None:
            pass

        def get_attr(self, attr_name: str, indices: Any = None) -> Any:
            return [None] * worlds

        def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
            raise NotImplementedError

        def env_method(self, method_name: str, *args: Any, indices: Any = None, **more: Any) -> Any:
            raise NotImplementedError

        def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> Any:
            return [False] * worlds

    normalised = VecNormalize(Worlds(), norm_obs=True, norm_reward=True, gamma=0.99)
    model = PPO(
        "MlpPolicy",
        normalised,
        learning_rate=1e-3,
        gamma=0.99,
        gae_lambda=0.95,
        policy_kwargs={"net_arch": [64, 64], "activation_fn": torch.nn.ELU},
        seed=seed,
        device="cpu",
        **given,
    )
    best, aside, began = 0.0, 0.0, time.process_time()
    every = 2 if task == "kinematics" else 10

    class Look(BaseCallback):  # type: ignore[misc,unused-ignore]
        """Evaluates after some rollouts, and stops when it is enough."""

        rollouts = 0

        def _on_step(self) -> bool:
            return best < WANTED

        def _on_rollout_start(self) -> None:
            nonlocal best, aside
            self.rollouts += 1
            if self.rollouts % every or self.rollouts == 1:
                return
            started = time.process_time()
            best = judge(
                task,
                config,
                lambda seen: np.clip(
                    model.predict(normalised.normalize_obs(seen.numpy()), deterministic=True)[0],
                    -1.0,
                    1.0,
                ),
            )
            aside += time.process_time() - started

    model.learn(total_timesteps=most, callback=Look())
    spent = time.process_time() - began - aside
    return Figure(spent, int(model.num_timesteps), best)


def main() -> None:
    """Train both, check that both arrive, and report the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=tuple(TASKS), default="kinematics")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    # Kernels are compiled before anything is timed.
    warm = environment_config(asked.task, TASKS[asked.task])
    judge(asked.task, warm, lambda seen: torch.zeros(len(seen), 2))
    found: dict[str, list[Figure]] = {"ours": [], "Stable-Baselines3": []}
    for seed in range(1, asked.seeds + 1):
        for name, run in (("ours", ours), ("Stable-Baselines3", theirs)):
            figure = run(asked.task, seed)
            found[name].append(figure)
            print(
                f"{name:<18} seed {seed}: {figure.seconds:6.1f} s of CPU, "
                f"{figure.steps:>10,} steps, "
                f"success {100 * figure.success:.1f} %",
                flush=True,
            )
            assert figure.success >= WANTED, f"{name} did not reach {WANTED} with seed {seed}"

    def median(name: str, field: str) -> float:
        return float(np.median([getattr(figure, field) for figure in found[name]]))

    report(
        "training",
        "s",
        True,
        [
            Case(
                f"{asked.task} seconds",
                median("ours", "seconds"),
                {"Stable-Baselines3": median("Stable-Baselines3", "seconds")},
            ),
            Case(
                f"{asked.task} steps",
                median("ours", "steps"),
                {"Stable-Baselines3": median("Stable-Baselines3", "steps")},
            ),
        ],
    )


if __name__ == "__main__":
    main()
