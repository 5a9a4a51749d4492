"""Clocks: the machine's, one that runs faster, and that of a recording."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stagetwin.clock import AcceleratedClock, Clock, ManualClock, ReplayClock

RECORDED = 1_500_000_000.0


def test_an_accelerated_clock_runs_faster_from_when_it_was_made() -> None:
    base = ManualClock(1000.0)
    base.ticks = 7.0
    clock: Clock = AcceleratedClock(10.0, base)
    assert (clock.rate, clock.wall(), clock.steady()) == (10.0, 1000.0, 7.0)
    base.advance(2.5)
    assert (clock.wall(), clock.steady()) == (1025.0, 32.0)


def test_a_step_of_the_machines_clock_is_none_of_an_accelerated_one() -> None:
    base = ManualClock(1000.0)
    clock = AcceleratedClock(10.0, base)
    base.now -= 3600.0
    assert clock.wall() == 1000.0


def test_times_of_the_machine_are_brought_into_accelerated_time() -> None:
    base = ManualClock(1000.0)
    clock = AcceleratedClock(4.0, base)
    base.advance(1.0)
    times = clock.of(np.array([990.0, 1000.5, 1001.0, math.nan]))
    np.testing.assert_array_equal(times, [990.0, 1002.0, clock.wall(), math.nan])


@pytest.mark.parametrize("rate", [0.0, -1.0, math.inf, math.nan])
def test_a_rate_must_be_positive_and_finite(rate: float) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        AcceleratedClock(rate)


def test_a_replay_shows_the_newest_time_and_stands_still_when_that_does() -> None:
    base = ManualClock()
    clock: Clock = (replay := ReplayClock(base))
    assert (clock.rate, clock.wall(), clock.steady()) == (0.0, base.now, 0.0)
    replay.hear(np.array([RECORDED + 2, RECORDED, math.nan]))
    assert (clock.wall(), clock.steady()) == (RECORDED + 2, 0.0)
    base.advance(100.0)
    assert (clock.wall(), clock.steady()) == (RECORDED + 2, 0.0)
    replay.hear(np.array([RECORDED + 62]))
    assert (clock.wall(), clock.steady()) == (RECORDED + 62, 60.0)


def test_a_replay_never_goes_back() -> None:
    clock = ReplayClock(ManualClock())
    clock.hear(np.array([RECORDED]))
    clock.hear(np.array([RECORDED - 5.0]))
    clock.hear(np.array([math.nan]))
    clock.hear(np.empty(0))
    assert (clock.wall(), clock.steady()) == (RECORDED, 0.0)


def test_a_replay_does_not_believe_a_time_to_come() -> None:
    base = ManualClock()
    clock = ReplayClock(base)
    clock.hear(np.array([RECORDED]))
    clock.hear(np.array([base.now + 3600.0, RECORDED + 1.0, math.inf]))
    assert (clock.wall(), clock.steady()) == (RECORDED + 1.0, 1.0)
