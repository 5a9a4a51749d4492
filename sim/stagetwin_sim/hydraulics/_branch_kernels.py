"""Branches: what they lose at a flow, how far from right they are, and where they shut."""

# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.hydraulics._curves_kernels import friction_factor
from stagetwin_sim.hydraulics._layout_kernels import COEFFICIENTS, SHUT, Layout

__all__ = ["FLOW_ERROR", "branch_law", "first_stop", "friction", "judge", "look", "way"]

SMOOTH = wp.constant(wp.float64(1e-12))  # square of the flow below which losses turn linear
FLATTEST = wp.constant(wp.float64(1e-4))  # slope [m/(m3/s)]
FLOW_ERROR = wp.constant(wp.float64(1e-9))  # what a step may miss by [m3/s], and as a share
HEAD_ERROR = wp.constant(wp.float64(1e-6))  # [m], and as a share
ROUNDING = wp.constant(wp.float64(1e-15))
LEAST = wp.constant(wp.float64(1e-8))
SNAP = wp.constant(wp.float64(1e-12))
ZERO = wp.constant(wp.float64(0.0))
ONE = wp.constant(wp.float64(1.0))
TWO = wp.constant(wp.float64(2.0))


@wp.func
def way(low: wp.float64, high: wp.float64, at: wp.float64, dq: wp.float64):
    """Return the flow at a place of the way, exactly the bound there, and 2 if it was beyond."""
    tiny = SNAP * wp.abs(dq)
    q = at
    far = ZERO
    if q > low - LEAST and q <= low + tiny:
        if q < low - FLOW_ERROR:
            far = TWO
        q = low
    if q < high + LEAST and q >= high - tiny:
        if q > high + FLOW_ERROR:
            far = TWO
        q = high
    return wp.vec2d(q, far)


@wp.func
def friction(k: wp.float64, per_flow: wp.float64, rough: wp.float64, x: wp.float64):
    """Return the head that friction takes at a flow, and the slope; k is above 0."""
    size = wp.abs(x)
    reynolds = per_flow * size
    h = ZERO
    g = ZERO
    if reynolds <= wp.float64(2000.0):
        linear = k * wp.float64(64.0) / per_flow
        h = linear * x
        g = linear
    else:
        f = friction_factor(reynolds, rough)
        h = k * f[0] * x * size
        g = k * size * (TWO * f[0] + f[1] * reynolds)
    return wp.vec2d(h, g)


@wp.func
def branch_law(
    constant: wp.float64,
    linear: wp.float64,
    shifted: wp.float64,
    shift: wp.float64,
    quadratic: wp.float64,
    low: wp.float64,
    high: wp.float64,
    rubbed: wp.float64,
    rubbed_slope: wp.float64,
    q: wp.float64,
):
    """Return the head that a branch loses at a flow, and the slope; `rubbed` is by friction."""
    x = wp.clamp(q, low, high)
    s = x + shift
    root = wp.sqrt(s * s + SMOOTH)
    size = wp.abs(x)
    h = constant + linear * x + shifted * s * root + quadratic * x * size + rubbed
    g = linear + shifted * (s * s + root * root) / root + TWO * quadratic * size + rubbed_slope
    g = wp.max(g, FLATTEST)
    if q != x:
        h += SHUT * (q - x)
        g = SHUT
    return wp.vec2d(h, g)


@wp.func
def judge(
    low: wp.float64,
    high: wp.float64,
    q: wp.float64,
    dq: wp.float64,
    over: wp.float64,
    rounding: wp.float64,
    lost: wp.float64,
    steep: wp.float64,
):
    """Return the conductance of a branch, its error, and its part in the slope of the content.

    Args:
        low, high: bounds of the flow.
        q, dq: flow, and the way.
        over: head across it; rounding: sum of the sizes of both heads.
        lost, steep: its law.
    """
    gap = over - lost
    p = ONE / steep
    off = wp.max(wp.abs(gap) - ROUNDING * rounding, ZERO)
    in_flow = off * p / (FLOW_ERROR * (ONE + wp.abs(q)))
    in_head = off / (HEAD_ERROR * (ONE + wp.abs(over)))
    error = wp.max(in_flow, in_head)
    # A branch that is shut by no more than rounding still holds the heads around it together.
    if error > ONE and ((q == low and gap < ZERO) or (q == high and gap > ZERO)):
        p = ZERO
        error = ZERO
    part = ZERO
    if wp.abs(dq) > LEAST:
        part = dq * gap
    return wp.vec3d(p, error, part)


