"""Machines: they obey, conserve what flows, stay within limits, and refuse what is not safe."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagetwin.bindings import BindingTable, read_bindings
from stagetwin.opening import open_stage
from stagetwin.ports import ValueKind, find_model
from stagetwin_sim.machines import Machine, MachinePark
from stagetwin_sim.machines._drives import Motor, Pump, Valve
from stagetwin_sim.machines._energy import Charger, WindTurbine
from stagetwin_sim.machines._logistics import MobileRobot, Station
from stagetwin_sim.machines._transport import Conveyor, Line
from stagetwin_sim.machines._vessels import Tank
from tests.stages.plants import (
    HEADER,
    asset,
    command,
    connection,
    prim,
    stage_of,
    telemetry,
)

FACTORY = Path(__file__).parents[2] / "stages" / "factory" / "factory.usda"
LINE = "/World/Line7"


def value_of(part: str, signal: str) -> str:
    return f"{LINE}/{part}.twin:telemetry:{signal}:value"


def pump(name: str) -> str:
    return prim(
        name,
        asset(name.lower(), level="twin", connection="line"),
        telemetry("running", "bool", f"{name}/running"),
        telemetry("ready", "bool", f"{name}/ready"),
        telemetry("flow", address=f"{name}/flow", unit="m3/h", hard=(0, 120), soft=(8, 95)),
        telemetry(
            "discharge_pressure",
            address=f"{name}/p",
            unit="bar",
            hard=(-1, 16),
            soft=(1, 10),
        ),
        telemetry("speed", address=f"{name}/n", unit="1/min", hard=(0, 3600), soft=(0, 3000)),
        telemetry("bearing_temperature", "float", f"{name}/t", unit="Cel", hard=(-20, 130)),
        command(
            "speed",
            address=f"{name}/set",
            unit="1/min",
            hard=(0, 3600),
            permissives=[value_of(name, "running")],
            readback=[value_of(name, "speed")],
        ),
        command("run", "bool", f"{name}/run", permissives=[value_of(name, "ready")]),
    )


def valve(name: str) -> str:
    return prim(
        name,
        asset(name.lower(), level="twin", connection="line"),
        telemetry("opening", address=f"{name}/opening", unit="%", hard=(0, 100)),
        command("opening", address=f"{name}/set", unit="%", hard=(0, 100)),
    )


def tank(name: str) -> str:
    return prim(
        name,
        asset(name.lower(), level="twin", connection="line"),
        telemetry("level", address=f"{name}/level", unit="m", hard=(0, 3)),
        telemetry("volume", address=f"{name}/volume", unit="m3", hard=(0, 12)),
        telemetry("temperature", address=f"{name}/t", unit="Cel", hard=(-10, 120)),
        telemetry("low_level_clear", "bool", f"{name}/low"),
        command(
            "temperature",
            address=f"{name}/set",
            unit="Cel",
            hard=(10, 95),
            permissives=[value_of(name, "low_level_clear")],
            readback=[value_of(name, "temperature")],
        ),
    )


def park_of(*bodies: str, seed: int = 1) -> MachinePark:
    stage = stage_of(HEADER + connection() + prim("World", prim("Line7", *bodies)))
    table = read_bindings(stage)
    assert [str(problem) for problem in table.problems] == []
    park: MachinePark = find_model("machines").of_stage(stage, table, seed)
    return park


def line_park() -> MachinePark:
    return park_of(tank("T1"), tank("T2"), pump("P1"), pump("P2"), *map(valve, ("V1", "V2", "V3")))


def machine(park: MachinePark, name: str) -> Any:
    return park.machines[f"{LINE}/{name}"]


def run(park: MachinePark, seconds: float, dt: float = 0.2) -> None:
    for _ in range(round(seconds / dt)):
        park.step(dt)


def factory() -> tuple[MachinePark, BindingTable]:
    stage = open_stage(FACTORY, endpoints=endpoints())
    table = read_bindings(stage)
    return MachinePark.of_stage(stage, table, 1), table


def endpoints() -> dict[str, str]:
    names = read_bindings(open_stage(FACTORY)).connections
    return {name: f"soft://{name}" for name in names}


# -- what an asset is


def test_the_machines_of_the_example_plant_are_recognised_by_their_signals() -> None:
    park, table = factory()
    kinds = Counter(type(m) for m in park.machines.values())
    lines = kinds[Line]
    assert lines == 2
    assert kinds == {
        Pump: 3 * lines,
        Motor: 3 * lines,
        Tank: 2 * lines,
        Valve: 4 * lines,
        Conveyor: 3 * lines,
        Line: lines,
        WindTurbine: 1,
        Charger: 3,
        Station: 4,
        MobileRobot: 12,
        Machine: 4,
    }
    assert {c.asset for c in table.commands} <= set(park.machines)
    assert len(table.commands) > 50


def test_commands_of_the_example_plant_have_places_of_their_own_and_stops_are_safe() -> None:
    _, table = factory()
    addresses = Counter((c.connection, c.address) for c in table.commands)
    taken = {(b.connection, b.address) for b in table.telemetry.values()}
    assert set(addresses.values()) == {1}
    assert not addresses.keys() & taken
    runs = [c.safe for c in table.commands if c.signal == "run"]
    assert len(runs) > 10
    assert set(runs) == {"false"}


def test_names_mean_nothing_and_part_of_a_table_is_enough() -> None:
    park = park_of(pump("Zebra"), valve("Quagga"))
    assert [m.kind for m in park.machines.values()] == ["pump", "valve"]
    assert machine(park, "Zebra").signals()["flow"] > 0


def test_every_signal_has_a_value_within_its_hard_limits_whatever_is_commanded() -> None:
    park, table = factory()
    for command_ in table.commands:
        high = command_.limits.hard_max
        kind = command_.value_type.kind
        value: Any = "elsewhere" if kind is ValueKind.TEXT else kind is ValueKind.BOOLEAN or high
        assert park.command(command_, value) in ("", "interlock: contact_ok is false") or (
            "running is false" in park.command(command_, value)
        )
    for _ in range(150):
        park.step(0.4)
        for binding, value in zip(table.telemetry.values(), park.values(), strict=True):
            assert value is not None, binding.path
            kind = binding.value_type.kind
            if kind.numeric and kind is not ValueKind.BOOLEAN:
                low, high = binding.limits.hard_min, binding.limits.hard_max
                assert low <= value <= high, (binding.path, value)
                assert isinstance(value, int if kind is ValueKind.INTEGER else float)
            else:
                wanted = {ValueKind.BOOLEAN: bool, ValueKind.TEXT: str}.get(kind, list)
                assert isinstance(value, wanted), binding.path


def test_the_same_seed_and_commands_give_the_same_values() -> None:
    def play(seed: int) -> list[Any]:
        park = park_of(tank("T1"), pump("P1"), valve("V1"), seed=seed)
        machine(park, "P1").command("speed", 1500.0)
        run(park, 5)
        return park.values()

    assert play(3) == play(3)
    assert play(3) != play(4)


@pytest.mark.parametrize("dt", [0.0, -1.0, math.inf, math.nan])
def test_time_only_goes_on(dt: float) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        park_of(pump("P1")).step(dt)


# -- what flows


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["P1", "P2", "V1", "V2", "V3"]),
            st.floats(0, 1),
            st.floats(0.01, 40),
        ),
        max_size=12,
    )
)
def test_nothing_appears_or_vanishes(moves: Sequence[tuple[str, float, float]]) -> None:
    park = line_park()
    network = park.networks[LINE]
    total = sum(t.volume for t in network.tanks)
    for name, share, seconds in moves:
        each = machine(park, name)
        if isinstance(each, Pump):
            each.command("speed", 3600 * share)
        else:
            each.command("opening", 100 * share)
        park.step(seconds)
        held = sum(t.volume for t in network.tanks)
        assert held == pytest.approx(total + network.supplied - network.delivered, abs=1e-9)
        assert all(0 <= t.volume <= t.capacity for t in network.tanks)
        assert all(p.flow >= 0 for p in network.pumps)
        assert sum(p.flow for p in network.pumps) == pytest.approx(network.flow)


@given(st.floats(0.2, 1.25), st.floats(0.05, 1.0))
def test_flow_and_head_obey_the_affinity_laws(share: float, opening: float) -> None:
    park = park_of(pump("P1"), valve("V1"), valve("V2"))
    p, v = machine(park, "P1"), machine(park, "V2")
    v.opening = opening
    p.speed = p.rated_speed
    park.networks[LINE].settle()
    flow, head = p.flow, p.discharge - p.suction
    p.speed = share * p.rated_speed
    park.networks[LINE].settle()
    assert p.flow == pytest.approx(share * flow, rel=1e-6)
    assert p.discharge - p.suction == pytest.approx(share**2 * head, rel=1e-6)


@given(st.floats(0.01, 0.98), st.floats(0.02, 1.0))
def test_a_wider_valve_never_lets_less_through(opening: float, more: float) -> None:
    park = park_of(pump("P1"), valve("V1"), valve("V2"))
    v, network = machine(park, "V2"), park.networks[LINE]
    v.opening = opening
    network.settle()
    narrow, throttled = network.flow, network.pumps[0].discharge
    v.opening = min(opening + more, 1.0)
    network.settle()
    assert network.flow >= narrow
    assert network.pumps[0].discharge <= throttled + 1e-9


def test_a_closed_valve_stops_the_flow_and_levels_follow_the_pumps() -> None:
    park = line_park()
    levels = [machine(park, name).level for name in ("T1", "T2")]
    for name in ("P1", "P2"):
        machine(park, name).command("speed", 3600.0)
    machine(park, "V3").command("opening", 100.0)
    run(park, 240)
    fallen = [machine(park, name).level for name in ("T1", "T2")]
    assert all(after < before - 0.1 for before, after in zip(levels, fallen, strict=True))
    machine(park, "V3").command("opening", 0.0)
    run(park, 20)
    assert machine(park, "P1").flow == machine(park, "P2").flow == 0
    assert machine(park, "P1").discharge > machine(park, "P1").suction + 5
    run(park, 240)
    assert all(
        machine(park, n).level > level for n, level in zip(("T1", "T2"), fallen, strict=True)
    )


def test_a_pump_without_liquid_trips_and_wants_a_start_when_there_is_some_again() -> None:
    park = line_park()
    p = machine(park, "P1")
    tanks = park.networks[LINE].tanks
    for each in tanks:
        each.volume = 0.0
        each.wanted = 0.0
    park.networks[LINE]._largest_supply = 0.0
    run(park, 1)
    assert (p.signals()["running"], p.signals()["ready"]) == (False, False)
    assert p.command("run", True) == "interlock: ready is false"
    assert p.command("run", False) == ""
    for each in tanks:
        each.volume = 6.0
    run(park, 1)
    assert p.signals()["ready"] is False
    assert p.command("run", True) == ""
    run(park, 1)
    assert (p.signals()["running"], p.signals()["ready"]) == (True, True)


# -- what obeys


@given(st.floats(0, 3600), st.floats(0.02, 1.0))
def test_a_pumps_speed_reaches_its_setpoint_by_its_ramp(setpoint: float, dt: float) -> None:
    park = park_of(pump("P1"))
    p = machine(park, "P1")
    assert p.command("speed", setpoint) == ""
    before = p.speed
    while p.speed != setpoint:
        park.step(dt)
        moved = abs(p.speed - before)
        assert moved <= 400 * dt + 1e-6
        assert moved > 0
        assert min(before, setpoint) <= p.speed <= max(before, setpoint)
        before = p.speed


def test_run_false_stops_a_pump_and_permits_no_speed() -> None:
    park = park_of(pump("P1"))
    p = machine(park, "P1")
    assert p.command("run", False) == ""
    assert p.signals()["running"] is False
    assert p.command("speed", 2000.0) == "interlock: running is false"
    run(park, 12)
    assert p.speed == p.flow == 0
    assert p.command("run", True) == ""
    run(park, 12)
    assert p.speed == p.setpoint


@given(st.floats(0, 100), st.floats(0.05, 2.0))
def test_a_valve_moves_twelve_percent_a_second(target: float, dt: float) -> None:
    park = park_of(valve("V1"))
    v = machine(park, "V1")
    distance = abs(target - 80.0)
    v.command("opening", target)
    steps = 0
    while v.opening != v.target:
        park.step(dt)
        steps += 1
    assert v.signals()["opening"] == pytest.approx(target)
    assert (steps - 1) * dt * 12 <= distance + 1e-6 <= steps * dt * 12 + 1e-3


def test_temperatures_follow_slowly_and_settle() -> None:
    park = line_park()
    t, p = machine(park, "T1"), machine(park, "P1")
    assert t.command("temperature", 70.0) == ""
    start = t.temperature
    run(park, 10)
    assert start < t.temperature < start + 5
    run(park, 900, 1.0)
    assert t.temperature == pytest.approx(70.0, abs=0.2)
    p.command("speed", 0.95 * 3000)
    run(park, 1200, 1.0)
    assert p.signals()["bearing_temperature"] == pytest.approx(22 + 38, abs=0.5)


def test_a_command_that_a_machine_does_not_have_is_refused_in_words() -> None:
    refusal = machine(park_of(pump("P1")), "P1").command("jump", 1)
    assert refusal == "/World/Line7/P1 has no command 'jump'; it has run, speed"


# -- other kinds, on the example plant


@pytest.fixture(scope="module")
def plant() -> MachinePark:
    return factory()[0]


def of_kind(park: MachinePark, kind: type[Machine]) -> Any:
    return next(m for m in park.machines.values() if isinstance(m, kind))


def test_a_motor_bears_the_load_of_its_pump(plant: MachinePark) -> None:
    motor = of_kind(plant, Motor)
    assert isinstance(motor.pump, Pump)
    # Both pumps on duty: against the other's head, a slow one alone would deliver nothing.
    pumps = [m for m in plant.machines.values() if isinstance(m, Pump)]
    for each in pumps:
        each.command("speed", 1400.0)
    run(plant, 15)
    slow = dict(motor.signals())
    for each in pumps:
        each.command("speed", 2800.0)
    run(plant, 15)
    fast = motor.signals()
    assert fast["speed"] == 2 * slow["speed"]
    assert fast["frequency"] == pytest.approx(2800 / 60)
    assert 4 < fast["power"] / slow["power"] < 10
    assert fast["torque"] * fast["speed"] * 2 * math.pi / 60 < 1000 * fast["power"]
    assert fast["current"] > slow["current"]


def test_a_belt_accelerates_evenly_and_its_load_comes_round(plant: MachinePark) -> None:
    belt = of_kind(plant, Conveyor)
    belt.command("run", False)
    run(plant, 5)
    assert belt.speed == 0
    travel = belt.travel
    run(plant, 1)
    assert belt.travel == travel
    belt.command("run", True)
    belt.command("speed", 0.9)
    plant.step(1.0)
    assert belt.speed == pytest.approx(0.3)
    run(plant, 5)
    assert belt.speed == 0.9
    seen = []
    for _ in range(20):
        plant.step(0.2)
        seen.append(belt.travel)
    assert all(0 <= each < belt.pitch for each in seen)
    steps = [(b - a) % belt.pitch for a, b in itertools.pairwise(seen)]
    assert steps == pytest.approx([0.18] * len(steps))


def test_a_line_takes_its_machines_along(plant: MachinePark) -> None:
    line = of_kind(plant, Line)
    before = [pump_.on for pump_ in line.network.pumps]
    assert False in before
    assert line.command("run", False) == ""
    run(plant, 20)
    assert line.signals()["running"] is False
    assert [pump_.on for pump_ in line.network.pumps] == [False] * 3
    assert all(not belt.on for belt in line.conveyors)
    assert line.throughput < 0.01
    assert line.command("run", True) == ""
    run(plant, 40)
    assert [pump_.on for pump_ in line.network.pumps] == before
    assert line.throughput > 10


@pytest.mark.parametrize("limit", [0.0, 35.0, 80.0])
def test_a_turbine_holds_its_limit(plant: MachinePark, limit: float) -> None:
    turbine = of_kind(plant, WindTurbine)
    assert turbine.command("power_limit", limit) == ""
    run(plant, 30)
    for _ in range(100):
        plant.step(0.2)
        assert turbine.power <= limit + 1e-9
        assert turbine.power == pytest.approx(min(limit, turbine.available), abs=1.5)
    assert turbine.signals()["state"] == "curtailed"
    turbine.command("run", False)
    run(plant, 25)
    assert turbine.power == 0
    assert turbine.signals()["state"] == "stopped"
    turbine.command("run", True)


def test_a_charger_charges_what_is_docked(plant: MachinePark) -> None:
    chargers = [m for m in plant.machines.values() if isinstance(m, Charger)]
    docked = next(m for m in chargers if m.docked)
    empty = next(m for m in chargers if not m.docked)
    assert empty.command("current_limit", 20.0) == "interlock: contact_ok is false"
    assert docked.command("current_limit", 20.0) == ""
    run(plant, 12)
    assert docked.current == pytest.approx(20.0, abs=0.1)
    docked.command("enable", False)
    run(plant, 15)
    assert docked.current < 0.1


def test_a_station_releases_its_load_and_gets_the_next(plant: MachinePark) -> None:
    station = of_kind(plant, Station)
    code = station.signals()["code"]
    assert station.command("release", True) == ""
    run(plant, 3)
    assert not station.occupied
    assert station.signals()["weight"] == 0
    assert station.command("release", True) == "interlock: occupied is false"
    run(plant, 10)
    assert station.occupied
    assert station.signals()["code"] != code


def test_a_robot_reaches_its_goal_below_its_speed_limit(plant: MachinePark) -> None:
    robot = of_kind(plant, MobileRobot)
    robot.command("speed_limit", 0.5)
    robot.command("goal", "dock-9")
    run(plant, 10)
    assert robot.speed == 0.5
    assert robot.signals()["last_node"] != "dock-9"
    run(plant, 30)
    assert robot.signals()["last_node"] == "dock-9"


def test_a_machine_of_no_known_kind_lets_read_backs_follow_commands() -> None:
    body = prim(
        "Oven",
        asset("oven", level="twin", connection="line"),
        telemetry("heat", address="o/heat", hard=(0, 10)),
        telemetry("mode", "string", "o/mode"),
        telemetry("closed", "bool", "o/closed"),
        command(
            "heat",
            address="o/set",
            hard=(0, 10),
            permissives=[value_of("Oven", "closed")],
            readback=[value_of("Oven", "heat")],
        ),
        command("mode", "string", "o/mode/set", readback=[value_of("Oven", "mode")]),
    )
    park = park_of(body)
    oven = machine(park, "Oven")
    assert oven.kind == "machine"
    assert (oven.command("heat", 8.0), oven.command("mode", "bake")) == ("", "")
    run(park, 2)
    assert 5 < oven.signals()["heat"] < 8
    run(park, 8)
    assert oven.signals()["heat"] == pytest.approx(8.0, abs=0.01)
    assert oven.signals()["mode"] == "bake"
    oven.switches["closed"] = False
    assert oven.command("heat", 2.0) == "interlock: closed is false"
