"""A wind turbine in Warp: rotor, pitch, yaw, and when it may run."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

from typing import Any

import warp as wp

__all__ = ["turbine_advance", "turbine_observe"]

ZERO = wp.constant(wp.float64(0.0))
HALF = wp.constant(wp.float64(0.5))
ONE = wp.constant(wp.float64(1.0))
TWO = wp.constant(wp.float64(2.0))
PI = wp.constant(wp.float64(3.141592653589793))
TWO_PI = wp.constant(wp.float64(6.283185307179586))
DEGREES = wp.constant(wp.float64(57.29577951308232))
BEST = wp.constant(wp.float64(0.4800119028278747))  # power coefficient at the best tip speed ratio
BEST_RATIO = wp.constant(wp.float64(8.100117238232299))
SLOW = wp.constant(wp.float64(3.0))  # tip speed ratio below which its torque holds: see the docs
FEATHER = wp.constant(wp.float64(1.5707963267948966))
BETZ = wp.constant(wp.float64(0.5925925925925926))
vec4d = wp.types.vector(4, wp.float64)


@wp.func
def power_coefficient(ratio: wp.float64, pitch: wp.float64):
    """Return Cp: Heier, Grid Integration of Wind Energy, 3rd ed. 2014, chapter 2."""
    beta = wp.max(pitch, ZERO) * DEGREES
    inverse = ONE / (ratio + wp.float64(0.08) * beta) - wp.float64(0.035) / (
        beta * beta * beta + ONE
    )
    lifted = wp.float64(116.0) * inverse - wp.float64(0.4) * beta - wp.float64(5.0)
    cp = wp.float64(0.5176) * lifted * wp.exp(wp.float64(-21.0) * inverse)
    # Feathered, the formula is far outside of what it was fitted to.
    return wp.max(cp + wp.float64(0.0068) * ratio, wp.float64(-0.1))


@wp.func
def rotor_size(p: Any):
    """Return radius [m], rated speed [rad/s], inertia [kg.m2] and aerodynamic rated power [W]."""
    aerodynamic = p[0] / p[6]
    rated = p[2]
    swept = TWO * aerodynamic / (p[5] * BEST * rated * rated * rated)
    radius = wp.sqrt(swept / PI)
    speed = BEST_RATIO * rated / radius
    return vec4d(radius, speed, TWO * p[7] * p[0] / (speed * speed), aerodynamic)


@wp.func
def turn(angle: wp.float64):
    """Return an angle within a half turn of zero."""
    return angle - TWO_PI * wp.floor(angle / TWO_PI + HALF)


@wp.func
def facing_wind(x: Any, u: Any):
    """Return the wind along the rotor's axis [m/s]."""
    return wp.max(u[0], ZERO) * wp.max(wp.cos(u[1] - x[2]), ZERO)


@wp.func
def allowed_power(u: Any, p: Any):
    return wp.clamp(u[2], ZERO, p[0])


