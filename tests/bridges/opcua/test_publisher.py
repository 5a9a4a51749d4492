"""Values written into a server, and recordings played into one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stagetwin.ports import Payload, Realm
from stagetwin_bridges import FieldError, NotConnectedError, RealmError
from stagetwin_bridges.commands._replay import ReplayRequest, run_replay
from stagetwin_bridges.opcua import OpcUaProtocol, OpcUaPublisher
from tests.bridges.conftest import channel, connection
from tests.bridges.opcua.conftest import MakeOpcUaBridge, MakeServer
from tests.bridges.opcua.servers import FOREIGN, PUMPS, ServerProcess, node
from tests.bridges.recording_sink import RecordingSink, eventually
from tests.bridges.tcp_proxy import TcpProxy

MakeWriter = Callable[..., OpcUaPublisher]

VARIABLES = {
    "double": ("Double", 0.0),
    "float": ("Float", 0.0),
    "byte": ("Byte", 0),
    "flag": ("Boolean", False),
    "text": ("String", ""),
    "mode": ("Mode", 0),
    "moment": ("DateTime", 0.0),
    "list": ("Double", [0.0]),
}
STAGE = """#usda 1.0
def Xform "World" {{
    uniform token twin:connection = "bench"
    def TwinConnection "bench" {{
        uniform string twin:endpoint = "{endpoint}"
        uniform token twin:realm = "{realm}"
    }}
    def Xform "Bed" (prepend apiSchemas = ["TwinTelemetryAPI:flow", "TwinTelemetryAPI:on"]) {{
        double twin:telemetry:flow:value
        uniform string twin:telemetry:flow:address = "nsu=http://plant.example/pumps;s=bed.Flow"
        bool twin:telemetry:on:value
        uniform string twin:telemetry:on:address = "nsu=http://plant.example/pumps;s=bed.On"
    }}
}}
"""


@pytest.fixture
def make_writer() -> Iterator[MakeWriter]:
    """Make a connected publisher; all end with the test."""
    made: list[OpcUaPublisher] = []

    def make(server: ServerProcess, realm: Realm = "replay", port: int = 0) -> OpcUaPublisher:
        spec = connection(server.endpoint(port=port or None), realm)
        made.append(OpcUaProtocol().publisher(spec, None))
        return made[-1]

    yield make
    for publisher in made:
        publisher.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("opcua-publisher")]


@pytest.mark.parametrize(
    ("name", "payload", "kind", "held"),
    [
        ("double", 2.5, "Double", 2.5),
        ("double", 3, "Double", 3.0),
        ("float", 0.25, "Float", 0.25),
        ("byte", 7, "Byte", 7),
        ("byte", 7.0, "Byte", 7),
        ("flag", 1, "Boolean", True),
        ("text", "läuft", "String", "läuft"),
        ("text", 5, "String", "5"),
        ("mode", 2, "Int32", 2),
        ("mode", "Automatic", "Int32", 2),
        ("list", [1.0, 2.0], "Double", [1.0, 2.0]),
    ],
)
def test_a_value_takes_the_type_of_its_node(
    name: str,
    payload: Payload,
    kind: str,
    held: object,
    make_server: MakeServer,
    make_writer: MakeWriter,
) -> None:
    server = make_server(VARIABLES)
    writer = make_writer(server)
    writer.publish(node(name), payload, time=1_700_000_000.5)
    assert writer.drain(5) == 0
    assert server.read(name) == {
        "done": True,
        "value": held,
        "kind": kind,
        "time": 1_700_000_000.5,
    }


def test_what_a_server_does_not_take_stops_no_other(
    make_server: MakeServer, make_writer: MakeWriter, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_server(VARIABLES)
    writer = make_writer(server)
    for address, payload in (
        (node("nowhere"), 1.0),
        ("pump/speed", 1.0),
        ("nsu=http://elsewhere;s=a", 1.0),
        (node("byte"), 300),
        (node("double"), "fast"),
        (node("double"), 6.5),
    ):
        writer.publish(address, payload, time=1.0)
    assert writer.drain(5) == 5
    assert server.read("double")["value"] == 6.5
    for said in ("no such node", "expected a NodeId", "no namespace 'http://elsewhere'"):
        assert said in caplog.text
    with pytest.raises(FieldError, match="a node takes one value"):
        writer.publish(node("double"), {"a": 1.0}, time=1.0)


def test_a_server_that_takes_no_times_gets_the_value_alone(
    make_server: MakeServer, make_writer: MakeWriter
) -> None:
    server = make_server(VARIABLES, untimed=True)
    writer = make_writer(server)
    for value in (1.5, 2.5):
        writer.publish(node("double"), value, time=1.0)
        assert writer.drain(5) == 0
        assert server.read("double")["value"] == value
    assert writer._untimed == {node("double")}


def test_thousands_leave_in_order(make_server: MakeServer, make_writer: MakeWriter) -> None:
    server = make_server(VARIABLES)
    writer = make_writer(server)
    for step in range(3000):
        writer.publish(node("double"), float(step), time=float(step))
    assert writer.drain(20) == 0
    assert server.read("double")["value"] == 2999.0


def test_what_was_not_answered_is_written_after_a_cut(
    make_server: MakeServer, make_writer: MakeWriter
) -> None:
    server = make_server(VARIABLES)
    with TcpProxy(server.port) as proxy:
        writer = make_writer(server, port=proxy.port)
        writer.publish(node("double"), 1.0, time=1.0)
        assert writer.drain(5) == 0
        proxy.refuse()
        writer.publish(node("double"), 2.0, time=2.0)
        assert writer.drain(0.2) == 1
        proxy.accept()
        assert writer.drain(20) == 0
        assert server.read("double")["value"] == 2.0
        writer.close()


def test_nothing_is_published_to_a_plant(make_server: MakeServer, make_writer: MakeWriter) -> None:
    server = make_server(VARIABLES)
    with pytest.raises(RealmError, match="nothing is published to a plant"):
        make_writer(server, "plant")


def test_a_server_that_is_not_there() -> None:
    # Held, so that nobody else takes the port meanwhile; and nobody listens.
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        spec = connection(f"opc.tcp://127.0.0.1:{held.getsockname()[1]}", "replay")
        with pytest.raises(NotConnectedError, match="nothing listens"):
            OpcUaProtocol().publisher(spec, None)


def test_a_foreign_server_takes_values(make_foreign: MakeServer, make_writer: MakeWriter) -> None:
    server = make_foreign({"a": ("Double", 0.0), "n": ("Int64", 0)})
    writer = make_writer(server)
    writer.publish(node("a", FOREIGN), 1.5, time=1_700_000_000.0)
    writer.publish(node("n", FOREIGN), 12, time=1_700_000_000.0)
    assert writer.drain(5) == 0


def recording(folder: Path) -> Path:
    """Return a recording of two signals."""
    path = folder / "bed.csv"
    rows = [f"2024-01-01T00:00:{second:02d},{second / 2},{second % 2}" for second in range(20)]
    path.write_text("time,Flow,On\n" + "\n".join(rows) + "\n")
    return path


def test_a_recording_is_played_into_a_server(
    tmp_path: Path,
    make_server: MakeServer,
    sink: RecordingSink,
    make_opcua_bridge: MakeOpcUaBridge,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = make_server({"bed.Flow": ("Double", -1.0), "bed.On": ("Boolean", False)})
    stage = tmp_path / "plant.usda"
    stage.write_text(STAGE.format(endpoint=server.endpoint(), realm="replay"))
    make_opcua_bridge(server.endpoint("queue=100"), channel(0, node("bed.Flow")))
    eventually(lambda: sink.rows == 1)
    run_replay(
        ReplayRequest(
            recording=recording(tmp_path),
            stage=stage,
            connection="bench",
            topic=f"nsu={PUMPS};s=bed.{{column}}",
            speed=0,
        )
    )
    assert "40 values, 0 cells missing, 0 messages unacknowledged" in capsys.readouterr().out
    eventually(lambda: sink.of(0) == [-1.0, *(second / 2 for second in range(20))])
    # The times are those of the recording.
    assert sink.column("source_time")[1:] == [1_704_067_200.0 + s for s in range(20)]
    assert server.read("bed.On")["value"] is True


def test_a_recording_is_not_played_into_a_plant(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server({"bed.Flow": ("Double", -1.0)})
    stage = tmp_path / "plant.usda"
    stage.write_text(STAGE.format(endpoint=server.endpoint(), realm="plant"))
    request = ReplayRequest(
        recording=recording(tmp_path),
        stage=stage,
        connection="bench",
        topic=f"nsu={PUMPS};s=bed.{{column}}",
        speed=0,
    )
    with pytest.raises(RealmError, match="leads to a plant"):
        run_replay(request)
    assert server.read("bed.Flow")["value"] == -1.0
