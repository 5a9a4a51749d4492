"""Zones: their types, permissions and losses (3.0, 6.4)."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from stagetwin_bridges.vda5050.messages import (
    ControlPoint,
    State,
    Trajectory,
    Zone,
    ZoneAction,
    ZoneContents,
    ZoneLoss,
    ZoneSet,
)
from stagetwin_bridges.vda5050.vehicle import TimedDevice, VehicleOptions
from tests.bridges.vda5050.vehicle.stand import SPEED, Stand, box, order

A, B, C = ("a", 0.0, 0.0), ("b", 5.0, 0.0), ("c", 10.0, 0.0)
FRONT = 0.4  # of a vehicle 0.8 m long


def release(name: str = "r", low: float = 3.0, high: float = 6.0, loss: ZoneLoss = "STOP") -> Zone:
    return box(name, "RELEASE", low, high, release_loss_behavior=loss)


def request(stand: Stand) -> str:
    (only,) = stand.state.zone_requests or ()
    return only.request_id


def statuses(stand: Stand) -> list[str]:
    return [each.request_status for each in stand.state.zone_requests or ()]


# -- transfer --------------------------------------------------------------------------------------


def test_6_4_2_a_zone_set_comes_disabled_and_is_enabled_by_an_action() -> None:
    stand = Stand()
    stand.send(ZoneSet(zone_set=ZoneContents(map_id="map", zone_set_id="z", zones=(release(),))))
    (told,) = stand.state.zone_sets or ()
    assert (told.zone_set_id, told.map_id, told.zone_set_status) == ("z", "map", "DISABLED")
    stand.send(order([A, B]))
    stand.until(lambda: stand.vehicle.idle)  # a disabled set closes nothing
    assert stand.instant("enableZoneSet", zoneSetId="z") == "FINISHED"
    (told,) = stand.state.zone_sets or ()
    assert told.zone_set_status == "ENABLED"


def test_6_4_2_one_set_of_a_map_is_enabled() -> None:
    stand = Stand()
    stand.zones(release(), name="one")
    stand.zones(release(), name="two")
    told = {z.zone_set_id: z.zone_set_status for z in stand.state.zone_sets or ()}
    assert told == {"one": "DISABLED", "two": "ENABLED"}
    assert stand.instant("deleteZoneSet", "used", zoneSetId="two") == "FAILED"
    assert stand.instant("deleteZoneSet", "ok", zoneSetId="one") == "FINISHED"
    assert stand.instant("enableZoneSet", "no", zoneSetId="one") == "FAILED"


def test_6_4_2_a_zone_set_that_is_there_already() -> None:
    stand = Stand(options=VehicleOptions(notice_seconds=5.0))
    stand.zones(release())
    stand.send(ZoneSet(zone_set=ZoneContents(map_id="map", zone_set_id="z", zones=())))
    found = stand.error("DUPLICATE_ZONE_SET")
    assert found is not None
    assert found.error_level == "WARNING"
    assert stand.references("DUPLICATE_ZONE_SET")["zoneSetId"] == "z"
    stand.step(60)
    assert stand.state.errors == ()
    stand.send(order([A, B]))
    stand.step(3)
    assert statuses(stand) == ["REQUESTED"]  # the old content holds


def test_7_6_a_zone_with_less_than_three_vertices_is_refused() -> None:
    stand = Stand()
    bad = msgspec.structs.replace(release(), vertices=release().vertices[:2])
    stand.give(ZoneSet(zone_set=ZoneContents(map_id="map", zone_set_id="z", zones=(bad,))))
    assert stand.state.zone_sets == ()
    assert stand.error("INVALID_ZONE_SET") is not None


def test_6_4_2_a_zone_set_can_be_downloaded() -> None:
    contents = ZoneContents(map_id="map", zone_set_id="z", zones=(release(),))
    stand = Stand(device=TimedDevice({"downloadZoneSet": 1.0}, zone_sets={"https://z": contents}))
    link = {"zoneSetDownloadLink": "https://z"}
    assert stand.instant("downloadZoneSet", "d", zoneSetId="z", **link) == "RUNNING"
    assert stand.state.zone_sets == ()
    stand.until(lambda: stand.instant_status("d") == "FINISHED")
    assert [z.zone_set_status for z in stand.state.zone_sets or ()] == ["DISABLED"]
    assert stand.instant("downloadZoneSet", "again", zoneSetId="z", **link) == "FAILED"
    assert stand.error("DUPLICATE_ZONE_SET") is not None
    stand.instant("downloadZoneSet", "none", zoneSetId="y", zoneSetDownloadLink="https://y")
    stand.until(lambda: stand.instant_status("none") == "FAILED")


# -- RELEASE ---------------------------------------------------------------------------------------


def test_6_4_3_it_asks_waits_enters_and_gives_back() -> None:
    stand = Stand()
    stand.zones(release())
    stand.send(order([A, B, C]))
    stand.until(lambda: not stand.state.driving and stand.x > 1.0)
    (asked,) = stand.state.zone_requests or ()
    assert (asked.request_type, asked.zone_id, asked.zone_set_id) == ("ACCESS", "r", "z")
    assert statuses(stand) == ["REQUESTED"]
    assert 2.0 < stand.x + FRONT < 3.0  # no part of the contour is inside
    stand.answer(asked.request_id, "GRANTED")
    assert statuses(stand) == ["GRANTED"]
    stand.until(lambda: stand.x > 4.0)
    assert statuses(stand) == ["GRANTED"]
    stand.until(lambda: stand.state.zone_requests == ())
    assert stand.x - FRONT > 6.0 - 0.2
    stand.until(lambda: stand.vehicle.idle)
    assert stand.at == ("c", 4)


def test_6_4_3_granted_in_time_it_does_not_stop() -> None:
    stand = Stand()
    stand.zones(release())
    stand.send(order([A, B, C]))
    stand.until(lambda: statuses(stand) == ["REQUESTED"])
    stand.answer(request(stand), "GRANTED")
    before = len(stand.states)
    stand.until(lambda: stand.vehicle.idle)
    under_way = [s for s in stand.states[before:] if s.node_states]
    assert all(s.driving for s in under_way)


def test_6_4_3_queued_is_no_permission() -> None:
    stand = Stand()
    stand.zones(release())
    stand.send(order([A, B]))
    stand.step()
    stand.answer(request(stand), "QUEUED")
    stand.step(60)
    assert stand.x + FRONT < 3.0
    assert statuses(stand) == ["REQUESTED"]
    stand.answer(request(stand), "GRANTED")
    stand.until(lambda: stand.vehicle.idle)


def test_6_4_3_rejected_it_does_not_enter_and_asks_again_later() -> None:
    stand = Stand(options=VehicleOptions(request_retry=4.0))
    stand.zones(release())
    stand.send(order([A, B]))
    stand.step()
    first = request(stand)
    stand.answer(first, "REJECTED")
    assert stand.state.zone_requests == ()
    stand.step(30)
    assert stand.state.zone_requests == ()
    stand.step(20)
    assert request(stand) != first
    stand.answer(request(stand), "GRANTED")
    stand.until(lambda: stand.vehicle.idle)


def test_6_4_3_an_answer_to_nothing_changes_nothing() -> None:
    stand = Stand()
    stand.zones(release())
    stand.send(order([A, B]))
    stand.answer("r99", "GRANTED")
    stand.step(60)
    assert stand.x + FRONT < 3.0


def test_6_4_3_revoked_before_it_entered() -> None:
    stand = Stand(options=VehicleOptions(request_retry=1000.0))
    stand.zones(release())
    stand.send(order([A, B]))
    stand.step()
    name = request(stand)
    stand.answer(name, "GRANTED")
    stand.step(5)
    stand.answer(name, "REVOKED")
    assert stand.state.zone_requests == ()
    stand.step(60)
    assert stand.x + FRONT < 3.0
    assert stand.state.errors == ()


def test_6_4_3_a_lease_that_ends_before_it_entered() -> None:
    stand = Stand(options=VehicleOptions(request_retry=1000.0))
    stand.zones(release())
    stand.send(order([A, B]))
    stand.step()
    stand.answer(request(stand), "GRANTED", lease=1.0)
    stand.until(lambda: statuses(stand) == ["EXPIRED"])
    stand.step(60)
    assert stand.x + FRONT < 3.0
    assert stand.state.zone_requests == ()


def test_6_4_3_a_lease_can_be_extended() -> None:
    stand = Stand()
    stand.zones(release())
    stand.send(order([A, B, C]))
    stand.step()
    name = request(stand)
    stand.answer(name, "GRANTED", lease=1.0)
    for _ in range(20):
        stand.step(4)
        stand.answer(name, "GRANTED", lease=1.0)
    stand.until(lambda: stand.vehicle.idle)
    assert not any(s.errors for s in stand.states)


def test_6_4_3_a_lease_that_is_over_when_it_comes_permits_nothing() -> None:
    stand = Stand()
    stand.zones(release())
    stand.send(order([A, B]))
    stand.step()
    stand.answer(request(stand), "GRANTED", lease=-1.0)
    stand.step(60)
    assert stand.x + FRONT < 3.0


def inside(stand: Stand, loss: ZoneLoss, high: float = 8.0) -> str:
    """Bring the vehicle into a zone with a permission; return the request's id."""
    stand.zones(release(high=high, loss=loss))
    stand.send(order([A, B, C]))
    stand.step()
    name = request(stand)
    stand.answer(name, "GRANTED")
    stand.until(lambda: stand.x > 4.0)
    return name


