"""Orders that are refused: one test for each case of 3.0, 6.1.4, and of 2.1, 6.6.4."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from stagetwin.fleets import VehicleType
from stagetwin_bridges.vda5050.messages import (
    Codec,
    ControlPoint,
    MaximumArrayLengths,
    MobileRobotAction,
    Order,
    Trajectory,
)
from stagetwin_bridges.vda5050.vehicle import VehicleOptions, make_factsheet
from tests.bridges.vda5050.vehicle.stand import Stand, action, order

A, B, C = ("a", 0.0, 0.0), ("b", 2.0, 0.0), ("c", 4.0, 0.0)
VERSIONS = pytest.mark.parametrize("version", ["2.1.0", "3.0.0"])

# What each case is called and how grave it is on the wire.
WORDS = {
    "3.0.0": {
        "malformed": ("VALIDATION_FAILURE", "WARNING"),
        "field": ("UNSUPPORTED_PARAMETER", "CRITICAL"),
        "action": ("INVALID_ORDER_ACTION", "WARNING"),
        "outdated": ("OUTDATED_ORDER_UPDATE", "WARNING"),
        "other": ("OTHER_ORDER_ACTIVE", "WARNING"),
        "start": ("START_NODE_OUT_OF_RANGE", "WARNING"),
        "route": ("NO_ROUTE_TO_TARGET", "WARNING"),
        "mode": ("MOBILE_ROBOT_NOT_AVAILABLE", "WARNING"),
        "map": ("UNKNOWN_MAP_ID", "WARNING"),
    },
    "2.1.0": {
        "malformed": ("validationError", "WARNING"),
        "field": ("orderError", "WARNING"),
        "action": ("orderError", "WARNING"),
        "outdated": ("orderUpdateError", "WARNING"),
    },
}


def said(stand: Stand) -> list[tuple[str, str]]:
    """Return types and levels of the newest state's errors as they are on the wire."""
    document = msgspec.json.decode(stand.codec.encode(stand.state))
    return [(each["errorType"], each["errorLevel"]) for each in document["errors"]]


def accepted_ends_it(stand: Stand) -> None:
    """A new order that is taken ends the report."""
    if stand.state.order_id and not stand.vehicle.idle:
        stand.until(lambda: stand.vehicle.idle)
    here = ("here", stand.x, 0.0)
    stand.send(order([here], name="good"))
    assert stand.state.order_id == "good"
    assert stand.state.errors == ()


def changed(message: Order, **fields: Any) -> Order:
    return msgspec.structs.replace(message, **fields)


@VERSIONS
def test_6_1_4_1_a_malformed_order(version: str) -> None:
    stand = Stand(version)
    broken = order([A, B])
    stand.give(changed(broken, edges=()))
    assert said(stand) == [WORDS[version]["malformed"]]
    assert stand.state.order_id == ""
    assert stand.references("VALIDATION_FAILURE")["orderId"] == "o"
    stand.step(50)
    assert said(stand) == [WORDS[version]["malformed"]]
    accepted_ends_it(stand)


@VERSIONS
def test_6_1_4_1_an_order_that_cannot_be_read(version: str) -> None:
    stand = Stand(version)
    stand.vehicle.refuse("order", ["orderId: missing"], stand.now, {"orderUpdateId": "0"})
    stand.step()
    assert said(stand) == [WORDS[version]["malformed"]]
    assert stand.references("VALIDATION_FAILURE") == {"topic": "order", "orderUpdateId": "0"}
    accepted_ends_it(stand)


def second(message: Order, **fields: Any) -> tuple[Any, ...]:
    nodes = list(message.nodes)
    nodes[1] = msgspec.structs.replace(nodes[1], **fields)
    return tuple(nodes)


