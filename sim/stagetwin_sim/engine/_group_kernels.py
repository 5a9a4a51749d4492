"""The kernels of a group, made for the sizes and functions of its kind."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

from functools import cache

import warp as wp

from stagetwin_sim.engine._vectors import vectors_of

__all__ = ["advance_kernel", "count_kernel", "observe_kernel"]


@wp.kernel(enable_backward=False)
def count_kernel(
    # in and out:
    ticks: wp.array(dtype=wp.int64),
):
    world = wp.tid()
    ticks[world] = ticks[world] + wp.int64(1)


@cache
def advance_kernel(kind):
    """Return the kernel that moves the states of a kind on, launched over (worlds, count)."""
    x_type, u_type, p_type, w_type = vectors_of(kind)
    states, drawn = max(len(kind.states), 1), kind.draws
    declared_inputs, declared_parameters = len(kind.inputs), len(kind.parameters)
    advance = kind.advance

    @wp.kernel(enable_backward=False, module="unique")
    def step(
        # in:
        bus: wp.array2d(dtype=wp.float64),
        input_columns: wp.array2d(dtype=wp.int32),
        parameter: wp.array3d(dtype=wp.float64),
        seeds: wp.array(dtype=wp.int64),
        ticks: wp.array(dtype=wp.int64),
        stream: int,
        dt: wp.float64,
        substeps: int,
        # in and out:
        state: wp.array3d(dtype=wp.float64),
    ):
        world, i = wp.tid()
        x = x_type()
        u = u_type()
        p = p_type()
        w = w_type()
        for j in range(states):
            x[j] = state[world, j, i]
        for j in range(declared_inputs):
            u[j] = bus[world, input_columns[j, i]]
        for j in range(declared_parameters):
            p[j] = parameter[world, j, i]
        if wp.static(drawn > 0):
            # The draws follow from seed, tick and instance alone, so that a restored state
            # draws what the saved one would have drawn.
            random = wp.rand_init(
                int(seeds[world]) * 747796405 + stream, int(ticks[world]) * 2891 + i * 277803737
            )
            for _ in range(substeps):
                for j in range(drawn):
                    w[j] = wp.float64(wp.randn(random))
                x = advance(x, u, p, w, dt)
        else:
            for _ in range(substeps):
                x = advance(x, u, p, w, dt)
        for j in range(states):
            state[world, j, i] = x[j]

    return step


@cache
def observe_kernel(kind):
    """Return the kernel that puts the outputs of a kind on the bus."""
    x_type, u_type, p_type, _ = vectors_of(kind)
    declared_states, outputs = len(kind.states), len(kind.outputs)
    declared_inputs, declared_parameters = len(kind.inputs), len(kind.parameters)
    observe = kind.observe

    @wp.kernel(enable_backward=False, module="unique")
    def look(
        # in:
        state: wp.array3d(dtype=wp.float64),
        parameter: wp.array3d(dtype=wp.float64),
        input_columns: wp.array2d(dtype=wp.int32),
        output_columns: wp.array2d(dtype=wp.int32),
        # in and out:
        bus: wp.array2d(dtype=wp.float64),
    ):
        world, i = wp.tid()
        x = x_type()
        u = u_type()
        p = p_type()
        for j in range(declared_states):
            x[j] = state[world, j, i]
        for j in range(declared_inputs):
            u[j] = bus[world, input_columns[j, i]]
        for j in range(declared_parameters):
            p[j] = parameter[world, j, i]
        y = observe(x, u, p)
        for j in range(outputs):
            bus[world, output_columns[j, i]] = y[j]

    return look