@pytest.mark.parametrize("how", ["REVOKED", "EXPIRED"])
def test_6_4_1_stop_when_the_release_is_lost_inside(how: str) -> None:
    stand = Stand()
    name = inside(stand, "STOP")
    if how == "REVOKED":
        stand.answer(name, "REVOKED")
    else:
        stand.answer(name, "GRANTED", lease=0.05)
        stand.step(2)
    assert statuses(stand) == [how]
    found = stand.error("RELEASE_LOST")
    assert found is not None
    assert found.error_level == "CRITICAL"
    assert stand.references("RELEASE_LOST")["zoneId"] == "r"
    where = stand.x
    stand.step(30)
    assert stand.x == where
    # Until it is granted again.
    stand.answer(name, "GRANTED")
    assert stand.state.errors == ()
    stand.until(lambda: stand.vehicle.idle)
    assert stand.at == ("c", 4)


def test_6_4_1_continue_when_the_release_is_lost_inside() -> None:
    stand = Stand()
    name = inside(stand, "CONTINUE")
    stand.answer(name, "REVOKED")
    found = stand.error("RELEASE_ENDED")
    assert found is not None
    assert found.error_level == "WARNING"
    # The request stays until the zone is left.
    assert statuses(stand) == ["REVOKED"]
    stand.until(lambda: stand.state.zone_requests == ())
    assert stand.x - FRONT > 7.8
    assert stand.state.errors == ()
    stand.until(lambda: stand.vehicle.idle)


