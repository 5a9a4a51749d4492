"""What newton remembers between steps, as arrays with the world as first axis.

Bodies and joints of a world lie together, worlds one after another; so most arrays need only
another shape. What is kept in a list for all worlds is taken apart, with a world's own indices.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from stagetwin_sim._errors import SnapshotError, UnforkableError
from stagetwin_sim.engine import host_copy

__all__ = ["ActuatorMemory", "ArrayMemory", "FrictionMemory", "Memory", "taken"]

Arrays = dict[str, npt.NDArray[Any]]


class Memory(Protocol):
    """Something that newton remembers."""

    def save(self) -> Arrays:
        """Return a copy of it."""
        ...

    def load(self, saved: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take what `save` returned."""
        ...


def taken(saved: Mapping[str, npt.NDArray[Any]], name: str, like: npt.NDArray[Any]) -> Any:
    """Return a saved array; raises SnapshotError where it is missing or of another shape."""
    values = saved.get(name)
    if values is None or values.shape != like.shape:
        got = None if values is None else values.shape
        raise SnapshotError(f"bodies: {name} has shape {like.shape}, got {got}")
    return values


class ArrayMemory:
    """Arrays whose rows lie world by world.

    Args:
        arrays: newton's, by name; they are written in place.
        worlds: how many.
    """

    def __init__(self, arrays: Mapping[str, Any], worlds: int) -> None:
        self._arrays = {name: a for name, a in arrays.items() if a is not None and a.size}
        self._worlds = worlds

    def save(self) -> Arrays:
        """See Memory."""
        saved = {}
        for name, array in self._arrays.items():
            values = host_copy(array)
            saved[name] = values.reshape(self._worlds, -1, *values.shape[1:])
        return saved

    def load(self, saved: Mapping[str, npt.NDArray[Any]]) -> None:
        """See Memory."""
        for name, array in self._arrays.items():
            values = host_copy(array)
            given = taken(saved, name, values.reshape(self._worlds, -1, *values.shape[1:]))
            array.assign(np.ascontiguousarray(given.reshape(values.shape)))


