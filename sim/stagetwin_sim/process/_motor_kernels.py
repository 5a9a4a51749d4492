"""An induction motor in Warp: one step of fluxes and shaft, and what can be measured of it."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

from typing import Any

import warp as wp

__all__ = ["motor_advance", "motor_observe"]

TWO_PI = wp.constant(wp.float64(6.283185307179586))
PEAK = wp.constant(wp.float64(0.816496580927726))  # phase peak of a line-to-line voltage
COPPER = wp.constant(wp.float64(-38.15))  # 235 K below 0 Cel: 235 of IEC 60034-1
AT_20 = wp.constant(wp.float64(255.0))
ZERO = wp.constant(wp.float64(0.0))
HALF = wp.constant(wp.float64(0.5))
ONE = wp.constant(wp.float64(1.0))
THREE_HALVES = wp.constant(wp.float64(1.5))
vec6d = wp.types.vector(6, wp.float64)


@wp.func
def circuit(p: Any, winding: wp.float64):
    """Return rs, rr [Ohm], ls, lr, lm [H] and the core's conductance [S] of one phase."""
    z = p[1] * p[1] / p[0]
    to_henry = z / (TWO_PI * p[2])
    rs = p[4] * z * (winding + COPPER) / AT_20
    return vec6d(
        rs,
        p[5] * z,
        (p[6] + p[8]) * to_henry,
        (p[7] + p[8]) * to_henry,
        p[8] * to_henry,
        p[9] / z,
    )


@wp.func
def passive(free: wp.float64, drop: wp.float64):
    """Return a speed after a load took `drop` from it: it brakes to a halt, and never beyond."""
    held = free - drop
    if drop > ZERO:
        if free >= ZERO:
            held = wp.max(free - drop, ZERO)
        else:
            held = wp.min(free + drop, ZERO)
    return held