def test_6_4_1_evacuate_forward_where_the_base_leads_out() -> None:
    stand = Stand()
    name = inside(stand, "EVACUATE")
    stand.answer(name, "REVOKED")
    assert stand.error("RELEASE_ENDED") is not None
    stand.until(lambda: stand.state.zone_requests == ())
    assert stand.x - FRONT > 7.8


def test_6_4_1_evacuate_backward_where_the_base_ends_inside() -> None:
    stand = Stand(options=VehicleOptions(request_retry=20.0))
    name = inside(stand, "EVACUATE", high=30.0)
    stand.answer(name, "REVOKED")
    assert statuses(stand) == ["REVOKED"]
    stand.until(lambda: stand.state.zone_requests == ())
    stand.step(5)
    assert stand.x + FRONT < 3.0
    assert stand.state.errors == ()
    # The order is kept; with a new permission it goes on.
    stand.until(lambda: statuses(stand) == ["REQUESTED"])
    stand.answer(request(stand), "GRANTED")
    stand.until(lambda: stand.vehicle.idle)
    assert stand.at == ("c", 4)


def test_6_4_3_overlapping_release_zones_are_asked_for_one_by_one() -> None:
    stand = Stand()
    stand.zones(release("one", 3.0, 6.0), release("two", 4.0, 8.0))
    stand.send(order([A, B, C]))
    stand.step()
    asked = {r.zone_id: r.request_id for r in stand.state.zone_requests or ()}
    assert set(asked) == {"one", "two"}
    stand.answer(asked["one"], "GRANTED")
    stand.until(lambda: not stand.state.driving and stand.x > 3.0)
    assert stand.x + FRONT < 4.0  # what both cover is entered with both alone
    stand.answer(asked["two"], "GRANTED")
    stand.until(lambda: stand.vehicle.idle)


