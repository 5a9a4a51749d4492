"""The dock: what is live of the selection, what is alarmed, and what may be commanded."""

from __future__ import annotations

from typing import Any

from stagetwin import StagetwinError
from stagetwin.sync import LiveSession, ask_session
from stagetwin.values import plain
from stagetwin_usdview._commands import CommandsTab
from stagetwin_usdview._connect import ConnectForm
from stagetwin_usdview._qt import QtCore, QtWidgets
from stagetwin_usdview._tables import Cell, TableModel, table_view

__all__ = ["NAME", "TwinDock"]

NAME = "stagetwinDock"
"""Qt name of the dock, by which its window finds it."""

TICK = 50
"""Time between two looks at the mailbox [ms]: usdview redraws by itself after each."""

_MOST_ROWS = 500


class TwinDock(QtWidgets.QDockWidget):
    """Follows a service on the stage that usdview shows.

    Attributes:
        session: the connection; None while there is none.
    """

    def __init__(self, api: Any) -> None:
        super().__init__("Live twin", api.qMainWindow)
        self.setObjectName(NAME)
        self.session: LiveSession | None = None
        self._api = api
        self._stage: Any = None
        self._prim = "/"
        self.form = ConnectForm()
        self.values = TableModel(("Signal", "Value", "Unit", "Quality", "Age"))
        self.alarms = TableModel(("Alarm", "State", "Priority", "Message"))
        self.commands = CommandsTab()
        self._notices = QtWidgets.QPlainTextEdit()
        self._notices.setReadOnly(True)
        self._notices.setMaximumBlockCount(200)
        self._tabs = QtWidgets.QTabWidget()
        self._values_view = table_view(self.values, "Signals")
        self._values_view.activated.connect(self._select_signal)
        self._alarms_view = table_view(self.alarms, "Alarms")
        self._alarms_view.activated.connect(self._select_alarm)
        self._tabs.addTab(self._values_view, "Signals")
        self._tabs.addTab(self._with_buttons(), "Alarms")
        self._tabs.addTab(self.commands, "Commands")
        self._tabs.addTab(self._notices, "Notices")
        self._where = QtWidgets.QLabel()
        body = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(body)
        for widget in (self.form, self._where, self._tabs):
            column.addWidget(widget)
        self.setWidget(body)
        self.form.button.clicked.connect(self._toggle)
        self.commands.asked.connect(self._do)
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(TICK)
        self._timer.timeout.connect(self.step)

    # -- parts

    def _with_buttons(self) -> Any:
        page = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(page)
        column.addWidget(self._alarms_view)
        button = QtWidgets.QPushButton("Acknowledge")
        button.clicked.connect(self._acknowledge)
        column.addWidget(button)
        return page

    def reveal(self) -> None:
        """Show the dock, on the right where it was never placed."""
        window = self._api.qMainWindow
        if self.parent() is not window or not window.dockWidgetArea(self):
            window.addDockWidget(QtCore.Qt.RightDockWidgetArea, self)
        self.show()
        self.raise_()

    # -- connection

    def _toggle(self) -> None:
        if self.session is None:
            self.connect_to(str(self.form.url.text()).strip())
        else:
            self.leave()

    def connect_to(self, url: str) -> None:
        """Follow a service; what keeps that from happening is said in the dock."""
        self.leave()
        try:
            session = LiveSession(self._api.stage, url, token=self.form.secret())
        except (StagetwinError, OSError, ValueError) as error:
            self.form.tell("refused", str(error))
            return
        self.session, self._stage = session, self._api.stage
        self.form.token.clear()
        self.form.lock(True)
        self.form.tell("connecting", url)
        self._timer.start()

    def leave(self) -> None:
        """End the connection; the stage is what it was."""
        self._timer.stop()
        session, self.session, self._stage = self.session, None, None
        if session is not None:
            session.close()
        self.form.lock(False)
        self.form.tell("", "not connected: this stage shows no live data")
        self.values.show((), ())
        self.alarms.show((), ())
        self.commands.clear()

    def closeEvent(self, event: Any) -> None:
        """Leave when the dock is closed: nothing goes on that nobody sees."""
        self.leave()
        super().closeEvent(event)

    # -- every tick

    def step(self) -> None:
        """Bring the stage up to the newest frame, and the dock with it."""
        session = self.session
        if session is None:
            return
        if self._api.stage is not self._stage:
            # usdview opened another stage; the old one must not be kept alive by us.
            self.leave()
            return
        summary = session.tick()
        said = summary.cause or f"{summary.user or 'anonymous'}, {summary.problems} problems"
        self.form.tell(summary.state, said)
        for notice in _drained(session.notices):
            self._notices.appendPlainText(notice)
            self._api.PrintStatus(f"stagetwin: {notice}")
        prim = self._selected()
        moved, self._prim = prim != self._prim, prim
        self._where.setText(f"<b>{prim}</b>")
        if moved or {"values", "state"} & set(summary.changed):
            self._show_values(session)
        if moved or "alarms" in summary.changed:
            self._show_alarms(session)
        if moved or {"commands", "drafts", "state"} & set(summary.changed):
            self.commands.show_all(
                session.targets(prim), session.drafts(), session.commands(prim), session.others()
            )

    def _selected(self) -> str:
        paths = list(self._api.selectedPaths)
        # The root's own prim path is empty.
        return str(paths[0].GetPrimPath() or "/") if paths else "/"

    def _show_values(self, session: LiveSession) -> None:
        rows = session.rows(self._prim)[:_MOST_ROWS]
        self.values.show(
            [row.path for row in rows],
            [
                (
                    Cell(_below(row.path, row.label, self._prim), tip=row.path),
                    Cell(row.text, row.quality),
                    Cell(_unit(row.unit)),
                    Cell(row.quality, row.quality),
                    Cell(_age(row.age)),
                )
                for row in rows
            ],
        )

    def _show_alarms(self, session: LiveSession) -> None:
        rows = session.alarms("/")
        self.alarms.show(
            [str(row["id"]) for row in rows],
            [
                (
                    Cell(f"{row['prim']}.{row['name']}"),
                    Cell(str(row["state"])),
                    Cell(str(row["priority"]), str(row["priority"])),
                    Cell(str(row.get("message") or row.get("cause") or "")),
                )
                for row in rows
            ],
        )
        self._tabs.setTabText(1, f"Alarms ({len(rows)})" if rows else "Alarms")

    # -- what people do

    def _select_signal(self, index: Any) -> None:
        self._select(self.values.key(index).rpartition(".")[0])

    def _select_alarm(self, index: Any) -> None:
        session, key = self.session, self.alarms.key(index)
        if session is not None:
            for row in session.alarms("/"):
                if str(row["id"]) == key:
                    self._select(str(row["prim"]))

    def _select(self, path: str) -> None:
        prim = self._api.stage.GetPrimAtPath(path) if path else None
        if prim:
            self._api.dataModel.selection.setPrim(prim)

    def _acknowledge(self) -> None:
        key = self.alarms.key(self._alarms_view.currentIndex())
        if self.session is not None and key:
            self.session.acknowledge(key)

    def draft_moved(self) -> None:
        """Draft a command from where the selected prim stands."""
        if self.session is None:
            self._api.PrintStatus("stagetwin: connect first")
            return
        self._do("move", self.commands.chosen, None, "")
        self._tabs.setCurrentWidget(self.commands)

    def draft_attribute(self) -> None:
        """Draft a command from what its selected `desired` attribute says on this stage."""
        for path in self._api.dataModel.selection.getPropPaths():
            parts = str(path.name).split(":")
            if parts[:2] == ["twin", "command"] and parts[3:] == ["desired"]:
                value = self._api.stage.GetAttributeAtPath(path).Get()
                if value is not None:
                    self._do("draft", f"{path.GetPrimPath()}.{parts[2]}", plain(value), "")
                    self._tabs.setCurrentWidget(self.commands)
                    return
        self._api.PrintStatus("stagetwin: select a twin:command:...:desired that has a value")

    def _do(self, what: str, subject: str, value: Any, reason: str) -> None:
        session = self.session
        if session is None:
            return
        try:
            ask_session(session, what, subject, value, reason, self._selected())
        except StagetwinError as error:
            self._notices.appendPlainText(str(error))
            self._api.PrintStatus(f"stagetwin: {error}")


def _drained(notices: Any) -> list[str]:
    found = []
    while notices:
        found.append(str(notices.popleft()))
    return found


def _age(seconds: float) -> str:
    if not 0 <= seconds < float("inf"):
        return "never"
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.0f} min"


def _below(path: str, label: str, prim: str) -> str:
    """Return how a signal is called below a prim: by its label there, by the way to it deeper."""
    owner = path.rpartition(".")[0]
    way = owner.removeprefix(prim).lstrip("/")
    return label if owner == prim else f"{way}.{label}"


def _unit(unit: str) -> str:
    return "" if unit == "1" else unit  # UCUM's word for a plain number