@wp.func
def look(
    layout: Layout,
    net: int,
    head: wp.array(dtype=wp.float64),
    flow: wp.array(dtype=wp.float64),
    start: wp.array(dtype=wp.float64),
    change: wp.array(dtype=wp.float64),
    coefficient: wp.array(dtype=wp.float64),
    loss: wp.array(dtype=wp.float64),
    slope: wp.array(dtype=wp.float64),
    conductance: wp.array(dtype=wp.float64),
    share: wp.float64,
):
    """Go a share of the way and evaluate all branches there; a negative share is no way at all.

    Without a way, a branch whose law is what it was when its flow was found need not be evaluated
    again: its slope is then above 0.

    Returns the slope of the content along the way, and the largest error, 1 being allowed.
    """
    along = ZERO
    worst = ZERO
    for b in range(layout.branch_start[net], layout.branch_start[net + 1]):
        o = b * COEFFICIENTS
        low = coefficient[o + 5]
        high = coefficient[o + 6]
        if low > high:  # not there
            flow[b] = ZERO
            conductance[b] = ZERO
            loss[b] = ZERO
            slope[b] = ZERO
            continue
        i = layout.branch_from[b]
        j = layout.branch_to[b]
        dq = change[b]
        q = flow[b]
        if share >= ZERO:
            q = start[b] + share * dq
        # At a bound the flow is exactly that; what was rounded off comes back in the next step.
        there = way(low, high, q, dq)
        q = there[0]
        worst = wp.max(worst, there[1])
        flow[b] = q
        if share >= ZERO or slope[b] <= ZERO:
            rubbed = wp.vec2d(ZERO, ZERO)
            if coefficient[o + 7] > ZERO:
                rubbed = friction(
                    coefficient[o + 7],
                    coefficient[o + 8],
                    coefficient[o + 9],
                    wp.clamp(q, low, high),
                )
            law = branch_law(
                coefficient[o],
                coefficient[o + 1],
                coefficient[o + 2],
                coefficient[o + 3],
                coefficient[o + 4],
                low,
                high,
                rubbed[0],
                rubbed[1],
                q,
            )
            loss[b] = law[0]
            slope[b] = law[1]
        over = ZERO
        rounding = ZERO
        if i >= 0:
            over += head[i]
            rounding += wp.abs(head[i])
        if j >= 0:
            over -= head[j]
            rounding += wp.abs(head[j])
        judged = judge(low, high, q, dq, over, rounding, loss[b], slope[b])
        conductance[b] = judged[0]
        worst = wp.max(worst, judged[1])
        along -= judged[2]
    return wp.vec2d(along, worst)


@wp.func
def first_stop(
    layout: Layout,
    net: int,
    start: wp.array(dtype=wp.float64),
    change: wp.array(dtype=wp.float64),
    coefficient: wp.array(dtype=wp.float64),
):
    """Return the share of the way at which the first open branch would shut; 2 if none does."""
    stop = TWO
    for b in range(layout.branch_start[net], layout.branch_start[net + 1]):
        dq = change[b]
        low = coefficient[b * COEFFICIENTS + 5]
        high = coefficient[b * COEFFICIENTS + 6]
        q = start[b]
        if q >= low and q + dq < low - LEAST:
            stop = wp.min(stop, (low - q) / dq)
        if q <= high and q + dq > high + LEAST:
            stop = wp.min(stop, (high - q) / dq)
    return stop
