"""Kinds of models that a third party installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packages import installed_package
from tests.sim.futures.kinds import ENTRY_POINTS


@pytest.fixture(scope="package", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Install the kinds of the tests; returns the folder of the package's metadata."""
    folder = tmp_path_factory.mktemp("site")
    with installed_package(folder, "testbasins", ENTRY_POINTS):
        yield folder
