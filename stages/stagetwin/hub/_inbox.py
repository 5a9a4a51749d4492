"""What waits for the next tick, in the order in which it came."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin.signals import Samples

__all__ = ["MAX_WAITING", "Inbox", "Stretch", "joined", "rows_of"]

MAX_WAITING = 2_000_000
"""Samples that may wait for the next tick, about 100 MB."""


@dataclass(slots=True)
class Stretch:
    """What came in until a connection broke, or until now.

    Attributes:
        batches: samples.
        vouchers: word of devices, as (channels, alive); each came after the samples before it.
        broken: the connection that broke at the end of it; empty for none.
    """

    batches: list[Samples] = field(default_factory=list)
    vouchers: list[tuple[Sequence[int], bool]] = field(default_factory=list)
    broken: str = ""


class Inbox:
    """Filled from any thread, emptied by the owner of the stage."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stretches = [Stretch()]
        self._waiting = 0

    def submit(self, batch: Samples) -> int:
        """Take a batch; returns how many of the oldest rows had to go for it."""
        dropped = 0
        with self._lock:
            self._stretches[-1].batches.append(batch)
            self._waiting += len(batch)
            while self._waiting - dropped > MAX_WAITING:
                oldest = next(stretch.batches for stretch in self._stretches if stretch.batches)
                if oldest[0] is batch:
                    break
                dropped += len(oldest.pop(0))
            self._waiting -= dropped
        return dropped

    def vouch(self, channels: Sequence[int], alive: bool) -> None:
        """Take word of devices."""
        with self._lock:
            self._stretches[-1].vouchers.append((channels, alive))

    def broke(self, connection: str) -> None:
        """Take note that a connection broke after all that came so far."""
        with self._lock:
            self._stretches[-1].broken = connection
            self._stretches.append(Stretch())

    def take(self) -> list[Stretch]:
        """Hand over what came since the last call, oldest first."""
        with self._lock:
            stretches, self._stretches = self._stretches, [Stretch()]
            self._waiting = 0
        return stretches


def joined(batches: Sequence[Samples]) -> Samples:
    """Return batches as one, in their order; there is at least one."""
    if len(batches) == 1:
        return batches[0]
    objects: dict[int, Any] = {}
    start = 0
    for b in batches:
        for row, value in b.objects.items():
            objects[start + row] = value
        start += len(b)
    return Samples(
        np.concatenate([b.channel for b in batches]),
        np.concatenate([b.value for b in batches]),
        np.concatenate([b.source_time for b in batches]),
        np.concatenate([b.server_time for b in batches]),
        np.concatenate([b.receive_time for b in batches]),
        np.concatenate([b.status for b in batches]),
        objects,
    )


def rows_of(batch: Samples, mask: npt.NDArray[np.bool_]) -> Samples:
    """Return some rows of a batch as a batch."""
    objects: dict[int, Any] = {}
    if batch.objects:
        position = np.cumsum(mask) - 1
        objects = {int(position[r]): v for r, v in batch.objects.items() if mask[r]}
    return Samples(
        batch.channel[mask],
        batch.value[mask],
        batch.source_time[mask],
        batch.server_time[mask],
        batch.receive_time[mask],
        batch.status[mask],
        objects,
    )
