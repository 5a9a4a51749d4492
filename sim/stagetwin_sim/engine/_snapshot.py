"""A saved state: every number that decides what happens next."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin_sim._errors import SnapshotError

__all__ = ["Snapshot"]

_Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The complete state of an engine between two frames.

    Attributes:
        revision: of the plan.
        frames: frames done.
        bus: shape (worlds, column_count).
        ticks, seeds: shape (worlds,).
        systems: each one's state by name; the first axis of an array is the world. What is no
            number (the state of an FMU) is bytes in an object array.
    """

    revision: str
    frames: int
    bus: npt.NDArray[np.float64]
    ticks: npt.NDArray[np.int64]
    seeds: npt.NDArray[np.int64]
    systems: Mapping[str, _Arrays]

    @property
    def worlds(self) -> int:
        """How many worlds it holds."""
        return len(self.ticks)

    def world(self, index: int) -> Snapshot:
        """Return one world alone."""
        return self._taken(np.array([index]))

    def repeated(self, worlds: int) -> Snapshot:
        """Return the first world, `worlds` times."""
        return self._taken(np.zeros(worlds, np.intp))

    def _taken(self, indices: npt.NDArray[np.intp]) -> Snapshot:
        return Snapshot(
            revision=self.revision,
            frames=self.frames,
            bus=self.bus[indices],
            ticks=self.ticks[indices],
            seeds=self.seeds[indices],
            systems={
                name: {key: values[indices] for key, values in arrays.items()}
                for name, arrays in self.systems.items()
            },
        )

    @property
    def nbytes(self) -> int:
        """Size of its arrays [B]."""
        size = self.bus.nbytes + self.ticks.nbytes + self.seeds.nbytes
        return size + sum(v.nbytes for arrays in self.systems.values() for v in arrays.values())

    def digest(self) -> str:
        """Return a fingerprint: equal states have equal ones, bit for bit."""
        state = hashlib.blake2b(digest_size=16)
        state.update(f"{self.revision} {self.frames}".encode())
        for name, values in sorted(self._flat().items()):
            state.update(f"{name} {values.dtype} {values.shape}".encode())
            parts = values.ravel().tolist() if values.dtype == object else [values.tobytes()]
            for part in parts:
                state.update(bytes(part))
        return state.hexdigest()

    def to_bytes(self) -> bytes:
        """Return it as a compressed NumPy archive, without pickles."""
        flat = self._flat()
        held = io.BytesIO()
        plain = {k: _packed(v) if v.dtype == object else v for k, v in flat.items()}
        np.savez_compressed(
            held,
            allow_pickle=False,
            **{"/revision": np.array(self.revision), "/frames": np.array(self.frames)},
            **plain,
        )
        return held.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Snapshot:
        """Read what `to_bytes` wrote.

        Raises:
            SnapshotError: it is no such archive.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                flat = {name: archive[name] for name in archive.files}
            systems: dict[str, dict[str, npt.NDArray[Any]]] = {}
            for name, values in flat.items():
                system, _, key = name.partition("|")
                if key:
                    packed = key.endswith("|bytes")
                    systems.setdefault(system, {})[key.removesuffix("|bytes")] = (
                        _unpacked(values) if packed else values
                    )
            return cls(
                revision=str(flat["/revision"]),
                frames=int(flat["/frames"]),
                bus=flat["/bus"],
                ticks=flat["/ticks"],
                seeds=flat["/seeds"],
                systems=systems,
            )
        except (KeyError, ValueError, OSError, EOFError) as error:
            raise SnapshotError(f"this is no saved state: {error}") from None

    def _flat(self) -> dict[str, npt.NDArray[Any]]:
        flat: dict[str, npt.NDArray[Any]] = {
            "/bus": self.bus,
            "/ticks": self.ticks,
            "/seeds": self.seeds,
        }
        for name, arrays in self.systems.items():
            for key, values in arrays.items():
                mark = "|bytes" if values.dtype == object else ""
                flat[f"{name}|{key}{mark}"] = values
        return flat


def _packed(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return the bytes of each world, lengths first, as one array of numbers."""
    parts = [bytes(value) for value in values.ravel().tolist()]
    shape = np.array([values.ndim, *values.shape, *[len(p) for p in parts]], np.int64)
    head = np.array([len(shape)], np.int64)
    return np.frombuffer(head.tobytes() + shape.tobytes() + b"".join(parts), np.uint8)


def _unpacked(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    data = values.tobytes()
    count = int(np.frombuffer(data[:8], np.int64)[0])
    shape = np.frombuffer(data[8 : 8 + 8 * count], np.int64).tolist()
    dims, lengths = shape[1 : 1 + shape[0]], shape[1 + shape[0] :]
    parts = np.empty(len(lengths), object)
    start = 8 + 8 * count
    for i, length in enumerate(lengths):
        parts[i] = data[start : start + length]
        start += length
    return parts.reshape(dims)
