"""Packages of third parties, as an installer leaves their metadata."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["installed_package", "write_metadata"]


def write_metadata(folder: Path, name: str, entry_points: str) -> None:
    """Write what makes a package called so be found once the folder is on the path."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)


@contextmanager
def installed_package(folder: Path, name: str, entry_points: str) -> Iterator[None]:
    """Have a package installed in an empty folder for a while."""
    write_metadata(folder, name, entry_points)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    yield
    sys.path.remove(str(folder))
    importlib.invalidate_caches()
