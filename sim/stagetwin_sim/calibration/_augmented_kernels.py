"""A kind whose parameters are states too: what an online fit filters."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import warp as wp

from stagetwin_sim.engine import StateVariable
from stagetwin_sim.engine._vectors import vectors_of

__all__ = ["augmented"]


@cache
def augmented(kind, names, places):
    """Return a kind with some parameters as states that nothing moves.

    Such a state holds the logarithm of the parameter over its value among the parameters, so that
    it is 0 at first and the parameter keeps its sign.

    Args:
        kind: whose.
        names: of these parameters.
        places: index of each in the kind.
    """
    states, tracked = len(kind.states), len(names)
    x_type, _, p_type, _ = vectors_of(kind)
    count = len(kind.parameters)
    where = wp.types.vector(tracked, wp.int32)(*places)
    inner_advance, inner_observe = kind.advance, kind.observe

    @wp.func
    def parameters_of(x: Any, p: Any):
        q = p_type()
        for j in range(count):
            q[j] = p[j]
        for j in range(tracked):
            q[where[j]] = p[where[j]] * wp.exp(x[states + j])
        return q

    @wp.func
    def states_of(x: Any):
        inner = x_type()
        for j in range(states):
            inner[j] = x[j]
        return inner

    if states:

        @wp.func
        def advance(x: Any, u: Any, p: Any, w: Any, dt: wp.float64):
            y = x
            inner = inner_advance(states_of(x), u, parameters_of(x, p), w, dt)
            for j in range(states):
                y[j] = inner[j]
            return y

    else:

        @wp.func
        def advance(x: Any, u: Any, p: Any, w: Any, dt: wp.float64):
            return x

    @wp.func
    def observe(x: Any, u: Any, p: Any):
        return inner_observe(states_of(x), u, parameters_of(x, p))

    return replace(
        kind,
        name=f"{kind.name}+{'+'.join(names)}",
        states=(
            *kind.states,
            *[
                StateVariable(f"ln_{name}", "1", 0.0, f"of {name} over its reference")
                for name in names
            ],
        ),
        advance=advance,
        observe=observe,
        start=None,
        rate=kind.rate,
    )
