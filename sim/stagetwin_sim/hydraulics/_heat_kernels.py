"""Heat that flows carry: perfect mixing in nodes and tanks, taken implicitly.

In every node what flows out has the mean temperature of what flows in (complete mixing of EPANET
2.2, Rossman et al. 2020, section 12.3, with heat for the substance). A tank holds
V T' = V T + dt (sum of q T of what flows in - T' sum of q of what flows out + heat / (rho c)).
"""

# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.hydraulics._layout_kernels import RESERVOIR, SUPPLY, TANK, Layout, Work

__all__ = ["mix"]

ZERO = wp.constant(wp.float64(0.0))
STILL = wp.constant(wp.float64(1e-12))
WARMTH = wp.constant(wp.float64(1e-9))
SWEEPS = wp.constant(200)


@wp.func
def mix(
    layout: Layout,
    net: int,
    work: Work,
    block: int,
    lane: int,
    values: wp.array(dtype=wp.float64),
    dt: wp.float64,
):
    """Move volumes and temperatures on."""
    par = work.parameter[block * work.lanes + lane]
    state = work.state[block, lane]
    flow = work.flow[block, lane]
    warm = work.temperature[block, lane]
    heat = work.ground[block, lane]  # what comes in, flow times temperature
    come = work.come[block, lane]
    n0 = layout.node_start[net]
    n1 = layout.node_start[net + 1]
    e0 = layout.element_start[net]
    e1 = layout.element_start[net + 1]
    for e in range(e0, e1):
        if layout.element_kind[e] == RESERVOIR:
            t = values[layout.input_column[layout.element_input[e] + 1]]
            if wp.isfinite(t):
                warm[layout.element_node[e]] = t
    moved = wp.float64(1.0)
    sweep = wp.int32(0)
    while moved > WARMTH and sweep < SWEEPS:
        sweep += 1
        moved = ZERO
        for k in range(n0, n1):
            heat[k] = ZERO
            come[k] = ZERO
        for b in range(layout.branch_start[net], layout.branch_start[net + 1]):
            q = flow[b]
            if q == ZERO:
                continue
            i = layout.branch_from[b]
            j = layout.branch_to[b]
            if i >= 0 and j >= 0:
                if q < ZERO:
                    k = i
                    i = j
                    j = k
                    q = -q
                if j < layout.free_nodes:
                    heat[j] = heat[j] + q * warm[i]
                    come[j] = come[j] + q
        for e in range(e0, e1):
            kind = layout.element_kind[e]
            node = layout.element_node[e]
            if kind == SUPPLY:
                q = flow[layout.element_branch[e]]
                t = values[layout.input_column[layout.element_input[e] + 1]]
                if q > ZERO and wp.isfinite(t):
                    heat[node] = heat[node] + q * t
                    come[node] = come[node] + q
            elif kind == TANK:
                p = layout.element_parameter[e]
                s = layout.element_state[e]
                n = layout.element_input[e]
                power = values[layout.input_column[n + 2]]
                if not wp.isfinite(power):
                    power = ZERO
                capacity = par[p + 12] * par[p + 11]
                held = wp.max(state[s], ZERO)
                heat[node] = (
                    heat[node]
                    + (held * state[s + 1] + dt * (power + par[p + 9] * par[p + 10]) / capacity)
                    / dt
                )
                come[node] = come[node] + (held + dt * par[p + 9] / capacity) / dt
        for k in range(n0, n1):
            if come[k] > STILL:
                t = heat[k] / come[k]
                moved = wp.max(moved, wp.abs(t - warm[k]))
                warm[k] = t
    for e in range(e0, e1):
        if layout.element_kind[e] == TANK:
            b = layout.element_branch[e]
            s = layout.element_state[e]
            state[s] = state[s] + dt * flow[b]
            state[s + 1] = warm[layout.element_node[e]]
            state[s + 2] = state[s + 2] + dt * flow[b + 1]
