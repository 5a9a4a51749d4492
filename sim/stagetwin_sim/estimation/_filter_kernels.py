"""The kernel of an observer: one divided-difference filter an instance.

Source: M. Norgaard, N. Poulsen, O. Ravn, New developments in state estimation for nonlinear
systems, Automatica 36 (2000) 1627-1638: the divided-difference filter of first order (DD1) with
h = sqrt(3); the covariance after a measurement in Joseph's form. On a linear model it is Kalman's
filter.
"""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

from functools import cache
from typing import Any

import warp as wp

from stagetwin_sim.engine._vectors import vectors_of

__all__ = ["BAD", "HELD", "MISSING", "OUTLIER", "PRESENT", "RELOCKED", "USED", "filter_kernel"]

MISSING, BAD, HELD, PRESENT = 0, 1, 2, 3
"""What a measurement is before it is judged; a held one is compared and corrects nothing."""
USED, OUTLIER, RELOCKED = 4, 5, 6
"""What becomes of one that is present."""

_HELD, _PRESENT = wp.constant(HELD), wp.constant(PRESENT)
_USED, _OUTLIER, _RELOCKED = wp.constant(USED), wp.constant(OUTLIER), wp.constant(RELOCKED)
_H = wp.constant(wp.float64(3.0**0.5))
_ZERO = wp.constant(wp.float64(0.0))


@wp.func
def root_of(covariance: Any, n: int):
    """Return the lower triangle whose square it is; a column without spread is nothing."""
    root = type(covariance)()
    for j in range(n):
        for k in range(j + 1):
            total = covariance[j, k]
            for q in range(k):
                total = total - root[j, q] * root[k, q]
            if j == k:
                root[j, j] = wp.sqrt(wp.max(total, _ZERO))
            elif root[k, k] > _ZERO:
                root[j, k] = total / root[k, k]
    return root


@wp.func
def moved_by(u: Any, q: int, by: wp.float64):
    """Return inputs of which one is elsewhere."""
    there = u
    there[q] = u[q] + by
    return there


@wp.func
def widened(covariance: Any, ahead: Any, behind: Any, n: int):
    """Return a covariance with what states differ by, h to either side."""
    wide = covariance
    for j in range(n):
        for k in range(n):
            wide[j, k] = covariance[j, k] + (ahead[j] - behind[j]) * (
                ahead[k] - behind[k]
            ) / wp.float64(12.0)
    return wide


