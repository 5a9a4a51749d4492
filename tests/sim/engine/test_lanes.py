"""Many steps of many instances at once: bit for bit as one by one, whatever stands over."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import warp as wp

from stagetwin_sim.engine import (
    Column,
    GroupPlan,
    Kind,
    Parameter,
    PlanBuilder,
    Port,
    StateVariable,
)
from stagetwin_sim.engine import _group as group_module
from stagetwin_sim.engine._lane_kernels import LANES, lane_kernel
from tests.sim.engine.first_order import LAG


@wp.func
def bounce_advance(x: Any, u: Any, p: Any, w: Any, dt: wp.float64):
    y = x
    y[1] = x[1] - dt * p[0]
    y[0] = x[0] + dt * y[1]
    if y[0] < u[0]:  # lanes part ways
        y[0] = u[0]
        y[1] = -p[1] * y[1] + wp.exp(-y[1] * y[1])
    return y


@wp.func
def bounce_observe(x: Any, u: Any, p: Any):
    return wp.vector(x[0], x[1])


BOUNCE = Kind(
    name="bounce",
    doc="ball over a floor",
    source="free fall",
    inputs=(Port("floor", "m"),),
    outputs=(Port("height", "m"), Port("speed", "m/s")),
    parameters=(Parameter("gravity", "m/s2", 9.81), Parameter("rest", "1", 0.8)),
    states=(StateVariable("height", "m", 1.0), StateVariable("speed", "m/s")),
    rate=1000.0,
    advance=bounce_advance,
    observe=bounce_observe,
)


def run(count: int, worlds: int) -> np.ndarray:
    builder = PlanBuilder()
    inputs = [[builder.column(Column(f"/B{i}.floor", value=0.05 * i)) for i in range(count)]]
    outputs = [[builder.column(Column(f"/B{i}.o{j}")) for i in range(count)] for j in range(2)]
    builder.add(
        GroupPlan(
            kind=BOUNCE,
            places=[f"/B{i}.ball" for i in range(count)],
            inputs=np.array(inputs, np.int32),
            outputs=np.array(outputs, np.int32),
            parameters=np.array([9.81 + np.arange(count), np.full(count, 0.7)]),
        )
    )
    engine = builder.build().engine(worlds)
    engine.step(30)
    return engine.read()


@pytest.mark.parametrize(("count", "worlds"), [(1, 1), (LANES - 1, 1), (LANES, 1), (3, 7), (5, 5)])
def test_eight_at_once_are_as_one_by_one_bit_for_bit(
    count: int, worlds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lane_kernel(BOUNCE) is not None
    together = run(count, worlds)
    monkeypatch.setattr(group_module, "LEAST_STEPS", 10_000)
    assert np.array_equal(together, run(count, worlds))


def test_a_kind_that_draws_goes_one_by_one() -> None:
    assert lane_kernel(LAG) is None
