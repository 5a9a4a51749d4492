"""Models in place of machines: what devices show is what the models make of what they do."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from stagetwin.bindings import read_bindings
from stagetwin_sim._errors import FaultError
from stagetwin_sim.engine import host_copy
from stagetwin_sim.faults import Fault
from stagetwin_sim.machines import MachinePark
from stagetwin_sim.plant import read_plant
from tests.sim.faults.lines import (
    LINE,
    P1,
    RATED_FLOW,
    RATED_HEAD,
    RATED_SPEED,
    T1,
    V1,
    line_text,
    own,
    park_of,
    pump,
    said,
    value_of,
)
from tests.sim.plant.stages import model
from tests.stages.plants import command, connection, prim, stage_of, telemetry

G, DENSITY = 9.80665, 998.2
KV, ORIFICE = 60.0, 0.61


def truth(park: MachinePark, path: str, signal: str) -> float:
    """Return what a model says a signal is, without its sensor."""
    assert park.modelled is not None
    return park.modelled.physics.told[value_of(path, signal)]


def run(park: MachinePark, seconds: float, dt: float = 0.2) -> None:
    for _ in range(round(seconds / dt)):
        park.step(dt)


def order(park: MachinePark, path: str, name: str, value: Any) -> str:
    assert park.modelled is not None
    table = park.modelled.physics.plant.table
    (found,) = [c for c in table.commands if (c.prim, c.signal) == (path, name)]
    return park.command(found, value)


def flow_of(level: float, speed: float, opening: float, wear: float = 0.0) -> float:
    """Return the flow of the line [m3/h]: where the pump's curve meets the valve's loss.

    Head of the tank's surface and of the pump, H0 n2 - a q2 (Guelich, Centrifugal Pumps, 3rd ed.
    2014, section 6.2.4), against q2 / Kv2 bar (IEC 60534-1).
    """
    shutoff = 1.25 * RATED_HEAD
    fall = (shutoff - RATED_HEAD) / RATED_FLOW**2
    loss = 1e5 / (1e3 * G) / (KV * opening) ** 2
    head = level + (1 - wear) * shutoff * (speed / RATED_SPEED) ** 2
    return math.sqrt(head / (loss + (1 - wear) * fall))


# -- the models are the machines


def test_what_devices_show_is_what_their_models_say_from_the_first_moment() -> None:
    park, table = park_of(line_text())
    shown = said(park, table)
    expected = flow_of(truth(park, T1, "level"), 2280.0, 0.8)
    assert truth(park, P1, "flow") == pytest.approx(expected, rel=2e-3)
    assert shown["P1.flow"] == pytest.approx(expected, rel=0.01)
    assert shown["P1.running"] is True
    assert shown["T1.level"] == pytest.approx(truth(park, T1, "level"), abs=0.01)
    assert shown["T1.low_level_clear"] is True
    assert isinstance(shown["T1.note"], str)


def test_a_command_moves_the_controller_and_the_models_follow() -> None:
    park, table = park_of(line_text())
    assert order(park, P1, "speed", 1500.0) == ""
    park.step(1.0)
    assert said(park, table)["P1.speed"] == pytest.approx(1880, rel=2e-3)
    run(park, 3)
    expected = flow_of(truth(park, T1, "level"), 1500.0, 0.8)
    assert truth(park, P1, "flow") == pytest.approx(expected, rel=2e-3)
    assert order(park, V1, "opening", 0.0) == ""
    run(park, 8)
    assert truth(park, P1, "flow") == pytest.approx(0.0, abs=1e-3)
    shutoff = 1.25 * RATED_HEAD * (1500 / RATED_SPEED) ** 2 + truth(park, T1, "level")
    pressure = truth(park, P1, "discharge_pressure")
    assert pressure == pytest.approx(shutoff * DENSITY * G / 1e5, rel=1e-4)


def test_what_leaves_the_tank_is_what_the_pump_delivers() -> None:
    park, _ = park_of(line_text())
    held, passed, flow = truth(park, T1, "volume"), 0.0, truth(park, P1, "flow")
    for _ in range(600):
        park.step(0.05)
        passed += 0.05 / 3600 * flow
        flow = truth(park, P1, "flow")
    assert held - truth(park, T1, "volume") == pytest.approx(passed, rel=2e-3)


def test_a_pump_trips_when_its_models_tank_is_dry_and_starts_again_when_it_is_not() -> None:
    park, table = park_of(line_text())
    while truth(park, T1, "volume") > 0.23:
        park.step(5.0)
    run(park, 1)
    shown = said(park, table)
    assert (shown["P1.running"], shown["P1.ready"]) == (False, False)
    assert shown["T1.low_level_clear"] is False
    assert order(park, P1, "run", True) == "interlock: ready is false"
    run(park, 8)
    assert truth(park, P1, "flow") < 10
    assert park.modelled is not None
    level = park.modelled.physics.plant.instances[f"{T1}.hydraulics"].outputs["level"]
    engine = park.modelled.physics._engine
    assert engine is not None
    engine.systems["hydraulics"].correct({level: 1.5})  # type: ignore[attr-defined]
    run(park, 1)
    assert order(park, P1, "run", True) == ""
    run(park, 8)
    assert said(park, table)["P1.running"] is True


def test_devices_agree_with_the_same_models_beside_them() -> None:
    park, table = park_of(line_text())
    plant = read_plant(stage_of(line_text()), table)
    shown = {b.target: v for b, v in zip(table.telemetry.values(), park.values(), strict=True)}
    numbers = {path: float(v) for path, v in shown.items() if isinstance(v, float)}
    engine = plant.at(numbers).plan.engine()
    engine.step()
    bus = engine.read()[0]
    compared = 0
    for output in plant.outputs:
        if output.signal:
            expected = output.of(bus[output.column])
            assert shown[output.signal] == pytest.approx(expected, rel=0.02), output.path
            compared += 1
    assert compared == 6


def test_the_same_seed_and_commands_give_the_same_values() -> None:
    def play(seed: int) -> list[Any]:
        park, _ = park_of(line_text(), seed)
        park.fail("p1.flow", "noise", amount=1.0)
        order(park, P1, "speed", 1500.0)
        run(park, 5)
        return park.values()

    assert play(3) == play(3)
    assert play(3) != play(4)


def test_a_signal_that_no_model_covers_stays_as_it_is() -> None:
    text = line_text()
    stage = stage_of(text)
    table = read_bindings(stage)
    park = MachinePark.of_stage(stage, table, 1)
    assert park.modelled is None
    bare = dict(zip(table.telemetry.values(), park.values(), strict=True))
    modelled, _ = park_of(text)
    shown = dict(zip(table.telemetry.values(), modelled.values(), strict=True))
    for binding, value in bare.items():
        assert type(shown[binding]) is type(value), binding.path
        if binding.signal in ("note", "running", "ready"):
            assert shown[binding] == value


def test_machines_go_by_simple_physics_until_their_models_are_there() -> None:
    stage = stage_of(line_text())
    table = read_bindings(stage)
    park = MachinePark.of_stage(stage, table, 1, whole=table, patience=0.0)
    assert park.modelled is not None
    physics = park.modelled.physics
    flow = said(park, table)["P1.flow"]
    assert isinstance(flow, float)
    assert 0 < flow < 120
    assert physics.wait(60)
    park.step(0.2)
    assert physics.ready
    expected = flow_of(truth(park, T1, "level"), 2280.0, 0.8)
    assert truth(park, P1, "flow") == pytest.approx(expected, rel=2e-3)


# -- faults of the process


def test_a_worn_pump_delivers_what_its_worn_curve_says_and_a_sound_one_again_after() -> None:
    park, _ = park_of(line_text())
    park.fail("p1", "wear", amount=30, unit="%", lasts=4.0)
    run(park, 2)
    worn = flow_of(truth(park, T1, "level"), 2280.0, 0.8, wear=0.3)
    assert truth(park, P1, "flow") == pytest.approx(worn, rel=2e-3)
    run(park, 4)
    sound = flow_of(truth(park, T1, "level"), 2280.0, 0.8)
    assert truth(park, P1, "flow") == pytest.approx(sound, rel=2e-3)
    assert worn < 0.95 * sound


def test_a_leaking_tank_empties_by_torricelli() -> None:
    park, _ = park_of(line_text())
    assert order(park, V1, "opening", 0.0) == ""
    run(park, 10)
    park.fail(T1, "leak", amount=20.0, unit="cm2")
    before = truth(park, T1, "level")
    run(park, 100)
    # sqrt(h) falls evenly: dh/dt = -C A / S sqrt(2 g h), S the tank's cross-section.
    area, section = 20e-4, 12.0 / 3.0
    root = math.sqrt(before) - ORIFICE * area / section * math.sqrt(2 * G) / 2 * 100
    assert truth(park, T1, "level") == pytest.approx(root**2, rel=1e-3)


def test_a_blocked_suction_takes_flow_and_margin() -> None:
    park, _ = park_of(line_text())
    flows = []
    for amount in (0.0, 0.6, 0.9, 0.97):
        park.fail(P1, "blockage", amount=amount)
        run(park, 1)
        flows.append(truth(park, P1, "flow"))
    assert flows == sorted(flows, reverse=True)
    assert flows[-1] < 0.8 * flows[0]


def test_a_stuck_valve_takes_commands_and_stays_where_it_is() -> None:
    park, table = park_of(line_text())
    flow = truth(park, P1, "flow")
    park.fail("v1", "stuck")
    park.step(0.2)
    assert order(park, V1, "opening", 10.0) == ""
    run(park, 10)
    assert said(park, table)["V1.opening"] == pytest.approx(80.0, abs=0.5)
    assert truth(park, P1, "flow") == pytest.approx(flow, rel=0.01)
    assert park.recover("v1") == 1
    run(park, 10)
    assert said(park, table)["V1.opening"] == pytest.approx(10.0, abs=0.5)
    assert truth(park, P1, "flow") < 0.5 * flow


def test_without_models_a_valve_sticks_and_a_pump_wears_by_their_own_physics() -> None:
    stage = stage_of(line_text())
    table = read_bindings(stage)
    park = MachinePark.of_stage(stage, table, 1)
    machine: Any = park.machines[P1]
    run(park, 1)
    flow = machine.flow
    park.fail("p1", "wear", amount=0.3)
    park.fail("v1", "stuck")
    run(park, 1)
    assert machine.flow < 0.95 * flow
    assert {row["kind"] for row in park.faults.possible()} == {"wear", "stuck"}


def test_a_planted_fault_of_a_sensor_is_a_residual_and_moves_nothing_else() -> None:
    park, table = park_of(line_text())
    park.fail("p1.speed", "bias", amount=500.0)
    run(park, 2)
    shown = said(park, table)
    assert shown["P1.speed"] == pytest.approx(2780.0, rel=2e-3)
    expected = flow_of(truth(park, T1, "level"), 2280.0, 0.8)
    assert shown["P1.flow"] == pytest.approx(expected, rel=0.015)


def test_a_sensor_ends_at_its_range() -> None:
    park, table = park_of(line_text())
    park.fail("p1.flow", "bias", amount=1000.0)
    park.step(0.2)
    assert said(park, table)["P1.flow"] == 120.0


# -- scripts


def test_a_script_plays_by_the_time_of_the_machines(tmp_path: Path) -> None:
    path = tmp_path / "day.toml"
    path.write_text(
        f"""
        seed = 5
        [[fault]]
        at = 2
        for = 3
        asset = "p1"
        kind = "wear"
        amount = 0.3
        [[fault]]
        at = 4
        signal = "{T1}.level"
        kind = "freeze"
        """
    )
    park, table = park_of(line_text(), faults=path)
    run(park, 1)
    sound = truth(park, P1, "flow")
    run(park, 2)
    assert truth(park, P1, "flow") < 0.95 * sound
    run(park, 1.4)
    levels = set()
    for _ in range(10):
        park.step(0.2)
        levels.add(said(park, table)["T1.level"])
    assert len(levels) == 1
    assert truth(park, P1, "flow") == pytest.approx(sound, rel=0.01)
    late, _ = park_of(line_text(), faults=path, elapsed=3.0)
    run(late, 1)
    assert truth(late, P1, "flow") < 0.95 * sound


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ('asset = "p1"\nkind = "wear"\namount = 3', [P1, "[0, 0.95] 1", "got 3"]),
        ('asset = "p1"\nkind = "stuck"', [P1, "hydraulics.wear"]),
        ('asset = "p7"\nkind = "wear"\namount = 0.1', ["p7"]),
        ('signal = "p1.flaw"\nkind = "freeze"', [f"{P1}.flaw", f"{P1}.flow"]),
    ],
)
def test_a_script_that_does_not_fit_the_plant_is_refused_at_the_start(
    tmp_path: Path, entry: str, words: list[str]
) -> None:
    path = tmp_path / "day.toml"
    path.write_text(f"[[fault]]\n{entry}\n")
    with pytest.raises(FaultError) as refused:
        park_of(line_text(), faults=path)
    for word in (f"{path}: fault 1", *words):
        assert word in str(refused.value)


# -- models of any kind


def oven(rate: float) -> str:
    """A machine of no known kind with a third party's model: a lag behind a commanded ambient."""
    here = f"{LINE}/Oven"
    return prim(
        "Oven",
        own("Oven"),
        telemetry("temperature", address="o/t", unit="Cel", hard=(0, 300), deadband=0.1),
        telemetry("door", "bool", "o/door"),
        command("ambient", address="o/set", unit="Cel", hard=(0, 300), rateLimit=rate),
        model(
            "heat",
            "test-lag",
            parameters={"tau": 5.0},
            reads=f"{here}.twin:command:ambient:desired",
            writes=value_of(here, "temperature"),
        ),
    )


