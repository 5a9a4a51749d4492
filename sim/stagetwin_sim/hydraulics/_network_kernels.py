"""The networks' kernel: one thread for each world and network makes whole steps.

Unknowns are heads of nodes and flows of branches. Each step is an implicit Euler step, found by
Newton's method on both at once (the global gradient algorithm of Todini & Pilati 1988, as in EPANET
2.2, Rossman et al. 2020, section 12.1). Every branch law is an increasing function, so the flows
minimise a convex content; where a full step would overshoot it, the step is cut along its
direction, first at the first branch that shuts (a check valve, an empty tank), and the method
cannot run away. Flows stay in balance all the while.

The linear systems are solved by star-mesh elimination along a schedule made on the host:
conductances are only ever added, so that nothing cancels, whatever the ratio of open to shut
branches (Grassmann, Taksar & Heyman, Oper. Res. 33, 1985, of Markov chains).
"""

# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.hydraulics._curves_kernels import friction_factor
from stagetwin_sim.hydraulics._elements_kernels import finish, prepare
from stagetwin_sim.hydraulics._heat_kernels import mix
from stagetwin_sim.hydraulics._layout_kernels import COEFFICIENTS, SHUT, Layout, Work

__all__ = ["networks_kernel"]

SMOOTH = wp.constant(wp.float64(1e-12))  # square of the flow below which losses turn linear
FLATTEST = wp.constant(wp.float64(1e-4))  # slope [m/(m3/s)]
FLOW_ERROR = wp.constant(wp.float64(1e-9))  # what a step may miss by [m3/s], and as a share
HEAD_ERROR = wp.constant(wp.float64(1e-6))  # [m], and as a share
OVERSHOOT = wp.constant(wp.float64(0.3))
LEAST = wp.constant(wp.float64(1e-8))
SNAP = wp.constant(wp.float64(1e-12))
BEGIN = wp.constant(0)
WHOLE = wp.constant(1)
STOP = wp.constant(2)
SEARCH = wp.constant(3)
END = wp.constant(4)
ZERO = wp.constant(wp.float64(0.0))
ONE = wp.constant(wp.float64(1.0))
TWO = wp.constant(wp.float64(2.0))


@wp.func
def branch_law(c: wp.array(dtype=wp.float64), o: int, q: wp.float64):
    """Return the head that a branch loses at a flow, and the slope."""
    x = wp.clamp(q, c[o + 5], c[o + 6])
    s = x + c[o + 3]
    root = wp.sqrt(s * s + SMOOTH)
    size = wp.abs(x)
    h = c[o] + c[o + 1] * x + c[o + 2] * s * root + c[o + 4] * x * size
    g = c[o + 1] + c[o + 2] * (s * s + root * root) / root + TWO * c[o + 4] * size
    k = c[o + 7]
    if k > ZERO:
        per_flow = c[o + 8]
        reynolds = per_flow * size
        if reynolds <= wp.float64(2000.0):
            linear = k * wp.float64(64.0) / per_flow
            h += linear * x
            g += linear
        else:
            f = friction_factor(reynolds, c[o + 9])
            h += k * f[0] * x * size
            g += k * size * (TWO * f[0] + f[1] * reynolds)
    g = wp.max(g, FLATTEST)
    if q != x:
        h += SHUT * (q - x)
        g = SHUT
    return wp.vec2d(h, g)


