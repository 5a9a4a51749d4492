"""What a command is on the wire, byte for byte."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagetwin.actuation import CommandProtocol, CommandTarget, Transmission
from stagetwin.ports import ValueKind
from stagetwin_bridges import ConnectionConfigError
from stagetwin_bridges.mqtt import Endpoint, MqttProtocol
from stagetwin_bridges.mqtt._command_payload import carries_id, packet_of, payload_of
from stagetwin_bridges.mqtt._values import RefusedError
from tests.bridges.mqtt.commanding import packets

PROTOCOL: CommandProtocol = MqttProtocol()


def target(field: str = "", encoding: str = "auto", **more: Any) -> CommandTarget:
    """Return a target of a pump."""
    given = {"prim": "/World/Pump", "command": "speed", "address": "plant/pump/speed", **more}
    return CommandTarget(field=field, encoding=encoding, **given)


def transmission(value: Any, to: CommandTarget) -> Transmission:
    """Return a command with a minute to live."""
    return Transmission(
        id="0190-id",
        target=to,
        value=value,
        asset="/World/Pump",
        guard="g",
        token=(1, 1),
        deadline=0.25,
        expires=60.0,
        realm="plant",
    )


def payload(value: Any, to: CommandTarget) -> bytes:
    """Return the payload of a command to a sound target."""
    assert PROTOCOL.check_command(to) == []
    return payload_of(transmission(value, to), 9.5, "stagetwin/reply/me", 1.5e9)


OWN = {"id": "0190-id", "expires_in": 9.5, "time": 1.5e9, "reply_to": "stagetwin/reply/me"}


@pytest.mark.parametrize(
    ("field", "encoding", "kind", "value", "expected"),
    [
        ("speed", "auto", "number", 50.5, {"speed": 50.5}),
        ("speed", "json", "integer", 7, {"speed": 7}),
        ("speed", "json", "integer", 7.0, {"speed": 7}),
        ("set.speed", "auto", "number", 1, {"set": {"speed": 1}}),
        ('["Set Point"]', "json", "text", "läuft", {"Set Point": "läuft"}),
        ("run", "auto", "boolean", False, {"run": False}),
        ("pose", "auto", "composite", [1, 2.5, 3], {"pose": [1, 2.5, 3]}),
        ("pose", "auto", "composite", (1, 2), {"pose": [1, 2]}),
        ("", "json", "number", 3.5, {"value": 3.5}),
    ],
)
def test_an_object_carries_the_value_and_the_commands_own_keys(
    field: str, encoding: str, kind: ValueKind, value: Any, expected: dict[str, Any]
) -> None:
    to = target(field, encoding, kind=ValueKind(kind))
    assert msgspec.json.decode(payload(value, to)) == expected | OWN
    assert carries_id(to, "3.1.1")


@pytest.mark.parametrize(
    ("encoding", "kind", "value", "expected"),
    [
        ("auto", "number", 50.5, b"50.5"),
        ("number", "number", -3, b"-3"),
        ("auto", "integer", 2**60 + 1, b"1152921504606846977"),
        ("auto", "boolean", True, b"true"),
        ("number", "boolean", False, b"false"),
        ("text", "number", 1.5, b"1.5"),
        ("auto", "text", 'say "läuft"', 'say "läuft"'.encode()),
        ("text", "text", "", b""),
        ("auto", "composite", [1, 2.5], b"[1,2.5]"),
    ],
)
def test_without_a_field_the_value_travels_alone(
    encoding: str, kind: ValueKind, value: Any, expected: bytes
) -> None:
    to = target("", encoding, kind=ValueKind(kind))
    assert payload(value, to) == expected
    assert not carries_id(to, "3.1.1")
    assert carries_id(to, "5")


@pytest.mark.parametrize(
    ("field", "wire_type", "kind", "value", "expected"),
    [
        ("<f", "auto", "number", 1.5, struct.pack("<f", 1.5)),
        (">H", "H", "number", 7.0, b"\x00\x07"),
        (">H", ">H", "integer", 7, b"\x00\x07"),
        ("", "<i", "integer", -1, b"\xff\xff\xff\xff"),
        ("<?", "auto", "boolean", True, b"\x01"),
        ("<B", "auto", "boolean", True, b"\x01"),
        ("<6s", "auto", "text", "läu", "läu".encode() + b"\x00\x00"),
        ("<xBx2f", "auto", "composite", [3, 1, 2.0], struct.pack("<xBx2f", 3, 1, 2)),
    ],
)
def test_a_struct_is_packed(
    field: str, wire_type: str, kind: ValueKind, value: Any, expected: bytes
) -> None:
    to = target(field, "struct", wire_type=wire_type, kind=ValueKind(kind))
    assert payload(value, to) == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_the_same_behind_the_wire(value: float) -> None:
    assert msgspec.json.decode(payload(value, target())) == value
    assert msgspec.json.decode(payload(value, target("a.b")))["a"]["b"] == value
    assert struct.unpack(">d", payload(value, target(">d"))) == (value,)


@pytest.mark.parametrize(
    ("field", "kind", "value", "said"),
    [
        ("v", "number", float("nan"), "finite"),
        ("v", "number", True, "expected a number, got true"),
        ("v", "number", "5", "expected a number, got '5'"),
        ("v", "integer", 1.5, "expected an integer"),
        ("v", "integer", 1e300, "expected an integer"),
        ("v", "integer", 2**70, "64 bits"),
        ("v", "boolean", 1, "expected a boolean"),
        ("v", "text", 5, "expected a text"),
        ("", "text", "\ud800", "UTF-8"),
        ("v", "text", "\ud800", "UTF-8|JSON|surrogate"),
        ("v", "text", "x" * 70_000, "at most 65536 bytes"),
        ("v", "composite", {"a": 1}, "expected a composite"),
        ("v", "composite", [1, float("inf")], "finite"),
        ("<B", "number", 300, "does not fit '<B'"),
        ("<B", "number", 1.5, "does not fit '<B'"),
        ("<f", "number", 1e300, "does not fit '<f'"),
        ("<?", "number", 2.5, "does not fit"),
        ("<2s", "text", "läuft", "at most 2 bytes"),
        ("<3p", "text", "abc", "at most 2 bytes"),
        ("<2f", "composite", [1, 2, 3], "expected 2 items, got 3"),
        ("<2f", "composite", [1, "a"], "does not fit"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(
    field: str, kind: ValueKind, value: Any, said: str
) -> None:
    with pytest.raises(RefusedError, match=said):
        payload(value, target(field, kind=ValueKind(kind)))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"address": "plant/+/speed"}, "one topic"),
        ({"address": "plant/#"}, "one topic"),
        ({"address": "$SYS/broker"}, "does not begin with"),
        ({"address": "$share/g/a"}, "does not begin with"),
        ({"address": ""}, "expected a topic"),
        ({"operation": "method"}, "MQTT has no methods; allowed are write and publish"),
        ({"operation": "call"}, "allowed are write and publish"),
        ({"encoding": "sparkplug"}, "allowed are auto, json, number, text and struct"),
        ({"field": "a[0]"}, "without an index"),
        ({"field": "a..b"}, "position"),
        ({"field": "id"}, "key of every command"),
        ({"field": "reply_to.x"}, "key of every command"),
        ({"field": "v", "encoding": "number"}, "expected no field"),
        ({"encoding": "number", "kind": ValueKind.COMPOSITE}, "no array"),
        ({"wire_type": "Int32"}, "only encoding struct has wire types"),
        ({"field": "<f", "wire_type": "d"}, "differs from the struct format"),
        ({"field": "<f@4"}, "no offset"),
        ({"encoding": "struct"}, "struct format"),
        ({"encoding": "struct", "wire_type": "H"}, "byte order"),
        ({"field": "<2f"}, "expected one item"),
    ],
)
def test_what_cannot_be_commanded_is_said(given: dict[str, Any], said: str) -> None:
    assert any(said in problem for problem in PROTOCOL.check_command(target(**given)))


def test_both_operations_publish() -> None:
    for operation in ("write", "publish"):
        assert PROTOCOL.check_command(target("v", operation=operation)) == []
    assert isinstance(PROTOCOL, CommandProtocol)
    assert not PROTOCOL.reads


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 16_383, 60_000])
def test_a_packet_is_one_publish_of_quality_0(size: int) -> None:
    command = transmission(1.0, target())
    for version in ("5", "3.1.1"):
        whole = packet_of(command, b"x" * size, 9.2, "r", 1.5e9, version)
        (packet,) = packets(whole)
        assert packet.first == 0x30
        assert packet.body.startswith(b"\x00\x10plant/pump/speed")
        assert packet.body.endswith(b"x" * size)
        assert (b"stagetwin-realm" in packet.body) == (version == "5")
        assert not list(packets(whole[:-1]))


def test_the_reply_topic_is_an_option() -> None:
    def options(query: str) -> str:
        return Endpoint.parse(f"mqtt://localhost?{query}").options.reply_topic("c1")

    assert options("") == "stagetwin/reply/c1"
    assert options("reply=site/{client_id}/answers") == "site/c1/answers"
    for wrong in ("a/%23", "a/+", "$SYS/a", "", "a/{prim.name}"):
        with pytest.raises(ConnectionConfigError, match="reply: "):
            options(f"reply={wrong}")
