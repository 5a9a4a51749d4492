"""Structures of arrays: made, saved, and set back world by world."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import warp as wp

from stagetwin_sim._errors import SnapshotError
from stagetwin_sim.engine import Saved, host_copy
from stagetwin_sim.fleet._state_kernels import copy_worlds

__all__ = ["HeldArrays", "fields_of", "make_arrays"]


def fields_of(struct: Any) -> dict[str, Any]:
    """Return the arrays that a `wp.struct` declares: its names and Warp's types of their values."""
    return {
        name: var.type.dtype for name, var in struct.vars.items() if isinstance(var.type, wp.array)
    }


def make_arrays(struct: Any, shape: tuple[int, ...], device: str) -> Any:
    """Return a `wp.struct` whose arrays are all of one shape, and zero."""
    made = struct()
    for name, dtype in fields_of(struct).items():
        setattr(made, name, wp.zeros(shape, dtype=dtype, device=device))
    return made


class HeldArrays:
    """Arrays that are the whole state of something, the world first.

    Args:
        arrays: by name.
        worlds: how many.
        device: Warp's name of it.
    """

    def __init__(self, arrays: Mapping[str, wp.array[Any]], worlds: int, device: str) -> None:
        self.arrays = dict(arrays)
        self.worlds = worlds
        self.device = device
        self._views: dict[str, npt.NDArray[Any]] = {}
        self._firsts: dict[str, wp.array[Any]] | None = None

    def save(self) -> Saved:
        """Return a copy of all, by name; the first axis of each is the world."""
        return {
            name: host_copy(array).reshape(self.worlds, -1, *_tail(array))
            for name, array in self.arrays.items()
        }

    def load(self, saved: Saved) -> None:
        """Take what one of the same plan and as many worlds saved.

        Raises:
            SnapshotError: it does not fit.
        """
        if missing := sorted(set(self.arrays) ^ set(saved)):
            raise SnapshotError(f"the saved fleet has other arrays: {', '.join(missing)}")
        held = self.save()
        for name, values in saved.items():
            want = held[name]
            if values.shape != want.shape or values.dtype != want.dtype:
                text = f"{want.dtype} {want.shape}, got {values.dtype} {values.shape}"
                raise SnapshotError(f"the saved fleet's {name} must be {text}")
        for name, values in saved.items():
            array = self.arrays[name]
            array.assign(np.ascontiguousarray(values).reshape(host_copy(array).shape))

    def put(self, name: str, world: int, index: int | slice, value: Any) -> None:
        """Write one value, or a row of them, from the host."""
        array = self.arrays[name]
        if self.device == "cpu":
            if name not in self._views:
                self._views[name] = array.numpy()
            view = self._views[name]
            if view.ndim > 1 and not isinstance(index, slice):
                view[world, index] = value
            else:
                view[index] = value
            return
        if isinstance(index, slice):
            array[index].assign(np.asarray(value))
        else:
            row: Any = array[world]
            row[index : index + 1].assign(np.asarray([value]))

    def get(self, name: str, world: int, index: int) -> Any:
        """Return one value of an array of the shape (worlds, ...)."""
        array = self.arrays[name]
        if self.device == "cpu":
            if name not in self._views:
                self._views[name] = array.numpy()
            return self._views[name][world, index]
        row: Any = array[world]
        return row[index : index + 1].numpy()[0]

    def keep_first(self) -> None:
        """Take what is now as what `reset` goes back to."""
        self._firsts = {name: wp.clone(array) for name, array in self.arrays.items()}

    def reset(self, mask: wp.array[Any]) -> None:
        """Launch what sets the worlds in a mask back, shape (worlds,), int32."""
        if self._firsts is None:
            raise SnapshotError("nothing was kept to go back to")
        for name, array in self.arrays.items():
            first, now = _words(self._firsts[name], self.worlds), _words(array, self.worlds)
            wp.launch(
                copy_worlds, dim=now.shape, inputs=[mask, first], outputs=[now], device=self.device
            )


def _tail(array: wp.array[Any]) -> tuple[int, ...]:
    """Return the shape of one value of an array."""
    length = int(getattr(array.dtype, "_length_", 1))
    return (length,) if length > 1 else ()


def _words(array: wp.array[Any], worlds: int) -> wp.array[Any]:
    """Return an array as words of 32 bits, shape (worlds, words)."""
    count = array.size * wp.types.type_size_in_bytes(array.dtype) // 4
    return wp.array(
        ptr=array.ptr,
        dtype=wp.int32,
        shape=(worlds, count // worlds),
        device=array.device,
        copy=False,
    )
