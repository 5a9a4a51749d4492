"""Orders: base, horizon, stitching and figure 8 (3.0, 6.1.1 and 6.1.2), in both versions."""

from __future__ import annotations

import msgspec
import pytest

from stagetwin.maps import Lane, Node, RoadMap
from stagetwin_bridges.vda5050.vehicle import Vehicle
from tests.bridges.vda5050.vehicle.stand import Stand, action, order

A, B, C, D = ("a", 0.0, 0.0), ("b", 2.0, 0.0), ("c", 4.0, 0.0), ("d", 6.0, 0.0)
VERSIONS = pytest.mark.parametrize("version", ["2.1.0", "3.0.0"])


@VERSIONS
def test_6_1_1_the_first_node_counts_as_passed_and_is_not_reported(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A, B]))
    assert stand.at == ("a", 0)
    assert [n.node_id for n in stand.state.node_states] == ["b"]
    assert [e.edge_id for e in stand.state.edge_states] == ["a-b"]


@VERSIONS
def test_6_1_1_one_node_is_an_order(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A], nodes={0: [action("detectObject", "d1")]}))
    stand.until(lambda: stand.vehicle.idle)
    assert stand.at == ("a", 0)
    assert stand.status("d1") == "FINISHED"


@VERSIONS
def test_6_1_2_it_stops_at_the_decision_point_and_asks_for_more_base(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A, B, C], released=2))
    stand.until(lambda: stand.at == ("b", 2))
    stand.step(50)
    assert stand.x == pytest.approx(2.0)
    assert stand.state.new_base_request
    assert [(n.node_id, n.released) for n in stand.state.node_states] == [("c", False)]
    assert not stand.vehicle.idle


@VERSIONS
def test_6_1_2_an_update_extends_the_base(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A, B, C], released=2))
    stand.send(order([B, C, D], update=1, first=2))
    assert stand.state.order_update_id == 1
    assert [n.released for n in stand.state.node_states] == [True, True, True]
    stand.until(lambda: stand.vehicle.idle)
    assert stand.at == ("d", 6)
    assert stand.x == pytest.approx(6.0)


@VERSIONS
def test_6_1_2_an_update_in_time_lets_it_drive_without_a_stop(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A, B, C], released=2))
    stand.send(order([B, C], update=1, first=2))
    stand.until(lambda: stand.at == ("c", 4))
    driving = [s.driving for s in stand.states if s.last_node_id == "b"]
    assert driving
    assert all(driving)


@VERSIONS
def test_6_1_2_an_update_replaces_the_horizon(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A, B, C, D], released=2, nodes={2: [action("detectObject", "old")]}))
    assert stand.status("old") == "WAITING"
    other = ("e", 2.0, 3.0)
    stand.send(
        order([B, other], released=1, update=1, first=2, nodes={1: [action("detectObject", "new")]})
    )
    assert [n.node_id for n in stand.state.node_states] == ["b", "e"]
    assert [a.action_id for a in stand.state.action_states] == ["new"]


@VERSIONS
def test_6_1_2_an_update_may_delete_the_horizon(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A, B, C], released=2))
    stand.send(order([B], update=1, first=2))
    assert [n.node_id for n in stand.state.node_states] == ["b"]
    stand.until(lambda: stand.vehicle.idle)
    assert stand.at == ("b", 2)


@VERSIONS
def test_6_1_2_the_stitching_nodes_actions_run_once(version: str) -> None:
    stand = Stand(version)
    wait = action("detectObject", "d1", "HARD")
    stand.send(order([A, B], nodes={1: [wait]}))
    stand.until(lambda: stand.status("d1") == "FINISHED")
    stand.send(order([B, C], update=1, first=2, nodes={0: [wait]}))
    told = [a.action_status for s in stand.states for a in s.action_states if s.order_update_id]
    assert set(told) == {"FINISHED"}
    stand.until(lambda: stand.at == ("c", 4))


@VERSIONS
def test_figure_7_an_additional_stitching_node_brings_actions_to_where_it_stands(
    version: str,
) -> None:
    stand = Stand(version)
    first = action("detectObject", "d1", "HARD")
    stand.send(order([A, B, C], released=2, nodes={1: [first]}))
    stand.until(lambda: stand.status("d1") == "FINISHED")
    again = ("b", 2.0, 0.0)
    stand.send(
        order(
            [B, again, C],
            update=1,
            first=2,
            nodes={0: [first], 1: [action("finePositioning", "f1", "HARD")]},
        )
    )
    stand.until(lambda: stand.status("f1") == "RUNNING")
    assert stand.at == ("b", 4)
    assert stand.x == pytest.approx(2.0)
    stand.until(lambda: stand.at == ("c", 6))
    assert stand.status("f1") == "FINISHED"


def test_figure_7_a_new_action_on_the_decision_point_itself_is_refused() -> None:
    stand = Stand()
    stand.send(order([A, B], nodes={1: [action("detectObject", "d1")]}))
    stand.send(order([B, C], update=1, first=2, nodes={0: [action("detectObject", "d2")]}))
    assert stand.references("INVALID_ORDER")["nodeId"] == "b"
    assert stand.state.order_update_id == 0


