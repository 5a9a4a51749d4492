"""A broker that devices hang on, and who commands them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stagetwin_bridges.broker import LocalBroker
from tests.bridges.devices.commanding import TestCommander


@pytest.fixture(scope="module")
def broker() -> Iterator[LocalBroker]:
    with LocalBroker("mosquitto") as each:
        yield each


@pytest.fixture
def commander(broker: LocalBroker) -> Iterator[TestCommander]:
    with TestCommander(broker) as client:
        yield client
