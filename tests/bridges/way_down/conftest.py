"""A broker with devices behind it, for each test of the way down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stagetwin_bridges.broker import LocalBroker
from tests.bridges.way_down.field import Field


@pytest.fixture
def broker() -> Iterator[LocalBroker]:
    """A mosquitto of the test's own, which it may kill."""
    with LocalBroker("mosquitto") as running:
        yield running


@pytest.fixture
def field(broker: LocalBroker) -> Iterator[Field]:
    """Devices that obey."""
    with Field(broker) as devices:
        yield devices


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A folder that only its user may enter."""
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    return folder
