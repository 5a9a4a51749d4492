"""Who may enter which zone: one holder at a time, leases, and what a lost vehicle keeps."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagetwin.clock import ManualClock
from stagetwin_bridges.vda5050.control import Releases
from stagetwin_bridges.vda5050.control._claims import claim_of
from stagetwin_bridges.vda5050.messages import (
    ControlPoint,
    EdgeRequest,
    MobileRobotPosition,
    PowerSupply,
    SafetyState,
    State,
    Trajectory,
    ZoneRequest,
    seconds_of,
)
from tests.bridges.vda5050.control.floor import grid, zone

FLOOR = msgspec.structs.replace(
    grid(), zones={"X": zone("X", 3.0, 0.0, type="RELEASE"), "S": zone("S", 0.0, 6.0)}
)
LEASE = 20.0


def state(*requests: Any, at: tuple[float, float] = (0.0, 0.0), **fields: Any) -> State:
    """Return a state that shows requests."""
    zones = tuple(each for each in requests if isinstance(each, ZoneRequest))
    edges = tuple(each for each in requests if isinstance(each, EdgeRequest))
    given: dict[str, Any] = {
        "order_id": "",
        "order_update_id": 0,
        "last_node_id": "",
        "last_node_sequence_id": 0,
        "node_states": (),
        "edge_states": (),
        "driving": False,
        "action_states": (),
        "instant_action_states": (),
        "power_supply": PowerSupply(state_of_charge=80.0, charging=False),
        "operating_mode": "AUTOMATIC",
        "errors": (),
        "safety_state": SafetyState(active_emergency_stop="NONE", field_violation=False),
        "zone_requests": zones,
        "edge_requests": edges,
        "mobile_robot_position": MobileRobotPosition(
            x=at[0], y=at[1], theta=0.0, map_id="floor", localized=True
        ),
        **fields,
    }
    return State(**given)


def ask(name: str = "r1", zone_id: str = "X", status: Any = "REQUESTED") -> ZoneRequest:
    """Return a request to enter a zone."""
    return ZoneRequest(
        request_id=name,
        request_type="ACCESS",
        zone_id=zone_id,
        zone_set_id="s",
        request_status=status,
    )


class Office:
    """Releases with a clock, asked in one line."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.releases = Releases(FLOOR, lease=LEASE, clock=self.clock)

    def say(self, vehicle: str, *requests: Any, leave: bool = True, **more: Any) -> list[str]:
        """Let a vehicle show its requests; return what it is answered."""
        base = more.pop("base", ())
        self.releases.receive(vehicle, state(*requests, **more))
        return [str(r.grant_type) for r in self.releases.answers(vehicle, base, leave=leave)]


@pytest.fixture
def office() -> Office:
    return Office()


def test_one_vehicle_holds_a_zone_and_the_next_gets_it_when_it_has_left(office: Office) -> None:
    assert office.say("a", ask()) == ["GRANTED"]
    assert office.say("b", ask()) == ["QUEUED"]
    assert office.say("c", ask()) == ["QUEUED"]
    assert office.say("a", ask(status="GRANTED")) == []
    assert office.say("b", ask()) == [], "it was told"
    assert office.say("a") == []
    assert office.releases.holders("X") == []
    assert office.say("c", ask()) == [], "b was first"
    assert office.say("b", ask()) == ["GRANTED"]
    assert office.releases.holders("X") == ["b"]


def test_a_lease_is_extended_before_it_runs_out_and_only_with_leave(office: Office) -> None:
    office.releases.receive("a", state(ask()))
    (first,) = office.releases.answers("a", (), leave=True)
    assert first.lease_expiry is not None
    assert seconds_of(first.lease_expiry) == pytest.approx(office.clock.wall() + LEASE, abs=0.01)
    office.clock.advance(LEASE * 0.4)
    assert office.say("a", ask(status="GRANTED")) == []
    office.clock.advance(LEASE * 0.2)
    assert office.say("a", ask(status="GRANTED"), leave=False) == []
    assert office.say("a", ask(status="GRANTED")) == ["GRANTED"]


def test_what_was_granted_and_does_not_show_is_granted_again(office: Office) -> None:
    assert office.say("a", ask()) == ["GRANTED"]
    assert office.say("a", ask()) == []
    office.clock.advance(2.5)
    assert office.say("a", ask()) == ["GRANTED"], "the answer was lost"


