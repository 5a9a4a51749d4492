"""Induction motors: against circuit theory, published machines, and in energy balance."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stagetwin_sim.engine import Engine
from stagetwin_sim.process import INDUCTION_MOTOR, steady_circuit
from tests.sim.process.alone import alone, read, state, write

NAMES = [p.name for p in INDUCTION_MOTOR.parameters]
DEFAULT = {p.name: p.value for p in INDUCTION_MOTOR.parameters}
BASE = 220.0**2 / 7500.0

TEXTBOOK = {
    "rated_power": 7500.0,
    "rated_voltage": 220.0,
    "rated_frequency": 60.0,
    "pole_pairs": 3.0,
    "stator_resistance": 0.294 / BASE,
    "stator_leakage": 0.503 / BASE,
    "magnetizing_reactance": 13.25 / BASE,
    "rotor_leakage": 0.209 / BASE,
    "rotor_resistance": 0.144 / BASE,
    "core_loss": 0.0,
    "friction": 0.0,
}
"""Of Fitzgerald, Kingsley, Umans, Electric Machinery, 6th ed. 2003, examples 6.2 and 6.3."""


def arrays(parameters: dict[str, float]) -> dict[str, np.ndarray]:
    return {name: np.array([{**DEFAULT, **parameters}[name]]) for name in NAMES}


def direct_start(engine: Engine, load: float = 0.0, seconds: float = 1.5) -> None:
    write(engine, voltage=400.0, frequency=50.0, load_torque=load)
    engine.step(round(seconds / engine.plan.frame))


def test_what_the_textbook_finds_for_its_machine() -> None:
    volts, hertz = np.array([220.0]), np.array([60.0])
    p, sync = arrays(TEXTBOOK), 2 * math.pi * 20

    def at(slip: float) -> tuple[float, float, float]:
        stator, rotor, torque = steady_circuit(p, volts, hertz, np.array([slip]))
        return abs(stator[0]) / math.sqrt(2), abs(rotor[0]) / math.sqrt(2), torque[0]

    stator, _, torque = at(0.02)
    assert stator == pytest.approx(18.8, rel=0.005)
    assert torque * sync == pytest.approx(5740, rel=0.005)
    assert torque * sync * 0.98 == pytest.approx(5630, rel=0.005)
    _, rotor, torque = at(0.03)
    assert (rotor, torque) == (pytest.approx(23.9, rel=0.005), pytest.approx(65.4, rel=0.005))
    _, rotor, torque = at(1.0)
    assert (rotor, torque) == (pytest.approx(150, rel=0.005), pytest.approx(78.0, rel=0.01))
    slips = np.geomspace(1e-3, 1.0, 5001)
    torques = steady_circuit(p, volts, hertz, slips)[2]
    assert torques.max() == pytest.approx(175, rel=0.005)
    assert slips[torques.argmax()] == pytest.approx(0.192, rel=0.005)


@pytest.mark.parametrize("begins", ["running", "at rest"])
def test_it_settles_where_the_circuit_says(begins: str) -> None:
    volts, hertz, slip = np.array([220.0]), np.array([60.0]), np.array([0.02])
    stator, _, torque = steady_circuit(arrays(TEXTBOOK), volts, hertz, slip)
    given = {"voltage": 220.0, "frequency": 60.0, "load_torque": torque[0]}
    first = given if begins == "running" else {}
    engine = alone(INDUCTION_MOTOR, [TEXTBOOK], first).engine()
    if begins == "running":
        assert state(engine, INDUCTION_MOTOR)["speed"] == pytest.approx(2 * math.pi * 20 * 0.98)
    write(engine, **given)
    engine.step(60)
    found = read(engine, "speed", "torque", "current", "slip", "power", "power_factor")
    assert found[0] == pytest.approx(2 * math.pi * 20 * 0.98, rel=1e-7)
    assert found[1] == pytest.approx(torque[0], rel=1e-6)
    assert found[2] == pytest.approx(18.8, rel=0.005)
    assert found[3] == pytest.approx(0.02, rel=1e-5)
    assert found[4] == pytest.approx(1.5 * math.sqrt(2 / 3) * 220 * stator[0].real, rel=1e-6)
    assert found[5] == pytest.approx(0.845, rel=0.005)


def test_start_and_breakdown_follow_the_thevenin_formulas() -> None:
    """Fitzgerald, Kingsley, Umans, Electric Machinery, 6th ed. 2003, eq. 6.33 to 6.37."""
    p = arrays({})
    base = DEFAULT["rated_voltage"] ** 2 / DEFAULT["rated_power"]
    rs, rr = DEFAULT["stator_resistance"] * base, DEFAULT["rotor_resistance"] * base
    x1, x2 = DEFAULT["stator_leakage"] * base, DEFAULT["rotor_leakage"] * base
    xm = DEFAULT["magnetizing_reactance"] * base
    phase = 400 / math.sqrt(3)
    v_th = abs(phase * 1j * xm / (rs + 1j * (x1 + xm)))
    z_th = 1j * xm * (rs + 1j * x1) / (rs + 1j * (x1 + xm))
    sync = 2 * math.pi * 50 / DEFAULT["pole_pairs"]
    reach = math.hypot(z_th.real, z_th.imag + x2)
    breakdown = 3 / sync * 0.5 * v_th**2 / (z_th.real + reach)
    at_slip = rr / reach
    volts, hertz = np.array([400.0]), np.array([50.0])
    grid = np.geomspace(1e-3, 1.0, 20001)
    torques = steady_circuit(p, volts, hertz, grid)[2]
    assert torques.max() == pytest.approx(breakdown, rel=1e-6)
    assert grid[torques.argmax()] == pytest.approx(at_slip, rel=1e-3)
    locked = abs(phase / (rs + 1j * x1 + 1 / (1 / (1j * xm) + 1 / (rr + 1j * x2))))
    # A rotor too heavy to move is a locked one.
    engine = alone(INDUCTION_MOTOR, [{"inertia": 1e5, "core_loss": 0.0}]).engine()
    direct_start(engine, seconds=20.0)
    current, torque, slip = read(engine, "current", "torque", "slip")
    assert slip == pytest.approx(1.0, abs=1e-3)
    assert current == pytest.approx(locked, rel=1e-3)
    started = 3 / sync * v_th**2 * rr / abs(z_th + rr + 1j * x2) ** 2
    assert torque == pytest.approx(started, rel=1e-3)
    # More than the breakdown torque stalls it, less does not.
    for share, runs in ((0.97, True), (1.05, False)):
        engine = alone(INDUCTION_MOTOR, [{"friction": 0.0}]).engine()
        direct_start(engine)
        write(engine, load_torque=share * breakdown)
        engine.step(100)
        assert (read(engine, "speed")[0] > sync * (1 - at_slip)) is runs


@pytest.mark.parametrize("load", [0.0, 80.0])
def test_energy_of_a_direct_start_closes(load: float) -> None:
    engine = alone(INDUCTION_MOTOR, frame=0.001).engine()
    direct_start(engine, load)
    s = state(engine, INDUCTION_MOTOR)
    stored = 0.5 * DEFAULT["inertia"] * s["speed"] ** 2 + magnetic(s)
    out = s["winding_heat"] + s["frame_heat"] + s["work"]
    assert s["energy"] == pytest.approx(out + stored, rel=1e-4)
    assert s["speed"] > 140


def test_energy_in_steady_running_closes_to_rounding() -> None:
    given = {"voltage": 400.0, "frequency": 50.0, "load_torque": 80.0}
    engine = alone(INDUCTION_MOTOR, inputs=given).engine()
    engine.step(40)
    before = state(engine, INDUCTION_MOTOR)
    engine.step(40)
    after = state(engine, INDUCTION_MOTOR)
    gone = {name: after[name] - before[name] for name in after}
    out = gone["winding_heat"] + gone["frame_heat"] + gone["work"]
    assert gone["energy"] == pytest.approx(out, rel=1e-9)
    assert gone["work"] == pytest.approx(80.0 * after["speed"] * 2.0, rel=1e-9)
    power, shaft, loss, efficiency = read(engine, "power", "shaft_power", "loss", "efficiency")
    assert power == pytest.approx(shaft + loss, rel=1e-9)
    assert gone["energy"] == pytest.approx(2.0 * power, rel=1e-9)
    assert efficiency == pytest.approx(shaft / power, rel=1e-12)
    assert 0.9 < efficiency < 0.95


def magnetic(s: dict[str, float]) -> float:
    """Energy of the field [J]: three phases, half flux times current, peaks."""
    henry = DEFAULT["rated_voltage"] ** 2 / DEFAULT["rated_power"] / (2 * math.pi * 50)
    lm = DEFAULT["magnetizing_reactance"] * henry
    ls, lr = lm + DEFAULT["stator_leakage"] * henry, lm + DEFAULT["rotor_leakage"] * henry
    inverse = np.linalg.inv([[ls, lm], [lm, lr]])
    fluxes = np.array(
        [[s["stator_flux_d"], s["stator_flux_q"]], [s["rotor_flux_d"], s["rotor_flux_q"]]]
    )
    return 0.75 * float(np.sum(fluxes * (inverse @ fluxes)))


def test_open_terminals_keep_the_balance_and_let_it_run_out() -> None:
    engine = alone(INDUCTION_MOTOR, frame=0.001).engine()
    direct_start(engine)
    before = state(engine, INDUCTION_MOTOR)
    write(engine, voltage=0.0, load_torque=30.0)
    engine.step(2000)
    after = state(engine, INDUCTION_MOTOR)
    current, power, speed = read(engine, "current", "power", "speed")
    assert (current, power, speed) == (pytest.approx(0.0, abs=1e-9), 0.0, 0.0)
    gone = {name: after[name] - before[name] for name in after}
    held = 0.5 * DEFAULT["inertia"] * before["speed"] ** 2 + magnetic(before) - magnetic(after)
    out = gone["winding_heat"] + gone["frame_heat"] + gone["work"]
    assert held + gone["energy"] == pytest.approx(out, rel=1e-9)


def test_a_load_holds_and_never_drives_back() -> None:
    engine = alone(INDUCTION_MOTOR).engine()
    write(engine, load_torque=500.0)
    engine.step(20)
    assert read(engine, "speed")[0] == 0.0
    write(engine, load_torque=-5.0)
    engine.step(20)
    assert read(engine, "speed")[0] > 1.0


def test_a_hot_winding_has_more_resistance() -> None:
    """IEC 60034-1: copper's resistance grows as 235 Cel + its temperature."""
    given = {"voltage": 400.0, "frequency": 50.0, "load_torque": 80.0}
    losses = []
    for kelvin in (293.15, 393.15):
        engine = alone(INDUCTION_MOTOR, inputs={**given, "winding_temperature": kelvin}).engine()
        engine.step(60)
        start = state(engine, INDUCTION_MOTOR)["winding_heat"]
        engine.step(20)
        ampere = read(engine, "current")[0]
        losses.append((state(engine, INDUCTION_MOTOR)["winding_heat"] - start) / ampere**2)
    assert losses[1] / losses[0] == pytest.approx(355 / 255, rel=0.02)


