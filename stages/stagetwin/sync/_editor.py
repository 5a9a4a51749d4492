"""Writing drafts: held to what the service takes, into the draft layer and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from pxr import Sdf, Usd

from stagetwin._errors import CommandError, WireError
from stagetwin.drafts import Drafts
from stagetwin.sync._places import ghost_matrix, moved_value
from stagetwin.sync._said import commanded_attribute
from stagetwin.values import plain, stage_value

__all__ = ["DraftEditor"]


class DraftEditor:
    """Edits a person's drafts without touching the stage's edit target, and tells the others."""

    def __init__(self, stage: Usd.Stage, drafts: Drafts, notice: Callable[[str], None]) -> None:
        """Begin.

        Args:
            stage: the mirror's stage.
            drafts: where drafts are written, and what can be commanded.
            notice: takes what the person should know.
        """
        self._stage = stage
        self._drafts = drafts
        self._notice = notice
        self._told: dict[str, Any] = {}

    def write(self, command: str, value: Any) -> None:
        """Write a draft; raises CommandError if the service takes no such value."""
        row, attr = self._target(command)
        low, high = row.get("min"), row.get("max")
        try:
            made = stage_value(
                str(row["type"]),
                plain(value),
                -math.inf if low is None else float(low),
                math.inf if high is None else float(high),
                [str(token) for token in row.get("allowed") or ()],
            )
        except WireError as error:
            bounds = "" if low is None and high is None else f" in [{low}, {high}] {row['unit']}"
            raise CommandError(f"{command} takes a {row['type']}{bounds}: {error}") from None
        layer, path = self._drafts.layer, attr.GetPath()
        with Sdf.ChangeBlock():
            if not layer.GetAttributeAtPath(path):
                Sdf.JustCreatePrimAttributeInLayer(layer, path, attr.GetTypeName())
            layer.GetAttributeAtPath(path).default = made
        if attr.Get() != layer.GetAttributeAtPath(path).default:
            self._notice(f"{path}: another edit of this session hides the draft")

    def write_move(self, prim: str, command: str, axis: str) -> None:
        """Write a draft of where a prim stands; raises CommandError."""
        row, _ = self._target(command)
        self.write(command, moved_value(self._stage, prim, command, str(row["type"]), axis))

    def _target(self, command: str) -> tuple[Mapping[str, Any], Usd.Attribute]:
        row = self._drafts.targets.get(command)
        if row is None:
            why = self._drafts.fault or "it offers others"
            raise CommandError(f"the service offers no command {command} ({why})")
        attr = self._stage.GetAttributeAtPath(commanded_attribute(self._stage, command))
        if not attr or not attr.IsDefined():
            raise CommandError(f"this stage has no attribute for {command}")
        if str(attr.GetTypeName()) != str(row["type"]):
            kind = attr.GetTypeName()
            raise CommandError(f"{attr.GetPath()} is a {kind} here, not a {row['type']}")
        return row, attr

    def ghost(self, command: str, value: Any) -> tuple[float, ...] | None:
        """Return where a marker of a value stands on the stage, None if it is no place."""
        row = self._drafts.targets.get(command)
        try:
            return ghost_matrix(self._stage, command, str(row["type"]), value) if row else None
        except CommandError:
            return None

    def tell(self, say: Callable[[Mapping[str, Any]], bool]) -> None:
        """Tell the others what is considered now, as far as they do not know."""
        now = {draft.command: draft.value for draft in self._drafts.drafts}
        news = {command: None for command in self._told if command not in now}
        news |= {c: v for c, v in now.items() if c not in self._told or self._told[c] != v}
        for command, value in news.items():
            if not say({"op": "draft", "target": command, "value": value}):
                return
            if value is None:
                del self._told[command]
            else:
                self._told[command] = value

    def forget_told(self) -> None:
        """Tell everything anew: the service forgets with the connection."""
        self._told.clear()
