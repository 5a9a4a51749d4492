"""Numbers on their way between the bus and FMUs: all variables of one type of all instances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin_sim.engine import Floats
from stagetwin_sim.fmi._fmu import NUMBERS, Variable

__all__ = ["Buffer", "memory_type"]


def memory_type(kind: str, version: int) -> str:
    """Return how a type of FMI lies in memory, as NumPy names it."""
    if kind == "Boolean":
        return "i4" if version == 2 else "?"
    if kind == "Enumeration":
        return "i4" if version == 2 else "i8"
    return NUMBERS[kind]


_FEW = 1_000


class Buffer:
    """The values of variables of one type in memory, in every world.

    Args:
        dtype: how one lies in memory.
        rows: variables, their columns of the bus and the indices of their instances.
        worlds: how many.

    Attributes:
        values: shape (worlds, count), as the FMUs read or write them.
    """

    def __init__(
        self,
        dtype: str,
        rows: Sequence[tuple[Variable, int, int]],
        worlds: int,
    ) -> None:
        variables, columns, owners = zip(*rows, strict=True)
        starts = np.array([v.start for v in variables])
        self.values: npt.NDArray[Any] = np.ascontiguousarray(
            np.repeat(starts[None].astype(dtype), worlds, axis=0)
        )
        self.owners = np.array(owners, np.intp)
        self._columns = _slice(columns)
        self._scale = np.array([v.si.scale for v in variables])
        self._offset = np.array([v.si.offset for v in variables])
        self._plain = bool((self._scale == 1).all() and (self._offset == 0).all())
        low, high = (np.array([getattr(v, m) for v in variables]) for m in ("minimum", "maximum"))
        self._whole = np.dtype(dtype).kind in "iu"
        self._truth = variables[0].type == "Boolean"
        if self._whole and not self._truth:
            bounds = np.iinfo(dtype)
            low, high = np.maximum(low, bounds.min), np.minimum(high, bounds.max)
        self._low, self._high = low, high
        self._bounded = bool(np.isfinite(low).any() or np.isfinite(high).any())

    def address(self, world: int, first: int) -> int:
        """Return where a world's values from `first` on begin."""
        return int(self.values[world, first:].ctypes.data)

    def fill(self, bus: Floats) -> list[tuple[str, int, int]]:
        """Take values from the bus; return what was not taken as it was.

        Args:
            bus: shape (worlds, column_count).

        Returns:
            Cause, world and index of the instance.
        """
        given = bus[:, self._columns]
        doubtful: list[tuple[str, int, int]] = []
        if not self._plain:
            given = (given - self._offset) / self._scale
        if not _finite(given):
            finite = np.isfinite(given)
            doubtful += self._places("input not finite", ~finite)
            given = np.where(finite, given, self.values)
        if self._truth:
            self.values[...] = given >= 0.5
            return doubtful
        if self._bounded:
            inside = np.clip(given, self._low, self._high)
            if (inside != given).any():
                doubtful += self._places("input out of range", inside != given)
            given = inside
        self.values[...] = np.rint(given) if self._whole else given
        return doubtful

    def _places(self, cause: str, where: npt.NDArray[np.bool_]) -> list[tuple[str, int, int]]:
        return [(cause, int(w), int(self.owners[i])) for w, i in np.argwhere(where)]

    def put(self, bus: Floats) -> None:
        """Put values on the bus, shape (worlds, column_count)."""
        values = self.values if self._plain else self.values * self._scale + self._offset
        bus[:, self._columns] = values

    def held(self, bus: Floats) -> set[tuple[int, int]]:
        """Put the bus's values, the last ones, in the place of what is no finite number.

        Returns:
            World and index of the instances that gave it.
        """
        if _finite(self.values):
            return set()
        bad = np.argwhere(~np.isfinite(self.values))
        found = {(int(world), int(self.owners[i])) for world, i in bad}
        last = (bus[:, self._columns] - self._offset) / self._scale
        for world, index in found:
            own = self.owners == index
            self.values[world, own] = last[world, own]
        return found


def _slice(columns: Sequence[int]) -> slice | npt.NDArray[np.intp]:
    """Return columns as a slice where they follow each other: a view costs less than a gather."""
    first = columns[0]
    if tuple(columns) == tuple(range(first, first + len(columns))):
        return slice(first, first + len(columns))
    return np.array(columns, np.intp)


def _finite(values: npt.NDArray[Any]) -> bool:
    """Return whether all values are finite numbers."""
    if values.size <= _FEW:  # a scalar product is one call, and not finite where a factor is not
        flat = values.ravel()
        if math.isfinite(np.dot(flat, flat)):
            return True
    return bool(np.isfinite(values).all())