@wp.func
def look(
    layout: Layout,
    net: int,
    head: wp.array(dtype=wp.float64),
    flow: wp.array(dtype=wp.float64),
    start: wp.array(dtype=wp.float64),
    change: wp.array(dtype=wp.float64),
    coefficient: wp.array(dtype=wp.float64),
    loss: wp.array(dtype=wp.float64),
    slope: wp.array(dtype=wp.float64),
    conductance: wp.array(dtype=wp.float64),
    share: wp.float64,
):
    """Go a share of the way and evaluate all branches there; a negative share is no way at all.

    Without a way, a branch whose law is what it was when its flow was found need not be evaluated
    again: its slope is then above 0.

    Returns the slope of the content along the way, and the largest error, 1 being allowed.
    """
    along = ZERO
    worst = ZERO
    for b in range(layout.branch_start[net], layout.branch_start[net + 1]):
        o = b * COEFFICIENTS
        low = coefficient[o + 5]
        high = coefficient[o + 6]
        if low > high:  # not there
            flow[b] = ZERO
            conductance[b] = ZERO
            loss[b] = ZERO
            slope[b] = ZERO
            continue
        i = layout.branch_from[b]
        j = layout.branch_to[b]
        dq = change[b]
        q = flow[b]
        if share >= ZERO:
            q = start[b] + share * dq
        # At a bound the flow is exactly that; what was rounded off comes back in the next step.
        tiny = SNAP * wp.abs(dq)
        if q > low - LEAST and q <= low + tiny:
            if q < low - FLOW_ERROR:
                worst = TWO
            q = low
        if q < high + LEAST and q >= high - tiny:
            if q > high + FLOW_ERROR:
                worst = TWO
            q = high
        flow[b] = q
        if share >= ZERO or slope[b] <= ZERO:
            law = branch_law(coefficient, o, q)
            loss[b] = law[0]
            slope[b] = law[1]
        over = ZERO
        if i >= 0:
            over += head[i]
        if j >= 0:
            over -= head[j]
        gap = over - loss[b]
        p = ONE / slope[b]
        off = wp.abs(gap)
        in_flow = off * p / (FLOW_ERROR * (ONE + wp.abs(q)))
        in_head = off / (HEAD_ERROR * (ONE + wp.abs(over)))
        error = wp.max(in_flow, in_head)
        # A branch that is shut by no more than rounding still holds the heads around it together.
        if error > ONE and ((q == low and gap < ZERO) or (q == high and gap > ZERO)):
            p = ZERO
            error = ZERO
        worst = wp.max(worst, error)
        conductance[b] = p
        if wp.abs(dq) > LEAST:
            along -= dq * gap
    return wp.vec2d(along, worst)


@wp.func
def solve_heads(
    layout: Layout,
    net: int,
    head: wp.array(dtype=wp.float64),
    flow: wp.array(dtype=wp.float64),
    loss: wp.array(dtype=wp.float64),
    conductance: wp.array(dtype=wp.float64),
    ground: wp.array(dtype=wp.float64),
    right: wp.array(dtype=wp.float64),
    mesh: wp.array(dtype=wp.float64),
):
    """Take a Newton step of the heads; return whether some part has flow that cannot go anywhere.

    Such a part, between branches that are all at their bounds, is given a head that frees one.
    """
    stuck = wp.bool(False)
    first = layout.node_start[net]
    last = layout.node_start[net + 1]
    for k in range(first, last):
        ground[k] = ZERO
        right[k] = ZERO
    for e in range(layout.column_start[first], layout.column_start[last]):
        mesh[e] = ZERO
    for b in range(layout.branch_start[net], layout.branch_start[net + 1]):
        i = layout.branch_from[b]
        j = layout.branch_to[b]
        p = conductance[b]
        over = -loss[b]
        if i >= 0:
            over += head[i]
        if j >= 0:
            over -= head[j]
        y = flow[b] + p * over
        e = layout.branch_entry[b]
        if e >= 0:
            mesh[e] = mesh[e] + p
            right[i] = right[i] - y
            right[j] = right[j] + y
        elif i >= 0 and i < layout.free_nodes:
            ground[i] = ground[i] + p
            right[i] = right[i] - y
        elif j >= 0 and j < layout.free_nodes:
            ground[j] = ground[j] + p
            right[j] = right[j] + y
    t = layout.fill_start[net]
    for k in range(first, last):
        e0 = layout.column_start[k]
        e1 = layout.column_start[k + 1]
        total = ground[k]
        for e in range(e0, e1):
            total += mesh[e]
        inverse = ZERO
        if total > ZERO:
            inverse = ONE / total
        elif wp.abs(right[k]) > FLOW_ERROR:
            inverse = SHUT
            stuck = True
        to_ground = ground[k] * inverse
        carried = right[k] * inverse
        right[k] = carried
        ground[k] = inverse
        for e in range(e0, e1):
            g = mesh[e]
            row = layout.entry_row[e]
            ground[row] = ground[row] + g * to_ground
            right[row] = right[row] + g * carried
            w = g * inverse
            for f in range(e + 1, e1):
                target = layout.fill_target[t]
                mesh[target] = mesh[target] + w * mesh[f]
                t += 1
    for step in range(last - first):
        k = last - 1 - step
        x = right[k]
        inverse = ground[k]
        for e in range(layout.column_start[k], layout.column_start[k + 1]):
            x += mesh[e] * inverse * right[layout.entry_row[e]]
        right[k] = x
        head[k] = head[k] + x
    return stuck


