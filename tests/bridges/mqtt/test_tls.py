"""Encrypted connections: who is trusted, and what an operator reads when it is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import stagetwin_bridges.mqtt._paho as adapter
from stagetwin.ports import ConnectionState, Credential, ValueKind
from stagetwin_bridges import NotConnectedError
from stagetwin_bridges.broker import BrokerFiles, LocalBroker
from stagetwin_bridges.mqtt import MqttProtocol
from tests.bridges.conftest import Authority, MakeBridge, MakePublisher, channel, connection
from tests.bridges.recording_sink import RecordingSink, eventually


@pytest.fixture(scope="module")
def secure_broker(authority: Authority) -> Iterator[LocalBroker]:
    cert, key = authority.issue("127.0.0.1")
    with LocalBroker("mosquitto", tls=BrokerFiles(authority.ca_file, cert, key)) as broker:
        yield broker


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_values_travel_encrypted(
    version: str,
    buffered: bool,
    secure_broker: LocalBroker,
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
    make_publisher: MakePublisher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not buffered:
        monkeypatch.setattr(adapter, "buffered_client", lambda: None)
    make_bridge(
        secure_broker,
        channel(0, f"{root}/a"),
        channel(1, f"{root}/big", "list", ValueKind.COMPOSITE),
        query=f"version={version}",
    )
    publisher = make_publisher(secure_broker, query=f"version={version}")
    for n in range(300):
        publisher.publish(f"{root}/a", float(n), time=0.0)
    publisher.publish(f"{root}/big", {"list": list(range(50_000))}, time=0.0)
    publisher.publish(f"{root}/a", -1.0, time=0.0)
    assert publisher.drain(10) == 0
    eventually(lambda: sink.rows == 302)
    assert sink.of(0) == [*(float(n) for n in range(300)), -1.0]
    assert sink.of(1) == [list(range(50_000))]


def test_an_untrusted_authority_is_refused(
    secure_broker: LocalBroker, sink: RecordingSink, make_bridge: MakeBridge, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger")
    known = secure_broker.credential("subscriber")
    make_bridge(
        secure_broker,
        credential=known.model_copy(update={"ca_file": stranger.ca_file}),
        wait=False,
    )
    eventually(lambda: sink.current[0] is ConnectionState.FAILED)
    assert sink.current[1].startswith("certificate verify failed: ")


def test_the_systems_authorities_are_trusted_by_default(
    secure_broker: LocalBroker, sink: RecordingSink, make_bridge: MakeBridge
) -> None:
    known = secure_broker.credential("subscriber")
    make_bridge(secure_broker, credential=known.model_copy(update={"ca_file": ""}), wait=False)
    eventually(lambda: sink.current[0] is ConnectionState.FAILED)
    assert "certificate verify failed: " in sink.current[1]


def test_another_hosts_certificate_is_refused(
    secure_broker: LocalBroker, sink: RecordingSink, authority: Authority
) -> None:
    # The certificate says 127.0.0.1; the client asked for localhost.
    spec = connection(secure_broker.endpoint(host="localhost"))
    credential = secure_broker.credential("subscriber")
    bridge = MqttProtocol().bridge(spec, [], sink, credential)
    bridge.start()
    eventually(lambda: sink.current[0] is ConnectionState.FAILED)
    bridge.stop()
    cause = sink.states[-2][1]
    assert "certificate verify failed: Hostname mismatch" in cause
    with pytest.raises(NotConnectedError, match="Hostname mismatch"):
        MqttProtocol().publisher(spec, credential)


def test_a_plain_listener_is_no_encrypted_one(
    shared_broker: LocalBroker, sink: RecordingSink, authority: Authority
) -> None:
    spec = connection(f"mqtts://127.0.0.1:{shared_broker.port}")
    bridge = MqttProtocol().bridge(spec, [], sink, Credential(ca_file=authority.ca_file))
    bridge.start()
    eventually(lambda: sink.current[0] in (ConnectionState.FAILED, ConnectionState.OFFLINE))
    assert sink.current[1]
    bridge.stop()


def test_a_client_certificate_is_presented(
    authority: Authority, root: str, sink: RecordingSink, make_bridge: MakeBridge
) -> None:
    cert, key = authority.issue("127.0.0.1")
    own_cert, own_key = authority.issue("twin")
    files = BrokerFiles(authority.ca_file, cert, key, client_ca_file=authority.ca_file)
    with LocalBroker("mosquitto", tls=files) as broker:
        known = broker.credential("subscriber")
        own = known.model_copy(update={"cert_file": own_cert, "key_file": own_key})
        bridge = make_bridge(broker, channel(0, f"{root}/a"), credential=own)
        bridge.stop()
        sink.states.clear()
        make_bridge(broker, credential=known, wait=False)
        eventually(lambda: sink.current[0] in (ConnectionState.FAILED, ConnectionState.OFFLINE))
        assert sink.current[1]


def test_nats_encrypts_too(
    authority: Authority, root: str, sink: RecordingSink, make_bridge: MakeBridge
) -> None:
    cert, key = authority.issue("127.0.0.1")
    with LocalBroker("nats", tls=BrokerFiles(authority.ca_file, cert, key)) as broker:
        make_bridge(broker, channel(0, f"{root}/a", "v"))
        publisher = MqttProtocol().publisher(
            connection(broker.endpoint()), broker.credential("publisher")
        )
        publisher.publish(f"{root}/a", {"v": 5}, time=0.0)
        eventually(lambda: sink.of(0) == [5.0])
        publisher.close()
