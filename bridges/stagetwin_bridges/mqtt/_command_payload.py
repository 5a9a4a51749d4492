"""What a command is on the wire: its payload, and the PUBLISH packet around it.

A JSON object carries the value at its field, and beside it the id, what remains of the time to
live, and where a reply is expected. Every other payload is the value alone; its id and the rest
then travel as MQTT 5 properties, for which MQTT 3.1.1 has no place.
"""

from __future__ import annotations

import math
import re
import struct
from typing import Any, Final

import msgspec
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from stagetwin.actuation import CommandTarget, Transmission
from stagetwin.ports import ChannelSpec, Reject, ValueKind
from stagetwin_bridges.fields import FieldPath, StructFormat
from stagetwin_bridges.mqtt._client import REALM_PROPERTY
from stagetwin_bridges.mqtt._payload import by_struct, field_problem, is_plain
from stagetwin_bridges.mqtt._topics import filter_problem, is_wildcard
from stagetwin_bridges.mqtt._values import ACCEPT, EXACT, RefusedError, shown

__all__ = ["EXPIRES_PROPERTY", "carries_id", "command_problems", "packet_of", "payload_of"]

EXPIRES_PROPERTY: Final = "stagetwin-expires-in"
"""MQTT 5 user property: what remains of a command's time to live [s], with a fraction."""

TIME_PROPERTY: Final = "stagetwin-time"
"""MQTT 5 user property: when a command was written [s, Unix], with a fraction."""

_LARGEST: Final = 65_536
"""Bytes of a payload. A longer one might leave in parts, and a command must leave at once."""

_OWN_KEYS: Final = ("id", "expires_in", "time", "reply_to")
_WHOLE: Final = FieldPath(("value",))
_OPERATIONS: Final = ("write", "publish")
_PUBLISH: Final = 0x30
"""First byte of a PUBLISH packet with QoS 0, not retained, sent for the first time."""

_LEAST, _MOST = -(2**63), 2**64 - 1
_ITEMS = re.compile(r"(\d*)([a-zA-Z?])")
_INTEGERS: Final = frozenset("bBhHiIlLqQ")


# -- what may be commanded -------------------------------------------------------------------------


def command_problems(target: CommandTarget) -> list[str]:
    """Return what is wrong with a target's address, field, operation or wire type."""
    found = [_address_problem(target.address), _operation_problem(target.operation)]
    channel = _as_channel(target)
    if problem := field_problem(channel):
        found.append(problem)
    elif by_struct(channel):
        found.append(_struct_problem(target))
    else:
        found.append(_path_problem(target))
    return [problem for problem in found if problem]


def _as_channel(target: CommandTarget) -> ChannelSpec:
    """Return the channel that would read what the command writes: they share their forms."""
    field = target.field
    if target.encoding == "struct" and not field and target.wire_type != "auto":
        field = target.wire_type
    return ChannelSpec(
        index=0,
        prim=target.prim,
        signal=target.command,
        address=target.address,
        field=field,
        encoding=target.encoding,
        kind=target.kind,
    )


def _address_problem(address: str) -> str:
    if problem := filter_problem(address):
        return problem
    if is_wildcard(address):
        return f"address {address!r}: a command goes to one topic; expected no '+' and no '#'"
    if address.startswith("$"):
        return f"address {address!r}: expected a topic that does not begin with '$'"
    return ""


def _operation_problem(operation: str) -> str:
    if operation == "method":
        return "operation 'method': MQTT has no methods; allowed are write and publish"
    if operation not in _OPERATIONS:
        return f"operation {operation!r}: allowed are write and publish"
    return ""


def _struct_problem(target: CommandTarget) -> str:
    form = StructFormat.parse(_as_channel(target).field)
    if form.offset:
        return f"struct format {target.field!r}: a command is written whole; expected no offset"
    if target.wire_type not in ("auto", form.format, form.format[1:]):
        return (
            f"wire type {target.wire_type!r} differs from the struct format {target.field!r}; "
            f"allowed are auto and {form.format[1:]}"
        )
    return ""


def _path_problem(target: CommandTarget) -> str:
    if target.wire_type != "auto":
        return f"wire type {target.wire_type!r}: only encoding struct has wire types; expected auto"
    if not target.field:
        return ""
    keys = FieldPath.parse(target.field).keys
    if not keys:
        return f"field {target.field!r}: only a path of keys can be written, without an index"
    if keys[0] in _OWN_KEYS:
        return f"field {target.field!r}: {keys[0]!r} is a key of every command; choose another"
    return ""


def _is_object(target: CommandTarget) -> bool:
    channel = _as_channel(target)
    if by_struct(channel) or is_plain(channel):
        return False
    return target.encoding == "json" or bool(target.field)


def carries_id(target: CommandTarget, version: str) -> bool:
    """Return whether a command to a target tells its id, so that it can be replied to."""
    return version == "5" or _is_object(target)


# -- payloads --------------------------------------------------------------------------------------


def payload_of(
    transmission: Transmission, expires_in: float, reply_to: str, written: float
) -> bytes:
    """Return the payload of a command.

    Args:
        transmission: the command; its target has no problems.
        expires_in: what remains of its time to live [s].
        reply_to: topic of replies.
        written: when it is written [s, Unix].

    Raises:
        RefusedError: its value is not of the target's kind, or does not fit.
    """
    target = transmission.target
    value = _checked(transmission.value, target.kind)
    channel = _as_channel(target)
    if by_struct(channel):
        payload = _packed(value, StructFormat.parse(channel.field))
    elif _is_object(target):
        document: dict[str, Any] = {}
        path = FieldPath.parse(target.field) if target.field else _WHOLE
        path.place(document, value)
        document |= {
            "id": transmission.id,
            "expires_in": expires_in,
            "time": written,
            "reply_to": reply_to,
        }
        payload = _json(document)
    elif isinstance(value, str):
        payload = _utf8(value)
    else:
        payload = _json(value)
    if len(payload) > _LARGEST:
        raise RefusedError(
            Reject.OUT_OF_RANGE,
            f"expected at most {_LARGEST} bytes of payload, got {len(payload)}",
        )
    return payload


