"""From what a frame carries to what an attribute of a USD type holds, and nothing rounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from pxr import Gf, Sdf, Vt

from stagetwin.sync._frames import SectionKind
from stagetwin.sync._poses import matrices_of

__all__ = ["made_of_numbers", "maker", "plain_shape"]

Array = npt.NDArray[Any]

_ROLES = ("point", "normal", "vector", "color", "texCoord")
_BLOCKS: dict[str, tuple[Any, str]] = {
    **{f"double{n}": (getattr(Vt, f"Vec{n}dArray"), "f8") for n in (2, 3, 4)},
    **{f"float{n}": (getattr(Vt, f"Vec{n}fArray"), "f4") for n in (2, 3, 4)},
    **{f"half{n}": (getattr(Vt, f"Vec{n}hArray"), "f2") for n in (2, 3, 4)},
    **{f"int{n}": (getattr(Vt, f"Vec{n}iArray"), "i4") for n in (2, 3, 4)},
    # USD keeps a quaternion's imaginary part first.
    "quatd": (Vt.QuatdArray, "f8"),
    "quatf": (Vt.QuatfArray, "f4"),
    "quath": (Vt.QuathArray, "f2"),
    "matrix2d": (Vt.Matrix2dArray, "f8"),
    "matrix3d": (Vt.Matrix3dArray, "f8"),
    "matrix4d": (Vt.Matrix4dArray, "f8"),
}
_SIDES = {"matrix2d": 2, "matrix3d": 3, "matrix4d": 4}
_QUATERNIONS = {"quatd": (Gf.Quatd, Gf.Vec3d), "quatf": (Gf.Quatf, Gf.Vec3f)}
_QUATERNIONS["quath"] = (Gf.Quath, Gf.Vec3h)


@cache
def plain_shape(type_name: str) -> str:
    """Return the type without its role: a point3f holds what a float3 does."""
    for role in _ROLES:
        if type_name.startswith(role):
            code, rest = type_name[len(role) + 1], type_name[len(role) + 2 :]
            name = {"d": "double", "f": "float", "h": "half"}[code]
            return f"{name}{type_name[len(role)]}{rest}"
    return type_name.replace("frame4d", "matrix4d")


def made_of_numbers(type_name: str, kind: SectionKind, values: Array) -> Sequence[Any]:
    """Return the attribute values of a column of numbers.

    Args:
        type_name: USD type of one value.
        kind: of the section.
        values: shape (n,) or (n, width); of POSE (n, 7).
    """
    if kind is SectionKind.BOOL:
        flags: list[Any] = (values != 0).tolist()
        return flags
    if values.ndim == 1:
        scalars: list[Any] = values.tolist()
        return scalars
    shape = plain_shape(type_name)
    block, dtype = _BLOCKS[shape]
    if kind is SectionKind.POSE:
        values = matrices_of(values)
    if side := _SIDES.get(shape, 0):
        values = values.reshape(-1, side, side)
    return list(block.FromNumpy(np.ascontiguousarray(values, dtype)))


@cache
def maker(type_name: str) -> Callable[[Any], Any]:
    """Return the function from plain data to an attribute value of a type, as JSON carried it.

    It raises TypeError, ValueError or OverflowError on data of another shape.
    """
    if type_name.endswith("[]"):
        one = maker(type_name[:-2])
        # The stubs know Find as a method without arguments.
        found = Sdf.ValueTypeNames.Find(type_name)  # type: ignore[call-arg]
        array = type(found.defaultValue)
        return lambda value: array([one(item) for item in _listed(value)])
    shape = plain_shape(type_name)
    if shape in _QUATERNIONS:
        quaternion, imaginary = _QUATERNIONS[shape]
        return lambda value: _quaternion(quaternion, imaginary, value)
    if shape in _BLOCKS:
        return _tuple_maker(shape)
    if shape == "asset":
        return Sdf.AssetPath
    if shape in ("string", "token"):
        return _text
    if shape == "bool":
        return bool
    return float if shape in ("double", "float", "half", "timecode") else int


def _tuple_maker(shape: str) -> Callable[[Any], Any]:
    array, _ = _BLOCKS[shape]
    make = type(array(1)[0])
    side = _SIDES.get(shape)
    size = side * side if side else int(shape[-1])

    def made(value: Any) -> Any:
        numbers = _listed(value)
        if numbers and isinstance(numbers[0], (list, tuple)):
            numbers = [number for row in numbers for number in row]
        if len(numbers) != size:
            raise ValueError(f"expected {size} numbers, got {len(numbers)}")
        return make(*numbers)

    return made


def _quaternion(make: Any, imaginary: Any, value: Any) -> Any:
    x, y, z, w = _listed(value)
    return make(w, imaginary(x, y, z))


def _listed(value: Any) -> Sequence[Any]:
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"expected a list, got {type(value).__name__}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a text, got {type(value).__name__}")
    return value
