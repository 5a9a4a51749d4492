"""Seeing edits: a stage opened on the draft layer alone, so that telemetry does not reach it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from pxr import Sdf, Tf, Usd

from stagetwin._authoring import Owner
from stagetwin.drafts._edits import (
    Edit,
    Ignored,
    Reason,
    command_of,
    identity,
    moves,
    place_command_of,
)

__all__ = ["DraftProbe"]

NOTICE_LIMIT = 100_000
"""Notices that wait for `take`; past it single changes are no longer told apart."""

HISTORY_LIMIT = 50_000
"""Values remembered of an attribute; past it an undo is no longer told from an edit."""

_ROOT = Sdf.Path.absoluteRootPath

Watched = Mapping[str, str] | Callable[[str], str]
Followers = Callable[[str], Mapping[str, bool]]


class _Tracked:
    """What is known of one property: its command, its newest value, and all it had before.

    One that moves its prim has no command of its own: whose place it moves changes.
    """

    __slots__ = ("command", "had", "mark", "path", "text", "value")

    def __init__(self, path: Sdf.Path, command: str) -> None:
        self.path = path
        self.text = str(path)
        self.command = command
        self.value: Any = None
        self.mark: Hashable = None
        self.had: set[Hashable] = set()

    def turn(self, value: Any, mark: Hashable) -> None:
        self.value, self.mark = value, mark
        self.recall(mark)

    def recall(self, mark: Hashable) -> None:
        """Remember that it had a value once."""
        if mark is not None and len(self.had) < HISTORY_LIMIT:
            self.had.add(mark)


@dataclass(frozen=True, slots=True)
class _Change:
    """What one notice left behind: values now, and the prims whose other values are gone."""

    values: dict[_Tracked, Any]
    roots: tuple[Sdf.Path, ...] = ()
    reason: Reason | None = None


class DraftProbe:
    """Finds the edits of commands in one layer, however they were made.

    What is in the layer at the start is where it begins, not an edit. The listeners note paths and
    what the layer says there, so that a value that comes and goes between two calls of `take` is
    still known when an undo brings it back; they judge nothing and raise nothing, for an exception
    in a listener is raised in whoever writes the layer.

    A replacement of the whole content (`ImportFromString`, `TransferContent`) that differs in one
    value alone looks like an edit of that value: USD says nothing else of it.
    """

    def __init__(
        self,
        layer: Sdf.Layer,
        watched: Watched = {},  # noqa: B006  # never changed
        beneath: Callable[[str], Any] | None = None,
        followers: Followers | None = None,
    ) -> None:
        """Begin to watch.

        Args:
            layer: the draft layer.
            watched: command `/Prim.name` by the path of a property that it drives instead of its
                `desired`, or a function that returns it, empty if there is none.
            beneath: returns what an attribute says without the draft, None if nothing: setting it
                to that is an undo.
            followers: returns, by the path of a prim that was moved, the commands whose place lies
                at or below it, and of each whether that may be published by resting; None where
                places are not watched.
        """
        self._owner = Owner()
        self._layer = layer
        self._command_of = watched if callable(watched) else lambda path: watched.get(path, "")
        self._beneath = beneath
        self._followers = followers
        self._tracked: dict[Sdf.Path, _Tracked | None] = {}
        self._changes: deque[_Change] = deque()
        self._missed = False
        # Another stage of the process may be cached under this root layer: it is not ours.
        with Usd.StageCacheContext(Usd.BlockStageCaches):
            self._stage = Usd.Stage.Open(layer, Usd.Stage.LoadNone)
        for tracked, value in self._content(_ROOT).items():
            tracked.turn(value, identity(value))
        self._listeners = [
            Tf.Notice.Register(Usd.Notice.ObjectsChanged, self._objects_changed, self._stage),
            Tf.Notice.Register(Sdf.Notice.LayerDidReloadContent, self._reloaded, layer),
            Tf.Notice.Register(Sdf.Notice.LayerDidReplaceContent, self._replaced, layer),
        ]

    def take(self) -> list[Edit | Ignored]:
        """Return what changed since the last call, in order; call it on the thread that owns it."""
        self._owner.check()
        found: list[Edit | Ignored] = []
        while self._changes:
            self._judge(self._changes.popleft(), found)
        if self._missed:
            self._missed = False
            self._judge(_Change(self._content(_ROOT), (_ROOT,), Reason.MISSED), found)
        return found

    def opened(self) -> list[Ignored]:
        """Return the values that the layer had when it was last looked at: earlier drafts."""
        return [
            Ignored(t.text, t.command, t.value, t.value, Reason.OPENED)
            for t in self._tracked.values()
            if t is not None and t.mark is not None
        ]

    def close(self) -> None:
        """Stop watching."""
        for listener in self._listeners:
            listener.Revoke()
        self._listeners.clear()

    def _objects_changed(self, notice: Usd.Notice.ObjectsChanged, _stage: Usd.Stage) -> None:
        try:
            self._note(notice)
        except Exception:
            # Whatever went wrong here is not the writer's: the whole layer is looked at instead.
            self._missed = True

    def _note(self, notice: Usd.Notice.ObjectsChanged) -> None:
        values: dict[_Tracked, Any] = {}
        roots: list[Sdf.Path] = []
        reason = None
        for path in notice.GetChangedInfoOnlyPaths():
            if (tracked := self._find(path)) is not None:
                values[tracked] = self._value(path)
        for path in notice.GetResyncedPaths():
            if (tracked := self._find(path)) is not None:
                values[tracked] = self._value(path)
            elif not path.IsPropertyPath():
                roots.append(path)
                values.update(self._content(path))
                if "variantSelection" in notice.GetChangedFields(path):
                    reason = Reason.VARIANT
        if values or roots:
            self._append(_Change(values, tuple(roots), reason))

    def _reloaded(self, _notice: Tf.Notice, _layer: Sdf.Layer) -> None:
        self._refresh(Reason.RELOADED)

    def _replaced(self, _notice: Tf.Notice, _layer: Sdf.Layer) -> None:
        self._refresh(Reason.REPLACED)

    def _refresh(self, reason: Reason) -> None:
        # Sent before the stage's own notice of the same change, which then finds nothing new.
        try:
            self._append(_Change(self._content(_ROOT), (_ROOT,), reason))
        except Exception:
            self._missed = True

    def _append(self, change: _Change) -> None:
        if len(self._changes) < NOTICE_LIMIT:
            self._changes.append(change)
        else:
            self._missed = True

    def _find(self, path: Sdf.Path) -> _Tracked | None:
        """Return what is tracked of an attribute; None if it is no command's."""
        try:
            return self._tracked[path]
        except KeyError:
            pass
        command = ""
        is_move = False
        if path.IsPropertyPath() and not path.ContainsPrimVariantSelection():
            command = self._command_of(str(path)) or command_of(path)
            if self._followers is not None and not command:
                command, is_move = place_command_of(path), moves(path)
        tracked = self._tracked[path] = _Tracked(path, command) if command or is_move else None
        return tracked

    def _value(self, path: Sdf.Path) -> Any:
        """Return the layer's own opinion, None where it has none or blocks."""
        rel = self._layer.GetRelationshipAtPath(path)
        if rel is not None:
            return " ".join(map(str, rel.targetPathList.GetAddedOrExplicitItems())) or None
        spec = self._layer.GetAttributeAtPath(path)
        value = None if spec is None else spec.default
        return None if isinstance(value, Sdf.ValueBlock) else value

    def _content(self, root: Sdf.Path) -> dict[_Tracked, Any]:
        values: dict[_Tracked, Any] = {}

        def visit(path: Sdf.Path | str) -> None:
            at = Sdf.Path(path)
            if at.IsPropertyPath() and (tracked := self._find(at)) is not None:
                value = self._value(at)
                if value is not None:
                    values[tracked] = value

        if self._layer.GetObjectAtPath(root):
            self._layer.Traverse(root, visit)
        return values

    def _judge(self, change: _Change, found: list[Edit | Ignored]) -> None:
        differing = [
            (tracked, value, mark)
            for tracked, value in change.values.items()
            if (mark := identity(value)) != tracked.mark
        ]
        for root in change.roots:
            for tracked in filter(None, self._tracked.values()):
                here = tracked.mark is not None and tracked.path.HasPrefix(root)
                if here and tracked not in change.values:
                    differing.append((tracked, None, None))
        of = {tracked: self._commands(tracked) for tracked, _, _ in differing}
        several = len({command for commands in of.values() for command in commands}) > 1
        for tracked, value, mark in differing:
            if mark == tracked.mark:
                continue  # gone with two roots at once
            if tracked.mark is None and self._beneath is not None:
                # A tool may undo by setting what was seen before instead of clearing.
                tracked.recall(identity(self._beneath(tracked.text)))
            reason = change.reason
            if reason is None:
                merged = several and mark is not None
                reason = Reason.MERGED if merged else self._reason(tracked, mark)
            for command, rests in of[tracked].items():
                told = (tracked.text, command, tracked.value, value)
                why = reason if rests or reason in (Reason.CLEARED, Reason.MERGED) else Reason.MOVED
                first = tracked.mark is None
                found.append(Edit(*told, first) if why is None else Ignored(*told, why))
            tracked.turn(value, mark)

    def _commands(self, tracked: _Tracked) -> Mapping[str, bool]:
        """Return the commands that a property is of, and whether each may publish by resting."""
        if tracked.command:
            return {tracked.command: True}
        return self._followers(str(tracked.path.GetPrimPath())) if self._followers else {}

    @staticmethod
    def _reason(tracked: _Tracked, mark: Hashable) -> Reason | None:
        """Return why a change of one attribute alone is no edit, None if it is one."""
        if mark is None:
            return Reason.CLEARED
        if mark in tracked.had:
            return Reason.UNDONE
        return Reason.MISSED if len(tracked.had) >= HISTORY_LIMIT else None
