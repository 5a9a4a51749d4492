"""What the gateway knows: the newest word of the service on everything."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from stagetwin.gateway import _wire as wire
from stagetwin.people import Principal
from stagetwin.sync import Board

__all__ = ["Store", "Told", "may_see", "overlap"]

Row = dict[str, Any]

_OPEN_ALARMS = frozenset({"UNACK", "ACKED", "RTN_UNACK"})

SILENT_AFTER = 3.0
"""Silence of the service after which nothing is said to be still so [s]."""


def may_see(roots: Iterable[str], prim: str) -> bool:
    """Tell whether a prim is at or below one of some roots."""
    return any(root == "/" or prim == root or prim.startswith(f"{root}/") for root in roots)


def overlap(some: Iterable[str], others: Iterable[str]) -> bool:
    """Tell whether a prim may be below roots of both."""
    mine, theirs = tuple(some), tuple(others)
    return any(may_see(mine, root) for root in theirs) or any(may_see(theirs, r) for r in mine)


@dataclass(frozen=True, slots=True)
class Told:
    """Something that the service told, ready for its clients.

    Attributes:
        op: of the message.
        key: what replaces what: messages of one op and key are states of one thing.
        prims: whoever may not read all of them is not told.
        text: the message.
        gone: the message for whoever saw the thing before and may not see it now.
        open: whether those who come later are told too.
        to: session that alone is told, empty for all.
    """

    op: str
    key: str
    prims: tuple[str, ...]
    text: str
    gone: str
    open: bool
    to: str = ""

    def visible(self, roots: Iterable[str]) -> bool:
        """Tell whether somebody who may read below some roots may be told."""
        within = tuple(roots)
        return all(may_see(within, prim) for prim in self.prims)


class Store:
    """Fed by the pipe, read by every client; all on one loop.

    Attributes:
        opening: what the service said first; None before.
        board: channels, movers and instancers.
        version: raised with each table, so that a client sees that its selection is of one before.
        told: what is open, by op and key.
        connections: state and cause by name.
    """

    def __init__(self) -> None:
        self.opening: wire.Opening | None = None
        self.board = Board()
        self.version = 0
        self.told: dict[str, dict[str, Told]] = {}
        self.connections: dict[str, Row] = {}
        self._prim_of: dict[str, str] = {}
        self._heard = 0.0
        self.on_state: list[Callable[[], None]] = []
        self.on_told: list[Callable[[Told, Told | None], None]] = []

    @property
    def alive(self) -> bool:
        """Whether the service has spoken lately, so that what is known is still so."""
        return time.monotonic() - self._heard < SILENT_AFTER

    @property
    def owner(self) -> Principal:
        """The service's own user."""
        assert self.opening is not None  # nothing listens before
        return Principal(self.opening.owner, owner=True)

    @property
    def standing(self) -> int:
        """How many things are open, of which those who come are told."""
        return sum(map(len, self.told.values()))

    # -- what the service sends

    def take_table(self, table: wire.Table) -> None:
        """Take another table."""
        self._heard = time.monotonic()
        self._prim_of = table.connections
        movers = [{"path": path} for path in table.movers]
        self.board.table(table.channels, movers, table.instancers, epoch=table.epoch)
        self.version += 1
        for callback in self.on_state:
            callback()

    def take_state(self, state: wire.State) -> None:
        """Take what changed; rows are of the newest table."""
        self._heard = time.monotonic()
        self.board.update(
            state.tick,
            state.time,
            np.frombuffer(state.rows, np.int32),
            np.frombuffer(state.values),
            objects=state.objects,
            columns=[
                (np.frombuffer(w.places, np.int32), np.frombuffer(w.values).reshape(-1, w.width))
                for w in state.wide
            ],
            times=np.frombuffer(state.times),
            qualities=np.frombuffer(state.qualities, np.uint8),
            status=np.frombuffer(state.status, np.uint32),
            movers=np.frombuffer(state.movers, np.int32),
            matrices=np.frombuffer(state.matrices).reshape(-1, 16),
            instances={
                row: np.frombuffer(data, np.float32).reshape(-1, 7)
                for row, data in state.instances.items()
            },
        )
        for callback in self.on_state:
            callback()

    def take_scene(self, epoch: int) -> None:
        """Take note of another scene."""
        self.board.epoch = epoch
        text = _text({"op": "scene", "epoch": epoch})
        self._tell(Told("scene", "", (), text, text, False))

    def take_event(self, event: wire.Event) -> None:
        """Take something that happened."""
        if event.op == "connections":
            self._take_connections(event.body.get("connections", {}))
            return
        if event.op == "standing":
            self._end_others(str(event.body.get("of")), set(event.body.get("ids", ())))
            return
        row = event.body.get(event.op)
        row = row if isinstance(row, dict) else event.body
        key = str(row.get("id", ""))
        # A topic that names no prim is everybody's.
        prims = row["prims"] if isinstance(row.get("prims"), list) else [event.prim]
        removed = bool(event.body.get("removed") or row.get("removed"))
        is_open = bool(key) and not removed and _is_open(event.op, row)
        gone = {"op": event.op, event.op: {"id": key, "removed": True}, "removed": True}
        self._tell(
            Told(
                event.op,
                key,
                tuple(map(str, prims)),
                _text({"op": event.op, **event.body}),
                _text(gone),
                is_open,
                event.to,
            )
        )

    def _end_others(self, op: str, standing: set[str]) -> None:
        """Take note that of one kind nothing stands but what is named."""
        known = self.told.get(op, {})
        for told in [each for key, each in known.items() if key not in standing]:
            over = Told(op, told.key, told.prims, told.gone, told.gone, False, told.to)
            self._tell(over)

    def _tell(self, told: Told) -> None:
        known = self.told.setdefault(told.op, {})
        before = known.pop(told.key, None)
        if told.open:
            known[told.key] = told
        for callback in self.on_told:
            callback(told, before)

    def _take_connections(self, connections: Mapping[str, Row]) -> None:
        changed = {n: row for n, row in connections.items() if self.connections.get(n) != row}
        self.connections = dict(connections)
        for name, row in changed.items():
            self._tell(self._connection(name, row))

    def _connection(self, name: str, row: Row) -> Told:
        text = _text({"op": "connections", "connections": {name: row}})
        prim = self._prim_of.get(name, "/")
        return Told("connections", name, (prim,), text, text, True)


def _is_open(op: str, row: Row) -> bool:
    """Tell whether somebody who comes later must know of it."""
    if op == "command":
        return not row.get("ended")
    if op == "alarm":
        return row.get("state") in _OPEN_ALARMS
    return op in ("topic", "proposal")


def _text(message: Row) -> str:
    # Not json: it has words of its own for numbers that are not finite.
    return msgspec.json.encode(message).decode()
