"""Decodes what a server publishes, straight from its bytes into rows.

asyncua makes five objects of every value, 8 us each. A data change is a count and then records,
most often all of one layout: a number, its status, its times. Runs of one layout are read as one
array; single numbers by one unpacking; only other values are left to asyncua.

The layouts are those of OPC UA Part 6, 5.2 (DataValue: 5.2.2.17) and Part 4, 7.25.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import numpy as np
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary, variant_from_binary
from asyncua.ua.uaerrors import UaError

from stagetwin_bridges.opcua._rows import EXACT, NAN, Rows, all_unix_seconds, unix_seconds
from stagetwin_bridges.opcua._table import NONE, Refuse, Table, deliver

__all__ = ["Decoder", "Published"]

_FAULT: Final = ObjectIds.ServiceFault_Encoding_DefaultBinary
_DATA_CHANGE: Final = ObjectIds.DataChangeNotification_Encoding_DefaultBinary
_STATUS_CHANGE: Final = ObjectIds.StatusChangeNotification_Encoding_DefaultBinary

_VALUE, _STATUS, _SOURCE, _SERVER, _SOURCE_PICO, _SERVER_PICO = (1 << bit for bit in range(6))
_BOOLEAN: Final = 1
_INT64, _UINT64 = 8, 9
_FIXED: Final = {1: "?", 2: "b", 3: "B", 4: "h", 5: "H", 6: "i", 7: "I", 8: "q", 9: "Q", 10: "f"}
_FIXED[11] = "d"
"""Built-in types of a fixed size, as `struct` and numpy write them."""
_RUN: Final = 8
"""Records of one layout that are worth an array."""

_OVERFLOW_MASK: Final = 0x0C80
_OVERFLOW: Final = 0x0480
"""Info type DataValue with the bit Overflow (Part 4, 7.39)."""
_BAD: Final = 0x8000_0000

_U32, _I32 = struct.Struct("<I"), struct.Struct("<i")


@dataclass(slots=True)
class Published:
    """What one publish response says.

    Attributes:
        subscription: id of the subscription that it is about.
        sequence: number of the notification; of the next one, if this is a keep-alive.
        alive_only: whether it is a keep-alive.
        ended: why the server ended the subscription; empty if it did not.
        overflows: values before which others were thrown away on the server.
        malformed: why not all of it could be read.
    """

    subscription: int
    sequence: int = 0
    alive_only: bool = True
    ended: str = ""
    overflows: int = 0
    malformed: str = ""


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a record of a fixed size lies in memory."""

    record: np.dtype[Any]
    unpack: struct.Struct
    size: int


@cache
def _layout(mask: int, kind: int) -> _Layout:
    fields: list[tuple[str, str]] = [("handle", "I"), ("mask", "B"), ("kind", "B")]
    fields.append(("value", _FIXED[kind]))
    for bit, name, code in (
        (_STATUS, "status", "I"),
        (_SOURCE, "source", "q"),
        (_SOURCE_PICO, "source_pico", "H"),
        (_SERVER, "server", "q"),
        (_SERVER_PICO, "server_pico", "H"),
    ):
        if mask & bit:
            fields.append((name, code))
    record = np.dtype([(name, f"<{code}") for name, code in fields])
    unpack = struct.Struct("<" + "".join(code for _, code in fields))
    return _Layout(record, unpack, record.itemsize)


