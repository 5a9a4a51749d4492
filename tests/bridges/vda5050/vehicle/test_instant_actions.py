"""Instant actions (3.0, 6.2.1 and tables 4 and 5), and what is refused."""

from __future__ import annotations

import msgspec
import pytest

from stagetwin_bridges.vda5050.messages import Factsheet, InstantActions, timestamp_of
from stagetwin_bridges.vda5050.vehicle import TimedDevice, VehicleOptions
from tests.bridges.vda5050.vehicle.stand import Stand, action, order

A, B, C = ("a", 0.0, 0.0), ("b", 2.0, 0.0), ("c", 4.0, 0.0)
VERSIONS = pytest.mark.parametrize("version", ["2.1.0", "3.0.0"])


@VERSIONS
def test_a_pause_stops_it_and_an_end_of_it_lets_it_go_on(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A, B]))
    stand.step(5)
    stand.instant("startPause")
    stand.until(lambda: stand.instant_status("startPause") == "FINISHED")
    assert stand.state.paused
    where = stand.x
    stand.step(50)
    assert stand.x == where
    assert [n.node_id for n in stand.state.node_states] == ["b"]
    assert stand.instant("stopPause") == "FINISHED"
    assert stand.state.paused is False
    stand.until(lambda: stand.vehicle.idle)
    assert stand.at == ("b", 2)


def test_a_pause_pauses_what_can_be_paused() -> None:
    stand = Stand(device=TimedDevice({"pick": 2.0}))
    stand.send(order([A, B], nodes={0: [action("pick", "p", "HARD")]}))
    stand.until(lambda: stand.status("p") == "RUNNING")
    stand.instant("startPause")
    assert stand.status("p") == "PAUSED"
    stand.step(100)
    assert stand.status("p") == "PAUSED"
    stand.instant("stopPause")
    assert stand.status("p") == "RUNNING"
    stand.step(10)
    assert stand.status("p") == "RUNNING"
    stand.until(lambda: stand.status("p") == "FINISHED")


def test_what_cannot_be_paused_goes_on() -> None:
    stand = Stand(device=TimedDevice({"logReport": 1.0}))
    stand.instant("logReport", "l", reason="test")
    stand.instant("startPause")
    stand.until(lambda: stand.instant_status("l") == "FINISHED")


def test_nothing_begins_while_it_is_paused() -> None:
    stand = Stand()
    stand.instant("startPause")
    stand.send(order([A, B], nodes={0: [action("detectObject", "x")]}))
    stand.step(20)
    assert stand.status("x") == "WAITING"
    assert stand.x == 0.0
    stand.instant("stopPause")
    stand.until(lambda: stand.vehicle.idle)


@VERSIONS
def test_6_2_1_an_instant_action_that_it_cannot_do(version: str) -> None:
    stand = Stand(version)
    assert stand.instant("fly", "f") == "FAILED"
    found = stand.error("INVALID_INSTANT_ACTION")
    assert found is not None
    assert found.error_level == "WARNING"
    assert stand.references("INVALID_INSTANT_ACTION")["actionId"] == "f"
    # Reported until a new instant action is accepted (table 9).
    stand.send(order([A, B]))
    assert stand.error("INVALID_INSTANT_ACTION") is not None
    assert stand.instant("stateRequest") == "FINISHED"
    assert stand.state.errors == ()


@VERSIONS
def test_an_action_of_orders_is_no_instant_action(version: str) -> None:
    stand = Stand(version)
    assert stand.instant("pick", "p") == "FAILED"
    assert stand.error("INVALID_INSTANT_ACTION") is not None


def test_a_parameter_that_is_missing_is_named() -> None:
    stand = Stand()
    assert stand.instant("enableMap", "m", mapId="map") == "FAILED"
    found = stand.error("INVALID_INSTANT_ACTION")
    assert found is not None
    assert "mapVersion" in str(found.error_description)


def test_6_2_1_the_blocking_type_of_an_instant_action_is_none() -> None:
    stand = Stand()
    stand.give(InstantActions(actions=(action("stateRequest", "s", "HARD"),)))
    assert stand.instant_status("s") == "FAILED"


@VERSIONS
def test_update_certificate_is_refused_where_it_is_not_offered(version: str) -> None:
    stand = Stand(version)
    status = stand.instant(
        "updateCertificate",
        "u",
        service="MQTT",
        keyDownloadLink="https://keys/1",
        certificateDownloadLink="https://certificates/1",
    )
    assert status == "FAILED"
    assert stand.references("INVALID_INSTANT_ACTION")["actionType"] == "updateCertificate"


@VERSIONS
def test_the_same_instant_action_again_is_done_once(version: str) -> None:
    stand = Stand(version)
    stand.instant("logReport", "l", reason="one")
    stand.instant("logReport", "l", reason="one")
    (told,) = stand.state.instant_action_states
    assert told.action_result == "log-1"


@VERSIONS
def test_a_factsheet_and_a_state_can_be_asked_for(version: str) -> None:
    stand = Stand(version)
    stand.step(20)
    sheets = [m for m in stand.sent if isinstance(m, Factsheet)]
    count = len(stand.states)
    assert stand.instant("factsheetRequest") == "FINISHED"
    assert len([m for m in stand.sent if isinstance(m, Factsheet)]) == len(sheets) + 1
    assert stand.instant("stateRequest") == "FINISHED"
    assert len(stand.states) == count + 2


@VERSIONS
def test_charging(version: str) -> None:
    stand = Stand(version)
    assert stand.instant("startCharging") == "FINISHED"
    assert stand.state.power_supply.charging
    assert stand.instant("stopCharging") == "FINISHED"
    assert not stand.state.power_supply.charging


