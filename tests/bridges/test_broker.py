"""Local brokers."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import psutil
import pytest

import stagetwin_bridges.broker as module
from stagetwin.ports import ConnectionState, Credential
from stagetwin_bridges import BrokerError
from stagetwin_bridges.broker import BrokerFiles, BrokerKind, LocalBroker, find_broker
from stagetwin_bridges.mqtt import MqttProtocol
from tests.bridges.conftest import MakeBridge, MakePublisher, channel, connection
from tests.bridges.mqtt.commanding import ActuatedDevice, Reply
from tests.bridges.recording_sink import RecordingSink, eventually


@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_a_broker_starts_dies_and_returns_on_its_port(kind: BrokerKind) -> None:
    with LocalBroker(kind) as broker:
        port, pid = broker.port, broker.pid
        assert broker.kind == kind
        assert pid is not None
        socket.create_connection(("127.0.0.1", port), 1).close()
        broker.start()
        assert broker.pid == pid
        broker.kill()
        assert not broker.running
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 1)
        broker.restart()
        assert broker.port == port
        assert broker.pid not in (None, pid)
        socket.create_connection(("127.0.0.1", port), 1).close()
    assert not broker.running
    assert broker.pid is None
    broker.stop()


@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_a_broker_listens_on_the_loopback_interface_only(kind: BrokerKind) -> None:
    with LocalBroker(kind) as broker:
        listening = {
            each.laddr.ip
            for each in psutil.Process(broker.pid).net_connections("inet")
            if each.status == psutil.CONN_LISTEN
        }
        assert listening == {"127.0.0.1"}


@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_secrets_are_in_private_files_and_nowhere_else(kind: BrokerKind) -> None:
    with LocalBroker(kind) as broker:
        folder = broker._folder
        assert folder is not None
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        secret = broker.credential("publisher").password.get_secret_value()
        assert secret not in repr(broker) + repr(broker.credential("publisher"))
        assert secret not in " ".join(psutil.Process(broker.pid).cmdline())
        for path in (p for p in folder.iterdir() if p.is_file()):
            if secret in path.read_text(errors="replace"):
                assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert int((folder / "broker.pid").read_text()) == broker.pid
    assert not folder.exists()


@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_a_subscriber_may_not_write_and_a_stranger_may_nothing(
    kind: BrokerKind,
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
    make_publisher: MakePublisher,
) -> None:
    with LocalBroker(kind) as broker:
        make_bridge(broker, channel(0, f"{root}/a"))
        intruder = MqttProtocol().publisher(
            connection(broker.endpoint()), broker.credential("subscriber")
        )
        intruder.publish(f"{root}/a", 1, time=0.0)
        intruder.drain(0.2)
        intruder.close()
        publisher = make_publisher(broker)
        publisher.publish(f"{root}/a", 2, time=0.0)
        assert publisher.drain(5) == 0
        eventually(lambda: sink.rows)
        assert sink.of(0) == [2.0]
        sink.states.clear()
        make_bridge(broker, credential=Credential(username="guest"), wait=False)
        eventually(lambda: sink.current[0] is ConnectionState.FAILED)


@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_only_a_commander_commands_and_it_hears_replies_alone(kind: BrokerKind, root: str) -> None:
    own = f"stagetwin/reply/{root}"
    with (
        LocalBroker(kind) as broker,
        ActuatedDevice(broker, f"{root}/#") as device,
        ActuatedDevice(broker, own, role="commander") as commander,
        # Refused by nats, and granted by mosquitto, which then delivers nothing.
        ActuatedDevice(broker, "#", role="commander") as curious,
        ActuatedDevice(broker, "#", role="subscriber") as subscriber,
        ActuatedDevice(broker, "$SYS/a", role="subscriber") as caretaker,
    ):
        subscriber.send(Reply(f"{root}/a", b"by the subscriber"))
        subscriber.send(Reply(own, b"by the subscriber"))
        subscriber.settle()
        commander.send(Reply("$SYS/a", b"by the commander"))
        commander.send(Reply(f"{root}/a", b"by the commander"))
        eventually(lambda: device.heard)
        device.send(Reply(own, b"by the device"))
        eventually(lambda: commander.heard)
        eventually(lambda: len(subscriber.heard) >= 2)
        assert [heard.payload for heard in device.heard] == [b"by the commander"]
        assert [heard.payload for heard in commander.heard] == [b"by the device"]
        assert [heard.topic for heard in curious.heard] in ([], [own])
        caretaker.settle()
        assert caretaker.heard == []
        said = [heard.payload for heard in subscriber.heard]
        assert said == [b"by the commander", b"by the device"]


def test_passwords_are_generated_anew() -> None:
    first, second = (LocalBroker("mosquitto").credential("subscriber") for _ in range(2))
    assert first.password != second.password
    assert len(first.password.get_secret_value()) >= 24


def test_the_endpoint_says_what_the_broker_speaks() -> None:
    with LocalBroker("nats") as broker:
        assert broker.endpoint() == f"mqtt://127.0.0.1:{broker.port}?version=3.1.1"
        assert broker.endpoint("qos=0").endswith("?qos=0&version=3.1.1")
    assert LocalBroker("mosquitto").endpoint(host="localhost") == "mqtt://localhost:0"


def test_without_a_broker_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "which", lambda *_args, **_more: None)
    assert find_broker() is None
    with pytest.raises(BrokerError, match="install mosquitto"):
        LocalBroker()


def test_nats_stands_in_for_mosquitto(monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_broker("nats")
    assert found is not None
    monkeypatch.setitem(module._PROGRAMS, "mosquitto", "no-such-program")
    assert find_broker() == found


def test_a_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    files = BrokerFiles(*(str(tmp_path / name) for name in ("ca.pem", "cert.pem", "key.pem")))
    broker = LocalBroker("mosquitto", tls=files, timeout=2)
    with pytest.raises(BrokerError, match=r"does not accept clients: .*ca\.pem"):
        broker.start()
    broker.stop()
    assert not broker.running


def test_a_port_taken_meanwhile_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = iter([taken.getsockname()[1]])
        free = module._free_port
        monkeypatch.setattr(module, "_free_port", lambda: next(ports, None) or free())
        with LocalBroker("mosquitto", timeout=2) as broker:
            assert broker.port != taken.getsockname()[1]
            assert broker.running
