"""Elements of array attributes: many channels, one attribute, one write a tick."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pxr import Gf, Usd, UsdGeom

__all__ = ["ArraySlot"]


class ArraySlot:
    """The working copy of one array attribute, written whole when any element changed.

    The array keeps its full length: a PointInstancer whose arrays differ in length draws nothing.
    """

    def __init__(self, attr: Usd.Attribute, count: int) -> None:
        name = attr.GetTypeName()
        self._array_class = type(name.defaultValue)
        self._values: list[Any] = list(attr.Get() or ())
        instances = _instance_count(attr)
        if instances:
            del self._values[instances:]
        missing = max(count, instances) - len(self._values)
        self._values.extend([_neutral(attr)] * missing)

    def set(self, elements: Iterable[tuple[int, Any]]) -> Any:
        """Set elements by index and return the whole array as USD holds it."""
        for index, value in elements:
            self._values[index] = value
        return self._array_class(self._values)


def _instance_count(attr: Usd.Attribute) -> int:
    """Return how many elements each array of a PointInstancer has, 0 on another prim."""
    prim = attr.GetPrim()
    if not prim.IsA(UsdGeom.PointInstancer):
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
