"""Warp's types of what a kind's functions take."""

from __future__ import annotations

from typing import Any

import warp as wp

from stagetwin_sim.engine._kind import Kind

__all__ = ["vectors_of"]


def vectors_of(kind: Kind) -> tuple[Any, Any, Any, Any]:
    """Return the vectors of states, inputs, parameters and draws; an empty one has one entry."""
    counts = (len(kind.states), len(kind.inputs), len(kind.parameters), kind.draws)
    x, u, p, w = (wp.types.vector(max(count, 1), wp.float64) for count in counts)
    return x, u, p, w
