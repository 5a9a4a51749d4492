"""An environment as Gymnasium's `VectorEnv`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import Env, Space, spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from stagetwin_sim.environments._environment import Environment

__all__ = ["OneWorldEnv", "WorldsVectorEnv"]

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Info = dict[str, Any]


class WorldsVectorEnv(VectorEnv[Floats, Floats, Any]):
    """The worlds of an environment behind Gymnasium's interface, with NumPy arrays of their own.

    A world that ended is reset within the same step; what it showed last is in
    `info["final_obs"]`, and what else is known of it in `info["final_info"]`, under the mask
    `info["_final_obs"]`.

    Args:
        environment: with the worlds.
    """

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.num_envs = environment.worlds
        self.metadata = {
            "autoreset_mode": AutoresetMode.SAME_STEP,
            "render_modes": [],
            "render_fps": 1.0 / environment.step_seconds,
        }
        self.single_observation_space, self.single_action_space = _spaces(environment)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(
        self, *, seed: int | list[int] | None = None, options: Info | None = None
    ) -> tuple[Floats, Info]:
        """Begin new episodes.

        Args:
            seed: one number, or one for each world; None goes on with the seeds there are.
            options: none are known.
        """
        one = seed if isinstance(seed, int) else None
        super().reset(seed=one)
        return _numbers(self.environment.reset(seed)), {}

    def step(self, actions: Floats) -> tuple[Floats, Floats, Bools, Bools, Info]:
        """Move every world on; see Environment."""
        environment = self.environment
        given = torch.as_tensor(np.asarray(actions, np.float32))
        observation, reward, terminated, truncated, known = environment.step(given)
        info: Info = {}
        ended = _bools(known["done"])
        if ended.any():
            last = _numbers(known["final_observation"])
            info["final_obs"] = np.where(ended[:, None], last, np.float32(0.0))
            info["_final_obs"] = ended
            info["final_info"] = {
                name: values
                for key in ("success", "episode_reward", "episode_steps")
                for name, values in (
                    (key, np.where(ended, _array(known[key]), 0)),
                    (f"_{key}", ended),
                )
            }
            info["_final_info"] = ended
        return (
            _numbers(observation),
            _numbers(reward),
            _bools(terminated),
            _bools(truncated),
            info,
        )


class OneWorldEnv(Env[Floats, Floats]):
    """One world behind Gymnasium's interface: it is not reset by itself.

    Args:
        environment: with one world.
    """

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.metadata = {"render_modes": [], "render_fps": 1.0 / environment.step_seconds}
        self.observation_space, self.action_space = _spaces(environment)
        self._ahead: Floats | None = None

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Floats, Info]:
        """Begin a new episode; see WorldsVectorEnv."""
        super().reset(seed=seed)
        if seed is None and self._ahead is not None:
            first = self._ahead  # the world is there already
        else:
            first = _numbers(self.environment.reset(None if seed is None else [seed]))[0]
        self._ahead = None
        return first, {}

    def step(self, action: Floats) -> tuple[Floats, float, bool, bool, Info]:
        """Move on; see Environment."""
        given = torch.as_tensor(np.asarray(action, np.float32)[None])
        observation, reward, terminated, truncated, known = self.environment.step(given)
        shown = _numbers(observation)[0]
        info: Info = {}
        if bool(known["done"][0]):
            self._ahead = shown
            shown = _numbers(known["final_observation"])[0]
            info["success"] = bool(known["success"][0])
        return shown, float(reward[0]), bool(terminated[0]), bool(truncated[0]), info


def _spaces(environment: Environment) -> tuple[Space[Floats], Space[Floats]]:
    """Return the spaces of an observation and of an action."""
    bounds = np.array([t.bounds for t in environment.observation_terms for _ in range(t.size)])
    low, high = bounds.astype(np.float32).T
    count = environment.action_count
    observation: Any = spaces.Box(low, high, dtype=np.float32)
    action: Any = spaces.Box(-1.0, 1.0, (count,), np.float32)
    return observation, action


def _array(tensor: torch.Tensor) -> npt.NDArray[Any]:
    made: npt.NDArray[Any] = tensor.detach().cpu().numpy().copy()
    return made


def _numbers(tensor: torch.Tensor) -> Floats:
    return _array(tensor)


def _bools(tensor: torch.Tensor) -> Bools:
    return _array(tensor)
