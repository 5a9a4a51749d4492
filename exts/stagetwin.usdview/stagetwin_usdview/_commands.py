"""The tab of commands: draft a setpoint, publish it, watch it come true, approve another's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from stagetwin_usdview._qt import QtCore, QtWidgets
from stagetwin_usdview._tables import Cell, TableModel, table_view

__all__ = ["CommandsTab"]

_NO_SAFETY = "Best effort, and no safety function: use the machine's own emergency stop."


class CommandsTab(QtWidgets.QWidget):
    """Shows targets, drafts and commands, and says what somebody asks for.

    Attributes:
        asked: signal (what, subject, value, reason).
        chosen: path of the command that is chosen, or empty.
    """

    asked = QtCore.Signal(str, str, object, str)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._targets: list[Mapping[str, Any]] = []
        self.target = QtWidgets.QComboBox()
        self.target.setAccessibleName("Command")
        self.value = QtWidgets.QLineEdit()
        self.value.setAccessibleName("Drafted value")
        self.reason = QtWidgets.QLineEdit()
        self.reason.setPlaceholderText("why, for the record")
        self.reason.setAccessibleName("Reason")
        self._state = QtWidgets.QLabel()
        self._state.setWordWrap(True)
        self.draft, self.publish = QtWidgets.QPushButton("Draft"), QtWidgets.QPushButton("Publish")
        self.withdraw = QtWidgets.QPushButton("Withdraw")
        self.rows = TableModel(("Command", "Value", "State", "Author", "Cause"))
        self.view = table_view(self.rows, "Commands and their states")
        self.approve, self.deny = QtWidgets.QPushButton("Approve"), QtWidgets.QPushButton("Deny")
        self.halt = QtWidgets.QPushButton("Stop request")
        self.halt.setToolTip(_NO_SAFETY)
        self._hashes: dict[str, str] = {}
        self._lay_out()
        self.target.currentIndexChanged.connect(lambda _: self._tell_target())
        self.draft.clicked.connect(self._ask_draft)
        self.value.returnPressed.connect(self._ask_draft)
        self.publish.clicked.connect(lambda: self._ask("publish"))
        self.withdraw.clicked.connect(lambda: self._ask("withdraw"))
        self.approve.clicked.connect(lambda: self._decide("approve"))
        self.deny.clicked.connect(lambda: self._decide("deny"))
        self.halt.clicked.connect(self._ask_halt)

    def _lay_out(self) -> None:
        form = QtWidgets.QFormLayout()
        form.addRow("Command", self.target)
        form.addRow("Value", self.value)
        form.addRow("Reason", self.reason)
        buttons = QtWidgets.QHBoxLayout()
        for button in (self.draft, self.publish, self.withdraw):
            buttons.addWidget(button)
        decide = QtWidgets.QHBoxLayout()
        for button in (self.approve, self.deny, self.halt):
            decide.addWidget(button)
        column = QtWidgets.QVBoxLayout(self)
        column.addLayout(form)
        column.addWidget(self._state)
        column.addLayout(buttons)
        column.addWidget(self.view)
        column.addLayout(decide)

    @property
    def chosen(self) -> str:
        """Path of the command that is chosen."""
        return str(self.target.currentData() or "")

    def clear(self) -> None:
        """Show nothing."""
        self.show_all((), (), (), ())

    def show_all(
        self,
        targets: Sequence[Mapping[str, Any]],
        drafts: Sequence[Any],
        commands: Sequence[Mapping[str, Any]],
        others: Sequence[Any],
    ) -> None:
        """Show what can be commanded, what is drafted by whom, and what became of it."""
        paths = [str(target["path"]) for target in targets]
        if paths != [str(target["path"]) for target in self._targets]:
            chosen = self.chosen
            self.target.blockSignals(True)
            self.target.clear()
            for target in targets:
                self.target.addItem(str(target["label"] or target["path"]), str(target["path"]))
            self.target.setCurrentIndex(max(self.target.findData(chosen), 0 if paths else -1))
            self.target.blockSignals(False)
        self._targets = list(targets)
        self._drafts = {draft.command: draft for draft in drafts}
        self._others = {ghost.target: ghost for ghost in others}
        self._tell_target()
        self._hashes = {str(row["id"]): str(row.get("hash", "")) for row in commands}
        self.rows.show(
            [str(row["id"]) for row in commands],
            [
                (
                    Cell(str(row["target"])),
                    Cell(_measured(row["value"], row["unit"])),
                    Cell(str(row["state"]), _mood(str(row["state"]))),
                    Cell(str(row["author"])),
                    Cell(str(row["cause"]), tip=str(row["cause"])),
                )
                for row in commands
            ],
        )

    def _tell_target(self) -> None:
        target = next((t for t in self._targets if t["path"] == self.chosen), None)
        for widget in (self.value, self.draft, self.publish, self.withdraw):
            widget.setEnabled(target is not None)
        if target is None:
            self._state.setText("Nothing at or below the selection can be commanded.")
            return
        draft = self._drafts.get(self.chosen)
        self.publish.setEnabled(draft is not None)
        self.withdraw.setEnabled(draft is not None)
        desired, reported = target.get("desired"), target.get("reported")
        lines = [
            f"desired {_said(desired)}, reported {_measured(reported, target['unit'])}, "
            f"{_allowed(target)}approval {target['approval']}"
        ]
        if draft is not None:
            cause = f": {draft.cause}" if draft.cause else ""
            lines.append(f"draft {_said(draft.value)}, {draft.state}{cause}")
        if (other := self._others.get(self.chosen)) is not None:
            lines.append(f"{other.user} considers {_said(other.value)}")
        self._state.setText("\n".join(lines))

    # -- what people do

    def _ask(self, what: str) -> None:
        if self.chosen:
            self.asked.emit(what, self.chosen, None, str(self.reason.text()))

    def _ask_draft(self) -> None:
        text = str(self.value.text()).strip()
        if not self.chosen or not text:
            return
        try:
            value = json.loads(text)
        except ValueError:
            value = text  # a token or a string, as somebody types it
        self.asked.emit("draft", self.chosen, value, "")

    def _decide(self, what: str) -> None:
        command = self.rows.key(self.view.currentIndex())
        if command:
            reason = str(self.reason.text())
            self.asked.emit(what, command, self._hashes.get(command, ""), reason)

    def _ask_halt(self) -> None:
        answer = QtWidgets.QMessageBox.question(
            self, "Stop request", f"Send every command below the selection to safe?\n\n{_NO_SAFETY}"
        )
        if answer == QtWidgets.QMessageBox.Yes:
            self.asked.emit("halt", "", None, "")


def _measured(value: Any, unit: str) -> str:
    """Return a value with its unit, which a text or a count has none of."""
    return _said(value) if unit == "1" else f"{_said(value)} {unit}"


def _allowed(target: Mapping[str, Any]) -> str:
    """Return what a command may be asked for, nothing where that is not bounded."""
    low, high = target.get("min"), target.get("max")
    if low is None and high is None:
        return ""
    return f"allowed [{'-inf' if low is None else low}, {'inf' if high is None else high}], "


def _said(value: Any) -> str:
    """Return a value as people read it: six figures tell a machine's number."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return f"({', '.join(map(_said, value))})"
    return "unknown" if value is None else json.dumps(value, ensure_ascii=False)


def _mood(state: str) -> str:
    if state in ("UNVERIFIED", "FAILED"):
        return "bad"
    return "good" if state == "VERIFIED" else "uncertain"
