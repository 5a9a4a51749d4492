"""An environment as rsl_rl's `VecEnv`."""

from __future__ import annotations

from typing import Any

import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict

from stagetwin_sim.environments._environment import Environment

__all__ = ["WorldsVecEnv"]


class WorldsVecEnv(VecEnv):  # type: ignore[misc,unused-ignore]
    """The worlds of an environment behind rsl_rl's interface.

    Observations have the groups `policy` and `critic`; they are copies, for rsl_rl keeps the last
    one while the next is made. What is logged is of the episodes that ended in a step, one number
    each: `/episode/…`, and the sum of each reward term, `/reward/…`.

    Args:
        environment: with the worlds.
    """

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.num_envs = environment.worlds
        self.num_actions = environment.action_count
        self.max_episode_length = environment.max_steps
        self.device = environment.observation.device
        self.cfg = {"task": environment.task}

    @property
    def episode_length_buf(self) -> torch.Tensor:
        """Steps of the present episodes; may be assigned to, so that they do not end together."""
        return self.environment.steps

    @episode_length_buf.setter
    def episode_length_buf(self, values: torch.Tensor) -> None:  # pyright: ignore
        self.environment.steps.copy_(values)

    def get_observations(self) -> TensorDict:
        """Return what the policy and its critic see now."""
        shown = {
            "policy": self.environment.observation.clone(),
            "critic": self.environment.critic.clone(),
        }
        return TensorDict(shown, batch_size=[self.num_envs], device=self.device)

    def reset(self) -> tuple[TensorDict, dict[str, Any]]:
        """Begin new episodes."""
        self.environment.reset()
        return self.get_observations(), {}

    def step(
        self, actions: torch.Tensor
    ) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Move every world on; see VecEnv."""
        _, reward, _, truncated, info = self.environment.step(actions.detach())
        extras: dict[str, Any] = {"time_outs": truncated.clone()}
        done = info["done"]
        if bool(done.any()):
            extras["log"] = self._log(done)
        return self.get_observations(), reward.clone(), done.clone(), extras

    def _log(self, done: torch.Tensor) -> dict[str, torch.Tensor]:
        info = self.environment.info
        log = {
            "/episode/success": info["success"][done].float(),
            "/episode/reward": info["episode_reward"][done],
            "/episode/steps": info["episode_steps"][done],
            "/curriculum/level": self.environment.level.mean(),
        }
        for name, sums in info["terms"].items():
            log[f"/reward/{name}"] = sums[done]
        return log
