"""Connections of the command client that fail: nothing leaves twice, nothing leaves late."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections import Counter
from typing import Any

import pytest

from stagetwin.actuation import Fate, Transmission
from stagetwin.ports import ConnectionSpec, ConnectionState, Credential, ValueKind
from stagetwin_bridges import ConnectionConfigError
from stagetwin_bridges.broker import BrokerFiles, BrokerKind, LocalBroker
from stagetwin_bridges.mqtt import MqttProtocol
from tests.bridges.conftest import Authority, connection
from tests.bridges.mqtt.commanding import (
    BROKERS,
    ActuatedDevice,
    CommandRecorder,
    MakeCommander,
    accept,
    command,
    published,
    sessions,
    target,
)
from tests.bridges.recording_sink import eventually
from tests.bridges.tcp_proxy import Direction, TcpProxy

# -- connections that fail -------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "version"), BROKERS)
def test_a_broker_that_dies_leaves_the_command_unknown_and_nothing_is_sent_again(
    kind: BrokerKind,
    version: str,
    root: str,
    recorder: CommandRecorder,
    make_commander: MakeCommander,
) -> None:
    to = target(f"{root}/a")
    with LocalBroker(kind) as broker, TcpProxy(broker.port) as proxy:
        query = f"version={version}"
        commander = make_commander(broker, to, query=query, port=proxy.port)
        with ActuatedDevice(broker, f"{root}/#") as device:
            sent = command(to)
            commander.send(sent)
            eventually(lambda: device.heard)
            broker.kill()
            report = recorder.settled(sent.id)
        assert report.fate is Fate.UNKNOWN
        assert report.cause.startswith("the connection ended before a reply")
        eventually(lambda: not recorder.is_in(ConnectionState.ONLINE))
        offline = [command(to) for _ in range(5)]
        for each in offline:
            commander.send(each)
            assert recorder.fates(each.id) == [Fate.WITHHELD]
            assert recorder.of(each.id)[0].cause.startswith("offline: ")
        broker.restart()
        eventually(lambda: recorder.is_in(ConnectionState.ONLINE), timeout=30)
        with ActuatedDevice(broker, f"{root}/#", accept) as device:
            after = command(to)
            commander.send(after)
            assert recorder.settled(after.id).fate is Fate.ACKNOWLEDGED
            assert [heard.document["id"] for heard in device.heard] == [after.id]
        assert len(published(proxy)) == 2
        assert len([one for one in sessions(proxy) if one]) >= 2


def test_no_reconnection_sends_anything_again(
    brokers: dict[str, LocalBroker],
    root: str,
    recorder: CommandRecorder,
    make_commander: MakeCommander,
) -> None:
    broker, to = brokers["mosquitto"], target(f"{root}/a")
    with (
        TcpProxy(broker.port) as proxy,
        ActuatedDevice(broker, f"{root}/#", accept) as device,
    ):
        commander = make_commander(broker, to, port=proxy.port)
        everything: list[Transmission] = []
        for _ in range(3):
            eventually(lambda: recorder.is_in(ConnectionState.ONLINE), timeout=30)
            for n in range(40):
                everything.append(command(to))
                commander.send(everything[-1])
                if n == 20:
                    proxy.cut()
            eventually(lambda: not recorder.is_in(ConnectionState.ONLINE))
        eventually(lambda: recorder.is_in(ConnectionState.ONLINE), timeout=30)
        marker = command(to)
        commander.send(marker)
        assert recorder.settled(marker.id).fate is Fate.ACKNOWLEDGED
        everything.append(marker)
        for each in everything:
            recorder.settled(each.id)
        left = [each.body for each in published(proxy)]
        written = [each for each in everything if recorder.fates(each.id)[0] is Fate.SENT]
        for each in everything:
            times = sum(each.id.encode() in body for body in left)
            assert times <= (1 if each in written else 0)
            fates = recorder.fates(each.id)
            assert fates in (
                [Fate.WITHHELD],
                [Fate.SENT, Fate.ACKNOWLEDGED],
                [Fate.SENT, Fate.UNKNOWN],
            )
        assert all(n == 1 for n in Counter(h.document["id"] for h in device.heard).values())
        assert all(each.first == 0x30 for each in published(proxy))


@pytest.mark.parametrize("way", ["to_server", "to_client"])
def test_whatever_is_lost_on_the_way_is_unknown(
    way: Direction,
    brokers: dict[str, LocalBroker],
    root: str,
    recorder: CommandRecorder,
    make_commander: MakeCommander,
) -> None:
    broker, to = brokers["mosquitto"], target(f"{root}/a")
    with (
        TcpProxy(broker.port) as proxy,
        ActuatedDevice(broker, f"{root}/#", accept) as device,
    ):
        commander = make_commander(broker, to, port=proxy.port)
        proxy.stall(way)
        sent = command(to)
        commander.send(sent)
        if way == "to_client":
            eventually(lambda: device.heard)
        eventually(lambda: recorder.fates(sent.id) == [Fate.SENT])
        eventually(lambda: len(published(proxy)) == 1)
        proxy.cut()
        assert recorder.settled(sent.id).fate is Fate.UNKNOWN
        proxy.resume()
        eventually(lambda: recorder.is_in(ConnectionState.ONLINE))
        after = command(to)
        commander.send(after)
        assert recorder.settled(after.id).fate is Fate.ACKNOWLEDGED
        assert recorder.fates(sent.id) == [Fate.SENT, Fate.UNKNOWN]
        assert len(published(proxy)) == 2


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_session_of_its_own_begins_clean_on_each_connection(
    version: str,
    brokers: dict[str, LocalBroker],
    root: str,
    recorder: CommandRecorder,
    make_commander: MakeCommander,
) -> None:
    broker = brokers["mosquitto"]
    with TcpProxy(broker.port) as proxy:
        make_commander(
            broker,
            target(f"{root}/a"),
            query=f"version={version}&client_id=telemetry&clean=false",
            port=proxy.port,
        )
        proxy.cut()
        eventually(lambda: not recorder.is_in(ConnectionState.ONLINE))
        eventually(lambda: recorder.is_in(ConnectionState.ONLINE))
        connects = [one[0].body for one in sessions(proxy)]
    assert len(connects) == 2
    for body in connects:
        assert body.startswith(b"\x00\x04MQTT")
        assert body[7] & 0x06 == 0x02  # clean, and no last will
        assert b"telemetry" not in body
        if version == "5":
            assert body[10] == 0  # no properties: the session ends with the connection


def test_a_broker_that_stands_still_gets_no_second_word(
    root: str, recorder: CommandRecorder, make_commander: MakeCommander
) -> None:
    with LocalBroker("mosquitto") as broker:
        to = target(f"{root}/a")
        text = target(f"{root}/b", "v", kind=ValueKind.TEXT)
        commander = make_commander(broker, to, text, query="keepalive=1")
        pid = broker.pid
        assert pid is not None
        with ActuatedDevice(broker, f"{root}/#", accept) as device:
            os.kill(pid, signal.SIGSTOP)
            try:
                sent = command(to)
                commander.send(sent)
                eventually(lambda: recorder.fates(sent.id) == [Fate.SENT])
                flood = [command(text, "x" * 60_000) for _ in range(300)]
                for each in flood:
                    commander.send(each)
                # The kernels' buffers fill up; the rest is withheld at once, and does not wait.
                eventually(lambda: all(recorder.fates(each.id) for each in flood))
                assert recorder.fates(flood[-1].id) == [Fate.WITHHELD]
                assert recorder.settled(sent.id).fate is Fate.UNKNOWN
                eventually(lambda: not recorder.is_in(ConnectionState.ONLINE))
            finally:
                os.kill(pid, signal.SIGCONT)
            eventually(lambda: recorder.is_in(ConnectionState.ONLINE), timeout=30)
            after = command(to)
            commander.send(after)
            assert recorder.settled(after.id).fate is Fate.ACKNOWLEDGED
            for each in flood:
                assert recorder.fates(each.id) in ([Fate.WITHHELD], [Fate.SENT, Fate.UNKNOWN])
            counted = Counter(heard.document["id"] for heard in device.heard)
            withheld = {e.id for e in flood if recorder.fates(e.id) == [Fate.WITHHELD]}
            assert set(counted.values()) == {1}
            assert not withheld & set(counted)


def test_a_silent_broker_is_noticed(
    root: str, recorder: CommandRecorder, make_commander: MakeCommander
) -> None:
    with LocalBroker("mosquitto") as broker:
        to = target(f"{root}/a")
        commander = make_commander(broker, to, query="keepalive=1")
        pid = broker.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            sent = command(to)
            commander.send(sent)
            report: Any = eventually(
                lambda: len(r := recorder.of(sent.id)) == 2 and r[1], timeout=30
            )
            assert report.fate is Fate.UNKNOWN
            assert report.cause.endswith("connection lost: no answer to a ping")
            eventually(lambda: not recorder.is_in(ConnectionState.ONLINE))
            began = time.monotonic()
            commander.stop()
            assert time.monotonic() - began < 3.0
        finally:
            os.kill(pid, signal.SIGCONT)


def test_a_stranger_is_refused_and_told_so(
    brokers: dict[str, LocalBroker], recorder: CommandRecorder, make_commander: MakeCommander
) -> None:
    make_commander(brokers["mosquitto"], credential=Credential(username="guest"), wait=False)
    eventually(lambda: recorder.is_in(ConnectionState.FAILED))
    assert recorder.current[1] == "refused: not authorized"


def test_nothing_listens(recorder: CommandRecorder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    commander = MqttProtocol().commander(connection(f"mqtt://127.0.0.1:{port}"), [], recorder, None)
    commander.start()
    said = f"nothing listens at 127.0.0.1:{port} (connection refused)"
    eventually(lambda: recorder.current == (ConnectionState.OFFLINE, said))
    commander.stop()


@pytest.mark.parametrize("scheme", ["mqtt", "mqtts"])
def test_stop_calls_off_a_connection_attempt(scheme: str, recorder: CommandRecorder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        commander = MqttProtocol().commander(
            connection(f"{scheme}://127.0.0.1:{port}"), [], recorder, None
        )
        commander.start()
        peer, _ = silent.accept()
        with peer:
            assert peer.recv(1)  # it waits for an answer now
            began = time.monotonic()
            commander.stop()
            assert time.monotonic() - began < 3.0
    assert not [t.name for t in threading.enumerate() if t.name.startswith("mqtt commands")]
    assert not any(state is ConnectionState.ONLINE for state, _ in recorder.states)


def test_commands_travel_encrypted(
    authority: Authority, root: str, recorder: CommandRecorder, make_commander: MakeCommander
) -> None:
    cert, key = authority.issue("127.0.0.1")
    files = BrokerFiles(authority.ca_file, cert, key)
    to, text = target(f"{root}/a"), target(f"{root}/b", kind=ValueKind.TEXT)
    with LocalBroker("mosquitto", tls=files) as broker:
        commander = make_commander(broker, to, text)
        with ActuatedDevice(broker, f"{root}/#", accept) as device:
            for n in range(50):
                sent = command(text, "x" * 50_000) if n % 10 == 0 else command(to, n)
                commander.send(sent)
                assert recorder.settled(sent.id).fate is Fate.ACKNOWLEDGED
            assert len(device.heard) == 50
            device.answer = lambda _: ()
            lost = command(to)
            commander.send(lost)
            eventually(lambda: len(device.heard) == 51)
            broker.kill()
            assert recorder.settled(lost.id).fate is Fate.UNKNOWN
        eventually(lambda: not recorder.is_in(ConnectionState.ONLINE))


def test_a_broker_that_cannot_prove_its_name_gets_no_password(
    authority: Authority, recorder: CommandRecorder
) -> None:
    cert, key = authority.issue("another.host")
    files = BrokerFiles(authority.ca_file, cert, key)
    with LocalBroker("mosquitto", tls=files) as broker:
        commander = MqttProtocol().commander(
            connection(broker.endpoint()), [], recorder, broker.credential("commander")
        )
        commander.start()
        eventually(lambda: recorder.is_in(ConnectionState.FAILED))
        assert "certificate verify failed" in recorder.current[1]
        commander.stop()


def test_the_credential_for_commands_comes_first(recorder: CommandRecorder) -> None:
    protocol = MqttProtocol()

    def spec(credential: str, command_credential: str = "") -> ConnectionSpec:
        return ConnectionSpec(
            name="x",
            prim="/x",
            endpoint="mqtt://127.0.0.1:1",
            credential=credential,
            command_credential=command_credential,
        )

    with pytest.raises(ConnectionConfigError, match="'operator' is not known on this host"):
        protocol.commander(
            spec(credential="reader", command_credential="operator"), [], recorder, None
        )
    with pytest.raises(ConnectionConfigError, match="'reader' is not known on this host"):
        protocol.commander(spec("reader"), [], recorder, None)
    with pytest.raises(ConnectionConfigError, match="demands mqtts"):
        protocol.commander(connection("mqtt://broker.plant"), [], recorder, None)
