"""The buffered reader against a broker of our own that sends any bytes."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Sequence
from typing import Any

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from stagetwin_bridges.mqtt._paho_buffered import BufferedClient

Sent = tuple[str, bytes, int, str, int]
"""Topic, payload, flags (retain, QoS, dup), realm, length of a filler property."""

MESSAGES = st.lists(
    st.tuples(
        st.text("abc/é", min_size=1, max_size=6),
        st.binary(max_size=300),
        st.sampled_from([0x30, 0x31, 0x32, 0x33, 0x3A]),
        st.sampled_from(["", "replay"]),
        st.sampled_from([0, 5, 200]),
    ),
    max_size=6,
)


def varint(number: int) -> bytes:
    out = b""
    while True:
        number, digit = divmod(number, 128)
        out += bytes([digit | (128 if number else 0)])
        if not number:
            return out


def publish(sent: Sent, five: bool, mid: int) -> bytes:
    topic, payload, first, realm, filler = sent
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name
    if first & 0x06:
        body += mid.to_bytes(2, "big")
    if five:
        properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if filler:
            properties.UserProperty = ("filler", "x" * filler)
        if realm:
            properties.UserProperty = ("stagetwin-realm", realm)
        body += properties.pack()
    body += payload
    return bytes([first]) + varint(len(body)) + body


class Wire:
    """A client whose socket we hold the other end of."""

    def __init__(self, five: bool) -> None:
        self.client = BufferedClient(
            CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5 if five else paho.MQTTv311
        )
        self.client.read_realm = True
        self.client.on_socket_register_write = lambda *_: None
        self.ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self.client._sock = theirs

    def feed(self, *chunks: bytes) -> MQTTErrorCode:
        rc = MQTTErrorCode.MQTT_ERR_SUCCESS
        for chunk in chunks:
            self.ours.sendall(chunk)
            rc = self.client.loop_read()
        return rc

    def sent(self) -> bytes:
        self.client.loop_write()
        self.ours.setblocking(False)
        try:
            return self.ours.recv(65_536)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        self.ours.close()
        sock = self.client.socket()
        if sock is not None:
            sock.close()


def cut(data: bytes, at: Sequence[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(min(a, len(data)) for a in at)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(MESSAGES, st.lists(st.integers(0, 2000), max_size=8), st.booleans())
def test_any_stream_in_any_pieces_gives_its_messages(
    messages: list[Sent], at: list[int], five: bool
) -> None:
    wire = Wire(five)
    stream = b"".join(publish(sent, five, n + 1) for n, sent in enumerate(messages))
    assert wire.feed(*cut(stream, at)) is MQTTErrorCode.MQTT_ERR_SUCCESS
    assert wire.client.batch == [
        (topic.encode(), payload, first, realm if five else "")
        for topic, payload, first, realm, _ in messages
    ]
    acks = b"".join(
        b"\x40\x02" + (n + 1).to_bytes(2, "big")
        for n, (_, _, first, _, _) in enumerate(messages)
        if first & 0x02
    )
    assert wire.sent() == acks
    wire.close()


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 400_000])
def test_messages_of_any_length(size: int) -> None:
    wire = Wire(five=True)
    stream = publish(("a", bytes(size), 0x30, "", 0), True, 0) * 2
    wire.feed(*cut(stream, list(range(0, len(stream), 60_000))))
    assert [len(payload) for _, payload, _, _ in wire.client.batch] == [size, size]
    wire.close()


@pytest.mark.parametrize(
    "packet",
    [
        b"\x30\x02\x00\x05",  # topic longer than the packet
        b"\x30\x00",  # no topic at all
        b"\x30\x03\x00\x00\x00",  # empty topic
        b"\x32\x04\x00\x01a\x00",  # packet identifier cut short
        b"\x30\x80\x80\x80\x80\x01",  # length of five bytes
        b"\x30\x05\x00\x01a\x7fx",  # properties longer than the packet
        b"\xf0\x00",  # no such packet
    ],
)
def test_a_broken_packet_ends_the_connection(packet: bytes) -> None:
    wire = Wire(five=True)
    ended: list[Any] = []
    wire.client.on_disconnect = lambda *args: ended.append(args)
    rc = wire.feed(packet)
    assert rc is MQTTErrorCode.MQTT_ERR_PROTOCOL
    assert wire.client.socket() is None
    assert len(ended) == 1
    assert wire.client.batch == []
    wire.close()


def test_other_packets_go_to_paho() -> None:
    wire = Wire(five=False)
    asked: list[Any] = []
    wire.client.on_subscribe = lambda _c, _d, mid, codes, _p: asked.append((mid, len(codes)))
    qos2 = publish(("b", b"2", 0x34, "", 0), False, 9)
    got: list[Any] = []
    wire.client.on_message = lambda _c, _d, message: got.append(message.payload)
    wire.feed(
        publish(("a", b"1", 0x30, "", 0), False, 0)
        + b"\x90\x03\x00\x07\x01"
        + qos2
        + b"\xd0\x00"
        + publish(("c", b"3", 0x30, "", 0), False, 0)
    )
    assert [payload for _, payload, _, _ in wire.client.batch] == [b"1", b"3"]
    assert asked == [(7, 1)]
    assert wire.sent() == b"\x50\x02\x00\x09"
    wire.feed(b"\x62\x02\x00\x09")
    assert got == [b"2"]
    wire.close()


def test_the_end_of_the_stream_ends_the_connection() -> None:
    wire = Wire(five=True)
    wire.ours.close()
    assert wire.client.loop_read() is MQTTErrorCode.MQTT_ERR_CONN_LOST
    assert wire.client.loop_read() is MQTTErrorCode.MQTT_ERR_NO_CONN