def test_6_4_3_it_asks_once_it_is_near() -> None:
    stand = Stand(options=VehicleOptions(request_distance=1.0))
    stand.zones(release("r", 8.0, 9.0))
    stand.send(order([A, ("far", 12.0, 0.0)]))
    stand.until(lambda: bool(stand.state.zone_requests))
    assert 5.0 < stand.x + FRONT < 8.0


def test_6_4_3_the_horizon_asks_for_nothing() -> None:
    stand = Stand()
    stand.zones(release())
    stand.send(order([A, B], released=1))
    stand.step(20)
    assert stand.state.zone_requests == ()


def test_6_4_3_a_vehicle_that_finds_itself_inside_asks_before_it_moves() -> None:
    stand = Stand(pose=(4.0, 0.0, 0.0))
    stand.zones(release())
    stand.send(order([("a", 4.0, 0.0), C]))
    stand.step(20)
    assert stand.x == 4.0
    stand.answer(request(stand), "GRANTED")
    stand.until(lambda: stand.vehicle.idle)


def test_6_6_7_requests_go_with_the_order() -> None:
    stand = Stand()
    stand.zones(release())
    stand.send(order([A, B]))
    stand.step(3)
    assert statuses(stand) == ["REQUESTED"]
    stand.instant("cancelOrder")
    stand.until(lambda: stand.instant_status("cancelOrder") == "FINISHED")
    assert stand.state.zone_requests == ()


# -- COORDINATED_REPLANNING ------------------------------------------------------------------------


def test_6_4_3_replanning_asks_with_its_path() -> None:
    stand = Stand()
    stand.zones(box("p", "COORDINATED_REPLANNING", 3.0, 6.0))
    stand.send(order([A, C]))
    stand.until(lambda: not stand.state.driving and stand.x > 1.0)
    (asked,) = stand.state.zone_requests or ()
    assert asked.request_type == "REPLANNING"
    assert asked.trajectory is not None
    xs = [point.x for point in asked.trajectory.control_points]
    assert xs[0] == pytest.approx(3.0 - FRONT, abs=0.2)
    assert xs[-1] == pytest.approx(6.0 + FRONT, abs=0.2)
    stand.answer(asked.request_id, "GRANTED")
    stand.until(lambda: stand.vehicle.idle)
    assert stand.at == ("c", 2)


def test_6_4_3_a_path_that_is_revoked_inside_stops_it_until_another_is_granted() -> None:
    stand = Stand(options=VehicleOptions(request_retry=2.0))
    stand.zones(box("p", "COORDINATED_REPLANNING", 3.0, 8.0))
    stand.send(order([A, C]))
    stand.step()
    first = request(stand)
    stand.answer(first, "GRANTED")
    stand.until(lambda: stand.x > 5.0)
    stand.answer(first, "REVOKED")
    where = stand.x
    stand.step(10)
    assert stand.x == where
    assert stand.error("RELEASE_ENDED") is not None
    stand.until(lambda: statuses(stand) == ["REQUESTED"])
    assert request(stand) != first
    stand.answer(request(stand), "GRANTED")
    assert stand.state.errors == ()
    stand.until(lambda: stand.vehicle.idle)


# -- zones without a permission --------------------------------------------------------------------


