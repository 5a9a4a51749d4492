"""Watched plants for the tests of alarms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.stages.alarms.watched import Watched

Watch = Callable[..., Watched]


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Watch plants; all end with the test."""
    made: list[Watched] = []

    def make(*args: Any, **fields: Any) -> Watched:
        made.append(Watched(*args, **fields))
        return made[-1]

    yield make
    for each in reversed(made):
        each.close()
