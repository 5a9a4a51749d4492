"""Command desks for the tests of the command path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stages.commands.desk import Desk, pump, running

Open = Callable[..., Desk]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Open desks in one folder; all end with the test."""
    made: list[Desk] = []

    def make(text: str = "", **fields: Any) -> Desk:
        made.append(running(text or pump(), tmp_path, **fields))
        return made[-1]

    yield make
    for desk in reversed(made):
        desk.close()


@pytest.fixture
def desk(opened: Open) -> Desk:
    """A desk with one pump at 1000 rpm."""
    return opened()