@wp.func
def turbine_advance(x: Any, u: Any, p: Any, w: Any, dt: wp.float64):
    # u: wind_speed, wind_direction, power_limit, run, ambient
    # x: rotor_speed, pitch, direction, angle, yawing, storm, pitch_integral, energy,
    #    aerodynamic, shaft, gearbox, generator
    y = x
    size = rotor_size(p)
    radius = size[0]
    rated_speed = size[1]
    inertia = size[2]
    wind = facing_wind(x, u)
    # The storm latch: out above cut-out, in again below the restart speed.
    if u[0] >= p[3]:
        y[5] = ONE
    elif u[0] < p[4]:
        y[5] = ZERO
    produces = u[3] > HALF and y[5] < HALF and u[0] >= p[1]

    # Aerodynamic torque, that of the slow ratio below it, so that it starts.
    speed = x[0]
    torque = ZERO
    if wind > wp.float64(0.1):
        ratio = wp.clamp(speed * radius / wind, SLOW, wp.float64(30.0))
        swept = HALF * p[5] * PI * radius * radius * wind * wind
        torque = swept * radius * power_coefficient(ratio, x[1]) / ratio
    # Generator torque k w2 holds the best ratio; above, constant power: Burton et al., Wind Energy
    # Handbook, 2nd ed. 2011, chapter 8.
    load = ZERO
    allowed = allowed_power(u, p) / p[6]
    if speed > ZERO:
        best = size[3] / (rated_speed * rated_speed * rated_speed) * speed * speed
        load = wp.min(best, allowed / speed)
    y[0] = wp.max(speed + dt * (torque - load) / inertia, ZERO)
    middle = HALF * (speed + y[0])
    if y[0] <= ZERO and load > torque:
        # It comes to rest within the step: the generator takes what was left, and no more.
        load = torque + inertia * speed / dt
        if load < ZERO:
            torque = torque - load
            load = ZERO
    y[8] = torque * middle
    y[9] = load * middle
    y[7] = x[7] + y[9] * p[6] * dt
    y[3] = x[3] + middle * dt
    y[3] = y[3] - TWO_PI * wp.floor(y[3] / TWO_PI)

    # Pitch: a proportional-integral controller of the rotor's speed, its gains falling with pitch:
    # Jonkman et al., NREL/TP-500-38060, 2009, section 7.3.
    error = (speed - rated_speed) / rated_speed
    goal = FEATHER
    y[6] = ZERO
    if produces:
        gain = ONE / (ONE + x[1] / p[14])
        y[6] = wp.clamp(x[6] + p[13] * gain * error * dt, ZERO, FEATHER)
        goal = wp.clamp(y[6] + p[12] * gain * error, ZERO, FEATHER)
    y[1] = wp.clamp(goal, x[1] - p[8] * dt, x[1] + p[8] * dt)

    # Yaw: from outside its deadband until it faces the wind.
    off = turn(u[1] - x[2])
    if wp.abs(off) > p[10]:
        y[4] = ONE
    if y[4] > HALF:
        swing = wp.clamp(off, -p[9] * dt, p[9] * dt)
        y[2] = x[2] + swing
        y[2] = y[2] - TWO_PI * wp.floor(y[2] / TWO_PI)
        if wp.abs(off) <= p[9] * dt:
            y[4] = ZERO

    share = y[9] / size[3]
    y[10] = x[10] + (u[4] + p[15] * share - x[10]) * (ONE - wp.exp(-dt / p[17]))
    y[11] = x[11] + (u[4] + p[16] * share - x[11]) * (ONE - wp.exp(-dt / p[17]))
    return y


@wp.func
def turbine_observe(x: Any, u: Any, p: Any):
    size = rotor_size(p)
    wind = facing_wind(x, u)
    available = ZERO
    if u[0] >= p[1] and x[5] < HALF:
        relative = wind / p[2]
        available = p[0] * wp.min(relative * relative * relative, ONE)
    # Induction of the ideal disc that takes as much: Burton et al., section 3.2, 4 a (1 - a)2 = Cp,
    # by Newton from 0, where the function is concave.
    thrust = ZERO
    if wind > wp.float64(0.1) and x[8] > ZERO:
        kinetic = HALF * p[5] * PI * size[0] * size[0] * wind * wind * wind
        cp = wp.min(x[8] / kinetic / p[18], BETZ)
        a = ZERO
        for _ in range(8):
            miss = wp.float64(4.0) * a * (ONE - a) * (ONE - a) - cp
            slope = wp.float64(4.0) * (ONE - a) * (ONE - wp.float64(3.0) * a)
            a = a - miss / wp.max(slope, wp.float64(1e-3))
        a = wp.clamp(a, ZERO, ONE / wp.float64(3.0))
        thrust = wp.float64(4.0) * a * (ONE - a)
    return wp.vector(
        x[9] * p[6],
        x[0],
        x[1],
        turn(p[11] - x[2]),
        x[3],
        available,
        x[8],
        thrust,
        turn(u[1] - x[2]),
        x[5],
        x[7],
        x[10],
        x[11],
    )
