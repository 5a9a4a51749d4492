"""States, visualizations, connection words and headers (3.0, 6.5 to 6.8 and 7.2)."""

from __future__ import annotations

import msgspec
import pytest

from stagetwin.fleets import VehicleType
from stagetwin_bridges.vda5050.messages import Connection, State, Visualization
from stagetwin_bridges.vda5050.vehicle import Vehicle, VehicleOptions, make_factsheet
from tests.bridges.vda5050.vehicle.stand import START, Stand, order

A, B, C = ("a", 0.0, 0.0), ("b", 2.0, 0.0), ("c", 4.0, 0.0)
VERSIONS = pytest.mark.parametrize("version", ["2.1.0", "3.0.0"])


@VERSIONS
def test_6_5_it_says_online_first_and_has_a_last_will(version: str) -> None:
    stand = Stand(version)
    assert [m.topic for m in stand.sent] == ["connection", "factsheet", "state"]
    assert stand.words == ["ONLINE"]
    will = stand.vehicle.will(stand.now)
    assert will.connection_state == "CONNECTION_BROKEN"
    stand.vehicle.disconnect(stand.now)
    stand.step()
    assert stand.words == ["ONLINE", "OFFLINE"]


@VERSIONS
def test_6_6_a_state_comes_every_30_s_where_nothing_happens(version: str) -> None:
    stand = Stand(version)
    count = len(stand.states)
    stand.step(295)
    assert len(stand.states) == count
    stand.step(10)
    assert len(stand.states) == count + 1


def test_6_6_the_interval_can_be_shorter_and_never_longer() -> None:
    quick = Stand(options=VehicleOptions(state_interval=1.0))
    quick.step(100)
    assert len(quick.states) in (10, 11)
    slow = Stand(options=VehicleOptions(state_interval=300.0))
    slow.step(620)
    assert len(slow.states) == 3


@VERSIONS
def test_6_6_events_send_a_state(version: str) -> None:
    """An order, driving, a node passed, the end of driving, a mode, a protective field."""
    stand = Stand(version)
    count = len(stand.states)
    stand.send(order([A, B]))
    assert len(stand.states) > count
    stand.until(lambda: stand.vehicle.idle)
    stand.step(2)
    told = [(s.driving, s.last_node_id) for s in stand.states]
    assert list(dict.fromkeys(told)) == [
        (False, ""),
        (False, "a"),
        (True, "a"),
        (False, "b"),
    ]
    count = len(stand.states)
    stand.bodies.in_the_way[0] = True
    stand.step()
    assert stand.state.safety_state.field_violation
    stand.vehicle.set_mode("MANUAL", stand.now)
    stand.step()
    assert len(stand.states) == count + 2


def test_6_6_events_of_one_moment_come_in_one_state() -> None:
    stand = Stand()
    count = len(stand.states)
    stand.send(order([A]))
    assert len(stand.states) == count + 1


def test_6_6_states_are_not_closer_than_the_factsheet_says() -> None:
    sheet = make_factsheet(VehicleType(speed=1.0, length=0.8, width=0.6))
    timing = msgspec.structs.replace(sheet.protocol_limits.timing, minimum_state_interval=0.5)
    limits = msgspec.structs.replace(sheet.protocol_limits, timing=timing)
    stand = Stand(factsheet=msgspec.structs.replace(sheet, protocol_limits=limits))
    times = []
    stand.send(order([("n", 0.0, 0.0), *[(f"n{k}", 0.1 * k, 0.0) for k in range(1, 40)]]))
    for _ in range(60):
        stand.step()
        if stand.sent and isinstance(stand.sent[-1], State):
            times.append(stand.sent[-1].header_id)
    assert len(set(times)) <= 60 * 0.1 / 0.5 + 1
    stand.until(lambda: stand.vehicle.idle)
    stand.step(6)
    assert stand.at == ("n39", 78)


def test_7_2_headers_count_by_topic_and_carry_who_and_when() -> None:
    stand = Stand(options=VehicleOptions(state_interval=1.0, visualization_interval=0.2))
    stand.step(50)
    for kind in (State, Visualization, Connection):
        found = [m for m in stand.sent if isinstance(m, kind)]
        assert [m.header_id for m in found] == list(range(len(found)))
    assert {(m.manufacturer, m.serial_number, m.version) for m in stand.sent} == {
        ("KIT", "0001", "3.0.0")
    }
    assert stand.state.timestamp > "2025-10-09T08:53:20.000Z"
    assert stand.now > START


@VERSIONS
def test_6_7_visualizations_come_at_their_rate(version: str) -> None:
    stand = Stand(version, options=VehicleOptions(visualization_interval=0.2))
    count = len([m for m in stand.sent if isinstance(m, Visualization)])
    stand.send(order([A, B]))
    stand.step(19)
    shown = [m for m in stand.sent if isinstance(m, Visualization)]
    assert len(shown) - count == 10
    last = shown[-1]
    assert last.mobile_robot_position is not None
    assert last.mobile_robot_position.x == pytest.approx(stand.x, abs=0.11)
    assert last.reference_state_header_id == stand.state.header_id


def test_6_8_a_free_vehicle_shares_its_paths() -> None:
    stand = Stand(navigation="FREELY_NAVIGATING")
    stand.send(order([A, B, C]))
    stand.step(5)
    stand.instant("stateRequest")
    planned, close = stand.state.planned_path, stand.state.intermediate_path
    assert planned is not None
    assert close is not None
    xs = [p.x for p in planned.trajectory.control_points]
    assert xs[0] == pytest.approx(stand.x)
    assert xs[-1] == 4.0
    assert planned.traversed_nodes == ("b", "c")
    assert (close.polyline[0].x, close.polyline[-1].x) == (pytest.approx(stand.x), 4.0)
    etas = [point.eta for point in close.polyline]
    assert etas == sorted(etas)
    stand.until(lambda: stand.vehicle.idle)
    stand.step()
    assert stand.state.planned_path is None


@VERSIONS
def test_6_6_1_only_what_lies_ahead_is_reported(version: str) -> None:
    stand = Stand(version)
    stand.send(order([A, B, C]))
    stand.until(lambda: stand.at == ("b", 2))
    assert [n.node_id for n in stand.state.node_states] == ["c"]
    assert [e.edge_id for e in stand.state.edge_states] == ["b-c"]
    stand.step(10)
    stand.instant("stateRequest")
    assert stand.state.distance_since_last_node == pytest.approx(stand.x - 2.0)


def test_6_6_3_a_base_that_runs_short_is_told_while_there_is_more_to_come() -> None:
    stand = Stand(options=VehicleOptions(base_request_distance=1.0))
    stand.send(order([A, ("b", 5.0, 0.0), ("c", 9.0, 0.0)], released=2))
    assert not stand.state.new_base_request
    stand.until(lambda: bool(stand.state.new_base_request))
    assert stand.x < 5.0
    stand.send(order([("b", 5.0, 0.0), ("c", 9.0, 0.0)], update=1, first=2))
    assert not stand.state.new_base_request


def test_a_body_that_is_not_there_is_refused() -> None:
    stand = Stand()
    with pytest.raises(ValueError, match="there are 1"):
        Vehicle(stand.identity, make_factsheet(VehicleType()), bodies=stand.bodies, index=1)


def test_the_factsheet_is_one_of_its_version() -> None:
    for version in ("2.1.0", "3.0.0"):
        names = {
            a.action_type
            for a in make_factsheet(VehicleType(), version).protocol_features.mobile_robot_actions
        }
        assert {"cancelOrder", "startPause", "stopPause"} <= names
        assert ("retry" in names) == (version == "3.0.0")
