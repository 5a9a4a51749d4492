"""Maps (3.0, 6.3), operating modes (6.6.6), and clearing the order (6.6.7)."""

from __future__ import annotations

from typing import Any

import pytest

from stagetwin_bridges.vda5050.vehicle import TimedDevice, VehicleOptions
from tests.bridges.vda5050.vehicle.stand import Stand, action, box, order

A, B, C = ("a", 0.0, 0.0), ("b", 2.0, 0.0), ("c", 4.0, 0.0)
VERSIONS = pytest.mark.parametrize("version", ["2.1.0", "3.0.0"])
NEW = {"mapId": "map", "mapVersion": "2"}


def maps(stand: Stand) -> dict[tuple[str, str], str]:
    return {(m.map_id, m.map_version): m.map_status for m in stand.state.maps or ()}


@VERSIONS
def test_6_3_2_maps_are_in_the_state(version: str) -> None:
    stand = Stand(version)
    assert maps(stand) == {("map", "1"): "ENABLED"}


@VERSIONS
def test_6_3_3_a_map_is_downloaded_and_stays_disabled(version: str) -> None:
    stand = Stand(version, device=TimedDevice({"downloadMap": 2.0}))
    assert stand.instant("downloadMap", **NEW, mapDownloadLink="https://maps/2") == "RUNNING"
    assert maps(stand) == {("map", "1"): "ENABLED"}
    stand.until(lambda: stand.instant_status("downloadMap") == "FINISHED")
    assert maps(stand) == {("map", "1"): "ENABLED", ("map", "2"): "DISABLED"}


@VERSIONS
def test_6_3_3_a_download_that_fails(version: str) -> None:
    stand = Stand(version, device=TimedDevice(failure=lambda _: "the server does not answer"))
    assert stand.instant("downloadMap", **NEW, mapDownloadLink="https://maps/2") == "FAILED"
    assert maps(stand) == {("map", "1"): "ENABLED"}


@VERSIONS
def test_6_3_3_a_map_that_is_there_already(version: str) -> None:
    stand = Stand(version)
    old = {"mapId": "map", "mapVersion": "1"}
    assert stand.instant("downloadMap", **old, mapDownloadLink="https://maps/1") == "FAILED"
    found = stand.error("DUPLICATE_MAP")
    assert found is not None
    assert found.error_level == "WARNING"
    assert stand.references("DUPLICATE_MAP") == old
    # Until a new instant action on maps is accepted (table 9).
    stand.send(order([A, B]))
    stand.instant("stateRequest")
    assert stand.error("DUPLICATE_MAP") is not None
    stand.instant("downloadMap", "d2", **NEW, mapDownloadLink="https://maps/2")
    assert stand.state.errors == ()


@VERSIONS
def test_6_3_4_enabling_a_map_disables_its_other_versions(version: str) -> None:
    stand = Stand(version)
    stand.instant("downloadMap", **NEW, mapDownloadLink="https://maps/2")
    stand.instant("downloadMap", "other", mapId="x", mapVersion="1", mapDownloadLink="https://x")
    stand.instant("enableMap", "x", mapId="x", mapVersion="1")
    assert stand.instant("enableMap", **NEW) == "FINISHED"
    assert maps(stand) == {
        ("map", "1"): "DISABLED",
        ("map", "2"): "ENABLED",
        ("x", "1"): "ENABLED",
    }
    assert stand.instant("enableMap", "no", mapId="map", mapVersion="9") == "FAILED"


@VERSIONS
def test_6_3_5_deleting_a_map(version: str) -> None:
    stand = Stand(version)
    stand.instant("downloadMap", **NEW, mapDownloadLink="https://maps/2")
    assert stand.instant("deleteMap", "used", mapId="map", mapVersion="1") == "FAILED"
    assert stand.instant("deleteMap", "ok", **NEW) == "FINISHED"
    assert maps(stand) == {("map", "1"): "ENABLED"}
    assert stand.instant("deleteMap", "again", **NEW) == "FAILED"


@VERSIONS
def test_6_3_2_a_disabled_map_is_not_used(version: str) -> None:
    stand = Stand(version)
    stand.instant("downloadMap", mapId="x", mapVersion="1", mapDownloadLink="https://x")
    stand.send(order([A, B], map_id="x"))
    assert stand.error("UNKNOWN_MAP_ID") is not None


# -- operating modes -------------------------------------------------------------------------------


def test_6_6_6_semiautomatic_drives_orders() -> None:
    stand = Stand()
    stand.vehicle.set_mode("SEMIAUTOMATIC", stand.now)
    stand.send(order([A, B]))
    stand.until(lambda: stand.vehicle.idle)
    assert stand.state.operating_mode == "SEMIAUTOMATIC"
    assert stand.at == ("b", 2)


@pytest.mark.parametrize("mode", ["MANUAL", "STARTUP", "SERVICE", "TEACH_IN"])
def test_6_6_7_these_modes_give_the_order_up(mode: Any) -> None:
    stand = Stand()
    stand.send(order([A, B], nodes={1: [action("detectObject", "x")]}))
    stand.step(5)
    stand.vehicle.set_mode(mode, stand.now)
    stand.until(lambda: stand.state.operating_mode == mode)
    assert stand.state.node_states == ()
    assert stand.state.edge_states == ()
    assert stand.status("x") == "FAILED"
    assert (stand.state.order_id, stand.state.order_update_id) == ("o", 0)
    assert stand.at == ("a" if mode == "MANUAL" else "", 0)
    assert stand.x < 1.0


