"""Batteries: against their closed solution, in charge and in energy balance."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stagetwin_sim.process import BATTERY
from tests.sim.process.alone import alone, read, state, write

P = {p.name: p.value for p in BATTERY.parameters}


def resting(soc: float) -> float:
    """Chen, Rincon-Mora 2006, eq. 2, times the cells."""
    return 13 * (
        -1.031 * math.exp(-35 * soc) + 3.685 + 0.2156 * soc - 0.1178 * soc**2 + 0.3201 * soc**3
    )


@pytest.mark.parametrize("rate", [20.0, 1.0])
def test_a_pulse_is_the_closed_solution_whatever_the_step(rate: float) -> None:
    engine = alone(BATTERY, [{"soc": 0.5}], rate=rate).engine()
    write(engine, current=-50.0)
    engine.step(6000)
    seconds, lag = 300.0, P["polarisation_resistance"] * P["polarisation_capacitance"]
    soc = 0.5 - 50 * seconds / P["capacity"]
    drop = 50 * (P["resistance"] + P["polarisation_resistance"] * (1 - math.exp(-seconds / lag)))
    found = read(engine, "soc", "resting_voltage", "voltage", "power")
    assert found[0] == pytest.approx(soc, rel=1e-12)
    assert found[1] == pytest.approx(resting(soc), rel=1e-12)
    assert found[2] == pytest.approx(resting(soc) - drop, rel=1e-9)
    assert found[3] == pytest.approx(-50 * found[2])
    write(engine, current=0.0)
    engine.step(20 * 5000)
    assert read(engine, "voltage")[0] == pytest.approx(resting(soc), rel=1e-6)


def test_charge_is_counted_and_energy_balances_over_any_current() -> None:
    engine = alone(BATTERY, [{"soc": 0.5}]).engine()
    rng = np.random.default_rng(1)
    stored = read_stored(engine_soc=0.5)
    counted = 0.0
    for _ in range(400):
        current = float(rng.uniform(-300, 300))
        write(engine, current=current)
        engine.step(5)
        counted += current * 0.25
    s = state(engine, BATTERY)
    assert s["soc"] == pytest.approx(0.5 + counted / P["capacity"], rel=1e-10)
    pair = 0.5 * P["polarisation_capacitance"] * s["polarisation"] ** 2
    kept = read(engine, "stored_energy")[0] - stored + pair
    assert s["energy"] == pytest.approx(kept + s["heat"], abs=1e-6 * s["heat"])
    assert s["heat"] > 0


def read_stored(engine_soc: float) -> float:
    """Return what is stored at a charge, by adding up the resting voltage."""
    grid = np.linspace(0, engine_soc, 20001)
    volts = np.array([resting(s) for s in grid])
    return float(np.trapezoid(volts, grid)) * P["capacity"]


def test_heat_is_that_of_its_resistances() -> None:
    engine = alone(BATTERY, [{"soc": 0.9}]).engine()
    write(engine, current=-40.0)
    engine.step(20 * 4000)  # the pair has settled long since
    before = state(engine, BATTERY)["heat"]
    engine.step(200)
    watts = (state(engine, BATTERY)["heat"] - before) / 10
    both = P["resistance"] + P["polarisation_resistance"]
    assert watts == pytest.approx(40**2 * both, rel=1e-6)


def test_it_warms_to_the_steady_state_of_its_heat() -> None:
    engine = alone(BATTERY, [{"capacity": 1e9, "heat_capacity": 100.0, "soc": 0.5}]).engine()
    write(engine, current=30.0, ambient=290.0)
    engine.step(20 * 2500)
    watts = 900 * (P["resistance"] + P["polarisation_resistance"])
    found = read(engine, "temperature")[0]
    assert found == pytest.approx(290 + watts / P["conductance"], rel=1e-6)


@pytest.mark.parametrize(("current", "end"), [(90.0, 1.0), (-90.0, 0.0)])
def test_full_and_empty_it_takes_no_more(current: float, end: float) -> None:
    engine = alone(BATTERY, [{"capacity": 1000.0, "soc": 0.5}]).engine()
    write(engine, current=current)
    engine.step(400)
    soc, accepted, refused = read(engine, "soc", "accepted_current", "refused_current")
    assert (soc, accepted) == (end, 0.0)
    (port,) = (port for port in BATTERY.outputs if port.name == "refused_current")
    assert refused == abs(current) > port.high == 0.0
    s = state(engine, BATTERY)
    assert abs(s["energy"]) > 0
    engine.step(100)
    assert state(engine, BATTERY)["energy"] == pytest.approx(s["energy"], rel=1e-9)
    write(engine, current=-current)
    engine.step()
    assert read(engine, "accepted_current", "refused_current") == [-current, 0.0]