def test_6_4_1_a_blocked_zone_is_not_entered() -> None:
    stand = Stand()
    stand.zones(box("x", "BLOCKED", 3.0, 6.0))
    stand.send(order([A, C]))
    stand.until(lambda: stand.error("NODE_UNREACHABLE") is not None)
    found = stand.error("NODE_UNREACHABLE")
    assert found is not None
    assert found.error_level == "CRITICAL"
    assert stand.references("NODE_UNREACHABLE") == {"nodeId": "c"}
    assert stand.x + FRONT < 3.0
    # It waits, and keeps its order (6.4.5, 6.6.5.1).
    stand.step(50)
    assert [n.node_id for n in stand.state.node_states] == ["c"]
    stand.instant("cancelOrder")
    stand.until(lambda: stand.instant_status("cancelOrder") == "FINISHED")
    stand.send(order([("here", stand.x, 0.0)], name="p"))
    assert stand.state.errors == ()


def test_6_4_1_a_vehicle_in_a_blocked_zone_stops_and_says_so() -> None:
    stand = Stand()
    stand.send(order([A, C]))
    stand.step(40)
    stand.zones(box("x", "BLOCKED", 3.0, 6.0))
    found = stand.error("BLOCKED_ZONE_VIOLATION")
    assert found is not None
    assert found.error_level == "CRITICAL"
    assert stand.references("BLOCKED_ZONE_VIOLATION") == {"zoneId": "x"}
    where = stand.x
    stand.step(20)
    assert stand.x == where
    stand.bodies.place(0, 8.0, 0.0, 0.0)  # somebody pushes it out
    stand.step()
    assert stand.error("BLOCKED_ZONE_VIOLATION") is None


def test_6_4_4_blocked_overrules_what_it_overlaps() -> None:
    stand = Stand()
    stand.zones(box("x", "BLOCKED", 3.0, 6.0), release("r", 3.5, 6.0))
    stand.send(order([A, C]))
    stand.step()
    for asked in stand.state.zone_requests or ():
        stand.answer(asked.request_id, "GRANTED")
    stand.until(lambda: stand.error("NODE_UNREACHABLE") is not None)
    assert stand.x + FRONT < 3.0


def test_6_4_1_a_line_guided_zone_wants_a_trajectory() -> None:
    stand = Stand()
    stand.zones(box("l", "LINE_GUIDED", 3.0, 6.0))
    stand.send(order([A, C]))
    stand.until(lambda: stand.error("NODE_UNREACHABLE") is not None)
    assert stand.x + FRONT < 3.0
    other = Stand()
    other.zones(box("l", "LINE_GUIDED", 3.0, 6.0))
    line = Trajectory(control_points=(ControlPoint(x=0.0, y=0.0), ControlPoint(x=10.0, y=0.0)))
    other.send(order([A, C], edge={"trajectory": line}))
    other.until(lambda: other.vehicle.idle)
    assert other.at == ("c", 2)


def test_6_4_1_a_speed_limit_holds_from_the_border_on() -> None:
    stand = Stand(options=VehicleOptions(visualization_interval=0.1))
    stand.zones(box("s", "SPEED_LIMIT", 4.0, 6.0, maximum_speed=0.3))
    stand.send(order([A, C]))
    speeds: list[tuple[float, float]] = []
    while not stand.vehicle.idle:
        stand.step()
        speeds.append((stand.x, float(stand.bodies.velocities()[0, 0])))
    within = [v for x, v in speeds if 4.0 - FRONT <= x <= 6.0 + FRONT]
    assert within
    assert max(within) <= 0.3 + 1e-9
    assert max(v for x, v in speeds if x < 2.0) == pytest.approx(SPEED)
    assert max(v for x, v in speeds if 7.0 < x < 9.0) == pytest.approx(SPEED)


