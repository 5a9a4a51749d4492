"""The newest state of every channel, and the parameters by which samples are judged, as columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin.bindings import TelemetryBinding
from stagetwin.ports import ValueKind
from stagetwin.signals import Quality, Status

__all__ = ["ChannelParameters", "Latest"]

INTEGER, BOOLEAN, OBJECT = 1, 2, 3
_CODES = {
    ValueKind.NUMBER: 0,
    ValueKind.INTEGER: INTEGER,
    ValueKind.BOOLEAN: BOOLEAN,
    ValueKind.TEXT: OBJECT,
    ValueKind.COMPOSITE: OBJECT,
}


def _grown(column: npt.NDArray[Any], size: int, fill: Any) -> npt.NDArray[Any]:
    out = np.full(size, fill, column.dtype)
    out[: len(column)] = column
    return out


def _largest_float(bound: float) -> float:
    """Return the largest float64 that is not above a bound: float(2**63 - 1) is."""
    nearest = float(bound)
    return nearest if nearest <= bound else math.nextafter(nearest, 0)


class Latest:
    """Newest value, times, status and quality by channel index; every array has shape (size,).

    Attributes:
        value: stage value of numeric channels, float64.
        objects: value of the others, and of integers beyond 2**53; None elsewhere.
        source_time, server_time, receive_time: of the newest sample [s, Unix], NaN if unsaid.
        seen: steady time of the last sign of life [s], -inf for never: when a sample was received,
            or a device was vouched for.
        accepted: steady time of the last accepted sample [s], -inf for never.
        status: raw status code, uint32.
        quality: `Quality` in force, uint8.
        arrived: whether a value was ever accepted.
        gone: whether the device behind it said goodbye.
        vouched: whether the device behind it says that it lives.
        anew: whether a sample came since its connection last broke.
        doubted: whether its source set its clock back and is not near ours since.
    """

    def __init__(self) -> None:
        self.size = 0
        self.value = np.empty(0)
        self.objects: list[Any] = []
        self.source_time = np.empty(0)
        self.server_time = np.empty(0)
        self.receive_time = np.empty(0)
        self.seen = np.empty(0)
        self.accepted = np.empty(0)
        self.status = np.empty(0, np.uint32)
        self.quality = np.empty(0, np.uint8)
        self.arrived = np.empty(0, np.bool_)
        self.gone = np.empty(0, np.bool_)
        self.vouched = np.empty(0, np.bool_)
        self.anew = np.empty(0, np.bool_)
        self.doubted = np.empty(0, np.bool_)

    def grow(self, size: int) -> None:
        """Make room for channels up to `size`; what is there stays."""
        if size <= self.size:
            return
        self.value = _grown(self.value, size, math.nan)
        self.objects.extend([None] * (size - self.size))
        self.source_time = _grown(self.source_time, size, math.nan)
        self.server_time = _grown(self.server_time, size, math.nan)
        self.receive_time = _grown(self.receive_time, size, math.nan)
        self.seen = _grown(self.seen, size, -math.inf)
        self.accepted = _grown(self.accepted, size, -math.inf)
        self.status = _grown(self.status, size, Status.BAD_NO_COMMUNICATION)
        self.quality = _grown(self.quality, size, Quality.STALE)
        self.arrived = _grown(self.arrived, size, False)
        self.gone = _grown(self.gone, size, False)
        self.vouched = _grown(self.vouched, size, False)
        self.anew = _grown(self.anew, size, False)
        self.doubted = _grown(self.doubted, size, False)
        self.size = size


class ChannelParameters:
    """How samples of each channel are judged; every array has shape (size,).

    Attributes:
        active: whether the channel is bound now.
        code: 0 number, 1 integer, 2 boolean, 3 object.
        scale, offset: stage value = wire value * scale + offset.
        scaled: whether any channel scales, to skip the work where none does.
        low, high: what hard limits and type allow in the float column.
        soft_low, soft_high: soft limits.
        deadband: smallest written change.
        stale_after: [s].
        connection: index into `connections`.
        convert: by channel, converter of objects.
    """

    def __init__(self, bindings: Mapping[int, TelemetryBinding], size: int) -> None:
        self.bindings = bindings
        self.active = np.zeros(size, np.bool_)
        self.code = np.zeros(size, np.uint8)
        self.scale = np.ones(size)
        self.offset = np.zeros(size)
        self.low = np.full(size, -math.inf)
        self.high = np.full(size, math.inf)
        self.soft_low = np.full(size, -math.inf)
        self.soft_high = np.full(size, math.inf)
        self.deadband = np.zeros(size)
        self.stale_after = np.full(size, math.inf)
        self.connection = np.zeros(size, np.int32)
        self.convert: list[Callable[..., Any] | None] = [None] * size
        self.connections: list[str] = sorted({b.connection for b in bindings.values()})
        names = {name: i for i, name in enumerate(self.connections)}
        for i, b in bindings.items():
            kind = b.value_type
            self.active[i] = True
            self.code[i] = _CODES[kind.kind]
            self.scale[i], self.offset[i] = b.scale, b.offset
            limits = b.limits
            if kind.kind.numeric:
                # A scalar's bounds are numbers; those of vectors go to the converter.
                self.low[i] = max(limits.hard_min, kind.minimum)
                self.high[i] = min(limits.hard_max, _largest_float(kind.maximum))
                self.soft_low[i], self.soft_high[i] = limits.soft_min, limits.soft_max
            self.deadband[i] = b.deadband
            self.stale_after[i] = b.stale_after
            self.connection[i] = names[b.connection]
            self.convert[i] = kind.convert
        self.scaled = bool((self.scale != 1).any() or self.offset.any())
        self.has_integers = bool((self.code == INTEGER).any())
        self.has_booleans = bool((self.code == BOOLEAN).any())
        self.has_limits = bool(np.isfinite(self.low).any() or np.isfinite(self.high).any())
        self.has_soft = bool(np.isfinite(self.soft_low).any() or np.isfinite(self.soft_high).any())
        self.has_deadband = bool(self.deadband.any())

    def of_connection(self, name: str) -> npt.NDArray[np.bool_]:
        """Return which channels are bound to a connection of the table."""
        bound: npt.NDArray[np.bool_] = self.connection == self.connections.index(name)
        return self.active & bound
