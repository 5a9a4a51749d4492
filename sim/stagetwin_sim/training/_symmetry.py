"""What a task with equal sides learns of one of them, it learns of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from stagetwin_sim.environments import Environment
from stagetwin_sim.policies import Term

__all__ = ["SideTurns"]


class SideTurns:
    """Shows PPO each batch a second time, with the sides of the worlds turned by a number drawn.

    Source: Mittal, Rudin, Klemm, Allshire and Hutter, Symmetry Considerations for Learning Task
    Symmetric Robot Policies, ICRA 2024, section III (data augmentation).

    Args:
        environment: whose config has more than one side.

    Attributes:
        order: of the columns of `policy`, `critic` and `actions`, by turns; shape (sides, n).
        turn: by how many sides it turned last.
    """

    def __init__(self, environment: Environment) -> None:
        self._sides = environment.config.sides
        self.order = {
            name: self._columns(terms, environment.device)
            for name, terms in (
                ("policy", environment.observation_terms),
                ("critic", environment.critic_terms),
                ("actions", environment.action_terms),
            )
        }
        self.turn = 1

    def __call__(
        self, *, env: Any, obs: Any | None, actions: torch.Tensor | None
    ) -> tuple[Any | None, torch.Tensor | None]:
        """Return what is given, and below it the same turned; rsl_rl calls it."""
        seen, said = None, None
        if obs is not None:  # without it, what goes with the observations of the last call
            self.turn = int(torch.randint(1, self._sides, ()))
            turned = obs.clone()
            for name, numbers in obs.items():
                turned[name] = numbers[:, self.order[name][self.turn]]
            seen = torch.cat([obs, turned])
        if actions is not None:
            said = torch.cat([actions, actions[:, self.order["actions"][self.turn]]])
        return seen, said

    def _columns(self, terms: Sequence[Term], device: str) -> torch.Tensor:
        """Return the order of columns by the sides that they are turned by, shape (sides, n)."""
        parts, first = [], 0
        for term in terms:
            columns = torch.arange(first, first + term.size)
            turns = range(self._sides)
            if term.shape[:1] == (self._sides,):
                rows = columns.reshape(self._sides, -1)
                parts.append(torch.stack([rows.roll(turn, 0).flatten() for turn in turns]))
            else:  # it is of no side
                parts.append(columns.repeat(self._sides, 1))
            first += term.size
        return torch.cat(parts, dim=1).to(device)