def test_6_4_4_the_lowest_speed_of_overlapping_zones_and_edges_holds() -> None:
    stand = Stand()
    stand.zones(
        box("s", "SPEED_LIMIT", 4.0, 6.0, maximum_speed=0.5),
        box("t", "SPEED_LIMIT", 4.0, 6.0, maximum_speed=0.2),
    )
    stand.send(order([A, C], edge={"maximum_speed": 0.4}))
    stand.until(lambda: stand.x > 5.0, 60.0)
    assert stand.bodies.velocities()[0, 0] == pytest.approx(0.2)
    stand.until(lambda: stand.x > 8.0)
    assert stand.bodies.velocities()[0, 0] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("direction", "limitation", "passes"),
    [
        (0.0, "STRICT", True),
        (1.0, "STRICT", False),
        (1.0, "RESTRICTED", True),
        (math.pi, "RESTRICTED", False),
        (math.pi, "SOFT", True),
    ],
)
def test_6_4_1_a_directed_zone(direction: float, limitation: str, passes: bool) -> None:
    stand = Stand()
    zone = box("d", "DIRECTED", 3.0, 6.0, direction=direction, directed_limitation=limitation)
    stand.zones(zone)
    stand.send(order([A, C]))
    if passes:
        stand.until(lambda: stand.vehicle.idle)
    else:
        stand.until(lambda: stand.error("NODE_UNREACHABLE") is not None)
        assert stand.x < 3.0  # its centre counts here, not its contour


@pytest.mark.parametrize(
    ("direction", "limitation", "passes"),
    [
        (math.pi, "RESTRICTED", True),
        (math.pi / 2, "RESTRICTED", False),
        (math.pi / 2, "SOFT", True),
    ],
)
def test_6_4_1_a_bidirected_zone(direction: float, limitation: str, passes: bool) -> None:
    stand = Stand()
    more = {"direction": direction, "bidirected_limitation": limitation}
    stand.zones(box("d", "BIDIRECTED", 3.0, 6.0, **more))
    stand.send(order([A, C]))
    wanted = (
        (lambda: stand.vehicle.idle)
        if passes
        else (lambda: stand.error("NODE_UNREACHABLE") is not None)
    )
    stand.until(wanted)


@pytest.mark.parametrize(("direction", "passes"), [(0.0, True), (math.pi, False)])
def test_6_4_1_the_direction_of_a_zone_is_that_of_travel_and_not_of_the_front(
    direction: float, passes: bool
) -> None:
    stand = Stand(options=VehicleOptions(reverses=True))
    stand.zones(
        box("d", "DIRECTED", 3.0, 6.0, direction=direction, directed_limitation="RESTRICTED")
    )
    stand.send(order([A, C], edge={"orientation": math.pi}))
    if passes:
        stand.until(lambda: stand.vehicle.idle)
        assert abs(float(stand.bodies.poses()[0, 2])) == pytest.approx(math.pi)
    else:
        stand.until(lambda: stand.error("NODE_UNREACHABLE") is not None)


def test_6_4_4_a_trajectory_comes_before_a_zones_direction() -> None:
    stand = Stand()
    more = {"direction": math.pi, "directed_limitation": "STRICT"}
    stand.zones(box("d", "DIRECTED", 3.0, 6.0, **more))
    line = Trajectory(control_points=(ControlPoint(x=0.0, y=0.0), ControlPoint(x=10.0, y=0.0)))
    stand.send(order([A, C], edge={"trajectory": line}))
    stand.until(lambda: stand.vehicle.idle)


@pytest.mark.parametrize("kind", ["PRIORITY", "PENALTY"])
def test_6_4_1_what_only_weighs_on_planning_closes_nothing(kind: str) -> None:
    stand = Stand()
    factor = {f"{kind.lower()}_factor": 1.0}
    stand.zones(box("w", kind, 3.0, 6.0, **factor))
    stand.send(order([A, C]))
    stand.until(lambda: stand.vehicle.idle)


# -- ACTION ----------------------------------------------------------------------------------------


def do(kind: str, blocking: str = "NONE") -> ZoneAction:
    return ZoneAction(action_type=kind, blocking_type=blocking)  # type: ignore[arg-type]