def test_a_third_partys_model_stands_in_for_a_machine_of_no_known_kind() -> None:
    park, table = park_of(line_text(oven(2.0)))
    here = f"{LINE}/Oven"
    assert park.machines[here].kind == "machine"
    assert order(park, here, "ambient", 20.0) == ""
    run(park, 60)
    start = truth(park, here, "temperature")
    assert start == pytest.approx(20.0, abs=0.01)
    assert order(park, here, "ambient", 60.0) == ""
    run(park, 10)
    # A ramp of r behind a lag of tau: r (t - tau (1 - exp(-t / tau))).
    expected = 20.0 + 2.0 * (10 - 5 * (1 - math.exp(-2)))
    assert truth(park, here, "temperature") == pytest.approx(expected, abs=0.5)
    run(park, 60)
    told = []
    for _ in range(400):
        park.step(0.1)
        told.append(said(park, table)["Oven.temperature"])
    assert isinstance(told[0], float)
    mean = sum(told) / len(told)  # type: ignore[arg-type]
    deviation = math.sqrt(sum((x - mean) ** 2 for x in told) / len(told))  # type: ignore[operator]
    assert mean == pytest.approx(60.0, abs=0.02)
    # Half of the deadband, below which nobody is told.
    assert deviation == pytest.approx(0.05, rel=0.15)


