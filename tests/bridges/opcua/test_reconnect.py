"""What happens when the connection, or the server, goes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from stagetwin.ports import ConnectionState, Reject
from stagetwin_bridges.opcua import OpcUaProtocol
from tests.bridges.conftest import channel, connection
from tests.bridges.opcua.conftest import MakeOpcUaBridge, MakeServer
from tests.bridges.opcua.servers import PUMPS, ServerProcess, free_port, node
from tests.bridges.recording_sink import RecordingSink, eventually
from tests.bridges.tcp_proxy import TcpProxy

QUICK = "publishing=0.05&keepalive=4"


@pytest.fixture
def server(make_server: MakeServer) -> ServerProcess:
    """A server with two variables."""
    return make_server({"a": ("Double", 1.0), "b": ("Double", 2.0)})


@pytest.fixture
def proxy(server: ServerProcess) -> Iterator[TcpProxy]:
    """A proxy before it."""
    with TcpProxy(server.port) as made:
        yield made


def offline(sink: RecordingSink) -> bool:
    """Whether the newest state is not online."""
    return not sink.online()


def test_values_go_on_after_two_cuts(
    server: ServerProcess,
    proxy: TcpProxy,
    sink: RecordingSink,
    make_opcua_bridge: MakeOpcUaBridge,
) -> None:
    make_opcua_bridge(server.endpoint(QUICK, proxy.port), channel(0, node("a")))
    eventually(lambda: sink.of(0) == [1.0])
    for cut in range(1, 4):
        assert proxy.cut() == 1
        eventually(lambda: offline(sink))
        eventually(sink.online)
        server.write("a", 10.0 * cut)
        eventually(lambda cut=cut: sink.of(0)[-1] == 10.0 * cut)
        gaps = [text for text in sink.examples if "not connected for" in text]
        assert len(gaps) == cut
    assert sink.counts == {Reject.LOST: 0}
    # Requests stay few: no endless asking for what the server no longer has.
    proxy.forget()
    server.write("a", 99.0)
    eventually(lambda: sink.of(0)[-1] == 99.0)
    assert len(proxy.chunks) < 200
    assert proxy.standing == 1


def test_a_server_that_starts_again_is_followed(
    server: ServerProcess, sink: RecordingSink, make_opcua_bridge: MakeOpcUaBridge
) -> None:
    make_opcua_bridge(server.endpoint(QUICK), channel(0, node("a")))
    eventually(lambda: sink.of(0) == [1.0])
    server.kill()
    eventually(lambda: "nothing listens" in sink.current[1])
    server.start()
    eventually(sink.online, 30)
    server.write("a", 3.0)
    eventually(lambda: sink.of(0)[-1] == 3.0)
    assert sink.counts == {Reject.LOST: 0}


def test_namespaces_may_be_numbered_anew(
    make_server: MakeServer, sink: RecordingSink, make_opcua_bridge: MakeOpcUaBridge
) -> None:
    others = [f"http://plant.example/{n}" for n in range(3)]
    server = make_server({"a": ("Double", 1.0)}, namespaces=[PUMPS, *others])
    make_opcua_bridge(server.endpoint(QUICK), channel(0, node("a")))
    eventually(lambda: sink.of(0) == [1.0])
    server.kill()
    server.plan["namespaces"] = [*others, PUMPS]
    server.start()
    eventually(lambda: len(sink.of(0)) == 2, 30)
    server.write("a", 5.0)
    eventually(lambda: sink.of(0) == [1.0, 1.0, 5.0])
    assert Reject.UNBOUND not in sink.counts


def test_a_server_that_hangs_is_given_up_and_found_again(
    server: ServerProcess, sink: RecordingSink, make_opcua_bridge: MakeOpcUaBridge
) -> None:
    make_opcua_bridge(server.endpoint(f"{QUICK}&timeout=1"), channel(0, node("a")))
    eventually(lambda: sink.of(0) == [1.0])
    server.suspend()
    try:
        eventually(lambda: any("has published nothing" in cause for _, cause in sink.states))
        eventually(lambda: any("no answer from" in cause for _, cause in sink.states), 30)
    finally:
        server.resume()
    eventually(sink.online, 30)
    server.write("a", 4.0)
    eventually(lambda: sink.of(0)[-1] == 4.0)


def test_a_line_that_goes_silent_is_given_up(
    server: ServerProcess,
    proxy: TcpProxy,
    sink: RecordingSink,
    make_opcua_bridge: MakeOpcUaBridge,
) -> None:
    make_opcua_bridge(server.endpoint(QUICK, proxy.port), channel(0, node("a")))
    eventually(lambda: sink.of(0) == [1.0])
    proxy.stall("to_client")
    eventually(lambda: any("has published nothing" in cause for _, cause in sink.states))
    proxy.resume()
    server.write("a", 2.5)
    eventually(lambda: sink.of(0)[-1] == 2.5, 30)
    assert proxy.connections >= 2


def test_stopping_is_quick_whatever_the_server_does(
    server: ServerProcess, sink: RecordingSink, make_opcua_bridge: MakeOpcUaBridge
) -> None:
    bridge = make_opcua_bridge(server.endpoint(), channel(0, node("a")))
    server.suspend()
    try:
        began = time.monotonic()
        bridge.stop()
        assert time.monotonic() - began < 3.0
    finally:
        server.resume()
    assert sink.current == (ConnectionState.OFFLINE, "stopped")
    assert not [t for t in threading.enumerate() if t.name.startswith("opcua-")]


def test_a_bridge_that_never_connects_stops_too(sink: RecordingSink) -> None:
    bridge = OpcUaProtocol().bridge(
        connection(f"opc.tcp://127.0.0.1:{free_port()}"), [], sink, None
    )
    bridge.stop()
    bridge.start()
    eventually(lambda: "nothing listens" in sink.current[1])
    bridge.stop()
    assert sink.current == (ConnectionState.OFFLINE, "stopped")
    assert not [t for t in threading.enumerate() if t.name.startswith("opcua-")]


@pytest.mark.slow
def test_ten_cuts_leave_nothing_behind(
    server: ServerProcess,
    proxy: TcpProxy,
    sink: RecordingSink,
    make_opcua_bridge: MakeOpcUaBridge,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stagetwin_bridges.opcua._bridge._FIRST_DELAY", 0.05)
    monkeypatch.setattr("stagetwin_bridges.opcua._bridge._HEALTHY", 0.0)
    bridge = make_opcua_bridge(server.endpoint(QUICK, proxy.port), channel(0, node("a")))
    eventually(lambda: sink.of(0) == [1.0])

    def tasks() -> int:
        counted: list[int] = []
        assert bridge._thread.call(lambda: counted.append(len(asyncio.all_tasks())))
        return int(eventually(lambda: counted)[0])

    eventually(lambda: tasks() == 3)  # the bridge, the renewal of its channel, its wait to rebind
    threads = threading.active_count()
    for cut in range(1, 11):
        proxy.cut()
        eventually(lambda: offline(sink))
        eventually(sink.online)
        server.write("a", 10.0 * cut)
        eventually(lambda cut=cut: sink.of(0)[-1] == 10.0 * cut)
    eventually(lambda: tasks() == 3)
    assert threading.active_count() == threads
    assert proxy.standing == 1
    assert len([text for text in sink.examples if "not connected for" in text]) == 10


def test_a_gap_in_the_numbers_of_notifications_is_counted(
    server: ServerProcess, sink: RecordingSink, make_opcua_bridge: MakeOpcUaBridge
) -> None:
    bridge = make_opcua_bridge(server.endpoint(QUICK), channel(0, node("a")))
    eventually(lambda: sink.of(0) == [1.0])

    def skip() -> None:
        # No server loses a notification on a connection that stands; so its number is moved.
        assert bridge._session is not None
        (known,) = bridge._session.publishing._subscriptions.values()
        known.expected -= 3

    assert bridge._thread.call(skip)
    eventually(lambda: sink.counts == {Reject.LOST: 3})
    assert sink.examples == ["3 notifications never came"]
    server.write("a", 2.0)
    eventually(lambda: sink.of(0)[-1] == 2.0)
    assert sink.counts == {Reject.LOST: 3}
