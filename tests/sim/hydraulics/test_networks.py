"""Networks: against root finding, analysis and EPANET, and where they are bounded."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from tests.sim.hydraulics.networks import (
    SPEED,
    Networks,
    brought_in,
    held,
    hydraulics,
    imbalance,
    put,
    random_networks,
    transfer,
    value,
)

G = 9.80665


def test_an_operating_point_is_where_the_curves_meet() -> None:
    engine = (
        Networks()
        .add("reservoir", "A", 0, elevation=2.0)
        .add("pump", "P", (0, 1), {"speed": 0.9 * SPEED}, shutoff_head=42.0)
        .add("pipe", "D", (1, 2), length=120.0, minor_loss=6.0)
        .add("valve", "V", (2, 3), {"opening": 0.7}, kv=60.0)
        .add("reservoir", "B", 3, {"pressure": 0.5e5}, elevation=9.0)
        .plan()
        .engine()
    )
    engine.step()
    rated, area, d = 50 / 3600, math.pi / 4 * 0.01, 0.1

    def uphill(q: float) -> float:
        """Friction, drop and lift at a flow [m]."""
        v = q / area
        log = math.log10(4.5e-5 / 3.7 / d + 5.74 / (v * d / 1.004e-6) ** 0.9)
        friction = (0.25 / log**2 * 120.0 / d + 6.0) * v**2 / 2 / G
        drop = 1e5 * (q * 3600 / (60.0 * 0.7)) ** 2 / (1000.0 * G)
        return friction + drop + 7.0 + 0.5e5 / (998.2 * G)

    def gap(q: float) -> float:
        return 0.9**2 * 42.0 - (42.0 - 32.0) * (q / rated) ** 2 - uphill(q)

    assert value(engine, "/P.flow") == pytest.approx(brentq(gap, 1e-3, 0.03, xtol=1e-14), rel=1e-7)
    assert value(engine, "/A.flow") == pytest.approx(-value(engine, "/B.flow"))
    # Mechanical energy: what the pump gives is what friction and drop take, and the lift.
    flow, given = value(engine, "/P.flow"), value(engine, "/P.hydraulic_power")
    assert given == pytest.approx(998.2 * G * flow * uphill(flow), rel=1e-6)
    taken = value(engine, "/D.head_loss") + value(engine, "/V.pressure_drop") / (998.2 * G)
    lift = 7.0 + 0.5e5 / (998.2 * G)
    assert given == pytest.approx(998.2 * G * flow * (taken + lift), rel=1e-9)


def test_two_loops_agree_with_epanet() -> None:
    """Flows [m3/s] by EPANET 2.2 (through wntr 1.5): D-W, accuracy 1e-10, g of 32.2 ft/s2."""
    n = Networks().add("reservoir", "R", 7, elevation=20.0)
    n.add("tank", "T", 8, elevation=45.0, start_level=3.0, height=6.0, volume=1e9)
    pipes = {
        "P0": ((7, 0), 20, 0.25, 4.5e-5, 1.5, 0.044687874615),
        "P1": ((1, 2), 400, 0.2, 1e-4, 0, 0.027631811798),
        "P2": ((2, 3), 350, 0.15, 1e-4, 2, 0.017177514732),
        "P3": ((1, 4), 300, 0.15, 1e-4, 0, 0.017056062818),
        "P4": ((4, 5), 450, 0.15, 1e-4, 0, 0.009510361589),
        "P5": ((2, 4), 250, 0.1, 5e-4, 0, 0.002454297850),
        "P6": ((3, 5), 300, 0.1, 5e-4, 0, -0.003510361072),
        "P7": ((3, 8), 200, 0.2, 1e-4, 1, 0.008687875234),
    }
    for name, (at, length, diameter, rough, minor, _) in pipes.items():
        n.add(
            "pipe",
            name,
            at,
            length=length,
            diameter=diameter,
            roughness=rough,
            minor_loss=minor,
            viscosity=1.1e-5 * 0.3048**2,
        )
    n.add(
        "pump", "PU", (0, 1), {"speed": SPEED}, rated_flow=0.04, rated_head=35, shutoff_head=140 / 3
    )
    for node, demand in ((2, 8e-3), (3, 12e-3), (4, 10e-3), (5, 6e-3)):
        n.add("junction", f"J{node}", node, {"demand": demand})
    engine = n.plan().engine()
    engine.step()
    for name, (*_, flow) in pipes.items():
        assert value(engine, f"/{name}.flow") == pytest.approx(flow, rel=5e-4), name


def test_a_tank_empties_after_torricelli() -> None:
    area, hole = 2.0, 1e-3
    n = Networks().add("tank", "T", 0, {"leak": hole}, volume=6.0, height=3.0, start_level=2.0)
    engine = n.plan().engine()
    engine.step(2000)  # 100 s
    root = math.sqrt(2.0) - 0.61 * hole / area * math.sqrt(G / 2) * 100.0
    assert value(engine, "/T.level") == pytest.approx(root**2, rel=1e-4)


def test_connected_tanks_come_to_one_level() -> None:
    n = Networks().add("tank", "A", 0, start_level=2.5).add("tank", "B", 1, start_level=0.5)
    engine = n.add("pipe", "C", (0, 1), diameter=0.2).plan().engine()
    engine.step(6000)
    assert value(engine, "/A.level") == pytest.approx(1.5, abs=1e-3)
    assert held(engine) == pytest.approx(10.0, abs=1e-9)


def test_pumps_in_series_add_heads_and_in_parallel_flows() -> None:
    def deliver(pumps: list[tuple[int, int]], static: float) -> float:
        n = Networks().add("reservoir", "A", 0).add("reservoir", "B", 9, elevation=static)
        for i, at in enumerate(pumps):
            n.add("pump", f"P{i}", at, {"speed": SPEED})
        engine = n.add("pipe", "D", (8, 9), diameter=1.0, length=0.1).plan().engine()
        engine.step()
        return value(engine, "/D.flow")

    single = deliver([(0, 8)], 20.0)
    assert deliver([(0, 8), (0, 8)], 20.0) == pytest.approx(2 * single, rel=1e-4)
    assert deliver([(0, 1), (1, 8)], 40.0) == pytest.approx(single, rel=1e-4)
    assert deliver([(0, 8)], 41.0) == 0.0


def test_nothing_flows_back_through_a_check_valve() -> None:
    engine = transfer(speed=0.0).plan().engine()
    engine.step(5)
    assert value(engine, "/P.flow") == 0.0
    assert value(engine, "/B.level") == pytest.approx(0.5, abs=1e-12)
    put(engine, "/P.in.speed", SPEED)
    engine.step(5)
    assert value(engine, "/P.flow") > 0.005
    put(engine, "/P.in.speed", 0.0)
    engine.step(1)
    assert value(engine, "/P.flow") == 0.0


def test_without_a_check_valve_it_does() -> None:
    n = Networks().add("tank", "A", 0).add("tank", "B", 1, elevation=10.0)
    engine = n.add("pump", "P", (0, 1), {"speed": 0.0}, check=0.0).plan().engine()
    engine.step()
    assert value(engine, "/P.flow") < -0.01
    assert value(engine, "/P.shaft_power") == 0.0


def test_a_shut_valve_passes_next_to_nothing() -> None:
    engine = transfer(opening=0.0).plan().engine()
    engine.step(3)
    assert 0 <= value(engine, "/P.flow") < 1e-8
    assert value(engine, "/P.head") == pytest.approx(40.0, abs=1e-3)


def test_an_empty_tank_gives_no_more_than_comes_in() -> None:
    n = transfer().add("supply", "X", 0, {"flow": 0.002})
    engine = n.plan().engine()
    engine.step(9000)
    assert value(engine, "/A.level") == pytest.approx(0.0, abs=1e-9)
    assert value(engine, "/A.dry") == 1.0
    assert value(engine, "/P.flow") == pytest.approx(0.002, abs=1e-8)
    assert value(engine, "/P.cavitation_margin") < 0
    assert hydraulics(engine).failures() == {}


def test_a_full_tank_spills_what_does_not_fit() -> None:
    n = Networks().add("tank", "T", 0, start_level=2.9).add("supply", "X", 0, {"flow": 0.01})
    engine = n.plan().engine()
    engine.step(4000)
    assert value(engine, "/T.overflow") == pytest.approx(0.01, rel=1e-6)
    assert 3.0 < value(engine, "/T.level") < 3.01
    assert value(engine, "/T.high_level_clear") == 0.0
    spilled = value(engine, "/T.overflowed")
    assert held(engine) + spilled == pytest.approx(29 / 3 + 200 * 0.01, abs=1e-6)


def test_a_demand_gets_what_there_is_pressure_for() -> None:
    n = Networks().add("reservoir", "R", 0, elevation=3.0).add("pipe", "C", (0, 1), length=200.0)
    engine = n.add("junction", "J", 1, {"demand": 0.5}).plan().engine()
    engine.step()
    assert 0.005 < value(engine, "/J.flow") < 0.05
    assert 0 < value(engine, "/J.pressure") < 1000.0
    put(engine, "/J.in.demand", 0.001)
    engine.step()
    assert value(engine, "/J.flow") == pytest.approx(0.001, rel=1e-9)


def test_a_stuck_valve_stays_and_a_stroke_takes_its_time() -> None:
    n = Networks().add("reservoir", "A", 0, elevation=1.0).add("reservoir", "B", 1)
    n.add("valve", "V", (0, 1), {"opening": 0.0}, stroke_time=10.0)
    engine = n.plan().engine()
    put(engine, "/V.in.opening", 1.0)
    engine.step(50)
    assert value(engine, "/V.opening") == pytest.approx(0.25)
    put(engine, "/V.in.stuck", 1.0)
    engine.step(50)
    assert value(engine, "/V.opening") == pytest.approx(0.25)
    put(engine, "/V.in.stuck", 0.0)
    engine.step(400)
    assert value(engine, "/V.opening") == 1.0
    assert value(engine, "/V.position") == pytest.approx(math.pi / 2)


@pytest.mark.parametrize(("fault", "size"), [("blockage", 0.9), ("leak", 2e-4)])
def test_faults_of_a_pipe(fault: str, size: float) -> None:
    engine = transfer().plan().engine()
    engine.step()
    sound = value(engine, "/V.flow")
    put(engine, f"/D.in.{fault}", size)
    engine.step()
    assert value(engine, "/V.flow") < 0.98 * sound
    if fault == "leak":
        pressure = value(engine, "/D.outlet_pressure")
        expected = 0.61 * size * math.sqrt(2 * pressure / 998.2)
        assert value(engine, "/D.leak_flow") == pytest.approx(expected, rel=1e-6)
    assert imbalance(engine) < 1e-9


def test_heat_goes_with_the_flow_and_nothing_is_lost() -> None:
    n = transfer()
    hot = n.elements[0]
    names = [p.name for p in hot.element.parameters]
    values = list(hot.parameters)
    values[names.index("start_temperature")] = 353.15
    object.__setattr__(hot, "parameters", values)
    engine = n.plan().engine()
    put(engine, "/B.in.heat", 5e3)

    def energy() -> float:
        parts = [value(engine, f"/{t}.volume") * value(engine, f"/{t}.temperature") for t in "AB"]
        return 998.2 * 4184.0 * sum(parts)

    engine.step(1)
    before, middle = energy(), value(engine, "/B.temperature")
    engine.step(400)
    assert energy() - before == pytest.approx(400 * 0.05 * 5e3, rel=1e-6)
    assert middle < value(engine, "/B.temperature") < 353.15
    assert value(engine, "/A.temperature") == pytest.approx(353.15)


def test_a_network_does_not_hear_another() -> None:
    alone = transfer().plan().engine()
    n = transfer()
    n.add("tank", "C", 50, start_level=1.0).add("pipe", "E", (50, 51)).add("reservoir", "F", 51)
    both = n.plan().engine()
    for engine in (alone, both):
        engine.step(30)
    assert len(hydraulics(both).plan.networks) == 2
    for name in ("/P.flow", "/A.level", "/B.temperature"):
        assert value(both, name) == value(alone, name)


def test_what_is_not_finite_is_counted_and_forgotten() -> None:
    engine = transfer().plan().engine()
    engine.step(5)
    sound = value(engine, "/P.flow")
    bus = engine.read()
    bus[0, engine.plan.column("/P.in.speed")] = math.nan
    engine.context.bus.assign(bus)
    engine.step()
    assert hydraulics(engine).failures() == {"/A.h, /S.h, /P.h, /D.h, /V.h, /B.h": 1}
    put_back = engine.read()
    put_back[0, engine.plan.column("/P.in.speed")] = SPEED
    engine.context.bus.assign(put_back)
    engine.step()
    assert value(engine, "/P.flow") == pytest.approx(sound, rel=1e-3)
    assert value(engine, "/A.twin:model:h:network:failures") == 1


def test_what_is_not_solved_is_counted_and_stays_in_balance() -> None:
    n = transfer()
    engine = n.plan(iterations=1).engine()
    engine.step()
    assert value(engine, "/A.twin:model:h:network:failures") == 1
    assert imbalance(engine) < 1e-9
    engine.step(20)
    good = transfer().plan().engine()
    good.step(21)
    assert value(engine, "/P.flow") == pytest.approx(value(good, "/P.flow"), rel=1e-5)


_SETTINGS = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@_SETTINGS
@given(random_networks(), st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=8, max_size=8))
def test_any_network_is_solved_and_in_balance(n: Networks, moves: list[float]) -> None:
    engine = n.plan().engine()
    engine.step()
    for frame in range(8):
        if frame == 3:
            for i, e in enumerate(n.elements):
                name, move = e.place.removesuffix(".h"), moves[i % len(moves)]
                if e.element.name == "pump":
                    put(engine, f"{name}.in.speed", move * SPEED)
                elif e.element.name == "valve":
                    put(engine, f"{name}.in.opening", move)
                elif e.element.name == "junction":
                    put(engine, f"{name}.in.demand", 0.01 * move)
        before = held(engine)
        engine.step()
        assert imbalance(engine) < 1e-6
        assert held(engine) - before == pytest.approx(0.05 * brought_in(engine), abs=1e-6)
    engine.check()
    assert hydraulics(engine).failures() == {}


def test_mass_stays_over_a_long_time() -> None:
    engine = transfer().plan().engine()
    engine.step()
    start = held(engine)
    rng = np.random.default_rng(5)
    for _ in range(100):
        put(engine, "/P.in.speed", float(rng.choice([0.0, 0.6, 1.0])) * SPEED)
        put(engine, "/V.in.opening", float(rng.uniform()))
        engine.step(50)
    spilled = value(engine, "/B.overflowed") + value(engine, "/A.overflowed")
    assert held(engine) + spilled == pytest.approx(start, abs=1e-6)
