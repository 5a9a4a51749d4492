"""Branches' laws of a step: what each loses over its flow, and where it is open."""

# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.hydraulics._layout_kernels import COEFFICIENTS

__all__ = ["ENDLESS", "at_most", "given", "hole", "law"]

GRAVITY = wp.constant(wp.float64(9.80665))
ENDLESS = wp.constant(wp.float64(1e30))
ORIFICE = wp.constant(wp.float64(0.61))
"""Discharge coefficient of a sharp-edged hole (Idelchik, Handbook of Hydraulic Resistance)."""
ZERO = wp.constant(wp.float64(0.0))
ONE = wp.constant(wp.float64(1.0))
TWO = wp.constant(wp.float64(2.0))


@wp.func
def given(values: wp.array(dtype=wp.float64), column: int, low: wp.float64, high: wp.float64):
    """Return an input within what it may be; what is not finite is the least."""
    x = values[column]
    if not wp.isfinite(x):
        x = low
    return wp.clamp(x, low, high)


@wp.func
def law(
    c: wp.array(dtype=wp.float64),
    slope: wp.array(dtype=wp.float64),
    flow: wp.array(dtype=wp.float64),
    b: int,
    constant: wp.float64,
    linear: wp.float64,
    shifted: wp.float64,
    shift: wp.float64,
    quadratic: wp.float64,
    low: wp.float64,
    high: wp.float64,
):
    """Say what a branch loses: a + b q + c (q + s)|q + s| + d q|q|, and where it is open.

    A flow that was at a bound begins where that is now: the search would run far beyond it.
    """
    o = b * COEFFICIENTS
    same = c[o] == constant and c[o + 1] == linear and c[o + 2] == shifted
    same = same and c[o + 3] == shift and c[o + 4] == quadratic
    same = same and c[o + 5] == low and c[o + 6] == high
    if not same:
        slope[b] = ZERO
        q = flow[b]
        if c[o + 5] < c[o + 6] and low < high:
            if q == c[o + 6] and high < ENDLESS:
                flow[b] = high
            elif q == c[o + 5] and low > -ENDLESS:
                flow[b] = low
        c[o] = constant
        c[o + 1] = linear
        c[o + 2] = shifted
        c[o + 3] = shift
        c[o + 4] = quadratic
        c[o + 5] = low
        c[o + 6] = high


@wp.func
def hole(
    c: wp.array(dtype=wp.float64),
    slope: wp.array(dtype=wp.float64),
    flow: wp.array(dtype=wp.float64),
    b: int,
    elevation: wp.float64,
    area: wp.float64,
):
    """A hole to the outside, q = C A sqrt(2 g h); none where its area is 0."""
    if area > wp.float64(1e-12):
        k = ONE / (TWO * GRAVITY * ORIFICE * ORIFICE * area * area)
        law(c, slope, flow, b, elevation, ZERO, k, ZERO, ZERO, ZERO, ENDLESS)
    else:
        law(c, slope, flow, b, ZERO, ZERO, ZERO, ZERO, ZERO, ONE, ZERO)


@wp.func
def at_most(
    c: wp.array(dtype=wp.float64),
    slope: wp.array(dtype=wp.float64),
    flow: wp.array(dtype=wp.float64),
    b: int,
    head: wp.float64,
    band: wp.float64,
    most: wp.float64,
):
    """A flow that grows evenly over a band of head up to what it may be at most."""
    if most > ZERO:
        law(c, slope, flow, b, head, band / most, ZERO, ZERO, ZERO, ZERO, most)
    else:
        law(c, slope, flow, b, ZERO, ZERO, ZERO, ZERO, ZERO, ONE, ZERO)
