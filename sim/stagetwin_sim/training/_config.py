"""What a training follows from."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import math
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from stagetwin_sim._errors import TaskError, TrainingError
from stagetwin_sim.environments import EnvironmentConfig, find_config
from stagetwin_sim.training._defaults import DEFAULTS

__all__ = ["TrainingConfig", "environment_config"]

_TABLES = ("rewards", "params")


class TrainingConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a training follows from.

    Attributes:
        task: name of the environment.
        worlds: stepped together.
        iterations: of collecting and learning, in all.
        steps: of each world in an iteration.
        seed: of worlds and of torch.
        device: torch's and Warp's name of it.
        threads: of torch on a CPU.
        hidden: sizes of the hidden layers of actor and critic.
        activation: of these layers.
        recurrent: kind of memory before them; empty for none.
        recurrent_size: of the memory.
        distribution: of actions: `beta` ends at -1 and 1; `gaussian` does not, and what it says
            beyond them is cut off.
        init_std: of a Gaussian at the start, in the policy's numbers.
        learning_rate: at the start; it follows the divergence of policies, unless that is 0.
        desired_kl: divergence that it aims at; 0 keeps the rate as it is.
        settle: share of the iterations, the last ones, in which that divergence and the weight of
            the entropy go down to a tenth, so that what is learnt comes to rest.
        epochs: passes over what was collected.
        minibatches: parts of it in a pass.
        gamma: discount of a step.
        lam: of generalised advantages.
        clip: of the ratio of policies.
        entropy: weight of the entropy.
        value_loss: weight of the critic's loss.
        clip_value: whether `clip` bounds the critic's steps as well; it counts in units of the
            reward, so that it holds back a critic of large rewards.
        max_grad_norm: gradients are cut off there.
        save_every: iterations between two checkpoints.
        stop_at: share of successes among the newest episodes at which it ends early; 0 is never.
        evaluation_seeds: how many seeds the report's evaluation has.
        episodes: of each seed in the evaluation.
        environment: fields of the task's config; `rewards`: weights by name; `params`: a term's
            numbers by its group and name, `events.pillars`.

    Raises:
        TrainingError: a setting that cannot be.
    """

    task: str
    worlds: int = 512
    iterations: int = 150
    steps: int = 32
    seed: int = 1
    device: str = "cpu"
    threads: int = 1
    hidden: tuple[int, ...] = (64, 64)
    activation: Literal["elu", "relu", "tanh", "selu"] = "elu"
    recurrent: Literal["", "gru", "lstm"] = ""
    recurrent_size: int = 64
    distribution: Literal["beta", "gaussian"] = "gaussian"
    init_std: float = 0.8
    learning_rate: float = 1e-3
    desired_kl: float = 0.015
    settle: float = 0.5
    epochs: int = 5
    minibatches: int = 8
    gamma: float = 0.99
    lam: float = 0.95
    clip: float = 0.2
    entropy: float = 0.0
    value_loss: float = 1.0
    clip_value: bool = False
    max_grad_norm: float = 1.0
    save_every: int = 50
    stop_at: float = 0.0
    evaluation_seeds: int = 20
    episodes: int = 10
    environment: dict[str, Any] = {}

    def __post_init__(self) -> None:
        whole = (
            "worlds iterations steps threads recurrent_size epochs minibatches save_every "
            "evaluation_seeds episodes"
        )
        for name in whole.split():
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("init_std", "learning_rate", "clip", "max_grad_norm"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise TrainingError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("gamma", "lam", "stop_at", "settle"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise TrainingError(f"{name} must be within [0, 1], got {getattr(self, name)}")
        if not self.hidden or min(self.hidden) < 1:
            raise TrainingError(f"hidden must be sizes of at least 1, got {self.hidden}")
        # Recurrent batches are cut by worlds, and none may be left over.
        if self.recurrent and self.worlds % self.minibatches:
            raise TrainingError(
                f"worlds must be a multiple of minibatches ({self.minibatches}) for a recurrent "
                f"policy, got {self.worlds}"
            )

    @classmethod
    def of(cls, task: str, **over: Any) -> TrainingConfig:
        """Return what suits a task: the defaults of its training.

        Args:
            task: its name; of one that has none of its own, those of all.
            over: fields that replace them.

        Raises:
            TrainingError: a setting that cannot be.
        """
        return cls(task=task, **{**DEFAULTS.get(task, {}), **over})

    @classmethod
    def read(cls, path: str | os.PathLike[str], **over: Any) -> TrainingConfig:
        """Read it from TOML; what the file does not say is as the task's defaults have it.

        Args:
            path: of the file.
            over: fields that replace those of the file.

        Raises:
            TrainingError: the file cannot be read, or says what cannot be.
        """
        try:
            content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
            content |= over
            return msgspec.convert({**DEFAULTS.get(str(content.get("task")), {}), **content}, cls)
        except (OSError, ValueError, msgspec.ValidationError) as error:
            raise TrainingError(f"{path}: {error}") from None

    def to_toml(self) -> str:
        """Return it as TOML, with all defaults."""
        content = msgspec.to_builtins(self)
        tables = content.pop("environment")
        lines = [f"{name} = {_toml(value)}" for name, value in content.items()]
        nested = {k: v for k, v in tables.items() if isinstance(v, dict)}
        lines += ["", "[environment]"]
        lines += [f"{k} = {_toml(v)}" for k, v in tables.items() if k not in nested]
        for name, table in nested.items():
            lines += ["", f"[environment.{name}]"]
            lines += [f"{json.dumps(k)} = {_toml(v)}" for k, v in table.items()]
        return "\n".join(lines) + "\n"

    @property
    def digest(self) -> str:
        """SHA-256 of everything it says."""
        text = json.dumps(msgspec.to_builtins(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def environment_config(task: str, changes: Mapping[str, Any]) -> EnvironmentConfig:
    """Return a task's config with some of its fields changed.

    Args:
        task: its name.
        changes: numbers by the names of fields, or of arguments of the config's `of`; `rewards`:
            weights by name; `params`: a term's numbers by `GROUP.NAME`.

    Raises:
        TaskError: no such task, or the config cannot be so.
        TrainingError: no such field, or it is not a number.
    """
    kind = find_config(task)
    plain = {name: value for name, value in changes.items() if name not in _TABLES}
    numbers = {
        f.name: getattr(kind(), f.name)
        for f in dataclasses.fields(kind)
        if isinstance(getattr(kind(), f.name), (int, float))
    }
    maker = getattr(kind, "of", None)
    if maker is not None:
        numbers |= {
            name: parameter.default
            for name, parameter in inspect.signature(maker).parameters.items()
            if isinstance(parameter.default, (int, float))
        }
    for name, value in plain.items():
        if name not in numbers:
            raise TrainingError(
                f"{task}: no number {name!r} in its config; there are {', '.join(sorted(numbers))}"
            )
        kinds = (int,) if isinstance(numbers[name], int) else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise TrainingError(f"{task}: {name} must be of {kinds[-1].__name__}, got {value!r}")
    config = kind()
    if maker is not None:
        known = set(inspect.signature(maker).parameters)
        made = {name: plain.pop(name) for name in list(plain) if name in known}
        if made:
            config = maker(getattr(config, "vehicle"), **made)  # noqa: B009 - only those have `of`
    try:
        config = dataclasses.replace(config, **plain)
    except (TypeError, ValueError) as error:
        raise TaskError(f"{task}: {error}") from None
    try:
        for name, weight in changes.get("rewards", {}).items():
            config = config.changed("rewards", name, weight=float(weight))
        for path, params in changes.get("params", {}).items():
            group, _, name = path.partition(".")
            config = config.changed(group, name, params=tuple(float(value) for value in params))
    except (AttributeError, TypeError, ValueError) as error:
        raise TrainingError(f"{task}: {error}") from None
    return config


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(list(value) if isinstance(value, tuple) else value)
