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


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let tests that are measured by the clock run by themselves, and all others side by side."""
    parser.addoption(
        "--side-by-side",
        choices=("all", "only", "never"),
        default="all",
        help="only: leave out the tests marked `alone`; never: run these alone.",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the other run of `make test` runs."""
    asked = config.getoption("--side-by-side")
    if asked == "all":
        return
    left_out = [i for i in items if (i.get_closest_marker("alone") is None) != (asked == "only")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


@pytest.fixture(autouse=True)
def _no_thread_left_behind() -> Iterator[None]:
    """Fail a test that leaves a thread of its own running; daemons of libraries may stay."""
    before = set(threading.enumerate())
    yield
    left = [t for t in threading.enumerate() if t not in before and not t.daemon and t.is_alive()]
    for thread in left:
        thread.join(timeout=5)
    assert [thread.name for thread in left if thread.is_alive()] == []