def test_a_part_of_a_plant_brings_its_own_models_and_what_they_lean_on_alone() -> None:
    text = line_text(oven(math.inf), lines=connection() + connection("plc"))
    stage = stage_of(text)
    table = read_bindings(stage)
    part = read_bindings(stage)
    part.telemetry = {i: b for i, b in part.telemetry.items() if b.asset == P1}
    part.commands = [c for c in part.commands if c.asset == P1]
    park = MachinePark.of_stage(stage, part, 1, whole=table)
    assert park.modelled is not None
    plant = park.modelled.physics.plant
    assert {path.rpartition("/")[2] for path in plant.instances} == {
        f"{name}.hydraulics" for name in ("P1", "V1", "T1", "End")
    }
    assert len(park.values()) == len(part.telemetry)
    assert {V1, T1} <= set(park.machines)
    # What a valve elsewhere was told is felt here.
    assert order(park, V1, "opening", 0.0) == ""
    run(park, 10)
    assert truth(park, P1, "flow") == pytest.approx(0.0, abs=1e-3)


def test_a_controller_hears_its_sensor_and_physics_the_truth() -> None:
    here = f"{LINE}/Mon"
    monitor = prim(
        "Mon",
        own("Mon"),
        telemetry("copy", address="m/copy", unit="m3/h", hard=(0, 500)),
        model("look", "test-any", in_in=value_of(P1, "flow"), out_copy=value_of(here, "copy")),
    )
    park, _ = park_of(line_text(monitor))
    park.fail("p1.flow", "bias", amount=20.0)
    run(park, 2)
    flow = truth(park, P1, "flow")
    assert truth(park, here, "copy") == pytest.approx(flow + 20.0, rel=0.015)
    assert flow == pytest.approx(flow_of(truth(park, T1, "level"), 2280.0, 0.8), rel=2e-3)