def test_a_vehicle_that_is_lost_keeps_its_zone_and_loses_its_place_in_the_queue(
    office: Office,
) -> None:
    assert office.say("a", ask()) == ["GRANTED"]
    assert office.say("b", ask()) == ["QUEUED"]
    office.releases.absent("a")
    office.releases.absent("b")
    office.clock.advance(10 * LEASE)
    assert office.say("c", ask()) == ["QUEUED"], "a may stand in it still"
    assert office.say("a", ask(status="EXPIRED")) == ["GRANTED"]
    assert office.say("a") == []
    assert office.say("c", ask()) == ["GRANTED"]


def test_requests_withdrawn_by_hand_free_no_zone_that_the_vehicle_stands_in(
    office: Office,
) -> None:
    assert office.say("a", ask()) == ["GRANTED"]
    office.say("a", at=(3.0, 0.0), operating_mode="INTERVENED")
    assert office.releases.holders("X") == ["a"]
    assert office.say("b", ask()) == ["QUEUED"]
    office.say("a", at=(9.0, 0.0), operating_mode="INTERVENED")
    assert office.say("b", ask()) == ["GRANTED"]


def test_a_revoked_permission_counts_until_the_vehicle_shows_it_no_more(office: Office) -> None:
    assert office.say("a", ask()) == ["GRANTED"]
    office.releases.revoke("a", "r1")
    assert office.say("a", ask(status="GRANTED")) == ["REVOKED"]
    assert office.say("b", ask("r9")) == ["QUEUED"]
    assert office.say("a", ask(status="REVOKED")) == []
    assert office.releases.holders("X") == ["a"]
    office.say("a")
    assert office.say("b", ask("r9")) == ["GRANTED"]


def test_what_is_no_zone_to_be_asked_for_is_rejected(office: Office) -> None:
    assert office.say("a", ask(zone_id="S")) == ["REJECTED"]
    assert office.say("b", ask(zone_id="nowhere")) == ["REJECTED"]


def test_corridors_are_granted_on_the_base_alone(office: Office) -> None:
    def corridor(sequence_id: int) -> EdgeRequest:
        return EdgeRequest(
            request_id=f"e{sequence_id}",
            request_type="CORRIDOR",
            edge_id="ab",
            sequence_id=sequence_id,
            request_status="REQUESTED",
        )

    base = {("ab", 3)}
    assert office.say("a", corridor(3), base=base) == ["GRANTED"]
    assert office.say("b", corridor(5), base=base) == ["REJECTED"]
    assert office.say("c", corridor(3), base=base, leave=False) == ["QUEUED"]


def test_a_lease_must_last() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Releases(FLOOR, lease=0.0)


def test_an_id_that_comes_again_for_another_zone_is_another_request() -> None:
    office = Office()
    two = msgspec.structs.replace(
        FLOOR, zones={**FLOOR.zones, "Y": zone("Y", 9.0, 0.0, type="RELEASE")}
    )
    office.releases = Releases(two, lease=LEASE, clock=office.clock)
    assert office.say("b", ask("r1", "Y")) == ["GRANTED"]
    assert office.say("a", ask("r1", "X")) == ["GRANTED"]
    office.clock.advance(LEASE)
    # It was started anew, and counts its requests from one.
    assert office.say("a", ask("r1", "Y")) == ["QUEUED"]
    assert (office.releases.holders("X"), office.releases.holders("Y")) == ([], ["b"])


def test_an_id_that_comes_again_leaves_no_zone_that_the_vehicle_stands_in() -> None:
    office = Office()
    two = msgspec.structs.replace(
        FLOOR, zones={**FLOOR.zones, "Y": zone("Y", 9.0, 0.0, type="RELEASE")}
    )
    office.releases = Releases(two, lease=LEASE, clock=office.clock)
    office.say("a", ask("r1", "X"))
    office.say("a", ask("r1", "Y"), at=(3.0, 0.0), operating_mode="MANUAL", leave=False)
    assert office.releases.holders("X") == ["a"]
    office.say("a", ask("r1", "Y"), at=(9.0, 9.0), operating_mode="MANUAL", leave=False)
    assert office.releases.holders("X") == []


