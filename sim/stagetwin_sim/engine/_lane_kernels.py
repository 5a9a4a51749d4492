"""Many small steps of many instances on a CPU: eight instances to a vector register.

A thread of a CPU runs one instance after another, and its vector unit idles. Here a thread takes
eight and does each step for all of them before the next, in a loop that the compiler turns into
vector instructions, branches included. Each number comes out as from `advance_kernel`, bit for bit:
the operations are the same, in the same order. What the compiler cannot turn stays a loop.
"""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

import logging
from functools import cache

import warp as wp

from stagetwin_sim.engine._vectors import vectors_of

__all__ = ["LANES", "LEAST_STEPS", "lane_kernel"]

_log = logging.getLogger(__name__)

LANES = 8
"""Instances to a thread: the doubles in a register of AVX-512, in two of AVX2."""

LEAST_STEPS = 4
"""Steps in one launch from which it pays: fewer cost less than getting at their numbers."""

_SNIPPET = """
    typedef wp::vec_t<{states}, double> X;
    typedef wp::vec_t<{inputs}, double> U;
    typedef wp::vec_t<{parameters}, double> P;
    typedef wp::vec_t<1, double> W;
    double xs[{states}][{lanes}], us[{inputs}][{lanes}], ps[{parameters}][{lanes}];
    for (int lane = 0; lane < {lanes}; ++lane) {{
        // What stands over at the end repeats the last one, and is not written.
        int at = first + lane < total ? first + lane : total - 1;
        int world = at / count, i = at - world * count;
        for (int j = 0; j < {states}; ++j) xs[j][lane] = *wp::address(state, world, j, i);
        for (int j = 0; j < {fed}; ++j)
            us[j][lane] = *wp::address(bus, world, *wp::address(columns, j, i));
        for (int j = 0; j < {given}; ++j) ps[j][lane] = *wp::address(parameter, world, j, i);
    }}
    _Pragma("clang diagnostic push")
    _Pragma("clang diagnostic ignored \\"-Wpass-failed\\"")
    for (int step = 0; step < substeps; ++step) {{
        _Pragma("clang loop vectorize(assume_safety) vectorize_width({lanes}) interleave(disable)")
        for (int lane = 0; lane < {lanes}; ++lane) {{
            X x;
            U u;
            P p;
            W w;
            _Pragma("clang loop unroll(full)")
            for (int j = 0; j < {states}; ++j) x[j] = xs[j][lane];
            _Pragma("clang loop unroll(full)")
            for (int j = 0; j < {fed}; ++j) u[j] = us[j][lane];
            _Pragma("clang loop unroll(full)")
            for (int j = 0; j < {given}; ++j) p[j] = ps[j][lane];
            X y = {function}(x, u, p, w, dt);
            _Pragma("clang loop unroll(full)")
            for (int j = 0; j < {states}; ++j) xs[j][lane] = y[j];
        }}
    }}
    _Pragma("clang diagnostic pop")
    for (int lane = 0; lane < {lanes} && first + lane < total; ++lane) {{
        int at = first + lane;
        int world = at / count, i = at - world * count;
        for (int j = 0; j < {states}; ++j) *wp::address(state, world, j, i) = xs[j][lane];
    }}
"""


@cache
def lane_kernel(kind):
    """Return the kernel that moves the states of a kind on by many steps, or None.

    Launched over a thread for every LANES instances of all worlds, on a CPU alone. A kind that
    draws random numbers has none, nor has one whose function does not build so.
    """
    if kind.draws or not kind.states:
        return None
    kernel = _kernel(kind)
    try:
        wp.load_module(kernel.module, device="cpu")
    except Exception as error:
        # Warp names functions in C++ as it likes; the other kernel is always there.
        _log.debug("%s is stepped one instance after another: %s", kind.name, error)
        return None
    return kernel


def _kernel(kind):
    states, inputs = len(kind.states), max(len(kind.inputs), 1)
    parameters = max(len(kind.parameters), 1)
    x_type, u_type, p_type, w_type = vectors_of(kind)
    lanes, advance = LANES, kind.advance
    snippet = _SNIPPET.format(
        states=states,
        inputs=inputs,
        parameters=parameters,
        fed=len(kind.inputs),
        given=len(kind.parameters),
        lanes=lanes,
        function=advance.native_func,
    )

    @wp.func_native(snippet)
    def move(
        first: int,
        count: int,
        total: int,
        bus: wp.array2d(dtype=wp.float64),
        columns: wp.array2d(dtype=wp.int32),
        parameter: wp.array3d(dtype=wp.float64),
        dt: wp.float64,
        substeps: int,
        state: wp.array3d(dtype=wp.float64),
    ): ...

    @wp.kernel(enable_backward=False, module="unique")
    def steps(
        # in:
        bus: wp.array2d(dtype=wp.float64),
        input_columns: wp.array2d(dtype=wp.int32),
        parameter: wp.array3d(dtype=wp.float64),
        count: int,
        total: int,
        dt: wp.float64,
        substeps: int,
        # in and out:
        state: wp.array3d(dtype=wp.float64),
    ):
        block = wp.tid()
        if total < 0:
            # Never so: a call before that of `move` has the function stand before it.
            y = advance(x_type(), u_type(), p_type(), w_type(), dt)
            state[0, 0, 0] = y[0]
        move(block * lanes, count, total, bus, input_columns, parameter, dt, substeps, state)

    return steps
