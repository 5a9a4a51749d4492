"""Frames of the sync protocol: columns of what changed, as docs/sync.md lays them out.

Pure: no stage, no socket. The gateway encodes, every client decodes, and both know only this.
"""

from __future__ import annotations

import enum
import json
import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin._errors import FrameError

__all__ = ["NO_TIME", "Frame", "Section", "SectionKind", "decode_frame", "encode_frame"]

MAGIC = b"STF1"
_HEADER = struct.Struct("<4sIQQdII")
_SECTION = struct.Struct("<BBHIII")
NO_TIME = -(2**31)
"""In a column of times: the source did not say when."""

_LATEST = 2**31 - 1
_MAX_ROWS = 2**24
_RANGE, _SHORT, _TIMES, _STATUS = 1, 2, 4, 8

Array = npt.NDArray[Any]


class SectionKind(enum.IntEnum):
    """What the values of a section are."""

    NONE = 0
    FLOAT64 = 1
    FLOAT32 = 2
    INT64 = 3
    BOOL = 4
    JSON = 5
    POSE = 6
    MATRIX = 7
    MOVER_POSE = 16
    MOVER_MATRIX = 17
    INSTANCER = 18


_DTYPES: dict[SectionKind, npt.DTypeLike] = {
    SectionKind.FLOAT64: np.dtype("<f8"),
    SectionKind.FLOAT32: np.dtype("<f4"),
    SectionKind.INT64: np.dtype("<i8"),
    SectionKind.BOOL: np.dtype("u1"),
    SectionKind.MATRIX: np.dtype("<f8"),
    SectionKind.MOVER_MATRIX: np.dtype("<f8"),
    SectionKind.INSTANCER: np.dtype("<f4"),
}
_WIDTHS = {
    SectionKind.NONE: 0,
    SectionKind.JSON: 0,
    SectionKind.POSE: 7,
    SectionKind.MOVER_POSE: 7,
    SectionKind.MATRIX: 16,
    SectionKind.MOVER_MATRIX: 16,
    SectionKind.INSTANCER: 7,
}
_POSES = (SectionKind.POSE, SectionKind.MOVER_POSE)


@dataclass(slots=True, eq=False)
class Section:
    """Rows of one kind.

    Attributes:
        kind: what the values are.
        rows: positions in the client's table, shape (n,); of an instancer, its one row, shape (1,).
        values: shape (n,) or (n, width) by kind; of poses (n, 7): position, quaternion (x, y, z,
            w); of an instancer (instances, 7); a list for JSON; None for NONE.
        times: source times relative to the frame's time [ms], int32, shape (n,), or None.
        qualities: uint8, shape (n,), or None.
        status: raw codes, uint32, shape (n,), or None where all are 0.
    """

    kind: SectionKind
    rows: Array
    values: Array | list[Any] | None = None
    times: Array | None = None
    qualities: Array | None = None
    status: Array | None = None


@dataclass(slots=True, eq=False)
class Frame:
    """The state of what changed after a tick.

    Attributes:
        table: number of the `channels` message whose rows it names.
        epoch: epoch of the scene.
        tick: tick of the service that this is the state of.
        since: it holds all that changed after that tick; 0 for a snapshot.
        time: the service's clock [s, Unix].
        sections: what changed.
    """

    table: int
    epoch: int
    tick: int
    since: int
    time: float
    sections: Sequence[Section] = ()

    @staticmethod
    def offsets(times: Array, now: float) -> Array:
        """Return source times [s, Unix] as a column relative to `now`; NaN as `NO_TIME`."""
        known = np.isfinite(times)
        offsets = np.where(known, np.rint((times - now) * 1000.0), NO_TIME)
        low = np.where(known, NO_TIME + 1, NO_TIME)
        return np.clip(offsets, low, _LATEST).astype("<i4")

    def source_times(self, section: Section) -> Array:
        """Return the times of a section [s, Unix], NaN where unknown; shape (n,)."""
        if section.times is None:
            return np.full(len(section.rows), math.nan)
        seconds = self.time + section.times.astype(np.float64) / 1000.0
        return np.where(section.times == NO_TIME, math.nan, seconds)


class _Out:
    """Bytes of a frame, with each array where it must begin."""

    def __init__(self, head: bytes) -> None:
        self._parts: list[bytes] = [head]
        self._size = len(head)

    def add(self, data: bytes) -> None:
        gap = -self._size % 8
        if gap:
            self._parts.append(bytes(gap))
        self._parts.append(data)
        self._size += gap + len(data)

    def array(self, array: Array, dtype: npt.DTypeLike) -> None:
        self.add(np.ascontiguousarray(array, dtype).tobytes())

    def whole(self) -> bytes:
        return b"".join(self._parts)


def encode_frame(frame: Frame) -> bytes:
    """Return a frame as bytes.

    Raises:
        ValueError: columns of a section differ in length, or its values cannot be encoded.
    """
    out = _Out(
        _HEADER.pack(
            MAGIC,
            frame.table,
            frame.tick,
            frame.since,
            frame.time,
            frame.epoch,
            len(frame.sections),
        )
    )
    for section in frame.sections:
        _encode_section(out, section)
    return out.whole()