def test_2_1_what_the_first_order_said_of_the_stitching_node_holds() -> None:
    """2.1, 6.6.2: for actions of the stitching node the first order's instructions are used."""
    stand = Stand("2.1.0")
    stand.send(order([A, B], nodes={1: [action("detectObject", "d1")]}))
    stand.send(order([B, C], update=1, first=2, nodes={0: [action("detectObject", "d2")]}))
    stand.until(lambda: stand.vehicle.idle)
    assert [a.action_id for a in stand.state.action_states] == ["d1"]
    assert stand.at == ("c", 4)


@VERSIONS
def test_figure_8_question_4_a_new_order_with_an_update_id(version: str) -> None:
    """3.0 wants 0; 2.1 does not ask."""
    stand = Stand(version)
    stand.send(order([A, B], update=3))
    if version == "2.1.0":
        assert stand.state.order_update_id == 3
    else:
        assert stand.state.order_id == ""
        assert stand.references("INVALID_ORDER")["orderUpdateId"] == "3"


@VERSIONS
def test_figure_8_question_7_an_update_after_cancel(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A, B]))
    stand.instant("cancelOrder")
    stand.until(lambda: stand.instant_status("cancelOrder") == "FINISHED")
    stand.send(order([B, C], update=1, first=2))
    found = stand.error("ORDER_UPDATE_FOLLOWING_CANCEL")
    assert found is not None
    assert found.error_level == "WARNING"
    assert stand.references("ORDER_UPDATE_FOLLOWING_CANCEL")["orderUpdateId"] == "1"
    assert stand.state.node_states == ()


@VERSIONS
def test_figure_8_question_9_an_update_must_begin_at_the_decision_point(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A, B, C], released=2))
    stand.send(order([C, D], update=1, first=4))
    assert stand.references("INVALID_ORDER")["nodeId"] == "c"
    stand.until(lambda: stand.at == ("b", 2))
    assert stand.state.order_update_id == 0


@VERSIONS
def test_figure_8_question_9_the_sequence_id_counts_as_well(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A, B, C], released=2))
    stand.send(order([B, C], update=1, first=4))
    assert stand.error("INVALID_ORDER") is not None


@VERSIONS
def test_figure_8_question_10_an_update_continues_a_finished_order(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A, B]))
    stand.until(lambda: stand.vehicle.idle)
    stand.step(100)
    stand.send(order([B, C], update=1, first=2))
    stand.until(lambda: stand.vehicle.idle)
    assert stand.at == ("c", 4)


@VERSIONS
def test_6_1_2_1_a_finished_order_leaves_it_idle_and_ready(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A, B]))
    stand.until(lambda: stand.vehicle.idle)
    stand.step()
    assert stand.state.node_states == ()
    assert (stand.state.order_id, stand.state.order_update_id) == ("o", 0)
    stand.send(order([B, A], name="p"))
    assert stand.state.order_id == "p"
    stand.until(lambda: stand.vehicle.idle)
    assert stand.at == ("a", 2)


def test_a_loop_passes_a_node_twice() -> None:
    stand = Stand()
    stand.send(order([A, B, A]))
    stand.until(lambda: stand.vehicle.idle)
    stand.step()
    passed = dict.fromkeys((s.last_node_id, s.last_node_sequence_id) for s in stand.states)
    assert [p for p in passed if p[0]] == [("a", 0), ("b", 2), ("a", 4)]


def test_6_6_2_a_heading_at_a_node_is_matched() -> None:
    stand = Stand()
    stand.send(order([A, B], theta=1.5))
    stand.until(lambda: stand.vehicle.idle)
    assert stand.bodies.poses()[0, 2] == pytest.approx(1.5)


def test_4_1_a_lost_connection_changes_nothing_of_what_is_released() -> None:
    """Nobody takes what it says, nobody speaks to it: it drives to the last released node."""
    stand = Stand()
    stand.send(order([A, B, C, D], released=3))
    for _ in range(100):
        stand.now += 0.1
        stand.bodies.step(0.1)
        stand.vehicle.step(stand.now)
    assert stand.x == pytest.approx(4.0)
    stand.vehicle.connect(stand.now)
    stand.step()
    assert stand.at == ("c", 4)
    assert stand.words[-1] == "ONLINE"


def test_a_node_of_a_known_map_needs_no_position() -> None:
    stand = Stand()
    road_map = RoadMap(
        id="map",
        nodes={"a": Node(id="a", x=0.0, y=0.0), "b": Node(id="b", x=2.0, y=0.0)},
        lanes={"a-b": Lane(id="a-b", start="a", end="b", path=((1.0, 1.0),))},
    )
    stand.vehicle = Vehicle(
        stand.identity,
        stand.vehicle._parts.sheet,
        bodies=stand.bodies,
        index=0,
        road_map=road_map,
    )
    assert stand.vehicle.last_node_id == "a"
    plain = order([A, B])
    nodes = tuple(msgspec.structs.replace(n, node_position=None) for n in plain.nodes)
    stand.send(msgspec.structs.replace(plain, nodes=nodes))
    stand.step(12)
    assert stand.bodies.poses()[0, 1] > 0.6
    stand.until(lambda: stand.vehicle.idle)
    assert stand.x == pytest.approx(2.0)


def test_the_first_node_may_carry_another_position_after_a_stop_between_nodes() -> None:
    stand = Stand(pose=(1.3, 0.0, 0.0))
    here = ("tmp", 1.3, 0.0)
    stand.send(order([here, B]))
    stand.until(lambda: stand.vehicle.idle)
    assert stand.at == ("b", 2)
    assert stand.x == pytest.approx(2.0)
