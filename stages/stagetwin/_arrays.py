"""Elements of array attributes: many channels, one attribute, one write a tick."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pxr import Gf, Usd, UsdGeom

__all__ = ["ArraySlot"]


class ArraySlot:
    """The working copy of one array attribute, written whole when any element changed.

    The array keeps its full length: a PointInstancer whose arrays differ in length draws nothing.
    """

    def __init__(self, attr: Usd.Attribute, count: int, seed: Sequence[Any]) -> None:
        """Take what the stage shows now, as far as the plant's array goes.

        Args:
            attr: composed array attribute.
            count: least number of elements.
            seed: elements as the plant says them.
        """
        self._array_class = type(attr.GetTypeName().defaultValue)
        length = max(count, _instance_count(attr) or len(seed))
        self._values: list[Any] = list(attr.Get() or ())[:length]
        self._values.extend(seed[len(self._values) : length])
        self._values.extend([_neutral(attr)] * (length - len(self._values)))

    def __len__(self) -> int:
        return len(self._values)

    def set(self, elements: Iterable[tuple[int, Any]]) -> Any:
        """Set elements by index and return the whole array as USD holds it."""
        for index, value in elements:
            self._values[index] = value
        return self._array_class(self._values)


def _instance_count(attr: Usd.Attribute) -> int:
    """Return how many elements each array of a PointInstancer has, 0 on another prim."""
    prim = attr.GetPrim()
    if not prim.IsA("PointInstancer"):
        return 0
    return len(UsdGeom.PointInstancer(prim).GetProtoIndicesAttr().Get() or ())


def _neutral(attr: Usd.Attribute) -> Any:
    value = attr.GetTypeName().scalarType.defaultValue
    if attr.GetName() == UsdGeom.Tokens.scales:
        # Size zero would hide the elements that have not been heard of.
        return type(value)(1)
    if isinstance(value, (Gf.Quatd, Gf.Quatf, Gf.Quath)):
        # USD's default quaternion is zero, which is no rotation at all.
        return type(value)(1)
    return value
