"""A belt conveyor in Warp: what lies on it, and what it takes to move it."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

from typing import Any

import warp as wp

__all__ = ["CELLS", "conveyor_advance", "conveyor_observe"]

CELLS = 8
FIRST = 9  # index of the first cell among the states
LAST = 16

ZERO = wp.constant(wp.float64(0.0))
HALF = wp.constant(wp.float64(0.5))
ONE = wp.constant(wp.float64(1.0))
GRAVITY = wp.constant(wp.float64(9.80665))
PARTS = wp.constant(wp.float64(8.0))
FULL = wp.constant(wp.float64(1.0 - 1e-12))


@wp.func
def carried(x: Any):
    """Return how many items are on the belt."""
    total = x[3]
    for i in range(CELLS):
        total = total + x[FIRST + i]
    return total


@wp.func
def belt_forces(x: Any, p: Any):
    """Return friction, lift [N] and moving mass [kg]: main, secondary, gradient, DIN 22101."""
    load = carried(x) * p[11]
    belt = wp.float64(2.0) * p[2] * p[0]
    rollers = p[3] * p[0]
    level = wp.sqrt(wp.max(p[0] * p[0] - p[1] * p[1], ZERO)) / p[0]
    friction = p[5] * p[4] * GRAVITY * (rollers + (belt + load) * level)
    return wp.vector(friction, load * p[1] / p[0] * GRAVITY, rollers + belt + load)


@wp.func
def moved_items(x: Any, u: Any, p: Any, travel: wp.float64, dt: wp.float64):
    """Return the states after the belt has moved on by `travel` [m]: plug flow, cell by cell."""
    y = x
    blocked = u[4] > HALF
    most = p[12] / PARTS
    offered = wp.max(u[3], ZERO) * dt
    total = wp.clamp(travel * PARTS / p[0], ZERO, PARTS)
    taken = ZERO
    given = ZERO
    if total <= ZERO:
        taken = wp.min(offered, wp.max(most - x[3], ZERO))
        y[3] = x[3] + taken
    left = total
    while left > ZERO:
        part = wp.min(ONE - y[2], left)
        come = wp.min(offered * part / total, wp.max(most - y[3], ZERO))
        taken = taken + come
        y[3] = y[3] + come
        if not blocked:
            gone = y[LAST] * wp.min(part / (ONE - y[2]), ONE)
            given = given + gone
            y[LAST] = y[LAST] - gone
        y[2] = y[2] + part
        left = left - part
        if y[2] >= FULL:
            y[2] = ZERO
            for i in range(CELLS - 1):
                step = wp.min(y[LAST - 1 - i], most - y[LAST - i])
                y[LAST - i] = y[LAST - i] + step
                y[LAST - 1 - i] = y[LAST - 1 - i] - step
            step = wp.min(y[3], most - y[FIRST])
            y[FIRST] = y[FIRST] + step
            y[3] = y[3] - step
    y[4] = x[4] + taken
    y[5] = x[5] + given
    y[6] = x[6] + (offered - taken)
    return y


@wp.func
def drum_speed(x: Any, u: Any, p: Any):
    return u[0] * p[6] / p[7] + x[1]


@wp.func
def conveyor_advance(x: Any, u: Any, p: Any, w: Any, dt: wp.float64):
    # u: shaft_speed, drum_speed, run, infeed, blocked
    # x: speed, drum, phase, entry, received, delivered, refused, distance, force, cells
    goal = ZERO
    if u[2] > HALF:
        goal = u[1]
    drum = wp.clamp(goal, x[1] - p[13] * dt, x[1] + p[13] * dt)
    turned = u[0] * p[6] / p[7] + drum
    forces = belt_forces(x, p)
    way = ZERO
    if x[0] > ZERO or (x[0] == ZERO and turned > ZERO):
        way = ONE
    elif x[0] < ZERO or turned < ZERO:
        way = -ONE
    intake = wp.max(u[3], ZERO) * p[11] * x[0]
    resist = forces[0] * way + intake
    # A backstop holds what would run back from a standing drum.
    lift = forces[1]
    need = resist + lift + forces[2] * (turned - x[0]) / dt
    if turned == ZERO and x[0] == ZERO:
        need = ZERO
    # Euler-Eytelwein, as in DIN 22101: what the drum can pass on to the belt.
    grip = p[10] * (wp.exp(p[9] * p[14]) - ONE)
    speed = turned
    force = need
    if wp.abs(need) > grip:
        force = wp.clamp(need, -grip, grip)
        speed = x[0] + dt * (force - resist - lift) / forces[2]
        if x[0] > ZERO or turned > ZERO:
            # Friction brings a slipping belt to rest and does not turn it.
            speed = wp.max(speed, ZERO)
    travel = HALF * (x[0] + speed) * dt
    y = moved_items(x, u, p, travel, dt)
    y[0] = speed
    y[1] = drum
    y[7] = x[7] + travel
    y[8] = force
    return y


@wp.func
def conveyor_observe(x: Any, u: Any, p: Any):
    forces = belt_forces(x, p)
    turned = drum_speed(x, u, p)
    slipping = ZERO
    slip = ZERO
    if wp.abs(turned) > wp.float64(1e-9):
        slip = wp.clamp((turned - x[0]) / turned, -ONE, ONE)
    grip = p[10] * (wp.exp(p[9] * p[14]) - ONE)
    steady = forces[0] + forces[1] + wp.max(u[3], ZERO) * p[11] * x[0]
    if wp.abs(x[8]) >= grip:
        slipping = ONE
    if turned == ZERO and x[0] == ZERO:
        steady = forces[0]
    lever = p[6] / p[7]
    push = wp.clamp(steady, -grip, grip)
    torque = push * lever * p[8]
    if push > ZERO:
        torque = push * lever / p[8]
    inertia = forces[2] * lever * lever
    if slipping > HALF:
        inertia = ZERO
        torque = grip * lever / p[8]
    items = carried(x)
    pitch = x[7] - wp.floor(x[7] / p[15]) * p[15]
    out = wp.max(x[0], ZERO) * PARTS / p[0] * x[LAST] / (ONE - x[2])
    if u[4] > HALF:
        out = ZERO
    return wp.vector(
        x[0],
        slip,
        items,
        items * p[11],
        out,
        x[4],
        x[5],
        x[6],
        x[8],
        torque,
        inertia,
        x[7],
        pitch,
    )
