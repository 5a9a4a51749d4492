"""The bridge against asyncua's server."""

from __future__ import annotations

import logging
import math
import time

import pytest

from stagetwin.ports import ConnectionState, Reject, ValueKind
from stagetwin.signals import Status
from tests.bridges.conftest import channel
from tests.bridges.opcua.conftest import MakeOpcUaBridge, MakeServer
from tests.bridges.opcua.servers import node
from tests.bridges.recording_sink import RecordingSink, eventually

VARIABLES = {
    "double": ("Double", 1.5),
    "float": ("Float", 0.5),
    "byte": ("Byte", 7),
    "int64": ("Int64", 2**60 + 1),
    "flag": ("Boolean", True),
    "text": ("String", "läuft"),
    "label": ("LocalizedText", "Pumpe"),
    "mode": ("Mode", 1),
    "moment": ("DateTime", 1_700_000_000.25),
    "doubles": ("Double", [1.0, 2.0, 3.5]),
    "words": ("String", ["a", "b"]),
    "bytes": ("ByteString", "ab"),
}


def test_every_kind_of_value_arrives(
    make_server: MakeServer, sink: RecordingSink, make_opcua_bridge: MakeOpcUaBridge
) -> None:
    expected = [
        ("double", "", ValueKind.NUMBER, 1.5),
        ("float", "", ValueKind.NUMBER, 0.5),
        ("byte", "", ValueKind.INTEGER, 7.0),
        ("int64", "", ValueKind.INTEGER, 2**60 + 1),
        ("flag", "", ValueKind.BOOLEAN, 1.0),
        ("text", "", ValueKind.TEXT, "läuft"),
        ("label", "", ValueKind.TEXT, "Pumpe"),
        ("mode", "", ValueKind.TEXT, "Manual"),
        ("mode", "", ValueKind.INTEGER, 1.0),
        ("moment", "", ValueKind.NUMBER, 1_700_000_000.25),
        ("moment", "", ValueKind.TEXT, "2023-11-14T22:13:20.250000Z"),
        ("doubles", "", ValueKind.COMPOSITE, [1.0, 2.0, 3.5]),
        ("doubles", "[2]", ValueKind.NUMBER, 3.5),
        ("words", "[1]", ValueKind.TEXT, "b"),
        ("bytes", "", ValueKind.TEXT, "YWI="),
    ]
    server = make_server(VARIABLES)
    make_opcua_bridge(
        server.endpoint(),
        *[
            channel(index, node(name), field, kind)
            for index, (name, field, kind, _) in enumerate(expected)
        ],
    )
    eventually(lambda: sink.rows == len(expected))
    assert dict(sink.seen()) == {row: value for row, (*_, value) in enumerate(expected)}
    assert not sink.counts
    assert sink.current == (ConnectionState.ONLINE, "")


def test_values_arrive_in_order_with_their_times(
    make_server: MakeServer, sink: RecordingSink, make_opcua_bridge: MakeOpcUaBridge
) -> None:
    names = [f"v{row}" for row in range(40)]
    server = make_server(dict.fromkeys(names, ("Double", 0.0)))
    make_opcua_bridge(
        server.endpoint("queue=100"), *[channel(i, node(name)) for i, name in enumerate(names)]
    )
    eventually(lambda: sink.rows == len(names))
    began = time.time()
    for step in range(1, 21):
        for name in names:
            server.write(name, float(step), time=1_700_000_000 + step + 0.123456)
    eventually(lambda: sink.rows == 21 * len(names))
    for row in range(len(names)):
        assert sink.of(row) == [float(step) for step in range(21)]
    times = sink.column("source_time")[len(names) :]
    steps = [int(value) for _, value in sink.seen()[len(names) :]]
    for taken, step in zip(times, steps, strict=True):
        assert taken == pytest.approx(1_700_000_000 + step + 0.123456, abs=2e-6)
    assert all(began <= t <= time.time() for t in sink.column("receive_time")[len(names) :])
    assert not sink.counts


