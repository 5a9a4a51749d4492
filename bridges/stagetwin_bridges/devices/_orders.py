"""Commands as they come over MQTT."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stagetwin.bindings import CommandBinding
from stagetwin.ports import ValueKind
from stagetwin_bridges.devices._controller import Order
from stagetwin_bridges.fields import MISSING, FieldPath, StructFormat, is_struct

__all__ = ["EXPIRY_PROPERTY", "Envelope", "orders_of"]

EXPIRY_PROPERTY = "stagetwin-expires-in"
"""MQTT 5 user property: what is left of a command's time to live [s]."""

TIME_PROPERTY = "stagetwin-time"
"""MQTT 5 user property: when a command was written [s, Unix]."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What MQTT 5 says of a message besides its payload.

    Attributes:
        reply_to: topic for the answer; empty if none is wanted.
        correlation: what the answer carries back.
        properties: user properties.
    """

    reply_to: str = ""
    correlation: bytes = b""
    properties: Mapping[str, str] | None = None


def orders_of(
    commands: Sequence[CommandBinding], payload: bytes, envelope: Envelope, realm_property: str
) -> tuple[list[Order], str]:
    """Return what a message orders, and the topic that wants the answer.

    A payload is a JSON object with the value under the command's field or under `value`, and with
    `id`, `expires_in`, `reply_to` and `time` beside it; or one number, `true`, `false` or text; or
    a struct, where the command's field is a struct's format. What the payload does not say is
    taken from the envelope.

    Args:
        commands: those that have the message's topic as their address.
        payload: the message.
        envelope: its properties.
        realm_property: user property that tells the sender's realm.
    """
    document = _document(payload)
    head = document if isinstance(document, dict) else {}
    properties = envelope.properties or {}
    order_id = head.get("id", envelope.correlation.decode("utf-8", "replace"))
    expires_in = head.get("expires_in", properties.get(EXPIRY_PROPERTY))
    said: dict[str, Any] = {
        "id": str(order_id or ""),
        "expires_in": _number(expires_in),
        "sent": _number(head.get("time", properties.get(TIME_PROPERTY))),
        "realm": str(head.get("realm", properties.get(realm_property, ""))),
    }
    # A time to live that cannot be read is none that is left.
    if expires_in is not None and said["expires_in"] is None:
        said["expires_in"] = 0.0
    found = [(c, _value(c, payload, document)) for c in commands]
    known = [(c, value) for c, value in found if value is not MISSING]
    orders = [
        Order(command=c, value=value, unreadable=_problem(c, value), **said) for c, value in known
    ]
    if not orders:
        c = commands[0]
        text = payload[:80].decode("utf-8", "replace")
        wanted = f"{c.field!r} or 'value'" if c.field else "'value'"
        orders = [Order(command=c, value=text, unreadable=f"expected {wanted} in it", **said)]
    reply_to = envelope.reply_to or head.get("reply_to") or ""
    return orders, reply_to if isinstance(reply_to, str) else ""


def _document(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return MISSING


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _value(command: CommandBinding, payload: bytes, document: Any) -> Any:
    if command.encoding == "struct" or is_struct(command.field):
        try:
            items = StructFormat.parse(command.field).unpack(payload)
        except struct.error:
            return MISSING
        return items[0] if len(items) == 1 else list(items)
    if isinstance(document, dict):
        if command.field:
            found = FieldPath.parse(command.field).find(document)
            if found is not MISSING:
                return found
        return document.get("value", MISSING)
    if document is MISSING or command.encoding == "text":
        return payload.decode("utf-8", "replace")
    return document


def _problem(command: CommandBinding, value: Any) -> str:
    """Return why a value cannot be read, where the types of JSON already tell."""
    kind = command.value_type.kind
    if kind is ValueKind.TEXT and not isinstance(value, str):
        return f"expected text, got {value!r:.40}"
    if kind is ValueKind.BOOLEAN and not isinstance(value, bool):
        return f"expected true or false, got {value!r:.40}"
    return ""