def test_an_authored_noise_is_the_sensors() -> None:
    noisy = pump(parameters={"measurement:suction_pressure": (2.0, "kPa")})
    park, table = park_of(line_text(pumped=noisy))
    assert order(park, V1, "opening", 0.0) == ""
    run(park, 10)
    told = []
    for _ in range(400):
        park.step(0.1)
        value = said(park, table)["P1.suction_pressure"]
        assert isinstance(value, float)
        told.append(value - truth(park, P1, "suction_pressure"))
    deviation = math.sqrt(sum(x * x for x in told) / len(told))
    assert deviation == pytest.approx(0.02, rel=0.15)


def test_models_that_diverge_leave_the_machines_to_their_own_physics() -> None:
    here = f"{LINE}/Weed"
    weed = prim(
        "Weed",
        own("Weed"),
        telemetry("size", address="w/size"),
        model("grow", "test-grows", parameters={"feed": 0.0}, writes=value_of(here, "size")),
    )
    park, table = park_of(line_text(weed))
    park.fail(here, "feed", amount=1e9)
    run(park, 3)
    assert park.modelled is not None
    assert "Weed" in park.modelled.physics.failed
    flow = said(park, table)["P1.flow"]
    assert isinstance(flow, float)
    assert 0 < flow < 120


def test_states_begin_where_the_machine_is() -> None:
    here = f"{LINE}/P2"
    text = line_text(
        prim(
            "P2",
            own("P2"),
            *(
                telemetry(name, address=f"p2/{name}", unit=unit, hard=(0, 5000))
                for name, unit in (
                    ("flow", "m3/h"),
                    ("speed", "1/min"),
                    ("discharge_pressure", "bar"),
                )
            ),
            telemetry("bearing_temperature", address="p2/bt", unit="Cel", hard=(0, 200)),
            model(
                "heat",
                "test-lag",
                parameters={"tau": 1000.0, "ambient": (20.0, "Cel")},
                out_temperature=value_of(here, "bearing_temperature"),
            ),
        )
    )
    park, _ = park_of(text)
    machine: Any = park.machines[here]
    assert truth(park, here, "bearing_temperature") == pytest.approx(
        machine.signals()["bearing_temperature"], abs=0.1
    )
    assert park.modelled is not None
    engine = park.modelled.physics._engine
    assert engine is not None
    state = host_copy(engine.systems["test-lag"].state)  # type: ignore[attr-defined]
    assert state[0, 0, 0] > 273.15 + 40


def test_a_fault_may_be_planned_from_python() -> None:
    park, _ = park_of(line_text())
    park.faults.begin(Fault(asset=P1, kind="leak", amount=0.2, at=1.0, ramp=2.0))
    before = truth(park, P1, "flow")
    run(park, 0.8)
    assert truth(park, P1, "flow") == pytest.approx(before, rel=0.005)
    run(park, 4)
    assert truth(park, P1, "flow") < 0.97 * before
