"""The monitor of a pump."""

from __future__ import annotations

import pytest

from stagetwin_sim.process import PUMP_MONITOR
from tests.sim.process.alone import alone, read


def test_hydraulic_power_is_litres_a_minute_times_bar_over_600() -> None:
    litres, bar = 834.0, 3.4
    given = {
        "flow": litres / 60e3,
        "suction_pressure": 0.2e5,
        "discharge_pressure": (0.2 + bar) * 1e5,
        "power": 7000.0,
    }
    engine = alone(PUMP_MONITOR, inputs=given).engine()
    engine.step()
    hydraulic, efficiency, head = read(engine, "hydraulic_power", "efficiency", "head")
    assert hydraulic / 1000 == pytest.approx(litres * bar / 600, rel=1e-12)
    assert efficiency == pytest.approx(litres * bar / 600 / 7.0, rel=1e-12)
    assert head == pytest.approx(bar * 1e5 / (998.2 * 9.80665), rel=1e-12)


@pytest.mark.parametrize("share", [0.5, 0.8, 1.0])
def test_a_sound_pump_is_at_one_at_every_speed_and_a_worn_one_below(share: float) -> None:
    flow, rise = 0.0139 * share, 3e5 * share**2
    sound = flow * rise / (0.75 * 0.9)
    given = {"flow": flow, "discharge_pressure": rise, "speed": 303.7 * share, "power": sound}
    engine = alone(PUMP_MONITOR, [{}, {}], [given, {**given, "power": sound / 0.85}]).engine()
    engine.step()
    names = ("efficiency_ratio", "nominal_efficiency", "judged")
    assert read(engine, *names) == pytest.approx([1.0, 0.675, 1.0], rel=1e-12)
    assert read(engine, *names, machine=1)[0] == pytest.approx(0.85, rel=1e-12)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"power": 5000.0},
        {"power": 5000.0, "flow": 0.001, "discharge_pressure": 3e5},
        {"power": 5000.0, "flow": 0.0139, "discharge_pressure": 3e5, "speed": 0.0},
        {"power": 5000.0, "flow": 0.0139 * 1.99, "discharge_pressure": 3e5},
        {"power": 10.0, "flow": 0.0139, "discharge_pressure": 3e5},
    ],
)
def test_what_says_nothing_is_not_judged(given: dict[str, float]) -> None:
    engine = alone(PUMP_MONITOR, inputs=given).engine()
    engine.step()
    engine.check()
    assert read(engine, "efficiency_ratio", "judged") == [1.0, 0.0]
