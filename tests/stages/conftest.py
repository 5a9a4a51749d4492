"""Live plants for the tests of the core."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pxr import Usd

from stagetwin.guards import GuardBook
from tests.stages.plants import Plant, stage_of

MakePlant = Callable[..., Plant]


@pytest.fixture
def live() -> Iterator[MakePlant]:
    """Make a plant live from usda text or an open stage; all end with the test."""
    made: list[Plant] = []

    def make(source: str | Usd.Stage, guards: GuardBook | None = None) -> Plant:
        stage = stage_of(source) if isinstance(source, str) else source
        made.append(Plant(stage, guards))
        return made[-1]

    yield make
    for each in reversed(made):
        each.close()
