"""Samples as columns: what travels from a bridge to the hub."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["SampleBuffer", "Samples"]

NAN = float("nan")


@dataclass(slots=True, eq=False)
class Samples:
    """A batch of samples in order of arrival, one row a sample.

    Attributes:
        channel: index into the channel table, int32, shape (n,).
        value: wire value of numeric channels, float64, shape (n,); NaN where `objects` has the row.
        source_time: when the device took the sample [s, Unix], float64, shape (n,); NaN if unsaid.
        server_time: when a server passed it on [s, Unix], float64, shape (n,); NaN if unsaid.
        receive_time: when the bridge had it in hand [s, Unix], float64, shape (n,).
        status: raw status code, uint32, shape (n,).
        objects: by row, wire values that are not numbers (text, lists, big integers).
    """

    channel: npt.NDArray[np.int32]
    value: npt.NDArray[np.float64]
    source_time: npt.NDArray[np.float64]
    server_time: npt.NDArray[np.float64]
    receive_time: npt.NDArray[np.float64]
    status: npt.NDArray[np.uint32]
    objects: dict[int, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.channel)

    @classmethod
    def of(
        cls,
        channel: Sequence[int],
        value: Sequence[Any],
        *,
        receive_time: float | Sequence[float],
        source_time: float | Sequence[float] = NAN,
        status: int | Sequence[int] = 0,
    ) -> Samples:
        """Build a batch from Python values; what is no float goes to `objects`."""
        buffer = SampleBuffer()
        size = len(channel)

        def column(x: Any) -> list[Any]:
            return list(x) if isinstance(x, Sequence) else [x] * size

        rows = zip(
            channel, value, column(source_time), column(receive_time), column(status), strict=True
        )
        for c, v, s, r, code in rows:
            if isinstance(v, float) or (isinstance(v, int) and abs(v) <= 2**53):
                buffer.add(c, float(v), s, r, code)
            else:
                buffer.add_object(c, v, s, r, code)
        return buffer.take() or empty_samples()


def empty_samples() -> Samples:
    """Return a batch without rows."""
    zero = np.empty(0, np.float64)
    return Samples(np.empty(0, np.int32), zero, zero, zero, zero, np.empty(0, np.uint32), {})


class SampleBuffer:
    """Collects samples row by row on a protocol's thread and hands them over as columns.

    Messages carry their time and status once: `extend` takes all values of one message. The buffer
    is bounded; past `capacity` rows the oldest half is dropped and counted, so that a consumer that
    stalls costs memory once and the newest values survive.
    """

    def __init__(self, capacity: int = 1_000_000) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self.dropped = 0
        self._reset()

    def _reset(self) -> None:
        self._channel: list[int] = []
        self._value: list[float] = []
        self._message_size: list[int] = []
        self._source: list[float] = []
        self._server: list[float] = []
        self._receive: list[float] = []
        self._status: list[int] = []
        self._objects: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self._channel)

    def add(
        self,
        channel: int,
        value: float,
        source_time: float,
        receive_time: float,
        status: int = 0,
        server_time: float = NAN,
    ) -> None:
        """Append one numeric sample."""
        with self._lock:
            self._append(channel, value, source_time, receive_time, status, server_time)

    def add_object(
        self,
        channel: int,
        value: Any,
        source_time: float,
        receive_time: float,
        status: int = 0,
        server_time: float = NAN,
    ) -> None:
        """Append one sample that is not a number."""
        with self._lock:
            self._objects[len(self._channel)] = value
            self._append(channel, NAN, source_time, receive_time, status, server_time)

    def _append(
        self,
        channel: int,
        value: float,
        source_time: float,
        receive_time: float,
        status: int,
        server_time: float,
    ) -> None:
        self._channel.append(channel)
        self._value.append(value)
        self._message_size.append(1)
        self._source.append(source_time)
        self._server.append(server_time)
        self._receive.append(receive_time)
        self._status.append(status)
        if len(self._channel) > self._capacity:
            self._drop_oldest()

    def extend(
        self,
        channels: Sequence[int],
        values: Sequence[float],
        source_time: float,
        receive_time: float,
        status: int = 0,
    ) -> None:
        """Append the numeric samples of one message; `channels` and `values` have one length."""
        with self._lock:
            self._channel.extend(channels)
            self._value.extend(values)
            self._message_size.append(len(channels))
            self._source.append(source_time)
            self._server.append(NAN)
            self._receive.append(receive_time)
            self._status.append(status)
            if len(self._channel) > self._capacity:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        rows, messages = 0, 0
        # Half at once, so that it is seldom done; more where one message alone brought more.
        while rows < max(self._capacity // 2, len(self._channel) - self._capacity):
            rows += self._message_size[messages]
            messages += 1
        del self._channel[:rows], self._value[:rows]
        del self._message_size[:messages], self._source[:messages], self._server[:messages]
        del self._receive[:messages], self._status[:messages]
        self._objects = {k - rows: v for k, v in self._objects.items() if k >= rows}
        self.dropped += rows

    def take(self) -> Samples | None:
        """Hand over what was collected since the last call, or None."""
        with self._lock:
            if not self._channel:
                return None
            channel, value, size = self._channel, self._value, self._message_size
            columns = (self._source, self._server, self._receive)
            status, objects = self._status, self._objects
            self._reset()
        counts = None if len(size) == len(channel) else np.array(size)

        def spread(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
            return column if counts is None else np.repeat(column, counts)

        source, server, receive = (spread(np.array(c, np.float64)) for c in columns)
        return Samples(
            np.array(channel, np.int32),
            np.array(value, np.float64),
            source,
            server,
            receive,
            spread(np.array(status, np.uint32)),
            objects,
        )
