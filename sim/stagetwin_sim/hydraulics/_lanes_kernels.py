"""The networks' kernel for many worlds on a CPU: eight worlds of one network side by side.

They have the same nodes and branches in the same order, so that each step of the search is one
vector instruction for all of them. A world that is done keeps its numbers while the others go on;
one that overshoots, which is rare, leaves and goes on by itself as in `networks_kernel`. Each
number comes out as there, bit for bit: the operations are the same, in the same order, none fused.
"""

# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.hydraulics._branch_kernels import FLOW_ERROR, branch_law, friction, judge, way
from stagetwin_sim.hydraulics._elements_kernels import finish, prepare
from stagetwin_sim.hydraulics._heat_lanes_kernels import LANES, lanes_text, mix_lanes
from stagetwin_sim.hydraulics._layout_kernels import COEFFICIENTS, MARKS, SHUT, Layout, Work
from stagetwin_sim.hydraulics._mesh_kernels import PUSH
from stagetwin_sim.hydraulics._network_kernels import OVERSHOOT, search, settle

__all__ = ["LANES", "LEAST_WORLDS", "lanes_kernel"]

LEAST_WORLDS = 2
"""From which lanes are used; the numbers are the same either way."""

LANE_COUNT = wp.constant(LANES)
ZERO = wp.constant(wp.float64(0.0))

_NAMES = {
    "way": way.native_func,
    "friction": friction.native_func,
    "law": branch_law.native_func,
    "judge": judge.native_func,
    "numbers": int(COEFFICIENTS),
    "marks": int(MARKS),
    "overshoot": repr(float(OVERSHOOT)),
    "flow_error": repr(float(FLOW_ERROR)),
    "push": repr(float(PUSH)),
    "shut": repr(float(SHUT)),
}

