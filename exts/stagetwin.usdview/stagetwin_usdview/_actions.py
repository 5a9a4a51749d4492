"""What the menu does; imported when it is first used."""

from __future__ import annotations

from typing import Any

from stagetwin_usdview._dock import NAME, TwinDock

__all__ = ["draft_attribute", "draft_moved", "leave", "show"]


def show(usdviewApi: Any) -> None:
    """Show the dock, making it first."""
    (_dock_of(usdviewApi) or TwinDock(usdviewApi)).reveal()


def draft_moved(usdviewApi: Any) -> None:
    """Draft a command from where the selected prim stands."""
    dock = _dock_of(usdviewApi)
    if dock is None:
        usdviewApi.PrintStatus("stagetwin: open the twin's dock first")
    else:
        dock.draft_moved()


def draft_attribute(usdviewApi: Any) -> None:
    """Draft a command from what its selected attribute says."""
    dock = _dock_of(usdviewApi)
    if dock is None:
        usdviewApi.PrintStatus("stagetwin: open the twin's dock first")
    else:
        dock.draft_attribute()


def leave(usdviewApi: Any) -> None:
    """End the connection."""
    dock = _dock_of(usdviewApi)
    if dock is not None:
        dock.leave()


def _dock_of(api: Any) -> TwinDock | None:
    """Return the dock of a window; the window itself keeps it."""
    found = api.qMainWindow.findChild(TwinDock, NAME)
    return found if isinstance(found, TwinDock) else None
