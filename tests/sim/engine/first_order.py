"""A small kind for tests: a first-order lag with noise of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import warp as wp

from stagetwin_sim.engine import (
    Column,
    GroupPlan,
    Kind,
    Parameter,
    Plan,
    PlanBuilder,
    Port,
    StateVariable,
)


@wp.func
def lag_advance(x: Any, u: Any, p: Any, w: Any, dt: wp.float64):
    y = x
    y[0] = x[0] + (u[0] - x[0]) * (wp.float64(1.0) - wp.exp(-dt / p[0])) + p[1] * w[0]
    return y


@wp.func
def lag_observe(x: Any, u: Any, p: Any):
    return wp.vector(x[0], u[0] - x[0])


LAG = Kind(
    name="lag",
    doc="first-order lag",
    source="exact discretisation of x' = (u - x) / tau",
    inputs=(Port("in", "1"),),
    outputs=(Port("out", "1"), Port("error", "1")),
    parameters=(Parameter("tau", "s", 1.0, 1e-3, 1e3), Parameter("noise", "1", 0.0, 0, 1)),
    states=(StateVariable("value", "1"),),
    draws=1,
    advance=lag_advance,
    observe=lag_observe,
)


def lag_plan(
    taus: list[float], noise: float = 0.0, rate: float | None = None, seed: int = 0
) -> Plan:
    """Return a plan of independent lags, called /L0, /L1, ..."""
    builder = PlanBuilder(seed=seed)
    count = len(taus)
    ins, outs = np.empty((1, count), np.int32), np.empty((2, count), np.int32)
    for i in range(count):
        ins[0, i] = builder.column(Column(f"/L{i}.in", value=0.0, role="measured"))
        for j, port in enumerate(("out", "error")):
            outs[j, i] = builder.column(Column(f"/L{i}.{port}", role="output"))
    builder.add(
        GroupPlan(
            kind=LAG,
            places=[f"/L{i}.lag" for i in range(count)],
            inputs=ins,
            outputs=outs,
            parameters=np.array([taus, [noise] * count]),
            rate=rate,
        )
    )
    return builder.build()
