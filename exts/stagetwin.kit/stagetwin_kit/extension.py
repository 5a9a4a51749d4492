"""The extension: begins and ends with Kit, follows the context's stage, ticks once a frame."""

from __future__ import annotations

import time
from typing import Any

import carb
import omni.ext
import omni.usd

from stagetwin import StagetwinError
from stagetwin.sync import LiveSession, ask_session
from stagetwin_kit._hooks import Hook, on_stage_event, on_update
from stagetwin_kit._panel import Panel
from stagetwin_kit._settings import Settings, read_token

__all__ = ["TwinExtension"]

SHOW_EVERY = 0.2
"""Time between two looks of the window at what is known [s]; the stage follows every frame."""


class TwinExtension(omni.ext.IExt):
    """What Kit starts and stops.

    Attributes:
        session: the connection; None while there is none.
        panel: the window; None before the start and after the end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.session: LiveSession | None = None
        self.panel: Panel | None = None
        self._hooks: list[Hook] = []
        self._shown = 0.0
        self._changed: set[str] = set()

    def on_startup(self, ext_id: str) -> None:
        """Make the window and follow the stage; called by Kit."""
        settings = Settings.read()
        self.panel = Panel(settings.url, self)
        self._hooks = [
            *on_stage_event(
                {
                    "OPENED": self._stage_opened,
                    "CLOSING": self.leave,
                    "SELECTION_CHANGED": self._selection_changed,
                }
            ),
            on_update(self.step),
        ]
        if settings.auto_connect and omni.usd.get_context().get_stage() is not None:
            self._connect_by_settings()

    def on_shutdown(self) -> None:
        """End everything that was begun; called by Kit."""
        self._hooks.clear()
        self.leave()
        panel, self.panel = self.panel, None
        if panel is not None:
            panel.destroy()

    # -- connection

    def _stage_opened(self) -> None:
        self.leave()
        if Settings.read().auto_connect:
            self._connect_by_settings()

    def _connect_by_settings(self) -> None:
        settings = Settings.read()
        if settings.url:
            self.connect(settings.url, "")

    def connect(self, url: str, token: str) -> None:
        """Follow a service on the stage that is open; what keeps that from happening is shown.

        Args:
            url: where it listens.
            token: bearer token; empty for the one in the file that the settings name.
        """
        self.leave()
        stage = omni.usd.get_context().get_stage()
        if stage is None:
            self._tell("refused", "open a stage first")
            return
        settings = Settings.read()
        try:
            self.session = LiveSession(
                stage,
                url,
                token=token or read_token(settings.token_file),
                ca_file=settings.ca_file,
                prims=settings.prims,
                rate=settings.rate,
            )
        except (StagetwinError, OSError, ValueError) as error:
            carb.log_warn(f"[stagetwin.kit] {error}")
            self._tell("refused", str(error))
            return
        self._changed = {"values", "alarms", "commands"}
        self._tell("connecting", url)

    def leave(self) -> None:
        """End the connection; the stage is what it was."""
        session, self.session = self.session, None
        if session is not None:
            session.close()
        if self.panel is not None:
            self.panel.clear()

    def _tell(self, state: str, text: str) -> None:
        if self.panel is not None:
            self.panel.tell(state, text)

    # -- every frame

    def step(self) -> None:
        """Bring the stage up to the newest frame, and now and then the window."""
        session, panel = self.session, self.panel
        if session is None or panel is None:
            return
        try:
            summary = session.tick()
        except StagetwinError as error:
            # A stage that cannot be followed must not fail again in every frame.
            carb.log_error(f"[stagetwin.kit] {error}")
            self.leave()
            self._tell("refused", str(error))
            return
        self._changed |= set(summary.changed)
        while session.notices:
            notice = str(session.notices.popleft())
            carb.log_info(f"[stagetwin.kit] {notice}")
            panel.note(notice)
        now = time.monotonic()
        if now - self._shown >= SHOW_EVERY:
            self._shown = now
            changed, self._changed = self._changed, set()
            panel.show(session, summary, self.selected(), changed)

    def _selection_changed(self) -> None:
        self._changed |= {"values", "commands"}

    @staticmethod
    def selected() -> str:
        """Return the path of the first selected prim, `/` where there is none."""
        paths = omni.usd.get_context().get_selection().get_selected_prim_paths()
        return str(paths[0]) if paths else "/"

    @staticmethod
    def select(path: str) -> None:
        """Select a prim."""
        omni.usd.get_context().get_selection().set_selected_prim_paths([path], True)

    # -- what people do

    def ask(self, what: str, subject: str, value: Any = None, reason: str = "") -> None:
        """Do what somebody asks for in the window; a refusal is shown in words."""
        session, panel = self.session, self.panel
        if session is None or panel is None:
            return
        try:
            ask_session(session, what, subject, value, reason, self.selected())
        except StagetwinError as error:
            panel.note(str(error))
        self._changed |= {"commands", "drafts"}
