"""Ramp, PID controller and drive in Warp."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

from typing import Any

import warp as wp

__all__ = [
    "drive_advance",
    "drive_observe",
    "pid_advance",
    "pid_observe",
    "ramp_advance",
    "ramp_observe",
]

ZERO = wp.constant(wp.float64(0.0))
HALF = wp.constant(wp.float64(0.5))
ONE = wp.constant(wp.float64(1.0))
TWO_PI = wp.constant(wp.float64(6.283185307179586))


@wp.func
def approach(value: wp.float64, target: wp.float64, up: wp.float64, down: wp.float64):
    """Return a value moved towards a target by no more than `up` or `down`."""
    return wp.clamp(target, value - down, value + up)


@wp.func
def wanted(setpoint: wp.float64, run: wp.float64, low: wp.float64, high: wp.float64):
    """Return what a machine shall do: nothing unless it is to run, else its setpoint in limits."""
    target = ZERO
    if run > HALF:
        target = wp.clamp(setpoint, low, high)
    return target


@wp.func
def ramp_advance(x: Any, u: Any, p: Any, w: Any, dt: wp.float64):
    y = x
    y[0] = approach(x[0], wanted(u[0], u[1], p[2], p[3]), p[0] * dt, p[1] * dt)
    return y


@wp.func
def ramp_observe(x: Any, u: Any, p: Any):
    moving = ZERO
    if x[0] != wanted(u[0], u[1], p[2], p[3]):
        moving = ONE
    return wp.vector(x[0], moving)


@wp.func
def pid_advance(x: Any, u: Any, p: Any, w: Any, dt: wp.float64):
    # u: setpoint, measured, enable, manual, manual_output, feedforward
    # x: integral, derivative, measured, output, wait, deviating
    y = x
    gain = p[0] * p[7]
    error = u[0] - u[1]
    # Derivative of the measurement alone, filtered, by backward differences.
    y[1] = ZERO
    if p[2] > ZERO:
        over = ONE / (p[2] + p[3] * dt)
        y[1] = p[2] * over * x[1] - gain * p[2] * p[3] * over * (u[1] - x[2])
    y[2] = u[1]
    if u[2] <= HALF:
        y[4] = ZERO
        y[3] = wp.clamp(p[8], p[5], p[6])
    elif u[3] > HALF:
        y[4] = p[9]
        y[3] = wp.clamp(u[4], p[5], p[6])
    elif x[4] < p[9]:
        y[4] = wp.min(x[4] + dt, p[9])
        y[3] = wp.clamp(p[8], p[5], p[6])
    else:
        free = gain * (p[4] * u[0] - u[1]) + x[0] + y[1] + u[5]
        y[3] = wp.clamp(free, p[5], p[6])
        if p[1] > ZERO:
            back = y[3] - free
            track = wp.min(dt / p[10], ONE)
            y[0] = x[0] + gain * dt / p[1] * error + track * back
    if u[2] <= HALF or u[3] > HALF or x[4] < p[9]:
        # The integral follows what is put out, so that control begins without a bump.
        y[0] = y[3] - gain * (p[4] * u[0] - u[1]) - y[1] - u[5]
    y[5] = ZERO
    if u[2] > HALF and wp.abs(error) > p[11]:
        y[5] = wp.min(x[5] + dt, p[12])
    return y


@wp.func
def pid_observe(x: Any, u: Any, p: Any):
    saturated = ZERO
    if x[3] <= p[5] or x[3] >= p[6]:
        saturated = ONE
    waiting = ZERO
    if u[2] > HALF and x[4] < p[9]:
        waiting = ONE
    deviating = ZERO
    if x[5] >= p[12] and x[5] > ZERO:
        deviating = ONE
    return wp.vector(x[3], u[0] - u[1], saturated, waiting, deviating)


@wp.func
def drive_advance(x: Any, u: Any, p: Any, w: Any, dt: wp.float64):
    # u: setpoint, run, speed, current, power, ambient; x: reference, trim, temperature, starts, on
    y = x
    target = wanted(u[0], u[1], p[5], p[6])
    up = p[3] * dt
    if u[3] > p[10]:
        up = ZERO  # at its current limit it accelerates no further
    y[0] = approach(x[0], target, up, p[4] * dt)
    y[1] = ZERO
    if y[0] > ZERO and p[9] > ZERO:
        most = p[9] * p[1]
        step = dt * p[8] * (y[0] - u[2]) * p[2] / TWO_PI
        y[1] = wp.clamp(x[1] + step, -most, most)
    y[4] = ZERO
    if u[1] > HALF:
        y[4] = ONE
        if x[4] < HALF:
            y[3] = x[3] + ONE
    loss = wp.max(u[4], ZERO) * (ONE / p[11] - ONE)
    # Exact for a loss that holds during the step.
    rise = u[5] + loss * p[12]
    y[2] = rise + (x[2] - rise) * wp.exp(-dt / p[13])
    return y


@wp.func
def drive_observe(x: Any, u: Any, p: Any):
    frequency = ZERO
    voltage = ZERO
    running = ZERO
    if x[0] > ZERO:
        running = ONE
        frequency = wp.max(x[0] * p[2] / TWO_PI + x[1], ZERO)
        share = p[7] + (ONE - p[7]) * frequency / p[1]
        voltage = p[0] * wp.min(share, ONE)
    line = wp.max(u[4], ZERO) / p[11]
    return wp.vector(frequency, voltage, x[0], running, line, x[2], x[3])
