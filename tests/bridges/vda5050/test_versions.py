"""2.1 and 3.0 beside each other: every field has a place, and what has none is known by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stagetwin_bridges.vda5050.messages import (
    SHAPES,
    Action,
    ActionParameter,
    ActionState,
    AllowedDeviation,
    Codec,
    Connection,
    ControlPoint,
    Corridor,
    Edge,
    EdgeRequest,
    ErrorEntry,
    Headers,
    Identity,
    InstantActions,
    Message,
    MobileRobotPosition,
    Node,
    NodePosition,
    Order,
    PowerSupply,
    SafetyState,
    Shape,
    State,
    Trajectory,
    Visualization,
    ZoneRequest,
    ZoneSetState,
)
from tests.bridges.vda5050.documents import Schema, schema_of, state

OLD, NEW = Codec("2.1.0"), Codec("3.0.0")
HEADERS = Headers(Identity("uagv", "2.1", "KIT", "7"))

ONLY_IN_2 = {
    "order.zoneSetId",  # kept, as Order.zone_set_id
    "order.nodes[].nodePosition.mapDescription",
    "order.edges[].startNodeId",  # 3.0 has them by the sequence alone
    "order.edges[].endNodeId",
    "order.edges[].rotationAllowed",  # reachOrientationBeforeEntering, turned round
    "state.zoneSetId",  # the zone set that is enabled
    "state.mobileRobotPosition.mapDescription",
    "factsheet.protocolLimits.maximumStringLengths.enumLen",
}
"""Paths in 3.0's names that 3.0 does not have."""


def paths(part: Schema, root: Schema, shape: Shape, at: str, old: bool) -> set[str]:
    """Return the paths of all fields of a schema, in 3.0's names."""
    if "$ref" in part:
        part = root["definitions"][part["$ref"].rpartition("/")[2]]
    if part.get("type") == "array":
        return paths(part.get("items", {}), root, shape, f"{at}[]", old)
    out: set[str] = set()
    back = {o: n for n, o in shape.names.items()} if old else {}
    for name, below in part.get("properties", {}).items():
        new = back.get(name, name)
        out.add(f"{at}.{new}")
        out |= paths(below, root, shape.parts.get(new, Shape()), f"{at}.{new}", old)
    return out


@pytest.mark.parametrize("topic", sorted(SHAPES))
def test_every_field_of_2_is_one_of_3_or_known_to_be_none(topic: str) -> None:
    shape = SHAPES[topic]
    old_schema, new_schema = schema_of("2.1.0", topic), schema_of("3.0.0", topic)
    old = paths(old_schema, old_schema, shape, topic, old=True)
    new = paths(new_schema, new_schema, shape, topic, old=False)
    assert old - new - _textual(topic) == {p for p in ONLY_IN_2 if p.partition(".")[0] == topic}


@pytest.mark.parametrize("topic", sorted(SHAPES))
def test_every_field_of_3_is_one_of_2_or_known_to_be_left_out(topic: str) -> None:
    shape = SHAPES[topic]
    old_schema, new_schema = schema_of("2.1.0", topic), schema_of("3.0.0", topic)
    old = paths(old_schema, old_schema, shape, topic, old=True)
    new = paths(new_schema, new_schema, shape, topic, old=False)
    left_out = absent(shape, topic) | folded(topic)
    unknown = {
        path for path in new - old if not any(path == p or _below(path, p) for p in left_out)
    }
    assert unknown == set()
    assert not absent(shape, topic) & old


def absent(shape: Shape, at: str) -> set[str]:
    """Return the paths that a shape leaves out."""
    out = {f"{at}.{name}" for name in shape.absent}
    for name, part in shape.parts.items():
        for where in (f"{at}.{name}", f"{at}.{name}[]"):
            out |= absent(part, where)
    return out


def folded(topic: str) -> set[str]:
    """Return the paths that 2.1 says in another place or another way."""
    return {
        "state": {"state.instantActionStates", "state.zoneActionStates", "state.zoneSets"},
        "order": {
            "order.nodes[].nodePosition.allowedDeviationXY",
            "order.edges[].reachOrientationBeforeEntering",
            "order.edges[].maximumRotationSpeed",
            "order.edges[].maxRotationSpeed",
        },
        # 2.1's text has them (6.15.1), its schema has not.
        "factsheet": {
            "factsheet.physicalParameters.minimumAngularSpeed",
            "factsheet.physicalParameters.maximumAngularSpeed",
        },
    }.get(topic, set())


def _textual(topic: str) -> set[str]:
    """Return paths whose name in 3.0's text is not that of its schema."""
    return {"order.edges[].maximumRotationSpeed"} if topic == "order" else set()


def _below(path: str, other: str) -> bool:
    return path.startswith((f"{other}.", f"{other}[]"))