def test_6_4_1_actions_of_a_zone() -> None:
    stand = Stand(device=TimedDevice({"detectObject": 60.0, "finePositioning": 1.0}))
    zone = box(
        "act",
        "ACTION",
        3.0,
        6.0,
        entry_actions=(do("finePositioning", "SOFT"),),
        during_actions=(do("detectObject"),),
        exit_actions=(do("waitForTrigger", "HARD"),),
    )
    stand.zones(zone)
    stand.send(order([A, C]))
    assert stand.zone_status() == {}
    stand.until(lambda: bool(stand.zone_status()))
    assert 3.0 <= stand.x + FRONT < 3.4
    stand.until(lambda: stand.zone_status().get("finePositioning") == "FINISHED")
    assert stand.x + FRONT < 3.4  # SOFT: it stood meanwhile
    stand.until(lambda: "waitForTrigger" in stand.zone_status())
    assert stand.x - FRONT >= 6.0
    assert stand.zone_status()["detectObject"] == "FINISHED"
    where = stand.x
    stand.step(20)
    assert stand.x == where
    stand.vehicle.press("LOCAL", stand.now)
    stand.until(lambda: stand.vehicle.idle)
    stand.step()
    # Zone actions stay until they are cleared; the vehicle makes up their ids.
    assert len({a.action_id for a in stand.state.zone_action_states or ()}) == 3
    assert stand.instant("clearZoneActions") == "FINISHED"
    assert stand.state.zone_action_states == ()


def test_6_4_4_a_zone_action_against_another_zone() -> None:
    stand = Stand()
    stand.zones(
        box("act", "ACTION", 3.0, 6.0, entry_actions=(do("finePositioning"),)
            , during_actions=(), exit_actions=()),
        box("l", "LINE_GUIDED", 2.5, 6.0),
    )  # fmt: skip
    line = Trajectory(control_points=(ControlPoint(x=0.0, y=0.0), ControlPoint(x=10.0, y=0.0)))
    stand.send(order([A, C], edge={"trajectory": line}))
    stand.until(lambda: stand.error("ZONE_ACTION_CONFLICT") is not None)
    found = stand.error("ZONE_ACTION_CONFLICT")
    assert found is not None
    assert found.error_level == "CRITICAL"
    assert stand.references("ZONE_ACTION_CONFLICT") == {"zoneId": "act"}
    stand.step(20)
    assert not stand.state.driving


def test_a_zone_action_that_it_cannot_do_has_failed() -> None:
    stand = Stand()
    more = {"entry_actions": (do("fly"),), "during_actions": (), "exit_actions": ()}
    stand.zones(box("act", "ACTION", 3.0, 6.0, **more))
    stand.send(order([A, C]))
    stand.until(lambda: stand.vehicle.idle)
    assert stand.zone_status() == {"fly": "FAILED"}


# -- contours --------------------------------------------------------------------------------------


def test_a_zone_beside_the_way_closes_nothing() -> None:
    stand = Stand()
    beside = msgspec.structs.replace(
        box("x", "BLOCKED", 3.0, 6.0),
        vertices=tuple(
            msgspec.structs.replace(v, y=v.y + 1.4) for v in box("x", "BLOCKED", 3.0, 6.0).vertices
        ),
    )
    stand.zones(beside)  # from 0.4 to 2.4 m to the left, the vehicle is 0.3 m wide there
    stand.send(order([A, C]))
    stand.until(lambda: stand.vehicle.idle)
    assert stand.at == ("c", 2)


def test_turning_at_a_node_sweeps_the_contour() -> None:
    stand = Stand()
    corner = [("a", 0.0, 0.0), ("b", 5.0, 0.0), ("c", 5.0, 5.0)]
    stand.zones(box("x", "RELEASE", 5.38, 6.0, release_loss_behavior="STOP"))
    stand.send(order(corner))
    stand.until(lambda: not stand.state.driving and stand.x > 1.0)
    assert stand.x < 5.0
    assert statuses(stand) == ["REQUESTED"]


def test_a_load_makes_the_contour_larger() -> None:
    stand = Stand()
    assert stand.vehicle._parts.chassis.length == pytest.approx(0.8)
    stand.vehicle._parts.chassis.carry(50.0, 1.6, 1.2)
    outline = np.array(stand.vehicle._parts.chassis.contour(0.0, 0.0, 0.0))
    assert np.ptp(outline, axis=0) == pytest.approx([1.6, 1.2])


def test_2_1_says_nothing_of_zones() -> None:
    stand = Stand("2.1.0")
    assert isinstance(stand.state, State)
    assert stand.state.zone_requests is None
    assert stand.state.zone_sets is None