# Lanes of an entry stand together, so that `x[entry * L + lane]` is a vector over the lanes.
_SEARCH = """
    double *head = PART(work.head), *flow = PART(work.flow), *start = PART(work.start);
    double *change = PART(work.change), *c = PART(work.coefficient), *loss = PART(work.loss);
    double *slope = PART(work.slope), *conductance = PART(work.conductance);
    double *ground = PART(work.ground), *right = PART(work.right), *mesh = PART(work.mesh);
    double *mark = PART(work.mark) + net * {marks} * L;
    const int b0 = AT(layout.branch_start, net), b1 = AT(layout.branch_start, net + 1);
    const int n0 = AT(layout.node_start, net), n1 = AT(layout.node_start, net + 1);
    const double outside[L] = {{}};
    double steep[L], along[L], worst[L], stuck[L], rubbed[L], rubbed_slope[L];
    long long live[L], fresh[L];
    for (int l = 0; l < L; ++l) live[l] = l < used;
    for (int b = b0; b < b1; ++b) EACH_LANE change[b * L + l] = 0.0;
    bool begun = false;
    int iteration = 0;
    for (;;) {{
        // Where the flows are and what the branches lose there, as `look`.
        EACH_LANE {{ along[l] = 0.0; worst[l] = 0.0; }}
        for (int b = b0; b < b1; ++b) {{
            const double *k = c + b * {numbers} * L;
            double *q = flow + b * L, *h = loss + b * L, *g = slope + b * L, *dq = change + b * L;
            const double *from = start + b * L;
            const int i = AT(layout.branch_from, b), j = AT(layout.branch_to, b);
            const double *hi = i >= 0 ? head + i * L : outside;
            const double *hj = j >= 0 ? head + j * L : outside;
            long long some = 0, wanted = 0, rubs = 0;
            for (int l = 0; l < L; ++l) some |= k[5 * L + l] <= k[6 * L + l];
            if (!some) {{
                EACH_LANE {{
                    q[l] = live[l] ? 0.0 : q[l];
                    h[l] = live[l] ? 0.0 : h[l];
                    g[l] = live[l] ? 0.0 : g[l];
                    conductance[b * L + l] = 0.0;
                }}
                continue;
            }}
            EACH_LANE {{
                const double at = begun ? from[l] + dq[l] : q[l];
                const wp::vec_t<2, double> y = {way}(k[5 * L + l], k[6 * L + l], at, dq[l]);
                const bool there = k[5 * L + l] <= k[6 * L + l];
                const double new_q = there ? y[0] : 0.0;
                const double far = there ? y[1] : 0.0;
                q[l] = live[l] ? new_q : q[l];
                worst[l] = far > worst[l] ? far : worst[l];
                fresh[l] = live[l] && there && (begun || g[l] <= 0.0);
            }}
            for (int l = 0; l < L; ++l) wanted |= fresh[l];
            if (wanted) {{
                EACH_LANE {{ rubbed[l] = 0.0; rubbed_slope[l] = 0.0; }}
                for (int l = 0; l < L; ++l) rubs |= k[7 * L + l] > 0.0;
                if (rubs)
                    EACH_LANE {{
                        if (fresh[l] && k[7 * L + l] > 0.0) {{
                            const double x = wp::clamp(q[l], k[5 * L + l], k[6 * L + l]);
                            const wp::vec_t<2, double> y =
                                {friction}(k[7 * L + l], k[8 * L + l], k[9 * L + l], x);
                            rubbed[l] = y[0];
                            rubbed_slope[l] = y[1];
                        }}
                    }}
                EACH_LANE {{
                    const wp::vec_t<2, double> y = {law}(
                        k[l], k[L + l], k[2 * L + l], k[3 * L + l], k[4 * L + l], k[5 * L + l],
                        k[6 * L + l], rubbed[l], rubbed_slope[l], q[l]);
                    h[l] = fresh[l] ? y[0] : h[l];
                    g[l] = fresh[l] ? y[1] : g[l];
                }}
            }}
            EACH_LANE {{
                const bool there = k[5 * L + l] <= k[6 * L + l];
                double difference = hi[l] - hj[l];
                double sum = wp::abs(hi[l]) + wp::abs(hj[l]);
                const wp::vec_t<3, double> y = {judge}(
                    k[5 * L + l], k[6 * L + l], q[l], dq[l], difference, sum, h[l], g[l]);
                h[l] = there || !live[l] ? h[l] : 0.0;
                g[l] = there || !live[l] ? g[l] : 0.0;
                conductance[b * L + l] = there ? y[0] : 0.0;
                const double error = there ? y[1] : 0.0;
                const double part = there ? y[2] : 0.0;
                worst[l] = error > worst[l] ? error : worst[l];
                along[l] = along[l] - part;
            }}
        }}
        // Who is done, who overshoots and leaves, and who has used up the iterations.
        long long left = 0;
        for (int l = 0; l < L; ++l) {{
            if (!live[l]) continue;
            mark[l] = iteration;
            mark[3 * L + l] = 0.0;
            if (begun && worst[l] <= 1.0 && stuck[l] == 0.0) live[l] = 0;
            else if (begun && along[l] > {overshoot} * steep[l]) {{
                live[l] = 0;
                mark[L + l] = steep[l];
                mark[2 * L + l] = stuck[l];
                mark[3 * L + l] = 1.0;
            }} else if (iteration >= cap) {{
                live[l] = 0;
                mark[l] = -iteration;
            }}
            left |= live[l];
        }}
        if (!left) break;
        ++iteration;
        begun = true;
        // A Newton step of the heads, as `solve_heads`.
        EACH_LANE {{ stuck[l] = 0.0; steep[l] = 0.0; }}
        for (int k = n0 * L; k < n1 * L; ++k) {{ ground[k] = 0.0; right[k] = 0.0; }}
        const int first = AT(layout.column_start, n0), last = AT(layout.column_start, n1);
        for (int e = first; e < last; ++e) EACH_LANE mesh[e * L + l] = 0.0;
        for (int b = b0; b < b1; ++b) {{
            const int i = AT(layout.branch_from, b), j = AT(layout.branch_to, b);
            const int e = AT(layout.branch_entry, b);
            const double *hi = i >= 0 ? head + i * L : outside;
            const double *hj = j >= 0 ? head + j * L : outside;
            const double *p = conductance + b * L;
            long long some = 0;
            for (int l = 0; l < L; ++l) some |= p[l] != 0.0 || flow[b * L + l] != 0.0;
            if (!some) continue;
            double y[L];
            EACH_LANE {{
                double x = -loss[b * L + l] + hi[l];
                x = x - hj[l];
                x = p[l] * x;
                y[l] = flow[b * L + l] + x;
            }}
            const bool free_i = i >= 0 && i < layout.free_nodes;
            const bool free_j = j >= 0 && j < layout.free_nodes;
            if (e >= 0)
                EACH_LANE {{
                    mesh[e * L + l] = mesh[e * L + l] + p[l];
                    right[i * L + l] = right[i * L + l] - y[l];
                    right[j * L + l] = right[j * L + l] + y[l];
                }}
            else if (free_i)
                EACH_LANE {{
                    ground[i * L + l] = ground[i * L + l] + p[l];
                    right[i * L + l] = right[i * L + l] - y[l];
                }}
            else if (free_j)
                EACH_LANE {{
                    ground[j * L + l] = ground[j * L + l] + p[l];
                    right[j * L + l] = right[j * L + l] + y[l];
                }}
        }}
        int t = AT(layout.fill_start, net);
        for (int k = n0; k < n1; ++k) {{
            const int e0 = AT(layout.column_start, k), e1 = AT(layout.column_start, k + 1);
            double total[L], inverse[L], to_ground[L];
            EACH_LANE total[l] = ground[k * L + l];
            for (int e = e0; e < e1; ++e) EACH_LANE total[l] = total[l] + mesh[e * L + l];
            EACH_LANE {{
                const double r = wp::abs(right[k * L + l]);
                const bool cut = r > {flow_error};
                const double freed = {push} / r;
                const double pushed = cut ? ({shut} < freed ? {shut} : freed) : 0.0;
                const bool sound = total[l] > 0.0;
                inverse[l] = sound ? 1.0 / total[l] : pushed;
                stuck[l] = !sound && cut ? 1.0 : stuck[l];
                to_ground[l] = ground[k * L + l] * inverse[l];
                right[k * L + l] = right[k * L + l] * inverse[l];
                ground[k * L + l] = inverse[l];
            }}
            for (int e = e0; e < e1; ++e) {{
                const int row = AT(layout.entry_row, e);
                double w[L];
                EACH_LANE {{
                    const double m = mesh[e * L + l];
                    const double more = m * to_ground[l], carried = m * right[k * L + l];
                    ground[row * L + l] = ground[row * L + l] + more;
                    right[row * L + l] = right[row * L + l] + carried;
                    w[l] = m * inverse[l];
                }}
                for (int f = e + 1; f < e1; ++f, ++t) {{
                    const int target = AT(layout.fill_target, t);
                    EACH_LANE {{
                        const double fill = w[l] * mesh[f * L + l];
                        mesh[target * L + l] = mesh[target * L + l] + fill;
                    }}
                }}
            }}
        }}
        for (int k = n1 - 1; k >= n0; --k) {{
            const int e0 = AT(layout.column_start, k), e1 = AT(layout.column_start, k + 1);
            for (int e = e0; e < e1; ++e) {{
                const int row = AT(layout.entry_row, e);
                EACH_LANE {{
                    double x = mesh[e * L + l] * ground[k * L + l];
                    x = x * right[row * L + l];
                    right[k * L + l] = right[k * L + l] + x;
                }}
            }}
            EACH_LANE {{
                const double x = head[k * L + l] + right[k * L + l];
                head[k * L + l] = live[l] ? x : head[k * L + l];
            }}
        }}
        // Where that takes the flows.
        for (int b = b0; b < b1; ++b) {{
            const int i = AT(layout.branch_from, b), j = AT(layout.branch_to, b);
            const double *hi = i >= 0 ? head + i * L : outside;
            const double *hj = j >= 0 ? head + j * L : outside;
            EACH_LANE {{
                const double p = conductance[b * L + l];
                double x = -loss[b * L + l] + hi[l];
                x = x - hj[l];
                const bool moves = p > 0.0;
                const double dq = moves ? p * x : 0.0;
                start[b * L + l] = live[l] ? flow[b * L + l] : start[b * L + l];
                change[b * L + l] = live[l] ? dq : change[b * L + l];
                double part = p * x;
                part = part * x;
                steep[l] = steep[l] + (moves ? part : 0.0);
            }}
        }}
    }}
"""


