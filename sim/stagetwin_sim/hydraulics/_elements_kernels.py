"""Elements as branches before a step, and what they show after it."""

# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.hydraulics._curves_kernels import (
    pump_npsh,
    pump_power,
    pump_strainer,
    tank_surface,
    valve_share,
)
from stagetwin_sim.hydraulics._law_kernels import ENDLESS, at_most, given, hole, law
from stagetwin_sim.hydraulics._layout_kernels import (
    COEFFICIENTS,
    JUNCTION,
    PIPE,
    PUMP,
    RESERVOIR,
    SHUT,
    SUPPLY,
    TANK,
    VALVE,
    Layout,
    Work,
)

__all__ = ["finish", "prepare"]

GRAVITY = wp.constant(wp.float64(9.80665))
PI = wp.constant(wp.float64(3.141592653589793))
KV = wp.constant(wp.float64(1e5 / 1e3 * 3600.0**2))
"""Head times g that one m3/s loses in a valve of Kv = 1 m3/h at 1 bar (IEC 60534-1)."""
ZERO = wp.constant(wp.float64(0.0))
ONE = wp.constant(wp.float64(1.0))


@wp.func
def prepare(
    layout: Layout,
    net: int,
    work: Work,
    block: int,
    lane: int,
    values: wp.array(dtype=wp.float64),
    dt: wp.float64,
):
    """Make the branches' laws of this step; return whether an input was not finite."""
    c = work.coefficient[block, lane]
    par = work.parameter[block * work.lanes + lane]
    state = work.state[block, lane]
    head = work.head[block, lane]
    slope = work.slope[block, lane]
    flow = work.flow[block, lane]
    bad = wp.bool(False)
    for e in range(layout.element_start[net], layout.element_start[net + 1]):
        b = layout.element_branch[e]
        p = layout.element_parameter[e]
        s = layout.element_state[e]
        n = layout.element_input[e]
        for k in range(n, layout.element_input[e + 1]):
            if not wp.isfinite(values[layout.input_column[k]]):
                bad = True
        kind = layout.element_kind[e]
        if kind == PUMP:
            speed = given(values, layout.input_column[n], ZERO, wp.float64(1e5)) / par[p + 3]
            wear = given(values, layout.input_column[n + 1], ZERO, wp.float64(0.95))
            leak = given(values, layout.input_column[n + 2], ZERO, ONE)
            blocked = given(values, layout.input_column[n + 3], ZERO, wp.float64(0.99))
            rated = par[p]
            top = pump_shutoff(par[p + 1], par[p + 2])
            fall = (ONE - wear) * (top - par[p + 1]) / (rated * rated)
            low = ZERO
            if par[p + 7] < wp.float64(0.5):
                low = -ENDLESS
            law(
                c,
                slope,
                flow,
                b,
                -(ONE - wear) * speed * speed * top,
                ZERO,
                fall,
                leak * rated * speed,
                pump_strainer(rated, par[p + 1], blocked),
                low,
                ENDLESS,
            )
        elif kind == PIPE:
            blocked = given(values, layout.input_column[n], ZERO, wp.float64(0.999))
            area = given(values, layout.input_column[n + 1], ZERO, ONE)
            length = par[p]
            d = par[p + 1]
            borda = ONE / (ONE - blocked) - ONE
            per_square = wp.float64(8.0) / (PI * PI * GRAVITY * d * d * d * d)
            low = -ENDLESS
            if par[p + 4] > wp.float64(0.5):
                low = ZERO
            minor = par[p + 3] + borda * borda
            law(c, slope, flow, b, ZERO, ZERO, per_square * minor, ZERO, ZERO, low, ENDLESS)
            o = b * COEFFICIENTS
            friction = per_square * length / d
            per_flow = wp.float64(4.0) / (PI * d * par[p + 7])
            rough = par[p + 2] / (wp.float64(3.7) * d)
            if c[o + 7] != friction or c[o + 8] != per_flow or c[o + 9] != rough:
                slope[b] = ZERO
                c[o + 7] = friction
                c[o + 8] = per_flow
                c[o + 9] = rough
            hole(c, slope, flow, b + 1, par[p + 6], area)
        elif kind == VALVE:
            wanted = given(values, layout.input_column[n], ZERO, ONE)
            stuck = given(values, layout.input_column[n + 1], ZERO, ONE)
            leak = given(values, layout.input_column[n + 2], ZERO, ONE)
            opening = state[s]
            if stuck < wp.float64(0.5):
                stroke = par[p + 3]
                if stroke > ZERO:
                    step = dt / stroke
                    opening += wp.clamp(wanted - opening, -step, step)
                else:
                    opening = wanted
                state[s] = opening
            share = leak + (ONE - leak) * valve_share(opening, par[p + 1], par[p + 2])
            low = -ENDLESS
            if par[p + 4] > wp.float64(0.5):
                low = ZERO
            if share > wp.float64(1e-6):
                kv = par[p] * share
                law(
                    c,
                    slope,
                    flow,
                    b,
                    ZERO,
                    ZERO,
                    KV / (GRAVITY * kv * kv),
                    ZERO,
                    ZERO,
                    low,
                    ENDLESS,
                )
            else:
                law(c, slope, flow, b, ZERO, SHUT, ZERO, ZERO, ZERO, -ENDLESS, ENDLESS)
        elif kind == TANK:
            pressed = given(values, layout.input_column[n + 1], -wp.float64(1e5), wp.float64(1e9))
            area = given(values, layout.input_column[n + 3], ZERO, ONE)
            above = pressed / (par[p + 12] * GRAVITY)
            whole = par[p]
            height = par[p + 1]
            held = state[s]
            surface = tank_surface(held / whole, par[p + 2])
            rise = height / whole * surface[1]
            level = height * surface[0]
            # What is more than full stands above the rim, what is less than nothing is rounding.
            if held > whole:
                level += (held - whole) * height / whole
            base = par[p + 5] + above
            low = -held / dt
            law(c, slope, flow, b, base + level, dt * rise, ZERO, ZERO, ZERO, low, ENDLESS)
            rim = par[p + 6]
            if rim <= ZERO:
                rim = wp.float64(0.05) * whole / height
            hole(c, slope, flow, b + 1, base + height, rim)
            hole(c, slope, flow, b + 2, par[p + 5], area)
        elif kind == JUNCTION:
            demand = given(values, layout.input_column[n], ZERO, wp.float64(1e6))
            band = wp.max(par[p + 1] / (par[p + 2] * GRAVITY), wp.float64(1e-3))
            at_most(c, slope, flow, b, par[p], band, demand)
        elif kind == RESERVOIR:
            pressed = given(values, layout.input_column[n], -wp.float64(1e5), wp.float64(1e9))
            head[layout.element_node[e]] = par[p] + pressed / (par[p + 1] * GRAVITY)
        elif kind == SUPPLY:
            wanted = given(values, layout.input_column[n], ZERO, wp.float64(1e6))
            top = par[p] + par[p + 1] / (par[p + 2] * GRAVITY)
            at_most(c, slope, flow, b, -top, ONE, wanted)
    return bad


