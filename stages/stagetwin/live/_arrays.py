"""Elements of array attributes: many channels, one attribute, one write a tick."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pxr import Gf, Sdf, Usd

__all__ = ["ArraySlot"]


class ArraySlot:
    """The working copy of one array attribute, written whole when any element changed.

    The array keeps its full length: a PointInstancer whose arrays differ in length draws nothing.
    """

    def __init__(self, attr: Usd.Attribute, count: int) -> None:
        name = attr.GetTypeName()
        self._array_class = type(name.defaultValue)
        self._values: list[Any] = list(attr.Get() or ())
        neutral = _neutral(name.scalarType)
        self._values.extend([neutral] * (count - len(self._values)))

    def set(self, elements: Iterable[tuple[int, Any]]) -> Any:
        """Set elements by index and return the whole array as USD holds it."""
        for index, value in elements:
            self._values[index] = value
        return self._array_class(self._values)


def _neutral(scalar: Sdf.ValueTypeName) -> Any:
    value = scalar.defaultValue
    if isinstance(value, (Gf.Quatd, Gf.Quatf, Gf.Quath)):
        # USD's default quaternion is zero, which is no rotation at all.
        return type(value)(1)
    return value
