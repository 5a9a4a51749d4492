"""From messages to bytes and back, in either version of the standard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from stagetwin_bridges._errors import MessageError
from stagetwin_bridges.vda5050.messages._factsheet import Factsheet
from stagetwin_bridges.vda5050.messages._header import UNSTAMPED, Message
from stagetwin_bridges.vda5050.messages._identity import version_of
from stagetwin_bridges.vda5050.messages._order import (
    Connection,
    InstantActions,
    Order,
    Responses,
)
from stagetwin_bridges.vda5050.messages._schemas import document_faults
from stagetwin_bridges.vda5050.messages._state import State, Visualization
from stagetwin_bridges.vda5050.messages._translation import down, up
from stagetwin_bridges.vda5050.messages._version_2 import SHAPES
from stagetwin_bridges.vda5050.messages._zones import ZoneSet

__all__ = ["MESSAGES", "Codec"]

MESSAGES: Final[Mapping[str, type[Message]]] = {
    kind.topic: kind
    for kind in (
        Order,
        InstantActions,
        State,
        Visualization,
        Connection,
        Factsheet,
        ZoneSet,
        Responses,
    )
}
"""What travels on a topic."""

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_DEEPEST = 64
_DECODERS: Final = {topic: msgspec.json.Decoder(kind) for topic, kind in MESSAGES.items()}
_ENCODER: Final = msgspec.json.Encoder()

# The text of 3.0 (7.3) calls the field maximumRotationSpeed, its schema maxRotationSpeed. Both are
# written, for a limit that is not understood would not hold; either is read.
_TEXT_ROTATION, _SCHEMA_ROTATION = "maximumRotationSpeed", "maxRotationSpeed"
_MARK = b'"maxRotationSpeed"'


class Codec:
    """Speaks one version of the standard; its messages are in the words of 3.0 all the same.

    Attributes:
        version: `2.1.0` or `3.0.0`.
        topics: last levels of the topics that the version has.
    """

    def __init__(self, version: str) -> None:
        """Make a codec.

        Raises:
            MessageError: the version is not spoken here; names those that are.
        """
        self.version = version_of(version)
        self._older = self.version == "2.1.0"
        self.topics: Sequence[str] = tuple(SHAPES) if self._older else tuple(MESSAGES)

    def __repr__(self) -> str:
        return f"Codec({self.version!r})"

    def encode(self, message: Message, *, checked: bool = True) -> bytes:
        """Return a message as it travels. What 2.1 cannot say is left out; see `lost`.

        Args:
            message: with its header.
            checked: whether it is held against the schema first. A simulation of many vehicles
                may leave that out for what it has checked once; nobody else should.

        Raises:
            MessageError: it has no header, the version has no such topic, or the schema finds a
                fault; names the field, what is allowed and what was got.
        """
        topic = message.topic
        self._check_topic(topic)
        if message.header_id == UNSTAMPED:
            raise MessageError(f"{topic}: the message has no header; Headers.stamp gives it one")
        if self._older:
            data = _ENCODER.encode(down(SHAPES[topic], msgspec.to_builtins(message), "", []))
        elif type(message) is Order and _needs_care(message):
            data = _ENCODER.encode(_order_of_3(message))
        else:
            data = _ENCODER.encode(message)
        if checked and (faults := self.faults(topic, data)):
            raise MessageError(f"{topic} of {self.version}: {'; '.join(faults)}")
        return data

    def decode(self, topic: str, data: bytes) -> Message:
        """Return the message that came on a topic. Fields that the standard lacks are ignored.

        Args:
            topic: last level of the topic, or the whole of it.
            data: payload.

        Raises:
            MessageError: no such topic, no JSON, or not as the standard says; names the field, what
                is allowed and what was got.
        """
        topic = topic.rpartition("/")[2]
        self._check_topic(topic)
        try:
            if self._older:
                document = msgspec.json.decode(data, type=dict[str, Any])
                message = msgspec.convert(up(SHAPES[topic], document), MESSAGES[topic])
            elif topic == "order" and _MARK in data:
                document = msgspec.json.decode(data, type=dict[str, Any])
                message = msgspec.convert(_order_from_3(document), Order)
            else:
                message = _DECODERS[topic].decode(data)
        except _UNREADABLE as error:
            return self._decode_again(topic, data, error)
        if message.header_id < 0 and (faults := self.faults(topic, data)):
            raise MessageError(f"{topic} of {self.version}: {faults[0]}")
        return message

    def faults(self, topic: str, data: bytes) -> list[str]:
        """Return what the standard's schema finds wrong in a payload; empty if nothing.

        Args:
            topic: last level of the topic, or the whole of it.
            data: payload.
        """
        topic = topic.rpartition("/")[2]
        if topic not in self.topics:
            return [self._no_topic(topic)]
        try:
            document = msgspec.json.decode(data)
        except _UNREADABLE as error:
            return [f"expected JSON: {error}"]
        return document_faults(self.version, topic, document)

    def lost(self, message: Message) -> list[str]:
        """Return what this version cannot say of a message: paths in 3.0's names, and why."""
        if message.topic not in self.topics:
            return [self._no_topic(message.topic)]
        told: list[str] = []
        if self._older:
            down(SHAPES[message.topic], msgspec.to_builtins(message), "", told)
        elif isinstance(message, Order) and message.zone_set_id is not None:
            told.append("zoneSetId: left out")
        return told

    # -- parts -----------------------------------------------------------------------------------

    def _decode_again(self, topic: str, data: bytes, error: Exception) -> Message:
        """Take what the schema has nothing against (1.0 for an integer); say what it has else."""
        faults = self.faults(topic, data)
        if not faults:
            try:
                document = _integral(msgspec.json.decode(data, type=dict[str, Any]), 0)
                if self._older:
                    document = up(SHAPES[topic], document)
                elif topic == "order":
                    document = _order_from_3(document)
                return msgspec.convert(document, MESSAGES[topic])
            except _UNREADABLE as again:
                error = again
        raise MessageError(f"{topic} of {self.version}: {faults[0] if faults else error}")

    def _check_topic(self, topic: str) -> None:
        if topic not in self.topics:
            raise MessageError(self._no_topic(topic))

    def _no_topic(self, topic: str) -> str:
        return f"topic {topic!r}: {self.version} has {', '.join(self.topics)}"


def _needs_care(order: Order) -> bool:
    return order.zone_set_id is not None or any(
        edge.maximum_rotation_speed is not None for edge in order.edges
    )


def _order_of_3(order: Order) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(order)
    document.pop("zoneSetId", None)
    for edge in document["edges"]:
        if _TEXT_ROTATION in edge:
            edge[_SCHEMA_ROTATION] = edge[_TEXT_ROTATION]
    return document


def _order_from_3(document: dict[str, Any]) -> dict[str, Any]:
    edges = document.get("edges")
    for edge in edges if isinstance(edges, list) else ():
        if isinstance(edge, dict) and _SCHEMA_ROTATION in edge:
            edge.setdefault(_TEXT_ROTATION, edge[_SCHEMA_ROTATION])
    return document


def _integral(value: Any, depth: int) -> Any:
    """Return decoded JSON with whole floats as integers: JSON makes no difference between them."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if depth < _DEEPEST:
        if isinstance(value, dict):
            return {key: _integral(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [_integral(item, depth + 1) for item in value]
    return value
