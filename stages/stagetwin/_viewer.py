"""Where the browser viewer's files are."""

from __future__ import annotations

from pathlib import Path

__all__ = ["viewer_folder"]


def viewer_folder() -> Path | None:
    """Return the folder of the browser viewer; None where this installation has none.

    The source tree goes first: an editable install may have left an old copy behind.
    """
    package = Path(__file__).resolve().parent
    places = (package.parents[1] / "exts" / "stagetwin.web" / "static", package / "viewer")
    return next((folder for folder in places if (folder / "index.html").is_file()), None)
