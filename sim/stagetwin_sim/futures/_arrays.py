"""Arrays of a system that are all of its state: made, copied out, put back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import warp as wp

from stagetwin_sim._errors import SnapshotError
from stagetwin_sim.engine import Saved, host_copy

__all__ = ["Arrays", "device_array", "ragged"]

_TYPES: dict[str, Any] = {"i": wp.int32, "l": wp.int64, "f": wp.float64}


def device_array(values: npt.ArrayLike, kind: str, device: str) -> wp.array[Any]:
    """Return values as a Warp array with at least one entry along each axis.

    Args:
        values: any numbers.
        kind: `i` for int32, `l` for int64, `f` for float64.
        device: Warp's name of it.
    """
    dtype = {"i": np.int32, "l": np.int64, "f": np.float64}[kind]
    given = np.ascontiguousarray(values, dtype)
    if not given.size:
        given = np.zeros([max(1, n) for n in given.shape], dtype)
    return wp.array(given, dtype=_TYPES[kind], device=device)


def ragged(lists: list[list[Any]]) -> list[int]:
    """Return where each list begins once they stand behind each other, and the end."""
    return [0, *np.cumsum([len(each) for each in lists]).tolist()]


class Arrays:
    """Named arrays whose first axis is the world."""

    def __init__(self, owner: str, device: str) -> None:
        self._owner = owner
        self._device = device
        self._arrays: dict[str, wp.array[Any]] = {}

    def add(self, name: str, values: npt.ArrayLike, kind: str) -> wp.array[Any]:
        """Add an array with its first values, and return it."""
        self._arrays[name] = device_array(values, kind, self._device)
        return self._arrays[name]

    def __getitem__(self, name: str) -> wp.array[Any]:
        return self._arrays[name]

    def save(self) -> Saved:
        """Return a copy of all."""
        return {name: host_copy(array) for name, array in self._arrays.items()}

    def load(self, saved: Mapping[str, npt.NDArray[Any]]) -> None:
        """Put a copy back.

        Raises:
            SnapshotError: it does not fit.
        """
        for name, array in self._arrays.items():
            values = saved.get(name)
            if values is None or values.shape != array.shape:
                got = None if values is None else values.shape
                raise SnapshotError(f"{self._owner}: {name} has shape {array.shape}, got {got}")
            array.assign(values)
