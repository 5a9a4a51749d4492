"""Wakes in a wind park, in Warp."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

__all__ = ["park_kernel", "total_kernel"]

ZERO = wp.constant(wp.float64(0.0))
ONE = wp.constant(wp.float64(1.0))
TWO = wp.constant(wp.float64(2.0))
PI = wp.constant(wp.float64(3.141592653589793))
HALF = wp.constant(wp.float64(0.5))


@wp.func
def overlap(wake: wp.float64, rotor: wp.float64, apart: wp.float64):
    """Return the share of a rotor's disc that lies within a wake's, both radii in [m]."""
    share = ZERO
    if apart <= wp.abs(wake - rotor):
        share = ONE
        if wake < rotor:
            share = wake * wake / (rotor * rotor)
    elif apart < wake + rotor:
        # The lens of two circles: Weisstein, Circle-Circle Intersection, MathWorld.
        w2 = wake * wake
        r2 = rotor * rotor
        d2 = apart * apart
        a = wp.acos(wp.clamp((d2 + w2 - r2) / (TWO * apart * wake), -ONE, ONE))
        b = wp.acos(wp.clamp((d2 + r2 - w2) / (TWO * apart * rotor), -ONE, ONE))
        lens = (
            (-apart + wake + rotor)
            * (apart + wake - rotor)
            * (apart - wake + rotor)
            * (apart + wake + rotor)
        )
        share = (w2 * a + r2 * b - HALF * wp.sqrt(wp.max(lens, ZERO))) / (PI * r2)
    return share


@wp.kernel(enable_backward=False)
def park_kernel(
    # in:
    columns: wp.array2d(dtype=wp.int32),
    radii: wp.array(dtype=wp.float64),
    position: wp.array3d(dtype=wp.float64),
    park: wp.array(dtype=wp.int32),
    ambient: wp.array2d(dtype=wp.int32),
    spread: wp.array(dtype=wp.float64),
    # in and out:
    bus: wp.array2d(dtype=wp.float64),
):
    """Give each turbine its wind: columns are wind, direction (out), thrust, power (in)."""
    world, i = wp.tid()
    mine = park[i]
    wind = bus[world, ambient[0, mine]]
    direction = bus[world, ambient[1, mine]]
    # The wind comes from `direction`, clockwise from north; positions are east and north.
    along_e = -wp.sin(direction)
    along_n = -wp.cos(direction)
    k = spread[mine]
    square = ZERO
    for j in range(park.shape[0]):
        if j != i and park[j] == mine:
            east = position[world, 0, i] - position[world, 0, j]
            north = position[world, 1, i] - position[world, 1, j]
            behind = east * along_e + north * along_n
            if behind > ZERO:
                aside = wp.abs(east * along_n - north * along_e)
                reach = radii[j] + k * behind
                ct = wp.clamp(bus[world, columns[2, j]], ZERO, ONE)
                share = radii[j] / reach
                # Jensen, Risoe-M-2411, 1983; Katic, Hoejstrup, Jensen, EWEC 1986: squares add.
                deficit = (ONE - wp.sqrt(ONE - ct)) * share * share
                deficit = deficit * overlap(reach, radii[i], aside)
                square = square + deficit * deficit
    bus[world, columns[0, i]] = wind * (ONE - wp.min(wp.sqrt(square), ONE))
    bus[world, columns[1, i]] = direction


@wp.kernel(enable_backward=False)
def total_kernel(
    # in:
    columns: wp.array2d(dtype=wp.int32),
    park: wp.array(dtype=wp.int32),
    ambient: wp.array2d(dtype=wp.int32),
    totals: wp.array2d(dtype=wp.int32),
    # in and out:
    bus: wp.array2d(dtype=wp.float64),
):
    """Add up a park: power, and the share of the wind's power that wakes took."""
    world, mine = wp.tid()
    power = ZERO
    cubes = ZERO
    count = ZERO
    for i in range(park.shape[0]):
        if park[i] == mine:
            v = bus[world, columns[0, i]]
            power = power + bus[world, columns[3, i]]
            cubes = cubes + v * v * v
            count = count + ONE
    wind = bus[world, ambient[0, mine]]
    loss = ZERO
    if wind > ZERO and count > ZERO:
        loss = ONE - cubes / (count * wind * wind * wind)
    bus[world, totals[0, mine]] = power
    bus[world, totals[1, mine]] = loss
