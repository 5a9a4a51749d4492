"""The pace of models: by the service's clock, in bounded work, honest about what is left out."""

from __future__ import annotations

import math

import pytest

from stagetwin_sim.host._pace import MOST_BEHIND, MOST_REPLAYED, Pace
from tests.sim.host.talk import Clock


def test_frames_are_due_as_time_goes_on() -> None:
    clock = Clock()
    pace = Pace(0.05, 1.0, clock)
    pace.start(5000.0, done=0.05)
    assert pace.due(0.05) == 0
    assert pace.wait(0.05) == pytest.approx(0.05)
    clock.now += 0.26
    assert pace.due(0.05) == 5
    assert pace.lag(0.05) == pytest.approx(0.26)
    assert pace.time_of(0.3) == pytest.approx(5000.25)


def test_an_accelerated_clock_makes_more_frames_due() -> None:
    clock = Clock()
    pace = Pace(0.05, 60.0, clock)
    pace.start(0.0)
    clock.now += 1.0
    assert pace.due(0.0) == 1200
    assert pace.wait(60.0) == pytest.approx(0.05 / 60)


def test_the_services_word_counts_where_it_differs_by_much() -> None:
    clock = Clock()
    pace = Pace(0.05, 1.0, clock)
    pace.start(1000.0)
    clock.now += 1.0
    pace.hear(1001.1, done=1.0)
    assert pace.now == pytest.approx(1001.0)
    pace.hear(1004.0, done=1.0)
    assert pace.due(1.0) == 60


def test_time_that_jumps_back_takes_the_engine_with_it() -> None:
    clock = Clock()
    pace = Pace(0.05, 1.0, clock)
    pace.start(1000.0)
    clock.now += 10.0
    pace.hear(400.0, done=10.0)
    assert pace.due(10.0) == 0
    assert pace.time_of(10.0) == 400.0
    clock.now += 0.1
    assert pace.due(10.0) == 2


def test_what_cannot_be_caught_up_is_dropped_and_counted() -> None:
    clock = Clock()
    pace = Pace(0.05, 1.0, clock)
    pace.start(0.0)
    clock.now += MOST_BEHIND
    assert pace.settle(0.0) == 0
    clock.now += 8.0
    assert pace.settle(0.0) == 200
    assert pace.dropped == 200
    assert pace.due(0.0) == 0
    assert pace.time_of(0.0) == pytest.approx(10.0)


def test_where_only_words_move_the_time_each_of_them_counts() -> None:
    clock = Clock()
    pace = Pace(0.05, 0.0, clock)
    pace.start(1000.0)
    clock.now += 100.0
    assert pace.due(0.0) == 0
    assert pace.wait(0.0) == math.inf
    pace.hear(1000.1, done=0.0)
    assert (pace.due(0.0), pace.wait(0.0)) == (2, 0.0)
    pace.hear(1000.0 + MOST_REPLAYED, done=0.0)
    assert pace.settle(0.0) == 0
    pace.hear(1000.1 + MOST_REPLAYED, done=0.0)
    assert pace.settle(0.0) == pace.dropped > 0
