"""Heat of motors and wear of bearings."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.linalg import expm

from stagetwin_sim.process import BEARING, MOTOR_THERMAL
from tests.sim.process.alone import alone, read, state, write

P = {p.name: p.value for p in MOTOR_THERMAL.parameters}
LOSSES = {"winding_loss": 500.0, "frame_loss": 700.0, "speed": 153.0, "ambient": 300.0}


def held_heat(s: dict[str, float]) -> float:
    """Heat in both nodes [J]."""
    winding = P["winding_capacity"] * s["winding_temperature"]
    return winding + P["frame_capacity"] * s["frame_temperature"]


def test_two_nodes_follow_the_matrix_exponential() -> None:
    engine = alone(MOTOR_THERMAL, inputs={"ambient": 300.0}, frame=1.0).engine()
    write(engine, **LOSSES)
    engine.step(1200)
    c = np.array([P["winding_capacity"], P["frame_capacity"]])
    g, out = P["winding_conductance"], P["frame_conductance"] + P["fan_conductance"]
    a = np.array([[-g, g], [g, -g - out]]) / c[:, None]
    steady = -np.linalg.solve(a, np.array([500.0, 700.0]) / c)
    expected = 300 + steady - expm(a * 1200.0) @ steady
    found = read(engine, "winding_temperature", "frame_temperature")
    assert found == pytest.approx(expected.tolist(), rel=1e-6)


def test_it_begins_in_the_steady_state_of_its_losses() -> None:
    engine = alone(MOTOR_THERMAL, inputs=LOSSES, frame=1.0).engine()
    frame = 300 + 1200 / (P["frame_conductance"] + P["fan_conductance"])
    winding = frame + 500 / P["winding_conductance"]
    engine.step(500)
    found = read(engine, "winding_temperature", "frame_temperature", "margin", "thermal_use")
    assert found == pytest.approx(
        [winding, frame, P["limit"] - winding, (winding - 300) / (P["limit"] - 300)], rel=1e-12
    )


def test_what_comes_in_is_stored_or_given_away() -> None:
    engine = alone(MOTOR_THERMAL, frame=1.0).engine()
    rng = np.random.default_rng(4)
    before, brought, winding, frame = state(engine, MOTOR_THERMAL), 0.0, 0.0, 0.0
    for _ in range(300):
        loss, extra, more = rng.uniform(0, 3000, 3)
        winding, frame = winding + extra, frame + more
        write(
            engine,
            winding_loss=loss,
            frame_loss=0.3 * loss,
            speed=rng.uniform(0, 300),
            winding_heat=winding,
            frame_heat=frame,
            ambient=rng.uniform(270, 310),
        )
        engine.step()
        brought += 1.3 * loss + extra + more
    after = state(engine, MOTOR_THERMAL)
    stored = held_heat(after) - held_heat(before)
    assert stored + after["heat_out"] == pytest.approx(brought, rel=1e-11)
    assert read(engine, "heat_out")[0] == after["heat_out"]


def test_a_slow_motor_runs_hotter() -> None:
    """A fan on the shaft cools with its speed."""
    temperatures = []
    for speed in (153.0, 40.0, 0.0):
        engine = alone(MOTOR_THERMAL, inputs={**LOSSES, "speed": speed}, frame=1.0).engine()
        engine.step()
        temperatures.append(read(engine, "winding_temperature")[0])
    assert temperatures == sorted(temperatures)
    assert temperatures[2] > temperatures[0] + 50


@pytest.mark.parametrize(
    ("rating", "load", "exponent", "hours"),
    [
        # C/P of 10 and a ball bearing: 1000 million turns; of 2 and rollers: 10.08 million.
        (30e3, 3e3, 3.0, 1000e6 / (1500 * 60)),
        (30e3, 15e3, 10 / 3, 10.0794e6 / (1500 * 60)),
    ],
)
def test_rated_life(rating: float, load: float, exponent: float, hours: float) -> None:
    speed = 1500 * math.pi / 30
    given = {"dynamic_rating": rating, "exponent": exponent, "rated_speed": speed}
    engine = alone(BEARING, [given], {"speed": speed, "load": load}, frame=1.0).engine()
    engine.step(3600)
    damage, left = read(engine, "damage", "remaining_life")
    assert damage == pytest.approx(1 / hours, rel=1e-4)
    assert left == pytest.approx((hours - 1) * 3600, rel=1e-4)


def test_damage_adds_up_over_loads() -> None:
    """Palmgren and Miner: half the life at one load and a quarter at another is 3/4."""
    engine = alone(
        BEARING,
        [{"dynamic_rating": 1e4, "wear_factor": 1e6, "rated_speed": 2 * math.pi}],
        {"speed": 2 * math.pi},
        frame=1.0,
    ).engine()
    write(engine, load=1e4 / 10)  # 1000 turns left to it, one a second
    engine.step(500)
    write(engine, load=1e4 / 20)  # 8000
    engine.step(2000)
    assert read(engine, "damage")[0] == pytest.approx(0.75, rel=1e-9)
    write(engine, load=1e4)
    engine.step(1000)
    assert read(engine, "damage", "remaining_life") == [1.0, 0.0]


def test_friction_heats_it_and_damage_shakes_it() -> None:
    given = {"speed": 153.0, "load": 1500.0, "ambient": 300.0}
    engine = alone(BEARING, [{}, {"damage": 1.0}], given, frame=1.0).engine()
    engine.step(2000)
    names = ("temperature", "vibration", "friction_torque", "friction_power")
    sound, worn = (read(engine, *names, machine=i) for i in (0, 1))
    assert sound[2] == pytest.approx(0.5 * 0.0015 * 1500 * 0.04, rel=1e-4)
    assert sound[0] == pytest.approx(300 + sound[3] / 0.5, rel=1e-5)
    assert sound[1] == pytest.approx(1e-3, rel=1e-4)
    assert worn[2] == pytest.approx(5 * sound[2], rel=1e-4)
    assert worn[1] == pytest.approx(math.exp(2.5) * 1e-3, rel=1e-3)
    assert worn[0] - 300 == pytest.approx(5 * (sound[0] - 300), rel=1e-3)


def test_a_bearing_keeps_its_heat_in_balance() -> None:
    engine = alone(BEARING, [{"conductance": 1e-3}], {"speed": 153.0}, frame=1.0).engine()
    # A step's figures are those of its beginning, so the last one's friction is not in it yet.
    begun = state(engine, BEARING)["temperature"]
    engine.step(100)
    power = read(engine, "friction_power")[0]
    ended = state(engine, BEARING)["temperature"]
    given = 600.0 * (ended - begun) + 1e-3 * 100 * ((begun + ended) / 2 - 295.15)
    assert given == pytest.approx(100 * power, rel=1e-6)
