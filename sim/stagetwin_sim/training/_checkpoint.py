"""Checkpoints: tensors and plain values, read without running any code of theirs."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch

from stagetwin_sim._errors import TrainingError
from stagetwin_sim.training._config import TrainingConfig

__all__ = ["Checkpoint"]


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Where a training stands.

    Attributes:
        config: of the training.
        iteration: how many are done.
        steps: environment steps so far.
        seconds: spent so far.
        state: of rsl_rl's algorithm: actor, critic and optimizer.
        random: state of torch's generator.
        curves: so far, by name.
    """

    config: TrainingConfig
    iteration: int
    steps: int
    seconds: float
    state: dict[str, Any]
    random: torch.Tensor
    curves: dict[str, list[float]]

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write it, whole or not at all."""
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "config": msgspec.to_builtins(self.config),
            "iteration": self.iteration,
            "steps": self.steps,
            "seconds": self.seconds,
            "state": self.state,
            "random": self.random,
            "curves": self.curves,
        }
        torch.save(content, part := file.with_suffix(".part"))
        part.replace(file)
        return file

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Checkpoint:
        """Read it.

        Raises:
            TrainingError: it is none, or holds more than tensors and plain values.
        """
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            config = msgspec.convert(content.pop("config"), TrainingConfig)
            return cls(config=config, **content)
        except (
            OSError,
            pickle.UnpicklingError,
            RuntimeError,
            EOFError,
            AttributeError,
            KeyError,
            TypeError,
            msgspec.ValidationError,
        ) as error:
            first = str(error).partition("\n")[0]
            raise TrainingError(f"{path}: no checkpoint can be read ({first})") from None

    def check(self, config: TrainingConfig) -> None:
        """Raise TrainingError where a training by `config` cannot go on from here."""
        same = "task hidden activation recurrent recurrent_size distribution environment"
        for name in same.split():
            ours, theirs = getattr(self.config, name), getattr(config, name)
            if ours != theirs:
                raise TrainingError(f"resume: {name} must be {ours!r} as before, got {theirs!r}")
        if config.iterations <= self.iteration:
            raise TrainingError(
                f"resume: iterations must be above the {self.iteration} that are done, "
                f"got {config.iterations}"
            )
