"""The vehicle on bodies with limits of acceleration and turning: `simulated`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from stagetwin.fleets import Leg, VehicleType, find_bodies
from stagetwin_bridges.vda5050.messages import ControlPoint, Order, Trajectory
from stagetwin_bridges.vda5050.vehicle import TimedDevice, VehicleOptions
from tests.bridges.vda5050.vehicle.stand import Stand, action, box, order

A, B, C, D = ("a", 0.0, 0.0), ("b", 4.0, 0.0), ("c", 4.0, 4.0), ("d", 0.0, 4.0)


def stand(**more: Any) -> Stand:
    return Stand(make=find_bodies("simulated"), **more)


def test_it_drives_round_corners_and_ends_as_the_last_node_says() -> None:
    found = stand()
    found.send(order([A, B, C, D], theta=0.0))
    found.until(lambda: found.vehicle.idle)
    found.step(20)
    x, y, theta = found.body.poses()[0].tolist()
    assert math.dist((x, y), (0.0, 4.0)) < 0.05
    assert abs(math.remainder(theta, math.tau)) < 0.15
    assert not found.state.driving
    assert found.at == ("d", 6)


def test_it_never_passes_the_decision_point_and_goes_on_with_more_base() -> None:
    found = stand()
    found.send(order([A, B, ("e", 8.0, 0.0)], released=2))
    found.until(lambda: found.at == ("b", 2))
    found.step(30)
    assert found.x == pytest.approx(4.0, abs=0.02)
    found.send(order([B, ("e", 8.0, 0.0)], update=1, first=2))
    found.until(lambda: found.vehicle.idle)
    assert found.x == pytest.approx(8.0, abs=0.02)


def test_a_base_is_given_to_the_body_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body lays its path anew with every call: one for each edge would take a second a fleet."""
    found = stand()
    calls: list[int] = []
    drive = found.body.drive

    def counted(vehicle: int, legs: Sequence[Leg]) -> None:
        calls.append(len(legs))
        drive(vehicle, legs)

    monkeypatch.setattr(found.body, "drive", counted)
    found.send(order([(f"n{k}", 0.5 * k, 0.0) for k in range(21)]))
    assert calls == [20]
    found.until(lambda: found.vehicle.idle)
    assert found.at == ("n20", 40)
    assert calls == [20]


def backward(*edges: str) -> Order:
    """Return an order round a corner, some edges of which are driven backward."""
    message = order([A, B, C])
    turned = tuple(
        msgspec.structs.replace(e, orientation=math.pi if e.edge_id in edges else 0.0)
        for e in message.edges
    )
    return msgspec.structs.replace(message, edges=turned)


def test_an_edge_is_driven_backward_where_the_order_says_so() -> None:
    """7.3: TANGENTIAL, pi. It turns round before it, and again before the next edge."""
    found = stand(options=VehicleOptions(reverses=True))
    reverse_speed = VehicleType().reverse_speed
    found.send(backward("a-b"))
    velocities: list[float] = []
    while found.at != ("b", 2):
        found.step()
        velocities.append(float(found.body.velocities()[0, 0]))
        x, y, theta = found.body.poses()[0].tolist()
        if 0.2 < x < 3.9:
            assert abs(math.remainder(theta - math.pi, math.tau)) < 0.1
            assert abs(y) < 0.05
        if 2.0 < x < 2.1:
            found.instant("stateRequest")
            assert found.state.velocity is not None
            assert found.state.velocity.vx == pytest.approx(-reverse_speed, abs=0.05)
    assert min(velocities) == pytest.approx(-reverse_speed, abs=0.02)
    assert max(velocities) < 0.05
    found.until(lambda: found.vehicle.idle)
    x, y, theta = found.body.poses()[0].tolist()
    assert math.dist((x, y), (4.0, 4.0)) < 0.05
    assert theta == pytest.approx(math.pi / 2, abs=0.15)
    assert found.at == ("c", 4)


def test_it_goes_on_backward_after_a_pause() -> None:
    found = stand(options=VehicleOptions(reverses=True))
    found.send(backward("a-b", "b-c"))
    found.until(lambda: found.x > 1.0)
    found.instant("startPause")
    found.until(lambda: not found.state.driving)
    found.instant("stopPause")
    found.until(lambda: found.vehicle.idle)
    assert found.at == ("c", 4)
    theta = float(found.body.poses()[0, 2])
    assert theta == pytest.approx(-math.pi / 2, abs=0.15)


