"""How payloads are read: which encoding a channel's field means, and what one payload holds."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from stagetwin.ports import ChannelSpec, Reject, ValueKind
from stagetwin_bridges._errors import FieldError
from stagetwin_bridges.fields import MISSING, FieldPath, StructFormat, is_struct
from stagetwin_bridges.mqtt._values import ACCEPT, MOST_DIGITS, RefusedError

__all__ = [
    "UNREADABLE",
    "by_struct",
    "field_problem",
    "is_plain",
    "of_items",
    "parse",
    "plain_value",
]

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises where it cannot read a payload."""


def parse(payload: bytes) -> Any:
    """Return decoded JSON. NaN, Infinity and numbers beyond a double become such floats.

    Raises:
        RefusedError: it is no JSON text, or holds an integer of too many digits.
    """
    try:
        return msgspec.json.decode(payload)
    except UNREADABLE:
        pass
    try:
        # The standard library takes what JSON has no words for but many devices write, so that
        # the other fields of the message are not lost with it.
        text = payload.decode("utf-8-sig")
        document = json.loads(text, parse_int=_integer)
        if "\\ud" in text.lower():
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise RefusedError(Reject.MALFORMED, f"expected JSON: {error}") from None
    return document


def _integer(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise RefusedError(
            Reject.OUT_OF_RANGE,
            f"expected integers of at most {MOST_DIGITS} digits, got one of {len(text)}",
        )
    return int(text)


def by_struct(channel: ChannelSpec) -> bool:
    return channel.encoding == "struct" or (channel.encoding == "auto" and is_struct(channel.field))


def is_plain(channel: ChannelSpec) -> bool:
    if channel.encoding in ("number", "text"):
        return True
    empty = channel.encoding == "auto" and not channel.field
    return empty and channel.kind is not ValueKind.COMPOSITE


def field_problem(channel: ChannelSpec) -> str:
    """Return what is wrong with a channel's field or encoding, empty if nothing."""
    try:
        if by_struct(channel):
            form = StructFormat.parse(channel.field)
            if channel.kind is not ValueKind.COMPOSITE and form.count != 1:
                return (
                    f"struct format {channel.field!r}: expected one item for a "
                    f"{channel.kind} signal, got {form.count}"
                )
            if channel.kind is not ValueKind.COMPOSITE and form.text != (
                channel.kind is ValueKind.TEXT
            ):
                return f"struct format {channel.field!r}: does not hold a {channel.kind}"
        elif is_plain(channel):
            if channel.field:
                return (
                    f"encoding {channel.encoding!r} reads the whole payload: expected no field, "
                    f"got {channel.field!r}"
                )
            if channel.kind is ValueKind.COMPOSITE:
                return f"encoding {channel.encoding!r} holds no array; use json or struct"
            if channel.encoding == "number" and channel.kind is ValueKind.TEXT:
                return "encoding 'number' on a text signal; use text or auto"
        elif channel.encoding not in ("auto", "json"):
            return f"encoding {channel.encoding!r}: allowed are auto, json, number, text and struct"
        else:
            FieldPath.parse(channel.field)
    except FieldError as error:
        return str(error)
    return ""


def _document(payload: bytes) -> Any:
    try:
        return msgspec.json.decode(payload)
    except UNREADABLE:
        return MISSING


def plain_value(payload: bytes, channel: ChannelSpec) -> Any:
    """Return what a payload that is one value stands for."""
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise RefusedError(Reject.MALFORMED, f"expected UTF-8 text: {error.reason}") from None
    document = MISSING if channel.encoding == "text" else _document(payload)
    if channel.kind is ValueKind.TEXT:
        return document if type(document) is str else text
    try:
        return ACCEPT[channel.kind](text if document is MISSING else document)
    except RefusedError as error:
        if document is MISSING and error.reason is Reject.TYPE_MISMATCH:
            raise RefusedError(Reject.MALFORMED, str(error)) from None
        raise


def of_items(items: tuple[Any, ...], kind: ValueKind) -> Any:
    """Return the items of a struct as the value of a channel."""
    if kind is ValueKind.COMPOSITE:
        return list(items)
    if kind is not ValueKind.TEXT:
        return items[0]
    try:
        return items[0].rstrip(b"\x00").decode()
    except UnicodeDecodeError as error:
        raise RefusedError(Reject.MALFORMED, f"expected UTF-8 text: {error.reason}") from None