@wp.func_native(lanes_text(_SEARCH.format(**_NAMES)))
def search_lanes(layout: Layout, net: int, work: Work, block: int, used: int, cap: int): ...


@wp.kernel(enable_backward=False)
def lanes_kernel(
    # in:
    layout: Layout,
    dt: wp.float64,
    substeps: int,
    cap: int,
    # in and out:
    work: Work,
    bus: wp.array2d(dtype=wp.float64),
):
    """Make whole steps; over (blocks, networks)."""
    block, net = wp.tid()
    used = wp.min(bus.shape[0] - block * LANE_COUNT, LANE_COUNT)
    if cap < 0:
        # Never so: calls before that of `search_lanes` have the functions stand before it.
        seen = way(dt, dt, dt, dt)
        seen = friction(dt, dt, dt, seen[0])
        seen = branch_law(dt, dt, dt, dt, dt, dt, dt, dt, dt, seen[0])
        judged = judge(dt, dt, dt, dt, dt, dt, dt, seen[0])
        bus[0, 0] = judged[0]
    for _ in range(substeps):
        bad = wp.int32(0)
        for lane in range(used):
            values = bus[block * LANE_COUNT + lane]
            if prepare(layout, net, work, block, lane, values, dt):
                bad = bad | (1 << lane)
        search_lanes(layout, net, work, block, used, cap)
        for lane in range(used):
            found = int(work.mark[block, lane, MARKS * net])
            if work.mark[block, lane, MARKS * net + 3] > ZERO:
                found = search(layout, net, work, block, lane, cap)
            values = bus[block * LANE_COUNT + lane]
            poor = (bad & (1 << lane)) != 0
            settle(layout, net, work, block, lane, values, poor, found, cap)
        mix_lanes(layout, net, work, block, used, bus, dt)
        for lane in range(used):
            values = bus[block * LANE_COUNT + lane]
            finish(layout, net, work, block, lane, values, dt)
