"""The kernel of a fit by least squares: Levenberg and Marquardt's method, one thread a start.

Source: D. Marquardt, An algorithm for least-squares estimation of nonlinear parameters, SIAM J. 11
(1963) 431-441, with scaling by the diagonal. Sensitivities are differences of histories that run
side by side, a block of rows at a time. On the way down they are one-sided; what intervals are made
of is central.
"""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors
# ruff: noqa: SIM102

from __future__ import annotations

from functools import cache

import warp as wp

from stagetwin_sim.calibration._rollout_kernels import loss_of, natural
from stagetwin_sim.engine._vectors import vectors_of

__all__ = ["BLOCK", "solve_kernel"]

BLOCK = 32
"""Rows that a lane runs before the next one has its turn."""

_ONE = wp.constant(wp.float64(1.0))
_ZERO = wp.constant(wp.float64(0.0))
_BLOCK = wp.constant(BLOCK)
_H = wp.constant(wp.float64(1.0e-5))
_H_ONE = wp.constant(wp.float64(1.0e-7))
_FAR = wp.constant(wp.float64(2.0))
"""Longest step of a coordinate: beyond it, exponentials leave the linear."""


@cache
def solve_kernel(kind, free):
    """Return the kernel of one iteration, launched over (starts, count).

    Args:
        kind: whose histories.
        free: how many coordinates are fitted.
    """
    states, parameters = max(len(kind.states), 1), max(len(kind.parameters), 1)
    lanes = 2 * free + 1
    x_type, u_type, p_type, w_type = vectors_of(kind)
    k_type = wp.types.vector(free, wp.float64)
    x_lanes = wp.types.matrix((states, lanes), wp.float64)
    p_lanes = wp.types.matrix((parameters, lanes), wp.float64)
    square = wp.types.matrix((free, free), wp.float64)
    declared_states = len(kind.states)
    advance, observe = kind.advance, kind.observe

    @wp.kernel(enable_backward=False, module="unique")
    def solve(
        # in:
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
        n: int,
        fed_count: int,
        declared: int,
        m: int,
        tolerance: wp.float64,
        final: int,
        # in and out:
        z: wp.array3d(dtype=wp.float64),
        trial: wp.array3d(dtype=wp.float64),
        normal: wp.array4d(dtype=wp.float64),
        slope: wp.array3d(dtype=wp.float64),
        cost: wp.array2d(dtype=wp.float64),
        damping: wp.array2d(dtype=wp.float64),
        done: wp.array2d(dtype=wp.int32),
        # out:
        seen: wp.array3d(dtype=wp.float64),
        squares: wp.array3d(dtype=wp.float64),
        kept: wp.array3d(dtype=wp.float64),
        shown: wp.array3d(dtype=wp.float64),
        score: wp.array3d(dtype=wp.float64),
    ):
        s, i = wp.tid()
        if final == 0:
            if done[s, i] != 0:
                return
        p = p_lanes()
        x = x_lanes()
        w = w_type()
        u = u_type()
        point = k_type()
        for k in range(z.shape[1]):
            if final == 0:
                point[k] = trial[s, k, i]
            else:
                point[k] = z[s, k, i]
        # Lane 0 is the point itself; then one lane a coordinate, or two where both sides count.
        free_count = z.shape[1]
        total_lanes = free_count + 1
        over = _ONE / _H_ONE
        if final == 1:
            total_lanes = 2 * free_count + 1
            over = wp.float64(0.5) / _H
        for lane in range(total_lanes):
            moved = lane - 1
            shift = _H_ONE
            if final == 1:
                shift = _H
                if lane > free_count:
                    moved = lane - 1 - free_count
                    shift = -_H
            if lane == 0:
                shift = _ZERO
            for j in range(declared):
                if place[j] >= 0:
                    k = place[j]
                    value = point[k]
                    if k == moved:
                        value = value + shift
                    p[j, lane] = natural(value, form[k], low[k], high[k], size[k, i])
                else:
                    p[j, lane] = fixed[j, i]
            for j in range(n):
                x[j, lane] = first[j, i]
                if first_place[j] >= 0:
                    k = first_place[j]
                    value = point[k]
                    if k == moved:
                        value = value + shift
                    x[j, lane] = first[j, i] + value * size[k, i]

        h = square()
        g = k_type()
        total = _ZERO
        slopes = k_type()
        for j in range(m):
            squares[s, j, i] = _ZERO
        for k in range(z.shape[1]):
            here = natural(point[k], form[k], low[k], high[k], size[k, i])
            more = natural(point[k] + _H, form[k], low[k], high[k], size[k, i])
            less = natural(point[k] - _H, form[k], low[k], high[k], size[k, i])
            away = (here - prior[0, k, i]) * prior[1, k, i]
            steep = (more - less) / (wp.float64(2.0) * _H) * prior[1, k, i]
            h[k, k] = h[k, k] + steep * steep
            g[k] = g[k] + steep * away
            total = total + wp.float64(0.5) * away * away
        # A block of rows of one lane after the other, so that a lane stays in registers meanwhile.
        for begin in range(0, rows, _BLOCK):
            end = wp.min(begin + _BLOCK, rows)
            for lane in range(total_lanes):
                x_one = x_type()
                p_one = p_type()
                for j in range(n):
                    x_one[j] = x[j, lane]
                for j in range(declared):
                    p_one[j] = p[j, lane]
                for t in range(begin, end):
                    for j in range(fed_count):
                        u[j] = fed[t, j, i]
                    y_one = observe(x_one, u, p_one)
                    for j in range(m):
                        seen[s, i, ((t - begin) * m + j) * total_lanes + lane] = y_one[j]
                    if wp.static(declared_states > 0):
                        if t < rows - 1:
                            for _step in range(substeps):
                                x_one = advance(x_one, u, p_one, w, dt)
                for j in range(n):
                    x[j, lane] = x_one[j]
            for t in range(begin, end):
                if final == 1 and s == 0:
                    for k in range(free_count):
                        score[t, k, i] = _ZERO
                for j in range(m):
                    at = ((t - begin) * m + j) * total_lanes
                    if final == 1 and s == 0:
                        shown[t, j, i] = seen[s, i, at]
                    scale = weight[t, j, i]
                    if scale > _ZERO:
                        away = (seen[s, i, at] - measured[t, j, i]) * scale
                        share = _ONE
                        if robust > _ZERO:
                            if wp.abs(away) > robust:
                                share = robust / wp.abs(away)
                        total = total + loss_of(away, robust)
                        squares[s, j, i] = squares[s, j, i] + away * away
                        for k in range(free_count):
                            back = at
                            if final == 1:
                                back = at + 1 + free_count + k
                            slopes[k] = (seen[s, i, at + k + 1] - seen[s, i, back]) * scale * over
                        for k in range(free_count):
                            g[k] = g[k] + share * slopes[k] * away
                            if final == 1 and s == 0:
                                score[t, k, i] = score[t, k, i] + share * slopes[k] * away
                            for q in range(k + 1):
                                h[k, q] = h[k, q] + share * slopes[k] * slopes[q]

        if final == 1:
            for k in range(z.shape[1]):
                slope[s, k, i] = g[k]
                for q in range(k + 1):
                    normal[s, k, q, i] = h[k, q]
                    normal[s, q, k, i] = h[k, q]
            cost[s, i] = total
            return

        good = wp.isfinite(total) and total < cost[s, i]
        small = False
        if good:
            small = cost[s, i] - total <= tolerance * total
            cost[s, i] = total
            damping[s, i] = wp.max(damping[s, i] / wp.float64(9.0), wp.float64(1.0e-12))
            for j in range(m):
                kept[s, j, i] = squares[s, j, i]
            for k in range(z.shape[1]):
                z[s, k, i] = point[k]
                slope[s, k, i] = g[k]
                for q in range(k + 1):
                    normal[s, k, q, i] = h[k, q]
        else:
            damping[s, i] = damping[s, i] * wp.float64(5.0)
        if small or damping[s, i] > wp.float64(1.0e10):
            done[s, i] = 1
            return
        factor = square()
        half = k_type()
        for k in range(z.shape[1]):
            for q in range(k + 1):
                entry = normal[s, k, q, i]
                if k == q:
                    entry = entry * (_ONE + damping[s, i]) + wp.float64(1.0e-12) * (_ONE + entry)
                for r in range(q):
                    entry = entry - factor[k, r] * factor[q, r]
                if k == q:
                    factor[k, k] = wp.sqrt(wp.max(entry, wp.float64(1.0e-30)))
                else:
                    factor[k, q] = entry / factor[q, q]
            entry = -slope[s, k, i]
            for r in range(k):
                entry = entry - factor[k, r] * half[r]
            half[k] = entry / factor[k, k]
        longest = _ZERO
        for back in range(z.shape[1]):
            k = z.shape[1] - 1 - back
            entry = half[k]
            for r in range(k + 1, z.shape[1]):
                entry = entry - factor[r, k] * half[r]
            half[k] = entry / factor[k, k]
        for k in range(z.shape[1]):
            step = wp.clamp(half[k], -_FAR, _FAR)
            trial[s, k, i] = z[s, k, i] + step
            longest = wp.max(longest, wp.abs(step) / (_ONE + wp.abs(z[s, k, i])))
        if longest < tolerance:
            done[s, i] = 1

    return solve