def test_status_reaches_the_sink_even_without_a_value(
    make_server: MakeServer, sink: RecordingSink, make_opcua_bridge: MakeOpcUaBridge
) -> None:
    server = make_server({"a": ("Double", 1.0), "list": ("Double", [1.0])})
    make_opcua_bridge(
        server.endpoint(),
        channel(0, node("a")),
        channel(1, node("list"), kind=ValueKind.COMPOSITE),
    )
    eventually(lambda: sink.rows == 2)
    server.write("a", 2.0, "UncertainSensorNotAccurate")
    eventually(lambda: sink.rows == 3)
    server.write("a", 3.0, "BadSensorFailure")
    server.write("list", [2.0], "BadDeviceFailure")
    eventually(lambda: sink.rows == 5)
    statuses = [int(status) for status in sink.column("status")]
    assert statuses[2] == 0x4093_0000
    assert sorted(statuses[3:]) == [0x808B_0000, 0x808C_0000]
    assert all(math.isnan(v) for _, v in sink.seen()[3:] if not isinstance(v, list))
    server.write("a", 4.0)
    eventually(lambda: sink.of(0)[-1] == 4.0)
    assert sink.column("status")[-1] == Status.GOOD
    assert not sink.counts


def test_a_value_of_another_type_leaves_its_signal_bad(
    make_server: MakeServer, sink: RecordingSink, make_opcua_bridge: MakeOpcUaBridge
) -> None:
    server = make_server(
        {
            "text": ("String", "x"),
            "list": ("Double", [1.0]),
            "mode": ("Mode", 7),
            "a": ("Double", 1.0),
        }
    )
    make_opcua_bridge(
        server.endpoint(),
        channel(0, node("text")),
        channel(1, node("list"), "[3]"),
        channel(2, node("mode"), kind=ValueKind.TEXT),
        channel(3, node("a")),
    )
    eventually(lambda: sink.rows == 4)
    assert sink.counts == {Reject.TYPE_MISMATCH: 3}
    found = dict(zip(sink.column("channel"), sink.column("status"), strict=True))
    assert found == {0: Status.BAD_TYPE_MISMATCH, 1: 0x8074_0000, 2: 0x8074_0000, 3: 0}
    said = "\n".join(sorted(sink.examples))
    assert f"/World/Pump_0, flow at {node('text')}: expected a number, got a String 'x'" in said
    assert "expected a value at [3]" in said
    assert "expected one of Off (0), Manual (1), Automatic (2), got 7" in said


