"""The networks' kernel: one thread for each world and network makes whole steps.

Unknowns are heads of nodes and flows of branches. Each step is an implicit Euler step, found by
Newton's method on both at once (the global gradient algorithm of Todini & Pilati 1988, as in EPANET
2.2, Rossman et al. 2020, section 12.1). Every branch law is an increasing function, so the flows
minimise a convex content; where a full step would overshoot it, the step is cut along its
direction, first at the first branch that shuts (a check valve, an empty tank), and the method
cannot run away. A whole step leaves flows in balance.
"""

# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.hydraulics._branch_kernels import first_stop, look
from stagetwin_sim.hydraulics._elements_kernels import finish, prepare
from stagetwin_sim.hydraulics._heat_kernels import mix
from stagetwin_sim.hydraulics._layout_kernels import MARKS, Layout, Work
from stagetwin_sim.hydraulics._mesh_kernels import imbalance, solve_heads, surplus

__all__ = ["OVERSHOOT", "networks_kernel", "search", "settle"]

OVERSHOOT = wp.constant(wp.float64(0.3))
BEGIN = wp.constant(0)
WHOLE = wp.constant(1)
STOP = wp.constant(2)
SEARCH = wp.constant(3)
END = wp.constant(4)
ZERO = wp.constant(wp.float64(0.0))
ONE = wp.constant(wp.float64(1.0))


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
    done: int,
    fall: wp.float64,
    cut_off: wp.bool,
):
    """Find heads and flows; return the iterations, negative where they did not suffice.

    Where some were `done` already, `start` and `change` say where the last of them goes, `fall`
    is the slope of the content there, and `cut_off` what `solve_heads` returned.
    """
    b0 = layout.branch_start[net]
    b1 = layout.branch_start[net + 1]
    iteration = wp.int32(done)
    phase = wp.int32(WHOLE)
    tries = wp.int32(0)
    share = wp.float64(1.0)
    steep = wp.float64(fall)
    if done == 0:
        for b in range(b0, b1):
            change[b] = ZERO
        phase = wp.int32(BEGIN)
        share = wp.float64(-1.0)
    low = wp.float64(0.0)
    high = wp.float64(1.0)
    at_low = wp.float64(0.0)
    at_high = wp.float64(0.0)
    stuck = wp.bool(cut_off)
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
                    over = surplus(head, layout.branch_from[b], layout.branch_to[b], loss[b])
                    change[b] = p * over
                    steep += p * over * over
            phase = WHOLE
            share = ONE
    return iteration


@wp.func
def settle(
    layout: Layout,
    net: int,
    work: Work,
    block: int,
    lane: int,
    values: wp.array(dtype=wp.float64),
    bad: wp.bool,
    found: int,
    cap: int,
):
    """Judge heads and flows that were found in `found` iterations, and show how well they were."""
    head = work.head[block, lane]
    flow = work.flow[block, lane]
    inflow = work.right[block, lane]
    failures = work.failures[block * work.lanes + lane]
    iterations = found
    residual = imbalance(layout, net, flow, inflow)
    if not wp.isfinite(residual):
        # Begin again from rest in the next step: a poisoned start would stay so for ever.
        iterations = -cap
        for b in range(layout.branch_start[net], layout.branch_start[net + 1]):
            flow[b] = ZERO
            work.slope[block, lane, b] = ZERO
        for k in range(layout.node_start[net], layout.node_start[net + 1]):
            head[k] = ZERO
        residual = imbalance(layout, net, flow, inflow)
    if iterations < 0 or bad:
        failures[net] = failures[net] + ONE
    values[layout.net_columns[3 * net]] = residual
    values[layout.net_columns[3 * net + 1]] = wp.float64(wp.abs(iterations))
    values[layout.net_columns[3 * net + 2]] = failures[net]


@wp.func
def search(layout: Layout, net: int, work: Work, block: int, lane: int, cap: int):
    """Find heads and flows of one world, from where `work.mark` says that it is."""
    mark = work.mark[block, lane]
    return solve(
        layout,
        net,
        work.head[block, lane],
        work.flow[block, lane],
        work.start[block, lane],
        work.change[block, lane],
        work.coefficient[block, lane],
        work.loss[block, lane],
        work.slope[block, lane],
        work.conductance[block, lane],
        work.ground[block, lane],
        work.right[block, lane],
        work.mesh[block, lane],
        cap,
        int(mark[MARKS * net]),
        mark[MARKS * net + 1],
        mark[MARKS * net + 2] > ZERO,
    )


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
    block = world // work.lanes
    lane = world % work.lanes
    for _ in range(substeps):
        bad = prepare(layout, net, work, block, lane, values, dt)
        work.mark[block, lane, MARKS * net] = ZERO
        found = search(layout, net, work, block, lane, cap)
        settle(layout, net, work, block, lane, values, bad, found, cap)
        mix(layout, net, work, block, lane, values, dt)
        finish(layout, net, work, block, lane, values, dt)
