"""The publisher over a real broker."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from stagetwin import ConnectionConfigError, RealmError
from stagetwin.ports import ConnectionState, Credential, ValueKind
from stagetwin_bridges import NotConnectedError
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.mqtt import MqttProtocol
from tests.bridges.conftest import MakeBridge, MakePublisher, channel, connection
from tests.bridges.recording_sink import RecordingSink, eventually


@pytest.mark.parametrize(
    ("query", "written"),
    [
        ("time=ts", 1000.25),
        ("time=ts&time_unit=ms", 1000250),
        ("time=ts&time_unit=ns", 1000250000000),
        ("time=ts&time_unit=iso", "1970-01-01T00:16:40.250000+00:00"),
        ("time=ts&time_unit=relative", 0.0),
    ],
)
def test_what_is_published_is_what_a_device_would_send(
    query: str,
    written: Any,
    shared_broker: LocalBroker,
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
    make_publisher: MakePublisher,
) -> None:
    make_bridge(shared_broker, channel(0, f"{root}/#", kind=ValueKind.TEXT, encoding="text"))
    publisher = make_publisher(shared_broker, f"{query}&sequence=n")
    publisher.publish(f"{root}/a", {"v": 1.5, "b": True, "t": "x"}, time=1000.25)
    publisher.publish(f"{root}/a", {"ts": "own", "l": [1, None]}, time=1000.25)
    publisher.publish(f"{root}/b", 2, time=1000.25)
    publisher.publish(f"{root}/b", "text", time=1000.25)
    assert publisher.drain(5) == 0
    eventually(lambda: sink.rows == 4)
    first, second, third, fourth = sink.of(0)
    assert json.loads(first) == {"v": 1.5, "b": True, "t": "x", "ts": written, "n": 1}
    assert json.loads(second) == {"ts": "own", "l": [1, None], "n": 2}
    assert (third, fourth) == ("2", "text")


def test_published_times_come_back_as_source_times(
    shared_broker: LocalBroker,
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
    make_publisher: MakePublisher,
) -> None:
    query = "time=at.ts&time_unit=us&sequence=n"
    make_bridge(shared_broker, channel(0, f"{root}/a", "v"), query=query)
    publisher = make_publisher(shared_broker, query)
    times = [1_600_000_000.0 + n / 8 for n in range(20)]
    for n, moment in enumerate(times):
        publisher.publish(f"{root}/a", {"v": n}, time=moment)
    eventually(lambda: sink.rows == 20)
    assert sink.column("source_time") == times
    assert not sink.counts


def test_a_publisher_leaves_the_bridge_of_its_connection_alone(
    shared_broker: LocalBroker,
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
    make_publisher: MakePublisher,
) -> None:
    query = f"client_id={root}&clean=false"
    make_bridge(shared_broker, channel(0, f"{root}/a"), query=query)
    make_publisher(shared_broker, query).publish(f"{root}/a", 1, time=0.0)
    eventually(lambda: sink.of(0) == [1.0])
    assert {state for state, _ in sink.states} == {
        ConnectionState.CONNECTING,
        ConnectionState.ONLINE,
    }


def test_nothing_is_published_to_a_plant(shared_broker: LocalBroker) -> None:
    spec = connection(shared_broker.endpoint(), "plant")
    with pytest.raises(RealmError, match="allowed realms are simulation and replay"):
        MqttProtocol().publisher(spec, shared_broker.credential("publisher"))


def test_a_publisher_that_cannot_connect_says_why(shared_broker: LocalBroker) -> None:
    wrong = Credential.model_validate({"username": "publisher", "password": "guess"})
    with pytest.raises(NotConnectedError, match="/World/field: refused: not authorized"):
        MqttProtocol().publisher(connection(shared_broker.endpoint()), wrong)
    with pytest.raises(ConnectionConfigError, match="'pump' is not known"):
        MqttProtocol().publisher(connection(shared_broker.endpoint(), credential="pump"), None)


def test_what_the_broker_refuses_is_not_acknowledged(
    shared_broker: LocalBroker, root: str, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = MqttProtocol().publisher(
        connection(shared_broker.endpoint()), shared_broker.credential("subscriber")
    )
    publisher.publish(f"{root}/a", 1, time=0.0)
    assert publisher.drain(5) == 1
    assert "the broker refused a message: Not authorized" in caplog.text
    publisher.close()


def test_messages_wait_for_a_broker_that_is_away(
    root: str, sink: RecordingSink, make_bridge: MakeBridge, make_publisher: MakePublisher
) -> None:
    with LocalBroker("mosquitto") as broker:
        publisher = make_publisher(broker)
        broker.kill()
        publisher.publish(f"{root}/a", 1, time=0.0)
        assert publisher.drain(0.05) == 1
        broker.restart()
        make_bridge(broker, channel(0, f"{root}/a"))
        publisher.publish(f"{root}/a", 2, time=0.0)
        assert publisher.drain(10) == 0
        eventually(lambda: sink.of(0)[-1:] == [2.0])


def test_a_full_window_holds_back_and_then_refuses(
    root: str, make_publisher: MakePublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalBroker("mosquitto") as broker:
        publisher = make_publisher(broker)
        publisher._timeout = 0.05
        broker.kill()
        for n in range(1000):
            publisher.publish(f"{root}/a", n, time=0.0)
        with pytest.raises(NotConnectedError, match="1000 messages wait"):
            publisher.publish(f"{root}/a", 0.0, time=0.0)
        assert publisher.drain(0) == 1000


def test_several_threads_may_publish(
    shared_broker: LocalBroker,
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
    make_publisher: MakePublisher,
) -> None:
    make_bridge(shared_broker, *(channel(n, f"{root}/{n}") for n in range(4)))
    publisher = make_publisher(shared_broker)

    def work(number: int) -> None:
        for n in range(300):
            publisher.publish(f"{root}/{number}", n, time=time.time())

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert publisher.drain(10) == 0
    eventually(lambda: sink.rows == 1200)
    for n in range(4):
        assert sink.of(n) == [float(v) for v in range(300)]


def test_quality_of_service_0_loses_what_was_on_its_way(root: str) -> None:
    with LocalBroker("mosquitto") as broker:
        publisher = MqttProtocol().publisher(
            connection(broker.endpoint("qos=0")), broker.credential("publisher")
        )
        publisher.publish(f"{root}/a", 1, time=0.0)
        assert publisher.drain(5) == 0
        broker.kill()
        eventually(lambda: not publisher._client._paho.socket())  # type: ignore[attr-defined]
        publisher.publish(f"{root}/a", 2, time=0.0)
        assert publisher.drain(5) == 1
        publisher.close()
