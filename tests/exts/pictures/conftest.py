"""Chromium for pictures, and Storm to compare them with."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
STORM = ROOT / ".storm" / "bpy" / "5.0" / "python" / "lib" / "python3.11" / "site-packages"


@pytest.fixture(scope="session")
def chromium() -> str:
    """Chromium's program."""
    return _part(shutil.which("chromium") or shutil.which("google-chrome"), "Chromium", "browser")


@pytest.fixture(scope="session")
def storm_paths(display: str) -> list[str]:
    """Where a process that draws by Storm finds its modules; it needs a display."""
    assert display
    here = (sys.version_info[:2], sys.platform, platform.machine())
    if here != ((3, 11), "linux", "x86_64"):
        pytest.skip("Storm's wheel is for Python 3.11 on 64-bit Linux")
    storm = _part(str(STORM) if STORM.is_dir() else None, "Storm", "storm")
    return [storm, sysconfig.get_paths()["purelib"]]


def _part(found: str | None, what: str, part: str) -> str:
    if found is not None:
        return found
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing; .ci/system-parts {part} brings it")
    pytest.skip(f"{what} is not installed")