@pytest.mark.parametrize(
    "broken",
    [
        changed(order([A, B]), nodes=()),
        changed(order([A, B]), order_id=""),
        changed(order([A, B]), nodes=second(order([A, B]), sequence_id=3)),
        order([A, B], first=4),
        order([A, B], released=0),
        changed(order([A, B], released=1), nodes=order([A, B]).nodes),
        changed(order([A, B, C], released=2), edges=order([A, B, C]).edges),
        order([A, B], nodes={0: [action("detectObject", "x")], 1: [action("detectObject", "x")]}),
        order([A, ("b", float("nan"), 0.0)]),
        order([A, B], theta=4.0),
        order([A, B], edge={"maximum_speed": 0.0}),
        order(
            [A, B],
            edge={
                "trajectory": Trajectory(
                    degree=3,
                    control_points=(ControlPoint(x=0.0, y=0.0), ControlPoint(x=1.0, y=0.0)),
                )
            },
        ),
    ],
    ids=[
        "no node",
        "no id",
        "sequence",
        "first sequence",
        "nothing released",
        "edge not released",
        "node not released",
        "action twice",
        "nan",
        "heading",
        "speed",
        "curve",
    ],
)
def test_6_1_4_1_what_is_malformed(broken: Order) -> None:
    stand = Stand()
    stand.give(broken)
    assert [kind for kind, _ in said(stand)] == ["VALIDATION_FAILURE"]
    assert stand.state.order_id == ""


@VERSIONS
def test_6_1_4_2_an_optional_field_that_it_cannot_use(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A, B], edge={"direction": "left"}))
    assert said(stand) == [WORDS[version]["field"]]
    found = stand.state.errors[0]
    told = {r.reference_key: r.reference_value for r in found.error_references or ()}
    assert told["parameter"] == "order.edges.direction"
    assert told["edgeId"] == "a-b"
    accepted_ends_it(stand)


@pytest.mark.parametrize(
    ("reverses", "orientation", "kind", "taken"),
    [
        (False, 0.0, None, True),
        (False, 0.0, "TANGENTIAL", True),
        (False, math.pi, None, False),
        (False, 1.5, "TANGENTIAL", False),
        (True, 0.0, "TANGENTIAL", True),
        (True, math.pi, None, True),
        (True, -math.pi, "TANGENTIAL", True),
        (True, 1.5, "TANGENTIAL", False),
        (True, math.pi, "GLOBAL", False),  # for omnidirectional vehicles alone (7.3)
        (True, 0.0, "GLOBAL", False),
    ],
)
def test_7_3_how_a_differential_drive_may_be_turned_on_an_edge(
    reverses: bool, orientation: float, kind: str | None, taken: bool
) -> None:
    stand = Stand(options=VehicleOptions(reverses=reverses))
    stand.send(order([A, B], edge={"orientation": orientation, "orientation_type": kind}))
    if taken:
        assert stand.state.order_id == "o"
        assert stand.state.errors == ()
    else:
        assert stand.references("UNSUPPORTED_PARAMETER")["edgeId"] == "a-b"
        assert ("pi (backward)" in str(stand.state.errors[0].error_description)) is reverses


def test_6_1_4_2_a_field_that_the_factsheet_demands() -> None:
    sheet = make_factsheet(VehicleType())
    features = sheet.protocol_features
    needed = tuple(
        msgspec.structs.replace(p, support="REQUIRED")
        if p.parameter == "order.nodes.nodePosition"
        else p
        for p in features.optional_parameters
    )
    features = msgspec.structs.replace(features, optional_parameters=needed)
    stand = Stand(factsheet=msgspec.structs.replace(sheet, protocol_features=features))
    plain = order([A, B])
    stand.send(changed(plain, nodes=second(plain, node_position=None)))
    assert stand.references("UNSUPPORTED_PARAMETER")["nodeId"] == "b"


@VERSIONS
@pytest.mark.parametrize(
    "bad",
    [
        action("fly"),
        action("pick", loadType="EPAL", height=2.5),
        action("pick", loadType="ISO-CONTAINER"),
        action("pick", lhd="LHD9"),
        action("pick", colour="red"),
        action("cancelOrder"),
    ],
    ids=["unknown", "too high", "load type", "load position", "parameter", "scope"],
)
def test_6_1_4_3_an_action_that_it_cannot_perform(version: str, bad: Any) -> None:
    stand = Stand(version)
    stand.send(order([A, B], nodes={1: [msgspec.structs.replace(bad, action_id="x")]}))
    assert said(stand) == [WORDS[version]["action"]]
    told = {
        r.reference_key: r.reference_value for r in stand.state.errors[0].error_references or ()
    }
    assert told["actionId"] == "x"
    assert (told["orderId"], told["orderUpdateId"]) == ("o", "0")
    assert stand.state.order_id == ""
    accepted_ends_it(stand)


