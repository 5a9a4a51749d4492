"""The models of the example plant: all run, agree with its devices, and tell a worn pump."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pxr import Usd

from stagetwin.bindings import BindingTable, read_bindings
from stagetwin_sim.estimation import Observer
from stagetwin_sim.machines import MachinePark
from stagetwin_sim.plant import PlantModel, read_plant

FACTORY = Path(__file__).parents[3] / "stages/factory/factory.usda"

WITHIN = {
    "flow": 0.04,
    "suction_pressure": 0.03,
    "discharge_pressure": 0.03,
    "torque": 0.04,
    "power": 0.05,
    "current": 0.05,
    "speed": 0.01,
    "level_a": 0.02,
    "volume": 0.02,
    "winding_temperature": 0.08,
    "drive_temperature": 0.08,
    "gearbox_temperature": 0.08,
    "generator_temperature": 0.08,
}
"""How far an expected value may be from what the simulated device says, as a share."""

NEAR = {"suction_pressure": 0.02, "discharge_pressure": 0.02}
"""How far it may be besides [bar]: the devices give all pumps the mean of the tanks' levels."""


@pytest.fixture(scope="module")
def stage() -> Usd.Stage:
    return Usd.Stage.Open(str(FACTORY))


@pytest.fixture(scope="module")
def table(stage: Usd.Stage) -> BindingTable:
    return read_bindings(stage)


@pytest.fixture(scope="module")
def found(stage: Usd.Stage, table: BindingTable) -> PlantModel:
    return read_plant(stage, table)


def told(park: MachinePark, table: BindingTable) -> dict[str, float]:
    """Return the numbers that the devices say, by property; commands as they are read back."""
    values: dict[str, float] = {}
    for binding, value in zip(table.telemetry.values(), park.values(), strict=True):
        if isinstance(value, (bool, int, float)) and binding.element < 0:
            values.setdefault(binding.target, float(value))
    for command in table.commands:
        if command.readback.endswith(f":{command.signal}:value") and command.readback in values:
            values[command.target] = values[command.readback]
    return values


def test_all_models_run(found: PlantModel, table: BindingTable) -> None:
    assert [str(problem) for problem in (*table.problems, *found.problems)] == []
    kinds = {instance.binding.kind for instance in found.instances.values()}
    assert kinds >= {
        "pump", "valve", "tank", "pipe", "induction-motor", "drive", "motor-thermal", "conveyor",
        "wind-turbine", "pump-monitor",
    }  # fmt: skip
    monitors = [path for path in found.instances if path.endswith(".monitor")]
    assert len(monitors) == 6


def test_what_is_expected_agrees_with_the_devices(
    stage: Usd.Stage, found: PlantModel, table: BindingTable
) -> None:
    park = MachinePark.of_stage(stage, table)
    park.step(60.0)
    values = told(park, table)
    engine = found.at(values).plan.engine()
    observer = Observer(found, engine)
    expected = np.zeros(0)
    for second in range(90):
        park.step(1.0)
        values = told(park, table)
        feeds = [(f.column, f.of(values[p])) for p in values for f in found.feeds(p)]
        engine.write([column for column, _ in feeds], [value for _, value in feeds])
        for _ in range(20):
            engine.step()
            expected = engine.read()[0]
            if second < 85:  # then the models run freely
                observer.update(values)
    wrong, compared = [], 0
    for output in found.outputs:
        measured = values.get(output.signal, 0.0)
        if abs(measured) < 1e-6:
            continue
        compared += 1
        name = output.path.split(":")[-2]
        value = output.of(expected[output.column])
        if abs(value - measured) > WITHIN[name] * abs(measured) + NEAR.get(name, 0.0):
            wrong.append(f"{output.path}: expected {value:.4g}, measured {measured:.4g}")
    assert not wrong, "\n".join(wrong)
    assert compared == 61


def test_the_networks_of_both_lines_are_solved(found: PlantModel) -> None:
    engine = found.plan.engine()
    engine.step(40)
    residuals = [i for i, c in enumerate(found.plan.columns) if c.name.endswith(":residual")]
    assert len(residuals) == 2
    assert np.abs(engine.read()[0, residuals]).max() < 1e-6


def test_a_pump_that_takes_more_power_than_it_should_is_told(
    stage: Usd.Stage, found: PlantModel, table: BindingTable
) -> None:
    park = MachinePark.of_stage(stage, table)
    park.step(60.0)
    values = told(park, table)
    monitor = found.instances["/World/Line1/P101.monitor"]
    alarm = next(a for a in table.alarms if a.path == "/World/Line1/P101.efficiency_low")
    assert alarm.signal == "/World/Line1/P101.twin:model:monitor:out:efficiency_ratio"
    assert (alarm.side, alarm.limit) == ("low", 0.9)
    assert alarm.advice
    ratios = []
    for more in (1.0, 1.25):
        worn = {**values}
        worn["/World/Line1/M101.twin:telemetry:power:value"] *= more
        engine = found.at(worn).plan.engine()
        engine.step()
        ratios.append(float(engine.read()[0, monitor.outputs["efficiency_ratio"]]))
    assert ratios[0] > alarm.limit + alarm.hysteresis
    assert ratios[1] < alarm.limit
