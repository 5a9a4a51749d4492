"""Orders that are cancelled (3.0, 6.1.3; 2.1, 6.6.3)."""

from __future__ import annotations

import pytest

from stagetwin_bridges.vda5050.vehicle import TimedDevice
from tests.bridges.vda5050.vehicle.stand import Stand, action, order

A, B, C = ("a", 0.0, 0.0), ("b", 2.0, 0.0), ("c", 4.0, 0.0)
VERSIONS = pytest.mark.parametrize("version", ["2.1.0", "3.0.0"])


def finished(stand: Stand) -> bool:
    return stand.instant_status("cancelOrder") == "FINISHED"


@VERSIONS
def test_6_1_3_a_free_vehicle_stops_where_it_is(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A, B, C], released=2, nodes={1: [action("detectObject", "d")]}))
    stand.step(10)
    stand.instant("cancelOrder")
    stand.until(lambda: finished(stand))
    assert 0.9 < stand.x < 1.5
    assert stand.vehicle.idle
    assert stand.state.node_states == ()
    assert stand.state.edge_states == ()
    # Scheduled actions are reported as failed, the ids of the order are kept.
    assert stand.status("d") == "FAILED"
    assert (stand.state.order_id, stand.state.order_update_id) == ("o", 0)
    assert stand.at == ("a", 0)


@VERSIONS
def test_6_1_3_a_line_guided_vehicle_stops_at_the_next_node(version: str) -> None:
    stand = Stand(version, navigation="PHYSICAL_LINE_GUIDED")
    stand.send(order([A, B, C]))
    stand.step(10)
    assert stand.instant("cancelOrder") == "RUNNING"
    stand.until(lambda: finished(stand))
    assert stand.x == pytest.approx(2.0)
    assert stand.at == ("b", 2)


def test_6_1_3_an_action_that_can_be_cancelled() -> None:
    stand = Stand()
    stand.send(order([A, B], nodes={0: [action("finePositioning", "f", "HARD")]}))
    stand.until(lambda: stand.status("f") == "RUNNING")
    assert stand.instant("cancelOrder") == "FINISHED"
    assert stand.status("f") == "FAILED"


def test_6_1_3_an_action_that_cannot_be_cancelled_is_finished() -> None:
    stand = Stand(device=TimedDevice({"pick": 3.0}))
    stand.send(order([A, B], nodes={0: [action("pick", "p", "HARD")]}))
    stand.until(lambda: stand.status("p") == "RUNNING")
    assert stand.instant("cancelOrder") == "RUNNING"
    assert stand.status("p") == "RUNNING"
    assert not stand.vehicle.idle
    stand.until(lambda: finished(stand))
    assert stand.status("p") == "FINISHED"
    assert stand.vehicle.idle


def test_6_1_3_an_action_that_cannot_be_cancelled_may_fail() -> None:
    stand = Stand(device=TimedDevice({"pick": 3.0}, failure=lambda _: "no load"))
    stand.send(order([A, B], nodes={0: [action("pick", "p", "HARD")]}))
    stand.until(lambda: stand.status("p") == "RUNNING")
    stand.instant("cancelOrder")
    stand.until(lambda: finished(stand))
    assert stand.status("p") == "FAILED"


def test_6_1_3_a_retriable_action_fails_by_cancel() -> None:
    stand = Stand(device=TimedDevice({"pick": 0.5}, failure=lambda _: "no load"))
    stand.send(order([A], nodes={0: [action("pick", "p", "HARD", retriable=True)]}))
    stand.until(lambda: stand.status("p") == "RETRIABLE")
    stand.instant("cancelOrder")
    stand.until(lambda: finished(stand))
    assert stand.status("p") == "FAILED"


def test_6_1_3_waiting_for_a_trigger_fails_by_cancel() -> None:
    stand = Stand()
    stand.send(order([A, B], nodes={0: [action("waitForTrigger", "w", "HARD")]}))
    stand.until(lambda: stand.status("w") == "RUNNING")
    stand.instant("cancelOrder")
    stand.until(lambda: finished(stand))
    assert stand.status("w") == "FAILED"


