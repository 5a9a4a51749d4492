"""Branches: what they lose at a flow, how far from right they are, and where they shut."""

# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.hydraulics._curves_kernels import friction_factor
from stagetwin_sim.hydraulics._layout_kernels import COEFFICIENTS, SHUT, Layout

__all__ = ["FLOW_ERROR", "first_stop", "look"]

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
def branch_law(c: wp.array(dtype=wp.float64), o: int, q: wp.float64):
    """Return the head that a branch loses at a flow, and the slope."""
    x = wp.clamp(q, c[o + 5], c[o + 6])
    s = x + c[o + 3]
    root = wp.sqrt(s * s + SMOOTH)
    size = wp.abs(x)
    h = c[o] + c[o + 1] * x + c[o + 2] * s * root + c[o + 4] * x * size
    g = c[o + 1] + c[o + 2] * (s * s + root * root) / root + TWO * c[o + 4] * size
    k = c[o + 7]
    if k > ZERO:
        per_flow = c[o + 8]
        reynolds = per_flow * size
        if reynolds <= wp.float64(2000.0):
            linear = k * wp.float64(64.0) / per_flow
            h += linear * x
            g += linear
        else:
            f = friction_factor(reynolds, c[o + 9])
            h += k * f[0] * x * size
            g += k * size * (TWO * f[0] + f[1] * reynolds)
    g = wp.max(g, FLATTEST)
    if q != x:
        h += SHUT * (q - x)
        g = SHUT
    return wp.vec2d(h, g)


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
        tiny = SNAP * wp.abs(dq)
        if q > low - LEAST and q <= low + tiny:
            if q < low - FLOW_ERROR:
                worst = TWO
            q = low
        if q < high + LEAST and q >= high - tiny:
            if q > high + FLOW_ERROR:
                worst = TWO
            q = high
        flow[b] = q
        if share >= ZERO or slope[b] <= ZERO:
            law = branch_law(coefficient, o, q)
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
        gap = over - loss[b]
        p = ONE / slope[b]
        off = wp.max(wp.abs(gap) - ROUNDING * rounding, ZERO)
        in_flow = off * p / (FLOW_ERROR * (ONE + wp.abs(q)))
        in_head = off / (HEAD_ERROR * (ONE + wp.abs(over)))
        error = wp.max(in_flow, in_head)
        # A branch that is shut by no more than rounding still holds the heads around it together.
        if error > ONE and ((q == low and gap < ZERO) or (q == high and gap > ZERO)):
            p = ZERO
            error = ZERO
        worst = wp.max(worst, error)
        conductance[b] = p
        if wp.abs(dq) > LEAST:
            along -= dq * gap
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