@wp.func
def first_stop(
    layout: Layout,
    net: int,
    start: wp.array(dtype=wp.float64),
    change: wp.array(dtype=wp.float64),
    coefficient: wp.array(dtype=wp.float64),
):
    """Return the share of the way at which the first open branch would shut; 2 if none does."""
    stop = TWO
    for b in range(layout.branch_start[net], layout.branch_start[net + 1]):
        dq = change[b]
        low = coefficient[b * COEFFICIENTS + 5]
        high = coefficient[b * COEFFICIENTS + 6]
        q = start[b]
        if q >= low and q + dq < low - LEAST:
            stop = wp.min(stop, (low - q) / dq)
        if q <= high and q + dq > high + LEAST:
            stop = wp.min(stop, (high - q) / dq)
    return stop


@wp.func
def solve(
    layout: Layout,
    net: int,
    head: wp.array(dtype=wp.float64),
    flow: wp.array(dtype=wp.float64),
    start: wp.array(dtype=wp.float64),
    change: wp.array(dtype=wp.float64),
    coefficient: wp.array(dtype=wp.float64),
    loss: wp.array(dtype=wp.float64),
    slope: wp.array(dtype=wp.float64),
    conductance: wp.array(dtype=wp.float64),
    ground: wp.array(dtype=wp.float64),
    right: wp.array(dtype=wp.float64),
    mesh: wp.array(dtype=wp.float64),
    cap: int,
):
    """Find heads and flows; return the iterations, negative where they did not suffice."""
    b0 = layout.branch_start[net]
    b1 = layout.branch_start[net + 1]
    for b in range(b0, b1):
        change[b] = ZERO
    iteration = wp.int32(0)
    phase = wp.int32(BEGIN)
    tries = wp.int32(0)
    share = wp.float64(-1.0)
    steep = wp.float64(0.0)
    low = wp.float64(0.0)
    high = wp.float64(1.0)
    at_low = wp.float64(0.0)
    at_high = wp.float64(0.0)
    stuck = wp.bool(False)
    # The branches are evaluated at one place only, so that they always are in the same way, bit
    # for bit; `phase` says why.
    while phase != END:
        seen = look(
            layout, net, head, flow, start, change, coefficient, loss, slope, conductance, share
        )
        along = seen[0]
        step = wp.bool(True)
        if phase == WHOLE:
            if seen[1] <= ONE and not stuck:
                phase = END
                step = False
            elif along > OVERSHOOT * steep:
                low = ZERO
                high = ONE
                at_low = -steep
                at_high = along
                tries = 0
                step = False
                stop = first_stop(layout, net, start, change, coefficient)
                if stop < ONE:
                    phase = STOP
                    share = stop
                else:
                    phase = SEARCH
        elif phase == STOP:
            if along > OVERSHOOT * steep:
                high = share
                at_high = along
                phase = SEARCH
                step = False
        elif phase == SEARCH:
            tries += 1
            if wp.abs(along) > OVERSHOOT * steep and tries < 60:
                step = False
                if along > ZERO:
                    high = share
                    at_high = along
                    at_low = at_low * wp.float64(0.5)
                else:
                    low = share
                    at_low = along
                    at_high = at_high * wp.float64(0.5)
        if phase == SEARCH and not step:
            # By false position, after Illinois; by powers of ten while the overshoot is huge.
            share = (low * at_high - high * at_low) / (at_high - at_low)
            if at_high > wp.float64(10.0) * steep:
                share = wp.max(wp.float64(0.1) * high, wp.sqrt(low * high))
        if step and iteration >= cap:
            iteration = -iteration
            phase = END
            step = False
        if step:
            iteration += 1
            stuck = solve_heads(layout, net, head, flow, loss, conductance, ground, right, mesh)
            steep = ZERO
            for b in range(b0, b1):
                p = conductance[b]
                start[b] = flow[b]
                change[b] = ZERO
                if p > ZERO:
                    i = layout.branch_from[b]
                    j = layout.branch_to[b]
                    over = -loss[b]
                    if i >= 0:
                        over += head[i]
                    if j >= 0:
                        over -= head[j]
                    change[b] = p * over
                    steep += p * over * over
            phase = WHOLE
            share = ONE
    return iteration