@VERSIONS
def test_6_1_4_4_a_lower_update_id(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A, B, C], released=2))
    stand.send(order([B, C], released=1, update=2, first=2))
    stand.send(order([B, C], update=1, first=2))
    assert said(stand) == [WORDS[version]["outdated"]]
    assert stand.references("OUTDATED_ORDER_UPDATE")["orderUpdateId"] == "1"
    assert stand.state.order_update_id == 2
    # The order it has goes on.
    stand.until(lambda: stand.at == ("b", 2))
    assert said(stand) == [WORDS[version]["outdated"]]
    stand.send(order([B, C], update=3, first=2))
    assert stand.state.errors == ()


@VERSIONS
def test_6_1_4_5_the_same_order_again_is_ignored(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A, B]))
    stand.step(3)
    before = stand.state
    stand.send(order([A, B]))
    assert stand.state.errors == ()
    assert stand.state.node_states == before.node_states
    stand.until(lambda: stand.vehicle.idle)
    stand.send(order([A, B]))
    assert stand.vehicle.idle
    assert stand.state.errors == ()


def test_6_1_4_5_another_content_under_the_same_ids() -> None:
    stand = Stand()
    stand.send(order([A, B]))
    stand.send(order([A, C]))
    found = stand.error("SAME_ORDER_UPDATE_ID")
    assert found is not None
    assert found.error_level == "WARNING"
    assert stand.references("SAME_ORDER_UPDATE_ID")["orderUpdateId"] == "0"
    stand.until(lambda: stand.vehicle.idle)
    assert stand.at == ("b", 2)
    accepted_ends_it(stand)


def test_2_1_6_6_4_3_another_content_under_the_same_ids_is_ignored_as_well() -> None:
    stand = Stand("2.1.0")
    stand.send(order([A, B]))
    stand.send(order([A, C]))
    assert stand.state.errors == ()
    stand.until(lambda: stand.vehicle.idle)
    assert stand.at == ("b", 2)


@VERSIONS
def test_6_1_4_6_another_order_while_one_is_active(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A, B]))
    stand.send(order([A, C], name="p"))
    assert stand.references("OTHER_ORDER_ACTIVE")["orderId"] == "p"
    if version == "3.0.0":
        assert said(stand) == [WORDS[version]["other"]]
    assert stand.state.order_id == "o"
    stand.until(lambda: stand.vehicle.idle)
    assert stand.at == ("b", 2)
    accepted_ends_it(stand)


@VERSIONS
def test_6_1_4_6_a_horizon_alone_keeps_an_order_active(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A, B], released=1))
    stand.step(20)
    stand.send(order([A, C], name="p"))
    assert stand.error("OTHER_ORDER_ACTIVE") is not None


@VERSIONS
def test_6_1_4_7_the_start_node_is_out_of_range(version: str) -> None:
    stand = Stand(version)
    stand.send(order([("a", 0.5, 0.0), B]))
    assert stand.references("START_NODE_OUT_OF_RANGE")["orderId"] == "o"
    if version == "3.0.0":
        assert said(stand) == [WORDS[version]["start"]]
    assert stand.state.order_id == ""
    # The same with a deviation that holds the vehicle is taken.
    stand.send(order([("a", 0.5, 0.0), B], deviation=0.6))
    assert stand.state.order_id == "o"
    assert stand.state.errors == ()


def test_6_1_4_7_the_heading_counts_where_the_start_node_has_one() -> None:
    stand = Stand(pose=(0.0, 0.0, 2.0))
    stand.send(order([A], theta=0.0))
    assert stand.error("START_NODE_OUT_OF_RANGE") is not None
    stand.send(order([A], theta=2.0))
    assert stand.state.order_id == "o"


