"""The peer's model as a kernel: one motor's temperatures over time."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

import warp as wp  # noqa: TID253

from stagetwin_sim.process import MOTOR_THERMAL

__all__ = ["trace"]

advance = MOTOR_THERMAL.advance
x_type = wp.types.vector(5, wp.float64)
u_type = wp.types.vector(6, wp.float64)
p_type = wp.types.vector(7, wp.float64)
w_type = wp.types.vector(1, wp.float64)


@wp.kernel(enable_backward=False)
def trace(
    # in:
    values: wp.array(dtype=wp.float64),
    fed: wp.array2d(dtype=wp.float64),
    dt: wp.float64,
    # out:
    shown: wp.array2d(dtype=wp.float64),
):
    x = x_type()
    u = u_type()
    p = p_type()
    for j in range(7):
        p[j] = values[j]
    x[0] = values[7]
    x[1] = values[8]
    for t in range(fed.shape[0]):
        shown[t, 0] = x[0]
        shown[t, 1] = x[1]
        for j in range(6):
            u[j] = fed[t, j]
        x = advance(x, u, p, w_type(), dt)