@wp.func
def imbalance(
    layout: Layout,
    net: int,
    flow: wp.array(dtype=wp.float64),
    inflow: wp.array(dtype=wp.float64),
):
    """Add up what flows into each node; return the largest sum of a node whose head is free."""
    first = layout.node_start[net]
    last = layout.node_start[net + 1]
    for k in range(first, last):
        inflow[k] = ZERO
    for k in range(layout.fixed_start[net], layout.fixed_start[net + 1]):
        inflow[k] = ZERO
    for b in range(layout.branch_start[net], layout.branch_start[net + 1]):
        i = layout.branch_from[b]
        j = layout.branch_to[b]
        if i >= 0:
            inflow[i] = inflow[i] - flow[b]
        if j >= 0:
            inflow[j] = inflow[j] + flow[b]
    worst = ZERO
    for k in range(first, last):
        worst = wp.max(worst, wp.abs(inflow[k]))
    return worst


@wp.kernel(enable_backward=False)
def networks_kernel(
    # in:
    layout: Layout,
    dt: wp.float64,
    substeps: int,
    cap: int,
    # in and out:
    work: Work,
    bus: wp.array2d(dtype=wp.float64),
):
    world, net = wp.tid()
    values = bus[world]
    head = work.head[world]
    flow = work.flow[world]
    coefficient = work.coefficient[world]
    inflow = work.right[world]
    failures = work.failures[world]
    for _ in range(substeps):
        bad = prepare(layout, net, work, world, values, dt)
        iterations = solve(
            layout,
            net,
            head,
            flow,
            work.start[world],
            work.change[world],
            coefficient,
            work.loss[world],
            work.slope[world],
            work.conductance[world],
            work.ground[world],
            work.right[world],
            work.mesh[world],
            cap,
        )
        residual = imbalance(layout, net, flow, inflow)
        if not wp.isfinite(residual):
            # Begin again from rest in the next step: a poisoned start would stay so for ever.
            iterations = -cap
            for b in range(layout.branch_start[net], layout.branch_start[net + 1]):
                flow[b] = ZERO
                work.slope[world, b] = ZERO
            for k in range(layout.node_start[net], layout.node_start[net + 1]):
                head[k] = ZERO
            residual = imbalance(layout, net, flow, inflow)
        if iterations < 0 or bad:
            failures[net] = failures[net] + ONE
        mix(layout, net, work, world, values, dt)
        finish(layout, net, work, world, values, dt)
        values[layout.net_columns[3 * net]] = residual
        values[layout.net_columns[3 * net + 1]] = wp.float64(wp.abs(iterations))
        values[layout.net_columns[3 * net + 2]] = failures[net]
