"""Whoever waits longest goes first, one at a time: a baseline of the junction."""

from __future__ import annotations

import torch

from stagetwin_sim.environments import Environment
from stagetwin_sim.training._baselines import columns_of

__all__ = ["FirstComePolicy"]

_PRESENT, _WAY, _WAITED, _LET_GO = 0, 1, 3, 5
"""Columns of the term `first_in_line`."""


class FirstComePolicy:
    """Releases the vehicle that has waited longest once the junction is empty, and no other.

    What it said last step may not have come into force yet: until it has, it says it again.
    """

    name = "rule"

    def begin(self, environment: Environment) -> None:
        """See Policy."""

    def act(self, environment: Environment) -> torch.Tensor:
        """See Policy."""
        line, inside, last = (
            columns_of(environment, name) for name in ("first_in_line", "crossing", "last_action")
        )
        assert line is not None
        assert inside is not None
        assert last is not None
        worlds = environment.worlds
        line, inside = line.reshape(worlds, 4, -1), inside.reshape(worlds, 4, -1)
        present, let_go = line[..., _PRESENT] > 0.5, line[..., _LET_GO] > 0.5
        going = let_go | ((last > 0.0) & present)
        # Among those that have waited as long, whoever is nearer to the line.
        rank = line[..., _WAITED] - 0.01 * line[..., _WAY]
        rank = torch.where(present, rank, torch.full_like(rank, -1e9))
        first = torch.nn.functional.one_hot(rank.argmax(dim=1), 4).bool() & present
        busy = (inside[..., 0] > 1e-3).any(dim=1) | going.any(dim=1)
        chosen = torch.where(busy[:, None], going, first)
        # Two that were let go, as a delay may bring about, cannot be called back.
        return torch.where(chosen, 1.0, -1.0)