def test_it_does_not_charge_while_driving() -> None:
    stand = Stand()
    stand.send(order([A, B]))
    stand.step(5)
    assert stand.instant("startCharging") == "FAILED"
    assert not stand.state.power_supply.charging


@VERSIONS
def test_initialize_position(version: str) -> None:
    stand = Stand(version)
    where = {"x": 3.0, "y": -1.0, "theta": 0.5, "mapId": "map", "lastNodeId": "q"}
    assert stand.instant("initializePosition", **where) == "FINISHED"
    position = stand.state.mobile_robot_position
    assert position is not None
    assert (position.x, position.y, position.theta) == (3.0, -1.0, 0.5)
    assert stand.at == ("q", 0)


@pytest.mark.parametrize(
    "wrong", [{"x": "here"}, {"mapId": "attic"}], ids=["no number", "unknown map"]
)
def test_a_position_that_is_not_valid_fails(wrong: dict[str, object]) -> None:
    stand = Stand()
    where = {"x": 3.0, "y": -1.0, "theta": 0.5, "mapId": "map", "lastNodeId": "q", **wrong}
    assert stand.instant("initializePosition", **where) == "FAILED"
    assert stand.x == 0.0


def test_clear_instant_actions() -> None:
    stand = Stand()
    stand.instant("stateRequest")
    stand.instant("fly")
    assert stand.instant("clearInstantActions") == "FINISHED"
    assert [a.action_id for a in stand.state.instant_action_states] == ["clearInstantActions"]


def test_2_1_a_new_order_clears_instant_actions() -> None:
    stand = Stand("2.1.0")
    stand.instant("stateRequest")
    stand.send(order([A, B]))
    assert stand.state.instant_action_states == ()


def test_a_list_that_grows_too_long_is_reported_and_bounded() -> None:
    stand = Stand(options=VehicleOptions(instant_states=3))
    for k in range(10):
        stand.instant("stateRequest", f"s{k}")
    assert stand.error("INSTANT_ACTION_STATES_FULL") is not None
    assert len(stand.state.instant_action_states) <= 6
    stand.instant("clearInstantActions")
    assert stand.state.errors == ()


# -- hibernation and shutdown ----------------------------------------------------------------------


def test_hibernation_clears_the_order_and_goes_silent() -> None:
    stand = Stand()
    stand.send(order([A, B], nodes={1: [action("detectObject", "x")]}))
    stand.step(5)
    stand.instant("startHibernation")
    stand.until(lambda: stand.vehicle.hibernating)
    # FINISHED is told before it says HIBERNATING and no state comes after that.
    assert stand.instant_status("startHibernation") == "FINISHED"
    assert stand.status("x") == "FAILED"
    assert stand.state.node_states == ()
    assert stand.words == ["ONLINE", "HIBERNATING"]
    assert stand.sent[-1].topic == "connection"
    count = len(stand.sent)
    stand.step(1000)
    assert len(stand.sent) == count


def test_while_hibernating_it_answers_the_end_of_it_alone() -> None:
    stand = Stand()
    stand.instant("startHibernation")
    stand.until(lambda: stand.vehicle.hibernating)
    count = len(stand.sent)
    stand.send(order([A, B]))
    stand.send(InstantActions(actions=(action("stateRequest"),)))
    assert len(stand.sent) == count
    assert stand.instant("stopHibernation") == "FINISHED"
    assert stand.words == ["ONLINE", "HIBERNATING", "ONLINE"]
    assert stand.state.order_id == ""
    assert "stateRequest" not in [a.action_id for a in stand.state.instant_action_states]


def test_it_wakes_at_the_time_that_was_set() -> None:
    stand = Stand()
    wake = timestamp_of(stand.now + 20.0)
    stand.instant("startHibernation", wakeUpTime=wake)
    stand.until(lambda: stand.vehicle.hibernating)
    stand.until(lambda: stand.words[-1] == "ONLINE", 30.0)
    assert stand.now >= 20.0
    assert stand.instant("startHibernation", "h2", wakeUpTime="tomorrow") == "FAILED"


def test_it_wakes_when_its_battery_is_low() -> None:
    stand = Stand()
    stand.instant("startHibernation")
    stand.until(lambda: stand.vehicle.hibernating)
    stand.bodies._charge[0] = 0.03
    stand.until(lambda: stand.words[-1] == "ONLINE", 5.0)
    stand.step()
    assert stand.error("BATTERY_LOW") is not None


def test_2_1_has_no_hibernation() -> None:
    stand = Stand("2.1.0")
    assert stand.instant("startHibernation") == "FAILED"


def test_shutdown_says_offline_once() -> None:
    stand = Stand()
    assert stand.instant("shutdown") == "FINISHED"
    assert stand.vehicle.closing
    stand.step(5)
    assert stand.words == ["ONLINE", "OFFLINE"]


def test_shutdown_needs_an_idle_vehicle() -> None:
    stand = Stand()
    stand.send(order([A, B]))
    assert stand.instant("shutdown") == "FAILED"
    assert not stand.vehicle.closing
    assert stand.error("INVALID_INSTANT_ACTION") is not None


def test_a_message_may_hold_several_actions() -> None:
    stand = Stand()
    both = InstantActions(actions=(action("stateRequest", "s"), action("fly", "f")))
    stand.send(both)
    assert (stand.instant_status("s"), stand.instant_status("f")) == ("FINISHED", "FAILED")


def test_an_id_of_the_order_is_refused() -> None:
    stand = Stand()
    stand.send(order([A, B], nodes={1: [action("detectObject", "x")]}))
    again = msgspec.structs.replace(action("stateRequest"), action_id="x")
    stand.send(InstantActions(actions=(again,)))
    assert stand.instant_status("x") == "FAILED"
    assert stand.status("x") == "WAITING"
