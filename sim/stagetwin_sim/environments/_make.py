"""Environments by the names of their tasks."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from stagetwin_sim._errors import TaskError
from stagetwin_sim.environments._config import EnvironmentConfig
from stagetwin_sim.environments._environment import Environment

__all__ = ["TASKS", "find_config", "make_environment"]

_CONFIGS = {
    "arm-reach": ("_arm_reach", "ArmReachConfig"),
    "cart-pole": ("_cart_pole", "CartPoleConfig"),
    "kinematics": ("_kinematics", "KinematicsConfig"),
    "navigation": ("_navigation", "NavigationConfig"),
    "zone-release": ("_zone_release", "ZoneReleaseConfig"),
}

TASKS = tuple(_CONFIGS)
"""Names of the tasks."""


def find_config(task: str) -> type[EnvironmentConfig]:
    """Return what a task is composed by.

    Raises:
        TaskError: there is no such task.
    """
    if task not in _CONFIGS:
        raise TaskError(f"no task {task!r}; there are {', '.join(TASKS)}")
    module, name = _CONFIGS[task]
    found: type[EnvironmentConfig] = getattr(
        importlib.import_module(f"stagetwin_sim.environments.{module}"), name
    )
    return found


def make_environment(
    task: str | EnvironmentConfig,
    *,
    worlds: int,
    seed: int | Sequence[int] = 0,
    device: str = "cpu",
    config: EnvironmentConfig | None = None,
    capture: bool = True,
) -> Environment:
    """Make worlds of a task.

    Args:
        task: its name, or a config of one's own.
        worlds: how many.
        seed: one number, from which each world has its own; or one for each world.
        device: Warp's name of it.
        config: of the named task; None is its default.
        capture: whether steps are replayed as a graph.

    Raises:
        TaskError: there is no such task, the config is of another one, or it cannot be composed so.
    """
    if isinstance(task, EnvironmentConfig):
        chosen = task
    else:
        chosen = config if config is not None else find_config(task)()
        if chosen.task != task:
            raise TaskError(f"the task is {task}, and the config is of {chosen.task}")
    return Environment(chosen, worlds=worlds, seed=seed, device=device, capture=capture)