def _checked(value: Any, kind: ValueKind) -> Any:
    """Return a value as it is written; a number is not made of text here, nor text of a number."""
    if kind is ValueKind.COMPOSITE and isinstance(value, (list, tuple)):
        return ACCEPT[kind](list(value))
    wanted: tuple[type, ...] = {
        ValueKind.BOOLEAN: (bool,),
        ValueKind.TEXT: (str,),
        ValueKind.COMPOSITE: (list,),
    }.get(kind, (int, float))
    if type(value) not in wanted:
        raise RefusedError(Reject.TYPE_MISMATCH, f"expected a {kind}, got {shown(value)}")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise RefusedError(Reject.NOT_FINITE, f"expected a finite number, got {value}")
        if kind is ValueKind.INTEGER:
            if not value.is_integer() or abs(value) > EXACT:
                raise RefusedError(Reject.TYPE_MISMATCH, f"expected an integer, got {value}")
            return int(value)
    if isinstance(value, int) and not _LEAST <= value <= _MOST:
        raise RefusedError(
            Reject.OUT_OF_RANGE, f"expected an integer of 64 bits, got {shown(value)}"
        )
    return value


def _json(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise RefusedError(Reject.TYPE_MISMATCH, f"cannot be written as JSON: {error}") from None


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise RefusedError(
            Reject.MALFORMED, f"expected text that UTF-8 holds: {error.reason}"
        ) from None


def _packed(value: Any, form: StructFormat) -> bytes:
    items = value if isinstance(value, list) else [value]
    if len(items) != form.count:
        raise RefusedError(
            Reject.TYPE_MISMATCH,
            f"struct format {str(form)!r}: expected {form.count} items, got {len(items)}",
        )
    sized: list[tuple[str, int]] = []
    for number, code in _ITEMS.findall(form.format):
        if code in "sp":
            sized.append((code, int(number or 1)))
        elif code != "x":
            sized += [(code, 1)] * int(number or 1)
    try:
        made = [_item(item, *code) for item, code in zip(items, sized, strict=True)]
        return struct.pack(form.format, *made)
    except (struct.error, OverflowError) as error:
        raise RefusedError(
            Reject.OUT_OF_RANGE, f"{shown(value)} does not fit {str(form)!r}: {error}"
        ) from None


def _item(value: Any, code: str, size: int) -> Any:
    """Return an item as `struct` takes it. `struct` itself cuts text and takes anything for true.

    Raises:
        RefusedError: the code does not hold it.
    """
    if code in "spc" and isinstance(value, str):
        data = _utf8(value)
        room = size - (code == "p")
        if len(data) <= room:
            return data
        raise RefusedError(Reject.OUT_OF_RANGE, f"expected at most {room} bytes, got {len(data)}")
    if code == "?" and value in (True, False):
        return bool(value)
    if code in _INTEGERS and isinstance(value, float) and value.is_integer():
        return int(value)
    if code in "?spc" or not isinstance(value, (int, float)):
        raise RefusedError(Reject.TYPE_MISMATCH, f"{shown(value)} does not fit {code!r}")
    return value


# -- packets ---------------------------------------------------------------------------------------


def packet_of(
    transmission: Transmission,
    payload: bytes,
    expires_in: float,
    reply_to: str,
    written: float,
    version: str,
) -> bytes:
    """Return the PUBLISH packet of a command: QoS 0, not retained.

    It is put together here and not by the client library, whose way to write it leads through a
    queue.
    """
    properties = b""
    if version == "5":
        properties = _properties(transmission, expires_in, reply_to, written)
    return _publish(transmission.target.address, properties, payload)


def message_packet(
    topic: str, payload: bytes, expires_in: float, realm: str, version: str
) -> bytes:
    """Return the PUBLISH packet of a message whose protocol has answers of its own.

    QoS 0, not retained; a broker that speaks MQTT 5 forgets it after `expires_in` [s].
    """
    if version != "5":
        return _publish(topic, b"", payload)
    properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.MessageExpiryInterval = _interval(expires_in)
    properties.UserProperty = [(REALM_PROPERTY, realm)]
    return _publish(topic, bytes(properties.pack()), payload)


def _publish(topic: str, properties: bytes, payload: bytes) -> bytes:
    body = _sized(topic.encode()) + properties + payload
    return bytes([_PUBLISH]) + _varint(len(body)) + body


def _interval(seconds: float) -> int:
    return min(max(math.ceil(seconds), 1), 2**32 - 1)


def _properties(
    transmission: Transmission, expires_in: float, reply_to: str, written: float
) -> bytes:
    properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ResponseTopic = reply_to
    properties.CorrelationData = transmission.id.encode()
    properties.MessageExpiryInterval = _interval(expires_in)
    properties.UserProperty = [
        (EXPIRES_PROPERTY, f"{expires_in:.3f}"),
        (TIME_PROPERTY, f"{written:.3f}"),
        (REALM_PROPERTY, transmission.realm),
    ]
    return bytes(properties.pack())


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def _varint(number: int) -> bytes:
    coded = bytearray()
    while True:
        number, low = divmod(number, 128)
        coded.append(low | (128 if number else 0))
        if not number:
            return bytes(coded)