@wp.func
def pump_shutoff(rated: wp.float64, shutoff: wp.float64):
    """Return the head at no flow: 1.25 times the rated one where none is given."""
    top = shutoff
    if top <= ZERO:
        top = wp.float64(1.25) * rated
    return wp.max(top, wp.float64(1.001) * rated)


@wp.func
def gauge(head: wp.float64, elevation: wp.float64, density: wp.float64):
    """Return the gauge pressure at an elevation, at least that of a vacuum [Pa]."""
    return wp.max((head - elevation) * density * GRAVITY, wp.float64(-101325.0))


@wp.func
def finish(
    layout: Layout,
    net: int,
    work: Work,
    block: int,
    lane: int,
    values: wp.array(dtype=wp.float64),
    dt: wp.float64,
):
    """Move the elements' own states on and show what elements do."""
    par = work.parameter[block * work.lanes + lane]
    state = work.state[block, lane]
    head = work.head[block, lane]
    flow = work.flow[block, lane]
    loss = work.loss[block, lane]
    c = work.coefficient[block, lane]
    inflow = work.right[block, lane]
    warm = work.temperature[block, lane]
    for e in range(layout.element_start[net], layout.element_start[net + 1]):
        b = layout.element_branch[e]
        p = layout.element_parameter[e]
        s = layout.element_state[e]
        n = layout.element_input[e]
        o = layout.element_output[e]
        i = layout.element_node[e]
        j = layout.element_other[e]
        kind = layout.element_kind[e]
        if kind == PUMP:
            q = flow[b]
            weight = par[p + 11] * GRAVITY
            speed = given(values, layout.input_column[n], ZERO, wp.float64(1e5))
            leak = given(values, layout.input_column[n + 2], ZERO, ONE)
            blocked = given(values, layout.input_column[n + 3], ZERO, wp.float64(0.99))
            rise = head[j] - head[i]
            shaft = pump_power(
                q,
                speed,
                par[p],
                par[p + 1],
                pump_shutoff(par[p + 1], par[p + 2]),
                par[p + 3],
                par[p + 4],
                leak,
                par[p + 11],
            )
            hydraulic = weight * q * rise
            suction = gauge(head[i], par[p + 8], par[p + 11])
            torque = ZERO
            if speed > wp.float64(1e-6):
                torque = shaft / speed
            efficiency = ZERO
            if shaft > wp.float64(1e-9):
                efficiency = wp.clamp(hydraulic / shaft, ZERO, ONE)
            strainer = pump_strainer(par[p], par[p + 1], blocked) * q * wp.abs(q)
            has = head[i] - par[p + 8] + (par[p + 10] - par[p + 9]) / weight - strainer
            needs = pump_npsh(wp.max(q, ZERO), speed, par[p], par[p + 3], par[p + 5])
            values[layout.output_column[o]] = q
            values[layout.output_column[o + 1]] = rise
            values[layout.output_column[o + 2]] = suction
            values[layout.output_column[o + 3]] = gauge(head[j], par[p + 8], par[p + 11])
            values[layout.output_column[o + 4]] = hydraulic
            values[layout.output_column[o + 5]] = shaft
            values[layout.output_column[o + 6]] = torque
            values[layout.output_column[o + 7]] = par[p + 6]
            values[layout.output_column[o + 8]] = efficiency
            values[layout.output_column[o + 9]] = has
            values[layout.output_column[o + 10]] = needs
            values[layout.output_column[o + 11]] = has - needs
        elif kind == PIPE:
            q = flow[b]
            d = par[p + 1]
            area = wp.float64(0.25) * PI * d * d
            speed = q / area
            reynolds = wp.abs(speed) * d / par[p + 7]
            # What the branch loses less its minor losses, over length and velocity heads.
            factor = ZERO
            at = b * COEFFICIENTS
            if reynolds > ONE and c[at + 7] > ZERO:
                minor = c[at + 2] * q * wp.abs(q)
                factor = (loss[b] - minor) / (c[at + 7] * q * wp.abs(q))
            values[layout.output_column[o]] = q
            values[layout.output_column[o + 1]] = flow[b + 1]
            values[layout.output_column[o + 2]] = speed
            values[layout.output_column[o + 3]] = head[i] - head[j]
            values[layout.output_column[o + 4]] = reynolds
            values[layout.output_column[o + 5]] = factor
            values[layout.output_column[o + 6]] = gauge(head[i], par[p + 5], par[p + 8])
            values[layout.output_column[o + 7]] = gauge(head[j], par[p + 6], par[p + 8])
        elif kind == VALVE:
            first = gauge(head[i], par[p + 5], par[p + 6])
            second = gauge(head[j], par[p + 5], par[p + 6])
            values[layout.output_column[o]] = state[s]
            values[layout.output_column[o + 1]] = state[s] * wp.float64(0.5) * PI
            values[layout.output_column[o + 2]] = flow[b]
            values[layout.output_column[o + 3]] = (head[i] - head[j]) * par[p + 6] * GRAVITY
            values[layout.output_column[o + 4]] = first
            values[layout.output_column[o + 5]] = second
        elif kind == TANK:
            whole = par[p]
            held = state[s]
            spill = flow[b + 1]
            surface = tank_surface(held / whole, par[p + 2])
            level = par[p + 1] * surface[0]
            if held > whole:
                level += (held - whole) * par[p + 1] / whole
            low = par[p + 7]
            if low <= ZERO:
                low = wp.float64(0.15) * par[p + 1]
            high = par[p + 8]
            if high <= ZERO:
                high = wp.float64(0.92) * par[p + 1]
            low_clear = ZERO
            if level > low:
                low_clear = ONE
            high_clear = ZERO
            if level < high:
                high_clear = ONE
            dry = ZERO
            if held <= wp.float64(1e-6) * whole:
                dry = ONE
            values[layout.output_column[o]] = level
            values[layout.output_column[o + 1]] = held
            values[layout.output_column[o + 2]] = held / whole
            values[layout.output_column[o + 3]] = flow[b] + spill + flow[b + 2]
            values[layout.output_column[o + 4]] = spill
            values[layout.output_column[o + 5]] = flow[b + 2]
            values[layout.output_column[o + 6]] = state[s + 2]
            values[layout.output_column[o + 7]] = gauge(head[i], par[p + 5], par[p + 12])
            values[layout.output_column[o + 8]] = state[s + 1]
            values[layout.output_column[o + 9]] = low_clear
            values[layout.output_column[o + 10]] = high_clear
            values[layout.output_column[o + 11]] = dry
        elif kind == JUNCTION:
            values[layout.output_column[o]] = flow[b]
            values[layout.output_column[o + 1]] = gauge(head[i], par[p], par[p + 2])
            values[layout.output_column[o + 2]] = warm[i]
        elif kind == RESERVOIR:
            state[s] = state[s] - inflow[i] * dt
            values[layout.output_column[o]] = -inflow[i]
            values[layout.output_column[o + 1]] = state[s]
        elif kind == SUPPLY:
            values[layout.output_column[o]] = flow[b]
            values[layout.output_column[o + 1]] = gauge(head[i], par[p], par[p + 2])
