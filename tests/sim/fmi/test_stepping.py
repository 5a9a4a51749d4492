"""FMUs of both versions step as their equations say, and as fmpy steps them."""

from __future__ import annotations

import math
from pathlib import Path

import fmpy
import numpy as np
import pytest

from stagetwin_sim._errors import FmuError
from tests.sim.fmi.rig import Wanted, get, health, plan_of, series, system

G, E = 9.81, 0.7


def test_a_lag_follows_its_analytic_solution(fmus: Path) -> None:
    engine = plan_of(Wanted(fmus / "Lag2.fmu", {"u": 2.0}, {"tau": 0.8, "gain": 3.0})).engine()
    times = 0.05 * np.arange(1, 41)
    expected = 6 * (1 - np.exp(-times / 0.8))
    assert series(engine, "/F0.y", 40) == pytest.approx(expected, rel=1e-12)


def test_inputs_are_followed_and_columns_shared(fmus: Path) -> None:
    engine = plan_of(Wanted(fmus / "Lag2.fmu", {"u": 1.0}, {"tau": 1e-3})).engine()
    engine.step(2)
    assert get(engine, "/F0.y") == pytest.approx(1.0)
    engine.write([engine.plan.column("/F0.u")], [-4.0])
    engine.step(2)
    assert get(engine, "/F0.y") == pytest.approx(-4.0)


def test_fmi_3_with_units(fmus: Path) -> None:
    engine = plan_of(Wanted(fmus / "Lag3.fmu", {"target": 3.0}, {"tau": 0.5})).engine()
    assert get(engine, "/F0.target") == 3e5
    engine.step(10)
    assert get(engine, "/F0.pressure") == pytest.approx(3e5 - 2e5 * math.exp(-1), rel=1e-12)
    assert get(engine, "/F0.steps") == 10
    assert get(engine, "/F0.settled") == 0
    engine.step(60)
    assert get(engine, "/F0.settled") == 1


def test_integers_and_booleans(fmus: Path) -> None:
    engine = plan_of(Wanted(fmus / "Counter2.fmu", {"step_by": 2.6})).engine()
    trigger = engine.plan.column("/F0.trigger")
    for value in (1.0, 1.0, 0.4, 0.6, 0.0):
        engine.write([trigger], [value])
        engine.step()
    assert get(engine, "/F0.count") == 6  # two edges of 2.6, rounded to 3
    assert get(engine, "/F0.even") == 1
    assert get(engine, "/F0.clock") == pytest.approx(0.25)


@pytest.mark.parametrize(("step", "frames"), [(0.05, 40), (0.01, 40), (0.2, 40), (0.0, 40)])
def test_any_step_that_fits_the_frames(fmus: Path, step: float, frames: int) -> None:
    engine = plan_of(Wanted(fmus / "Lag2.fmu", {"u": 1.0}, step=step)).engine()
    engine.step(frames)
    assert get(engine, "/F0.y") == pytest.approx(1 - math.exp(-2.0 / 0.5), rel=1e-12)


def test_a_step_that_does_not_fit_is_refused(fmus: Path) -> None:
    with pytest.raises(FmuError, match=r"/F0\.m: its step of 0\.03 s is neither"):
        plan_of(Wanted(fmus / "Lag2.fmu", step=0.03)).engine()


@pytest.mark.parametrize("name", ["VanDerPol3", "Lag3"])
def test_results_equal_those_of_simulate_fmu(fmus: Path, name: str) -> None:
    path = fmus / f"{name}.fmu"
    reference = fmpy.simulate_fmu(
        str(path), validate=False, stop_time=5.0, output_interval=0.05, step_size=0.05
    )
    engine = plan_of(Wanted(path)).engine()
    for port in reference.dtype.names[1:]:
        assert system(engine).plan.units[0].fmu.variables[port].causality == "output"
    si = {v.port: v.si for v, _ in system(engine).plan.units[0].outputs}
    ours = {port: [] for port in reference.dtype.names[1:]}
    for _ in range(100):
        engine.step()
        for port, values in ours.items():
            values.append((get(engine, f"/F0.{port}") - si[port].offset) / si[port].scale)
    for port, values in ours.items():
        assert values == pytest.approx(reference[port][1:101].astype(float), rel=1e-12), port


def test_van_der_pol_reaches_its_limit_cycle(fmus: Path) -> None:
    # mu = 1: amplitude 2.009, period 6.663 (Strogatz, Nonlinear Dynamics and Chaos, 2015, 7.6).
    engine = plan_of(Wanted(fmus / "VanDerPol3.fmu")).engine()
    engine.step(400)
    x0 = series(engine, "/F0.x0", 400)
    assert x0.max() == pytest.approx(2.009, abs=0.04)
    rising = np.flatnonzero((x0[:-1] < 0) & (x0[1:] >= 0))
    assert np.diff(rising).mean() * 0.05 == pytest.approx(6.663, abs=0.1)


def bounced(time: float) -> tuple[float, float, int]:
    """Return height, velocity and bounces of the ball, from its parabolas."""
    h, v, count = 1.0, 0.0, 0
    while True:
        fall = (v + math.sqrt(v * v + 2 * G * h)) / G
        if fall > time:
            return h + v * time - G * time * time / 2, v - G * time, count
        time -= fall
        h, v, count = 0.0, -E * (v - G * fall), count + 1
        if v < 0.1:
            return 0.0, 0.0, count


@pytest.mark.parametrize("frame", [0.05, 0.4])
def test_a_native_fmu_hands_its_events_over(ball: Path, frame: float) -> None:
    wanted = Wanted(ball, more=("count_of_bounces",))
    engine = plan_of(wanted, frame=frame).engine()
    for i in range(1, round(4 / frame)):
        engine.step()
        h, v, count = bounced(i * frame)
        assert get(engine, "/F0.h") == pytest.approx(h, abs=1e-9)
        assert get(engine, "/F0.v") == pytest.approx(v, abs=1e-9)
        assert get(engine, "/F0.count_of_bounces") == count
    assert health(engine, "/F0").counts["event"] == bounced(4.0)[2]
    assert health(engine, "/F0").counts["early return"] >= 1


def test_parameters_and_starts_of_a_native_fmu(ball: Path) -> None:
    engine = plan_of(Wanted(ball, params={"g": 1.6, "h": 5.0})).engine()
    assert get(engine, "/F0.h") == 5.0  # before the first step
    engine.step(20)
    assert get(engine, "/F0.h") == pytest.approx(5 - 0.8, rel=1e-12)
