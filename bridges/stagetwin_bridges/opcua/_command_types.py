"""The exact OPC UA type of what is written."""

from __future__ import annotations

import datetime
import math
import re
import struct
from collections.abc import Mapping
from typing import Any, Final

from asyncua import ua

from stagetwin import WireRangeError, WireTypeError
from stagetwin_bridges.opcua._types import EPOCH, said

__all__ = ["COMMAND_TYPES", "variant_of"]

_FIRST: Final = datetime.datetime(1601, 1, 1, tzinfo=datetime.UTC)
_LAST: Final = datetime.datetime(9999, 12, 31, tzinfo=datetime.UTC)

_INTEGERS: Final[dict[ua.VariantType, tuple[int, int]]] = {
    ua.VariantType.SByte: (-(2**7), 2**7 - 1),
    ua.VariantType.Byte: (0, 2**8 - 1),
    ua.VariantType.Int16: (-(2**15), 2**15 - 1),
    ua.VariantType.UInt16: (0, 2**16 - 1),
    ua.VariantType.Int32: (-(2**31), 2**31 - 1),
    ua.VariantType.UInt32: (0, 2**32 - 1),
    ua.VariantType.Int64: (-(2**63), 2**63 - 1),
    ua.VariantType.UInt64: (0, 2**64 - 1),
}

COMMAND_TYPES: Final[tuple[ua.VariantType, ...]] = (
    ua.VariantType.Boolean,
    *_INTEGERS,
    ua.VariantType.Float,
    ua.VariantType.Double,
    ua.VariantType.String,
    ua.VariantType.DateTime,
    ua.VariantType.LocalizedText,
)
"""Types that a command can be written in."""


def variant_of(
    value: Any,
    variant_type: ua.VariantType,
    *,
    array: bool = False,
    enumeration: Mapping[int, str] | None = None,
) -> ua.Variant:
    """Return a command's value as a Variant of exactly this type; nothing is coerced.

    A whole floating-point number is an integer, and a Float takes the nearest number it has.
    Everything else that the type cannot hold is refused.

    Args:
        value: bool, int, float or str, or a list of them.
        variant_type: one of COMMAND_TYPES.
        array: whether the node holds an array.
        enumeration: names of the numbers, where the node's type is an enumeration; the value is
            then one of these numbers or names.

    Raises:
        WireTypeError: the value is of another type, or nobody can write this type.
        WireRangeError: the type cannot hold it.
    """
    if variant_type not in COMMAND_TYPES:
        allowed = ", ".join(known.name for known in COMMAND_TYPES)
        name = getattr(variant_type, "name", variant_type)
        raise WireTypeError(f"expected a node of type {allowed}, got {name}")
    if not array:
        return ua.Variant(_exact(value, variant_type, enumeration), variant_type)
    if not isinstance(value, (list, tuple)):
        raise WireTypeError(f"expected an array of {variant_type.name}, got {said(value)}")
    items = [_exact(item, variant_type, enumeration) for item in value]
    return ua.Variant(items, variant_type, is_array=True)


def _exact(value: Any, variant_type: ua.VariantType, enumeration: Mapping[int, str] | None) -> Any:
    name = variant_type.name
    if enumeration is not None:
        value = _enumerated(value, enumeration)
    if variant_type is ua.VariantType.Boolean:
        if isinstance(value, bool):
            return value
        raise WireTypeError(f"expected a Boolean, got {said(value)}")
    if variant_type is ua.VariantType.DateTime:
        return _moment(value)
    if variant_type in (ua.VariantType.String, ua.VariantType.LocalizedText):
        text = _writable_text(value, name)
        return text if variant_type is ua.VariantType.String else ua.LocalizedText(text)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise WireTypeError(f"expected a number for {name}, got {said(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise WireRangeError(f"expected a finite number for {name}, got {value}")
    if variant_type in _INTEGERS:
        return _whole(value, variant_type)
    return _floating(value, variant_type)


def _enumerated(value: Any, enumeration: Mapping[int, str]) -> int:
    for number, name in enumeration.items():
        same = value == number and not isinstance(value, (bool, str))
        if same or value == name:
            return number
    allowed = ", ".join(f"{name} ({number})" for number, name in enumeration.items())
    raise WireRangeError(f"expected one of {allowed}, got {said(value)}")


def _whole(value: float, variant_type: ua.VariantType) -> int:
    if value != int(value):
        raise WireRangeError(f"expected a whole number for {variant_type.name}, got {said(value)}")
    low, high = _INTEGERS[variant_type]
    if not low <= value <= high:
        raise WireRangeError(f"expected {low} to {high} for {variant_type.name}, got {said(value)}")
    return int(value)


def _floating(value: float, variant_type: ua.VariantType) -> float:
    single = variant_type is ua.VariantType.Float
    try:
        held = float(value)
        if single:
            held = float(struct.unpack("<f", struct.pack("<f", held))[0])
    except OverflowError:
        raise WireRangeError(
            f"expected a number that {variant_type.name} can hold, got {said(value)}"
        ) from None
    # A fraction is rounded by whoever writes it down; an integer, or nothing at all, is not.
    if (isinstance(value, int) and held != value) or (held == 0 and value != 0):
        raise WireRangeError(
            f"expected a number that {variant_type.name} can hold, got {said(value)}"
        )
    return held


def _writable_text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise WireTypeError(f"expected text for {name}, got {said(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise WireTypeError(f"expected text for {name}, got half a surrogate pair in it") from None
    if "\x00" in value:
        raise WireTypeError(f"expected text for {name}, got a NUL character in it")
    return value


_ZONE = re.compile(r"(?:Z|[+-]\d{2}:?\d{2})$")


def _moment(value: Any) -> datetime.datetime:
    """Return the date and time of seconds since 1970, or of ISO 8601 text with a zone."""
    expected = "expected seconds since 1970 or ISO 8601 with a zone for DateTime"
    if isinstance(value, str):
        try:
            moment = datetime.datetime.fromisoformat(value)
        except ValueError:
            raise WireTypeError(f"{expected}, got {said(value)}") from None
        if not _ZONE.search(value) or moment.tzinfo is None:
            raise WireTypeError(f"{expected}, got {said(value)}")
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        raise WireTypeError(f"{expected}, got {said(value)}")
    else:
        try:
            moment = EPOCH + datetime.timedelta(seconds=value)
        except (OverflowError, ValueError):
            raise WireRangeError(f"expected a year from 1601 to 9999, got {said(value)}") from None
    try:
        moment = moment.astimezone(datetime.UTC)
    except OverflowError:
        moment = _FIRST
    if moment <= _FIRST or moment >= _LAST:
        raise WireRangeError(f"expected a year from 1601 to 9999 for DateTime, got {said(value)}")
    return moment