@dataclass(slots=True)
class Decoder:
    """Decodes publish responses of one session into rows.

    Attributes:
        table: what is watched.
        rows: where samples go.
        refuse: told of every value that does not fit its channel.
    """

    table: Table
    rows: Rows
    refuse: Refuse
    _said: Published = field(default_factory=lambda: Published(0))

    def read(self, body: Buffer) -> Published:
        """Decode a response.

        Raises:
            UaError: the server answered with a fault.
        """
        kind = nodeid_from_binary(body)
        header = struct_from_binary(ua.ResponseHeader, body)
        header.ServiceResult.check()
        if kind.Identifier == _FAULT:
            # A fault that is none would be asked again for ever.
            raise UaError("a fault without a reason")
        data = bytes(body)
        (subscription,) = _U32.unpack_from(data, 0)
        said = self._said = Published(subscription)
        try:
            self._message(data)
        except Exception as error:
            # asyncua raises what it happens to on bytes that are not as they should be.
            said.malformed = f"{type(error).__name__}: {error}"
        return said

    def _message(self, data: bytes) -> None:
        said = self._said
        (available,) = _I32.unpack_from(data, 4)
        position = 8 + 4 * max(available, 0) + 1  # and whether there are more notifications
        (said.sequence,) = _U32.unpack_from(data, position)
        (count,) = _I32.unpack_from(data, position + 12)  # behind the publish time
        position += 16
        said.alive_only = count <= 0
        for _ in range(count):
            buffer = Buffer(data, position)
            kind = nodeid_from_binary(buffer).Identifier
            buffer.skip(1)
            start = buffer.cur_pos + 4
            (size,) = _I32.unpack_from(data, buffer.cur_pos)
            if size < 0 or start + size > len(data):
                raise ValueError(f"expected a notification of {size} bytes")
            position = start + size
            if kind == _DATA_CHANGE:
                self._data_change(data[:position], start)
            elif kind == _STATUS_CHANGE:
                (status,) = _U32.unpack_from(data, start)
                said.ended = ua.StatusCode(ua.UInt32(status)).name

    def _data_change(self, data: bytes, position: int) -> None:
        (left,) = _I32.unpack_from(data, position)
        position += 4
        while left > 0:
            mask = data[position + 4]
            kind = data[position + 5] if mask & _VALUE else 0
            if kind in _FIXED:
                layout = _layout(mask, kind)
                size = layout.size
                ahead = position + (_RUN - 1) * size
                if (
                    left >= _RUN
                    and ahead + size <= len(data)
                    and data[position + size + 4] == data[ahead + 4] == mask
                    and data[position + size + 5] == data[ahead + 5] == kind
                    and (taken := self._run(data, position, left, mask, kind))
                ):
                    position += taken * size
                    left -= taken
                    continue
                self._one(layout.unpack.unpack_from(data, position), mask, kind)
                position += size
            else:
                position = self._other(data, position, mask)
            left -= 1

    def _run(self, data: bytes, position: int, left: int, mask: int, kind: int) -> int:
        """Read records of one layout as one array; return how many, 0 if it does not fit them."""
        layout = _layout(mask, kind)
        fitting = min(left, (len(data) - position) // layout.size)
        records = np.frombuffer(data, layout.record, fitting, position)
        same = (records["mask"] == mask) & (records["kind"] == kind)
        if not same.all():
            records = records[: int(np.argmin(same))]
        value = records["value"]
        if kind in (_INT64, _UINT64):
            beyond = value > EXACT if kind == _UINT64 else (value > EXACT) | (value < -EXACT)
            if beyond.any():
                return 0
        names = layout.record.names or ()
        zero = np.zeros(len(records), np.int64)
        status = records["status"] if "status" in names else zero.astype(np.uint32)
        source = all_unix_seconds(records["source"] if "source" in names else zero)
        server = all_unix_seconds(records["server"] if "server" in names else zero)
        self._said.overflows += int(((status & _OVERFLOW_MASK) == _OVERFLOW).sum())
        table = self.table
        lookup = table.booleans if kind == _BOOLEAN else table.numbers
        handle = records["handle"]
        known = handle < len(lookup)
        channel = np.where(known, lookup[np.where(known, handle, 0)], NONE).astype(np.int32)
        direct = channel != NONE
        if direct.all():
            self.rows.extend(channel, value.astype(np.float64), source, server, status)
            return len(records)
        self.rows.extend(
            channel[direct],
            value[direct].astype(np.float64),
            source[direct],
            server[direct],
            status[direct],
        )
        for row in np.flatnonzero(~direct).tolist():
            stamp = (float(source[row]), float(server[row]), int(status[row]))
            self._deliver(int(handle[row]), value[row].item(), stamp)
        return len(records)

    def _one(self, parts: tuple[Any, ...], mask: int, kind: int) -> None:
        """Take one number that was unpacked."""
        handle, value = parts[0], parts[3]
        place = 4
        status, source, server = 0, NAN, NAN
        if mask & _STATUS:
            status = parts[place]
            place += 1
            self._said.overflows += status & _OVERFLOW_MASK == _OVERFLOW
        if mask & _SOURCE:
            source = unix_seconds(parts[place])
            place += 2 if mask & _SOURCE_PICO else 1
        elif mask & _SOURCE_PICO:
            place += 1
        if mask & _SERVER:
            server = unix_seconds(parts[place])
        lookup = self.table.booleans if kind == _BOOLEAN else self.table.numbers
        channel = int(lookup[handle]) if handle < len(lookup) else NONE
        if channel != NONE:
            self.rows.add(channel, value, source, server, status)
        else:
            self._deliver(handle, value, (source, server, status))

    def _other(self, data: bytes, position: int, mask: int) -> int:
        """Take one value of any type; return where the next record begins."""
        (handle,) = _U32.unpack_from(data, position)
        position += 5
        value: Any = None
        if mask & _VALUE:
            buffer = Buffer(data, position)
            value = variant_from_binary(buffer).Value
            position = buffer.cur_pos
        status, ticks = 0, [0, 0]
        if mask & _STATUS:
            (status,) = _U32.unpack_from(data, position)
            position += 4
            self._said.overflows += status & _OVERFLOW_MASK == _OVERFLOW
        for row, (time, pico) in enumerate(((_SOURCE, _SOURCE_PICO), (_SERVER, _SERVER_PICO))):
            if mask & time:
                ticks[row] = int.from_bytes(data[position : position + 8], "little", signed=True)
                position += 8
            if mask & pico:
                position += 2
        if position > len(data):
            raise ValueError("the notification ends within a value")
        self._deliver(handle, value, (unix_seconds(ticks[0]), unix_seconds(ticks[1]), status))
        return position

    def _deliver(self, handle: int, value: Any, stamp: tuple[float, float, int]) -> None:
        item = self.table.items.get(handle)
        if item is not None:
            deliver(item, item.channels, value, stamp, self.rows, self.refuse)
