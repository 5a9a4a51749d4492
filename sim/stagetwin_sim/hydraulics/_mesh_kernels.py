"""The linear system of a Newton step, and the balance of nodes.

Nodes are eliminated one after another along a schedule made on the host, each a star that becomes a
mesh among its neighbours. Conductances are only ever added, so that nothing cancels, whatever the
ratio of open to shut branches (Grassmann, Taksar & Heyman, Oper. Res. 33, 1985, of Markov chains).
"""

# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.hydraulics._branch_kernels import FLOW_ERROR
from stagetwin_sim.hydraulics._layout_kernels import SHUT, Layout

__all__ = ["imbalance", "solve_heads", "surplus"]

PUSH = wp.constant(wp.float64(1e3))  # heads of a part that is cut off move by this at most [m]
ZERO = wp.constant(wp.float64(0.0))
ONE = wp.constant(wp.float64(1.0))


@wp.func
def surplus(head: wp.array(dtype=wp.float64), i: int, j: int, lost: wp.float64):
    """Return the head from one node to another beyond what the branch between them loses."""
    over = -lost
    if i >= 0:
        over += head[i]
    if j >= 0:
        over -= head[j]
    return over


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
        p = conductance[b]
        if p == ZERO and flow[b] == ZERO:
            continue
        i = layout.branch_from[b]
        j = layout.branch_to[b]
        y = flow[b] + p * surplus(head, i, j, loss[b])
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
            inverse = wp.min(SHUT, PUSH / wp.abs(right[k]))
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
        q = flow[b]
        if q == ZERO:
            continue
        i = layout.branch_from[b]
        j = layout.branch_to[b]
        if i >= 0:
            inflow[i] = inflow[i] - q
        if j >= 0:
            inflow[j] = inflow[j] + q
    worst = ZERO
    for k in range(first, last):
        worst = wp.max(worst, wp.abs(inflow[k]))
    return worst
