"""Value types: from what a wire carries to what a USD attribute of a given type holds."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from pxr import Gf, Sdf, Tf, Vt

from stagetwin._bounds import Bound, as_bound, bound_text, spread, tightest
from stagetwin._errors import WireRangeError, WireTypeError
from stagetwin._kinds import ValueKind

__all__ = [
    "Bound",
    "ValueType",
    "as_bound",
    "bound_text",
    "json_text",
    "plain",
    "stage_value",
    "tightest",
    "value_type",
]

_INTEGER_RANGES: dict[str, tuple[int, int]] = {
    "uchar": (0, 2**8 - 1),
    "int": (-(2**31), 2**31 - 1),
    "uint": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
}
_FLOAT_LIMITS = {"half": 65504.0, "float": float(np.finfo(np.float32).max)}
_LARGEST = {**_FLOAT_LIMITS, "double": sys.float_info.max}
_NUMBERS = {"double", "float", "half"}
_TEXTS: dict[str, Callable[[str], Any]] = {"string": str, "token": str, "asset": Sdf.AssetPath}
_FLOATS = {float}
_AXES = ("x", "y", "z", "w")
# USD type name -> (Gf class, numpy type of one component, components); shapes by underlying type.
_TUPLES: dict[str, tuple[Any, str, int]] = {
    f"{name}{n}": (getattr(Gf, f"Vec{n}{code}"), dtype, n)
    for name, code, dtype in (
        ("double", "d", "f8"),
        ("float", "f", "f4"),
        ("half", "h", "f2"),
        ("int", "i", "i4"),
    )
    for n in (2, 3, 4)
}
_QUATERNIONS: dict[str, tuple[Any, Any]] = {
    "quatd": (Gf.Quatd, Gf.Vec3d),
    "quatf": (Gf.Quatf, Gf.Vec3f),
    "quath": (Gf.Quath, Gf.Vec3h),
}
_MATRICES = {
    "matrix2d": (Gf.Matrix2d, 2),
    "matrix3d": (Gf.Matrix3d, 3),
    "matrix4d": (Gf.Matrix4d, 4),
}


@dataclass(frozen=True, slots=True)
class ValueType:
    """How values of one USD type travel.

    Attributes:
        name: USD type name, such as `double` or `float3[]`.
        kind: what the wire value must be.
        minimum, maximum: range that the type itself can hold; infinite for double.
        scalable: whether scale and offset make sense.
        components: numbers that a limit of this type has; 0 for arrays of scalars, which may have
            any.
        convert: for kinds that are not numeric, wire object to attribute value with scale, offset
            and the hard limits; raises WireTypeError or WireRangeError.
    """

    name: str
    kind: ValueKind
    minimum: float
    maximum: float
    scalable: bool
    components: int
    convert: Callable[[Any, float, float, Bound, Bound], Any]


def _shape_name(name: Sdf.ValueTypeName) -> str:
    """Return the plain type behind a role type: point3f and color3f travel as float3."""
    scalar = name.scalarType
    text = str(scalar)
    for role in ("point", "normal", "vector", "color", "texCoord"):
        if text.startswith(role):
            size, code = text[len(role)], text[len(role) + 1]
            return {"d": "double", "f": "float", "h": "half"}[code] + size
    return {"frame4d": "matrix4d", "timecode": "double"}.get(text, text)


def _numbers(value: Any, size: int, what: str) -> list[float]:
    """Return `size` finite numbers of a list, nested list, or {x, y, z, w} object."""
    if (
        type(value) is list
        and len(value) == size
        and set(map(type, value)) == _FLOATS
        and math.isfinite(sum(value))
    ):
        return value  # the common case: a pose of a vehicle that moves
    if isinstance(value, Mapping) and size <= 4:
        missing = [axis for axis in _AXES[:size] if axis not in value]
        if missing:
            raise WireTypeError(f"expected {what}, got an object without {', '.join(missing)}")
        value = [value[axis] for axis in _AXES[:size]]
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        raise WireTypeError(f"expected {what}, got {type(value).__name__}")
    flat: list[Any] = []
    for item in value:
        nested = isinstance(item, Sequence) and not isinstance(item, (str, bytes))
        flat.extend(item) if nested else flat.append(item)
    if len(flat) != size:
        raise WireTypeError(f"expected {what}, got {len(flat)} numbers")
    numbers: list[float] = []
    for item in flat:
        if isinstance(item, bool) or not isinstance(item, (int, float)):
            raise WireTypeError(f"expected {what}, got a {type(item).__name__} among them")
        if not _finite(item):
            raise WireRangeError(f"expected {what}, got {_said(item)}")
        numbers.append(float(item))
    return numbers


def _finite(number: float) -> bool:
    """Tell whether a float64 can hold a number; an integer of any length may come in."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def _said(number: float) -> str:
    try:
        return f"{number:.12g}"
    except OverflowError:
        return "an integer beyond 1e308"


