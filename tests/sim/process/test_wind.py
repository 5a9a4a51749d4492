"""Wind turbines."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stagetwin_sim.process import WIND_TURBINE, rotor_radius
from stagetwin_sim.process._wind import BEST_COEFFICIENT, BEST_RATIO
from tests.sim.process.alone import alone, read, state, write

P = {p.name: p.value for p in WIND_TURBINE.parameters}
DEGREE = math.pi / 180


def settled(seconds: float = 400.0, **inputs: float) -> list[float]:
    """Return power, rotor speed, pitch, available power, aerodynamic power of a settled one."""
    engine = alone(WIND_TURBINE, inputs=inputs).engine()
    engine.step(round(seconds * 20))
    return read(engine, "power", "rotor_speed", "pitch", "available_power", "aerodynamic_power")


def full_speed() -> float:
    """Rotor speed at rated power [rad/s]."""
    return BEST_RATIO * 12.0 / float(rotor_radius({k: np.array(v) for k, v in P.items()}))


def test_the_best_coefficient_is_that_of_the_formula() -> None:
    """Heier's curve at no pitch has its top, 0.48, at a tip speed ratio of 8.1."""

    def coefficient(ratio: float) -> float:
        inverse = 1 / ratio - 0.035
        return 0.5176 * (116 * inverse - 5) * math.exp(-21 * inverse) + 0.0068 * ratio

    top = max(np.linspace(6, 10, 40001), key=coefficient)
    assert top == pytest.approx(BEST_RATIO, abs=2e-4)
    assert coefficient(BEST_RATIO) == pytest.approx(BEST_COEFFICIENT, rel=1e-12)


@pytest.mark.parametrize("wind", [3.0, 4.0, 6.0, 9.0, 11.5, 12.0])
def test_power_is_cubic_below_rated_wind(wind: float) -> None:
    power, speed, pitch, available, aerodynamic = settled(wind_speed=wind)
    assert power == pytest.approx(2e6 * (wind / 12) ** 3, rel=1e-4)
    assert available == pytest.approx(2e6 * (wind / 12) ** 3, rel=1e-12)
    assert speed == pytest.approx(full_speed() * wind / 12, rel=1e-4)
    assert pitch == pytest.approx(0.0, abs=1e-3)
    assert aerodynamic * 0.94 == pytest.approx(power, rel=1e-4)


@pytest.mark.parametrize("wind", [12.5, 14.0, 18.0, 24.9])
def test_power_is_constant_above_and_the_pitch_holds_the_speed(wind: float) -> None:
    power, speed, pitch, available, _ = settled(wind_speed=wind)
    assert power == pytest.approx(2e6, rel=1e-6)
    assert available == 2e6
    assert speed == pytest.approx(full_speed(), rel=1e-5)
    assert pitch > 1 * DEGREE


@pytest.mark.parametrize("wind", [0.0, 1.0, 2.99])
def test_it_stands_below_cut_in(wind: float) -> None:
    assert settled(wind_speed=wind)[0] == 0.0


def test_it_starts_from_rest() -> None:
    engine = alone(WIND_TURBINE).engine()
    write(engine, wind_speed=8.0)
    engine.step(20 * 400)
    assert read(engine, "power")[0] == pytest.approx(2e6 * (8 / 12) ** 3, rel=1e-3)


def test_a_storm_stops_it_until_the_wind_is_well_below() -> None:
    engine = alone(WIND_TURBINE, inputs={"wind_speed": 20.0}).engine()
    seen = []
    for wind in (20.0, 25.0, 24.0, 22.5, 21.9):
        write(engine, wind_speed=wind)
        engine.step(20 * 200)
        power, storm, available = read(engine, "power", "storm", "available_power")
        seen.append((power > 1.9e6, storm, available > 0))
    running, stopped = (True, 0.0, True), (False, 1.0, False)
    assert seen == [running, stopped, stopped, stopped, running]