@cache
def filter_kernel(kind):
    """Return the kernel that moves the filters of a kind on, launched over (worlds, count)."""
    states, inputs = max(len(kind.states), 1), max(len(kind.inputs), 1)
    outputs = max(len(kind.outputs), 1)
    declared_states, declared_parameters = len(kind.states), len(kind.parameters)
    drawn = kind.draws
    x_type, u_type, p_type, w_type = vectors_of(kind)
    y_type = wp.types.vector(outputs, wp.float64)
    p_matrix = wp.types.matrix((states, states), wp.float64)
    c_matrix = wp.types.matrix((outputs, states), wp.float64)
    d_matrix = wp.types.matrix((outputs, inputs), wp.float64)
    u_matrix = wp.types.matrix((states, inputs), wp.float64)
    s_matrix = wp.types.matrix((outputs, outputs), wp.float64)
    advance, observe = kind.advance, kind.observe

    # Bounds of loops are arguments of the kernel, not constants: Warp would unroll the loops, and
    # cubes of them take minutes to compile.
    @wp.kernel(enable_backward=False, module="unique")
    def estimate(
        # in:
        bus: wp.array2d(dtype=wp.float64),
        input_columns: wp.array2d(dtype=wp.int32),
        parameter: wp.array3d(dtype=wp.float64),
        input_sigma: wp.array2d(dtype=wp.float64),
        process: wp.array2d(dtype=wp.float64),
        bounds: wp.array2d(dtype=wp.float64),
        first: wp.array2d(dtype=wp.float64),
        measured: wp.array3d(dtype=wp.float64),
        given: wp.array3d(dtype=wp.int32),
        output_sigma: wp.array2d(dtype=wp.float64),
        active: wp.array(dtype=wp.int32),
        n: int,
        m: int,
        fed: int,
        dt: wp.float64,
        steps: int,
        elapsed: wp.float64,
        gate: wp.float64,
        patience: wp.float64,
        # in and out:
        state: wp.array3d(dtype=wp.float64),
        previous: wp.array3d(dtype=wp.float64),
        covariance: wp.array3d(dtype=wp.float64),
        refused: wp.array3d(dtype=wp.float64),
        # out:
        expected: wp.array3d(dtype=wp.float64),
        deviation: wp.array3d(dtype=wp.float64),
        fate: wp.array3d(dtype=wp.int32),
    ):
        world, i = wp.tid()
        if active[i] == 0:
            return
        x = x_type()
        c = x_type()
        u = u_type()
        p = p_type()
        w = w_type()
        cov = p_matrix()
        for j in range(n):
            x[j] = state[world, j, i]
            c[j] = previous[world, j, i]
            for k in range(n):
                cov[j, k] = covariance[world, j * n + k, i]
        for j in range(fed):
            u[j] = bus[world, input_columns[j, i]]
        for j in range(declared_parameters):
            p[j] = parameter[world, j, i]

        # -- the time that went by
        if wp.static(declared_states > 0):
            # A kind that draws widens its covariance at every step, others once for all steps.
            chunks = int(wp.min(steps, 1))
            inner = int(steps)
            span = dt * wp.float64(steps)
            if wp.static(drawn > 0):
                chunks = int(steps)
                inner = wp.int32(1)
                span = dt
            for _chunk in range(chunks):
                root = root_of(cov, n)
                moved = p_matrix()
                for j in range(n):
                    if root[j, j] > _ZERO:  # else the whole column is nothing
                        ahead = x_type()
                        behind = x_type()
                        for k in range(n):
                            ahead[k] = c[k] + _H * root[k, j]
                            behind[k] = c[k] - _H * root[k, j]
                        for _step in range(inner):
                            ahead = advance(ahead, u, p, w, dt)
                            behind = advance(behind, u, p, w, dt)
                        for k in range(n):
                            moved[k, j] = (ahead[k] - behind[k]) / (wp.float64(2.0) * _H)
                for j in range(n):
                    for k in range(n):
                        total = _ZERO
                        for q in range(n):
                            total = total + moved[j, q] * moved[k, q]
                        cov[j, k] = total
                    cov[j, j] = cov[j, j] + process[j, i] * process[j, i] * span
                for q in range(fed):
                    if input_sigma[q, i] > _ZERO:
                        more = moved_by(u, q, _H * input_sigma[q, i])
                        less = moved_by(u, q, -_H * input_sigma[q, i])
                        ahead = x_type(c)
                        behind = x_type(c)
                        for _step in range(inner):
                            ahead = advance(ahead, more, p, w, dt)
                            behind = advance(behind, less, p, w, dt)
                        cov = widened(cov, ahead, behind, n)
                if wp.static(drawn > 0):
                    for q in range(drawn):
                        up = w_type()
                        down = w_type()
                        up[q] = _H
                        down[q] = -_H
                        ahead = advance(c, u, p, up, dt)
                        behind = advance(c, u, p, down, dt)
                        cov = widened(cov, ahead, behind, n)
                    c = advance(c, u, p, w, dt)

        # -- what was measured
        y = observe(x, u, p)
        sight = c_matrix()
        blur = d_matrix()
        spread = s_matrix()
        root = p_matrix()
        judged = y_type()  # 1 where the measurement corrects
        lost = wp.int32(0)
        away = wp.float64(0.0)  # largest squared innovation in variances
        for attempt in range(3):
            if attempt == 0 or lost == 1:
                root = root_of(cov, n)
                for q in range(n):
                    if root[q, q] > _ZERO:
                        right = x_type()
                        left = x_type()
                        for k in range(n):
                            right[k] = x[k] + _H * root[k, q]
                            left[k] = x[k] - _H * root[k, q]
                        above = observe(right, u, p)
                        below = observe(left, u, p)
                        for j in range(m):
                            sight[j, q] = (above[j] - below[j]) / (wp.float64(2.0) * _H)
                    else:
                        for j in range(m):
                            sight[j, q] = _ZERO
                for q in range(fed):
                    if input_sigma[q, i] > _ZERO:
                        more = moved_by(u, q, _H * input_sigma[q, i])
                        less = moved_by(u, q, -_H * input_sigma[q, i])
                        above = observe(x, more, p)
                        below = observe(x, less, p)
                        for j in range(m):
                            blur[j, q] = (above[j] - below[j]) / (wp.float64(2.0) * _H)
                for j in range(m):
                    for k in range(m):
                        total = _ZERO
                        for q in range(n):
                            total = total + sight[j, q] * sight[k, q]
                        for q in range(fed):
                            total = total + blur[j, q] * blur[k, q]
                        if j == k:
                            total = total + output_sigma[j, i] * output_sigma[j, i]
                        spread[j, k] = total
                if attempt == 0:
                    for j in range(m):
                        expected[world, j, i] = y[j]
                        deviation[world, j, i] = wp.sqrt(spread[j, j])
                        judged[j] = _ZERO
                        fate[world, j, i] = given[world, j, i]
                        if given[world, j, i] >= _HELD:
                            if wp.abs(measured[world, j, i] - y[j]) > gate * wp.sqrt(spread[j, j]):
                                fate[world, j, i] = _OUTLIER
                                refused[world, j, i] = refused[world, j, i] + elapsed
                                if n > 0 and refused[world, j, i] > patience:
                                    lost = wp.max(lost, 1)
                            elif given[world, j, i] == _PRESENT:
                                judged[j] = wp.float64(1.0)
                                fate[world, j, i] = _USED
                                refused[world, j, i] = _ZERO
                            else:
                                refused[world, j, i] = _ZERO
                    if lost == 1:
                        # It is the filter that is lost, not the plant.
                        for j in range(n):
                            for k in range(n):
                                cov[j, k] = _ZERO
                            cov[j, j] = first[j, i] * first[j, i]
                elif attempt == 1:
                    # As wide as it takes to reach what is measured.
                    for j in range(m):
                        if given[world, j, i] >= _HELD:
                            innovation = measured[world, j, i] - y[j]
                            away = wp.max(away, innovation * innovation / spread[j, j])
                    for j in range(n):
                        cov[j, j] = cov[j, j] * wp.max(away, wp.float64(1.0))
                else:
                    for j in range(m):
                        if given[world, j, i] >= _HELD:
                            judged[j] = wp.float64(1.0)
                            refused[world, j, i] = _ZERO
                            if fate[world, j, i] == _OUTLIER:
                                fate[world, j, i] = _RELOCKED

        if wp.static(declared_states > 0):
            # What is not judged gets rows of nothing, and an innovation of nothing.
            factor = s_matrix()
            for j in range(m):
                for k in range(j + 1):
                    total = spread[j, k] * judged[j] * judged[k]
                    if j == k and judged[j] == _ZERO:
                        total = wp.float64(1.0)
                    for q in range(k):
                        total = total - factor[j, q] * factor[k, q]
                    if j == k:
                        factor[j, j] = wp.sqrt(wp.max(total, wp.float64(1.0e-300)))
                    else:
                        factor[j, k] = total / factor[k, k]
            # gain, transposed: factor factor' gain' = sight root'
            gain = c_matrix()
            for r in range(n):
                half = y_type()
                for j in range(m):
                    total = _ZERO
                    for q in range(n):
                        total = total + sight[j, q] * root[r, q]
                    total = total * judged[j]
                    for q in range(j):
                        total = total - factor[j, q] * half[q]
                    half[j] = total / factor[j, j]
                for back in range(m):
                    j = m - 1 - back
                    total = half[j]
                    for q in range(j + 1, m):
                        total = total - factor[q, j] * gain[q, r]
                    gain[j, r] = total / factor[j, j]
            for r in range(n):
                for j in range(m):
                    if judged[j] > _ZERO:
                        x[r] = x[r] + gain[j, r] * (measured[world, j, i] - y[j])
                x[r] = wp.clamp(x[r], bounds[0, r], bounds[1, r])
            carried = u_matrix()  # what the noise of the inputs does to the states
            for r in range(n):
                for q in range(fed):
                    total = _ZERO
                    for j in range(m):
                        total = total + gain[j, r] * blur[j, q] * judged[j]
                    carried[r, q] = total
            left_over = p_matrix()
            for r in range(n):
                for q in range(n):
                    total = root[r, q]
                    for j in range(m):
                        if judged[j] > _ZERO:
                            total = total - gain[j, r] * sight[j, q]
                    left_over[r, q] = total
            for r in range(n):
                for s in range(n):
                    total = _ZERO
                    for q in range(n):
                        total = total + left_over[r, q] * left_over[s, q]
                    for j in range(m):
                        noise = output_sigma[j, i] * output_sigma[j, i]
                        total = total + gain[j, r] * gain[j, s] * noise * judged[j]
                    for q in range(fed):
                        total = total + carried[r, q] * carried[s, q]
                    covariance[world, r * n + s, i] = total
            for r in range(n):
                state[world, r, i] = x[r]
                previous[world, r, i] = x[r]

    return estimate
