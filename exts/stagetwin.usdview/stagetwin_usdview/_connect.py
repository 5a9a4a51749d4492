"""The line on top of the dock: where the service is, who asks, and how it stands."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from stagetwin_usdview._qt import QtWidgets

__all__ = ["ConnectForm", "read_token"]

_LAMPS = {"live": "#2e9d4e", "connecting": "#b07800", "lost": "#c03030", "refused": "#c03030"}


class ConnectForm(QtWidgets.QWidget):
    """Address and token of a service.

    Attributes:
        button: connects or leaves.
    """

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.url = QtWidgets.QLineEdit(os.environ.get("STAGETWIN_URL", "ws://127.0.0.1:8080"))
        self.url.setAccessibleName("Address of the service")
        self.url.setPlaceholderText("wss://plant.example:8443")
        self.token = QtWidgets.QLineEdit()
        self.token.setEchoMode(QtWidgets.QLineEdit.Password)
        self.token.setAccessibleName("Bearer token")
        self.token.setPlaceholderText("token, or file:/path/to/token")
        if path := os.environ.get("STAGETWIN_TOKEN_FILE"):
            self.token.setText(f"file:{path}")
        self.button = QtWidgets.QPushButton("Connect")
        self._lamp = QtWidgets.QLabel()
        self._lamp.setWordWrap(True)
        grid = QtWidgets.QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(self.url, 0, 0)
        grid.addWidget(self.token, 0, 1)
        grid.addWidget(self.button, 0, 2)
        grid.addWidget(self._lamp, 1, 0, 1, 3)
        grid.setColumnStretch(0, 3)
        grid.setColumnStretch(1, 2)
        self.tell("", "not connected: this stage shows no live data")

    def tell(self, state: str, text: str) -> None:
        """Show how the connection stands, in words and in colour."""
        colour = _LAMPS.get(state, "#808080")
        word = state or "off"
        self._lamp.setText(f"<b style='color:{colour}'>{word}</b>&nbsp; {_plain(text)}")

    def lock(self, connected: bool) -> None:
        """Let the address be changed only while nothing is connected."""
        self.url.setEnabled(not connected)
        self.token.setEnabled(not connected)
        self.button.setText("Leave" if connected else "Connect")

    def secret(self) -> str:
        """Return the token.

        Raises:
            OSError: its file cannot be read, or others can read it.
        """
        text = str(self.token.text()).strip()
        return read_token(text.removeprefix("file:")) if text.startswith("file:") else text


def read_token(path: str) -> str:
    """Return the token that a file holds.

    Raises:
        PermissionError: others than its owner can read it.
        OSError: it cannot be read.
    """
    file = Path(path).expanduser()
    if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise PermissionError(f"{file} must be readable by its owner alone (chmod 600)")
    return file.read_text(encoding="utf-8").strip()


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
