"""One person's questions take a share of the service's time, and no more."""

from __future__ import annotations

import pytest

from stagetwin import ServiceError
from stagetwin.service import _allowance
from stagetwin.service._allowance import (
    AT_ONCE,
    PUBLISHED_A_SECOND,
    PUBLISHED_AT_ONCE,
    SHARE,
    Allowance,
    Pace,
)


class Watch:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    turned = Watch()
    monkeypatch.setattr(_allowance, "time", turned)
    return turned


def take(allowance: Allowance, watch: Watch, name: str, seconds: float) -> None:
    with allowance.spent_by(name):
        watch.now += seconds


def fail(allowance: Allowance, watch: Watch) -> None:
    with allowance.spent_by("eve"):
        watch.now += 1.0
        raise LookupError


def test_who_asks_for_too_much_waits_and_nobody_else_does(watch: Watch) -> None:
    allowance = Allowance()
    take(allowance, watch, "eve", AT_ONCE + 0.5)
    with pytest.raises(ServiceError, match="more than may be answered"):
        take(allowance, watch, "eve", 0.1)
    take(allowance, watch, "ada", 0.1)
    watch.now += 0.6 / SHARE
    take(allowance, watch, "eve", 0.05)


def test_a_share_of_the_time_is_always_there(watch: Watch) -> None:
    allowance = Allowance()
    for _ in range(200):
        take(allowance, watch, "ada", 0.04)
        watch.now += 0.04 / SHARE
    assert watch.now > 100.0 + 200 * 0.4


def test_a_failed_answer_counts_as_well(watch: Watch) -> None:
    allowance = Allowance()
    for _ in range(2):
        with pytest.raises(LookupError):
            fail(allowance, watch)
    with pytest.raises(ServiceError):
        take(allowance, watch, "eve", 0.0)


def test_what_is_remembered_is_bounded(watch: Watch) -> None:
    allowance = Allowance()
    for number in range(_allowance.MAX_PEOPLE + 50):
        take(allowance, watch, f"p{number}", 0.0)
    assert len(allowance._left) == _allowance.MAX_PEOPLE


def test_publishing_has_a_pace_for_each_person(watch: Watch) -> None:
    pace = Pace()
    for _ in range(int(PUBLISHED_AT_ONCE)):
        pace.count("eve")
    with pytest.raises(ServiceError, match="commands a second"):
        pace.count("eve")
    pace.count("ada")
    watch.now += 1 / PUBLISHED_A_SECOND
    pace.count("eve")
