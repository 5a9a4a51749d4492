"""Vehicles on a real broker, and what the bridge makes of them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from stagetwin._errors import RealmError
from stagetwin.ports import ChannelSpec, Reject, ValueKind
from stagetwin.signals import Status
from stagetwin_bridges._errors import MessageError
from stagetwin_bridges.broker import BrokerFiles, LocalBroker
from stagetwin_bridges.mqtt import MqttBridge
from stagetwin_bridges.vda5050 import Vda5050Protocol
from stagetwin_bridges.vda5050.messages import (
    ActionState,
    Connection,
    ErrorEntry,
    Load,
    Message,
    MobileRobotPosition,
    SafetyState,
    Velocity,
    Visualization,
    ZoneRequest,
    ZoneSetState,
    timestamp_of,
)
from tests.bridges.conftest import Authority
from tests.bridges.recording_sink import RecordingSink, eventually
from tests.bridges.vda5050.documents import state
from tests.bridges.vda5050.fleet import Speaker, bound, fleet_connection

NUMBER, INTEGER = ValueKind.NUMBER, ValueKind.INTEGER
TEXT, LOGIC, ARRAY = ValueKind.TEXT, ValueKind.BOOLEAN, ValueKind.COMPOSITE

MakeFleet = Callable[..., MqttBridge]


@pytest.fixture
def make_fleet(sink: RecordingSink, root: str, shared_broker: LocalBroker) -> Iterator[MakeFleet]:
    """Make a running bridge into `sink`; all end with the test."""
    made: list[MqttBridge] = []

    def make(*channels: ChannelSpec, query: str = "version=3.0", **more: Any) -> MqttBridge:
        broker = more.pop("broker", shared_broker)
        bridge = Vda5050Protocol().bridge(
            fleet_connection(broker, query, root=root, **more),
            channels,
            sink,
            broker.credential("subscriber"),
        )
        made.append(bridge)
        bridge.start()
        eventually(sink.online)
        return bridge

    yield make
    for bridge in made:
        bridge.stop()


@pytest.fixture(params=["2.1", "3.0"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def speaker(version: str, root: str, shared_broker: LocalBroker) -> Iterator[Speaker]:
    with Speaker(shared_broker, "0001", version, root) as made:
        yield made


@pytest.fixture
def newer(root: str, shared_broker: LocalBroker) -> Iterator[Speaker]:
    with Speaker(shared_broker, "0001", "3.0", root) as made:
        yield made


def place(x: float = 4.0, y: float = -2.0, theta: float = 0.5, **more: Any) -> MobileRobotPosition:
    return MobileRobotPosition(
        **{"x": x, "y": y, "theta": theta, "map_id": "hall", "localized": True, **more}
    )


def seen(*, at: MobileRobotPosition | None = None) -> Visualization:
    return Visualization(
        reference_state_header_id=0,
        mobile_robot_position=at,
        velocity=Velocity(vx=0.5, vy=0.0, omega=0.0),
    )


FULL = [
    bound(0, "pose", ARRAY),
    bound(1, "position", ARRAY),
    bound(2, "point", ARRAY),
    bound(3, "orientation", ARRAY),
    bound(4, "map", TEXT),
    bound(5, "online", LOGIC),
    bound(6, "errors.count", INTEGER),
    bound(7, "errors.fatal", LOGIC),
    bound(8, "errors.text", TEXT),
    bound(9, "actions.running", INTEGER),
    bound(10, "actions.failed", INTEGER),
    bound(11, "action.a1", TEXT),
    bound(12, "action.none", TEXT),
    bound(13, "loads.count", INTEGER),
    bound(14, "loads.mass", NUMBER),
    bound(15, "order.remaining", INTEGER),
    bound(16, "order.base", INTEGER),
    bound(17, "state.powerSupply.stateOfCharge", NUMBER),
    bound(18, "state.powerSupply.charging", LOGIC),
    bound(19, "state.orderId", TEXT),
    bound(20, "state.orderUpdateId", INTEGER),
    bound(21, "state.operatingMode", TEXT),
    bound(22, "state.safetyState.activeEmergencyStop", TEXT),
    bound(23, "state.velocity.vx", NUMBER),
    bound(24, "state.errors[0].errorType", TEXT),
    bound(25, "connection.connectionState", TEXT),
    bound(26, "state.mobileRobotPosition.localized", LOGIC),
]


def test_a_state_says_the_same_in_either_version(
    version: str, speaker: Speaker, sink: RecordingSink, make_fleet: MakeFleet
) -> None:
    make_fleet(*FULL, query=f"version={version}")
    speaker.say(Connection(connection_state="ONLINE"))
    speaker.say(
        state(
            operating_mode="TEACH_IN",
            loads=(Load(load_id="l", weight=120.0), Load(weight=30.5)),
            errors=(
                ErrorEntry(error_type="DIRTY", error_level="WARNING"),
                ErrorEntry(error_type="LOST", error_level="FATAL", error_description="no map"),
            ),
            action_states=(
                ActionState(action_id="a1", action_status="RUNNING"),
                ActionState(action_id="a2", action_status="FAILED"),
            ),
        )
    )
    eventually(lambda: sink.rows == len(FULL))
    values = dict(sink.seen())
    cosine, sine = math.cos(0.5), math.sin(0.5)
    assert values.pop(0) == [
        *(cosine, sine, 0.0, 0.0),
        *(-sine, cosine, 0.0, 0.0),
        *(0.0, 0.0, 1.0, 0.0),
        *(4.0, -2.0, 0.0, 1.0),
    ]
    assert values.pop(3) == pytest.approx([0, 0, math.sin(0.25), math.cos(0.25)])
    assert values == {
        **{1: [4.0, -2.0, 0.5], 2: [4.0, -2.0, 0.0], 4: "hall", 5: True},
        **{6: 2, 7: True, 8: "FATAL LOST: no map; WARNING DIRTY"},
        **{9: 1, 10: 1, 11: "RUNNING", 12: "", 13: 2, 14: 150.5, 15: 2, 16: 1},
        **{17: 81.5, 18: False, 19: "order-1", 20: 3, 21: "TEACH_IN", 22: "NONE"},
        **{23: 1.25, 24: "DIRTY", 25: "ONLINE", 26: True},
    }
    assert not sink.counts
    assert set(sink.column("status")) == {0}


def test_an_emergency_stop_of_2_that_resets_itself_is_a_field_that_is_not_free(
    root: str, shared_broker: LocalBroker, sink: RecordingSink, make_fleet: MakeFleet
) -> None:
    make_fleet(
        bound(0, "state.safetyState.fieldViolation", LOGIC),
        bound(1, "state.safetyState.activeEmergencyStop", TEXT),
        query="version=2.1",
    )
    with Speaker(shared_broker, "0001", "2.1", root) as old:
        safe = SafetyState(active_emergency_stop="NONE", field_violation=False)
        data = old.codec.encode(old.headers.stamp(state(safety_state=safe)))
        old.send("state", data.replace(b'"eStop":"NONE"', b'"eStop":"AUTOACK"'))
        eventually(lambda: sink.rows == 2)
    assert sink.of(0) == [True]
    assert sink.of(1) == ["NONE"]


def test_the_newer_of_state_and_visualization_tells_the_pose(
    newer: Speaker, sink: RecordingSink, make_fleet: MakeFleet
) -> None:
    make_fleet(bound(0, "position", ARRAY), bound(1, "state.orderId", TEXT))
    now = 1_780_000_000.0

    def at(second: float, message: Message) -> None:
        stamped = msgspec.structs.replace(
            newer.headers.stamp(message), timestamp=timestamp_of(now + second)
        )
        newer.say(stamped, stamped=True)

    at(0.0, state(mobile_robot_position=place(x=0.0)))
    at(0.5, seen(at=place(x=1.0)))
    at(0.4, state(mobile_robot_position=place(x=0.9)))  # written before, sent after
    at(0.7, seen(at=place(x=1.2)))
    at(0.9, state(mobile_robot_position=place(x=1.4)))
    at(1.0, seen())  # a visualization need not have one
    eventually(lambda: len(sink.of(1)) == 3)
    eventually(lambda: len(sink.of(0)) == 4)
    assert [x for x, _, _ in sink.of(0)] == [0.0, 1.0, 1.2, 1.4]
    assert not sink.counts


def test_a_vehicle_that_is_lost_does_not_know_its_place(
    newer: Speaker, sink: RecordingSink, make_fleet: MakeFleet
) -> None:
    make_fleet(bound(0, "pose", ARRAY), bound(1, "state.velocity.vx"))
    newer.say(state(mobile_robot_position=place(localized=False)))
    eventually(lambda: sink.rows == 2)
    assert dict(zip(sink.column("channel"), sink.column("status"), strict=True)) == {
        0: Status.UNCERTAIN,
        1: 0,
    }


@pytest.mark.usefixtures("quick_signs")
def test_a_last_will_ends_the_life_of_all_but_its_own_word(
    version: str, speaker: Speaker, sink: RecordingSink, make_fleet: MakeFleet
) -> None:
    make_fleet(
        bound(0, "state.orderId", TEXT),
        bound(1, "online", LOGIC),
        bound(2, "pose", ARRAY),
        bound(3, "state.orderId", TEXT, address="KIT/0002"),
        query=f"version={version}",
    )
    speaker.say(Connection(connection_state="ONLINE"))
    speaker.say(state())
    eventually(lambda: sink.rows == 3)
    eventually(lambda: any(alive and {0, 1, 2} <= set(who) for who, alive in sink.vouched))
    speaker.vanish()
    eventually(lambda: sink.of(1) == [True, False])
    eventually(lambda: ((0, 2), False) in [(tuple(sorted(w)), a) for w, a in sink.vouched])
    sink.vouched.clear()
    eventually(lambda: any(alive for _, alive in sink.vouched))
    assert all(set(who) == {1} for who, alive in sink.vouched if alive)
    # The will was written when the connection began: it does not carry that time.
    assert math.isnan(sink.column("source_time")[-1])
    assert not sink.counts


def test_a_vehicle_that_hibernates_is_not_lost(
    newer: Speaker, sink: RecordingSink, make_fleet: MakeFleet
) -> None:
    make_fleet(bound(0, "state.orderId", TEXT), bound(1, "connection.connectionState", TEXT))
    newer.say(Connection(connection_state="ONLINE"))
    newer.say(Connection(connection_state="HIBERNATING"))
    eventually(lambda: sink.of(1) == ["ONLINE", "HIBERNATING"])
    newer.say(Connection(connection_state="OFFLINE"))
    eventually(lambda: ((0,), False) in sink.vouched)
    assert [alive for who, alive in sink.vouched if who == (0,)][:2] == [True, True]
    assert not sink.counts


def test_what_the_broker_kept_of_a_connection_counts_in_full(
    newer: Speaker, sink: RecordingSink, make_fleet: MakeFleet
) -> None:
    newer.say(Connection(connection_state="ONLINE"))
    data = newer.codec.encode(newer.headers.stamp(state()))
    newer.send("state", data, retain=True)
    make_fleet(bound(0, "online", LOGIC), bound(1, "state.orderId", TEXT))
    eventually(lambda: sink.rows == 2)
    assert dict(zip(sink.column("channel"), sink.column("status"), strict=True)) == {
        0: 0,
        # A state is not to be retained: nobody knows how old it is.
        1: Status.UNCERTAIN_INITIAL_VALUE,
    }


def test_headers_make_losses_countable(
    newer: Speaker, sink: RecordingSink, make_fleet: MakeFleet
) -> None:
    make_fleet(bound(0, "state.orderId", TEXT))
    sent = [newer.headers.stamp(state(order_id=str(n))) for n in range(12)]
    for n in (0, 1, 5, 5, 6, 9):
        newer.say(sent[n], stamped=True)
    newer.say(msgspec.structs.replace(sent[10], header_id=0), stamped=True)  # it started anew
    eventually(lambda: len(sink.of(0)) == 6)
    assert sink.counts == {Reject.LOST: 3 + 2, Reject.DUPLICATE: 1}
    assert any("KIT/0001, state: 3 missing before headerId 5" in text for text in sink.examples)
    assert any("KIT/0001, state: headerId 5 came again" in text for text in sink.examples)


def test_a_counter_that_stands_still_costs_no_message(
    newer: Speaker, sink: RecordingSink, make_fleet: MakeFleet
) -> None:
    make_fleet(bound(0, "state.orderId", TEXT))
    for n in range(3):
        stamped = msgspec.structs.replace(
            newer.headers.stamp(state(order_id=str(n))),
            header_id=0,
            timestamp=timestamp_of(1_780_000_000.0 + n),
        )
        newer.say(stamped, stamped=True)
    eventually(lambda: sink.of(0) == ["0", "1", "2"])
    eventually(lambda: sink.counts == {Reject.MALFORMED: 2})
    assert "headerId: expected one more than before, got 0 again" in "".join(sink.examples)


def test_a_sample_is_held_against_the_schema(
    newer: Speaker, sink: RecordingSink, make_fleet: MakeFleet
) -> None:
    make_fleet(bound(0, "state.orderId", TEXT), query="version=3.0&sample=5")
    for n in range(12):
        document = json.loads(newer.codec.encode(newer.headers.stamp(state(order_id=str(n)))))
        document["operatingMode"] = "DREAMING"
        newer.send("state", json.dumps(document).encode())
    eventually(lambda: len(sink.of(0)) == 12)
    eventually(lambda: sink.counts == {Reject.MALFORMED: 3})  # messages 0, 5 and 10
    assert "KIT/0001, state: operatingMode: allowed are STARTUP, AUTOMATIC" in sink.examples[0]


def test_a_header_that_belongs_to_another_vehicle_is_told(
    newer: Speaker, sink: RecordingSink, make_fleet: MakeFleet
) -> None:
    make_fleet(bound(0, "state.orderId", TEXT))
    strange = msgspec.structs.replace(
        newer.headers.stamp(state()), serial_number="0009", version="2.1.0"
    )
    newer.say(strange, stamped=True)
    eventually(lambda: sink.counts == {Reject.MALFORMED: 2})
    told = "".join(sink.examples)
    assert "manufacturer and serialNumber: expected KIT/0001, got KIT/0009" in told


def test_one_wrong_field_costs_no_other(
    version: str, speaker: Speaker, sink: RecordingSink, make_fleet: MakeFleet
) -> None:
    make_fleet(
        bound(0, "state.powerSupply.stateOfCharge"),
        bound(1, "state.orderId", TEXT),
        bound(2, "pose", ARRAY),
        bound(3, "state.velocity.vx"),
        bound(4, "errors.count", INTEGER),
        query=f"version={version}",
    )
    document = json.loads(speaker.codec.encode(speaker.headers.stamp(state())))
    names = (
        ("batteryState", "batteryCharge") if version == "2.1" else ("powerSupply", "stateOfCharge")
    )
    document[names[0]][names[1]] = "full"
    document["velocity"] = {}
    speaker.send("state", json.dumps(document).encode())
    eventually(lambda: sink.rows == 3)
    assert {index for index, _ in sink.seen()} == {1, 2, 4}
    assert sink.counts == {
        Reject.MALFORMED: 1,  # the schema's word
        Reject.TYPE_MISMATCH: 1,
        Reject.MISSING_FIELD: 1,
    }
    told = "\n".join(sink.examples)
    assert f"KIT/0001, state: {names[0]}.{names[1]}: expected number" in told
    assert "field state.powerSupply.stateOfCharge" in told
    for payload in (b"{", b"[]", b"\xff"):
        speaker.send("state", payload)
    speaker.say(state())
    eventually(lambda: len(sink.of(0)) == 1)
    assert sink.counts[Reject.MALFORMED] == 1 + 3


def test_absent_parts_are_no_news_and_missing_ones_are_counted(
    newer: Speaker, sink: RecordingSink, make_fleet: MakeFleet
) -> None:
    make_fleet(
        bound(0, "loads.count", INTEGER),
        bound(1, "loads.mass"),
        bound(2, "pose", ARRAY),
        bound(3, "state.velocity.vx"),
        bound(4, "zones.requests", INTEGER),
    )
    newer.say(state(mobile_robot_position=None, velocity=None))
    eventually(lambda: sink.of(4) == [0])
    assert sink.rows == 1
    assert sink.counts == {Reject.MISSING_FIELD: 1}
    asked = ZoneRequest(
        request_id="r",
        request_type="ACCESS",
        zone_id="z",
        zone_set_id="s",
        request_status="REQUESTED",
    )
    newer.say(state(loads=(Load(load_type="EPAL"),), zone_requests=(asked,)))
    eventually(lambda: sink.of(4) == [0, 1])
    assert sink.of(0) == [1]
    assert sink.of(1) == []
    assert any("expected a value at 'loads[0].weight'" in text for text in sink.examples)


def test_the_zone_set_that_is_enabled_is_told(
    newer: Speaker, sink: RecordingSink, make_fleet: MakeFleet
) -> None:
    make_fleet(bound(0, "zones.enabled", TEXT))
    sets = [
        ZoneSetState(zone_set_id=name, map_id="floor", zone_set_status=status)
        for name, status in (("old", "DISABLED"), ("new", "ENABLED"))
    ]
    newer.say(state(zone_sets=tuple(sets)))
    eventually(lambda: sink.of(0) == ["new"])
    newer.say(state(zone_sets=()))
    eventually(lambda: sink.of(0) == ["new", ""])
    assert not sink.counts


def test_a_vendors_own_field_may_be_bound(
    newer: Speaker, sink: RecordingSink, make_fleet: MakeFleet
) -> None:
    make_fleet(bound(0, 'state["wheels"][1].slip'))
    document = json.loads(newer.codec.encode(newer.headers.stamp(state())))
    newer.send("state", json.dumps({**document, "wheels": [{}, {"slip": 0.25}]}).encode())
    eventually(lambda: sink.of(0) == [0.25])
    assert not sink.counts


def test_vehicles_come_and_go_while_it_runs(
    newer: Speaker,
    root: str,
    shared_broker: LocalBroker,
    sink: RecordingSink,
    make_fleet: MakeFleet,
) -> None:
    first = bound(0, "state.orderId", TEXT)
    bridge = make_fleet(first)
    newer.say(state(order_id="a"))
    eventually(lambda: sink.of(0) == ["a"])
    with Speaker(shared_broker, "0002", "3.0", root) as other:
        bridge.rebind([first, bound(1, "state.orderId", TEXT, address="KIT/0002")])
        eventually(lambda: other.say(state(order_id="b")) and sink.of(1))
        newer.say(state(order_id="c"))
        eventually(lambda: sink.of(0) == ["a", "c"])
    # The counter was followed through the change.
    assert Reject.LOST not in sink.counts


def test_all_vehicles_by_one_filter(
    newer: Speaker, root: str, sink: RecordingSink, make_fleet: MakeFleet
) -> None:
    make_fleet(
        bound(0, "state.orderId", TEXT),
        query=f"version=3.0&subscribe={root}/v3/%2B/%2B/state",
    )
    newer.say(state())
    eventually(lambda: sink.of(0) == ["order-1"])


def test_over_tls(sink: RecordingSink, root: str, authority: Authority) -> None:
    certificate, key = authority.issue("127.0.0.1")
    files = BrokerFiles(authority.ca_file, certificate, key)
    with LocalBroker("mosquitto", tls=files) as broker:
        protocol = Vda5050Protocol()
        bridge = protocol.bridge(
            fleet_connection(broker, root=root),
            [bound(0, "state.orderId", TEXT)],
            sink,
            broker.credential("subscriber"),
        )
        bridge.start()
        try:
            eventually(sink.online)
            publisher = protocol.publisher(
                fleet_connection(broker, root=root), broker.credential("publisher")
            )
            publisher.publish("KIT/0001", {"state": {"orderId": "o"}}, time=1_780_000_000.0)
            eventually(lambda: sink.of(0) == ["o"])
            publisher.close()
        finally:
            bridge.stop()


def test_a_broker_of_mqtt_3_is_spoken_to(sink: RecordingSink, root: str) -> None:
    with LocalBroker("nats") as broker, Speaker(broker, "0001", "3.0", root) as speaker:
        bridge = Vda5050Protocol().bridge(
            fleet_connection(broker, root=root),
            [bound(0, "state.orderId", TEXT)],
            sink,
            broker.credential("subscriber"),
        )
        bridge.start()
        try:
            eventually(sink.online)
            speaker.say(state())
            eventually(lambda: sink.of(0) == ["order-1"])
        finally:
            bridge.stop()


def test_a_replay_speaks_as_vehicles_do(
    version: str,
    root: str,
    shared_broker: LocalBroker,
    sink: RecordingSink,
    make_fleet: MakeFleet,
) -> None:
    make_fleet(
        bound(0, "pose", ARRAY),
        bound(1, "state.powerSupply.stateOfCharge"),
        bound(2, "connection.connectionState", TEXT),
        bound(3, "visualization.velocity.vx"),
        bound(4, "map", TEXT),
        query=f"version={version}&sample=1",
    )
    publisher = Vda5050Protocol().publisher(
        fleet_connection(shared_broker, f"version={version}", root=root),
        shared_broker.credential("publisher"),
    )
    cosine, sine = math.cos(1.0), math.sin(1.0)
    pose = [
        *(cosine, sine, 0.0, 0.0),
        *(-sine, cosine, 0.0, 0.0),
        *(0.0, 0.0, 1.0, 0.0),
        *(3.0, 7.0, 0.0, 1.0),
    ]
    publisher.publish(
        "KIT/0001",
        {"pose": pose, "map": "hall", "state": {"powerSupply": {"stateOfCharge": 40.0}}},
        time=1_780_000_000.0,
    )
    publisher.publish(
        "KIT/0001",
        {"visualization": {"velocity": {"vx": 0.25}}, "errors": {"count": 1}},
        time=1_780_000_000.5,
    )
    eventually(lambda: sink.of(3) == [0.25])
    eventually(lambda: sink.of(0))
    assert sink.of(0)[0] == pytest.approx(pose)
    assert sink.of(1) == [40.0]
    assert sink.of(4) == ["hall"]
    assert publisher.drain(5.0) == 0
    with pytest.raises(MessageError, match="nothing sends 'speed'; allowed are state"):
        publisher.publish("KIT/0001", {"speed": 1.0}, time=0.0)
    with pytest.raises(MessageError, match="expected an object of fields, got a float"):
        publisher.publish("KIT/0001", 1.0, time=0.0)
    with pytest.raises(MessageError, match="KIT/0001, state: Expected `bool`"):
        publisher.publish("KIT/0001", {"state": {"driving": "yes"}}, time=0.0)
    publisher.close()
    eventually(lambda: sink.of(2) == ["ONLINE", "OFFLINE"])
    assert not sink.counts


def test_nothing_is_replayed_to_a_plant_nor_taken_by_one(
    root: str, shared_broker: LocalBroker, sink: RecordingSink, make_fleet: MakeFleet
) -> None:
    protocol = Vda5050Protocol()
    credential = shared_broker.credential("publisher")
    with pytest.raises(RealmError, match="/World/fleet: nothing is published to a plant"):
        protocol.publisher(fleet_connection(shared_broker, realm="plant", root=root), credential)
    make_fleet(bound(0, "state.orderId", TEXT), realm="plant")
    replay = protocol.publisher(
        fleet_connection(shared_broker, realm="replay", root=root), credential
    )
    replay.publish("KIT/0001", {"state": {"orderId": "old"}}, time=1_780_000_000.0)
    eventually(lambda: sink.counts[Reject.REALM] >= 1)
    replay.close()
    assert sink.rows == 0