@wp.func
def motor_advance(x: Any, u: Any, p: Any, w: Any, dt: wp.float64):
    y = x
    c = circuit(p, u[4])
    rs = c[0]
    rr = c[1]
    ls = c[2]
    lr = c[3]
    lm = c[4]
    poles = p[3]
    friction = p[11]
    inertia = p[10] + u[3]
    half = HALF * dt
    speed = x[4]
    torque_gain = THREE_HALVES * poles * lm / (ls * lr - lm * lm)
    over = ONE / (ls * lr - lm * lm)
    torque = ZERO
    if u[0] > ZERO:
        # Implicit midpoint of both flux equations, a 2 x 2 complex system: Krause et al., Analysis
        # of Electric Machinery, 3rd ed. 2013, sections 6.5, 6.6, synchronous frame, v along d.
        v = PEAK * u[0]
        supply = TWO_PI * u[1]
        before = torque_gain * (x[1] * x[2] - x[0] * x[3])
        damped = (speed * (inertia - HALF * half * friction) + half * before) / (
            inertia + HALF * half * friction
        )
        middle = passive(damped, half * u[2] / inertia)
        a_re = ONE + half * rs * lr * over
        a_im = half * supply
        b = half * rs * lm * over
        g = half * rr * lm * over
        e_re = ONE + half * rr * ls * over
        e_im = half * (supply - poles * middle)
        # Eliminate the rotor: (A - b g / E) ms = psi_s + v dt / 2 + b psi_r / E
        e_square = e_re * e_re + e_im * e_im
        i_re = e_re / e_square
        i_im = -e_im / e_square
        q_re = a_re - b * g * i_re
        q_im = a_im - b * g * i_im
        r_re = x[0] + half * v + b * (x[2] * i_re - x[3] * i_im)
        r_im = x[1] + b * (x[2] * i_im + x[3] * i_re)
        q_square = q_re * q_re + q_im * q_im
        sd = (r_re * q_re + r_im * q_im) / q_square
        sq = (r_im * q_re - r_re * q_im) / q_square
        t_re = x[2] + g * sd
        t_im = x[3] + g * sq
        rd = t_re * i_re - t_im * i_im
        rq = t_re * i_im + t_im * i_re
        y[0] = sd + sd - x[0]
        y[1] = sq + sq - x[1]
        y[2] = rd + rd - x[2]
        y[3] = rq + rq - x[3]
        torque = torque_gain * (sq * rd - sd * rq)
        isd = (lr * sd - lm * rd) * over
        isq = (lr * sq - lm * rq) * over
        ird = (ls * rd - lm * sd) * over
        irq = (ls * rq - lm * sq) * over
        core = THREE_HALVES * v * v * c[5]
        y[5] = x[5] + dt * (THREE_HALVES * v * isd + core)
        y[6] = x[6] + dt * THREE_HALVES * rs * (isd * isd + isq * isq)
        y[7] = x[7] + dt * (THREE_HALVES * rr * (ird * ird + irq * irq) + core)
    else:
        # The terminals are open: what the stator's leakage held goes back, the rotor's flux decays.
        isd = (lr * x[0] - lm * x[2]) * over
        isq = (lr * x[1] - lm * x[3]) * over
        back = HALF * THREE_HALVES / (over * lr) * (isd * isd + isq * isq)
        rate = half * rr / lr
        keep = (ONE - rate) / (ONE + rate)
        y[2] = x[2] * keep
        y[3] = x[3] * keep
        y[0] = y[2] * lm / lr
        y[1] = y[3] * lm / lr
        lost = x[2] * x[2] + x[3] * x[3] - y[2] * y[2] - y[3] * y[3]
        y[5] = x[5] - back
        y[6] = x[6]
        y[7] = x[7] + HALF * THREE_HALVES / lr * lost
    free = (speed * (inertia - half * friction) + dt * torque) / (inertia + half * friction)
    y[4] = passive(free, dt * u[2] / inertia)
    mean = HALF * (speed + free)
    y[7] = y[7] + dt * friction * mean * mean
    y[8] = x[8] + HALF * inertia * (free - y[4]) * (free + y[4])
    return y


@wp.func
def motor_observe(x: Any, u: Any, p: Any):
    c = circuit(p, u[4])
    ls = c[2]
    lr = c[3]
    lm = c[4]
    over = ONE / (ls * lr - lm * lm)
    v = ZERO
    if u[0] > ZERO:
        v = PEAK * u[0]
    isd = (lr * x[0] - lm * x[2]) * over
    isq = (lr * x[1] - lm * x[3]) * over
    ird = (ls * x[2] - lm * x[0]) * over
    irq = (ls * x[3] - lm * x[1]) * over
    line = isd + v * c[5]
    current = wp.sqrt(line * line + isq * isq)
    power = THREE_HALVES * v * line
    torque = THREE_HALVES * p[3] * lm * over * (x[1] * x[2] - x[0] * x[3])
    rubbed = p[11] * x[4]
    shaft = (torque - rubbed) * x[4]
    factor = ZERO
    if v * current > ZERO:
        factor = line / current
    efficiency = ZERO
    if power > wp.float64(0.01) * p[0]:
        efficiency = wp.clamp(shaft / power, ZERO, ONE)
    slip = ZERO
    if u[0] > ZERO and u[1] > ZERO:
        slip = ONE - p[3] * x[4] / (TWO_PI * u[1])
    stator = THREE_HALVES * c[0] * (isd * isd + isq * isq)
    loss = (
        stator
        + THREE_HALVES * c[1] * (ird * ird + irq * irq)
        + THREE_HALVES * v * v * c[5]
        + rubbed * x[4]
    )
    return wp.vector(
        x[4],
        torque,
        current / wp.sqrt(wp.float64(2.0)),
        power,
        shaft,
        factor,
        efficiency,
        slip,
        loss,
        x[6],
        x[7],
        x[5],
        x[8],
    )