def test_half_the_step_gives_the_same_run_up() -> None:
    speeds = []
    for rate in (1000.0, 2000.0, 4000.0):
        engine = alone(INDUCTION_MOTOR, rate=rate).engine()
        direct_start(engine, 40.0, seconds=0.2)
        speeds.append(read(engine, "speed")[0])
    first, second = abs(speeds[0] - speeds[2]), abs(speeds[1] - speeds[2])
    assert first < 0.03 * speeds[2]
    assert second < 0.4 * first  # second order: a quarter of what it was, less the reference's own


@pytest.mark.parametrize(
    "parameters",
    [
        {"rated_power": 2.2e6, "rated_voltage": 690.0, "inertia": 60.0},
        {"stator_leakage": 1e-3, "rotor_leakage": 1e-3},
        {"rated_power": 50.0, "inertia": 1e-5},
        {"stator_resistance": 0.3, "rotor_resistance": 0.5},
    ],
)
def test_it_stays_finite_at_the_ends_of_its_ranges(parameters: dict[str, float]) -> None:
    engine = alone(INDUCTION_MOTOR, [parameters]).engine()
    for hertz in (50.0, 5.0, 400.0, 0.0):
        write(engine, voltage=400.0, frequency=hertz, load_torque=10.0)
        engine.step(10)
        engine.check()


@pytest.mark.parametrize("count", [1, 7, 8, 13])
def test_side_by_side_or_alone_not_a_bit_differs(count: int) -> None:
    """Many substeps in a launch go through the wide kernel, single ones do not."""
    parameters = [{"inertia": 0.05 + 0.01 * i} for i in range(count)]
    given = [{"load_torque": 5.0 * i} for i in range(count)]
    wide = alone(INDUCTION_MOTOR, parameters, given).engine(worlds=3)
    narrow = alone(INDUCTION_MOTOR, parameters, given, frame=0.001).engine()
    for engine, frames in ((wide, 4), (narrow, 200)):
        for i in range(count):
            write(engine, i, voltage=400.0, frequency=50.0)
        engine.step(frames)
    states = wide.systems["induction-motor"].save()["state"]
    expected = narrow.systems["induction-motor"].save()["state"]
    assert np.array_equal(states, np.repeat(expected, 3, axis=0))
