"""What all tests share: bounded property tests, and no thread left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "stagetwin",
    deadline=None,
    max_examples=60,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("stagetwin")


@pytest.fixture(autouse=True)
def _no_thread_left_behind() -> Iterator[None]:
    """Fail a test that leaves a thread of its own running; daemons of libraries may stay."""
    before = set(threading.enumerate())
    yield
    left = [t for t in threading.enumerate() if t not in before and not t.daemon and t.is_alive()]
    for thread in left:
        thread.join(timeout=5)
    assert [thread.name for thread in left if thread.is_alive()] == []