def test_one_bad_node_stops_no_other(
    make_server: MakeServer,
    sink: RecordingSink,
    make_opcua_bridge: MakeOpcUaBridge,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stagetwin_bridges.opcua._bridge._RETRY", 0.5)
    server = make_server({"a": ("Double", 1.0)})
    make_opcua_bridge(
        server.endpoint(),
        channel(0, node("a")),
        channel(1, node("later")),
        channel(2, "nsu=http://elsewhere.example;s=a"),
        channel(3, "ns=2;x=a"),
    )
    eventually(lambda: sink.of(0) == [1.0])
    state, cause = sink.current
    assert state is ConnectionState.ONLINE
    assert "2 of 3 nodes not bound: nsu=http://elsewhere" in cause
    assert f"{node('later')} (BadNodeIdUnknown)" in cause
    assert sink.counts == {Reject.UNBOUND: 3}
    said = "\n".join(sink.examples)
    assert f"/World/Pump_1, flow at {node('later')}: BadNodeIdUnknown" in said
    assert "the server has no namespace 'http://elsewhere.example'" in said
    assert "ns=2;x=a" in caplog.text
    assert ((2, 1), False) in [(tuple(some), lives) for some, lives in sink.vouched]
    # It is tried again, and counted once.
    server.add("later", "Double", 5.0)
    eventually(lambda: sink.of(1) == [5.0])
    eventually(lambda: "1 of 3 nodes" in sink.current[1])
    eventually(lambda: ((0, 1), True) in sink.vouched)
    assert sink.counts == {Reject.UNBOUND: 3}


def test_rebinding_changes_only_the_difference(
    make_server: MakeServer, sink: RecordingSink, make_opcua_bridge: MakeOpcUaBridge
) -> None:
    server = make_server({name: ("Double", float(row)) for row, name in enumerate("abc")})
    a, b, c = (channel(row, node(name)) for row, name in enumerate("abc"))
    bridge = make_opcua_bridge(server.endpoint(), a, b)
    eventually(lambda: sink.rows == 2)
    bridge.rebind([b, c, channel(3, node("b"))])
    # The new nodes have a value at once, and what stays is not asked for again.
    eventually(lambda: sink.of(2) == [2.0] and sink.of(3) == [1.0])
    assert sink.of(1) == [1.0]
    for name in "abc":
        server.write(name, 9.0)
    eventually(lambda: sink.of(1) == [1.0, 9.0] and sink.of(3) == [1.0, 9.0])
    eventually(lambda: sink.of(2) == [2.0, 9.0])
    assert sink.of(0) == [0.0]
    eventually(lambda: sink.vouched[-1] == ((1, 3, 2), True))
    bridge.rebind([])
    eventually(lambda: sink.current == (ConnectionState.ONLINE, ""))
    server.write("b", 10.0)
    assert not sink.counts


def test_a_signal_that_comes_to_a_known_node_may_be_text(
    make_server: MakeServer, sink: RecordingSink, make_opcua_bridge: MakeOpcUaBridge
) -> None:
    server = make_server({"mode": ("Mode", 1)})
    number = channel(0, node("mode"))
    bridge = make_opcua_bridge(server.endpoint(), number)
    eventually(lambda: sink.of(0) == [1.0])
    bridge.rebind([number, channel(1, node("mode"), kind=ValueKind.TEXT)])
    eventually(lambda: sink.of(1) == ["Manual"])
    server.write("mode", 2)
    eventually(lambda: sink.of(1) == ["Manual", "Automatic"])
    assert not sink.counts


def test_unchanged_values_are_vouched_for_while_keep_alives_come(
    make_server: MakeServer,
    sink: RecordingSink,
    make_opcua_bridge: MakeOpcUaBridge,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stagetwin_bridges.opcua._bridge._VOUCH", 0.2)
    server = make_server({"a": ("Double", 1.0)})
    make_opcua_bridge(server.endpoint("publishing=0.05&keepalive=2"), channel(0, node("a")))
    eventually(lambda: sink.vouched.count(((0,), True)) >= 4)
    assert sink.rows == 1
    before = len(sink.states)
    eventually(lambda: len(sink.states) > before)
    assert sink.online()


def test_many_nodes_go_into_several_requests(
    make_server: MakeServer,
    sink: RecordingSink,
    make_opcua_bridge: MakeOpcUaBridge,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stagetwin_bridges.opcua._requests._CHUNK", 7)
    names = [f"v{row}" for row in range(30)]
    server = make_server({name: ("Int32", row) for row, name in enumerate(names)})
    bridge = make_opcua_bridge(
        server.endpoint(), *[channel(row, node(name)) for row, name in enumerate(names)]
    )
    eventually(lambda: sink.rows == len(names))
    assert dict(sink.seen()) == {row: float(row) for row in range(30)}
    bridge.rebind([channel(row, node(name)) for row, name in enumerate(names[:2])])
    eventually(lambda: sink.vouched[-1] == ((0, 1), True))
    server.write("v1", 99)
    eventually(lambda: sink.of(1) == [1.0, 99.0])


def test_a_sink_that_raises_does_not_end_the_connection(
    make_server: MakeServer,
    sink: RecordingSink,
    make_opcua_bridge: MakeOpcUaBridge,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = make_server({"a": ("Double", 1.0)})
    with caplog.at_level(logging.ERROR), monkeypatch.context() as patch:
        patch.setattr(sink, "batches", None)
        make_opcua_bridge(server.endpoint(), channel(0, node("a")))
        eventually(lambda: "the sink refused samples" in caplog.text)
    server.write("a", 2.0)
    eventually(lambda: sink.of(0) == [2.0])