@VERSIONS
def test_6_1_4_8_a_node_that_cannot_be_reached(version: str) -> None:
    stand = Stand(version)
    plain = order([A, B])
    stand.send(changed(plain, nodes=second(plain, node_position=None)))
    assert stand.references("NO_ROUTE_TO_TARGET")["orderId"] == "o"
    if version == "3.0.0":
        assert said(stand) == [WORDS[version]["route"]]
    assert stand.state.order_id == ""
    accepted_ends_it(stand)


def test_6_1_4_8_an_edge_that_is_too_low() -> None:
    stand = Stand()
    stand.send(order([A, B], edge={"maximum_mobile_robot_height": 0.1}))
    assert stand.references("NO_ROUTE_TO_TARGET")["edgeId"] == "a-b"


@pytest.mark.parametrize("mode", ["MANUAL", "STARTUP", "SERVICE", "TEACH_IN"])
def test_6_1_4_9_an_operating_mode_without_orders(mode: Any) -> None:
    stand = Stand()
    stand.vehicle.set_mode(mode, stand.now)
    stand.send(order([A, B]))
    assert said(stand) == [WORDS["3.0.0"]["mode"]]
    assert stand.references("MOBILE_ROBOT_NOT_AVAILABLE")["orderId"] == "o"
    assert stand.state.order_id == ""
    # It is reported until the mode allows orders, not until one is accepted.
    stand.vehicle.set_mode("AUTOMATIC", stand.now)
    stand.step()
    assert stand.state.errors == ()


def test_2_1_an_operating_mode_without_orders() -> None:
    stand = Stand("2.1.0")
    stand.vehicle.set_mode("MANUAL", stand.now)
    stand.send(order([A, B]))
    assert said(stand) == [("orderError", "WARNING")]


@VERSIONS
def test_6_1_4_10_an_unknown_map(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A, B], map_id="attic"))
    assert stand.references("UNKNOWN_MAP_ID")["orderId"] == "o"
    if version == "3.0.0":
        assert said(stand) == [WORDS[version]["map"]]
    assert stand.state.order_id == ""
    accepted_ends_it(stand)


def test_7_1_2_an_order_that_is_too_long() -> None:
    sheet = make_factsheet(VehicleType())
    limits = msgspec.structs.replace(
        sheet.protocol_limits, maximum_array_lengths=MaximumArrayLengths(order_nodes=2)
    )
    stand = Stand(factsheet=msgspec.structs.replace(sheet, protocol_limits=limits))
    stand.send(order([A, B, C]))
    found = stand.error("INSUFFICIENT_MEMORY")
    assert found is not None
    assert found.error_level == "URGENT"
    stand.send(order([A, B]))
    assert stand.state.errors == ()


def test_an_action_of_the_base_cannot_come_again_in_an_update() -> None:
    stand = Stand()
    stand.send(order([A, B], nodes={0: [action("detectObject", "x")]}))
    stand.send(order([B, C], update=1, first=2, nodes={1: [action("detectObject", "x")]}))
    assert stand.references("VALIDATION_FAILURE")["actionId"] == "x"


def test_a_factsheet_limits_the_blocking_types() -> None:
    sheet = make_factsheet(VehicleType())
    only = MobileRobotAction(
        action_type="blink",
        action_scopes=("NODE",),
        blocking_types=("HARD",),
        pause_allowed=False,
        cancel_allowed=True,
    )
    features = msgspec.structs.replace(sheet.protocol_features, mobile_robot_actions=(only,))
    stand = Stand(factsheet=msgspec.structs.replace(sheet, protocol_features=features))
    stand.send(order([A], nodes={0: [action("blink", "x", "SOFT")]}))
    assert stand.error("INVALID_ORDER_ACTION") is not None
    stand.send(order([A], nodes={0: [action("blink", "x", "HARD")]}))
    assert stand.state.order_id == "o"


def test_a_refused_order_is_told_at_once() -> None:
    """6.6: receiving an order sends a state."""
    stand = Stand()
    count = len(stand.states)
    stand.send(order([A, B], map_id="attic"))
    assert len(stand.states) == count + 1
    assert Codec("3.0.0").faults("state", Codec("3.0.0").encode(stand.state)) == []
