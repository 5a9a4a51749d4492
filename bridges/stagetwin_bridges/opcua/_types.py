"""Values of OPC UA nodes as the core's samples carry them."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import enum
import math
import uuid
from collections.abc import Mapping
from typing import Any, Final

from asyncua import ua

from stagetwin import WireRangeError, WireTypeError
from stagetwin.ports import ValueKind
from stagetwin_bridges.fields import MISSING, FieldPath

__all__ = ["EPOCH", "said", "value_at", "wire_value"]

EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
"""Where Unix time begins."""

_DEEPEST: Final = 16
_EXPECTED: Final = {
    ValueKind.NUMBER: "a number",
    ValueKind.INTEGER: "an integer",
    ValueKind.BOOLEAN: "a Boolean",
    ValueKind.TEXT: "text",
    ValueKind.COMPOSITE: "an array or a structure",
}
_NAMES: Final[dict[type, str]] = {
    bool: "a Boolean",
    int: "an integer",
    float: "a floating-point number",
    str: "a String",
    bytes: "a ByteString",
    datetime.datetime: "a DateTime",
    uuid.UUID: "a Guid",
    list: "an array",
    tuple: "an array",
    dict: "an object",
}


def said(value: Any) -> str:
    """Return what a value is, and a short one itself."""
    if value is None:
        return "nothing (null)"
    name = _NAMES.get(type(value), f"a {type(value).__name__}")
    if isinstance(value, bool):
        return f"{name} {str(value).lower()}"
    if isinstance(value, int):
        return f"{name} {value}" if abs(value) < 10**40 else f"{name} of many digits"
    if isinstance(value, float):
        return f"{value!r}"
    if isinstance(value, str):
        return f"{name} {value!r}" if len(value) <= 40 else f"{name} of {len(value)} characters"
    return name


def _seconds(moment: datetime.datetime) -> float:
    """Return a time [s, Unix]; one without a zone is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return (aware - EPOCH) / datetime.timedelta(seconds=1)


def _iso(moment: datetime.datetime) -> str:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return aware.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")


def value_at(value: Any, field: str) -> Any:
    """Return what lies at a field of a node's value, such as `[2]`; empty is the whole value.

    Raises:
        FieldError: the field is malformed.
        WireTypeError: there is nothing at it.
    """
    if not field:
        return value
    found = FieldPath.parse(field).find(_plain(value, 0))
    if found is MISSING:
        raise WireTypeError(f"expected a value at {field}, got {said(value)} without it")
    return found


def wire_value(value: Any, kind: ValueKind, enumeration: Mapping[int, str] | None = None) -> Any:
    """Return a node's value as samples carry it.

    Date-times are seconds since 1970 for numbers and ISO 8601 in UTC for text; enumerations are
    their number, or for text their name; arrays are lists, structures objects, and a structure of
    X, Y and Z is a list. Bytes are base64 for text and a list of numbers for composites.

    Args:
        value: value of a Variant as asyncua decodes it, or the Variant.
        kind: what the channel takes.
        enumeration: names of the numbers, where the node's type is an enumeration.

    Returns:
        float, int, bool, str, list or dict. An integer may be too large for a float64.

    Raises:
        WireTypeError: it is of another type; says what was expected and got.
        WireRangeError: it is NaN or infinite.
    """
    if isinstance(value, ua.Variant):
        value = value.Value
    match kind:
        case ValueKind.TEXT:
            return _text(value, enumeration)
        case ValueKind.COMPOSITE:
            plain = _plain(value, 0)
            if not isinstance(plain, (list, dict)):
                if isinstance(value, bytes):
                    return list(value)
                raise WireTypeError(f"expected {_EXPECTED[kind]}, got {said(value)}")
            return plain
    return _number(value, kind)


def _number(value: Any, kind: ValueKind) -> Any:
    if isinstance(value, datetime.datetime):
        value = _seconds(value)
    elif isinstance(value, ua.StatusCode):
        value = value.value
    if isinstance(value, bool):
        if kind is ValueKind.BOOLEAN:
            return value
    elif isinstance(value, int):
        # An IntEnum is told apart from its number by nobody further on.
        if kind is not ValueKind.BOOLEAN:
            return int(value)
        if value in (0, 1):
            return bool(value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise WireRangeError(f"expected a finite number, got {value}")
        if kind is not ValueKind.BOOLEAN:
            return float(value)
    raise WireTypeError(f"expected {_EXPECTED[kind]}, got {said(value)}")


def _text(value: Any, enumeration: Mapping[int, str] | None) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        if enumeration and value in enumeration:
            return enumeration[value]
        if isinstance(value, enum.IntEnum):
            return value.name
        if enumeration:
            allowed = ", ".join(f"{name} ({number})" for number, name in enumeration.items())
            raise WireTypeError(f"expected one of {allowed}, got {value}")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.datetime):
        return _iso(value)
    plain = _plain(value, 0)
    if isinstance(plain, str):
        return plain
    raise WireTypeError(f"expected {_EXPECTED[ValueKind.TEXT]}, got {said(value)}")


def _plain(value: Any, depth: int) -> Any:
    """Return a value without OPC UA's own types, whatever lies inside it."""
    if depth > _DEEPEST:
        raise WireTypeError(f"expected at most {_DEEPEST} arrays and structures in each other")
    match value:
        case None:
            return None
        case bool() | str():
            return value
        case int():
            return int(value)
        case float():
            if not math.isfinite(value):
                raise WireRangeError(f"expected finite numbers, got {value}")
            return value
        case list() | tuple():
            return [_plain(item, depth + 1) for item in value]
        case ua.LocalizedText():
            return value.Text or ""
        case ua.QualifiedName():
            return value.Name or ""
        case ua.NodeId():
            return value.to_string()
        case ua.StatusCode():
            return value.name
        case ua.XmlElement():
            return value.Value or ""
        case ua.Variant():
            return _plain(value.Value, depth + 1)
        case uuid.UUID():
            return str(value)
        case datetime.datetime():
            return _seconds(value)
        case ua.ExtensionObject():
            raise WireTypeError("expected a structure that is known, got one that is not decoded")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {
            item.name: _plain(getattr(value, item.name), depth + 1)
            for item in dataclasses.fields(value)
            if item.name not in ("Encoding", "TypeId")
        }
        return [parts[axis] for axis in "XYZ"] if list(parts) == ["X", "Y", "Z"] else parts
    return value
