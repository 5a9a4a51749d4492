"""paho-mqtt's client with a reader that takes what the socket has, not a packet at a time.

paho reads each packet with three `recv` calls after a `select`, and builds a message object with
its properties. Here one `recv` brings all that waits; QoS 0 and 1 messages are cut out of it and
collected; acknowledgements of one read leave in one piece. Every other packet goes to paho.

This leans on private names of paho, so `buffered_client` looks whether they are as expected.
"""

from __future__ import annotations

import time
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.exception import MQTTException
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from stagetwin_bridges.mqtt._client import REALM_PROPERTY

__all__ = ["BufferedClient", "buffered_client", "realm_of"]

_READ = 65_536
"""Bytes asked of one read. Larger blocks cost more than they save: the allocator maps them anew."""

_PUBACK = 0x40
_MARK = REALM_PROPERTY.encode()
_NEEDED_METHODS = ("_loop_rc_handle", "_packet_handle", "_packet_queue", "_sock_recv", "loop_read")
_NEEDED_ATTRIBUTES = ("_in_packet", "_last_bytes_received", "_msgtime_mutex", "_sock")
_IN_PACKET: dict[str, Any] = {
    "command": 0,
    "have_remaining": 0,
    "remaining_count": [],
    "remaining_mult": 1,
    "remaining_length": 0,
    "packet": b"",
    "to_process": 0,
    "pos": 0,
}


class MalformedError(Exception):
    """A packet breaks the rules of its own length fields."""


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a variable byte integer and where it ends.

    Raises:
        IndexError: it is not complete.
        MalformedError: it has more than four bytes.
    """
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 21:
            raise MalformedError("a length of more than four bytes")


def realm_of(properties: Properties | None) -> str:
    """Return the mark among a message's user properties; empty if there is none."""
    pairs = getattr(properties, "UserProperty", None) or []
    return next((str(value) for name, value in pairs if name == REALM_PROPERTY), "")


def _realm_in(block: bytes) -> str:
    properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.unpack(block)
    return realm_of(properties)


class BufferedClient(paho.Client):
    """A client whose `loop_read` collects messages in `batch` instead of calling `on_message`.

    Attributes:
        batch: messages since the owner last took them, as tuples in the order of `Message`.
        read_realm: whether to look for REALM_PROPERTY in the messages' properties.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.batch: list[tuple[bytes, bytes, int, str]] = []
        self.read_realm = False
        self._parts: list[bytes] = []
        self._parts_size = 0
        self._parts_needed = 0

    def reconnect(self) -> MQTTErrorCode:
        """Reconnect, forgetting what was left of the last connection's bytes."""
        self._keep(b"", 0)
        return super().reconnect()

    def _keep(self, rest: bytes, needed: int) -> None:
        self._parts = [rest] if rest else []
        self._parts_size = len(rest)
        self._parts_needed = needed

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """Read once and handle every packet that is complete."""
        if self._sock is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        try:
            data = self._sock_recv(_READ)
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        except OSError:
            data = b""
        if not data:
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        with self._msgtime_mutex:
            self._last_bytes_received = time.monotonic()
        if self._parts:
            # A large message is joined once, when its last part has come.
            self._parts.append(data)
            self._parts_size += len(data)
            if self._parts_size < self._parts_needed:
                return MQTTErrorCode.MQTT_ERR_SUCCESS
            data = b"".join(self._parts)
        try:
            rc = self._split(data)
        except (MQTTException, MalformedError, IndexError):
            rc = MQTTErrorCode.MQTT_ERR_PROTOCOL
        return self._loop_rc_handle(rc) if rc > 0 else rc

    def _split(self, data: bytes) -> MQTTErrorCode:
        size = len(data)
        at = 0
        needed = 2
        acks = bytearray()
        five = self._protocol == paho.MQTTv5
        collect = self.batch.append
        while size - at >= 2:
            first = data[at]
            length = data[at + 1]
            body = at + 2
            if length > 127:
                try:
                    length, body = _varint(data, at + 1)
                except IndexError:
                    needed = size - at + 1
                    break
            end = body + length
            if end > size:
                needed = end - at
                break
            if first & 0xF4 == 0x30:  # PUBLISH with QoS 0 or 1
                start = body + 2
                stop = start + (data[body] << 8) + data[body + 1]
                payload = stop
                if first & 0x02:
                    payload += 2
                    acks += b"\x40\x02"
                    acks += data[stop:payload]
                realm = ""
                if five:
                    properties = data[payload]
                    payload += 1
                    if properties:
                        if properties > 127:
                            properties, payload = _varint(data, payload - 1)
                        block = payload
                        payload += properties
                        if self.read_realm and _MARK in data[block:payload]:
                            realm = _realm_in(data[stop + (first & 0x02) : payload])
                if payload > end or stop == start:
                    raise MalformedError("a PUBLISH whose parts do not fit")
                collect((data[start:stop], data[payload:end], first, realm))
            else:
                rc = self._other_packet(first, data[body:end])
                if rc > 0 or self._sock is None:
                    self._acknowledge(acks)
                    return rc
            at = end
        self._keep(data[at:] if at else data, needed)
        self._acknowledge(acks)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _acknowledge(self, acks: bytearray) -> None:
        if acks and self._sock is not None:
            self._packet_queue(_PUBACK, bytes(acks), 0, 1)

    def _other_packet(self, first: int, body: bytes) -> MQTTErrorCode:
        packet: Any = dict(
            _IN_PACKET,
            command=first,
            have_remaining=1,
            remaining_length=len(body),
            packet=bytearray(body),
        )
        self._in_packet = packet
        rc = self._packet_handle()
        packet = dict(_IN_PACKET)
        self._in_packet = packet
        return rc


def buffered_client() -> type[BufferedClient] | None:
    """Return the buffered client, or None where the installed paho is not as expected."""
    probe = paho.Client(CallbackAPIVersion.VERSION2)
    fits = (
        all(callable(getattr(probe, name, None)) for name in _NEEDED_METHODS)
        and all(hasattr(probe, name) for name in _NEEDED_ATTRIBUTES)
        and set(getattr(probe, "_in_packet", ())) == set(_IN_PACKET)
    )
    return BufferedClient if fits else None