@pytest.mark.parametrize("mode", ["MANUAL", "SERVICE", "TEACH_IN"])
def test_6_6_7_the_mode_is_reported_once_the_actions_are_over(mode: Any) -> None:
    stand = Stand(device=TimedDevice({"pick": 2.0}))
    stand.send(order([A, B], nodes={0: [action("pick", "p", "HARD")]}))
    stand.step(3)
    stand.vehicle.set_mode(mode, stand.now)
    stand.step(3)
    assert stand.state.operating_mode == "AUTOMATIC"
    assert stand.state.node_states != ()
    stand.until(lambda: stand.state.operating_mode == mode)
    assert stand.status("p") == "FINISHED"
    for state in stand.states:
        if state.order_id:
            assert (state.operating_mode == mode) == (state.node_states == ())


@VERSIONS
def test_6_6_6_manual_forgets_the_node_once_it_was_moved_away(version: str) -> None:
    stand = Stand(version, options=VehicleOptions(last_node_id="a"))
    stand.vehicle.set_mode("MANUAL", stand.now)
    stand.step()
    assert stand.at[0] == "a"
    stand.bodies.place(0, 1.0, 1.0, 0.0)
    stand.step()
    assert stand.at[0] == ""


def test_6_6_6_intervened_keeps_the_order_and_takes_others() -> None:
    stand = Stand()
    stand.send(order([A, B], released=1))
    stand.vehicle.set_mode("INTERVENED", stand.now)
    stand.send(order([A, B], update=1))
    assert stand.state.order_update_id == 1
    stand.step(30)
    assert stand.x == 0.0
    assert [n.node_id for n in stand.state.node_states] == ["b"]
    # A person may have moved it: from there it goes on.
    stand.bodies.place(0, 0.5, 0.2, 0.0)
    stand.vehicle.set_mode("AUTOMATIC", stand.now)
    stand.until(lambda: stand.vehicle.idle)
    assert stand.at == ("b", 2)
    assert stand.x == pytest.approx(2.0)


def test_6_6_6_intervened_takes_cancel_order_alone() -> None:
    stand = Stand()
    stand.send(order([A, B]))
    stand.vehicle.set_mode("INTERVENED", stand.now)
    assert stand.instant("startPause") == "FAILED"
    assert stand.error("INVALID_INSTANT_ACTION") is not None
    stand.instant("cancelOrder")
    stand.until(lambda: stand.instant_status("cancelOrder") == "FINISHED")
    assert stand.state.node_states == ()


def test_6_6_6_intervened_removes_zone_requests_and_makes_none() -> None:
    stand = Stand()
    stand.zones(box("r", "RELEASE", 1.0, 3.0, release_loss_behavior="STOP"))
    stand.send(order([A, B, C]))
    stand.step()
    assert len(stand.state.zone_requests or ()) == 1
    stand.vehicle.set_mode("INTERVENED", stand.now)
    stand.step(20)
    assert stand.state.zone_requests == ()
    stand.vehicle.set_mode("AUTOMATIC", stand.now)
    stand.step(2)
    assert len(stand.state.zone_requests or ()) == 1


@pytest.mark.parametrize("mode", ["MANUAL", "STARTUP", "SERVICE", "TEACH_IN"])
def test_6_6_6_no_instant_action_is_taken_in_these_modes(mode: Any) -> None:
    stand = Stand()
    stand.vehicle.set_mode(mode, stand.now)
    assert stand.instant("startPause") == "FAILED"
    assert stand.error("INVALID_INSTANT_ACTION") is not None
    assert stand.state.paused is False


def test_2_1_has_neither_startup_nor_intervened() -> None:
    stand = Stand("2.1.0")
    for mode in ("STARTUP", "INTERVENED"):
        with pytest.raises(ValueError, match="MANUAL"):
            stand.vehicle.set_mode(mode, stand.now)


def test_an_order_given_up_by_a_mode_cannot_be_continued() -> None:
    stand = Stand()
    stand.send(order([A, B]))
    stand.vehicle.set_mode("MANUAL", stand.now)
    stand.step()
    stand.vehicle.set_mode("AUTOMATIC", stand.now)
    stand.send(order([B, C], update=1, first=2))
    assert stand.error("INVALID_ORDER") is not None
    assert stand.state.order_update_id == 0


def test_an_emergency_stop_stands_and_is_told() -> None:
    stand = Stand()
    stand.send(order([A, B]))
    stand.step(5)
    stand.vehicle.stop_button("MANUAL", stand.now)
    stand.step(2)
    assert stand.state.safety_state.active_emergency_stop == "MANUAL"
    where = stand.x
    stand.step(20)
    assert stand.x == where
    stand.vehicle.stop_button("NONE", stand.now)
    stand.until(lambda: stand.vehicle.idle)
    assert stand.at == ("b", 2)


def test_6_6_5_1_without_localization_it_neither_drives_nor_takes_orders() -> None:
    stand = Stand()
    stand.send(order([A, B]))
    stand.step(5)
    stand.vehicle.set_localized(False, stand.now)
    stand.step()
    found = stand.error("LOCALIZATION_ERROR")
    assert found is not None
    assert found.error_level == "FATAL"
    position = stand.state.mobile_robot_position
    assert position is not None
    assert not position.localized
    where = stand.x
    stand.send(order([B, C], update=1, first=2))
    assert stand.error("MOBILE_ROBOT_NOT_AVAILABLE") is not None
    stand.step(20)
    assert stand.x == where
    # Its order is never cleared by an error (6.6.5.1).
    assert [n.node_id for n in stand.state.node_states] == ["b"]
    stand.vehicle.set_localized(True, stand.now)
    stand.until(lambda: stand.vehicle.idle)
    assert stand.at == ("b", 2)
