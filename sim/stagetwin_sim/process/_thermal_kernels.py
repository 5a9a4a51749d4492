"""Heat and wear of motors in Warp."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

from typing import Any

import warp as wp

__all__ = ["bearing_advance", "bearing_observe", "motor_thermal_advance", "motor_thermal_observe"]

ZERO = wp.constant(wp.float64(0.0))
HALF = wp.constant(wp.float64(0.5))
ONE = wp.constant(wp.float64(1.0))
TWO_PI = wp.constant(wp.float64(6.283185307179586))


@wp.func
def motor_thermal_advance(x: Any, u: Any, p: Any, w: Any, dt: wp.float64):
    # x: winding, frame, heat_out, winding_seen, frame_seen
    y = x
    winding = u[0] + (u[2] - x[3]) / dt
    frame = u[1] + (u[3] - x[4]) / dt
    y[3] = u[2]
    y[4] = u[3]
    outward = p[3] + p[4] * wp.min(wp.abs(u[4]) / p[5], ONE)
    # Implicit midpoint of both nodes, relative to ambient: what is stored is exactly what came in
    # less what went out.
    k1 = wp.float64(2.0) * p[0] / dt
    k2 = wp.float64(2.0) * p[1] / dt
    a = k1 + p[2]
    d = k2 + p[2] + outward
    r1 = winding + k1 * (x[0] - u[5])
    r2 = frame + k2 * (x[1] - u[5])
    over = ONE / (a * d - p[2] * p[2])
    m1 = (r1 * d + p[2] * r2) * over
    m2 = (a * r2 + p[2] * r1) * over
    y[0] = wp.float64(2.0) * (m1 + u[5]) - x[0]
    y[1] = wp.float64(2.0) * (m2 + u[5]) - x[1]
    y[2] = x[2] + dt * outward * m2
    return y


@wp.func
def motor_thermal_observe(x: Any, u: Any, p: Any):
    used = (x[0] - u[5]) / wp.max(p[6] - u[5], ONE)
    return wp.vector(x[0], x[1], p[6] - x[0], used, x[2])


@wp.func
def bearing_friction(x: Any, u: Any, p: Any):
    """Return the friction torque [N.m]: SKF, Rolling bearings, 2018, M = mu P d / 2."""
    return HALF * p[4] * wp.abs(u[1]) * p[5] * (ONE + p[10] * x[0])


@wp.func
def bearing_life(u: Any, p: Any):
    """Return revolutions that 90 % of such bearings reach: ISO 281:2007, L10m = a1 aISO (C/P)^p."""
    load = wp.max(wp.abs(u[1]), wp.float64(1e-3) * p[0])
    return wp.float64(1e6) * p[2] * wp.pow(p[0] / load, p[1])


@wp.func
def bearing_advance(x: Any, u: Any, p: Any, w: Any, dt: wp.float64):
    # u: speed, load, ambient; x: damage, temperature
    y = x
    speed = wp.abs(u[0])
    turns = speed / TWO_PI * dt
    y[0] = wp.min(x[0] + p[3] * turns / bearing_life(u, p), ONE)
    heat = bearing_friction(x, u, p) * speed
    k = wp.float64(2.0) * p[6] / dt
    middle = (heat + k * (x[1] - u[2])) / (k + p[7])
    y[1] = wp.float64(2.0) * (middle + u[2]) - x[1]
    return y


@wp.func
def bearing_observe(x: Any, u: Any, p: Any):
    torque = bearing_friction(x, u, p)
    speed = wp.abs(u[0])
    vibration = p[9] * speed / p[8] * wp.exp(p[11] * x[0])
    left = (ONE - x[0]) * bearing_life(u, p) / p[3] * TWO_PI / p[8]
    return wp.vector(x[1], vibration, x[0], wp.min(left, wp.float64(1e12)), torque, torque * speed)
