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
    # No winding is colder than liquid nitrogen: a wrong input must not turn the sign.
    rs = p[4] * z * wp.max(winding + COPPER, wp.float64(25.0)) / AT_20
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
    held = wp.where(free >= ZERO, wp.max(free - drop, ZERO), wp.min(free + drop, ZERO))
    return wp.where(drop > ZERO, held, free - drop)


@wp.func
def motor_advance(x: Any, u: Any, p: Any, w: Any, dt: wp.float64):
    # Without branches: motors side by side then share the processor's wide registers.
    y = x
    c = circuit(p, u[4])
    rs = c[0]
    rr = c[1]
    ls = c[2]
    lr = c[3]
    lm = c[4]
    poles = p[3]
    friction = p[11]
    inertia = p[10] + wp.max(u[3], ZERO)
    half = HALF * dt
    quarter = HALF * half
    speed = x[4]
    over = ONE / (ls * lr - lm * lm)
    torque_gain = THREE_HALVES * poles * lm * over
    per_half = ONE / (inertia + quarter * friction)
    per_full = ONE / (inertia + half * friction)
    live = u[0] > ZERO

    # Implicit midpoint of both flux equations, a 2 x 2 complex system: Krause et al., Analysis of
    # Electric Machinery, 3rd ed. 2013, sections 6.5, 6.6, in the synchronous frame, v along d.
    #     A ms - b mr = psi_s + v dt / 2,   E mr - g ms = psi_r
    v = PEAK * u[0]
    supply = half * TWO_PI * u[1]
    before = torque_gain * (x[1] * x[2] - x[0] * x[3])
    damped = (speed * (inertia - quarter * friction) + half * before) * per_half
    middle = passive(damped, half * u[2] * per_half)
    a_re = ONE + half * rs * lr * over
    b = half * rs * lm * over
    g = half * rr * lm * over
    e_re = ONE + half * rr * ls * over
    e_im = supply - half * poles * middle
    det_re = a_re * e_re - b * g - supply * e_im
    det_im = a_re * e_im + supply * e_re
    scale = ONE / (det_re * det_re + det_im * det_im)
    r = x[0] + half * v
    s_re = e_re * r - e_im * x[1] + b * x[2]
    s_im = e_re * x[1] + e_im * r + b * x[3]
    t_re = a_re * x[2] - supply * x[3] + g * r
    t_im = a_re * x[3] + supply * x[2] + g * x[1]
    sd = (s_re * det_re + s_im * det_im) * scale
    sq = (s_im * det_re - s_re * det_im) * scale
    rd = (t_re * det_re + t_im * det_im) * scale
    rq = (t_im * det_re - t_re * det_im) * scale
    torque = wp.where(live, torque_gain * (sq * rd - sd * rq), ZERO)

    # With open terminals the stator carries nothing and the rotor's flux decays.
    rate = half * rr / lr
    keep = (ONE - rate) / (ONE + rate)
    link = lm / lr
    y[2] = wp.where(live, rd + rd - x[2], x[2] * keep)
    y[3] = wp.where(live, rq + rq - x[3], x[3] * keep)
    y[0] = wp.where(live, sd + sd - x[0], y[2] * link)
    y[1] = wp.where(live, sq + sq - x[1], y[3] * link)

    # Currents: in the middle of the step, or those that opening the terminals cuts off.
    fd = wp.where(live, sd, x[0])
    fq = wp.where(live, sq, x[1])
    hd = wp.where(live, rd, x[2])
    hq = wp.where(live, rq, x[3])
    isd = (lr * fd - lm * hd) * over
    isq = (lr * fq - lm * hq) * over
    ird = (ls * hd - lm * fd) * over
    irq = (ls * hq - lm * fq) * over
    stator = isd * isd + isq * isq
    core = THREE_HALVES * v * v * c[5]
    # What the stator's leakage held goes back to the supply.
    leakage = HALF * THREE_HALVES * (ls * lr - lm * lm) / lr
    drawn = dt * (THREE_HALVES * v * isd + core)
    rotor = dt * (THREE_HALVES * rr * (ird * ird + irq * irq) + core)
    decayed = HALF * THREE_HALVES / lr * (ONE - keep * keep) * (x[2] * x[2] + x[3] * x[3])
    y[5] = x[5] + wp.where(live, drawn, -leakage * stator)
    y[6] = x[6] + wp.where(live, dt * THREE_HALVES * rs * stator, ZERO)

    free = (speed * (inertia - half * friction) + dt * torque) * per_full
    y[4] = passive(free, dt * u[2] * per_full)
    mean = HALF * (speed + y[4])
    y[7] = x[7] + wp.where(live, rotor, decayed) + dt * friction * mean * mean
    # What the load took, a halt included: what torque and friction leave of the change of speed.
    y[8] = x[8] + mean * (dt * (torque - friction * mean) - inertia * (y[4] - speed))
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
