"""Ramps, controllers and drives."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stagetwin_sim.process import DRIVE, PID, RAMP
from tests.sim.process.alone import alone, read, state, write


def test_a_ramp_follows_within_its_rates_and_limits() -> None:
    engine = alone(RAMP, [{"rate_up": 2.0, "rate_down": 4.0, "maximum": 5.0}]).engine()
    write(engine, setpoint=9.0)
    engine.step(20)
    assert read(engine, "value", "moving") == [pytest.approx(2.0), 1.0]
    engine.step(40)
    assert read(engine, "value", "moving") == [5.0, 0.0]
    write(engine, run=0.0)
    engine.step(10)
    assert read(engine, "value")[0] == pytest.approx(3.0)
    engine.step(40)
    assert read(engine, "value")[0] == 0.0


def closed_loop(parameters: dict[str, float], seconds: float, lag: float = 5.0) -> list[float]:
    """Control a first-order lag of gain 2; return what was measured, once a step."""
    engine = alone(PID, [parameters], {"setpoint": 1.0}, frame=0.01, rate=100.0).engine()
    measured, seen = 0.0, []
    for _ in range(round(seconds * 100)):
        write(engine, measured=measured)
        engine.step()
        measured += (2.0 * read(engine, "output")[0] - measured) * (1 - math.exp(-0.01 / lag))
        seen.append(measured)
    return seen


def test_a_pi_loop_is_the_second_order_system_that_it_should_be() -> None:
    """y'' + (1 + kK)/T y' + kK/(T Ti) y: damping and frequency give overshoot and its time."""
    gain, integral, lag = 2.0, 1.0, 5.0
    w0 = math.sqrt(2.0 * gain / (lag * integral))
    damping = (1 + 2.0 * gain) / lag / (2 * w0)
    seen = np.array(
        closed_loop(
            {
                "gain": gain,
                "integral_time": integral,
                "minimum": -1e3,
                "maximum": 1e3,
                "setpoint_weight": 0.0,
            },
            20.0,
        )
    )
    # With no weight on the setpoint there is no zero: the textbook's overshoot.
    overshoot = math.exp(-math.pi * damping / math.sqrt(1 - damping**2))
    assert seen.max() == pytest.approx(1 + overshoot, abs=0.01)
    peak = math.pi / (w0 * math.sqrt(1 - damping**2))
    assert (seen.argmax() + 1) * 0.01 == pytest.approx(peak, rel=0.05)
    assert seen[-1] == pytest.approx(1.0, abs=1e-3)


def test_windup_is_prevented() -> None:
    """At its limit for long, it leaves it as soon as the error turns."""
    engine = alone(PID, [{"gain": 1.0, "integral_time": 2.0}], {"setpoint": 1.0}).engine()
    write(engine, measured=-9.0)
    engine.step(2000)
    assert read(engine, "output", "saturated") == [1.0, 1.0]
    assert abs(state(engine, PID)["integral"]) < 30
    write(engine, measured=1.5)
    engine.step(60)
    assert read(engine, "output")[0] < 1.0


def test_the_derivative_sees_the_measurement_alone() -> None:
    """On a slope a filtered derivative settles at minus gain, time and slope."""
    given = {
        "gain": 3.0,
        "integral_time": 0.0,
        "derivative_time": 2.0,
        "setpoint_weight": 0.0,
        "minimum": -1e6,
        "maximum": 1e6,
    }
    engine = alone(PID, [given]).engine()
    for i in range(100):
        write(engine, measured=0.5 * 0.05 * (i + 1), setpoint=float(i % 7))
        engine.step()
    assert state(engine, PID)["derivative"] == pytest.approx(-3.0 * 2.0 * 0.5, rel=1e-4)


def test_manual_and_back_without_a_bump() -> None:
    engine = alone(PID, [{"gain": 0.5, "integral_time": 20.0}], {"setpoint": 0.4}).engine()
    write(engine, measured=0.3, manual=1.0, manual_output=0.7)
    engine.step(40)
    assert read(engine, "output")[0] == 0.7
    write(engine, manual=0.0)
    engine.step()
    assert read(engine, "output")[0] == pytest.approx(0.7, abs=1e-3)


def test_timers_wait_and_are_saved() -> None:
    engine = alone(
        PID,
        [{"start_delay": 2.0, "rest": 0.25, "deviation": 0.5, "deviation_delay": 3.0}],
        {"setpoint": 1.0, "enable": 0.0},
    ).engine()
    engine.step(10)
    assert read(engine, "output", "waiting", "deviating") == [0.25, 0.0, 0.0]
    write(engine, enable=1.0)
    engine.step(30)
    assert read(engine, "output", "waiting") == [0.25, 1.0]
    fork = engine.fork()  # 1.5 s into both timers
    fork.step(20)
    assert read(fork, "output", "waiting", "deviating")[1:] == [0.0, 0.0]
    fork.step(15)
    assert read(fork, "deviating")[0] == 1.0
    engine.step(35)
    assert engine.save().digest() == fork.save().digest()


def test_a_drive_follows_its_ramp_at_constant_flux_and_stops() -> None:
    given = {"slip_limit": 0.0, "pole_pairs": 2.0, "rate_up": 50.0}
    engine = alone(DRIVE, [given], {"run": 0.0}).engine()
    engine.step()
    write(engine, setpoint=100.0, run=1.0)
    engine.step(20)
    found = read(engine, "reference", "frequency", "voltage", "running", "starts")
    assert found[0] == pytest.approx(50.0)
    assert found[1] == pytest.approx(50.0 * 2 / (2 * math.pi))
    assert found[2] == pytest.approx(400 * (0.03 + 0.97 * found[1] / 50))
    assert found[3:] == [1.0, 1.0]
    write(engine, setpoint=1e3)
    engine.step(400)
    assert read(engine, "reference", "voltage") == [400.0, 400.0]
    write(engine, run=0.0)
    engine.step(400)
    assert read(engine, "frequency", "voltage", "running", "starts") == [0.0, 0.0, 0.0, 1.0]


def test_a_drive_at_its_current_limit_accelerates_no_further() -> None:
    engine = alone(DRIVE, [{"current_limit": 30.0, "slip_limit": 0.0}]).engine()
    write(engine, setpoint=150.0, current=31.0)
    engine.step(20)
    assert read(engine, "reference")[0] == 0.0
    write(engine, current=20.0)
    engine.step(20)
    assert read(engine, "reference")[0] == pytest.approx(40.0)


def test_the_heat_sink_is_a_first_order_lag() -> None:
    engine = alone(DRIVE, [{"thermal_time": 10.0}], {"power": 9700.0, "ambient": 300.0}).engine()
    engine.step(200)
    rise = 9700.0 * (1 / 0.97 - 1) * 0.05
    line, sink = read(engine, "line_power", "drive_temperature")
    assert line == pytest.approx(10e3)
    assert sink == pytest.approx(300 + rise * (1 - math.exp(-1.0)), rel=1e-9)
