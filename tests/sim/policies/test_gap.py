"""A gap report finds the bias, the delay and the drift that were put in."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from stagetwin_sim._errors import PolicyError
from stagetwin_sim.policies import (
    Trajectory,
    draw_gap,
    gap_markdown,
    gap_table,
    measure_gap,
    read_trajectory,
)

Floats = npt.NDArray[np.float64]
TIME = np.arange(0.0, 40.0, 0.05)


def wave(time: Floats) -> Floats:
    return np.sin(0.7 * time) + 0.4 * np.sin(2.3 * time + 1.0)


@given(st.floats(-2.0, 2.0), st.floats(-1.0, 1.0))
def test_bias_and_drift_are_those_of_the_prediction(bias: float, drift: float) -> None:
    recorded = Trajectory(TIME, {"speed": wave(TIME)})
    predicted = Trajectory(TIME, {"speed": wave(TIME) + bias + drift * (TIME - TIME.mean())})
    (gap,) = measure_gap(recorded, predicted).signals
    assert gap.bias == pytest.approx(bias, abs=1e-9)
    assert gap.drift == pytest.approx(drift, abs=1e-9)
    expected = math.sqrt(bias**2 + drift**2 * float(TIME.var()))
    assert gap.rmse == pytest.approx(expected, abs=1e-9)


@given(st.floats(-0.9, 0.9))
def test_a_delay_is_found_to_a_part_of_a_step(delay: float) -> None:
    recorded = Trajectory(TIME, {"speed": wave(TIME - delay)})
    predicted = Trajectory(TIME, {"speed": wave(TIME)})
    (gap,) = measure_gap(recorded, predicted).signals
    assert gap.delay == pytest.approx(delay, abs=0.02)
    assert gap.correlation > 0.99


def test_power_that_is_missing_shows_in_its_band() -> None:
    slow, fast = np.sin(2.0 * math.pi * 0.1 * TIME), np.sin(2.0 * math.pi * 2.0 * TIME)
    recorded = Trajectory(TIME, {"speed": slow + 0.5 * fast})
    predicted = Trajectory(TIME, {"speed": slow + fast})
    (gap,) = measure_gap(recorded, predicted).signals
    assert gap.spectrum[0] == pytest.approx(1.0, rel=0.01)
    assert gap.spectrum[2] == pytest.approx(0.25, rel=0.01)


def test_other_steps_and_times_are_brought_together() -> None:
    later = np.arange(5.0, 60.0, 0.11)
    gap = measure_gap(
        Trajectory(TIME, {"x": wave(TIME), "only here": TIME}),
        Trajectory(later, {"x": wave(later), "only there": later}),
    )
    assert gap.missing == ("only here", "only there")
    assert gap.step == pytest.approx(0.11)
    assert gap.seconds == pytest.approx(34.95, abs=0.11)
    assert gap.signals[0].rmse < 0.01


def test_headings_that_go_round_do_not_jump() -> None:
    turned = 0.4 * TIME
    wrapped = math.pi - (math.pi - turned) % (2.0 * math.pi)
    gap = measure_gap(
        Trajectory(TIME, {"theta": wrapped}), Trajectory(TIME, {"theta": turned + 0.1})
    )
    assert gap.signals[0].rmse == pytest.approx(0.1, abs=1e-6)


def test_a_signal_that_stands_has_no_delay() -> None:
    still = Trajectory(TIME, {"x": np.ones_like(TIME)})
    (gap,) = measure_gap(still, still).signals
    assert math.isnan(gap.delay)
    assert gap.rmse == 0.0
    assert measure_gap(still, still).to_json()["signals"]["x"]["delay"] is None


def test_it_is_shown_as_a_table_and_a_picture(tmp_path: Path) -> None:
    gap = measure_gap(
        Trajectory(TIME, {"x": wave(TIME), "y": wave(TIME + 1.0)}),
        Trajectory(TIME, {"x": wave(TIME) + 0.5, "y": wave(TIME)}),
        label="sim-to-sim",
    )
    assert gap_table(gap).row_count == 2
    narrow = Console(file=io.StringIO(), width=80)
    narrow.print(gap_table(gap))
    assert isinstance(narrow.file, io.StringIO)
    shown = narrow.file.getvalue()
    assert "…" not in shown, "figures are not cut short on a terminal of 80 columns"
    assert "[s]" in shown, "units of titles are no markup"
    text = gap_markdown(gap)
    assert "sim-to-sim" in text
    assert "| x | 0.5 | 0.5 |" in text
    assert draw_gap(gap, tmp_path / "gap.png").read_bytes()[:4] == b"\x89PNG"


def test_tables_are_read_and_what_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("time,x\n0,1\n0.1,\n0.2,3\n")
    found = read_trajectory(file)
    assert found.time.tolist() == [0.0, 0.1, 0.2]
    assert math.isnan(found.signals["x"][1])
    for text, words in (
        ("t,x\n0,1\n", "no column 'time'; there are t, x"),
        ("time,x\n0,a\n", "no table"),
        ("", "no table"),
        ("time,x\n0,1\n1\n", "no table"),
    ):
        file.write_text(text)
        with pytest.raises(PolicyError, match=words):
            read_trajectory(file)
    with pytest.raises(PolicyError, match="at least 8 rows"):
        measure_gap(found, found)
    with pytest.raises(PolicyError, match="no signal in common"):
        measure_gap(Trajectory(TIME, {"x": TIME}), Trajectory(TIME, {"y": TIME}))
    with pytest.raises(PolicyError, match="in common, at least 8 rows"):
        measure_gap(Trajectory(TIME, {"x": TIME}), Trajectory(TIME + 100.0, {"x": TIME}))
