"""Heat that flows carry, of eight worlds side by side: bit for bit as `mix`, see `lanes_kernel`."""

# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.hydraulics._heat_kernels import STILL, SWEEPS, WARMTH
from stagetwin_sim.hydraulics._layout_kernels import RESERVOIR, SUPPLY, TANK, Layout, Work

__all__ = ["LANES", "lanes_text", "mix_lanes"]

LANES = 8
"""Worlds to a block: the doubles in a register of AVX-512, in two of AVX2."""

_BEGIN = """
    _Pragma("clang fp contract(off)")
    _Pragma("clang diagnostic push")
    _Pragma("clang diagnostic ignored \\"-Wpass-failed\\"")
    #define EACH_LANE \\
        _Pragma("clang loop vectorize(assume_safety) vectorize_width(8) interleave(disable)") \\
        for (int l = 0; l < L; ++l)
    #define AT(a, k) (*wp::address(a, k))
    #define PART(a) wp::address(a, block, 0, 0)
"""

_END = """
    _Pragma("clang diagnostic pop")
    #undef EACH_LANE
    #undef AT
    #undef PART
"""


def lanes_text(body):
    """Return the C++ text of a function over lanes.

    Lanes of an entry stand together, so that `x[entry * L + l]` is a vector over the lanes `l`, and
    EACH_LANE a loop that becomes vector instructions. No product is fused with a sum, as none is in
    the kernels of Warp: that would round otherwise.
    """
    return f"{_BEGIN}    constexpr int L = {LANES};\n{body}{_END}"


_MIX = """
    const double *flow = PART(work.flow);
    double *state = PART(work.state), *warm = PART(work.temperature);
    double *heat = PART(work.ground), *come = PART(work.come);
    const int n0 = AT(layout.node_start, net), n1 = AT(layout.node_start, net + 1);
    const int b0 = AT(layout.branch_start, net), b1 = AT(layout.branch_start, net + 1);
    const int e0 = AT(layout.element_start, net), e1 = AT(layout.element_start, net + 1);
    // Lanes without a world repeat the last one.
    int world[L];
    for (int l = 0; l < L; ++l) world[l] = block * L + (l < used ? l : used - 1);
    for (int e = e0; e < e1; ++e) {{
        if (AT(layout.element_kind, e) != {reservoir}) continue;
        const int column = AT(layout.input_column, AT(layout.element_input, e) + 1);
        const int node = AT(layout.element_node, e);
        for (int l = 0; l < L; ++l) {{
            const double t = *wp::address(bus, world[l], column);
            if (wp::isfinite(t)) warm[node * L + l] = t;
        }}
    }}
    long long moving[L];
    double moved[L];
    for (int l = 0; l < L; ++l) moving[l] = l < used;
    for (int sweep = 0; sweep < {sweeps}; ++sweep) {{
        for (int k = n0; k < n1; ++k) EACH_LANE {{ heat[k * L + l] = 0.0; come[k * L + l] = 0.0; }}
        for (int b = b0; b < b1; ++b) {{
            const int i = AT(layout.branch_from, b), j = AT(layout.branch_to, b);
            if (i < 0 || j < 0) continue;
            const double *q = flow + b * L;
            if (j < layout.free_nodes) EACH_LANE {{
                const double carried = q[l] * warm[i * L + l];
                heat[j * L + l] = heat[j * L + l] + (q[l] > 0.0 ? carried : 0.0);
                come[j * L + l] = come[j * L + l] + (q[l] > 0.0 ? q[l] : 0.0);
            }}
            if (i < layout.free_nodes) EACH_LANE {{
                const double carried = -q[l] * warm[j * L + l];
                heat[i * L + l] = heat[i * L + l] + (q[l] < 0.0 ? carried : 0.0);
                come[i * L + l] = come[i * L + l] + (q[l] < 0.0 ? -q[l] : 0.0);
            }}
        }}
        for (int e = e0; e < e1; ++e) {{
            const int kind = AT(layout.element_kind, e), node = AT(layout.element_node, e);
            const int n = AT(layout.element_input, e);
            if (kind == {supply}) {{
                const double *q = flow + AT(layout.element_branch, e) * L;
                const int column = AT(layout.input_column, n + 1);
                for (int l = 0; l < L; ++l) {{
                    const double t = *wp::address(bus, world[l], column);
                    if (!(q[l] > 0.0 && wp::isfinite(t))) continue;
                    const double carried = q[l] * t;
                    heat[node * L + l] = heat[node * L + l] + carried;
                    come[node * L + l] = come[node * L + l] + q[l];
                }}
            }} else if (kind == {tank}) {{
                const int p = AT(layout.element_parameter, e), s = AT(layout.element_state, e);
                const int column = AT(layout.input_column, n + 2);
                double power[L], lost[L], lost_to[L], capacity[L];
                for (int l = 0; l < L; ++l) {{
                    const double *par = wp::address(work.parameter, world[l], 0);
                    power[l] = *wp::address(bus, world[l], column);
                    if (!wp::isfinite(power[l])) power[l] = 0.0;
                    capacity[l] = par[p + 12] * par[p + 11];
                    lost[l] = par[p + 9];
                    lost_to[l] = par[p + 9] * par[p + 10];
                }}
                EACH_LANE {{
                    const double held = wp::max(state[s * L + l], 0.0);
                    double more = power[l] + lost_to[l];
                    more = dt * more;
                    more = more / capacity[l];
                    double there = held * state[(s + 1) * L + l];
                    there = there + more;
                    there = there / dt;
                    heat[node * L + l] = heat[node * L + l] + there;
                    double taken = dt * lost[l];
                    taken = taken / capacity[l];
                    taken = held + taken;
                    taken = taken / dt;
                    come[node * L + l] = come[node * L + l] + taken;
                }}
            }}
        }}
        EACH_LANE moved[l] = 0.0;
        for (int k = n0; k < n1; ++k) EACH_LANE {{
            const double t = heat[k * L + l] / come[k * L + l];
            const double by = wp::abs(t - warm[k * L + l]);
            const bool flows = moving[l] && come[k * L + l] > {still};
            moved[l] = flows ? wp::max(moved[l], by) : moved[l];
            warm[k * L + l] = flows ? t : warm[k * L + l];
        }}
        long long any = 0;
        for (int l = 0; l < L; ++l) {{
            moving[l] = moving[l] && moved[l] > {warmth};
            any |= moving[l];
        }}
        if (!any) break;
    }}
    for (int e = e0; e < e1; ++e) {{
        if (AT(layout.element_kind, e) != {tank}) continue;
        const double *q = flow + AT(layout.element_branch, e) * L;
        double *s = state + AT(layout.element_state, e) * L;
        const double *here = warm + AT(layout.element_node, e) * L;
        EACH_LANE {{
            const double in = dt * q[l], spilt = dt * q[L + l];
            s[l] = s[l] + in;
            s[L + l] = here[l];
            s[2 * L + l] = s[2 * L + l] + spilt;
        }}
    }}
"""

_NUMBERS = {
    "reservoir": int(RESERVOIR),
    "supply": int(SUPPLY),
    "tank": int(TANK),
    "sweeps": int(SWEEPS),
    "still": repr(float(STILL)),
    "warmth": repr(float(WARMTH)),
}


@wp.func_native(lanes_text(_MIX.format(**_NUMBERS)))
def mix_lanes(
    layout: Layout,
    net: int,
    work: Work,
    block: int,
    used: int,
    bus: wp.array2d(dtype=wp.float64),
    dt: wp.float64,
): ...
