"""One running plant for all tests of the gateway; tests that break something make their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stages.gateway.house import House


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A plant with people, on plain loopback."""
    house = House(tmp_path_factory.mktemp("house"))
    yield house
    house.close()
