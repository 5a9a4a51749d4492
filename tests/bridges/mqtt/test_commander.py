"""The command client over real brokers: what leaves, once, and what is known of it."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest

from stagetwin.actuation import Commander, Fate, Transmission
from stagetwin.ports import ConnectionState, ValueKind
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.mqtt import MqttProtocol
from tests.bridges.conftest import channel, connection
from tests.bridges.mqtt.commanding import (
    ASSET,
    BROKERS,
    CLOCK,
    ActuatedDevice,
    CommandRecorder,
    Heard,
    MakeCommander,
    Reply,
    accept,
    command,
    published,
    target,
)
from tests.bridges.recording_sink import eventually
from tests.bridges.tcp_proxy import TcpProxy


def refuse(heard: Heard) -> Sequence[Reply]:
    """Refuse every JSON command."""
    document = heard.document
    said = {"id": document["id"], "ok": False, "cause": "local mode"}
    return [Reply(document["reply_to"], msgspec.json.encode(said))]


# -- what leaves -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "version"), BROKERS)
def test_a_command_is_acknowledged_by_its_device(
    kind: str,
    version: str,
    brokers: dict[str, LocalBroker],
    root: str,
    recorder: CommandRecorder,
    make_commander: MakeCommander,
) -> None:
    broker, to = brokers[kind], target(f"{root}/a", "set.speed")
    with ActuatedDevice(broker, f"{root}/#", accept) as device:
        commander = make_commander(broker, to, query=f"version={version}")
        sent = command(to, 50.5)
        commander.send(sent)
        assert recorder.settled(sent.id).fate is Fate.ACKNOWLEDGED
        assert recorder.fates(sent.id) == [Fate.SENT, Fate.ACKNOWLEDGED]
        assert not recorder.of(sent.id)[0].final
        (heard,) = device.heard
    assert (heard.topic, heard.qos, heard.retain) == (f"{root}/a", 0, False)
    assert heard.document["set"] == {"speed": 50.5}
    assert heard.document["id"] == sent.id
    assert 9.0 < heard.document["expires_in"] <= 10.0
    assert heard.document["reply_to"] == commander.reply_topic
    assert all(abs(time.time() - report.time) < 10 for report in recorder.of(sent.id))


@pytest.mark.parametrize(("kind", "version"), BROKERS)
def test_a_refusal_is_told_with_its_cause(
    kind: str,
    version: str,
    brokers: dict[str, LocalBroker],
    root: str,
    recorder: CommandRecorder,
    make_commander: MakeCommander,
) -> None:
    broker, to = brokers[kind], target(f"{root}/a")
    with ActuatedDevice(broker, f"{root}/#", refuse):
        commander = make_commander(broker, to, query=f"version={version}")
        sent = command(to)
        commander.send(sent)
        report = recorder.settled(sent.id)
    assert (report.fate, report.cause) == (Fate.REFUSED, "local mode")
    assert recorder.fates(sent.id) == [Fate.SENT, Fate.REFUSED]


def test_mqtt_5_carries_the_commands_properties(
    brokers: dict[str, LocalBroker],
    root: str,
    recorder: CommandRecorder,
    make_commander: MakeCommander,
) -> None:
    broker, to = brokers["mosquitto"], target(f"{root}/a", "")
    commander = make_commander(broker, to, realm="plant")
    with ActuatedDevice(broker, f"{root}/#") as device:
        device.answer = lambda heard: [
            Reply(
                heard.properties["ResponseTopic"],
                b'{"ok": true}',
                heard.properties["CorrelationData"],
            )
        ]
        sent = command(to, 7.5, realm="plant")
        commander.send(sent)
        assert recorder.settled(sent.id).fate is Fate.ACKNOWLEDGED
        (heard,) = device.heard
    given = heard.properties
    assert heard.payload == b"7.5"
    assert given["ResponseTopic"] == commander.reply_topic
    assert given["CorrelationData"] == sent.id.encode()
    assert given["MessageExpiryInterval"] in (9, 10)  # the broker subtracts whole seconds
    users = dict(given["UserProperty"])
    assert users["stagetwin-realm"] == "plant"
    assert 9.0 < float(users["stagetwin-expires-in"]) <= 10.0
    assert "." in users["stagetwin-expires-in"]


@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_a_plain_payload_of_mqtt_3_has_no_place_for_a_reply(
    kind: str,
    brokers: dict[str, LocalBroker],
    root: str,
    recorder: CommandRecorder,
    make_commander: MakeCommander,
) -> None:
    broker = brokers[kind]
    plain = target(f"{root}/a", "")
    packed = target(f"{root}/b", "<Hf", kind=ValueKind.COMPOSITE)
    commander = make_commander(broker, plain, packed, query="version=3.1.1")
    with ActuatedDevice(broker, f"{root}/#") as device:
        for sent in (command(plain, 1.5), command(packed, [7, 0.5])):
            commander.send(sent)
            report = recorder.settled(sent.id)
            assert (report.fate, report.final) == (Fate.SENT, True)
            assert recorder.fates(sent.id) == [Fate.SENT]
        eventually(lambda: len(device.heard) == 2)
        assert [heard.payload for heard in device.heard] == [b"1.5", b"\x07\x00\x00\x00\x00\x3f"]


def test_a_command_to_nobody_is_sent_and_not_acknowledged(
    brokers: dict[str, LocalBroker],
    root: str,
    recorder: CommandRecorder,
    make_commander: MakeCommander,
) -> None:
    to = target(f"{root}/nobody")
    commander = make_commander(brokers["mosquitto"], to)
    sent = command(to)
    commander.send(sent)
    eventually(lambda: recorder.fates(sent.id) == [Fate.SENT])
    commander.stop()
    assert recorder.fates(sent.id) == [Fate.SENT, Fate.UNKNOWN]
    assert recorder.of(sent.id)[1].cause == "the connection ended before a reply: stopped"


def test_five_hundred_commands_are_each_acknowledged_once(
    brokers: dict[str, LocalBroker],
    root: str,
    recorder: CommandRecorder,
    make_commander: MakeCommander,
) -> None:
    broker = brokers["mosquitto"]
    targets = [target(f"{root}/{n}") for n in range(50)]
    commander = make_commander(broker, *targets)
    sent: list[Transmission] = []
    order = threading.Lock()

    def operate() -> None:
        for to in targets:
            with order:  # a token is newer than that of every transmission before it
                sent.append(command(to))
                commander.send(sent[-1])

    with ActuatedDevice(broker, f"{root}/#", accept) as device:
        people = [threading.Thread(target=operate) for _ in range(10)]
        for one in people:
            one.start()
        for one in people:
            one.join()
        for each in sent:
            recorder.settled(each.id)
        assert len(device.heard) == 500
    assert len({each.id for each in sent}) == 500
    assert all(recorder.fates(each.id) == [Fate.SENT, Fate.ACKNOWLEDGED] for each in sent)
    assert Counter(heard.topic for heard in device.heard) == {to.address: 10 for to in targets}
    assert commander.odd_replies == 0


# -- replies ---------------------------------------------------------------------------------------


def test_replies_in_doubt_change_nothing(
    brokers: dict[str, LocalBroker],
    root: str,
    recorder: CommandRecorder,
    make_commander: MakeCommander,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker, to = brokers["mosquitto"], target(f"{root}/a")
    commander = make_commander(broker, to)
    topic = commander.reply_topic
    with ActuatedDevice(broker, f"{root}/#") as device, caplog.at_level(logging.WARNING):
        sent = command(to)
        number = sent.id.encode()
        commander.send(sent)
        eventually(lambda: device.heard)
        doubtful = [
            Reply(topic, b""),
            Reply(topic, b"\xff"),
            Reply(topic, b"true", number),
            Reply(topic, b'{"id": "' + number + b'"}'),
            Reply(topic, b'{"id": "' + number + b'", "ok": 1}'),
            Reply(topic, b'{"id": "another", "ok": true}'),
            Reply(topic, b'{"ok": true}', b"another"),
            Reply(topic, b'{"id": "' + number + b'", "ok": true}', realm="replay"),
        ]
        for reply in doubtful:
            device.send(reply)
        eventually(lambda: commander.odd_replies == len(doubtful))
        assert recorder.fates(sent.id) == [Fate.SENT]
        device.send(Reply(topic, b'{"ok": true}', number, realm="simulation"))
        assert recorder.settled(sent.id).fate is Fate.ACKNOWLEDGED
        device.send(Reply(topic, b'{"id": "' + number + b'", "ok": false}'))
        eventually(lambda: commander.odd_replies == len(doubtful) + 1)
        assert recorder.fates(sent.id) == [Fate.SENT, Fate.ACKNOWLEDGED]
    assert caplog.text.count(f"the reply topic {topic} changes nothing") == len(doubtful) + 1


def test_a_retained_reply_answers_nobody(
    brokers: dict[str, LocalBroker],
    root: str,
    recorder: CommandRecorder,
    make_commander: MakeCommander,
) -> None:
    broker, to = brokers["mosquitto"], target(f"{root}/a")
    topic = f"stagetwin/reply/{root}"
    with ActuatedDevice(broker, f"{root}/#", accept) as device:
        device.send(Reply(topic, b'{"id": "old", "ok": true}', retain=True))
        commander = make_commander(broker, to, query=f"version=3.1.1&reply={topic}")
        eventually(lambda: commander.odd_replies == 1)
        sent = command(to)
        commander.send(sent)
        assert recorder.settled(sent.id).fate is Fate.ACKNOWLEDGED
        device.send(Reply(topic, b"", retain=True))


def test_a_reply_topic_that_is_refused_is_a_failure(
    brokers: dict[str, LocalBroker],
    root: str,
    recorder: CommandRecorder,
    make_commander: MakeCommander,
) -> None:
    to = target(f"{root}/a")
    query = "reply=elsewhere/{client_id}"
    commander = make_commander(brokers["nats"], to, query=query, wait=False)
    eventually(lambda: recorder.is_in(ConnectionState.FAILED))
    assert f"reply topic {commander.reply_topic} refused" in recorder.current[1]
    assert not any(state is ConnectionState.ONLINE for state, _ in recorder.states)
    sent = command(to)
    commander.send(sent)
    assert recorder.fates(sent.id) == [Fate.WITHHELD]
    assert "refused" in recorder.of(sent.id)[0].cause


# -- what is withheld ------------------------------------------------------------------------------


def test_what_must_not_be_written_is_withheld_and_said(
    brokers: dict[str, LocalBroker],
    root: str,
    recorder: CommandRecorder,
    make_commander: MakeCommander,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = brokers["mosquitto"]
    to, packed, odd = target(f"{root}/a"), target(f"{root}/b", "<B"), target(f"{root}/+")
    now = CLOCK.steady()
    with ActuatedDevice(broker, f"{root}/#", accept) as device:
        commander = make_commander(broker, to, packed, odd)
        assert "expected no '+'" in caplog.text
        first = command(to)
        commander.send(first)
        assert recorder.settled(first.id).fate is Fate.ACKNOWLEDGED
        cases = [
            (command(to, deadline=now - 0.1), "ms after its deadline"),
            (command(to, expires=now - 0.1), "time to live is over"),
            (command(to, guard="other"), "not those it was approved under"),
            (command(to, asset="/World/Other"), "not those it was approved under"),
            (command(to, token=(0, 1)), "is not newer than"),
            (command(to, realm="plant"), "realm is 'plant' on a connection of realm 'simulation'"),
            (command(to, float("nan")), "finite"),
            (command(packed, 256), "does not fit '<B'"),
            (command(odd), "expected no '+'"),
            (command(target(f"{root}/c")), "not a target as the plant binds it now"),
            (command(target(f"{root}/a", "w")), "not a target as the plant binds it now"),
        ]
        for sent, cause in cases:
            commander.send(sent)
            report = recorder.settled(sent.id)
            assert (report.fate, recorder.fates(sent.id)) == (Fate.WITHHELD, [Fate.WITHHELD])
            assert cause in report.cause
        commander.authorise({ASSET: "newer"})
        late = command(to)
        commander.send(late)
        assert recorder.settled(late.id).fate is Fate.WITHHELD
        commander.authorise({ASSET: "g"})
        commander.rebind([packed])
        gone = command(to)
        commander.send(gone)
        assert recorder.settled(gone.id).fate is Fate.WITHHELD
        last = command(packed, 9)
        commander.send(last)
        eventually(lambda: len(device.heard) == 2)
        assert device.heard[-1].payload == b"\x09"


def test_a_token_passes_once_and_an_id_is_written_once(
    brokers: dict[str, LocalBroker],
    root: str,
    recorder: CommandRecorder,
    make_commander: MakeCommander,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker, to = brokers["mosquitto"], target(f"{root}/a")
    with TcpProxy(broker.port) as proxy, ActuatedDevice(broker, f"{root}/#", accept):
        commander = make_commander(broker, to, port=proxy.port)
        sent = command(to)
        same_token = command(to, token=sent.token)
        again = command(to, id=sent.id)
        after = command(to)
        for each in (sent, same_token, again, after):
            commander.send(each)
        assert recorder.settled(after.id).fate is Fate.ACKNOWLEDGED
        assert recorder.fates(sent.id) == [Fate.SENT, Fate.ACKNOWLEDGED]
        assert recorder.fates(same_token.id) == [Fate.WITHHELD]
        assert f"command {sent.id} was written before" in caplog.text
        assert len(published(proxy)) == 2


def test_before_the_start_and_after_the_stop_nothing_leaves(
    brokers: dict[str, LocalBroker], root: str, recorder: CommandRecorder
) -> None:
    broker, to = brokers["mosquitto"], target(f"{root}/a")
    with TcpProxy(broker.port) as proxy, ActuatedDevice(broker, f"{root}/#") as device:
        commander: Commander = MqttProtocol().commander(
            connection(f"mqtt://127.0.0.1:{proxy.port}"),
            [to],
            recorder,
            broker.credential("commander"),
        )
        commander.authorise({ASSET: "g"})
        early, late = command(to), command(to)
        commander.send(early)
        assert recorder.of(early.id)[0].cause == "offline: not connected yet"
        commander.start()
        commander.start()
        eventually(lambda: recorder.is_in(ConnectionState.ONLINE))
        commander.stop()
        commander.stop()
        commander.send(late)
        assert [recorder.fates(each.id) for each in (early, late)] == [[Fate.WITHHELD]] * 2
        assert recorder.of(late.id)[0].cause == "stopped"
        assert recorder.current == (ConnectionState.OFFLINE, "stopped")
        commander.start()
        assert proxy.connections == 1
        assert published(proxy) == []
        assert device.heard == []


def test_a_commander_that_never_started_can_be_stopped(recorder: CommandRecorder) -> None:
    commander = MqttProtocol().commander(connection("mqtt://127.0.0.1:1"), [], recorder, None)
    commander.stop()
    assert recorder.states == [(ConnectionState.OFFLINE, "stopped")]


def test_a_broker_has_no_values_to_ask_for(recorder: CommandRecorder) -> None:
    commander = MqttProtocol().commander(connection("mqtt://127.0.0.1:1"), [], recorder, None)
    commander.read(7, channel(0, "a"))
    commander.stop()
    (reading,) = recorder.readings
    assert (reading.request, reading.value) == (7, None)
    assert "MQTT cannot ask a device" in reading.cause
