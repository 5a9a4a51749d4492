"""Identifiers: RFC 9562 version 7, rising within a process."""

from __future__ import annotations

import threading
import time
import uuid

import pytest

from stagetwin import identifiers
from stagetwin.identifiers import uuid7


def test_it_is_a_version_7_of_now() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(uuid7())
    after = time.time_ns() // 1_000_000
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    # Others of this process may have run the time of the newest one on by a little.
    assert before <= made.int >> 80 <= after + 1000
    assert str(made) == str(made).lower()


def test_each_is_greater_than_the_one_before() -> None:
    made = [uuid7() for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_threads_share_none() -> None:
    made: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: made.append([uuid7() for _ in range(2000)]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(each == sorted(each) for each in made)
    assert len(set().union(*made)) == 8000


def test_a_clock_that_steps_back_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first = uuid7()
    monkeypatch.setattr(identifiers.time, "time_ns", lambda: 1_000_000_000)
    assert first < uuid7() < uuid7()


def test_a_counter_that_is_full_borrows_the_next_millisecond(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moment = identifiers._newest[0] + 5
    monkeypatch.setattr(identifiers, "_newest", (moment, (1 << 42) - 1))
    monkeypatch.setattr(identifiers.time, "time_ns", lambda: moment * 1_000_000)
    made = uuid.UUID(uuid7())
    assert made.int >> 80 == moment + 1
    assert made.version == 7
    assert str(made) < uuid7()