def said(message: Message) -> dict[str, Any]:
    """Return a message as 2.1 says it, and see that it comes back."""
    data = OLD.encode(HEADERS.stamp(message))
    OLD.decode(message.topic, data)
    document: dict[str, Any] = json.loads(data)
    return document


def test_a_state_in_the_words_of_2() -> None:
    full = state(
        zone_sets=(
            ZoneSetState(zone_set_id="z1", map_id="hall", zone_set_status="ENABLED"),
            ZoneSetState(zone_set_id="z2", map_id="hall", zone_set_status="DISABLED"),
        ),
        zone_requests=(
            ZoneRequest(
                request_id="r",
                request_type="ACCESS",
                zone_id="z",
                zone_set_id="z1",
                request_status="REQUESTED",
            ),
        ),
        edge_requests=(
            EdgeRequest(
                request_id="r",
                request_type="CORRIDOR",
                edge_id="e",
                sequence_id=1,
                request_status="GRANTED",
            ),
        ),
        instant_action_states=(
            ActionState(action_id="i", action_type="initializePosition", action_status="PAUSED"),
        ),
        zone_action_states=(ActionState(action_id="z", action_status="RETRIABLE"),),
        power_supply=PowerSupply(
            state_of_charge=55.5, charging=True, range=900.0, battery_current=-3.0
        ),
        operating_mode="TEACH_IN",
        errors=(
            ErrorEntry(error_type="UNSUPPORTED_PARAMETER", error_level="CRITICAL"),
            ErrorEntry(error_type="LOW", error_level="URGENT"),
            ErrorEntry(error_type="STUCK", error_level="CRITICAL"),
        ),
    )
    document = said(full)
    assert document["agvPosition"] == {
        **{"x": 4.0, "y": -2.0, "theta": 0.5, "mapId": "hall"},
        "positionInitialized": True,
    }
    assert document["batteryState"] == {"batteryCharge": 55.5, "charging": True, "reach": 900.0}
    assert document["operatingMode"] == "TEACHIN"
    assert document["zoneSetId"] == "z1"
    assert [(a["actionId"], a["actionStatus"]) for a in document["actionStates"]] == [
        *(("a1", "RUNNING"), ("i", "PAUSED")),
        ("z", "FAILED"),
    ]
    assert document["actionStates"][1]["actionType"] == "initPosition"
    assert [(e["errorType"], e["errorLevel"]) for e in document["errors"]] == [
        *(("orderError", "WARNING"), ("LOW", "WARNING")),
        ("STUCK", "FATAL"),
    ]
    assert document["safetyState"] == {"eStop": "NONE", "fieldViolation": False}
    assert not {"zoneRequests", "edgeRequests", "instantActionStates", "zoneSets"} & set(document)
    assert OLD.lost(full) == [
        "zoneSets: all but the one in use",
        "zoneRequests: left out",
        "edgeRequests: left out",
        "actionStates[2].actionStatus: RETRIABLE has no equivalent",
        "powerSupply.batteryCurrent: left out",
        "errors[0].errorLevel: CRITICAL of a refused order",
        "errors[1].errorLevel: URGENT has no equivalent",
        "errors[2].errorLevel: CRITICAL has no equivalent",
    ]
    assert NEW.lost(full) == []


def test_a_state_of_2_in_the_words_of_3() -> None:
    document = said(state())
    document |= {"zoneSetId": "z9", "operatingMode": "TEACHIN"}
    document["safetyState"] = {"eStop": "AUTOACK", "fieldViolation": False}
    document["errors"] = [{"errorType": "noOrderToCancel", "errorLevel": "WARNING"}]
    document["actionStates"][0]["actionType"] = "initPosition"
    read = OLD.decode("state", json.dumps(document).encode())
    assert isinstance(read, State)
    assert read.zone_sets == (
        ZoneSetState(zone_set_id="z9", map_id="hall", zone_set_status="ENABLED"),
    )
    assert read.operating_mode == "TEACH_IN"
    assert read.safety_state == SafetyState(active_emergency_stop="NONE", field_violation=True)
    assert read.errors[0].error_type == "NO_ORDER_TO_CANCEL"
    assert read.action_states[0].action_type == "initializePosition"
    assert read.instant_action_states == ()
    assert read.mobile_robot_position == MobileRobotPosition(
        x=4.0, y=-2.0, theta=0.5, map_id="hall", localized=True
    )


