"""Actions of orders: blocking types, order, edges, retries (3.0, 6.2.2, 6.6.2 and 6.6.9)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stagetwin_bridges.vda5050.messages import Action, InstantActions
from stagetwin_bridges.vda5050.vehicle import TimedDevice
from tests.bridges.vda5050.vehicle.stand import Stand, action, order

A, B, C = ("a", 0.0, 0.0), ("b", 2.0, 0.0), ("c", 4.0, 0.0)
VERSIONS = pytest.mark.parametrize("version", ["2.1.0", "3.0.0"])
SECONDS = {"detectObject": 1.0, "finePositioning": 1.0}


def begun_at(stand: Stand, name: str) -> float:
    """Return when a state first told that an action runs or is over [s since the stand began]."""
    for state in stand.states:
        for each in state.action_states:
            if each.action_id == name and each.action_status not in ("WAITING", "FAILED"):
                return state.header_id
    raise AssertionError(name)


def together(stand: Stand, one: str, other: str) -> bool:
    """Return whether a state ever told that both run."""
    for state in stand.states:
        running = {a.action_id for a in state.action_states if a.action_status == "RUNNING"}
        if {one, other} <= running:
            return True
    return False


@VERSIONS
def test_6_2_2_none_lets_it_drive_and_do_other_things(version: str) -> None:
    stand = Stand(version, device=TimedDevice(SECONDS))
    first, second = action("detectObject", "x"), action("finePositioning", "y")
    stand.send(order([A, B], nodes={0: [first, second]}))
    stand.until(lambda: stand.vehicle.idle)
    assert together(stand, "x", "y")
    assert any(s.driving and stand_runs(s, "x") for s in stand.states)


def stand_runs(state: Any, name: str) -> bool:
    return any(a.action_id == name and a.action_status == "RUNNING" for a in state.action_states)


@VERSIONS
def test_6_2_2_soft_stands_but_lets_it_do_other_things(version: str) -> None:
    stand = Stand(version, device=TimedDevice(SECONDS))
    nodes = {1: [action("detectObject", "x", "SOFT"), action("finePositioning", "y", "SOFT")]}
    stand.send(order([A, B, C], nodes=nodes))
    stand.until(lambda: stand.vehicle.idle)
    assert together(stand, "x", "y")
    assert not any(s.driving for s in stand.states if stand_runs(s, "x") or stand_runs(s, "y"))
    assert stand.at == ("c", 4)


def test_6_2_2_single_drives_but_runs_alone() -> None:
    stand = Stand(device=TimedDevice(SECONDS))
    nodes = {0: [action("detectObject", "x", "SINGLE"), action("finePositioning", "y")]}
    stand.send(order([A, B], nodes=nodes))
    stand.until(lambda: stand.vehicle.idle)
    assert not together(stand, "x", "y")
    assert begun_at(stand, "x") < begun_at(stand, "y")
    assert any(s.driving and stand_runs(s, "x") for s in stand.states)


@VERSIONS
def test_6_2_2_hard_stands_and_runs_alone(version: str) -> None:
    stand = Stand(version, device=TimedDevice(SECONDS))
    nodes = {
        1: [
            action("detectObject", "x"),
            action("finePositioning", "y", "HARD"),
            action("detectObject", "z"),
        ]
    }
    stand.send(order([A, B, C], nodes=nodes))
    stand.until(lambda: stand.vehicle.idle)
    # What was collected before it is over first; what comes behind it waits.
    assert not together(stand, "x", "y")
    assert not together(stand, "y", "z")
    assert begun_at(stand, "x") < begun_at(stand, "y") < begun_at(stand, "z")
    assert not any(s.driving for s in stand.states if stand_runs(s, "y"))


def test_6_2_2_a_hard_action_in_the_queue_stops_it_before_it_begins() -> None:
    """Figure 11: any SOFT or HARD action in the queue stops automatic driving."""
    stand = Stand(device=TimedDevice({"detectObject": 3.0, "finePositioning": 1.0}))
    nodes = {0: [action("detectObject", "x")], 1: [action("finePositioning", "y", "HARD")]}
    stand.send(order([A, B, C], nodes=nodes))
    stand.until(lambda: stand.at == ("b", 2))
    assert stand.status("x") == "RUNNING"
    assert stand.status("y") == "WAITING"
    stand.until(lambda: stand.status("y") == "FINISHED")
    assert stand.x == pytest.approx(2.0)


@VERSIONS
def test_6_6_2_actions_of_an_edge_run_on_it_alone(version: str) -> None:
    stand = Stand(version, device=TimedDevice({"detectObject": 60.0}))
    stand.send(order([A, B, C], edges={1: [action("detectObject", "e")]}))
    stand.until(lambda: stand.at == ("b", 2))
    told = {a.action_id: a.action_status for s in stand.states[:-1] for a in s.action_states}
    assert told["e"] == "WAITING"
    stand.until(lambda: stand.status("e") == "RUNNING")
    stand.until(lambda: stand.at == ("c", 4))
    assert stand.status("e") == "FINISHED"
    assert stand.vehicle.idle


def test_6_6_2_an_edge_is_entered_once_it_drives_again() -> None:
    stand = Stand(device=TimedDevice({"finePositioning": 1.0, "detectObject": 0.5}))
    stand.send(
        order(
            [A, B],
            nodes={0: [action("finePositioning", "n", "HARD")]},
            edges={0: [action("detectObject", "e")]},
        )
    )
    stand.until(lambda: stand.status("n") == "RUNNING")
    assert stand.status("e") == "WAITING"
    stand.until(lambda: stand.status("n") == "FINISHED")
    stand.until(lambda: stand.status("e") == "RUNNING")


def test_6_6_2_an_edge_may_begin_with_standing() -> None:
    stand = Stand(device=TimedDevice(SECONDS))
    stand.send(order([A, B, C], edges={1: [action("detectObject", "e", "HARD")]}))
    stand.until(lambda: stand.status("e") == "RUNNING")
    assert stand.x == pytest.approx(2.0)
    stand.until(lambda: stand.vehicle.idle)
    assert stand.x == pytest.approx(4.0)


def test_6_6_2_what_never_began_on_its_edge_has_failed() -> None:
    stand = Stand(device=TimedDevice({"detectObject": 60.0}))
    edges = {0: [action("detectObject", "x", "SINGLE"), action("detectObject", "y")]}
    stand.send(order([A, B], edges=edges))
    stand.until(lambda: stand.vehicle.idle)
    stand.step()
    assert (stand.status("x"), stand.status("y")) == ("FINISHED", "FAILED")


@VERSIONS
def test_6_6_9_1_actions_of_the_horizon_are_reported_as_waiting(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A, B, C], released=1, nodes={2: [action("pick", "p", loadType="EPAL")]}))
    stand.step(30)
    assert stand.status("p") == "WAITING"
    assert stand.x == 0.0


@VERSIONS
def test_6_6_9_initializing_comes_before_running(version: str) -> None:
    stand = Stand(version, device=TimedDevice({"pick": 1.0}, initializing={"pick": 1.0}))
    stand.send(order([A], nodes={0: [action("pick", "p", "HARD")]}))
    stand.until(lambda: stand.vehicle.idle)
    stand.step()
    told = [a.action_status for s in stand.states for a in s.action_states]
    assert list(dict.fromkeys(told)) == ["INITIALIZING", "RUNNING", "FINISHED"]


@VERSIONS
def test_pick_and_drop_change_the_load(version: str) -> None:
    stand = Stand(version, device=TimedDevice({"pick": 0.5, "drop": 0.5}))
    picked = action("pick", "p", "HARD", loadType="EPAL", loadId="L7", lhd="LHD1")
    stand.send(order([A, B], nodes={0: [picked], 1: [action("drop", "d", "HARD", loadId="L7")]}))
    stand.until(lambda: stand.status("p") == "FINISHED")
    (load,) = stand.state.loads or ()
    assert (load.load_id, load.load_type, load.load_position) == ("L7", "EPAL", "LHD1")
    assert stand.bodies.loads == [200.0]
    stand.until(lambda: stand.status("d") == "FINISHED")
    assert stand.state.loads == ()
    assert stand.bodies.loads == [0.0]


@pytest.mark.parametrize("kind", ["pick", "drop"])
def test_a_load_where_none_should_be_fails_the_action(kind: str) -> None:
    stand = Stand(device=TimedDevice({"pick": 0.1, "drop": 0.1}))
    actions = [action("pick", "p1", "HARD")] if kind == "pick" else []
    stand.send(order([A, B], nodes={0: [*actions, action(kind, "last", "HARD")]}))
    stand.until(lambda: stand.status("last") == "FAILED")
    # CRITICAL: it does not drive on without what the order is about (6.6.5.1).
    stand.step(30)
    found = stand.error("ACTION_FAILED")
    assert found is not None
    assert found.error_level == "CRITICAL"
    assert stand.references("ACTION_FAILED") == {"actionId": "last"}
    assert stand.x == 0.0
    assert [n.node_id for n in stand.state.node_states] == ["b"]


def test_an_action_that_the_order_can_do_without_is_passed_over() -> None:
    stand = Stand(device=TimedDevice({"detectObject": 0.2}, failure=lambda _: "nothing seen"))
    stand.send(order([A, B], nodes={0: [action("detectObject", "x", "HARD")]}))
    stand.until(lambda: stand.at == ("b", 2))
    assert stand.status("x") == "FAILED"
    found = stand.error("ACTION_FAILED")
    assert found is not None
    assert found.error_level == "WARNING"


def fail_at_first() -> TimedDevice:
    tries: list[str] = []

    def why(each: Action) -> str:
        tries.append(each.action_id)
        return "no load" if len(tries) == 1 else ""

    return TimedDevice({"pick": 0.5}, failure=why)


def test_6_6_9_a_retriable_action_can_be_retried() -> None:
    stand = Stand(device=fail_at_first())
    stand.send(order([A, B], nodes={0: [action("pick", "p", "HARD", retriable=True)]}))
    stand.until(lambda: stand.status("p") == "RETRIABLE")
    stand.step(30)
    assert stand.x == 0.0
    assert stand.instant("retry", actionId="p") == "FINISHED"
    assert stand.status("p") in ("RUNNING", "INITIALIZING")
    stand.until(lambda: stand.vehicle.idle)
    stand.step()
    assert stand.status("p") == "FINISHED"
    assert stand.at == ("b", 2)


def test_6_6_9_a_retriable_action_can_be_skipped() -> None:
    stand = Stand(device=fail_at_first())
    stand.send(order([A, B], nodes={0: [action("pick", "p", "HARD", retriable=True)]}))
    stand.until(lambda: stand.status("p") == "RETRIABLE")
    assert stand.instant("skipRetry", actionId="p") == "FINISHED"
    assert stand.status("p") == "FAILED"
    stand.until(lambda: stand.vehicle.idle)
    assert stand.at == ("b", 2)


@pytest.mark.parametrize("kind", ["retry", "skipRetry"])
def test_only_what_is_retriable_can_be_retried(kind: str) -> None:
    stand = Stand()
    assert stand.instant(kind, "r", actionId="p") == "FAILED"
    assert stand.references("INVALID_INSTANT_ACTION")["actionId"] == "r"


@VERSIONS
def test_waiting_for_a_trigger_at_the_vehicle(version: str) -> None:
    stand = Stand(version)
    waiting = action("waitForTrigger", "w", "HARD", triggerType=["LOCAL"])
    stand.send(order([A, B], nodes={0: [waiting]}))
    stand.step(20)
    assert stand.status("w") == "RUNNING"
    stand.vehicle.press("OTHER", stand.now)
    stand.step()
    assert stand.status("w") == "RUNNING"
    stand.vehicle.press("LOCAL", stand.now)
    stand.step()
    assert stand.status("w") == "FINISHED"
    stand.until(lambda: stand.at == ("b", 2))


def test_waiting_for_a_trigger_of_fleet_control() -> None:
    stand = Stand()
    waiting = action("waitForTrigger", "w", "HARD", triggerType=["FLEET_CONTROL"])
    stand.send(order([A, B], nodes={0: [waiting]}))
    stand.vehicle.press("LOCAL", stand.now)
    stand.step()
    assert stand.status("w") == "RUNNING"
    assert stand.instant("trigger") == "FINISHED"
    assert stand.status("w") == "FINISHED"


def test_action_states_are_kept_until_the_next_order() -> None:
    stand = Stand()
    stand.send(order([A], nodes={0: [action("detectObject", "x")]}))
    stand.until(lambda: stand.vehicle.idle)
    stand.step(400)
    assert stand.status("x") == "FINISHED"
    stand.send(order([A], name="p"))
    assert stand.state.action_states == ()


def test_charging_at_a_node_and_ending_by_driving_off() -> None:
    stand = Stand()
    stand.send(order([A, B], released=1, nodes={0: [action("startCharging", "c", "HARD")]}))
    stand.step()
    assert stand.status("c") == "FINISHED"
    assert stand.state.power_supply.charging
    assert stand.bodies.plugged == [True]
    stand.send(order([A, B], update=1, nodes={0: [action("startCharging", "c", "HARD")]}))
    stand.step(3)
    assert not stand.state.power_supply.charging
    assert stand.bodies.plugged == [False]


def test_initialize_position_at_a_node_is_an_elevator() -> None:
    """6.3: it leaves the map of one floor and appears on that of another."""
    stand = Stand()
    both = {"mapId": "upstairs", "mapVersion": "1"}
    stand.instant("downloadMap", "d", **both, mapDownloadLink="https://maps/1")
    stand.instant("enableMap", "e", **both)
    lift = action(
        "initializePosition", "i", "HARD", x=10.0, y=0.0, theta=0.0, mapId="upstairs",
        lastNodeId="b",
    )  # fmt: skip
    whole = order([A, B, ("u", 10.0, 0.0), ("v", 12.0, 0.0)], nodes={1: [lift]})
    nodes = list(whole.nodes)
    for k in (2, 3):
        position = nodes[k].node_position
        assert position is not None
        above = msgspec.structs.replace(position, map_id="upstairs")
        nodes[k] = msgspec.structs.replace(nodes[k], node_position=above)
    stand.send(msgspec.structs.replace(whole, nodes=tuple(nodes)))
    stand.until(lambda: stand.vehicle.idle)
    stand.step()
    position = stand.state.mobile_robot_position
    assert position is not None
    assert (position.map_id, position.x) == ("upstairs", pytest.approx(12.0))
    assert stand.at == ("v", 6)


def test_a_node_on_another_map_is_not_reached_without_an_elevator() -> None:
    stand = Stand()
    both = {"mapId": "upstairs", "mapVersion": "1"}
    stand.instant("downloadMap", "d", **both, mapDownloadLink="https://maps/1")
    stand.instant("enableMap", "e", **both)
    whole = order([A, B])
    position = whole.nodes[1].node_position
    assert position is not None
    above = msgspec.structs.replace(position, map_id="upstairs")
    last = msgspec.structs.replace(whole.nodes[1], node_position=above)
    stand.send(msgspec.structs.replace(whole, nodes=(whole.nodes[0], last)))
    stand.until(lambda: stand.error("NODE_UNREACHABLE") is not None)
    assert stand.references("NODE_UNREACHABLE") == {"nodeId": "b"}
    assert stand.x == 0.0


def test_an_instant_action_runs_beside_an_order() -> None:
    stand = Stand(device=TimedDevice({"logReport": 1.0}))
    stand.send(order([A, B]))
    stand.send(InstantActions(actions=(action("logReport", "l", reason="test"),)))
    assert stand.instant_status("l") == "RUNNING"
    assert stand.state.driving
    stand.until(lambda: stand.instant_status("l") == "FINISHED")
    (told,) = stand.state.instant_action_states
    assert told.action_result == "log-1"
