"""Messages and codecs: round trips, schemas, and what is refused."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stagetwin_bridges._errors import MessageError
from stagetwin_bridges.vda5050 import messages
from stagetwin_bridges.vda5050.messages import (
    MESSAGES,
    VERSIONS,
    Action,
    Codec,
    Connection,
    Edge,
    Headers,
    Identity,
    InstantActions,
    MobileRobotPosition,
    Node,
    Order,
    State,
    Visualization,
    is_retained,
    qos_of,
    seconds_of,
    timestamp_of,
    topic_of,
    version_of,
)
from tests.bridges.vda5050.documents import documents, schema_of, state

CODECS = {version: Codec(version) for version in VERSIONS}
SPOKEN = [(version, topic) for version, codec in CODECS.items() for topic in codec.topics]
ME = Identity("vda5050", "3.0", "Example", "0001")

quick = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.generate],
)


def headers(version: str = "3.0.0") -> Headers:
    return Headers(Identity("vda5050", version, "Example", "0001"), lambda: 1_773_834_003.1234)


def order(**changes: Any) -> Order:
    nodes = tuple(
        Node(node_id=name, sequence_id=2 * n, released=True, actions=())
        for n, name in enumerate(("a", "b"))
    )
    edges = (Edge(edge_id="ab", sequence_id=1, released=True, actions=()),)
    return Order(
        **{"order_id": "o", "order_update_id": 0, "nodes": nodes, "edges": edges, **changes}
    )


@pytest.mark.parametrize("topic", sorted(MESSAGES))
@quick
@given(data=st.data())
def test_a_message_of_3_comes_back_as_it_was(topic: str, data: st.DataObject) -> None:
    codec = CODECS["3.0.0"]
    document = data.draw(documents("3.0.0", topic))
    payload = json.dumps(document).encode()
    assert codec.faults(topic, payload) == []
    again = json.loads(codec.encode(codec.decode(topic, payload)))
    if topic == "order":  # one field has two names, and both are written
        for edge in [*document["edges"], *again["edges"]]:
            edge.pop("maxRotationSpeed", None)
            edge.pop("maximumRotationSpeed", None)
    assert again == document


@pytest.mark.parametrize("topic", CODECS["2.1.0"].topics)
@quick
@given(data=st.data())
def test_a_message_of_2_means_the_same_after_a_round_trip(topic: str, data: st.DataObject) -> None:
    codec = CODECS["2.1.0"]
    payload = json.dumps(data.draw(documents("2.1.0", topic))).encode()
    assert codec.faults(topic, payload) == []
    # 2.1 has visualizations and factsheets without a header.
    message = headers("2.1.0").stamp(codec.decode(topic, payload))
    again = codec.encode(message)
    assert codec.faults(topic, again) == []
    assert codec.decode(topic, again) == message


@pytest.mark.parametrize("topic", CODECS["2.1.0"].topics)
@quick
@given(data=st.data())
def test_whatever_3_says_2_says_validly_or_refuses(topic: str, data: st.DataObject) -> None:
    document = data.draw(documents("3.0.0", topic))
    message = CODECS["3.0.0"].decode(topic, json.dumps(document).encode())
    unchecked = CODECS["2.1.0"].encode(message, checked=False)
    if faults := CODECS["2.1.0"].faults(topic, unchecked):
        with pytest.raises(MessageError, match=f"{topic} of 2.1.0: ") as refused:
            CODECS["2.1.0"].encode(message)
        assert faults[0] in str(refused.value)
    else:
        assert CODECS["2.1.0"].encode(message) == unchecked
        CODECS["2.1.0"].decode(topic, unchecked)


@pytest.mark.parametrize(("version", "topic"), SPOKEN)
@quick
@given(data=st.data())
def test_damage_is_refused_in_words_and_nothing_else_is_raised(
    version: str, topic: str, data: st.DataObject
) -> None:
    document = here = data.draw(documents(version, topic))
    while True:
        keys = sorted(here) if isinstance(here, dict) else range(len(here))
        key = data.draw(st.sampled_from(keys)) if keys else "headerId"
        below = here[key] if keys else None
        if not (isinstance(below, (dict, list)) and below and data.draw(st.booleans())):
            break
        here = below
    if keys:
        here[key] = data.draw(
            st.sampled_from([None, [], {}, [1], [{}], {"a": [None]}, "word", -1, 1.5, True, [[{}]]])
        )
    payload = json.dumps(document).encode()
    said = _refusal(CODECS[version], topic, payload)
    assert not said or said.startswith(f"{topic} of {version}: ")


def _refusal(codec: Codec, topic: str, payload: bytes) -> str:
    try:
        codec.decode(topic, payload)
    except MessageError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("version", "topic"), SPOKEN)
@pytest.mark.parametrize(
    "payload", [b"", b"{", b"[]", b"null", b"7", b'"x"', b"\xff", b"[" * 5000, b'{"a":1}']
)
def test_what_is_no_message_is_refused(version: str, topic: str, payload: bytes) -> None:
    if version == "2.1.0" and topic == "visualization" and payload == b'{"a":1}':
        assert CODECS[version].decode(topic, payload).header_id == -1
        return
    with pytest.raises(MessageError, match=f"{topic} of {version}: "):
        CODECS[version].decode(topic, payload)
    assert CODECS[version].faults(topic, payload)


@pytest.mark.parametrize(("version", "topic"), SPOKEN)
@quick
@given(data=st.data())
def test_unknown_fields_are_tolerated_everywhere(
    version: str, topic: str, data: st.DataObject
) -> None:
    document = data.draw(documents(version, topic))
    plain = CODECS[version].decode(topic, json.dumps(document).encode())
    more = _with_more(document)
    assert CODECS[version].decode(topic, json.dumps(more).encode()) == plain


def _with_more(value: Any, name: str = "") -> Any:
    if name in ("value", "data"):  # an action's parameter, and an outline, are whatever they are
        return value
    if isinstance(value, dict):
        return {**{n: _with_more(v, n) for n, v in value.items()}, "vendorsOwn": {"a": [1]}}
    return [_with_more(item, name) for item in value] if isinstance(value, list) else value


def test_refusals_name_the_field_and_what_is_allowed() -> None:
    codec = CODECS["3.0.0"]
    document = json.loads(codec.encode(headers().stamp(Connection(connection_state="ONLINE"))))
    document["connectionState"] = "BROKEN"
    with pytest.raises(
        MessageError,
        match="connectionState: allowed are ONLINE, OFFLINE, HIBERNATING, CONNECTION_BROKEN; "
        'got "BROKEN"',
    ):
        codec.decode("connection", json.dumps(document).encode())
    del document["connectionState"], document["headerId"]
    with pytest.raises(MessageError, match="missing headerId, connectionState"):
        codec.decode("a/b/connection", json.dumps(document).encode())
    data = json.loads(CODECS["2.1.0"].encode(headers("2.1.0").stamp(state())))
    data["batteryState"]["batteryCharge"] = "full"
    assert CODECS["2.1.0"].faults("state", json.dumps(data).encode()) == [
        'batteryState.batteryCharge: expected number, got "full"'
    ]
    data["batteryState"]["batteryCharge"] = 40
    data["errors"][0]["errorLevel"] = "BAD"
    with pytest.raises(MessageError, match=r"errors\[0\].errorLevel: allowed are WARNING, FATAL"):
        CODECS["2.1.0"].decode("state", json.dumps(data).encode())


def test_a_message_without_a_header_does_not_leave() -> None:
    with pytest.raises(MessageError, match="state: the message has no header"):
        CODECS["3.0.0"].encode(state())
    with pytest.raises(MessageError, match=r"topic 'responses': 2\.1\.0 has order, instantActions"):
        CODECS["2.1.0"].encode(headers().stamp(messages.Responses(responses=())))


def test_what_would_break_the_schema_does_not_leave() -> None:
    wrong = headers().stamp(
        state(
            mobile_robot_position=MobileRobotPosition(
                x=math.nan, y=0.0, theta=0.0, map_id="m", localized=True
            )
        )
    )
    with pytest.raises(MessageError, match=r"mobileRobotPosition.x: expected number, got null"):
        CODECS["3.0.0"].encode(wrong)
    hard = InstantActions(
        actions=(Action(action_id="1", action_type="startPause", blocking_type="HARD"),)
    )
    with pytest.raises(MessageError, match=r"actions\[0\].blockingType: allowed are NONE; got"):
        CODECS["3.0.0"].encode(headers().stamp(hard))
    assert CODECS["2.1.0"].encode(headers("2.1.0").stamp(hard))


def test_whole_numbers_may_be_written_with_a_point() -> None:
    codec = CODECS["3.0.0"]
    data = codec.encode(headers().stamp(state()))
    other = data.replace(b'"orderUpdateId":3', b'"orderUpdateId":3.0')
    assert other != data
    assert codec.decode("state", other) == codec.decode("state", data)


def test_a_limit_of_rotation_is_written_under_both_its_names_and_read_under_either() -> None:
    codec = CODECS["3.0.0"]
    slow = headers().stamp(
        order(
            edges=(
                Edge(
                    edge_id="ab",
                    sequence_id=1,
                    released=True,
                    actions=(),
                    maximum_rotation_speed=0.5,
                ),
            )
        )
    )
    data = codec.encode(slow)
    (edge,) = json.loads(data)["edges"]
    assert edge["maximumRotationSpeed"] == edge["maxRotationSpeed"] == 0.5
    del edge["maximumRotationSpeed"]
    other = json.dumps({**json.loads(data), "edges": [edge]}).encode()
    assert codec.decode("order", other) == codec.decode("order", data) == slow


def test_headers_count_each_topic_by_itself() -> None:
    made = headers()
    numbers = [made.stamp(state()).header_id for _ in range(3)]
    assert numbers == [0, 1, 2]
    first = made.stamp(Connection(connection_state="ONLINE"))
    assert first.header_id == 0
    assert (first.timestamp, first.version) == ("2026-03-18T11:40:03.123Z", "3.0.0")
    assert (first.manufacturer, first.serial_number) == ("Example", "0001")


def test_topics_follow_the_standard() -> None:
    assert topic_of(ME, Order.topic) == "vda5050/v3/Example/0001/order"
    assert topic_of(Identity("uagv", "2.1", "KIT", "7"), "state") == "uagv/v2/KIT/7/state"
    assert {topic: (qos_of(topic), is_retained(topic)) for topic in MESSAGES} == {
        **dict.fromkeys(MESSAGES, (0, False)),
        "connection": (1, True),
        "factsheet": (0, True),
    }


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("serial", ""),
        ("serial", "a b"),
        ("serial", "ä"),
        ("serial", "a/b"),
        ("manufacturer", ""),
        ("manufacturer", "a/b"),
        ("manufacturer", "a+"),
        ("interface", "#"),
        ("interface", "$SYS"),
        ("version", "1.1"),
        ("version", "3"),
    ],
)
def test_names_that_break_topics_are_refused(part: str, value: str) -> None:
    good = {"interface": "vda5050", "version": "3.0.0", "manufacturer": "Ex ample", "serial": "A:1"}
    Identity(**good)
    with pytest.raises(MessageError, match=f"{'serial number' if part == 'serial' else part} "):
        Identity(**{**good, part: value})


@given(st.floats(0, 4e9))
def test_times_come_back_within_a_millisecond(seconds: float) -> None:
    assert abs(seconds_of(timestamp_of(seconds)) - seconds) <= 1e-3


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(MessageError, match="expected ISO 8601 such as"):
        seconds_of("yesterday")


def test_versions() -> None:
    assert [version_of(text) for text in ("2.1", "2.1.0", "3.0", "3.0.0")] == [
        *("2.1.0", "2.1.0"),
        *("3.0.0", "3.0.0"),
    ]
    with pytest.raises(MessageError, match=r"version '4.0': allowed are 2.1.0, 3.0.0"):
        Codec("4.0")


def test_absent_fields_are_none_and_stay_away() -> None:
    bare = headers().stamp(Visualization(reference_state_header_id=0))
    assert set(json.loads(CODECS["3.0.0"].encode(bare))) == {
        *("headerId", "timestamp", "version", "manufacturer", "serialNumber"),
        "referenceStateHeaderId",
    }
    least = CODECS["3.0.0"].decode("state", _least_state())
    assert isinstance(least, State)
    assert least.loads is None
    assert least.errors == ()


def _least_state() -> bytes:
    full = json.loads(CODECS["3.0.0"].encode(headers().stamp(state(errors=()))))
    for name in ("mobileRobotPosition", "velocity"):
        del full[name]
    return json.dumps(full).encode()


def test_structs_have_every_field_of_the_schemas_and_no_other() -> None:
    extra = {"order": {"zoneSetId"}}
    for topic, kind in MESSAGES.items():
        names = {f.encode_name for f in msgspec.structs.fields(kind)}
        assert names - extra.get(topic, set()) == set(schema_of("3.0.0", topic)["properties"])
