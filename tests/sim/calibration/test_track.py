"""Parameters followed online, and the alarm when one drifts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stagetwin_sim._errors import CalibrationError, SnapshotError
from stagetwin_sim.calibration import Tracker
from stagetwin_sim.engine import Floats
from tests.sim.estimation.small_plants import LAG

TAU, GAIN, NOISE = 8.0, 2.0, 0.02


def tracker(count: int = 3) -> Tracker:
    return Tracker(
        LAG,
        ("tau", "gain"),
        np.repeat([[TAU], [GAIN]], count, axis=1),
        np.zeros((1, count)),
        1.0,
        measurement={"out": NOISE},
        process=np.full((1, count), 0.005),
        walk=1e-3,
        places=[f"/P{i}.m" for i in range(count)],
        substeps=1,
    )


def drive(own: Tracker, rows: range, gains: Floats, state: Floats, seed: int = 0) -> Floats:
    """Run machines whose gains grow to `gains` over the rows; returns their state."""
    for t in rows:
        rng = np.random.default_rng([seed, t])
        share = (t - rows.start) / max(len(rows) - 1, 1)
        gain = GAIN + (gains - GAIN) * share
        u = np.full((1, len(gains)), 1.0 if (t // 25) % 2 else -0.5)
        state = state + (gain * u[0] - state) * (1 - math.exp(-1 / TAU))
        measured = state + rng.normal(0, NOISE, len(gains))
        if t % 7 == 3:
            measured[0] = math.nan
        own.update(u, measured[None])
    return state


def test_it_follows_what_drifts_and_alarms_for_that_alone() -> None:
    own = tracker()
    state = drive(own, range(400), np.full(3, GAIN), np.zeros(3))
    assert own.drifts() == []
    np.testing.assert_allclose(own.values[1], GAIN, rtol=0.02)
    drive(own, range(400, 1200), np.array([GAIN, 1.25 * GAIN, GAIN]), state)
    assert {(d.place, d.parameter) for d in own.drifts()} == {("/P1.m", "gain")}
    drift = own.drifts()[0]
    assert 400 < drift.since < 1000
    assert drift.value == pytest.approx(1.25 * GAIN, rel=0.05)
    assert drift.reference == GAIN
    assert own.values[0, 1] == pytest.approx(TAU, rel=0.1)
    assert own.sigmas[1, 1] < 0.1


def test_a_saved_tracker_goes_on_bit_for_bit() -> None:
    first, second = tracker(), tracker()
    state = drive(first, range(80), np.full(3, GAIN), np.zeros(3))
    second.load(first.save())
    for own in (first, second):
        drive(own, range(80, 160), np.full(3, 2.4), state)
    assert np.array_equal(first.values, second.values)
    assert np.array_equal(first.save()["up"], second.save()["up"])
    with pytest.raises(SnapshotError, match="no saved tracker"):
        tracker(2).load(first.save())


def test_what_cannot_be_followed_is_refused() -> None:
    with pytest.raises(CalibrationError, match="no parameter mass"):
        Tracker(LAG, ("mass",), np.ones((2, 1)), np.zeros((1, 1)), 1.0, measurement={"out": 1.0})
    with pytest.raises(CalibrationError, match="reference of gain is 0"):
        Tracker(
            LAG,
            ("gain",),
            np.array([[1.0], [0.0]]),
            np.zeros((1, 1)),
            1.0,
            measurement={"out": 1.0},
        )
