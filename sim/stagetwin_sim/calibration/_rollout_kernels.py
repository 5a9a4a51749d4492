"""Kernels of a descent: whole histories of a kind, their loss, and its gradient by a tape.

One thread is one instance (or one start of one). Parameters are moved in coordinates without
bounds, `z`; see `natural`.
"""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors
# ruff: noqa: SIM102

from __future__ import annotations

from functools import cache

import warp as wp

from stagetwin_sim.engine._vectors import vectors_of

__all__ = [
    "ABOVE",
    "BELOW",
    "BETWEEN",
    "DECADES",
    "PLAIN",
    "adam_kernel",
    "loss_of",
    "natural",
    "rollout_kernel",
    "tick_kernel",
]

PLAIN, ABOVE, BELOW, BETWEEN, DECADES = 0, 1, 2, 3, 4
"""How a parameter is bounded: not at all; below or above alone; both, evenly or by decades."""

_ABOVE, _BELOW = wp.constant(ABOVE), wp.constant(BELOW)
_BETWEEN, _DECADES = wp.constant(BETWEEN), wp.constant(DECADES)
_ONE = wp.constant(wp.float64(1.0))
_ZERO = wp.constant(wp.float64(0.0))


@wp.func
def natural(z: wp.float64, form: int, low: wp.float64, high: wp.float64, size: wp.float64):
    """Return a parameter in its own unit, from its coordinate without bounds."""
    value = z * size
    if form == _ABOVE:
        value = low + wp.exp(z) * size
    if form == _BELOW:
        value = high - wp.exp(z) * size
    if form == _BETWEEN:
        value = low + (high - low) / (_ONE + wp.exp(-z))
    if form == _DECADES:
        value = low * wp.exp(wp.log(high / low) / (_ONE + wp.exp(-z)))
    return value


@wp.func
def loss_of(away: wp.float64, robust: wp.float64):
    """Return the loss of an error in standard deviations: Huber's, or its square where 0."""
    loss = wp.float64(0.5) * away * away
    if robust > _ZERO:
        if wp.abs(away) > robust:
            loss = robust * (wp.abs(away) - wp.float64(0.5) * robust)
    return loss


@cache
def rollout_kernel(kind):
    """Return the kernel that runs histories and sums their loss, with a gradient.

    Launched over (starts, count). States go into a history of their own, entry by entry: a state
    that is overwritten has no adjoint.
    """
    x_type, u_type, p_type, w_type = vectors_of(kind)
    declared_states, declared_inputs = len(kind.states), len(kind.inputs)
    declared_parameters, outputs = len(kind.parameters), len(kind.outputs)
    advance, observe = kind.advance, kind.observe

    @wp.kernel(module="unique")
    def rollout(
        # in:
        z: wp.array3d(dtype=wp.float64),
        form: wp.array(dtype=wp.int32),
        low: wp.array(dtype=wp.float64),
        high: wp.array(dtype=wp.float64),
        size: wp.array2d(dtype=wp.float64),
        fixed: wp.array2d(dtype=wp.float64),
        place: wp.array(dtype=wp.int32),
        first: wp.array2d(dtype=wp.float64),
        first_place: wp.array(dtype=wp.int32),
        prior: wp.array3d(dtype=wp.float64),
        fed: wp.array3d(dtype=wp.float64),
        measured: wp.array3d(dtype=wp.float64),
        weight: wp.array3d(dtype=wp.float64),
        robust: wp.float64,
        dt: wp.float64,
        substeps: int,
        rows: int,
        free: int,
        # out:
        history: wp.array4d(dtype=wp.float64),
        loss: wp.array2d(dtype=wp.float64),
    ):
        s, i = wp.tid()
        p = p_type()
        w = w_type()
        for j in range(declared_parameters):
            if place[j] >= 0:
                k = place[j]
                p[j] = natural(z[s, k, i], form[k], low[k], high[k], size[k, i])
            else:
                p[j] = fixed[j, i]
        for j in range(declared_states):
            if first_place[j] >= 0:
                k = first_place[j]
                history[0, s, j, i] = first[j, i] + z[s, k, i] * size[k, i]
            else:
                history[0, s, j, i] = first[j, i]
        for k in range(free):
            value = natural(z[s, k, i], form[k], low[k], high[k], size[k, i])
            away = (value - prior[0, k, i]) * prior[1, k, i]
            wp.atomic_add(loss, s, i, wp.float64(0.5) * away * away)
        for t in range(rows):
            x = x_type()
            u = u_type()
            for j in range(declared_states):
                x[j] = history[t * substeps, s, j, i]
            for j in range(declared_inputs):
                u[j] = fed[t, j, i]
            y = observe(x, u, p)
            for j in range(outputs):
                away = (y[j] - measured[t, j, i]) * weight[t, j, i]
                wp.atomic_add(loss, s, i, loss_of(away, robust))
            if wp.static(declared_states > 0):
                if t < rows - 1:
                    for q in range(substeps):
                        x_now = x_type()
                        for j in range(declared_states):
                            x_now[j] = history[t * substeps + q, s, j, i]
                        x_next = advance(x_now, u, p, w, dt)
                        for j in range(declared_states):
                            history[t * substeps + q + 1, s, j, i] = x_next[j]

    return rollout


@wp.kernel(enable_backward=False)
def adam_kernel(
    # in:
    gradient: wp.array3d(dtype=wp.float64),
    loss: wp.array2d(dtype=wp.float64),
    count: wp.array(dtype=wp.int32),
    rate: wp.float64,
    free: int,
    # in and out:
    z: wp.array3d(dtype=wp.float64),
    mean: wp.array3d(dtype=wp.float64),
    square: wp.array3d(dtype=wp.float64),
    best: wp.array3d(dtype=wp.float64),
    best_loss: wp.array2d(dtype=wp.float64),
):
    """One step of Adam (Kingma, Ba 2015, algorithm 1); the best point seen is kept."""
    s, i = wp.tid()
    better = loss[s, i] < best_loss[s, i]
    if better:
        best_loss[s, i] = loss[s, i]
    n = wp.float64(count[0] + 1)
    for k in range(free):
        if better:
            best[s, k, i] = z[s, k, i]
        g = gradient[s, k, i]
        if not wp.isfinite(g):
            g = _ZERO
        m = wp.float64(0.9) * mean[s, k, i] + wp.float64(0.1) * g
        v = wp.float64(0.99) * square[s, k, i] + wp.float64(0.01) * g * g
        mean[s, k, i] = m
        square[s, k, i] = v
        m = m / (_ONE - wp.pow(wp.float64(0.9), n))
        v = v / (_ONE - wp.pow(wp.float64(0.99), n))
        z[s, k, i] = z[s, k, i] - rate * m / (wp.sqrt(v) + wp.float64(1.0e-30))


@wp.kernel(enable_backward=False)
def tick_kernel(
    # in and out:
    count: wp.array(dtype=wp.int32),
):
    count[0] = count[0] + 1