def test_6_1_3_the_order_may_be_named() -> None:
    stand = Stand()
    stand.send(order([A, B]))
    assert stand.instant("cancelOrder", orderId="o") in ("RUNNING", "FINISHED")
    stand.until(lambda: finished(stand))


def test_6_1_3_nothing_is_taken_while_it_is_being_cancelled() -> None:
    stand = Stand(device=TimedDevice({"pick": 3.0}))
    stand.send(order([A, B], nodes={0: [action("pick", "p", "HARD")]}))
    stand.instant("cancelOrder")
    stand.send(order([A, C], name="p"))
    assert stand.error("OTHER_ORDER_ACTIVE") is not None
    stand.send(order([B, C], update=1, first=2))
    assert stand.error("ORDER_UPDATE_FOLLOWING_CANCEL") is not None


def test_6_1_3_the_word_of_it_and_the_empty_order_come_in_one_state() -> None:
    stand = Stand()
    stand.send(order([A, B, C]))
    stand.step(5)
    stand.instant("cancelOrder")
    stand.until(lambda: finished(stand))
    for state in stand.states:
        told = {a.action_id: a.action_status for a in state.instant_action_states}
        if "cancelOrder" in told:
            assert (told["cancelOrder"] == "FINISHED") == (state.node_states == ())


@VERSIONS
def test_6_1_3_1_a_new_order_may_begin_where_it_stands(version: str) -> None:
    """First option: a temporary node at the vehicle's position."""
    stand = Stand(version)
    stand.send(order([A, B]))
    stand.step(10)
    stand.instant("cancelOrder")
    stand.until(lambda: finished(stand))
    stand.send(order([("tmp", stand.x, 0.0), C], name="p"))
    assert stand.state.order_id == "p"
    assert stand.at == ("tmp", 0)
    stand.until(lambda: stand.vehicle.idle)
    assert stand.x == pytest.approx(4.0)


@VERSIONS
def test_6_1_3_1_a_new_order_may_begin_at_the_last_node_with_a_large_deviation(
    version: str,
) -> None:
    """Second option: the node that was passed last, large enough to hold the vehicle."""
    stand = Stand(version)
    stand.send(order([A, B]))
    stand.step(10)
    stand.instant("cancelOrder")
    stand.until(lambda: finished(stand))
    stand.send(order([A, C], name="p", deviation=1.5))
    assert stand.at == ("a", 0)
    stand.until(lambda: stand.vehicle.idle)
    assert stand.at == ("c", 2)


def test_6_1_3_1_a_small_deviation_is_not_enough() -> None:
    stand = Stand()
    stand.send(order([A, B]))
    stand.step(10)
    stand.instant("cancelOrder")
    stand.until(lambda: finished(stand))
    stand.send(order([A, C], name="p", deviation=0.5))
    assert stand.error("START_NODE_OUT_OF_RANGE") is not None


@VERSIONS
def test_6_1_3_2_nothing_to_cancel(version: str) -> None:
    stand = Stand(version)
    assert stand.instant("cancelOrder", "c1") == "FAILED"
    found = stand.error("NO_ORDER_TO_CANCEL")
    assert found is not None
    assert found.error_level == "WARNING"
    assert stand.references("NO_ORDER_TO_CANCEL")["actionId"] == "c1"
    stand.send(order([A, B]))
    assert stand.state.errors == ()


@VERSIONS
def test_6_1_3_2_the_previous_order_was_cancelled_already(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A, B]))
    stand.instant("cancelOrder")
    stand.until(lambda: finished(stand))
    assert stand.instant("cancelOrder", "c2") == "FAILED"
    assert stand.references("NO_ORDER_TO_CANCEL")["actionId"] == "c2"


def test_6_1_3_2_another_order_is_active() -> None:
    stand = Stand()
    stand.send(order([A, B]))
    assert stand.instant("cancelOrder", "c1", orderId="other") == "FAILED"
    assert stand.error("NO_ORDER_TO_CANCEL") is not None
    stand.until(lambda: stand.vehicle.idle)
    assert stand.at == ("b", 2)