def test_a_power_limit_and_a_stop_are_obeyed() -> None:
    engine = alone(WIND_TURBINE, inputs={"wind_speed": 11.0}).engine()
    write(engine, power_limit=0.5e6)
    engine.step(20 * 300)
    assert read(engine, "power")[0] == pytest.approx(0.5e6, rel=1e-5)
    write(engine, run=0.0)
    engine.step(20 * 200)
    power, pitch, speed = read(engine, "power", "pitch", "rotor_speed")
    assert power < 1.0
    assert pitch == pytest.approx(math.pi / 2)
    assert speed < 0.05 * full_speed()


def test_pitch_and_yaw_keep_their_rates() -> None:
    engine = alone(WIND_TURBINE, inputs={"wind_speed": 10.0}).engine()
    write(engine, wind_direction=3.0, run=0.0)
    engine.step()
    last = read(engine, "pitch", "nacelle_yaw")
    for _ in range(400):
        engine.step()
        now = read(engine, "pitch", "nacelle_yaw")
        turned = abs((now[1] - last[1] + math.pi) % (2 * math.pi) - math.pi)
        assert abs(now[0] - last[0]) <= 8 * DEGREE * 0.05 + 1e-12
        assert turned <= 0.5 * DEGREE * 0.05 + 1e-12
        last = now


def test_yaw_waits_within_its_deadband_and_then_faces_the_wind() -> None:
    engine = alone(WIND_TURBINE, [{"heading": 1.0}], {"wind_speed": 9.0}).engine()
    write(engine, wind_direction=7 * DEGREE)
    engine.step(200)
    assert read(engine, "yaw_error")[0] == pytest.approx(7 * DEGREE)
    write(engine, wind_direction=-20 * DEGREE)
    engine.step(20 * 60)
    error, yaw = read(engine, "yaw_error", "nacelle_yaw")
    assert error == pytest.approx(0.0, abs=1e-9)
    assert yaw == pytest.approx(1.0 + 20 * DEGREE)


def test_wind_aslant_gives_the_cube_of_its_cosine() -> None:
    engine = alone(WIND_TURBINE, [{"yaw_deadband": 1.0}], {"wind_speed": 9.0}).engine()
    write(engine, wind_direction=0.3)
    engine.step(20 * 400)
    expected = 2e6 * (9 / 12 * math.cos(0.3)) ** 3
    assert read(engine, "power")[0] == pytest.approx(expected, rel=1e-4)


def test_energy_of_the_rotor_is_what_the_wind_gave_less_what_the_shaft_took() -> None:
    engine = alone(WIND_TURBINE, inputs={"wind_speed": 8.0}).engine()
    rng = np.random.default_rng(2)
    inertia = 2 * P["inertia_time"] * P["rated_power"] / full_speed() ** 2
    before, wind, aerodynamic = state(engine, WIND_TURBINE), 8.0, 0.0
    for step in range(3000):
        wind = float(np.clip(wind + rng.normal(0, 0.2), 0, 30))
        write(engine, wind_speed=wind, run=float(step < 2500))
        engine.step()
        aerodynamic += read(engine, "aerodynamic_power")[0] * 0.05
    after = state(engine, WIND_TURBINE)
    kinetic = 0.5 * inertia * (after["rotor_speed"] ** 2 - before["rotor_speed"] ** 2)
    shaft = (after["energy"] - before["energy"]) / P["efficiency"]
    assert kinetic == pytest.approx(aerodynamic - shaft, abs=1e-9 * shaft)


def test_the_angle_is_the_integral_of_the_speed() -> None:
    engine = alone(WIND_TURBINE, inputs={"wind_speed": 14.0}).engine()
    engine.step(20 * 300)
    first, speed = read(engine, "rotor_angle", "rotor_speed")
    engine.step(20)
    expected = (first + speed) % (2 * math.pi)
    assert read(engine, "rotor_angle")[0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("power", [100e3, 2e6, 8e6])
def test_any_size_is_stable(power: float) -> None:
    engine = alone(WIND_TURBINE, [{"rated_power": power}], {"wind_speed": 11.0}).engine()
    for wind in (13.0, 24.0, 12.1, 5.0, 16.0):
        write(engine, wind_speed=wind)
        engine.step(20 * 120)
    assert read(engine, "power")[0] == pytest.approx(power, rel=1e-4)
