"""Who may enter which zone: one holder at a time, leases, and what a lost vehicle keeps."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stagetwin.clock import ManualClock
from stagetwin_bridges.vda5050.control import Releases
from stagetwin_bridges.vda5050.messages import (
    EdgeRequest,
    MobileRobotPosition,
    PowerSupply,
    SafetyState,
    State,
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
    assert office.releases.holder("X") == ""
    assert office.say("c", ask()) == [], "b was first"
    assert office.say("b", ask()) == ["GRANTED"]
    assert office.releases.holder("X") == "b"


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
    assert office.releases.holder("X") == "a"
    assert office.say("b", ask()) == ["QUEUED"]
    office.say("a", at=(9.0, 0.0), operating_mode="INTERVENED")
    assert office.say("b", ask()) == ["GRANTED"]


def test_a_revoked_permission_counts_until_the_vehicle_shows_it_no_more(office: Office) -> None:
    assert office.say("a", ask()) == ["GRANTED"]
    office.releases.revoke("a", "r1")
    assert office.say("a", ask(status="GRANTED")) == ["REVOKED"]
    assert office.say("b", ask("r9")) == ["QUEUED"]
    assert office.say("a", ask(status="REVOKED")) == []
    assert office.releases.holder("X") == "a"
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
    assert (office.releases.holder("X"), office.releases.holder("Y")) == ("", "b")


def test_an_id_that_comes_again_leaves_no_zone_that_the_vehicle_stands_in() -> None:
    office = Office()
    two = msgspec.structs.replace(
        FLOOR, zones={**FLOOR.zones, "Y": zone("Y", 9.0, 0.0, type="RELEASE")}
    )
    office.releases = Releases(two, lease=LEASE, clock=office.clock)
    office.say("a", ask("r1", "X"))
    office.say("a", ask("r1", "Y"), at=(3.0, 0.0), operating_mode="MANUAL", leave=False)
    assert office.releases.holder("X") == "a"
    office.say("a", ask("r1", "Y"), at=(9.0, 9.0), operating_mode="MANUAL", leave=False)
    assert office.releases.holder("X") == ""


def test_however_much_is_asked_for_no_answer_is_longer_than_a_socket_takes() -> None:
    office = Office()
    asked = [ask(f"r{k}", f"no zone {k}") for k in range(120)]
    counts = [len(office.say("a", *asked)) for _ in range(4)]
    assert counts == [50, 50, 20, 0]
