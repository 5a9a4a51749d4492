"""The window: what is live of the selection, what is alarmed, and what may be commanded."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

import omni.ui as ui

__all__ = ["Actions", "Panel"]

_TITLE = "Live twin"
_MOST_ROWS = 200
_NO_SAFETY = "Best effort, and no safety function: use the machine's own emergency stop."
_COLOURS = {
    "live": 0xFF6CC05A,
    "good": 0xFFD8D8D8,
    "uncertain": 0xFF30B0E0,
    "connecting": 0xFF30B0E0,
    "bad": 0xFF5050E0,
    "lost": 0xFF5050E0,
    "refused": 0xFF5050E0,
    "stale": 0xFF909090,
}
"""As Kit writes colours: alpha, blue, green, red. Words always stand beside them."""


class Actions(Protocol):
    """What the window asks of the extension."""

    def connect(self, url: str, token: str) -> None:
        """Follow a service."""

    def leave(self) -> None:
        """End the connection."""

    def ask(self, what: str, subject: str, value: Any = None, reason: str = "") -> None:
        """Draft, publish, withdraw, approve, deny, halt, acknowledge or move."""

    def select(self, path: str) -> None:
        """Select a prim."""


class Panel:
    """Shows a session and passes on what people do.

    Lists are rebuilt when what they list changes; texts change in place.
    """

    def __init__(self, url: str, actions: Actions) -> None:
        self._actions = actions
        self._rows: list[Any] = []
        self._texts: dict[str, tuple[Any, Any]] = {}
        self._alarms: list[Mapping[str, Any]] = []
        self._targets: list[Mapping[str, Any]] = []
        self._commands: list[Mapping[str, Any]] = []
        self._drafts: dict[str, Any] = {}
        self._notes: deque[str] = deque(maxlen=8)
        self._fields: dict[str, str] = {}
        self._window = ui.Window(_TITLE, width=420, height=640)
        with self._window.frame, ui.ScrollingFrame(), ui.VStack(spacing=6, height=0):
            with ui.HStack(height=24, spacing=4):
                self._url = ui.StringField()
                self._url.model.set_value(url)
                self._token = ui.StringField(password_mode=True, width=110)
                ui.Button("Connect", width=70, clicked_fn=self._connect)
                ui.Button("Leave", width=56, clicked_fn=actions.leave)
            self._state = ui.Label("", height=20, word_wrap=True)
            self._where = ui.Label("", height=20)
            with ui.CollapsableFrame("Signals"):
                self._values_frame = ui.Frame(build_fn=self._build_values)
            with ui.CollapsableFrame("Alarms"):
                self._alarms_frame = ui.Frame(build_fn=self._build_alarms)
            with ui.CollapsableFrame("Commands"):
                self._commands_frame = ui.Frame(build_fn=self._build_commands)
            self._noted = ui.Label("", word_wrap=True)
        self.clear()

    def destroy(self) -> None:
        """Take the window away."""
        self._window.destroy()

    # -- what is shown

    def tell(self, state: str, text: str) -> None:
        """Show how the connection stands, in words and in colour."""
        self._state.text = f"{state or 'off'}: {text}"
        self._state.style = {"color": _COLOURS.get(state, 0xFF909090)}

    def note(self, text: str) -> None:
        """Show what came of something that was asked."""
        self._notes.append(text)
        self._noted.text = "\n".join(self._notes)

    def clear(self) -> None:
        """Show that nothing is live."""
        self.tell("", "this stage shows no live data")
        self._rows, self._alarms, self._targets, self._commands = [], [], [], []
        self._drafts = {}
        for frame in (self._values_frame, self._alarms_frame, self._commands_frame):
            frame.rebuild()

    def show(self, session: Any, summary: Any, prim: str, changed: set[str]) -> None:
        """Show a session.

        Args:
            session: the connection.
            summary: of its newest tick.
            prim: path of what is selected.
            changed: what may differ from what is shown.
        """
        said = summary.cause or f"{summary.user or 'anonymous'}, {summary.problems} problems"
        self.tell(summary.state, said)
        moved = self._where.text != prim
        self._where.text = prim
        rows = session.rows(prim)[:_MOST_ROWS]
        if [row.path for row in rows] != [row.path for row in self._rows]:
            self._rows = rows
            self._values_frame.rebuild()
        else:
            self._rows = rows
            for row in rows:
                self._refresh(row)
        if moved or "alarms" in changed:
            self._alarms = session.alarms("/")
            self._alarms_frame.rebuild()
        if moved or changed & {"commands", "drafts", "state"}:
            self._targets = session.targets(prim)
            self._commands = session.commands(prim)
            self._drafts = {draft.command: draft for draft in session.drafts()}
            self._commands_frame.rebuild()

    def _refresh(self, row: Any) -> None:
        labels = self._texts.get(row.path)
        if labels is not None:
            value, quality = labels
            value.text = f"{row.text} {row.unit}"
            quality.text = _quality(row)
            quality.style = {"color": _COLOURS.get(row.quality, 0xFF909090)}

    # -- lists

    def _build_values(self) -> None:
        self._texts = {}
        with ui.VStack(spacing=2):
            if not self._rows:
                ui.Label("Nothing at or below the selection is live.", height=20)
            for row in self._rows:
                with ui.HStack(height=20):
                    ui.Label(row.label, tooltip=row.path, width=ui.Fraction(2))
                    value = ui.Label("", width=ui.Fraction(2))
                    quality = ui.Label("", width=ui.Fraction(2))
                self._texts[row.path] = (value, quality)
                self._refresh(row)

    def _build_alarms(self) -> None:
        with ui.VStack(spacing=2):
            if not self._alarms:
                ui.Label("No alarm is active.", height=20)
            for row in self._alarms:
                with ui.HStack(height=22, spacing=4):
                    ui.Button(
                        f"{row['priority']}: {row['prim']}.{row['name']}",
                        tooltip=str(row.get("message") or row.get("cause") or ""),
                        clicked_fn=lambda prim=str(row["prim"]): self._actions.select(prim),
                    )
                    ui.Label(str(row["state"]), width=90)
                    ui.Button(
                        "Acknowledge",
                        width=90,
                        clicked_fn=lambda key=str(row["id"]): self._actions.ask("acknowledge", key),
                    )

    def _build_commands(self) -> None:
        with ui.VStack(spacing=4):
            if not self._targets:
                ui.Label("Nothing at or below the selection can be commanded.", height=20)
            for target in self._targets:
                self._build_target(target)
            for row in self._commands:
                self._build_command(row)
            if self._targets:
                ui.Button(
                    "Stop request",
                    tooltip=_NO_SAFETY,
                    height=24,
                    clicked_fn=lambda: self._actions.ask("halt", ""),
                )

    def _build_target(self, target: Mapping[str, Any]) -> None:
        path = str(target["path"])
        draft = self._drafts.get(path)
        low, high = target.get("min"), target.get("max")
        allowed = f"[{'-inf' if low is None else low}, {'inf' if high is None else high}]"
        ui.Label(
            f"{target['label'] or path}: desired {json.dumps(target.get('desired'))}, reported "
            f"{json.dumps(target.get('reported'))} {target['unit']}, allowed {allowed}",
            word_wrap=True,
        )
        with ui.HStack(height=22, spacing=4):
            field = ui.StringField()
            # What somebody is typing outlives the list around it.
            shown = json.dumps(draft.value) if draft is not None else ""
            field.model.set_value(self._fields.get(path, shown))
            field.model.add_value_changed_fn(
                lambda model, path=path: self._fields.__setitem__(path, model.get_value_as_string())
            )
            ui.Button("Draft", width=60, clicked_fn=lambda: self._draft(path))
            ui.Button("From prim", width=76, clicked_fn=lambda: self._actions.ask("move", path))
            ui.Button(
                "Publish",
                width=66,
                enabled=draft is not None,
                clicked_fn=lambda: self._publish(path),
            )
        if draft is not None:
            cause = f": {draft.cause}" if draft.cause else ""
            ui.Label(f"draft {json.dumps(draft.value)}, {draft.state}{cause}", word_wrap=True)

    def _build_command(self, row: Mapping[str, Any]) -> None:
        cause = f": {row['cause']}" if row["cause"] else ""
        ui.Label(
            f"{row['state']} {row['target']} = {json.dumps(row['value'])} {row['unit']} by "
            f"{row['author']}{cause}",
            word_wrap=True,
        )
        if row["state"] == "REHEARSED":
            identity, digest = str(row["id"]), str(row.get("hash", ""))
            with ui.HStack(height=22, spacing=4):
                ui.Button(
                    "Approve",
                    clicked_fn=lambda: self._actions.ask("approve", identity, digest),
                )
                ui.Button("Deny", clicked_fn=lambda: self._actions.ask("deny", identity))

    # -- what people do

    def _connect(self) -> None:
        token = self._token.model.get_value_as_string().strip()
        self._token.model.set_value("")
        self._actions.connect(self._url.model.get_value_as_string().strip(), token)

    def _draft(self, path: str) -> None:
        text = self._fields.get(path, "").strip()
        if not text:
            return
        try:
            value = json.loads(text)
        except ValueError:
            value = text  # a token or a string, as somebody types it
        self._actions.ask("draft", path, value)

    def _publish(self, path: str) -> None:
        self._fields.pop(path, None)
        self._actions.ask("publish", path)


def _quality(row: Any) -> str:
    age = row.age
    if not 0 <= age < float("inf"):
        return str(row.quality)
    return f"{row.quality}, {age:.1f} s" if age < 60 else f"{row.quality}, {age / 60:.0f} min"