def _encode_section(out: _Out, section: Section) -> None:
    kind, rows = section.kind, np.asarray(section.rows)
    instancer = kind is SectionKind.INSTANCER
    text = b""
    values: Array | None = None
    if kind is SectionKind.JSON:
        text = json.dumps(section.values, allow_nan=False, separators=(",", ":")).encode()
        count = len(section.values or ())
    elif kind is SectionKind.NONE:
        count = len(rows)
    else:
        values = np.asarray(section.values)
        count = len(values)
    width = _WIDTHS.get(kind, 1)
    if values is not None and values.ndim == 2:
        width = values.shape[1]
    if not instancer and len(rows) != count:
        raise ValueError(f"a section of {len(rows)} rows has {count} values")
    for column in (section.times, section.qualities, section.status):
        if column is not None and len(column) != count:
            raise ValueError(f"a section of {count} rows has a column of {len(column)}")
    first = int(rows[0]) if len(rows) else 0
    flags = 0
    if instancer or (count and int(rows[-1]) - first == count - 1 and _is_range(rows)):
        flags |= _RANGE
    elif count and int(rows.max()) < 2**16:
        flags |= _SHORT
    if section.times is not None:
        flags |= _TIMES
    if section.status is not None:
        flags |= _STATUS
    out.add(_SECTION.pack(kind, flags, width, count, first, len(text)))
    if not flags & _RANGE:
        out.array(rows, "<u2" if flags & _SHORT else "<u4")
    if kind is SectionKind.JSON:
        out.add(text)
    elif values is not None and kind in _POSES:
        out.array(values[:, :3], "<f8")
        out.array(values[:, 3:], "<f4")
    elif values is not None:
        out.array(values, _DTYPES[kind])
    if section.times is not None:
        out.array(section.times, "<i4")
        out.array(section.qualities if section.qualities is not None else np.zeros(count), "u1")
    if section.status is not None:
        out.array(section.status, "<u4")


def _is_range(rows: Array) -> bool:
    return bool((np.diff(rows.astype(np.int64)) == 1).all())


class _In:
    """Reads arrays of a frame, and refuses what goes beyond its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def unpack(self, layout: struct.Struct) -> tuple[Any, ...]:
        self._align()
        if self.at + layout.size > len(self._data):
            raise FrameError(f"a frame of {len(self._data)} bytes ends within a header")
        fields = layout.unpack_from(self._data, self.at)
        self.at += layout.size
        return fields

    def array(self, dtype: npt.DTypeLike, count: int) -> Array:
        self._align()
        kind = np.dtype(dtype)
        size = count * kind.itemsize
        if self.at + size > len(self._data):
            raise FrameError(f"a frame of {len(self._data)} bytes ends within an array of {size}")
        out = np.frombuffer(self._data, kind, count, self.at)
        self.at += size
        return out

    def holds(self, size: int) -> None:
        """Do nothing if so many bytes are left; raises FrameError if they are not."""
        if size > len(self._data) - self.at:
            raise FrameError(f"a frame of {len(self._data)} bytes ends within a section of {size}")

    def _align(self) -> None:
        self.at += -self.at % 8


def _least(kind: SectionKind, flags: int, width: int, count: int, size: int) -> int:
    """Return how many bytes the arrays of a section take at least.

    Raises:
        FrameError: nothing stands for its rows.
    """
    if kind in _POSES:
        each = 3 * 8 + 4 * 4
    elif kind in _DTYPES:
        each = width * np.dtype(_DTYPES[kind]).itemsize
    else:
        each = 2 if kind is SectionKind.JSON else 0  # a digit and a comma
    each += 5 if flags & _TIMES else 0
    each += 4 if flags & _STATUS else 0
    if not flags & _RANGE:
        each += 2 if flags & _SHORT else 4
    if count and not each:
        raise FrameError(f"a section of kind {int(kind)} says nothing of its {count} rows")
    return max(count * each - (count if kind is SectionKind.JSON else 0), size)


def decode_frame(data: bytes) -> Frame:
    """Return the frame of some bytes; arrays are views of them.

    Raises:
        FrameError: that is no frame of this protocol.
    """
    source = _In(data)
    magic, table, tick, since, time, epoch, count = source.unpack(_HEADER)
    if magic != MAGIC:
        raise FrameError(f"a frame begins with {MAGIC!r}, got {magic!r}")
    sections = list(_decode_sections(source, count))
    return Frame(table, epoch, tick, since, time, sections)


def _decode_sections(source: _In, sections: int) -> Iterator[Section]:
    for _ in range(sections):
        code, flags, width, count, first, size = source.unpack(_SECTION)
        if count > _MAX_ROWS:
            raise FrameError(f"a section has at most {_MAX_ROWS} rows, got {count}")
        try:
            kind = SectionKind(code)
        except ValueError:
            raise FrameError(f"there is no section of kind {code}") from None
        # Before anything is made of it: a few bytes must not ask for much memory.
        source.holds(_least(kind, flags, width, count, size))
        if kind is SectionKind.INSTANCER:
            rows = np.array([first])
        elif flags & _RANGE:
            rows = np.arange(first, first + count)
        else:
            rows = source.array("<u2" if flags & _SHORT else "<u4", count)
        section = Section(kind, rows, _decode_values(source, kind, width, count, size))
        if flags & _TIMES:
            section.times = source.array("<i4", count)
            section.qualities = source.array("u1", count)
        if flags & _STATUS:
            section.status = source.array("<u4", count)
        yield section


def _decode_values(
    source: _In, kind: SectionKind, width: int, count: int, size: int
) -> Array | list[Any] | None:
    if kind is SectionKind.NONE:
        return None
    if kind is SectionKind.JSON:
        text = source.array("u1", size).tobytes()
        try:
            values = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise FrameError(f"a text section is no JSON: {error}") from None
        if not isinstance(values, list) or len(values) != count:
            raise FrameError(f"a text section of {count} rows holds another number of values")
        return values
    if kind in _POSES:
        out = np.empty((count, 7))
        out[:, :3] = source.array("<f8", 3 * count).reshape(count, 3)
        out[:, 3:] = source.array("<f4", 4 * count).reshape(count, 4)
        return out
    values = source.array(_DTYPES[kind], width * count)
    scalar = width == 1
    return values if scalar else values.reshape(count, width)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