class ActuatorMemory:
    """Delay buffers and integrals of actuators.

    Args:
        states: of all actuators, newton's.
        worlds: how many.
    """

    def __init__(self, states: list[Any], worlds: int) -> None:
        self._arrays: dict[str, Any] = {}
        self._worlds = worlds
        for i, state in enumerate(states):
            for part in ("delay_state", "drive_state"):
                held = getattr(state, part, None)
                for name, value in vars(held).items() if held is not None else ():
                    if hasattr(value, "numpy") and value.size:
                        self._arrays[f"actuator{i}.{part}.{name}"] = value

    def save(self) -> Arrays:
        """See Memory."""
        return {name: self._split(host_copy(array)) for name, array in self._arrays.items()}

    def load(self, saved: Mapping[str, npt.NDArray[Any]]) -> None:
        """See Memory."""
        for name, array in self._arrays.items():
            values = host_copy(array)
            given = taken(saved, name, self._split(values))
            if values.shape == (1,):
                values[:] = given.ravel()[0]
            else:
                values = np.moveaxis(given, 0, -2).reshape(values.shape)
            array.assign(np.ascontiguousarray(values))

    def _split(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return (…, all joints) as (worlds, …, joints of one); a place in a ring is everyone's."""
        if values.shape == (1,):
            return np.repeat(values[None], self._worlds, axis=0)
        apart = values.reshape(*values.shape[:-1], self._worlds, -1)
        return np.ascontiguousarray(np.moveaxis(apart, -2, 0))


class FrictionMemory:
    """The anchors of Steel's static friction: where bodies stick to each other.

    newton keeps them in one list for all worlds, sorted by pairs of bodies. Only the valid ones
    decide anything; they are kept in that order, for each world by itself.

    Args:
        patches: Steel's.
        model: newton's.
        worlds: how many.
        capacity: contacts that fit in a world.
    """

    _BODIES = ("body_a", "body_b")
    _SHAPES = ("shape_a", "shape_b")
    _VECTORS = (
        "normal", "displacement", "mu", "anchor_a", "anchor_b", "surface_a", "surface_b",
        "tangent_impulse",
    )  # fmt: skip

    def __init__(self, patches: Any, model: Any, worlds: int, capacity: int) -> None:
        self._patches = patches
        self._worlds = worlds
        self._capacity = capacity
        self._bodies = model.body_count // worlds
        self._shapes = model.shape_count // worlds

    def save(self) -> Arrays:
        """See Memory."""
        frame, total = self._patches.previous, self._patches.capacity
        held = {name: host_copy(getattr(frame, name)) for name in self._names()}
        order = host_copy(frame.indices)[:total]
        keys = host_copy(frame.keys)[:total]
        real = (keys != np.iinfo(np.int64).max) & (order >= 0) & (order < total)
        order = order[real]
        order = order[held["valid"][order] != 0]
        world = np.maximum(held["shape_a"][order], held["shape_b"][order]) // self._shapes
        saved: Arrays = {
            "friction.q": host_copy(self._patches.previous_q).reshape(
                self._worlds, self._bodies, -1
            ),
            "friction.count": np.bincount(world, minlength=self._worlds).astype(np.int32)[:, None],
        }
        for name in self._names():
            if name == "valid":
                continue
            values = held[name]
            out = np.zeros((self._worlds, self._capacity, *values.shape[1:]), values.dtype)
            for w in range(self._worlds):
                mine = order[world == w]
                if len(mine) > self._capacity:
                    raise UnforkableError(
                        f"bodies: {len(mine)} contacts hold in one world, {self._capacity} fit"
                    )
                out[w, : len(mine)] = self._own(name, values, mine, w)
            saved[f"friction.{name}"] = out
        return saved

    def load(self, saved: Mapping[str, npt.NDArray[Any]]) -> None:
        """See Memory."""
        now = self.save()
        given = {name: taken(saved, name, like) for name, like in now.items()}
        frame, total = self._patches.previous, self._patches.capacity
        self._patches.previous_q.assign(
            np.ascontiguousarray(given["friction.q"].reshape(-1, given["friction.q"].shape[-1]))
        )
        counts = given["friction.count"].ravel()
        count = int(counts.sum())
        world = np.repeat(np.arange(self._worlds), counts)
        held: Arrays = {}
        for name in self._names():
            array = getattr(frame, name)
            values = np.zeros_like(host_copy(array))
            if name == "valid":
                values[:count] = 1
            else:
                rows = given[f"friction.{name}"]
                parts = [rows[w, : counts[w]] for w in range(self._worlds)]
                values[:count] = self._all(name, np.concatenate(parts), world, counts)
            held[name] = values
        keys = self._keys(held, count)
        sorting = np.argsort(keys, kind="stable").astype(np.int32)
        for name, values in held.items():
            getattr(frame, name).assign(values)
        all_keys = np.full(2 * total, np.iinfo(np.int64).max)
        all_keys[:count] = keys[sorting]
        indices = np.arange(2 * total, dtype=np.int32)
        indices[:count] = sorting
        frame.keys.assign(all_keys)
        frame.indices.assign(indices)

    def _names(self) -> tuple[str, ...]:
        return (*self._BODIES, *self._SHAPES, "owner", "valid", *self._VECTORS)

    def _own(self, name: str, values: npt.NDArray[Any], rows: npt.NDArray[Any], world: int) -> Any:
        """Return rows with indices as of the first world."""
        picked = values[rows]
        if name in self._BODIES:
            return np.where(picked >= 0, picked - world * self._bodies, picked)
        if name in self._SHAPES:
            return np.where(picked >= 0, picked - world * self._shapes, picked)
        if name == "owner":  # only whether two are of one region matters
            _, first = np.unique(picked, return_inverse=True)
            return np.asarray(first, picked.dtype)
        return picked

    def _all(
        self,
        name: str,
        rows: npt.NDArray[Any],
        world: npt.NDArray[Any],
        counts: npt.NDArray[Any],
    ) -> Any:
        """Return rows with indices as among all worlds."""
        if name in self._BODIES:
            return np.where(rows >= 0, rows + world * self._bodies, rows)
        if name in self._SHAPES:
            return np.where(rows >= 0, rows + world * self._shapes, rows)
        if name == "owner":
            return rows + (np.cumsum(counts) - counts)[world]
        return rows

    def _keys(self, held: Arrays, count: int) -> npt.NDArray[np.int64]:
        """Return what Steel sorts pairs by: bodies, then shapes that are on none."""
        bodies = self._bodies * self._worlds
        halves = []
        for side in ("a", "b"):
            body = held[f"body_{side}"][:count].astype(np.int64)
            shape = held[f"shape_{side}"][:count].astype(np.int64)
            halves.append(np.where(body >= 0, body + 1, bodies + shape + 1))
        keys: npt.NDArray[np.int64] = (halves[0] << 32) | halves[1]
        return keys