def _scaled(number: float, scale: float, offset: float) -> float:
    """Return number * scale + offset; untouched, and so exact, where both do nothing."""
    if scale == 1 and offset == 0:
        return number
    result = number * scale + offset if _finite(number) else math.inf
    if not math.isfinite(result):
        raise WireRangeError(f"{_said(number)} * {scale:g} + {offset:g} is too large")
    return result


def _in_range(numbers: Sequence[float], low: Bound, high: Bound) -> Sequence[float]:
    size = len(numbers)
    for number, least, most in zip(numbers, spread(low, size), spread(high, size), strict=True):
        if not least <= number <= most:
            raise WireRangeError(f"{_said(number)} is outside [{least:g}, {most:g}]")
    return numbers


def _whole(number: float, what: str, scaled: bool) -> int:
    """Return an integer; only scaling may leave a fraction behind that is nobody's mistake."""
    if not scaled and number != round(number):
        raise WireTypeError(f"expected {what}, got {_said(number)}")
    return round(number)


def _tuple_converter(shape: str) -> Callable[..., Any]:
    make, dtype, size = _TUPLES[shape]
    integral = dtype == "i4"
    what = f"{size} {'integers' if integral else 'numbers'}"
    largest = _LARGEST[{"f2": "half", "f4": "float"}.get(dtype, "double")]
    low_type, high_type = _INTEGER_RANGES["int"] if integral else (-largest, largest)

    def convert(value: Any, scale: float, offset: float, low: Bound, high: Bound) -> Any:
        numbers = [_scaled(n, scale, offset) for n in _numbers(value, size, what)]
        if integral:
            scaled = scale != 1 or offset != 0
            numbers = [_whole(n, what, scaled) for n in numbers]
        return make(*_in_range(_in_range(numbers, low_type, high_type), low, high))

    return convert


def _quaternion_converter(shape: str) -> Callable[..., Any]:
    make, imaginary = _QUATERNIONS[shape]

    def convert(value: Any, _scale: float, _offset: float, _low: Bound, _high: Bound) -> Any:
        numbers = _numbers(value, 4, "a quaternion (x, y, z, w)")
        largest = max(map(abs, numbers))
        if largest < 1e-9:
            raise WireRangeError("a quaternion of length 0 is no rotation")
        # The square of a component may be beyond float64 where its share of the length is not.
        x, y, z, w = (n / largest for n in numbers)
        norm = math.hypot(x, y, z, w)
        return make(w / norm, imaginary(x / norm, y / norm, z / norm))

    return convert


def _matrix_converter(shape: str) -> Callable[..., Any]:
    make, rows = _MATRICES[shape]
    size, what = rows * rows, f"{rows * rows} numbers of a row-vector matrix"

    def convert(value: Any, _scale: float, _offset: float, _low: Bound, _high: Bound) -> Any:
        return make(*_numbers(value, size, what))

    return convert


def _text_converter(shape: str) -> Callable[..., Any]:
    make = _TEXTS[shape]

    def convert(value: Any, _scale: float, _offset: float, _low: Bound, _high: Bound) -> Any:
        if not isinstance(value, str):
            raise WireTypeError(f"expected text, got {type(value).__name__}")
        if "\x00" in value:
            raise WireTypeError("expected text, got a NUL character in it")
        try:
            value.encode()
            return make(value)
        except UnicodeEncodeError:
            raise WireTypeError("expected text, got half a surrogate pair in it") from None
        except Tf.ErrorException:
            raise WireTypeError("expected an asset path, got a control character in it") from None

    return convert


