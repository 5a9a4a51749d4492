"""Corridors, and the requests to use them (3.0, 6.1.5 and 6.6.10)."""

from __future__ import annotations

from typing import Any

import pytest

from stagetwin_bridges.vda5050.messages import Corridor
from stagetwin_bridges.vda5050.vehicle import VehicleOptions
from tests.bridges.vda5050.vehicle.stand import Stand, order

A, B, C = ("a", 0.0, 0.0), ("b", 10.0, 0.0), ("c", 14.0, 0.0)


def wide(**more: Any) -> dict[str, Any]:
    return {"corridor": Corridor(left_width=1.5, right_width=0.5, **more)}


def met(stand: Stand) -> None:
    """Let it drive, and find something in its way for as long as it stands there."""
    stand.step(20)
    stand.bodies.in_the_way[0] = True
    stand.step(40)


def side(stand: Stand) -> float:
    return float(stand.bodies.poses()[0, 1])


def request(stand: Stand) -> str:
    (only,) = stand.state.edge_requests or ()
    assert (only.request_type, only.edge_id, only.sequence_id) == ("CORRIDOR", "a-b", 1)
    return only.request_id


@pytest.mark.parametrize("version", ["2.1.0", "3.0.0"])
def test_6_1_5_a_corridor_lets_it_drive_round_an_obstacle(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A, B], edge=wide()))
    met(stand)
    stand.bodies.in_the_way[0] = False
    sides = []
    while not stand.vehicle.idle:
        stand.step()
        sides.append(side(stand))
    assert max(sides) == pytest.approx(1.4)
    assert stand.at == ("b", 2)
    assert side(stand) == pytest.approx(0.0)
    assert not any(s.errors for s in stand.states)


def test_6_1_5_without_a_corridor_it_stays_on_its_way() -> None:
    stand = Stand()
    stand.send(order([A, B]))
    met(stand)
    stand.bodies.in_the_way[0] = False
    stand.until(lambda: stand.vehicle.idle)
    assert side(stand) == 0.0


def test_6_1_5_its_contour_may_count() -> None:
    stand = Stand()
    stand.send(order([A, B], edge=wide(corridor_reference_point="CONTOUR")))
    met(stand)
    stand.bodies.in_the_way[0] = False
    stand.step(20)
    assert side(stand) == pytest.approx(1.5 - 0.3 - 0.1)


def test_6_1_5_outside_of_the_corridor_it_stops() -> None:
    stand = Stand()
    stand.send(order([A, B], edge=wide()))
    stand.step(20)
    stand.bodies.place(0, 2.0, 2.5, 0.0)
    stand.step()
    found = stand.error("OUTSIDE_OF_CORRIDOR")
    assert found is not None
    assert found.error_level == "CRITICAL"
    assert stand.references("OUTSIDE_OF_CORRIDOR") == {"edgeId": "a-b"}
    where = side(stand)
    stand.step(20)
    assert side(stand) == where
    stand.bodies.place(0, 2.0, 0.5, 0.0)
    stand.step()
    assert stand.error("OUTSIDE_OF_CORRIDOR") is None
    stand.until(lambda: stand.vehicle.idle)


def test_6_6_10_it_asks_before_it_leaves_the_way() -> None:
    stand = Stand()
    stand.send(order([A, B], edge=wide(release_required=True)))
    assert stand.state.edge_requests == ()
    met(stand)
    name = request(stand)
    stand.bodies.in_the_way[0] = True
    stand.step(50)
    assert side(stand) == 0.0
    stand.answer(name, "GRANTED")
    stand.bodies.in_the_way[0] = False
    stand.step(30)
    assert side(stand) > 1.0
    (held,) = stand.state.edge_requests or ()
    assert held.request_status == "GRANTED"
    stand.until(lambda: stand.vehicle.idle)
    stand.step()
    assert stand.state.edge_requests == ()


def test_6_6_10_a_request_that_is_not_needed_any_more_goes() -> None:
    stand = Stand()
    stand.send(order([A, B], edge=wide(release_required=True)))
    met(stand)
    request(stand)
    stand.bodies.in_the_way[0] = False
    stand.step(2)
    assert stand.state.edge_requests == ()
    stand.until(lambda: stand.vehicle.idle)
    assert side(stand) == 0.0


def lost_beside(stand: Stand, loss: str) -> None:
    stand.send(order([A, B], edge=wide(release_required=True, release_loss_behavior=loss)))
    met(stand)
    name = request(stand)
    stand.answer(name, "GRANTED")
    stand.bodies.in_the_way[0] = False
    stand.step(20)
    assert side(stand) > 1.0
    stand.answer(name, "REVOKED")


def test_6_6_10_a_loss_with_stop() -> None:
    stand = Stand()
    lost_beside(stand, "STOP")
    (held,) = stand.state.edge_requests or ()
    assert held.request_status == "REVOKED"
    found = stand.error("CORRIDOR_RELEASE_LOST")
    assert found is not None
    assert found.error_level == "CRITICAL"
    where = side(stand)
    stand.step(30)
    assert side(stand) == where


def test_6_6_10_a_loss_with_return() -> None:
    stand = Stand()
    lost_beside(stand, "RETURN")
    stand.step(30)
    assert side(stand) == pytest.approx(0.0, abs=0.05)
    assert stand.state.edge_requests == ()
    stand.until(lambda: stand.vehicle.idle)
    assert stand.at == ("b", 2)


def test_6_6_10_a_lease_can_end() -> None:
    stand = Stand(options=VehicleOptions(request_retry=1000.0))
    stand.send(order([A, B], edge=wide(release_required=True)))
    met(stand)
    stand.answer(request(stand), "GRANTED", lease=2.0)
    stand.bodies.in_the_way[0] = False
    stand.step(30)
    assert stand.error("CORRIDOR_RELEASE_LOST") is not None
    (held,) = stand.state.edge_requests or ()
    assert held.request_status == "EXPIRED"


def test_a_corridor_that_is_too_narrow_is_not_used() -> None:
    stand = Stand()
    narrow = {"corridor": Corridor(left_width=0.1, right_width=0.1)}
    stand.send(order([A, B], edge=narrow))
    met(stand)
    stand.bodies.in_the_way[0] = False
    stand.until(lambda: stand.vehicle.idle)
    assert side(stand) == 0.0
