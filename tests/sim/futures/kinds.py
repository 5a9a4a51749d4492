"""A small kind for tests: a basin that is filled, drained through a valve, and spills."""

from __future__ import annotations

from typing import Any

import warp as wp

from stagetwin_sim.engine import Kind, Parameter, Port, StateVariable

ENTRY_POINTS = """
[stagetwin.models]
test-basin = tests.sim.futures.kinds:BASIN
"""


@wp.func
def basin_advance(x: Any, u: Any, p: Any, w: Any, dt: wp.float64):
    y = x
    zero = wp.float64(0.0)
    outflow = p[2] * u[1] * wp.sqrt(wp.max(x[0], zero))
    level = wp.max(x[0] + (u[0] * (wp.float64(1.0) + p[3] * w[0]) - outflow) * dt / p[0], zero)
    over = wp.max(level - p[1], zero)
    y[0] = level - over
    y[1] = x[1] + over * p[0]
    y[2] = over * p[0] / dt
    return y


@wp.func
def basin_observe(x: Any, u: Any, p: Any):
    return wp.vector(x[0], p[2] * u[1] * wp.sqrt(wp.max(x[0], wp.float64(0.0))), x[2], x[1])


BASIN = Kind(
    name="test-basin",
    doc="open basin with a valve below",
    source="volume balance; Torricelli 1643",
    inputs=(Port("inflow", "m3/s"), Port("opening", "1")),
    outputs=(
        Port("level", "m"),
        Port("outflow", "m3/s"),
        Port("overflow", "m3/s", high=0.0),
        Port("spilled", "m3"),
    ),
    parameters=(
        Parameter("area", "m2", 2.0, 0.1, 1e4),
        Parameter("height", "m", 3.0, 0.1, 100.0),
        Parameter("capacity", "m2.5/s", 0.02, 0.0, 10.0),
        Parameter("gusts", "1", 0.0, 0.0, 1.0),
    ),
    states=(
        StateVariable("level", "m", 1.0),
        StateVariable("spilled", "m3"),
        StateVariable("overflow", "m3/s"),
    ),
    draws=1,
    advance=basin_advance,
    observe=basin_observe,
)
