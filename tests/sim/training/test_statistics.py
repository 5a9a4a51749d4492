"""Intervals are those of the books."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagetwin_sim.training import bootstrap, wilson


def test_wilson_agrees_with_published_figures() -> None:
    # Newcombe, Two-sided confidence intervals for the single proportion, 1998, table I, method 3.
    for successes, trials, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        found = wilson(successes, trials)
        assert found.low == pytest.approx(low, abs=5e-5)
        assert found.high == pytest.approx(high, abs=5e-5)


@given(st.integers(0, 500), st.integers(0, 500))
def test_wilson_is_within_bounds_and_around_the_share(a: int, b: int) -> None:
    successes, trials = min(a, b), max(a, b)
    found = wilson(successes, trials)
    assert 0.0 <= found.low <= found.high <= 1.0
    if trials:
        assert found.low - 1e-12 <= found.value <= found.high + 1e-12
        assert found.value == successes / trials


def test_wilson_refuses_what_cannot_be() -> None:
    assert math.isnan(wilson(0, 0).value)
    for successes in (-1, 3):
        with pytest.raises(ValueError, match=r"within \[0, 2\]"):
            wilson(successes, 2)


def test_bootstrap_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for k in range(200):
        found = bootstrap(rng.normal(3.0, 1.0, 40), rounds=400, seed=k)
        covered += found.low <= 3.0 <= found.high
    assert 180 <= covered <= 200
    assert bootstrap([2.0, 2.0, math.nan]) == (2.0, 2.0, 2.0)
    assert math.isnan(bootstrap([]).low)
