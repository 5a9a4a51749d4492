"""Tables of the dock: rows that change in place, so that selection and scroll stay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stagetwin_usdview._qt import QtCore, QtGui, QtWidgets

__all__ = ["Cell", "TableModel", "table_view"]

_Index = QtCore.QModelIndex

COLOURS = {
    "good": None,
    "uncertain": "#b07800",
    "bad": "#c03030",
    "stale": "#808080",
    "critical": "#c03030",
    "high": "#c06000",
    "medium": "#b07800",
    "low": "#3070c0",
}
"""Words are always beside the colour."""


class Cell(str):
    """Text of one cell, with the mood it is in (a quality or a priority) and a longer text."""

    mood: str
    tip: str

    def __new__(cls, text: str, mood: str = "", tip: str = "") -> Cell:
        """Make a cell."""
        cell = super().__new__(cls, text)
        cell.mood, cell.tip = mood, tip
        return cell


class TableModel(QtCore.QAbstractTableModel):
    """Rows of cells, each row with a key that outlives it."""

    def __init__(self, headers: Sequence[str], parent: Any = None) -> None:
        super().__init__(parent)
        self._headers = list(headers)
        self._keys: list[str] = []
        self._rows: list[list[Cell]] = []

    def show(self, keys: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Show these rows; where the keys are the same only texts change."""
        if list(keys) != self._keys:
            self.beginResetModel()
            self._keys, self._rows = list(keys), [list(row) for row in rows]
            self.endResetModel()
            return
        for number, (old, new) in enumerate(zip(self._rows, rows, strict=True)):
            if old != list(new) or any(a.mood != b.mood for a, b in zip(old, new, strict=True)):
                self._rows[number] = list(new)
                last = len(self._headers) - 1
                self.dataChanged.emit(self.index(number, 0), self.index(number, last))

    def key(self, index: Any) -> str:
        """Return the key of a row, empty where there is none."""
        row = index.row()
        return self._keys[row] if 0 <= row < len(self._keys) else ""

    # -- Qt's names

    def rowCount(self, parent: Any = None) -> int:
        """See Qt."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, parent: Any = None) -> int:
        """See Qt."""
        return 0 if parent is not None and parent.isValid() else len(self._headers)

    def headerData(self, section: int, orientation: Any, role: int = 0) -> Any:
        """See Qt."""
        if role == QtCore.Qt.DisplayRole and orientation == QtCore.Qt.Horizontal:
            return self._headers[section]
        return None

    def data(self, index: Any, role: int = 0) -> Any:
        """See Qt."""
        if not index.isValid():
            return None
        cell = self._rows[index.row()][index.column()]
        if role == QtCore.Qt.DisplayRole:
            return str(cell)
        if role == QtCore.Qt.ToolTipRole:
            return cell.tip or None
        if role == QtCore.Qt.ForegroundRole and COLOURS.get(cell.mood):
            return QtGui.QBrush(QtGui.QColor(COLOURS[cell.mood]))
        return None


def table_view(model: TableModel, name: str) -> Any:
    """Return a view of whole rows, as wide as their texts; `name` is for screen readers."""
    view = QtWidgets.QTableView()
    view.setModel(model)
    view.setAccessibleName(name)
    view.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectRows)
    view.setSelectionMode(QtWidgets.QAbstractItemView.SingleSelection)
    view.setEditTriggers(QtWidgets.QAbstractItemView.NoEditTriggers)
    view.setWordWrap(False)
    view.setAlternatingRowColors(True)
    view.verticalHeader().hide()
    view.verticalHeader().setDefaultSectionSize(view.fontMetrics().height() + 8)
    header = view.horizontalHeader()
    header.setSectionResizeMode(QtWidgets.QHeaderView.ResizeToContents)
    # Looking at the first rows alone keeps a list of thousands quick.
    header.setResizeContentsPrecision(50)
    # One long array must not push every other column out of sight.
    header.setMaximumSectionSize(22 * view.fontMetrics().height())
    header.setStretchLastSection(True)
    return view