def test_however_much_is_asked_for_no_answer_is_longer_than_a_socket_takes() -> None:
    office = Office()
    asked = [ask(f"r{k}", f"no zone {k}") for k in range(120)]
    counts = [len(office.say("a", *asked)) for _ in range(4)]
    assert counts == [50, 50, 20, 0]


# -- paths in zones of coordinated replanning

REPLANNED = msgspec.structs.replace(
    grid(6, 4, 3.0),
    zones={
        "C": zone("C", 6.0, 5.0, 12.0, type="COORDINATED_REPLANNING"),
        "N": zone("N", 11.0, 10.5, 1.0, type="BLOCKED"),
        "X": zone("X", 20.0, 0.0, type="RELEASE"),
    },
)


def curve(*points: tuple[float, float], **fields: Any) -> Trajectory:
    """Return a path through points."""
    corners = tuple(ControlPoint(x=x, y=y) for x, y in points)
    return Trajectory(control_points=corners, **fields)


def across(y: float) -> Trajectory:
    """Return a path through the zone from left to right."""
    return curve((-3.0, y), (15.0, y))


def replan(path: Trajectory | None, name: str = "r1", zone_id: str = "C") -> ZoneRequest:
    """Return a request to use a path."""
    return ZoneRequest(
        request_id=name,
        request_type="REPLANNING",
        zone_id=zone_id,
        zone_set_id="s",
        request_status="REQUESTED",
        trajectory=path,
    )


class Floor(Office):
    """The office of a floor with such a zone; every vehicle reaches half a metre."""

    def __init__(self) -> None:
        super().__init__()
        self.releases = Releases(REPLANNED, lease=LEASE, clock=self.clock)

    def say(self, vehicle: str, *requests: Any, leave: bool = True, **more: Any) -> list[str]:
        reach = more.pop("reach", 0.5)
        self.releases.receive(vehicle, state(*requests, **more), reach)
        return [str(r.grant_type) for r in self.releases.answers(vehicle, (), leave=leave)]


def test_paths_that_keep_apart_are_held_at_once() -> None:
    floor = Floor()
    assert floor.say("a", replan(across(2.0))) == ["GRANTED"]
    assert floor.say("b", replan(across(4.0))) == ["GRANTED"]
    assert floor.say("c", replan(across(5.0))) == ["QUEUED"], "1 m from b, which needs 1.2"
    assert floor.say("d", replan(curve((6.0, -3.0), (6.0, 12.0)))) == ["QUEUED"], "it crosses"
    assert floor.releases.holders("C") == ["a", "b"]
    floor.say("b")
    assert floor.say("c", replan(across(5.0))) == ["GRANTED"]


def test_nobody_overtakes_whom_it_would_hold_up() -> None:
    floor = Floor()
    crossing = curve((6.0, -3.0), (6.0, 12.0))
    assert floor.say("a", replan(across(2.0))) == ["GRANTED"]
    assert floor.say("b", replan(crossing)) == ["QUEUED"]
    assert floor.say("c", replan(across(8.0))) == ["QUEUED"], "it crosses b, who was first"
    floor.say("a")
    assert floor.say("b", replan(crossing)) == ["GRANTED"]
    assert floor.say("c", replan(across(8.0))) == []


@pytest.mark.parametrize("unknown", ["path", "reach"])
def test_what_is_not_known_needs_the_whole_zone(unknown: str) -> None:
    floor = Floor()
    more: dict[str, Any] = {"reach": None} if unknown == "reach" else {}
    path = None if unknown == "path" else across(2.0)
    assert floor.say("a", replan(path), **more) == ["GRANTED"]
    assert floor.say("b", replan(across(9.0))) == ["QUEUED"]
    floor.say("a")
    assert floor.say("b", replan(across(9.0))) == ["GRANTED"]
    assert floor.say("a", replan(path), **more) == ["QUEUED"]


def test_of_several_paths_that_were_granted_the_one_that_is_kept_is_held() -> None:
    floor = Floor()
    both = replan(across(2.0), "r1"), replan(across(8.0), "r2")
    assert floor.say("a", *both) == ["GRANTED", "GRANTED"]
    assert floor.say("b", replan(across(8.0))) == ["QUEUED"]
    chosen = msgspec.structs.replace(both[0], request_status="GRANTED")
    floor.say("a", chosen)
    assert floor.say("b", replan(across(8.0))) == ["GRANTED"]


