"""What a command of the stage becomes for a vehicle: loads, a place, a zone set; and its fate."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stagetwin.actuation import CommandTarget, Fate, Transmission
from stagetwin.check import check_stage
from stagetwin.identifiers import uuid7
from stagetwin.maps import RoadMap
from stagetwin_bridges._errors import OrderError
from stagetwin_bridges.vda5050.control import target_problems
from stagetwin_bridges.vda5050.control._followed import Followed, News
from stagetwin_bridges.vda5050.control._making import made_of, sent_words
from stagetwin_bridges.vda5050.control._order import Event, EventKind
from stagetwin_bridges.vda5050.control._standing import Standing
from stagetwin_bridges.vda5050.messages import (
    ErrorEntry,
    InstantActions,
    SafetyState,
    ZoneSet,
    ZoneSetState,
)
from stagetwin_bridges.vda5050.vehicle import VehicleOptions
from tests.bridges.vda5050.control.conftest import target
from tests.bridges.vda5050.control.fleet_plant import AMR, plant, value_of
from tests.bridges.vda5050.control.floor import Pair, grid, zone
from tests.bridges.vda5050.control.test_control import orders

FLOOR = msgspec.structs.replace(grid(), zones={"X": zone("X", 6.0, 3.0, type="RELEASE")})
VERSIONS = ("2.1.0", "3.0.0")


def sent(field: str, value: Any, **parameters: Any) -> Transmission:
    """Return a command as it leaves the service."""
    return Transmission(
        id=uuid7(),
        target=target(field),
        value=value,
        asset="/A",
        guard="g",
        token=(1, 1),
        deadline=math.inf,
        expires=math.inf,
        parameters=parameters,
    )


def make(pair: Pair, field: str, value: Any, road_map: RoadMap = FLOOR, **more: Any) -> Followed:
    """Send a command to the vehicle."""
    problem, followed, message = made_of(sent(field, value, **more), pair.control, road_map)
    assert not problem
    assert followed is not None
    assert message is not None
    pair.send(message)
    return followed


def news_of(pair: Pair, followed: Followed) -> list[News]:
    """Return what becomes known of a command."""
    found = [each for e in pair.events if e.id == followed.wire_id for each in followed.judge(e)]
    return found + followed.bring()


# -- loads at the goal


@pytest.mark.parametrize("version", VERSIONS)
def test_a_load_is_picked_at_the_goal_with_what_is_said_of_it(version: str) -> None:
    pair = Pair(FLOOR, version)
    given: dict[str, Any] = {
        "stationType": "floor",
        "loadType": "EPAL",
        "loadId": "L7",
        "height": 0.2,
    }
    pick = make(pair, "order.pick", "n20", **given)
    words, shows = sent_words(pick)
    assert words.endswith("then pick")
    assert shows == (True, 1), "a load shows it, and not to have come there"
    pair.run(30.0)
    order = orders(pair)[0]
    (action,) = order.nodes[-1].actions
    assert not any(node.actions for node in order.nodes[:-1])
    assert {p.key: p.value for p in action.action_parameters or ()} == given
    assert (action.action_type, action.blocking_type) == ("pick", "HARD")
    state = pair.control.mirror.state
    assert state is not None
    assert [load.load_id for load in state.loads or ()] == ["L7"]
    assert [n[0] for n in news_of(pair, pick) if n[0] is not Fate.NOTED] == [Fate.ACKNOWLEDGED]
    other = Followed(sent("order.pick", "n10"), pair.control, "o", is_order=True)
    assert sent_words(other)[1] == (2,), "it carries one already"
    drop = make(pair, "order.drop", "n10", loadId="L7")
    assert sent_words(drop)[1] == (False, 0)
    pair.run(30.0)
    assert not pair.control.mirror.state.loads  # type: ignore[union-attr]


def test_a_place_is_commanded_and_a_load_read_back(tmp_path: Path) -> None:
    stage = plant(tmp_path, FLOOR, field="order.pick", readback=value_of(AMR, "ahead"))
    assert [problem.code for problem in check_stage(stage).problems] == []


def test_a_load_that_is_not_picked_fails_the_command() -> None:
    pair = Pair(FLOOR)
    make(pair, "order.pick", "n10", loadId="L7")
    pair.run(20.0)
    # A second one does not fit on it.
    again = make(pair, "order.pick", "n20", loadId="L8")
    pair.run(20.0)
    fates = news_of(pair, again)
    assert Fate.REFUSED in [fate for fate, _, _ in fates]
    assert Fate.ACKNOWLEDGED in [fate for fate, _, _ in fates]


def test_an_order_that_ends_with_a_failed_action_is_refused() -> None:
    followed = Followed(sent("order.pick", "n10"), Pair(FLOOR).control, "o", is_order=True)
    event = Event(EventKind.FINISHED, "o", "at n10; failed: pick (no load)", failed=True)
    assert followed.judge(event) == [(Fate.REFUSED, "at n10; failed: pick (no load)", True)]


def test_an_action_that_the_vehicle_has_not_or_not_so_is_withheld() -> None:
    pair = Pair(FLOOR)
    with pytest.raises(OrderError, match="action 'dance' is none of the vehicle's"):
        made_of(sent("order.dance", "n10"), pair.control, FLOOR)
    with pytest.raises(OrderError, match="'downloadZoneSet' needs zoneSetId, zoneSetDownloadLink"):
        made_of(sent("instantAction.downloadZoneSet", True), pair.control, FLOOR)
    link = {"zoneSetId": "z", "zoneSetDownloadLink": "https://x/z"}
    made = made_of(sent("instantAction.downloadZoneSet", True, **link), pair.control, FLOOR)
    assert isinstance(made[2], InstantActions)


# -- a place


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("word", ["initPosition", "initializePosition"])
def test_a_vehicle_is_told_where_it_stands(version: str, word: str) -> None:
    pair = Pair(FLOOR, version)
    told = make(pair, f"instantAction.{word}", [3.1, 3.0, 0.5])
    assert sent_words(told) == ("instant action initializePosition", ([3.1, 3.0, 0.5],))
    pair.run(8.0)
    state = pair.control.mirror.state
    assert state is not None
    where = state.mobile_robot_position
    assert where is not None
    assert (where.x, where.y, where.theta) == pytest.approx((3.1, 3.0, 0.5))
    assert (where.map_id, state.last_node_id) == ("floor", "n11")
    assert Fate.ACKNOWLEDGED in [fate for fate, _, _ in news_of(pair, told)]


def test_a_vehicle_that_drives_is_not_told_where_it_stands() -> None:
    pair = Pair(FLOOR)
    make(pair, "order", "n32")
    pair.run(2.0)
    why, followed, _ = made_of(
        sent("instantAction.initializePosition", [0.0, 0.0, 0.0]), pair.control, FLOOR
    )
    assert followed is None
    assert "it has an order" in why


def test_what_no_state_shows_yet_is_under_way_all_the_same() -> None:
    place = sent("instantAction.initializePosition", [3.0, 3.0, 0.0])
    pair = Pair(FLOOR)
    made_of(sent("order", "n32"), pair.control, FLOOR)
    why, followed, _ = made_of(place, pair.control, FLOOR)
    assert followed is None
    assert "it has an order" in why, "sent a moment ago"
    pair = Pair(FLOOR)
    _, _, message = made_of(place, pair.control, FLOOR)
    with pytest.raises(OrderError, match="it is being told where it stands"):
        made_of(sent("order", "n32"), pair.control, FLOOR)
    assert message is not None
    pair.send(message)
    pair.run(8.0)
    order = make(pair, "order", "n32")
    assert pair.control.order is not None
    assert pair.control.order.plan.stops[0].id == "n11", "where it was told that it stands"
    assert order.is_order


def test_a_word_about_its_place_that_never_came_holds_up_no_order_for_long() -> None:
    pair = Pair(FLOOR)
    made_of(sent("instantAction.initializePosition", [3.0, 3.0, 0.0]), pair.control, FLOOR)
    pair.run(11.0)
    assert make(pair, "order", "n32").is_order


# -- zone sets


def test_the_zones_of_the_map_are_brought_and_enabled() -> None:
    pair = Pair(FLOOR)
    brought = make(pair, "zoneSet", True)
    assert isinstance(pair.down[-1], ZoneSet)
    words, shows = sent_words(brought)
    assert words == f"zone set {shows[0]}, 1 zones"
    pair.run(12.0)
    assert brought.bring() == [(Fate.ACKNOWLEDGED, f"zone set {shows[0]} is enabled", True)]
    assert brought.over
    again = made_of(sent("zoneSet", True), pair.control, FLOOR)
    assert again[1] is None
    assert "is enabled already" in again[0]


def test_a_zone_set_that_cannot_be_enabled_is_refused() -> None:
    pair = Pair(FLOOR)
    brought = make(pair, "zoneSet", True)
    transfer = brought.transfer
    assert transfer is not None
    transfer.fault = "it was not enabled: no words"
    assert brought.bring() == [(Fate.REFUSED, "it was not enabled: no words", True)]


def test_zone_set_and_its_enabling_are_sent_once() -> None:
    pair = Pair(FLOOR)
    transfer = make(pair, "zoneSet", True).transfer
    assert transfer is not None
    mirror = pair.control.mirror

    def asked(**fields: Any) -> list[str]:
        found: list[str] = []
        for _ in range(30):
            pair.clock.advance(1.0)
            assert mirror.state is not None
            mirror.state = msgspec.structs.replace(mirror.state, **fields)
            found += [type(message).__name__ for message in pair.control.transfers()]
        return found

    assert asked() == []
    shown = ZoneSetState(
        zone_set_id=transfer.contents.zone_set_id, map_id="floor", zone_set_status="DISABLED"
    )
    assert asked(zone_sets=(shown,)) == ["InstantActions"]


def test_there_must_be_zones_and_a_version_that_has_them() -> None:
    bare = msgspec.structs.replace(FLOOR, zones={"F": zone("F", 0, 0, authority="free")})
    assert "has no zone of a type" in made_of(sent("zoneSet", True), Pair(bare).control, bare)[0]
    assert "names no map" in made_of(sent("zoneSet", True), Pair(FLOOR).control, None)[0]
    with pytest.raises(OrderError, match=r"2\.1\.0 has no zone sets"):
        made_of(sent("zoneSet", True), Pair(FLOOR, "2.1.0").control, FLOOR)
    assert "only true" in made_of(sent("zoneSet", False), Pair(FLOOR).control, FLOOR)[0]


@pytest.mark.parametrize(
    ("field", "fields", "words"),
    [
        ("order.", {"type_name": "string"}, "field: order, order.TYPE, cancelOrder"),
        ("order.pick", {"type_name": "bool"}, "is of type"),
        ("instantAction.initPosition", {"type_name": "bool"}, "double3"),
        ("zoneSet", {"type_name": "string"}, "bool"),
        ("order", {"type_name": "string", "parameters": ("loadId",)}, "takes none of its own"),
        ("cancelOrder", {"type_name": "bool", "parameters": ("orderId",)}, "takes none"),
    ],
)
def test_what_no_command_of_a_vehicle_is(field: str, fields: dict[str, Any], words: str) -> None:
    said = CommandTarget(prim="/A", command="c", address="KIT/1", field=field, **fields)
    (problem,) = target_problems(said)
    assert words in problem


@pytest.mark.parametrize(("field", "of"), [("pause", "Pause"), ("charging", "Charging")])
def test_a_switch_has_an_action_for_either_value(field: str, of: str) -> None:
    switch = msgspec.structs.replace(target(field), parameters=("force",))
    assert target_problems(target(field)) == []
    assert [p.split(":")[0] for p in target_problems(switch)] == ["parameters"]
    for value, start in ((True, "start"), (False, "stop")):
        problem, followed, message = made_of(sent(field, value), Pair(FLOOR).control, FLOOR)
        assert not problem
        assert followed is not None
        assert isinstance(message, InstantActions)
        assert message.actions[0].action_type == start + of
        assert sent_words(followed) == (f"instant action {start}{of}", (value,))


# -- why it stands still


def standing(pair: Pair, watch: Standing, seconds: float, **fields: Any) -> list[str]:
    """Let a vehicle stand with a state that says more; return what is noted."""
    order, mirror = pair.control.order, pair.control.mirror
    assert order is not None
    assert mirror.state is not None
    said = []
    for _ in range(round(seconds)):
        pair.clock.advance(1.0)
        mirror.state = msgspec.structs.replace(mirror.state, **fields)
        if words := watch.look(order, mirror, pair.clock.steady()):
            said.append(words)
    return said


def driving() -> Pair:
    """A vehicle on its way."""
    pair = Pair(FLOOR, options=VehicleOptions(state_interval=1.0, visualization_interval=0.0))
    pair.send(pair.control.begin(uuid7(), "n32"))
    pair.run(2.0)
    return pair


def test_a_vehicle_that_stands_says_why_once_and_that_it_drives_on() -> None:
    pair, watch = driving(), Standing(5.0)
    blocked = SafetyState(active_emergency_stop="NONE", field_violation=True)
    said = standing(pair, watch, 30, safety_state=blocked)
    assert len(said) == 1
    assert "the vehicle stands at n00" in said[0]
    assert "something is in its protective field" in said[0]
    position = pair.control.mirror.state.mobile_robot_position  # type: ignore[union-attr]
    assert position is not None
    moved = msgspec.structs.replace(position, x=position.x + 0.5)
    assert "it drives on" in standing(pair, watch, 1, mobile_robot_position=moved)[0]


def test_whatever_a_vehicle_says_its_notes_are_few() -> None:
    pair, watch = driving(), Standing(5.0)
    said: list[str] = []
    for k in range(300):
        words = f"obstacle at {k / 100:.2f} m"
        error = ErrorEntry(error_type="NEAR", error_level="WARNING", error_description=words)
        said += standing(pair, watch, 1, errors=(error,))
    assert len(said) == 1, "other numbers are no other cause"
    place = pair.control.mirror.state.mobile_robot_position  # type: ignore[union-attr]
    assert place is not None
    stop = SafetyState(active_emergency_stop="MANUAL", field_violation=False)
    for k in range(300):  # its localisation jumps to and fro
        there = msgspec.structs.replace(place, x=place.x + 0.2 * (k % 2))
        said += standing(pair, watch, 2, safety_state=stop, mobile_robot_position=there)
    assert len(said) < 25
    for k in range(1000):
        error = ErrorEntry(error_type="ODD", error_level="CRITICAL", error_description="x" * k)
        said += standing(pair, watch, 1, errors=(error,))
    assert len(said) == 100
    assert said[-1].endswith("nothing more of this order is noted")


def test_what_stops_it_for_good_is_said_at_once() -> None:
    pair, watch = driving(), Standing(1e6)
    standing(pair, watch, 1)
    stop = SafetyState(active_emergency_stop="MANUAL", field_violation=False)
    assert "its emergency stop is MANUAL" in standing(pair, watch, 1, safety_state=stop)[0]
    error = ErrorEntry(
        error_type="DRIVE", error_level="CRITICAL", error_description="motor 2 is hot"
    )
    said = standing(pair, watch, 3, errors=(error,), operating_mode="MANUAL")
    assert len(said) == 1, "once"
    assert "its operating mode is MANUAL" in said[0]
    assert "it reports DRIVE (CRITICAL): motor 2 is hot" in said[0]


def test_a_vehicle_at_the_end_of_its_base_says_so_and_one_that_works_what_it_does() -> None:
    pair, watch = driving(), Standing(3.0)
    state = pair.control.mirror.state
    assert state is not None
    ahead = tuple(msgspec.structs.replace(n, released=False) for n in state.node_states)
    (said,) = standing(pair, watch, 9, node_states=ahead)
    assert "it is released to n" in said
    assert "and no further" in said
    (said,) = standing(pair, watch, 9, node_states=state.node_states)
    assert "it reports no cause" in said
    (said,) = standing(pair, watch, 9, paused=True)
    assert "it is paused" in said


def test_a_vehicle_whose_connection_broke_is_said_to_be_lost() -> None:
    pair, watch = driving(), Standing(1e6)
    standing(pair, watch, 1)
    pair.control.mirror.connection = "CONNECTION_BROKEN"
    (said,) = standing(pair, watch, 3)
    assert "its connection is CONNECTION_BROKEN" in said
