"""One browser for all tests of the viewer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.exts.web.browsers import chromium_browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Headless Chromium."""
    with chromium_browser() as browser:
        yield browser