def test_another_path_under_the_same_id_was_not_granted() -> None:
    floor = Floor()
    assert floor.say("a", replan(across(2.0))) == ["GRANTED"]
    assert floor.say("b", replan(across(8.0))) == ["GRANTED"]
    assert floor.say("a", replan(across(8.0))) == ["QUEUED"], "b is there"
    assert floor.releases.holders("C") == ["b"]
    assert floor.say("c", replan(across(2.0))) == ["GRANTED"], "a has dropped that path"
    floor.say("b")
    assert floor.say("a", replan(across(8.0))) == ["GRANTED"]


def test_a_path_that_is_changed_by_hand_in_the_zone_is_held_until_the_vehicle_has_left() -> None:
    floor = Floor()
    assert floor.say("a", replan(across(2.0))) == ["GRANTED"]
    inside: dict[str, Any] = {"at": (6.0, 2.0), "operating_mode": "MANUAL", "leave": False}
    floor.say("a", replan(across(8.0)), **inside)
    floor.say("a", replan(across(8.0)), **inside)
    assert floor.say("b", replan(across(2.0))) == ["QUEUED"]
    floor.say("a", replan(across(8.0)))
    assert floor.say("b", replan(across(2.0))) == ["GRANTED"]


@pytest.mark.parametrize("x", [900.0, 901.0, 902.0, 903.0])
def test_a_long_path_leads_through_a_small_blocked_zone(x: float) -> None:
    shut = {**REPLANNED.zones, "N": zone("N", x, 2.0, 0.5, type="BLOCKED")}
    floor = msgspec.structs.replace(REPLANNED, zones=shut)
    _, fault = claim_of(floor, shut["C"], curve((0.0, 2.0), (1999.0, 2.0)), 0.5)
    assert fault == "the path leads through the blocked zone 'N'"
    assert claim_of(floor, shut["C"], curve((0.0, 3.0), (1999.0, 3.0)), 0.5)[1] == ""


def test_a_request_of_the_other_kind_is_rejected() -> None:
    floor = Floor()
    access = ask("r1", "C")
    assert floor.say("a", access) == ["REJECTED"]
    assert floor.say("b", replan(across(0.0), zone_id="X")) == ["REJECTED"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (curve((0.0, 0.0)), "2 to 2000 control points, got 1"),
        (curve((11.0, 2.0), (11.0, 12.0)), "through the blocked zone 'N'"),
        (curve((0.0, 0.0), (9e3, 0.0)), "at most 2000 m long, got 9000 m"),
        (curve((0.0, 0.0), (1.0, 0.0), degree=3, knot_vector=(0.0, 1.0)), "degree 3 needs"),
        (curve((0.0, 0.0), (float("inf"), 0.0)), ""),
    ],
)
def test_a_path_that_nobody_may_use_is_rejected(path: Trajectory, words: str) -> None:
    _, fault = claim_of(REPLANNED, REPLANNED.zones["C"], path, 0.5)
    assert fault
    assert words in fault
    assert Floor().say("a", replan(path)) == ["REJECTED"]


@given(
    ends=st.lists(
        st.tuples(*[st.floats(-2, 14, allow_nan=False)] * 4), min_size=2, max_size=2, unique=True
    ),
    reach=st.floats(0.2, 1.0),
)
def test_two_paths_that_are_held_at_once_nowhere_come_near_in_the_zone(
    ends: list[tuple[float, float, float, float]], reach: float
) -> None:
    zone_ = msgspec.structs.replace(REPLANNED, zones={"C": REPLANNED.zones["C"]})
    area = zone_.zones["C"]
    paths = [curve((x, y), (u, v)) for x, y, u, v in ends]
    claims = [claim_of(zone_, area, path, reach)[0] for path in paths]
    if claims[0].meets(claims[1]):
        return
    xs = [area.polygon[0][0], area.polygon[2][0]]
    for i in range(60):
        for j in range(60):
            (x, y, u, v), (p, q, r, s) = ends
            a = x + (u - x) * i / 59, y + (v - y) * i / 59
            b = p + (r - p) * j / 59, q + (s - q) * j / 59
            inside = all(xs[0] <= c[0] <= xs[1] and -1.0 <= c[1] <= 11.0 for c in (a, b))
            if inside:
                assert ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5 > 2 * reach
