"""The bridge over a real broker."""

from __future__ import annotations

import json
import logging
import math
import random
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import paho.mqtt.client as paho
import pytest

import stagetwin_bridges.mqtt._paho as adapter
from stagetwin.ports import ConnectionState, Credential, Reject, ValueKind
from stagetwin.signals import Status
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.mqtt import MqttProtocol
from stagetwin_bridges.mqtt._bridge import MqttBridge
from stagetwin_bridges.mqtt._paho_buffered import BufferedClient, buffered_client
from tests.bridges.conftest import MakeBridge, MakePublisher, channel, connection
from tests.bridges.device import Device
from tests.bridges.recording_sink import RecordingSink, eventually


@pytest.fixture
def device(shared_broker: LocalBroker) -> Iterator[Device]:
    with Device(shared_broker) as made:
        yield made


@pytest.fixture(params=["buffered", "plain"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to read: ours, and paho's own where ours does not fit."""
    if request.param == "plain":
        monkeypatch.setattr(adapter, "buffered_client", lambda: None)
    return str(request.param)


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize("qos", [0, 1])
def test_values_arrive_in_order(
    version: str,
    qos: int,
    reader: str,
    shared_broker: LocalBroker,
    device: Device,
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
) -> None:
    channels = [
        channel(0, f"{root}/a", "x"),
        channel(1, f"{root}/a", "y"),
        channel(2, f"{root}/b"),
    ]
    make_bridge(shared_broker, *channels, query=f"version={version}&qos={qos}")
    for n in range(500):
        device.send(f"{root}/a", json.dumps({"x": n, "y": n / 2}), qos=qos, more=n % 3 * 100)
        device.send(f"{root}/b", str(-n), qos=qos)
    eventually(lambda: sink.rows == 1500)
    assert sink.of(0) == [float(n) for n in range(500)]
    assert sink.of(1) == [n / 2 for n in range(500)]
    assert sink.of(2) == [float(-n) for n in range(500)]
    assert not sink.counts
    assert all(0 <= time.time() - t < 10 for t in sink.column("receive_time"))


def test_plain_paho_is_said_aloud(
    shared_broker: LocalBroker,
    make_bridge: MakeBridge,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert buffered_client() is BufferedClient
    monkeypatch.delattr(paho.Client, "_packet_queue")
    assert buffered_client() is None
    monkeypatch.undo()
    monkeypatch.setattr(adapter, "buffered_client", lambda: None)
    with caplog.at_level(logging.WARNING):
        make_bridge(shared_broker)
    assert "packet by packet" in caplog.text


def test_every_kind_of_value_arrives(
    shared_broker: LocalBroker,
    device: Device,
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
) -> None:
    make_bridge(
        shared_broker,
        channel(0, f"{root}/raw", "<f@2", encoding="struct"),
        channel(1, f"{root}/raw", ">H"),
        channel(2, f"{root}/state", kind=ValueKind.TEXT),
        channel(3, f"{root}/pose", kind=ValueKind.COMPOSITE),
        channel(4, f"{root}/total", kind=ValueKind.INTEGER),
        channel(5, f"{root}/on", kind=ValueKind.BOOLEAN),
    )
    device.send(f"{root}/raw", struct.pack(">H", 7) + struct.pack("<f", 1.5))
    device.send(f"{root}/state", "läuft")
    device.send(f"{root}/pose", "[1, 2, 3]")
    device.send(f"{root}/total", str(2**60 + 1))
    device.send(f"{root}/on", "ON")
    eventually(lambda: sink.rows == 6)
    expected = {0: 1.5, 1: 7.0, 2: "läuft", 3: [1, 2, 3], 4: 2**60 + 1, 5: 1.0}
    assert dict(sink.seen()) == expected


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_retained_value_comes_first_and_is_uncertain(
    version: str,
    reader: str,
    shared_broker: LocalBroker,
    device: Device,
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
) -> None:
    device.send(f"{root}/a", "5", retain=True)
    device.settle()
    make_bridge(shared_broker, channel(0, f"{root}/a"), query=f"version={version}")
    eventually(lambda: sink.rows == 1)
    device.send(f"{root}/a", "6", retain=True)
    eventually(lambda: sink.rows == 2)
    assert sink.of(0) == [5.0, 6.0]
    assert sink.column("status") == [Status.UNCERTAIN_INITIAL_VALUE, Status.GOOD]


def test_wildcards_and_shared_subscriptions(
    shared_broker: LocalBroker,
    device: Device,
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
) -> None:
    make_bridge(
        shared_broker,
        channel(0, f"{root}/+/flow"),
        channel(1, f"{root}/p1/flow"),
        channel(2, f"{root}/deep/#"),
        channel(3, f"$share/group/{root}/work"),
    )
    device.send(f"{root}/p1/flow", "1")
    device.send(f"{root}/p2/flow", "2")
    device.send(f"{root}/deep", "3")
    device.send(f"{root}/deep/a/b", "4")
    device.send(f"{root}/work", "5")
    eventually(lambda: sink.rows == 6)
    time.sleep(0.05)
    assert sorted(sink.seen()) == [(0, 1.0), (0, 2.0), (1, 1.0), (2, 3.0), (2, 4.0), (3, 5.0)]


def test_declared_subscriptions_replace_those_per_address(
    shared_broker: LocalBroker,
    device: Device,
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
) -> None:
    make_bridge(
        shared_broker,
        channel(0, f"{root}/a"),
        channel(1, "elsewhere/b"),
        query=f"subscribe={root}/#",
    )
    assert sink.current[1] == "1 addresses outside the option subscribe: elsewhere/b"
    device.send(f"{root}/a", "1")
    device.send(f"{root}/nobody", "2")
    eventually(lambda: sink.counts[Reject.UNBOUND] == 1)
    eventually(lambda: sink.seen() == [(0, 1.0)])
    assert f"{root}/nobody: no signal is bound" in sink.examples[0]


def test_rebind_changes_only_the_difference(
    shared_broker: LocalBroker,
    device: Device,
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a, b, c = (channel(n, f"{root}/{name}") for n, name in enumerate("abc"))
    bridge = make_bridge(shared_broker, a, b)
    asked: list[tuple[str, list[str]]] = []
    client = bridge._client
    for name in ("subscribe", "unsubscribe"):
        original: Callable[[Any], None] = getattr(client, name)
        monkeypatch.setattr(
            client,
            name,
            lambda filters, name=name, original=original: (
                asked.append((name, list(filters))),
                original(filters),
            ),
        )
    bridge.rebind([b, c])
    assert asked == [("subscribe", [f"{root}/c"]), ("unsubscribe", [f"{root}/a"])]
    # The new subscription is in force once the broker delivers on it.
    device.send(f"{root}/c", "0", retain=True)
    eventually(lambda: sink.of(2))
    for name in "abc":
        device.send(f"{root}/{name}", "1")
    eventually(lambda: sink.of(2)[-1:] == [1.0])
    assert sink.of(1) == [1.0]
    assert sink.of(0) == []
    device.send(f"{root}/c", "", retain=True)


def test_rebinding_to_another_field_of_the_same_topic(
    shared_broker: LocalBroker,
    device: Device,
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
) -> None:
    bridge = make_bridge(shared_broker, channel(0, f"{root}/a", "x"))
    device.send(f"{root}/a", '{"x": 1, "y": 2}')
    eventually(lambda: sink.rows == 1)
    bridge.rebind([channel(0, f"{root}/a", "y")])
    device.send(f"{root}/a", '{"x": 1, "y": 2}')
    eventually(lambda: sink.rows == 2)
    assert sink.of(0) == [1.0, 2.0]


def test_a_bad_channel_leaves_the_good_ones_alone(
    shared_broker: LocalBroker,
    device: Device,
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
    caplog: pytest.LogCaptureFixture,
) -> None:
    make_bridge(shared_broker, channel(0, "a#"), channel(1, f"{root}/a"))
    assert "'#' stands alone" in caplog.text
    device.send(f"{root}/a", "1")
    eventually(lambda: sink.seen() == [(1, 1.0)])


BAD: list[tuple[bytes, Reject]] = [
    (b"", Reject.MALFORMED),
    (b"{", Reject.MALFORMED),
    (b"\xff\xfe\x00", Reject.MALFORMED),
    (b"[" * 5000, Reject.MALFORMED),
    (b'{"v": 1}}', Reject.MALFORMED),
    (b'{"v": "\\ud800"}', Reject.MALFORMED),
    (b"{}", Reject.MISSING_FIELD),
    (b"[1]", Reject.MISSING_FIELD),
    (b'{"w": 1}', Reject.MISSING_FIELD),
    (b'{"v": "warm"}', Reject.TYPE_MISMATCH),
    (b'{"v": [1]}', Reject.TYPE_MISMATCH),
    (b'{"v": null}', Reject.TYPE_MISMATCH),
    (b'{"v": true}', Reject.TYPE_MISMATCH),
    (b'{"v": NaN}', Reject.NOT_FINITE),
    (b'{"v": -Infinity}', Reject.NOT_FINITE),
    (b'{"v": 1e999}', Reject.NOT_FINITE),
    (b'{"v": 1' + b"0" * 400 + b"}", Reject.OUT_OF_RANGE),
]


def test_ten_thousand_malformed_payloads_are_counted_and_the_good_arrive(
    shared_broker: LocalBroker,
    device: Device,
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
) -> None:
    make_bridge(shared_broker, channel(0, f"{root}/a", "v"))
    draw = random.Random(7)
    expected: dict[Reject, int] = {}
    good: list[float] = []
    for n in range(10_000):
        payload, reason = draw.choice(BAD)
        expected[reason] = expected.get(reason, 0) + 1
        device.send(f"{root}/a", payload)
        if n % 10 == 0:
            good.append(float(n))
            device.send(f"{root}/a", f'{{"v": {n}}}')
    eventually(lambda: sink.counts.total() == 10_000 and sink.rows == len(good), 30)
    assert dict(sink.counts) == expected
    assert sink.of(0) == good
    assert max(len(example) for example in sink.examples) < 400


def test_large_messages_arrive_between_small_ones(
    reader: str,
    shared_broker: LocalBroker,
    device: Device,
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
) -> None:
    make_bridge(
        shared_broker,
        channel(0, f"{root}/big", kind=ValueKind.COMPOSITE),
        channel(1, f"{root}/small"),
        query="max_payload=4194304",
    )
    sizes = [1, 20_000, 200_000]
    for size in sizes:
        device.send(f"{root}/small", str(size))
        device.send(f"{root}/big", json.dumps(list(range(size))))
    eventually(lambda: sink.rows == 6)
    assert [len(value) for value in sink.of(0)] == sizes
    assert sink.of(0)[2] == list(range(sizes[2]))
    assert sink.of(1) == [float(size) for size in sizes]


@pytest.mark.usefixtures("quick_signs")
def test_a_last_will_tells_that_a_device_has_gone(
    shared_broker: LocalBroker,
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
    device: Device,
) -> None:
    pump = Device(shared_broker, will=(f"{root}/lwt", b"offline"))
    pump.send(f"{root}/lwt", "online", retain=True)
    pump.settle()
    bridge = make_bridge(
        shared_broker,
        channel(0, f"{root}/a", availability=f"{root}/lwt"),
        channel(1, f"{root}/b", availability=f"{root}/lwt"),
        channel(2, f"{root}/c"),
    )
    eventually(lambda: ((0, 1), True) in sink.vouched)
    pump.send(f"{root}/a", "5")
    pump.settle()
    # An unchanged device is vouched for as long as the connection stands.
    eventually(lambda: len(sink.vouched) > 1)
    bridge.rebind([channel(n, f"{root}/a", availability=f"{root}/lwt") for n in (0, 5)])
    eventually(lambda: sink.vouched[-1] == ((0, 5), True))
    bridge.rebind([channel(n, f"{root}/a", availability=f"{root}/lwt") for n in (0, 1)])
    pump.vanish()
    eventually(lambda: sink.vouched[-1] == ((0, 1), False))
    assert sink.of(0) == [5.0]
    for payload, alive in [
        ('{"state": "ONLINE"}', True),
        ('{"connectionState": "CONNECTIONBROKEN"}', False),
        ('"online"', True),
        ('{"connectionState": "OFFLINE", "headerId": 1}', False),
    ]:
        device.send(f"{root}/lwt", payload)
        eventually(lambda alive=alive: sink.vouched[-1] == ((0, 1), alive))
    device.send(f"{root}/lwt", "perhaps", retain=True)
    eventually(lambda: sink.counts[Reject.MALFORMED] == 1)
    device.send(f"{root}/lwt", "", retain=True)


def test_a_replayed_message_does_not_reach_a_plant(
    reader: str,
    shared_broker: LocalBroker,
    device: Device,
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
) -> None:
    make_bridge(shared_broker, channel(0, f"{root}/a"), realm="plant")
    device.send(f"{root}/a", "1", realm="replay")
    device.send(f"{root}/a", "2", realm="simulation", more=200, qos=0)
    device.send(f"{root}/a", "3", realm="plant")
    device.send(f"{root}/a", "4", more=300)
    eventually(lambda: sink.rows == 2)
    assert sink.of(0) == [3.0, 4.0]
    assert sink.counts == {Reject.REALM: 2}
    assert "realm 'replay' on a plant's connection" in sink.examples[0]


def test_a_simulation_takes_replayed_messages(
    shared_broker: LocalBroker,
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
    make_publisher: MakePublisher,
) -> None:
    make_bridge(shared_broker, channel(0, f"{root}/a"))
    make_publisher(shared_broker, realm="replay").publish(f"{root}/a", 1.0, time=0.0)
    eventually(lambda: sink.of(0) == [1.0])


def test_what_iot_samples_publish_is_read(
    shared_broker: LocalBroker,
    device: Device,
    sink: RecordingSink,
    make_bridge: MakeBridge,
) -> None:
    spec = connection("mqtt://localhost?preset=iot-samples")
    defaults = MqttProtocol().defaults(spec)
    address = defaults.address.replace("{prim.name}", "A08_PR_NVD_01")
    field = defaults.field.replace("{signal}", "Velocity")
    make_bridge(shared_broker, channel(0, address, field), query="preset=iot-samples")
    before = time.time()
    for seconds, velocity in ((0.5, -0.25), (0.6, -0.5)):
        document = {"_ts": seconds, "Velocity": velocity, "Other": 1}
        device.send("iot/A08_PR_NVD_01", json.dumps(document))
    eventually(lambda: sink.rows == 2)
    assert sink.of(0) == [-0.25, -0.5]
    first, second = sink.column("source_time")
    assert before <= first <= time.time()
    # Sent at once: no sample is taken after it arrived.
    assert second == pytest.approx(first, abs=0.1)
    assert second >= first


def test_gaps_in_a_sequence_are_counted(
    shared_broker: LocalBroker,
    device: Device,
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
) -> None:
    make_bridge(
        shared_broker,
        channel(0, f"{root}/a", "v"),
        channel(1, f"{root}/b", "v"),
        query="sequence=n",
    )
    for name, numbers in (("a", [1, 2, 5, 5, 6]), ("b", [10, 11])):
        for n in numbers:
            device.send(f"{root}/{name}", json.dumps({"v": n, "n": n}))
    eventually(lambda: sink.rows == 6)
    assert sink.counts == {Reject.LOST: 2, Reject.DUPLICATE: 1}
    assert f"{root}/a: 2 missing before message 5" in sink.examples


def test_a_broker_that_dies_and_returns_is_survived(
    root: str, sink: RecordingSink, make_bridge: MakeBridge
) -> None:
    with LocalBroker("mosquitto") as broker:
        make_bridge(broker, channel(0, f"{root}/a"))
        with Device(broker) as device:
            device.send(f"{root}/a", "1")
            eventually(lambda: sink.rows == 1)
        broker.kill()
        eventually(lambda: sink.current[0] is not ConnectionState.ONLINE)
        assert (ConnectionState.OFFLINE, "connection lost") in sink.states
        broker.restart()
        eventually(sink.online)
        with Device(broker) as device:
            device.send(f"{root}/a", "2")
            eventually(lambda: sink.rows == 2)
    assert sink.of(0) == [1.0, 2.0]
    assert sink.counts == {Reject.LOST: 0}
    assert any("unknown how many were missed" in example for example in sink.examples)


def test_a_kept_session_bridges_a_gap(
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
    shared_broker: LocalBroker,
    device: Device,
) -> None:
    query = f"clean=false&client_id={root}&qos=1"
    first = make_bridge(shared_broker, channel(0, f"{root}/a"), query=query)
    device.send(f"{root}/a", "1")
    eventually(lambda: sink.rows == 1)
    first.stop()
    for n in (2, 3):
        device.send(f"{root}/a", str(n))
    device.settle()
    make_bridge(shared_broker, channel(0, f"{root}/a"), query=query)
    eventually(lambda: sink.rows == 3)
    assert sink.of(0) == [1.0, 2.0, 3.0]
    assert not sink.counts


def test_a_wrong_password_is_said_and_tried_again(
    shared_broker: LocalBroker, sink: RecordingSink, make_bridge: MakeBridge
) -> None:
    wrong = Credential.model_validate({"username": "subscriber", "password": "guess"})
    for query in ("", "version=3.1.1"):
        make_bridge(shared_broker, credential=wrong, query=query, wait=False)
        failed = (ConnectionState.FAILED, "refused: not authorized")
        eventually(lambda: failed in sink.states)  # noqa: B023
        eventually(lambda: sink.states.count(failed) >= 2)  # noqa: B023
        assert (ConnectionState.CONNECTING, failed[1]) in sink.states
        sink.states.clear()


def test_an_absent_broker_is_said(sink: RecordingSink) -> None:
    with LocalBroker("mosquitto") as broker:
        broker.kill()
        bridge = MqttProtocol().bridge(connection(broker.endpoint()), [], sink, None)
        bridge.start()
        eventually(lambda: sink.current[0] is ConnectionState.OFFLINE)
        assert "connection refused" in sink.current[1]
        began = time.monotonic()
        bridge.stop()
        assert time.monotonic() - began < 1
        assert sink.current == (ConnectionState.OFFLINE, "stopped")


@pytest.mark.usefixtures("quick_signs")
def test_an_online_connection_gives_signs_of_life(
    shared_broker: LocalBroker, sink: RecordingSink, make_bridge: MakeBridge
) -> None:
    make_bridge(shared_broker)
    eventually(lambda: sink.states.count((ConnectionState.ONLINE, "")) >= 3)


def test_nats_speaks_mqtt_3_1_1_and_says_so_of_5(
    root: str, sink: RecordingSink, make_bridge: MakeBridge
) -> None:
    with LocalBroker("nats") as broker:
        five = make_bridge(broker, query="version=5", wait=False)
        eventually(lambda: sink.current[0] is ConnectionState.FAILED)
        assert "3.1.1" in sink.current[1]
        five.stop()
        sink.states.clear()
        make_bridge(broker, channel(0, f"{root}/+/a", "v"), channel(1, f"{root}/b"))
        with Device(broker) as device:
            for n in range(100):
                device.send(f"{root}/{n}/a", f'{{"v": {n}}}')
                device.send(f"{root}/b", str(n))
            eventually(lambda: sink.rows == 200)
        assert sink.of(0) == [float(n) for n in range(100)]
        assert sink.of(1) == [float(n) for n in range(100)]


def test_a_refused_subscription_is_reported(sink: RecordingSink, make_bridge: MakeBridge) -> None:
    with LocalBroker("nats") as broker:
        make_bridge(
            broker, channel(0, "a"), channel(1, "b"), credential=broker.credential("publisher")
        )
        cause = "2 of 2 subscriptions refused: a (unspecified error), b (unspecified error)"
        eventually(lambda: sink.current == (ConnectionState.ONLINE, cause))
        eventually(lambda: sink.counts == {Reject.UNBOUND: 2})


def test_any_number_of_addresses_is_subscribed_in_packets(
    shared_broker: LocalBroker,
    device: Device,
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
) -> None:
    count = 2500
    make_bridge(shared_broker, *(channel(n, f"{root}/{n}") for n in range(count)))
    for n in range(count):
        device.send(f"{root}/{n}", str(n))
    eventually(lambda: sink.rows == count)
    assert sink.seen() == [(n, float(n)) for n in range(count)]


def test_samples_past_the_buffer_are_counted(
    shared_broker: LocalBroker, device: Device, root: str, sink: RecordingSink
) -> None:
    bridge = MqttProtocol().bridge(
        connection(shared_broker.endpoint()),
        [channel(n, f"{root}/a", f"[{n}]") for n in range(100)],
        sink,
        shared_broker.credential("subscriber"),
    )
    small = MqttBridge(
        connection(shared_broker.endpoint()),
        bridge._options,
        bridge._client._settings,  # type: ignore[attr-defined]
        [channel(n, f"{root}/a", f"[{n}]") for n in range(100)],
        sink,
        adapter.PahoClient,
        capacity=60,
    )
    bridge.stop()
    small.start()
    eventually(sink.online)
    device.send(f"{root}/a", json.dumps(list(range(100))))
    eventually(lambda: sink.counts[Reject.OVERFLOW])
    assert sink.rows + sink.counts[Reject.OVERFLOW] == 100
    assert sink.seen()[-1] == (99, 99.0)
    small.stop()


class FaultySink(RecordingSink):
    """Raises whatever it is told."""

    def samples(self, batch: Any) -> None:
        super().samples(batch)
        raise RuntimeError("full")

    def state(self, state: ConnectionState, cause: str = "") -> None:
        super().state(state, cause)
        raise RuntimeError("full")

    def vouch(self, channels: Any, alive: bool) -> None:
        super().vouch(channels, alive)
        raise RuntimeError("full")


def test_a_sink_that_raises_does_not_end_the_connection(
    shared_broker: LocalBroker, device: Device, root: str, caplog: pytest.LogCaptureFixture
) -> None:
    sink = FaultySink()
    bridge = MqttProtocol().bridge(
        connection(shared_broker.endpoint()),
        [channel(0, f"{root}/a", availability=f"{root}/lwt")],
        sink,
        shared_broker.credential("subscriber"),
    )
    bridge.start()
    eventually(sink.online)
    for n in range(3):
        device.send(f"{root}/lwt", "online")
        device.send(f"{root}/a", str(n))
        eventually(lambda n=n: sink.rows == n + 1)
    bridge.stop()
    assert "the sink refused samples" in caplog.text


def test_no_value_is_made_up_for_a_source_time(
    shared_broker: LocalBroker,
    device: Device,
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
) -> None:
    make_bridge(shared_broker, channel(0, f"{root}/a", "v"), query="time=ts&time_unit=iso")
    device.send(f"{root}/a", '{"v": 1, "ts": "2026-11-21T11:00:00Z"}')
    device.send(f"{root}/a", '{"v": 2}')
    eventually(lambda: sink.rows == 2)
    said, unsaid = sink.column("source_time")
    assert said == 1795258800.0
    assert math.isnan(unsaid)