def _scalar_converter(shape: str) -> Callable[..., Any]:
    """Convert one number of an array, or an integer too big for the float column."""
    largest = _LARGEST.get(shape, math.inf)
    low_type, high_type = _INTEGER_RANGES.get(shape, (-largest, largest))

    def convert(value: Any, scale: float, offset: float, low: Bound, high: Bound) -> Any:
        if shape == "bool":
            if value not in (0, 1):
                got = _said(value) if isinstance(value, (int, float)) else f"{value!r:.40}"
                raise WireTypeError(f"expected a boolean, got {got}")
            return bool(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise WireTypeError(f"expected a number, got {type(value).__name__}")
        if not _finite(value):
            raise WireRangeError(f"expected a finite number, got {_said(value)}")
        value = _scaled(value, scale, offset)
        if shape in _INTEGER_RANGES:
            value = _whole(value, "an integer", scale != 1 or offset != 0)
        else:
            value = float(value)
        _in_range(_in_range([value], low_type, high_type), low, high)
        return value

    return convert


def _array_converter(
    item: Callable[..., Any], array: Any, per_component: bool
) -> Callable[..., Any]:
    def convert(value: Any, scale: float, offset: float, low: Bound, high: Bound) -> Any:
        if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
            raise WireTypeError(f"expected an array, got {type(value).__name__}")
        if per_component:
            # Every vector of the array has the same limits, one a component.
            return array([item(v, scale, offset, low, high) for v in value])
        bounds = zip(spread(low, len(value)), spread(high, len(value)), strict=True)
        return array(
            [item(v, scale, offset, a, b) for v, (a, b) in zip(value, bounds, strict=True)]
        )

    return convert


def _array_class(name: Sdf.ValueTypeName) -> Any:
    default = name.arrayType.defaultValue
    return type(default) if default is not None else Vt.DoubleArray


@cache
def value_type(name: str) -> ValueType | None:
    """Return how values of a USD type travel, or None if the type cannot be driven.

    Args:
        name: USD type name such as `double`, `point3f[]`, `token`.
    """
    # The stubs know Find as a method without arguments.
    sdf = Sdf.ValueTypeNames.Find(name)  # type: ignore[call-arg]
    if not sdf:
        return None
    shape = _shape_name(sdf)
    low, high = -math.inf, math.inf
    if shape in _TUPLES:
        kind, convert = ValueKind.COMPOSITE, _tuple_converter(shape)
    elif shape in _QUATERNIONS:
        kind, convert = ValueKind.COMPOSITE, _quaternion_converter(shape)
    elif shape in _MATRICES:
        kind, convert = ValueKind.COMPOSITE, _matrix_converter(shape)
    elif shape in _TEXTS:
        kind, convert = ValueKind.TEXT, _text_converter(shape)
    elif shape == "bool":
        kind, convert = ValueKind.BOOLEAN, _scalar_converter(shape)
    elif shape in _INTEGER_RANGES:
        kind, convert = ValueKind.INTEGER, _scalar_converter(shape)
        low, high = _INTEGER_RANGES[shape]
    elif shape in _NUMBERS:
        kind, convert = ValueKind.NUMBER, _scalar_converter(shape)
        high = _FLOAT_LIMITS.get(shape, math.inf)
        low = -high
    else:
        return None
    scalable = kind in (ValueKind.NUMBER, ValueKind.INTEGER) or shape in _TUPLES
    if sdf.isArray:
        convert = _array_converter(convert, _array_class(sdf), shape in _TUPLES)
        kind = ValueKind.COMPOSITE
    components = _TUPLES[shape][2] if shape in _TUPLES else int(not sdf.isArray)
    return ValueType(str(sdf), kind, low, high, scalable, components, convert)


def plain(value: Any) -> Any:
    """Return what JSON can carry of a stage value; a quaternion as (x, y, z, w)."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "GetImaginary"):
        return [*(float(x) for x in value.GetImaginary()), float(value.GetReal())]
    if hasattr(value, "path") and not hasattr(value, "__len__"):
        return str(value.path)
    # Gf vectors and matrices have a length and no iterator.
    if not hasattr(value, "__len__"):
        return str(value)
    return [plain(value[i]) for i in range(len(value))]


def json_text(value: Any) -> str:
    """Return plain data as the one JSON text that stands for it in records and hashes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def stage_value(
    type_name: str,
    value: Any,
    low: Bound = -math.inf,
    high: Bound = math.inf,
    tokens: Sequence[str] = (),
) -> Any:
    """Return the attribute value of plain data, held to type and limits, nothing coerced.

    Args:
        type_name: USD type name.
        value: plain data.
        low: least allowed.
        high: most allowed.
        tokens: texts that are allowed, for a text or each of an array; empty for all.

    Raises:
        WireTypeError: it is of another type.
        WireRangeError: the type, the limits or the allowed texts cannot hold it.
    """
    kind = value_type(type_name)
    if kind is None:
        raise WireTypeError(f"a {type_name} cannot be driven")
    if kind.kind is ValueKind.BOOLEAN and not isinstance(value, bool):
        raise WireTypeError(f"expected a boolean, got {type(value).__name__}")
    made = kind.convert(value, 1.0, 0.0, low, high)
    if kind.kind is ValueKind.COMPOSITE and kind.scalable:
        _check_made(plain(made), low, high)
    for word in (value if isinstance(value, (list, tuple)) else [value]) if tokens else ():
        if word not in tokens:
            raise WireRangeError(f"{word!r:.80} is none of {', '.join(map(repr, tokens))}")
    return made


def _check_made(parts: list[Any], low: Bound, high: Bound) -> None:
    """Hold what a type made of numbers to the limits: a float3 rounds them, and maybe beyond."""
    if parts and isinstance(parts[0], list):
        for part in parts:
            _check_made(part, low, high)
        return
    try:
        _in_range(parts, low, high)
    except WireRangeError as error:
        raise WireRangeError(f"as the type rounds it, {error}") from None