def full_order() -> Order:
    nodes = (
        Node(
            node_id="a",
            sequence_id=0,
            released=True,
            actions=(
                Action(
                    action_id="1",
                    action_type="waitForTrigger",
                    blocking_type="SINGLE",
                    retriable=True,
                    action_parameters=(
                        ActionParameter(key="triggerType", value=["LOCAL", "FLEET_CONTROL"]),
                    ),
                ),
            ),
            node_position=NodePosition(
                x=1.0,
                y=2.0,
                map_id="m",
                allowed_deviation_xy=AllowedDeviation(a=0.5, b=0.2, theta=0.1),
            ),
        ),
        Node(node_id="b", sequence_id=2, released=True, actions=(), node_descriptor="the end"),
    )
    edge = Edge(
        edge_id="ab",
        sequence_id=1,
        released=True,
        actions=(),
        maximum_speed=1.5,
        maximum_rotation_speed=0.5,
        maximum_mobile_robot_height=2.0,
        minimum_load_handling_device_height=0.1,
        reach_orientation_before_entering=True,
        trajectory=Trajectory(
            control_points=(*(ControlPoint(x=float(n), y=0.0) for n in range(4)),)
        ),
        corridor=Corridor(
            left_width=1.0, right_width=2.0, corridor_reference_point="KINEMATIC_CENTER"
        ),
    )
    return Order(order_id="o", order_update_id=0, nodes=nodes, edges=(edge,))


def test_an_order_in_the_words_of_2() -> None:
    document = said(full_order())
    node, (edge,) = document["nodes"][0], document["edges"]
    assert node["nodePosition"]["allowedDeviationXY"] == 0.2
    assert document["nodes"][1]["nodeDescription"] == "the end"
    (action,) = node["actions"]
    assert (action["blockingType"], action["actionParameters"]) == (
        "HARD",
        [{"key": "triggerType", "value": "LOCAL"}],
    )
    assert (edge["startNodeId"], edge["endNodeId"]) == ("a", "b")
    assert (edge["maxSpeed"], edge["maxRotationSpeed"]) == (1.5, 0.5)
    assert (edge["maxHeight"], edge["minHeight"], edge["rotationAllowed"]) == (2.0, 0.1, False)
    assert edge["trajectory"]["degree"] == 1
    assert edge["trajectory"]["knotVector"] == pytest.approx([0, 0, 1 / 3, 2 / 3, 1, 1])
    assert edge["corridor"] == {
        **{"leftWidth": 1.0, "rightWidth": 2.0},
        "corridorRefPoint": "KINEMATICCENTER",
    }
    assert OLD.lost(full_order()) == [
        "nodes[0].nodePosition.allowedDeviationXY: an ellipse becomes the circle inside it",
        "nodes[0].actions[0].actionParameters[0].value: all but the first type",
        "nodes[0].actions[0].blockingType: SINGLE has no equivalent",
        "nodes[0].actions[0].retriable: left out",
    ]


def test_an_order_of_2_in_the_words_of_3() -> None:
    document = said(full_order()) | {"zoneSetId": "z"}
    read = OLD.decode("order", json.dumps(document).encode())
    assert isinstance(read, Order)
    assert read.zone_set_id == "z"
    (edge,) = read.edges
    assert edge.reach_orientation_before_entering is True
    assert (edge.maximum_speed, edge.maximum_rotation_speed) == (1.5, 0.5)
    position = read.nodes[0].node_position
    assert position is not None
    assert position.allowed_deviation_xy == AllowedDeviation(a=0.2, b=0.2, theta=0.0)
    assert read.nodes[0].actions[0].parameter("triggerType") == ["LOCAL"]
    assert read.nodes[0].actions[0].parameter("other") is None
    # The zone set of 2.1 has no place in 3.0.
    assert "zoneSetId" not in json.loads(NEW.encode(read))
    assert NEW.lost(read) == ["zoneSetId: left out"]


def test_a_corridor_that_nobody_could_release_is_not_sent() -> None:
    order = full_order()
    corridor = Corridor(left_width=1.0, right_width=1.0, release_required=True)
    (edge,) = order.edges
    asked = Order(
        order_id="o",
        order_update_id=0,
        nodes=order.nodes,
        edges=(
            Edge(
                edge_id="ab", sequence_id=1, released=edge.released, actions=(), corridor=corridor
            ),
        ),
    )
    assert "corridor" not in said(asked)["edges"][0]
    assert "edges[0].corridor: left out, 2.1 cannot ask for its release" in OLD.lost(asked)


@pytest.mark.parametrize(
    ("word", "old"),
    [
        ("ONLINE", "ONLINE"),
        ("OFFLINE", "OFFLINE"),
        ("CONNECTION_BROKEN", "CONNECTIONBROKEN"),
        ("HIBERNATING", "OFFLINE"),
    ],
)
def test_connection_words(word: Any, old: str) -> None:
    message = Connection(connection_state=word)
    assert said(message)["connectionState"] == old
    known = word == "HIBERNATING"
    assert OLD.lost(message) == [f"connectionState: {word} has no equivalent"] * known
    read = OLD.decode("connection", OLD.encode(HEADERS.stamp(message)))
    assert isinstance(read, Connection)
    assert (read.connection_state == word) is not known


