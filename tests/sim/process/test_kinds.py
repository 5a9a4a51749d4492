"""What holds for every kind of process machine."""

from __future__ import annotations

import math
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
import warp as wp

from stagetwin_sim import process
from stagetwin_sim.engine import Engine, Kind, Snapshot
from tests.sim.process.alone import alone, write

KINDS = [value for value in vars(process).values() if isinstance(value, Kind)]
PAGE = (Path(__file__).parents[3] / "docs" / "process.md").read_text(encoding="utf-8")
BUSY = {
    "setpoint": 90.0,
    "measured": 80.0,
    "voltage": 400.0,
    "frequency": 50.0,
    "load_torque": 40.0,
    "winding_loss": 400.0,
    "speed": 150.0,
    "current": -30.0,
    "drum_speed": 0.6,
    "infeed": 0.5,
    "wind_speed": 9.0,
    "wind_direction": 0.4,
    "flow": 0.012,
    "discharge_pressure": 3e5,
    "power": 6e3,
}


def busy(kind: Kind, count: int = 1, device: str = "cpu", worlds: int = 1) -> Engine:
    """Return an engine of instances that differ and have something to do."""
    parameters = [
        {p.name: min(p.value * (1 + 0.05 * i), p.maximum) for p in kind.parameters if p.value > 0}
        for i in range(count)
    ]
    engine = alone(kind, parameters).engine(worlds, device)
    for i in range(count):
        write(engine, i, **{p.name: BUSY[p.name] for p in kind.inputs if p.name in BUSY})
    return engine


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_page_tells_all_of_it(kind: Kind) -> None:
    section = PAGE.split(f"### `{kind.name}`\n")[1].split("\n### ")[0].split("\n## ")[0]
    for port in kind.inputs:
        assert f"| in `{port.name}` | {port.unit} |" in section
    for port in kind.outputs:
        assert f"| out `{port.name}` | {port.unit} |" in section
    for parameter in kind.parameters:
        assert f"| `{parameter.name}` | {parameter.unit} |" in section
    assert kind.source in section


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_it_is_found_by_its_name(kind: Kind) -> None:
    (found,) = entry_points(group="stagetwin.models", name=kind.name)
    assert found.load() is kind


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_one_alone_is_one_among_many_and_goes_on_from_any_step(kind: Kind) -> None:
    one, many = busy(kind), busy(kind, 11, worlds=2)
    for engine in (one, many):
        engine.step(23)
    kept = Snapshot.from_bytes(many.save().to_bytes())
    for engine in (one, many):
        engine.step(31)
    columns = [one.plan.column(f"/M0.out:{port.name}") for port in kind.outputs]
    among = [many.plan.column(f"/M0.out:{port.name}") for port in kind.outputs]
    assert np.array_equal(many.read(among), np.repeat(one.read(columns), 2, axis=0))
    other = busy(kind, 11, worlds=2)
    other.restore(kept)
    other.step(31)
    assert other.save().digest() == many.save().digest()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_no_parameters_and_no_inputs_take_it_out_of_the_finite_numbers(kind: Kind) -> None:
    rng = np.random.default_rng(5)

    def any_of(low: float, high: float) -> float:
        # An end of the range, or anywhere in it by order of magnitude.
        low, high = max(low, -1e9), min(high, 1e9)
        if rng.random() < 0.2:
            return float(rng.choice([low, high]))
        if low >= 0:
            return float(math.exp(rng.uniform(math.log(max(low, 1e-6)), math.log(max(high, 1e-5)))))
        return float(rng.uniform(low, high))

    count = 300
    parameters = [
        {
            p.name: min(max(any_of(p.minimum, p.maximum), p.minimum), p.maximum)
            if rng.random() < 0.3
            else p.value
            for p in kind.parameters
        }
        for _ in range(count)
    ]
    engine = alone(kind, parameters).engine()
    inputs = [
        engine.plan.column(f"/M{i}.{port.name}") for port in kind.inputs for i in range(count)
    ]
    for _ in range(8):
        values = rng.normal(0, 1, len(inputs)) * 10.0 ** rng.uniform(-2, 4, len(inputs))
        values[rng.random(len(inputs)) < 0.3] = 0.0
        engine.write(inputs, values)
        engine.step(7)
        engine.check()


@pytest.mark.gpu
@pytest.mark.skipif(not wp.is_cuda_available(), reason="no CUDA device")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_cuda_agrees_over_50_steps(kind: Kind) -> None:
    ours, cuda = busy(kind, 11), busy(kind, 11, "cuda:0")
    for engine in (ours, cuda):
        engine.step(50 if kind.rate <= 20 else 1)
    np.testing.assert_allclose(cuda.read(), ours.read(), rtol=1e-9, atol=1e-9)
