"""The packets of MQTT 3.1.1 that a vehicle needs, as bytes; no I/O.

A client library costs some 50 us a message and a thread or a poll for each of thousands of
connections; these few packets cost 1 us.

Source: MQTT Version 3.1.1, OASIS Standard, 2014, chapters 2 and 3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

__all__ = [
    "CONNACK",
    "DISCONNECT",
    "PINGREQ",
    "PUBACK",
    "PUBLISH",
    "RETAINED",
    "SUBACK",
    "PacketError",
    "PacketReader",
    "connect_packet",
    "puback_packet",
    "publish_packet",
    "published",
    "subscribe_packet",
    "topic_bytes",
]

CONNACK, PUBLISH, PUBACK, SUBACK = 0x20, 0x30, 0x40, 0x90
RETAINED = 0x01
"""Flag of a PUBLISH that the broker kept."""
PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"

_CLEAN, _WILL, _WILL_QOS_1, _WILL_RETAIN = 0x02, 0x04, 0x08, 0x20
_PASSWORD, _USERNAME = 0x40, 0x80
_LONGEST = 268_435_455


class PacketError(Exception):
    """What came is no MQTT 3.1.1."""


def _length(size: int) -> bytes:
    if size < 128:
        return bytes((size,))
    if size < 16_384:
        return bytes((size & 0x7F | 0x80, size >> 7))
    out = bytearray()
    while True:
        size, digit = divmod(size, 128)
        out.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(out)


def _text(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("!H", len(data)) + data


def connect_packet(
    client_id: str, keepalive: int, will: tuple[str, bytes], username: str = "", password: str = ""
) -> bytes:
    """Return a CONNECT with a clean session and a retained will of QoS 1 (3.1).

    Args:
        client_id: unique at the broker.
        keepalive: [s].
        will: topic and payload.
        username, password: empty for none.
    """
    flags = _CLEAN | _WILL | _WILL_QOS_1 | _WILL_RETAIN
    flags |= (_USERNAME if username else 0) | (_PASSWORD if password else 0)
    body = _text("MQTT") + struct.pack("!BBH", 4, flags, keepalive)
    body += _text(client_id) + _text(will[0]) + _text(will[1])
    body += (_text(username) if username else b"") + (_text(password) if password else b"")
    return b"\x10" + _length(len(body)) + body


def subscribe_packet(packet_id: int, filters: Sequence[str]) -> bytes:
    """Return a SUBSCRIBE that asks for QoS 0 (3.8)."""
    body = struct.pack("!H", packet_id) + b"".join(_text(each) + b"\x00" for each in filters)
    return b"\x82" + _length(len(body)) + body


def publish_packet(
    topic: bytes, payload: bytes, *, packet_id: int = 0, retain: bool = False
) -> bytes:
    """Return a PUBLISH (3.3).

    Args:
        topic: as it travels: two bytes of length and UTF-8 (`topic_bytes`).
        payload: payload.
        packet_id: of a message of QoS 1; 0 sends it with QoS 0.
        retain: whether the broker keeps it.
    """
    first = PUBLISH | (0x02 if packet_id else 0) | (0x01 if retain else 0)
    number = struct.pack("!H", packet_id) if packet_id else b""
    size = _length(len(topic) + len(number) + len(payload))
    return b"".join((bytes((first,)), size, topic, number, payload))


def topic_bytes(topic: str) -> bytes:
    """Return a topic as a PUBLISH has it."""
    return _text(topic)


def puback_packet(packet_id: int) -> bytes:
    """Return a PUBACK (3.4)."""
    return struct.pack("!BBH", PUBACK, 2, packet_id)


def published(first: int, body: bytes) -> tuple[str, int, bytes]:
    """Return topic, packet id (0 of QoS 0) and payload of a PUBLISH.

    Raises:
        PacketError: it is cut short, or its topic no UTF-8.
    """
    try:
        (size,) = struct.unpack_from("!H", body)
        topic, at, number = body[2 : 2 + size].decode(), 2 + size, 0
        if first & 0x06:
            (number,) = struct.unpack_from("!H", body, at)
            at += 2
    except (struct.error, UnicodeDecodeError) as error:
        raise PacketError(f"a PUBLISH that cannot be read: {error}") from None
    return topic, number, body[at:]


class PacketReader:
    """Cuts what arrives into packets."""

    def __init__(self, largest: int = 1_048_576) -> None:
        """Make it; a packet that is larger than `largest` [bytes] is an error."""
        self._buffer = bytearray()
        self._largest = min(largest, _LONGEST)

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield first byte and body of each packet that is complete.

        Raises:
            PacketError: the length is malformed or too large.
        """
        buffer = self._buffer
        buffer += data
        start = 0
        while True:
            size, shift, at = 0, 0, start + 1
            while at < len(buffer):
                digit = buffer[at]
                size |= (digit & 0x7F) << shift
                at, shift = at + 1, shift + 7
                if not digit & 0x80:
                    break
                if shift > 21:
                    raise PacketError("a length of more than four bytes")
            else:
                break
            if size > self._largest:
                raise PacketError(f"a packet of {size} bytes; allowed are {self._largest}")
            if at + size > len(buffer):
                break
            yield buffer[start], bytes(buffer[at : at + size])
            start = at + size
        del buffer[:start]