def test_an_update_in_time_keeps_it_moving() -> None:
    found = stand()
    found.send(order([A, B, ("e", 8.0, 0.0)], released=2))
    found.step(10)
    found.send(order([B, ("e", 8.0, 0.0)], update=1, first=2))
    slowest = math.inf
    while found.x < 7.0:
        found.step()
        if found.x > 1.0:
            slowest = min(slowest, float(found.body.velocities()[0, 0]))
    assert slowest > 0.9


def test_a_pause_brakes_and_the_way_is_kept() -> None:
    found = stand()
    found.send(order([A, B, C]))
    found.step(20)
    found.instant("startPause")
    found.until(lambda: found.instant_status("startPause") == "FINISHED")
    assert not found.state.driving
    where = found.x
    found.step(20)
    assert found.x == pytest.approx(where, abs=1e-3)
    found.instant("stopPause")
    found.until(lambda: found.vehicle.idle)
    assert found.at == ("c", 4)


def test_a_pause_that_ends_before_it_stood_has_failed() -> None:
    found = stand()
    found.send(order([A, B]))
    found.step(20)
    assert found.instant("startPause") == "RUNNING"
    assert found.instant("stopPause") == "FINISHED"
    assert found.instant_status("startPause") == "FAILED"
    found.until(lambda: found.vehicle.idle)


def test_a_cancelled_order_ends_standing_and_another_one_is_driven() -> None:
    found = stand()
    found.send(order([A, B]))
    found.step(20)
    found.instant("cancelOrder")
    found.until(lambda: found.instant_status("cancelOrder") == "FINISHED")
    assert not found.state.driving
    x, y, _ = found.body.poses()[0].tolist()
    assert x < 3.0
    found.send(order([("here", x, y), ("d", 0.0, 3.0)], name="p"))
    found.until(lambda: found.vehicle.idle)
    assert math.dist(found.body.poses()[0, :2].tolist(), (0.0, 3.0)) < 0.05


def test_a_hard_action_stands_where_it_belongs() -> None:
    found = stand(device=TimedDevice({"finePositioning": 1.0}))
    found.send(order([A, B, C], nodes={1: [action("finePositioning", "f", "HARD")]}))
    found.until(lambda: found.status("f") == "RUNNING")
    assert found.x == pytest.approx(4.0, abs=0.05)
    found.until(lambda: found.vehicle.idle)
    assert found.at == ("c", 4)


def test_a_trajectory_is_followed() -> None:
    found = stand()
    bend = Trajectory(
        degree=2,
        control_points=(
            ControlPoint(x=0.0, y=0.0),
            ControlPoint(x=4.0, y=0.0),
            ControlPoint(x=4.0, y=4.0),
        ),
    )
    found.send(order([A, C], edge={"trajectory": bend}))
    middle: list[float] = []
    while not found.vehicle.idle:
        found.step()
        x, y, _ = found.body.poses()[0].tolist()
        middle.append(math.dist((x, y), (3.0, 1.0)))  # the curve at half of its parameter
    assert min(middle) < 0.15
    assert found.at == ("c", 2)


def test_a_closed_zone_is_not_touched() -> None:
    found = stand()
    found.zones(box("r", "RELEASE", 3.0, 6.0, release_loss_behavior="STOP"))
    found.send(order([A, ("e", 8.0, 0.0)]))
    found.step(80)
    assert 2.0 < found.x + 0.4 < 3.0
    (asked,) = found.state.zone_requests or ()
    found.answer(asked.request_id, "GRANTED")
    found.until(lambda: found.vehicle.idle)
    assert found.at == ("e", 2)


def test_a_speed_limit_is_reached_before_its_zone() -> None:
    found = stand()
    found.zones(box("s", "SPEED_LIMIT", 4.0, 6.0, maximum_speed=0.3))
    found.send(order([A, ("e", 10.0, 0.0)]))
    fastest = 0.0
    while not found.vehicle.idle:
        found.step()
        if 3.6 <= found.x <= 6.4:
            fastest = max(fastest, float(found.body.velocities()[0, 0]))
    assert 0.2 < fastest <= 0.31
