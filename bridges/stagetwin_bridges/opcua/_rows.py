"""Rows of samples as they are decoded, some one by one and some by the thousand."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stagetwin.signals import Samples

__all__ = ["EXACT", "NAN", "Rows", "unix_seconds"]

NAN: Final = float("nan")
EXACT: Final = 2**53
"""Largest integer up to which all fit into a float64."""

_SINCE_1601: Final = 116_444_736_000_000_000
_PER_SECOND: Final = 1e7

Floats = npt.NDArray[np.float64]


def unix_seconds(ticks: int) -> float:
    """Return a DateTime of the wire, 100 ns since 1601, as time [s, Unix]; NaN for none."""
    return (ticks - _SINCE_1601) / _PER_SECOND if ticks else NAN


def all_unix_seconds(ticks: npt.NDArray[np.int64]) -> Floats:
    """Return `unix_seconds` of every item."""
    # In integers first: a float64 holds no date since 1601 to the microsecond.
    seconds: Floats = (ticks - _SINCE_1601) / _PER_SECOND
    return np.where(ticks == 0, NAN, seconds)


class Rows:
    """Collects rows in order; `take` hands them over as columns."""

    def __init__(self) -> None:
        self._parts: list[tuple[npt.NDArray[Any], ...]] = []
        self._count = 0
        self._objects: dict[int, Any] = {}
        self._restart()

    def _restart(self) -> None:
        self._channel: list[int] = []
        self._value: list[float] = []
        self._source: list[float] = []
        self._server: list[float] = []
        self._status: list[int] = []

    def add(self, channel: int, value: Any, source: float, server: float, status: int) -> None:
        """Append one row; a value that no float64 holds goes beside the columns."""
        if type(value) is not float:
            if isinstance(value, int) and -EXACT <= value <= EXACT:
                value = float(value)
            else:
                self._objects[self._count] = value
                value = NAN
        self._channel.append(channel)
        self._value.append(value)
        self._source.append(source)
        self._server.append(server)
        self._status.append(status)
        self._count += 1

    def extend(
        self,
        channel: npt.NDArray[np.int32],
        value: Floats,
        source: Floats,
        server: Floats,
        status: npt.NDArray[np.uint32],
    ) -> None:
        """Append many rows of numbers."""
        self._flush()
        self._parts.append((channel, value, source, server, status))
        self._count += len(channel)

    def _flush(self) -> None:
        if self._channel:
            self._parts.append(
                (
                    np.array(self._channel, np.int32),
                    np.array(self._value, np.float64),
                    np.array(self._source, np.float64),
                    np.array(self._server, np.float64),
                    np.array(self._status, np.uint32),
                )
            )
            self._restart()

    def take(self, receive_time: float) -> Samples | None:
        """Hand over what was collected since the last call, or None.

        Args:
            receive_time: when all of it was in hand [s, Unix].
        """
        if not self._count:
            return None
        self._flush()
        parts = self._parts
        columns = parts[0] if len(parts) == 1 else [np.concatenate(c) for c in zip(*parts)]  # noqa: B905
        channel, value, source, server, status = columns
        received = np.full(self._count, receive_time)
        objects = self._objects
        self._parts, self._count, self._objects = [], 0, {}
        return Samples(channel, value, source, server, received, status, objects)