def test_instant_actions_and_visualizations() -> None:
    actions = InstantActions(
        actions=(Action(action_id="1", action_type="initializePosition", blocking_type="NONE"),)
    )
    assert said(actions)["actions"][0]["actionType"] == "initPosition"
    stamped = HEADERS.stamp(actions)
    assert OLD.decode("instantActions", OLD.encode(stamped)) == stamped
    seen = Visualization(
        reference_state_header_id=7,
        mobile_robot_position=MobileRobotPosition(x=0, y=0, theta=0, map_id="m", localized=False),
    )
    document = said(seen)
    assert document["agvPosition"]["positionInitialized"] is False
    assert OLD.lost(seen) == ["referenceStateHeaderId: left out"]
    for name in ("headerId", "timestamp", "version", "manufacturer", "serialNumber"):
        del document[name]
    bare = OLD.decode("visualization", json.dumps(document).encode())
    assert isinstance(bare, Visualization)
    assert (bare.header_id, bare.reference_state_header_id) == (-1, 0)


def test_a_factsheet_of_2_has_what_3_demands() -> None:
    document = {
        **{"headerId": 0, "timestamp": "2026-03-18T11:40:03.123Z", "version": "2.1.0"},
        **{"manufacturer": "KIT", "serialNumber": "7"},
        "typeSpecification": {
            **{"seriesName": "S", "agvKinematic": "DIFF", "agvClass": "CARRIER"},
            **{"maxLoadMass": 500, "localizationTypes": ["NATURAL"]},
            "navigationTypes": ["AUTONOMOUS"],
        },
        "physicalParameters": {
            **{"speedMin": 0.1, "speedMax": 2.0, "accelerationMax": 0.5, "decelerationMax": 0.6},
            **{"heightMax": 1.8, "width": 0.8, "length": 1.2, "angularSpeedMax": 1.5},
        },
        "protocolLimits": {
            "maxStringLens": {"idLen": 36, "enumLen": 20},
            "maxArrayLens": {"order.nodes": 40},
            "timing": {"minOrderInterval": 1.0, "minStateInterval": 0.5},
        },
        "protocolFeatures": {
            "optionalParameters": [],
            "agvActions": [
                {
                    **{"actionType": "initPosition", "actionScopes": ["INSTANT"]},
                    **{"blockingTypes": ["NONE", "HARD"], "resultDescription": "none"},
                    "actionParameters": [{"key": "x", "valueDataType": "FLOAT"}],
                }
            ],
        },
        "agvGeometry": {
            "envelopes2d": [{"set": "empty", "polygonPoints": [{"x": 0, "y": 0}]}],
            "envelopes3d": [{"set": "all", "format": "DXF", "description": "words"}],
        },
        "loadSpecification": {
            "loadSets": [{"setName": "A", "loadType": "EPAL", "maxWeight": 400, "agvSpeedLimit": 1}]
        },
        "vehicleConfig": {"versions": [{"key": "software", "value": "1.2"}]},
    }
    payload = json.dumps(document).encode()
    assert OLD.faults("factsheet", payload) == []
    read = OLD.decode("factsheet", payload)
    new = json.loads(NEW.encode(read))
    assert new["typeSpecification"]["mobileRobotKinematics"] == "DIFFERENTIAL"
    assert new["typeSpecification"]["navigationTypes"] == ["FREELY_NAVIGATING"]
    assert new["physicalParameters"]["maximumSpeed"] == 2.0
    assert new["physicalParameters"]["maximumAngularSpeed"] == 1.5
    assert new["physicalParameters"]["minimumHeight"] == 1.8
    assert new["protocolLimits"]["maximumStringLengths"] == {"maximumIdLength": 36}
    assert new["protocolLimits"]["maximumArrayLengths"] == {"order.nodes": 40}
    (action,) = new["protocolFeatures"]["mobileRobotActions"]
    assert action["actionType"] == "initializePosition"
    assert action["actionParameters"] == [{"key": "x", "valueDataType": "NUMBER"}]
    assert (action["pauseAllowed"], action["cancelAllowed"]) == (False, False)
    assert action["actionResult"] == "none"
    assert new["mobileRobotGeometry"]["envelopes2d"][0]["envelope2dId"] == "empty"
    (load,) = new["loadSpecification"]["loadSets"]
    assert (load["maximumWeight"], load["maximumSpeed"]) == (400, 1)
    assert new["mobileRobotConfiguration"]["versions"] == [{"key": "software", "value": "1.2"}]
    back = json.loads(OLD.encode(read))
    assert back["protocolFeatures"]["agvActions"][0]["blockingTypes"] == ["NONE", "HARD"]
    assert back["vehicleConfig"] == document["vehicleConfig"]
