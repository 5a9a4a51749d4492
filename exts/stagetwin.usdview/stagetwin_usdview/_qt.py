"""Qt as this usdview has it: PySide6, or PySide2 in older builds."""

from __future__ import annotations

from typing import Any

from pxr.Usdviewq import qt

__all__ = ["QtCore", "QtGui", "QtWidgets"]

_qt: Any = qt  # whose names depend on the build
QtCore: Any = _qt.QtCore
QtGui: Any = _qt.QtGui
QtWidgets: Any = _qt.QtWidgets
