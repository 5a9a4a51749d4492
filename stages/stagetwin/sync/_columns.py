"""How the values of each USD type travel, and the columns that hold their newest state."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin.sync._frames import SectionKind
from stagetwin.sync._poses import are_rigid, poses_of

__all__ = [
    "Column",
    "MatrixColumn",
    "NumberColumn",
    "TextColumn",
    "Values",
    "column_of",
    "wire_kind",
]

Array = npt.NDArray[Any]
Values = Sequence[Any] | Array

_SCALARS = {
    "double": SectionKind.FLOAT64,
    "timecode": SectionKind.FLOAT64,
    "float": SectionKind.FLOAT32,
    "half": SectionKind.FLOAT32,
    "uchar": SectionKind.INT64,
    "int": SectionKind.INT64,
    "uint": SectionKind.INT64,
    "int64": SectionKind.INT64,
    "bool": SectionKind.BOOL,
}
_VECTORS = {
    "double": SectionKind.FLOAT64,
    "float": SectionKind.FLOAT32,
    "half": SectionKind.FLOAT32,
}
_VECTORS["int"] = SectionKind.INT64
_ROLES = ("point", "normal", "vector", "color", "texCoord")
_CODES = {"d": "double", "f": "float", "h": "half"}
_DTYPES: dict[SectionKind, npt.DTypeLike] = {
    SectionKind.FLOAT64: np.float64,
    SectionKind.FLOAT32: np.float32,
    SectionKind.INT64: np.int64,
    SectionKind.BOOL: np.uint8,
}
_JSON = (SectionKind.JSON, 0)


@cache
def wire_kind(type_name: str) -> tuple[SectionKind, int]:
    """Return the kind of section and the numbers of one value of a USD type.

    What is no number, vector, quaternion or matrix travels as JSON, arrays and uint64 too. A
    `matrix4d` is announced as MATRIX; a rigid one goes as POSE.
    """
    if type_name in _SCALARS:
        return _SCALARS[type_name], 1
    if type_name in ("matrix4d", "frame4d"):
        return SectionKind.MATRIX, 16
    if type_name in ("matrix2d", "matrix3d"):
        return SectionKind.FLOAT64, 4 if type_name == "matrix2d" else 9
    if type_name in ("quatd", "quatf", "quath"):
        return _VECTORS[_CODES[type_name[-1]]], 4
    for role in _ROLES:
        if type_name.startswith(role) and len(type_name) == len(role) + 2:
            return _VECTORS[_CODES[type_name[-1]]], int(type_name[-2])
    if type_name[-1:] in ("2", "3", "4") and type_name[:-1] in _VECTORS:
        return _VECTORS[type_name[:-1]], int(type_name[-1])
    return _JSON


class Column(abc.ABC):
    """Newest values of some channels of one kind, by slot.

    Attributes:
        kind: how they travel.
        width: numbers of one value.
    """

    kind: SectionKind
    width: int

    @abc.abstractmethod
    def set(self, slots: Array, values: Values) -> Array:
        """Take values, and tell which are others than before; shape (n,).

        Raises:
            ValueError, TypeError, OverflowError: one of them cannot be held; none was taken.
        """

    @abc.abstractmethod
    def move(self, slots: Array, other: Column, others: Array) -> None:
        """Take over values of another column of the same kind."""

    @abc.abstractmethod
    def split(self, slots: Array) -> list[tuple[SectionKind, Array | None, Array | list[Any]]]:
        """Return the values of some slots by kind of section.

        Returns:
            For each: its kind, which of the slots it has (None for all), and their values.
        """


class NumberColumn(Column):
    """Scalars (n,), and vectors and quaternions (n, width)."""

    def __init__(self, kind: SectionKind, width: int, size: int) -> None:
        self.kind, self.width = kind, width
        shape = (size,) if width == 1 else (size, width)
        self.values = np.zeros(shape, _DTYPES[kind])

    def set(self, slots: Array, values: Values) -> Array:
        if self.kind is SectionKind.INT64:
            # By way of float64 an integer beyond 2**53 would lose its last digits.
            made = np.asarray(values)
            if made.dtype.kind not in "iub":
                made = np.array(_whole(made.tolist()), np.int64)
        else:
            made = np.asarray(values, np.float64)
        made = made.reshape(len(slots), *self.values.shape[1:]).astype(self.values.dtype)
        differs: Array = self.values[slots] != made
        self.values[slots] = made
        return differs if differs.ndim == 1 else np.asarray(differs.any(axis=1))

    def move(self, slots: Array, other: Column, others: Array) -> None:
        assert isinstance(other, NumberColumn)
        self.values[slots] = other.values[others]

    def split(self, slots: Array) -> list[tuple[SectionKind, Array | None, Array | list[Any]]]:
        return [(self.kind, None, self.values[slots])]


def _whole(values: Any) -> Any:
    return [_whole(v) for v in values] if isinstance(values, list) else int(values)


class MatrixColumn(Column):
    """Matrices (n, 16), each known as a pose too where it is rigid."""

    def __init__(self, kind: SectionKind, pose: SectionKind, size: int) -> None:
        self.kind, self.width = kind, 16
        self._pose_kind = pose
        self.values = np.zeros((size, 16))
        self.poses = np.zeros((size, 7))
        self.rigid = np.zeros(size, np.bool_)

    def set(self, slots: Array, values: Values) -> Array:
        made = np.asarray(values, np.float64).reshape(len(slots), 16)
        differs: Array = (self.values[slots] != made).any(axis=1)
        self.values[slots] = made
        rigid = self.rigid[slots] = are_rigid(made)
        self.poses[slots[rigid]] = poses_of(made[rigid])
        return differs

    def move(self, slots: Array, other: Column, others: Array) -> None:
        assert isinstance(other, MatrixColumn)
        self.values[slots] = other.values[others]
        self.poses[slots] = other.poses[others]
        self.rigid[slots] = other.rigid[others]

    def split(self, slots: Array) -> list[tuple[SectionKind, Array | None, Array | list[Any]]]:
        rigid = self.rigid[slots]
        if rigid.all():
            return [(self._pose_kind, None, self.poses[slots])]
        if not rigid.any():
            return [(self.kind, None, self.values[slots])]
        stiff, other = np.flatnonzero(rigid), np.flatnonzero(~rigid)
        return [
            (self._pose_kind, stiff, self.poses[slots[stiff]]),
            (self.kind, other, self.values[slots[other]]),
        ]


class TextColumn(Column):
    """Plain data that JSON carries: texts, arrays, and whatever else."""

    def __init__(self, size: int) -> None:
        self.kind, self.width = _JSON
        self.values: list[Any] = [None] * size

    def set(self, slots: Array, values: Values) -> Array:
        listed = slots.tolist()
        differs = [self.values[slot] != value for slot, value in zip(listed, values, strict=True)]
        for slot, value in zip(listed, values, strict=True):
            self.values[slot] = value
        return np.array(differs, np.bool_)

    def move(self, slots: Array, other: Column, others: Array) -> None:
        assert isinstance(other, TextColumn)
        self.set(slots, [other.values[i] for i in others.tolist()])

    def split(self, slots: Array) -> list[tuple[SectionKind, Array | None, Array | list[Any]]]:
        return [(self.kind, None, [self.values[i] for i in slots.tolist()])]


def column_of(kind: SectionKind, width: int, size: int) -> Column:
    """Return an empty column for so many channels."""
    if kind is SectionKind.JSON:
        return TextColumn(size)
    if kind is SectionKind.MATRIX:
        return MatrixColumn(SectionKind.MATRIX, SectionKind.POSE, size)
    return NumberColumn(kind, width, size)
