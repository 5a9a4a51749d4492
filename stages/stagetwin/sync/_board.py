"""The newest state of everything that a viewer may be sent, and when it changed.

Pure: columns in, frames out. The gateway has one board, and each of its clients a selection of it
and the tick that it was sent last.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin.sync._board_state import State
from stagetwin.sync._columns import Column, MatrixColumn, Values, column_of, wire_kind
from stagetwin.sync._frames import Frame, Section, SectionKind, encode_frame
from stagetwin.sync._selection import Part, Selection, choose

__all__ = ["Board"]

Array = npt.NDArray[Any]
Row = Mapping[str, Any]
"""A row of the `channels` message."""

_FRAMES_KEPT = 64
_SELECTIONS_KEPT = 256
_NONE = np.empty(0, np.intp)


class Board:
    """Newest state by channel, mover and instancer, each with the tick at which it changed.

    Attributes:
        epoch: of the scene.
        tick: newest tick that was told; at least 1, for 0 stands for nothing in a frame's `since`.
        time: the service's clock at that tick [s, Unix].
        channels, movers, instancers: rows of the table in force.
        faults: values that a channel's type cannot hold; what was known before stays.
        fault: the newest of them in words.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.tick = 1
        self.time = 0.0
        self.faults = 0
        self.fault = ""
        self.channels: list[Row] = []
        self.movers: list[Row] = []
        self.instancers: list[Row] = []
        self._selections: OrderedDict[Any, Selection] = OrderedDict()
        self._frames: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._columns: list[Column] = []
        self._state = State.empty(0, 1)
        self._moves = MatrixColumn(SectionKind.MOVER_MATRIX, SectionKind.MOVER_POSE, 0)
        self._moved = np.zeros(0, np.int64)
        self._instances: list[Array | None] = []
        self._instanced = np.zeros(0, np.int64)

    # -- the table

    def table(
        self,
        channels: Sequence[Row],
        movers: Sequence[Row] = (),
        instancers: Sequence[Row] = (),
        *,
        epoch: int = 0,
    ) -> None:
        """Replace the table; what stays under the same path, property and type keeps its state.

        Selections made before are of the table before: make new ones.

        Args:
            channels: rows of the `channels` message, at least `path`, `element`, `target`, `type`.
            movers: rows with `path`.
            instancers: rows with `path` and `count`.
            epoch: of the scene.
        """
        before = (self.channels, self._columns, self._state)
        self.epoch = epoch
        self.channels = list(channels)
        self._lay_out()
        self._take_over(*before)
        self._replace_moves(list(movers))
        self._replace_instances(list(instancers))
        self._selections.clear()
        self._frames.clear()

    def _lay_out(self) -> None:
        """Group the channels into columns."""
        state = self._state = State.empty(len(self.channels), self.tick)
        sizes: dict[tuple[SectionKind, int], int] = {}
        numbers: dict[tuple[SectionKind, int], int] = {}
        for i, row in enumerate(self.channels):
            kind = wire_kind(str(row["type"]))
            state.column[i] = numbers.setdefault(kind, len(numbers))
            state.slot[i] = sizes.get(kind, 0)
            sizes[kind] = sizes.get(kind, 0) + 1
        self._columns = [column_of(*kind, size) for kind, size in sizes.items()]

    def _take_over(self, rows: list[Row], columns: list[Column], state: State) -> None:
        places = {_key(row): i for i, row in enumerate(rows)}
        pairs = [
            (i, place)
            for i, row in enumerate(self.channels)
            if (place := places.get(_key(row))) is not None
        ]
        if not pairs:
            return
        new, old = np.array(pairs).T
        for name in ("known", "changed", "valued", "times", "qualities", "status"):
            getattr(self._state, name)[new] = getattr(state, name)[old]
        for number, column in enumerate(self._columns):
            here = self._state.column[new] == number
            if here.any():
                source = columns[int(state.column[old[here][0]])]
                column.move(self._state.slot[new[here]], source, state.slot[old[here]])

    def _replace_moves(self, rows: list[Row]) -> None:
        places = {row["path"]: i for i, row in enumerate(self.movers)}
        pairs = [(i, places[row["path"]]) for i, row in enumerate(rows) if row["path"] in places]
        moves = MatrixColumn(SectionKind.MOVER_MATRIX, SectionKind.MOVER_POSE, len(rows))
        moved = np.zeros(len(rows), np.int64)
        if pairs:
            new, old = np.array(pairs).T
            moves.move(new, self._moves, old)
            moved[new] = self._moved[old]
        self.movers, self._moves, self._moved = rows, moves, moved

    def _replace_instances(self, rows: list[Row]) -> None:
        places = {(r["path"], r["count"]): i for i, r in enumerate(self.instancers)}
        found = [places.get((row["path"], row["count"])) for row in rows]
        self._instances = [None if i is None else self._instances[i] for i in found]
        self._instanced = np.array(
            [0 if i is None else self._instanced[i] for i in found], np.int64
        )
        self.instancers = rows

    # -- what happens

    def update(
        self,
        tick: int,
        time: float,
        channels: Array = _NONE,
        values: Array | None = None,
        *,
        objects: Mapping[int, Any] | None = None,
        columns: Iterable[tuple[Array, Array]] = (),
        times: Array | None = None,
        qualities: Array | None = None,
        status: Array | None = None,
        movers: Array = _NONE,
        matrices: Array | None = None,
        instances: Mapping[int, Array] | None = None,
    ) -> None:
        """Take what changed in a tick; the columns of channels have shape (n,).

        Args:
            tick: number of the tick; news of one that was told already count for the next.
            time: the service's clock [s, Unix].
            channels: positions in the table, each at most once.
            values: scalar numbers and booleans, float64; NaN where `objects` has the value, or
                where it is as it was.
            objects: by position in `channels`, values as plain data: texts, lists of numbers
                (quaternions as x, y, z, w), matrices in rows, integers beyond 2**53.
            columns: positions in `channels` and as many values of vectors, quaternions or
                matrices, shape (m, width); all of a pair of one kind and width.
            times: source times [s, Unix], NaN where unknown.
            qualities: `Quality`.
            status: raw codes.
            movers: positions in the movers.
            matrices: their local transforms, shape (m, 16).
            instances: by position in the instancers, positions and quaternions (x, y, z, w) of all
                instances, shape (count, 7).
        """
        news = bool(len(channels) or len(movers) or instances)
        # Whoever was sent this tick already must be sent what comes after it.
        self.tick, self.time = max(tick, self.tick + news), time
        self._frames.clear()
        state = self._state
        rows = np.asarray(channels, np.intp)
        if len(rows):
            state.changed[rows] = self.tick
            for column, new in (
                (state.times, times),
                (state.qualities, qualities),
                (state.status, status),
            ):
                if new is not None:
                    column[rows] = new
            if values is not None:
                self._take_numbers(rows, np.asarray(values, np.float64))
            if objects:
                self._take_objects(rows, objects)
            for places, block in columns:
                self._take_numbers(rows[places], np.asarray(block))
        if matrices is not None and len(movers):
            places = np.asarray(movers, np.intp)
            self._moves.set(places, matrices)
            self._moved[places] = self.tick
        for place, array in (instances or {}).items():
            self._instances[place] = np.asarray(array, np.float32).reshape(-1, 7)
            self._instanced[place] = self.tick

    def _take_numbers(self, rows: Array, values: Array) -> None:
        if values.ndim == 1 and not (given := values == values).all():
            rows, values = rows[given], values[given]
        numbers = self._state.column[rows]
        present = np.flatnonzero(np.bincount(numbers, minlength=len(self._columns)))
        for number in present.tolist():
            here = slice(None) if len(present) == 1 else numbers == number
            self._set(number, rows[here], values[here])

    def _take_objects(self, rows: Array, objects: Mapping[int, Any]) -> None:
        by_column: dict[int, tuple[list[int], list[Any]]] = {}
        column = self._state.column
        for place, value in objects.items():
            row = int(rows[place])
            listed, given = by_column.setdefault(int(column[row]), ([], []))
            listed.append(row)
            given.append(value)
        for number, (listed, given) in by_column.items():
            self._set(number, np.array(listed, np.intp), given)

    def _set(self, number: int, rows: Array, values: Values) -> None:
        """Put values into a column; of those that it cannot hold, all but those."""
        state = self._state
        try:
            differs = self._columns[number].set(state.slot[rows], values)
        except (ValueError, TypeError, OverflowError) as error:
            if len(rows) > 1:
                for i in range(len(rows)):
                    self._set(number, rows[i : i + 1], values[i : i + 1])
                return
            self.faults += 1
            self.fault = f"{self.channels[int(rows[0])]['path']}: {error}"
            return
        # The same value again costs its time alone.
        state.valued[rows[differs | ~state.known[rows]]] = self.tick
        state.known[rows] = True

    # -- what a client is sent

    def select(
        self,
        prims: Iterable[str] = ("/",),
        *,
        within: Iterable[str] = ("/",),
        values: bool = True,
        poses: bool = True,
        moves: bool = False,
        expected: bool = False,
    ) -> Selection:
        """Return the rows that a client is sent; equal questions share one selection.

        Args:
            prims: paths that it subscribed.
            within: paths below which it may read; what is not below one of them is left out.
            values: whether it wants channels.
            poses: whether it wants those with `pose` too: they say where something stands.
            moves: whether it wants movers and instancers.
            expected: whether it wants those with `expected`: what models say.
        """
        below, seen = tuple(sorted(set(prims))), tuple(sorted(set(within)))
        key = (below, seen, values, poses, moves, expected)
        found = self._selections.get(key)
        if found is None:
            state = self._state
            channels = choose(self.channels if values else (), *key[:2])
            for wanted, name in ((poses, "pose"), (expected, "expected")):
                if not wanted:
                    kept = [i for i in channels.tolist() if not self.channels[i].get(name)]
                    channels = np.array(kept, np.intp)
            found = Selection(
                0,
                channels,
                choose(self.movers if moves else (), *key[:2]),
                choose(self.instancers if moves else (), *key[:2]),
            )
            found.text = json.dumps(self._lists(found), separators=(",", ":"))
            found.number = _fingerprint(found.text)
            columns = state.column[found.channels]
            for number in np.unique(columns).tolist():
                rows = np.flatnonzero(columns == number)
                places = found.channels[rows]
                found.parts.append(Part(number, rows, places, state.slot[places]))
            self._selections[key] = found
            if len(self._selections) > _SELECTIONS_KEPT:
                self._selections.popitem(last=False)
        self._selections.move_to_end(key)
        return found

    def selection(self, number: int) -> Selection | None:
        """Return the selection of the table in force that has a number, None if it is no more."""
        return next((s for s in self._selections.values() if s.number == number), None)

    def message(self, selection: Selection, *, resumed: bool = False) -> str:
        """Return the `channels` message of a selection as JSON.

        Args:
            selection: of the table in force.
            resumed: whether its client has the lists already.
        """
        lists = ',"resumed":true}' if resumed else f",{selection.text[1:]}"
        return f'{{"op":"channels","epoch":{self.epoch},"table":{selection.number}{lists}'

    def _lists(self, selection: Selection) -> dict[str, Any]:
        return {
            "channels": [self.channels[i] for i in selection.channels.tolist()],
            "movers": [self.movers[i] for i in selection.movers.tolist()],
            "instancers": [self.instancers[i] for i in selection.instancers.tolist()],
        }

    def delta(self, selection: Selection, since: int) -> Frame:
        """Return what of a selection changed after a tick; after 0, all of it."""
        sections = [*self._channel_sections(selection, since)]
        sections += self._mover_sections(selection, since)
        for row, place in enumerate(selection.instancers.tolist()):
            array = self._instances[place]
            if array is not None and self._instanced[place] > since:
                sections.append(Section(SectionKind.INSTANCER, np.array([row]), array))
        number = selection.number
        return Frame(number, self.epoch, self.tick, since, self.time, sections)

    def encoded(self, selection: Selection, since: int) -> bytes:
        """Return `delta` as bytes, empty if nothing changed; made once for equal clients."""
        key = (selection.number, since)
        data = self._frames.get(key)
        if data is None:
            frame = self.delta(selection, since)
            data = encode_frame(frame) if frame.sections or not since else b""
            self._frames[key] = data
            if len(self._frames) > _FRAMES_KEPT:
                self._frames.popitem(last=False)
        return data

    def _channel_sections(self, selection: Selection, since: int) -> list[Section]:
        state = self._state
        sections: list[Section] = []
        bare: list[tuple[Array, Array]] = []
        for part in selection.parts:
            places = part.places
            fresh = state.known[places] & (state.valued[places] > since)
            rest = (state.changed[places] > since) & ~fresh
            if rest.any():
                bare.append((part.rows[rest], places[rest]))
            if fresh.all():
                rows, slots = part.rows, part.slots
            elif fresh.any():
                rows, places, slots = part.rows[fresh], places[fresh], part.slots[fresh]
            else:
                continue
            for kind, which, values in self._columns[part.column].split(slots):
                own = slice(None) if which is None else which
                sections.append(self._section(kind, rows[own], places[own], values))
        if bare:
            rows = np.concatenate([each for each, _ in bare])
            places = np.concatenate([each for _, each in bare])
            order = np.argsort(rows)
            sections.append(self._section(SectionKind.NONE, rows[order], places[order], None))
        return sections

    def _section(
        self, kind: SectionKind, rows: Array, places: Array, values: Array | list[Any] | None
    ) -> Section:
        state = self._state
        status = state.status[places]
        return Section(
            kind,
            rows,
            values,
            Frame.offsets(state.times[places], self.time),
            state.qualities[places],
            status if status.any() else None,
        )

    def _mover_sections(self, selection: Selection, since: int) -> list[Section]:
        fresh = np.flatnonzero(self._moved[selection.movers] > since)
        if not len(fresh):
            return []
        return [
            Section(kind, fresh if which is None else fresh[which], values)
            for kind, which, values in self._moves.split(selection.movers[fresh])
        ]


def _fingerprint(text: str) -> int:
    """Return 32 bits that stand for lists: a client that comes back has them, or has not."""
    return int.from_bytes(hashlib.blake2s(text.encode(), digest_size=4).digest(), "little")


def _key(row: Row) -> tuple[Any, ...]:
    return row["path"], row.get("element", -1), row.get("target"), row["type"]
