"""The arrays of an environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import warp as wp

from stagetwin_sim._errors import TaskError
from stagetwin_sim.environments._config import Layout
from stagetwin_sim.environments._episode_kernels import Episode
from stagetwin_sim.environments._tables import Tables

__all__ = ["make_episode", "make_state"]

Arrays = Mapping[str, Any]


def make_episode(
    tables: Tables, layout: Layout, worlds: int, max_steps: int, shown: int, device: str
) -> tuple[Any, Arrays]:
    """Return what every world has whatever its task, and its arrays that change.

    Args:
        tables: of the config.
        layout: of the task.
        worlds: how many.
        max_steps: of an episode.
        shown: columns of the critic.
        device: Warp's name of it.
    """
    config = tables.config
    actions = sum(term.term.size for term in config.actions)
    seen = sum(term.term.size for term in config.observations)
    happenings = max(1, len(config.events) + len(config.commands))
    flat, rows = (worlds,), 2 * worlds
    shapes: dict[str, tuple[Any, tuple[int, ...]]] = {
        "episode": (wp.int32, flat),
        "step": (wp.int32, flat),
        "level": (wp.float32, flat),
        "asked": (wp.int32, flat),
        "refused": (wp.int32, flat),
        "reward": (wp.float32, flat),
        "terminated": (wp.bool, flat),
        "truncated": (wp.bool, flat),
        "done": (wp.bool, flat),
        "success": (wp.bool, flat),
        "cause": (wp.int32, flat),
        "physics": (wp.float32, (worlds, len(tables.parameters))),
        "action": (wp.float32, (worlds, actions)),
        "acts": (wp.vec3, (worlds, actions)),
        "queue": (wp.vec4, (worlds, actions)),
        "observation": (wp.float32, (rows, seen)),
        "critic": (wp.float32, (rows, shown)),
        "timers": (wp.float32, (worlds, happenings)),
        "lasted": (wp.int32, flat),
    }
    episode: Any = Episode()
    episode.worlds, episode.max_steps = worlds, max_steps
    episode.dt, episode.decimation = config.dt, config.decimation
    names = [parameter.name for parameter in tables.parameters]
    noise = layout.noise_parameter
    episode.noise_column = names.index(noise) if noise else -1
    episode.delay_column = len(layout.physics)
    arrays: dict[str, Any] = {
        name: wp.zeros(shape, dtype=dtype, device=device) for name, (dtype, shape) in shapes.items()
    }
    if shown == seen and not tables.arrays["noisy"][0]:
        arrays["critic"] = arrays["observation"]
        episode.shared = 1
    for name, array in arrays.items():
        setattr(episode, name, array)
    episode.seed = wp.zeros(worlds, dtype=wp.int32, device=device)
    for name, values in tables.arrays.items():
        setattr(episode, name, _array(Episode, name, values, device))
    return episode, arrays


def make_state(layout: Layout, worlds: int, device: str) -> tuple[Any, dict[str, Any]]:
    """Return a task's state, and its own arrays that have the world first.

    Raises:
        TaskError: sizes or values are of what the state does not have.
    """
    struct = layout.state
    state: Any = struct()
    if unknown := sorted({*layout.sizes, *layout.values} - set(struct.vars)):
        raise TaskError(f"{struct.key}: it has no {', '.join(unknown)}")
    arrays: dict[str, Any] = {}
    for name, variable in struct.vars.items():
        kind = variable.type
        if name in layout.values:
            value = layout.values[name]
            if isinstance(kind, wp.array):
                value = _array(struct, name, value, device)
            setattr(state, name, value)
        elif isinstance(kind, wp.array) and name not in layout.simulated:
            shape = (worlds, *layout.sizes.get(name, ()))
            if len(shape) != kind.ndim:
                raise TaskError(f"{struct.key}: {name} has {kind.ndim} axes, got {shape}")
            arrays[name] = wp.zeros(shape, dtype=kind.dtype, device=device)
            setattr(state, name, arrays[name])
    return state, arrays


def _array(struct: Any, name: str, values: Any, device: str) -> Any:
    """Return values as an array of the type that a field of a struct has."""
    return wp.array(np.asarray(values), dtype=struct.vars[name].type.dtype, device=device)
