"""The bridge against node-opcua's server."""

from __future__ import annotations

import math

from stagetwin.ports import Reject, ValueKind
from tests.bridges.conftest import channel
from tests.bridges.opcua.conftest import MakeOpcUaBridge, MakeServer
from tests.bridges.opcua.servers import FOREIGN, node
from tests.bridges.recording_sink import RecordingSink, eventually
from tests.bridges.tcp_proxy import TcpProxy


def foreign(name: str) -> str:
    """Return the address of a node."""
    return node(name, FOREIGN)


def test_every_kind_of_value_arrives(
    make_foreign: MakeServer, sink: RecordingSink, make_opcua_bridge: MakeOpcUaBridge
) -> None:
    server = make_foreign(
        {
            "double": ("Double", 1.5),
            "int64": ("Int64", 5),
            "flag": ("Boolean", True),
            "text": ("String", "läuft"),
            "mode": ("Mode", 2),
            "moment": ("DateTime", 1_700_000_000.25),
            "list": ("Int32", [1, 2, 3]),
        }
    )
    expected = [
        ("double", "", ValueKind.NUMBER, 1.5),
        ("int64", "", ValueKind.INTEGER, 5.0),
        ("flag", "", ValueKind.BOOLEAN, 1.0),
        ("text", "", ValueKind.TEXT, "läuft"),
        ("mode", "", ValueKind.TEXT, "Automatic"),
        ("moment", "", ValueKind.NUMBER, 1_700_000_000.25),
        ("list", "", ValueKind.COMPOSITE, [1, 2, 3]),
        ("list", "[1]", ValueKind.NUMBER, 2.0),
    ]
    make_opcua_bridge(
        server.endpoint(),
        *[
            channel(index, foreign(name), field, kind)
            for index, (name, field, kind, _) in enumerate(expected)
        ],
    )
    eventually(lambda: sink.rows == len(expected))
    assert dict(sink.seen()) == {row: value for row, (*_, value) in enumerate(expected)}
    assert not sink.counts


def test_status_and_times_arrive(
    make_foreign: MakeServer, sink: RecordingSink, make_opcua_bridge: MakeOpcUaBridge
) -> None:
    server = make_foreign({"a": ("Double", 1.0)})
    make_opcua_bridge(server.endpoint("sampling=0"), channel(0, foreign("a")))
    eventually(lambda: sink.rows == 1)
    server.write("a", 2.0, "UncertainSensorNotAccurate", 1_700_000_000.125)
    eventually(lambda: sink.rows == 2)
    server.write("a", 3.0, "BadSensorFailure", 1_700_000_001.5)
    eventually(lambda: sink.rows == 3)
    assert sink.column("status")[1:] == [0x4093_0000, 0x808C_0000]
    assert sink.column("source_time")[1:] == [1_700_000_000.125, 1_700_000_001.5]
    assert not math.isnan(sink.column("server_time")[-1])


def test_a_full_queue_on_the_server_is_counted(
    make_foreign: MakeServer, sink: RecordingSink, make_opcua_bridge: MakeOpcUaBridge
) -> None:
    server = make_foreign({"a": ("Double", 0.0)})
    make_opcua_bridge(
        server.endpoint("sampling=0&queue=3&publishing=0.5"), channel(0, foreign("a"))
    )
    eventually(lambda: sink.rows == 1)
    server.burst("a", [float(step) for step in range(1, 21)])
    eventually(lambda: sink.of(0)[-1] == 20.0)
    assert sink.of(0) == [0.0, 18.0, 19.0, 20.0]
    assert sink.counts == {Reject.OVERFLOW: 1}
    assert "see the option queue" in sink.examples[0]


def test_limits_of_the_server_are_kept(
    make_foreign: MakeServer, sink: RecordingSink, make_opcua_bridge: MakeOpcUaBridge
) -> None:
    names = [f"v{row}" for row in range(23)]
    server = make_foreign(
        {name: ("Double", float(row)) for row, name in enumerate(names)},
        itemsPerCall=4,
        itemsPerSubscription=10,
    )
    make_opcua_bridge(
        server.endpoint(), *[channel(row, foreign(name)) for row, name in enumerate(names)]
    )
    eventually(lambda: sink.rows == len(names))
    assert dict(sink.seen()) == {row: float(row) for row in range(23)}
    for row in (0, 12, 22):
        server.write(f"v{row}", 100.0 + row)
        eventually(lambda row=row: sink.of(row)[-1] == 100.0 + row)
    assert not sink.counts
    assert sink.current[1] == ""


def test_values_go_on_after_two_cuts_and_a_restart(
    make_foreign: MakeServer, sink: RecordingSink, make_opcua_bridge: MakeOpcUaBridge
) -> None:
    server = make_foreign({"a": ("Double", 0.0)})
    with TcpProxy(server.port) as proxy:
        make_opcua_bridge(
            server.endpoint("publishing=0.05&keepalive=4&sampling=0", proxy.port),
            channel(0, foreign("a")),
        )
        eventually(lambda: sink.of(0) == [0.0])
        for cut in (1.0, 2.0):
            proxy.cut()
            eventually(lambda: not sink.online())
            eventually(sink.online)
            server.write("a", cut)
            eventually(lambda cut=cut: sink.of(0)[-1] == cut)
        server.restart()
        eventually(lambda: sink.of(0)[-1] == 0.0, 30)
        server.write("a", 3.0)
        eventually(lambda: sink.of(0)[-1] == 3.0)
        assert len([text for text in sink.examples if "not connected for" in text]) == 3
