"""Environments behind the interfaces that learning libraries know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagetwin_sim.environments._config import EnvironmentConfig
from stagetwin_sim.environments._environment import Environment
from stagetwin_sim.environments._make import make_environment

if TYPE_CHECKING:
    from stagetwin_sim.environments._rsl_rl import WorldsVecEnv
    from stagetwin_sim.environments._vector_env import OneWorldEnv, WorldsVectorEnv

__all__ = ["as_env", "as_rsl_rl", "as_vector_env"]


def as_vector_env(environment: Environment) -> WorldsVectorEnv:
    """Return an environment as Gymnasium's `VectorEnv`; imports gymnasium."""
    from stagetwin_sim.environments._vector_env import WorldsVectorEnv

    return WorldsVectorEnv(environment)


def as_env(
    task: str | EnvironmentConfig,
    *,
    seed: int = 0,
    device: str = "cpu",
    config: EnvironmentConfig | None = None,
) -> OneWorldEnv:
    """Return a world of a task as Gymnasium's `Env`; imports gymnasium.

    Raises:
        TaskError: see make_environment.
    """
    from stagetwin_sim.environments._vector_env import OneWorldEnv

    return OneWorldEnv(make_environment(task, worlds=1, seed=[seed], device=device, config=config))


def as_rsl_rl(environment: Environment) -> WorldsVecEnv:
    """Return an environment as rsl_rl's `VecEnv`; imports rsl_rl."""
    from stagetwin_sim.environments._rsl_rl import WorldsVecEnv

    return WorldsVecEnv(environment)
