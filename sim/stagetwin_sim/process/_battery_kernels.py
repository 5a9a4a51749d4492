"""A battery in Warp: equivalent circuit with one RC pair, charge and heat."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

from typing import Any

import warp as wp

__all__ = ["battery_advance", "battery_observe"]

ZERO = wp.constant(wp.float64(0.0))
HALF = wp.constant(wp.float64(0.5))
ONE = wp.constant(wp.float64(1.0))
TWO = wp.constant(wp.float64(2.0))


@wp.func
def open_circuit(soc: wp.float64, p: Any):
    """Return the voltage of the resting battery [V]: Chen, Rincon-Mora 2006, eq. 2."""
    cell = p[8] + soc * (p[9] + soc * (p[10] + soc * p[11])) + p[12] * wp.exp(-p[13] * soc)
    return p[1] * cell


@wp.func
def stored_energy(soc: wp.float64, p: Any):
    """Return the integral of the resting voltage over charge, from empty [J]."""
    third = ONE / wp.float64(3.0)
    cell = soc * (p[8] + soc * (HALF * p[9] + soc * (third * p[10] + soc * p[11] / (TWO * TWO))))
    cell = cell + p[12] / p[13] * (ONE - wp.exp(-p[13] * soc))
    return p[1] * p[0] * cell


@wp.func
def accepted(soc: wp.float64, u: Any, p: Any):
    """Return whether the battery takes or gives a current at all: it is cut off full or empty."""
    current = u[0]
    if (current > ZERO and soc >= ONE) or (current < ZERO and soc <= ZERO):
        current = ZERO
    return current


@wp.func
def battery_advance(x: Any, u: Any, p: Any, w: Any, dt: wp.float64):
    # u: current (positive charges), ambient; x: soc, polarisation, temperature, taken, energy, heat
    y = x
    # In the step in which it gets full or empty, it takes no more than there is room for.
    current = wp.clamp(accepted(x[0], u, p), -x[0] * p[0] / dt, (ONE - x[0]) * p[0] / dt)
    y[0] = wp.clamp(x[0] + current * dt / p[0], ZERO, ONE)
    # Exact for a current that holds during the step: Plett, Battery Management Systems I, 2015, 2.8
    lag = p[3] * p[4]
    fade = wp.exp(-dt / lag)
    steady = p[3] * current
    y[1] = steady + (x[1] - steady) * fade
    area = steady * dt + (x[1] - steady) * lag * (ONE - fade)
    chemical = stored_energy(y[0], p) - stored_energy(x[0], p)
    given = chemical + p[2] * current * current * dt + current * area
    heat = given - chemical - HALF * p[4] * (y[1] * y[1] - x[1] * x[1])
    k = TWO * p[5] / dt
    middle = (heat / dt + k * (x[2] - u[1])) / (k + p[6])
    y[2] = TWO * (middle + u[1]) - x[2]
    y[3] = current
    y[4] = x[4] + given
    y[5] = x[5] + heat
    return y


@wp.func
def battery_observe(x: Any, u: Any, p: Any):
    rest = open_circuit(x[0], p)
    current = accepted(x[0], u, p)
    voltage = rest + p[2] * current + x[1]
    return wp.vector(
        voltage,
        x[0],
        rest,
        current,
        voltage * current,
        x[2],
        stored_energy(x[0], p),
        x[4],
        x[5],
        wp.abs(u[0] - current),
    )
