"""A mirror: frames and events of the service onto any stage, and off it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt
from pxr import Sdf, Usd

from stagetwin._authoring import Owner
from stagetwin._errors import FrameError, SyncError
from stagetwin.sync._bound import BoundTable
from stagetwin.sync._frames import Frame, decode_frame
from stagetwin.sync._said import Said
from stagetwin.sync._writing import Reading, TableWriter

__all__ = ["Mirror", "Reading"]

Array = npt.NDArray[Any]

_CHANNELS = 16
"""Kinds of sections below this one are of channels; the others are for viewers without USD."""

_LAYERS = ("review", "desired", "state", "predicted", "live")
"""Strongest first, as the service has them."""

_PROBLEMS_KEPT = 1000


class Mirror:
    """Follows the service on the stage of the thread that made it.

    Everything it writes is in one anonymous layer, first among the session layer's sublayers, with
    a sublayer for each origin as the service has them.

    Attributes:
        layer: that layer.
        table: the channels in force, None before the first `channels` message.
        tick: tick of the newest frame applied; 0 for none of this table.
        time: the service's clock in it [s, Unix].
        epoch: of the scene.
        applied, ignored, torn: frames that were applied, of another table or the past, and not to
            be understood.
        needs_resync: whether frames are missing: the subscription must be sent again.
        problems: why channels, values or events cannot be shown, by path; bounded.
    """

    def __init__(self, stage: Usd.Stage) -> None:
        self._owner = Owner()
        self._stage = stage
        self._session = stage.GetSessionLayer()
        self._layers = {name: Sdf.Layer.CreateAnonymous(f"{name}.usda") for name in _LAYERS}
        self.layer = Sdf.Layer.CreateAnonymous("mirror.usda")
        for sublayer in self._layers.values():
            self.layer.subLayerPaths.append(sublayer.identifier)
        self._ignored = frozenset(
            layer.identifier for layer in (self.layer, *self._layers.values())
        )
        self._session.subLayerPaths.insert(0, self.layer.identifier)
        self.table: BoundTable | None = None
        self.tick = 0
        self.time = 0.0
        self.epoch = 0
        self.applied = self.ignored = self.torn = 0
        self.needs_resync = False
        self.problems: dict[str, str] = {}
        self._writer: TableWriter | None = None
        self._attached = True
        self._message: Mapping[str, Any] = {}
        self._said = Said(stage, self._layers, self._ignored, self._problem)

    # -- what the service says

    def channels(self, message: Mapping[str, Any]) -> None:
        """Take a `channels` message: create the specs that its frames need, in one block.

        Raises:
            OwnershipError: called on another thread.
            SyncError: it is malformed; what was there before stays.
        """
        self._owner.check()
        if message.get("resumed"):
            if self.table is None or self.table.number != message.get("table"):
                self.needs_resync = True
            return
        before = self.table
        live, predicted = self._layers["live"], self._layers["predicted"]
        table = BoundTable(message, self._stage, live, predicted, self._ignored, before)
        self.table, self._message = table, message
        self._writer = TableWriter(table, self._problem)
        self.epoch = int(message.get("epoch", 0))
        self.tick, self.needs_resync = 0, False
        self.problems = dict(list(table.problems.items())[:_PROBLEMS_KEPT])

    def rebind(self) -> None:
        """Bind the table anew, after prims of the stage came or went; frames must begin anew."""
        self._owner.check()
        if self.table is not None:
            self.channels(self._message)
            self.needs_resync = True

    def outdated(self) -> bool:
        """Tell whether prims came or went, so that the table should be bound anew."""
        self._owner.check()
        return self.table is not None and self.table.outdated(self._stage)

    def apply(self, frame: Frame | bytes) -> int:
        """Bring the stage up to a frame.

        Returns:
            Number of values written. None is where the frame is of another table or the past, or
            where something before it is missing; `needs_resync` is set then.

        Raises:
            OwnershipError: called on another thread.
            FrameError: it is torn, or does not fit its table; nothing of it was applied.
        """
        self._owner.check()
        try:
            if isinstance(frame, bytes):
                frame = decode_frame(frame)
            table, writer = self.table, self._writer
            if table is None or writer is None or frame.table != table.number:
                self.ignored += 1
                return 0
            if frame.since > self.tick or (self.tick == 0 and frame.since):
                self.needs_resync = True
                return 0
            if frame.tick < self.tick:
                self.ignored += 1
                return 0
            sections = [section for section in frame.sections if section.kind < _CHANNELS]
            for section in sections:
                writer.check(section)
        except FrameError:
            self.torn += 1
            raise
        writer.doubt(False)
        written = writer.write(frame, sections)
        self.tick, self.time, self.epoch = frame.tick, frame.time, frame.epoch
        self.needs_resync = False
        self.applied += 1
        return written

    def event(self, message: Mapping[str, Any]) -> None:
        """Put an event onto the stage: a command's state, an alarm, connections, a topic.

        What this stage cannot show is a problem, never an error.

        Raises:
            OwnershipError: called on another thread.
        """
        self._owner.check()
        self._said.event(message)

    def targets(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take rows of the operation `targets`: what stands as `desired`."""
        self._owner.check()
        self._said.targets(rows)

    def forget(self) -> None:
        """Take off the stage what events said: a new connection tells it anew."""
        self._owner.check()
        self._said.clear()

    def doubt(self, doubted: bool = True) -> None:
        """Show every signal as stale while the service is not heard, or as it is again."""
        self._owner.check()
        if self._writer is not None:
            self._writer.doubt(doubted)

    def detach(self) -> None:
        """Leave the stage as it was found; a detached mirror does nothing any more."""
        self._owner.check()
        if self._attached:
            self._attached = False
            self._session.subLayerPaths.remove(self.layer.identifier)
            self.table = self._writer = None

    # -- what a viewer shows

    def reading(self, row: int) -> Reading:
        """Return what is shown of a row of the table."""
        if self._writer is None:
            raise SyncError("there is no table of channels yet")
        return self._writer.reading(row)

    def _problem(self, path: str, cause: str) -> None:
        if path in self.problems or len(self.problems) < _PROBLEMS_KEPT:
            self.problems[path] = cause
