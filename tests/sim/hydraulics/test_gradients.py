"""The laws by themselves have gradients that calibration can follow."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import warp as wp

from stagetwin_sim.engine import Kind
from stagetwin_sim.hydraulics import PIPE_LOSS, PUMP_CURVE, VALVE_FLOW
from tests.sim.hydraulics.networks import SPEED


@cache
def look_kernel(kind: Kind) -> Any:
    observe = kind.observe
    u_type = wp.types.vector(len(kind.inputs), wp.float64)
    p_type = wp.types.vector(len(kind.parameters), wp.float64)
    inputs, parameters, outputs = len(kind.inputs), len(kind.parameters), len(kind.outputs)

    @wp.kernel(module="unique")
    def look(
        given: wp.array(dtype=wp.float64),  # type: ignore[valid-type]
        values: wp.array(dtype=wp.float64),  # type: ignore[valid-type]
        shown: wp.array(dtype=wp.float64),  # type: ignore[valid-type]
    ) -> None:
        u = u_type()
        p = p_type()
        for j in range(inputs):
            u[j] = given[j]
        for j in range(parameters):
            p[j] = values[j]
        y = observe(u, u, p)
        for j in range(outputs):
            shown[j] = y[j]

    return look


def looked(kind: Kind, inputs: list[float], values: list[float]) -> tuple[Any, Any, wp.Tape]:
    u, p, y = (
        wp.array(numbers, dtype=wp.float64, requires_grad=True, device="cpu")
        for numbers in (inputs, values, [0.0] * len(kind.outputs))
    )
    with wp.Tape() as tape:
        wp.launch(look_kernel(kind), dim=1, inputs=[u, p], outputs=[y], device="cpu")
    return p, y, tape


@pytest.mark.parametrize(
    ("kind", "inputs", "names"),
    [
        (
            PUMP_CURVE,
            [0.011, 0.9 * SPEED],
            ["rated_flow", "rated_head", "rated_efficiency", "wear", "leak", "blockage"],
        ),
        (PIPE_LOSS, [0.012], ["length", "diameter", "roughness", "minor_loss"]),
        (VALVE_FLOW, [0.4, 6e4], ["kv", "leak"]),
    ],
    ids=["pump", "pipe", "valve"],
)
def test_gradients_agree_with_differences(
    kind: Kind, inputs: list[float], names: list[str]
) -> None:
    given = {"shutoff_head": 41.0, "wear": 0.05, "leak": 0.02, "blockage": 0.1}
    known = {parameter.name for parameter in kind.parameters}
    values = kind.parameter_values({k: v for k, v in given.items() if k in known}, "/X")
    for output in range(len(kind.outputs)):
        p, y, tape = looked(kind, inputs, values)
        seed = np.zeros(len(kind.outputs))
        seed[output] = 1.0
        tape.backward(grads={y: wp.array(seed, dtype=wp.float64, device="cpu")})
        gradient = p.grad.numpy()
        for name in names:
            at = [parameter.name for parameter in kind.parameters].index(name)
            width = 1e-6 * max(abs(values[at]), 1e-3)
            sides = []
            for sign in (1, -1):
                moved = list(values)
                moved[at] += sign * width
                sides.append(looked(kind, inputs, moved)[1].numpy()[output])
            difference = (sides[0] - sides[1]) / (2 * width)
            scale = abs(y.numpy()[output]) / max(abs(values[at]), 1e-3)
            assert gradient[at] == pytest.approx(difference, rel=1e-5, abs=1e-6 * scale), name
