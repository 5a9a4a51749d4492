"""Fleet control's side of one vehicle: what it sends, and what it refuses to send."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagetwin.fleets import VehicleType
from stagetwin.maps import Lane, Node, RoadMap
from stagetwin_bridges._errors import OrderError
from stagetwin_bridges.vda5050.control import (
    Blind,
    Control,
    EventKind,
    Limits,
    Plan,
    Stop,
    Way,
    zones_of,
)
from stagetwin_bridges.vda5050.control._plan import lane_way
from stagetwin_bridges.vda5050.messages import (
    Action,
    Codec,
    Factsheet,
    Identity,
    InstantActions,
    Order,
    Responses,
    ZoneSet,
)
from stagetwin_bridges.vda5050.vehicle import make_factsheet
from tests.bridges.vda5050.control.floor import SPEED, Pair, grid, zone

VERSIONS = ("2.1.0", "3.0.0")
FLOOR = grid(4, 3, 3.0)
ROW = grid(8, 1, 3.0)
ID = "0198aaaa-0000-7000-8000-00000000000"


def orders(pair: Pair) -> list[Order]:
    return [message for message in pair.down if isinstance(message, Order)]


def limited(sheet: Factsheet, strings: Any = None, arrays: Any = None, **more: Any) -> Factsheet:
    """Return a factsheet with other limits."""
    replace = msgspec.structs.replace
    limits = sheet.protocol_limits
    limits = replace(
        limits,
        maximum_string_lengths=replace(limits.maximum_string_lengths, **(strings or {})),
        maximum_array_lengths=replace(limits.maximum_array_lengths, **(arrays or {})),
    )
    return replace(sheet, protocol_limits=limits, **more)


def sheet_of(version: str = "3.0.0", navigation: str = "VIRTUAL_LINE_GUIDED") -> Factsheet:
    return make_factsheet(VehicleType(speed=SPEED), version, navigation=navigation)


# -- base and horizon


@pytest.mark.parametrize("version", VERSIONS)
def test_the_first_message_has_the_whole_route_and_releases_what_may_be_driven_blind(
    version: str,
) -> None:
    pair = Pair(ROW, version, blind=Blind(7.0, 1e6))
    order = pair.control.begin(f"{ID}1", "n70")
    assert [node.sequence_id for node in order.nodes] == list(range(0, 16, 2))
    assert [edge.sequence_id for edge in order.edges] == list(range(1, 15, 2))
    assert [node.released for node in order.nodes] == [True] * 3 + [False] * 5
    assert [edge.released for edge in order.edges] == [True] * 2 + [False] * 5
    assert (order.order_update_id, order.header_id) == (0, 0)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_update_begins_at_the_decision_point_with_its_content_unchanged(version: str) -> None:
    pair = Pair(ROW, version, blind=Blind(7.0, 1e6))
    pair.send(pair.control.begin(f"{ID}1", "n70"))
    pair.run(30)
    sent = orders(pair)
    assert [order.order_update_id for order in sent] == list(range(len(sent)))
    assert [order.header_id for order in sent] == list(range(len(sent)))
    for before, after in itertools.pairwise(sent):
        decision = [node for node in before.nodes if node.released][-1]
        assert after.nodes[0] == decision
        assert sum(node.released for node in after.nodes) >= 2
    assert pair.kinds() == ["ACCEPTED", *["EXTENDED"] * (len(sent) - 1), "FINISHED"]


_LENGTHS = st.lists(st.floats(0.1, 30.0), min_size=1, max_size=12)


@given(
    lengths=_LENGTHS,
    speeds=st.lists(st.floats(0.1, 3.0), min_size=12, max_size=12),
    passed=st.integers(0, 12),
    share=st.floats(0.0, 1.0),
    distance=st.floats(0.1, 60.0),
    seconds=st.floats(0.1, 60.0),
)
def test_the_base_is_never_longer_than_may_be_driven_blind_or_than_to_the_next_node(
    lengths: list[float],
    speeds: list[float],
    passed: int,
    share: float,
    distance: float,
    seconds: float,
) -> None:
    xs = [math.fsum(lengths[:i]) for i in range(len(lengths) + 1)]
    ways = tuple(
        Way(id=f"e{i}", points=((xs[i], 0.0), (xs[i + 1], 0.0)), length=lengths[i], speed=speeds[i])
        for i in range(len(lengths))
    )
    plan = Plan("m", tuple(Stop(id=f"n{i}", x=x, y=0.0) for i, x in enumerate(xs)), ways)
    passed = min(passed, plan.last)
    driven = share * lengths[passed] if passed < plan.last else 0.0
    reach = plan.reach(passed, driven, Blind(distance, seconds))
    assert passed <= reach <= plan.last
    if reach > passed + 1:
        rest = [lengths[passed] - driven, *lengths[passed + 1 : reach]]
        assert math.fsum(rest) <= distance + 1e-6
        times = [each / way.speed for each, way in zip(rest, ways[passed:], strict=False)]
        assert math.fsum(times) <= seconds + 1e-6
    if reach < plan.last:
        assert reach > passed
        longer = plan.reach(passed, driven, Blind(distance * 2, seconds * 2))
        assert longer >= reach


def test_a_vehicle_off_its_way_or_on_one_that_bends_back_has_come_no_farther_than_it_says() -> None:
    points = ((0.0, 0.0), (10.0, 0.0), (10.0, 1.0), (0.0, 1.0))
    hairpin = Way(id="e", points=points, length=21.0)
    after = Way(id="f", points=((0.0, 1.0), (-5.0, 1.0)), length=5.0)
    stops = tuple(Stop(id=f"n{i}", x=x, y=y) for i, (x, y) in enumerate(((0, 0), (0, 1), (-5, 1))))
    plan = Plan("m", stops, (hairpin, after))
    assert plan.driven(0, 0.0, 0.9) == 0.0, "as the crow flies it is nearly there"
    assert plan.driven(0, 4.0, 0.6) == pytest.approx(4.0), "where it comes by first"
    assert plan.driven(0, 0.0, 9.0) == 0.0, "this is no point of the way"
    nodes = {"a": Node(id="a", x=0.0, y=0.0), "b": Node(id="b", x=0.0, y=1.0)}
    nodes["c"] = Node(id="c", x=-5.0, y=1.0)
    lanes = {
        "ab": Lane(id="ab", start="a", end="b", path=((10.0, 0.0), (10.0, 1.0))),
        "bc": Lane(id="bc", start="b", end="c"),
    }
    pair = Pair(RoadMap(id="floor", nodes=nodes, lanes=lanes), start="a", blind=Blind(8.0, 1e6))
    pair.send(pair.control.begin(f"{ID}1", "c"))
    pair.run(2.0)
    assert len(orders(pair)) == 1, "19 m are still to be driven"
    pair.run(40.0)
    assert pair.events[-1].kind is EventKind.FINISHED


def test_the_time_blind_counts_at_the_speed_that_is_allowed() -> None:
    lanes = {
        name: msgspec.structs.replace(lane, maximum_speed=0.5) for name, lane in ROW.lanes.items()
    }
    slow = msgspec.structs.replace(ROW, lanes=lanes)
    pair = Pair(slow, blind=Blind(100.0, 13.0))
    order = pair.control.begin(f"{ID}1", "n70")
    assert sum(node.released for node in order.nodes) == 3
    assert {edge.maximum_speed for edge in order.edges} == {0.5}


def test_a_zone_of_limited_speed_limits_the_edges_through_it() -> None:
    zones = {"Z": zone("Z", 9.0, 0.0, 1.0, type="SPEED_LIMIT", maximum_speed=0.3)}
    pair = Pair(msgspec.structs.replace(ROW, zones=zones))
    order = pair.control.begin(f"{ID}1", "n70")
    assert [edge.maximum_speed for edge in order.edges] == [None, None, 0.3, 0.3, None, None, None]


def test_a_bend_is_sent_with_its_edge() -> None:
    nodes = {"a": Node(id="a", x=0.0, y=0.0), "b": Node(id="b", x=4.0, y=4.0)}
    lane = Lane(id="ab", start="a", end="b", path=((4.0, 0.0),), both=True)
    bent = RoadMap(id="floor", nodes=nodes, lanes={"ab": lane})
    pair = Pair(bent, start="b")
    order = pair.control.begin(f"{ID}1", "a")
    (edge,) = order.edges
    assert edge.trajectory is not None
    points = [(p.x, p.y) for p in edge.trajectory.control_points]
    assert points == [(4.0, 4.0), (4.0, 0.0), (0.0, 0.0)]
    assert edge.trajectory.knot_vector == (0.0, 0.0, 0.5, 1.0, 1.0)
    assert edge.length == 8.0
    pair.send(order)
    pair.run(15)
    assert pair.kinds() == ["ACCEPTED", "FINISHED"]


# -- the horizon, and other orders


@pytest.mark.parametrize("version", VERSIONS)
def test_the_horizon_is_changed_and_the_base_is_not(version: str) -> None:
    pair = Pair(FLOOR, version, blind=Blind(4.0, 1e6))
    pair.send(pair.control.begin(f"{ID}1", "n30"))
    pair.run(0.5)
    order = pair.control.order
    assert order is not None
    kept = order.plan.stops[: order.released + 1]
    pair.send(pair.control.replan("n02"))
    assert order.plan.stops[: len(kept)] == kept
    pair.run(30)
    assert pair.kinds()[-1] == "FINISHED"
    assert pair.vehicle.last_node_id == "n02"


def test_an_update_waits_until_the_one_before_is_confirmed() -> None:
    pair = Pair(ROW)
    pair.control.begin(f"{ID}1", "n70")
    with pytest.raises(OrderError, match="no order of ours that can be updated"):
        pair.control.replan("n60")


@pytest.mark.parametrize("version", VERSIONS)
def test_while_an_order_is_active_there_is_no_other(version: str) -> None:
    pair = Pair(ROW, version)
    pair.send(pair.control.begin(f"{ID}1", "n70"))
    with pytest.raises(OrderError, match=f"order {ID}1 is active, of ours"):
        pair.control.begin(f"{ID}2", "n10")
    pair.run(1.0)
    other = Control(pair.control.identity, ROW, clock=pair.clock)
    for message in pair.up:
        other.receive(message)
    with pytest.raises(OrderError, match=f"order {ID}1 is active, not ours"):
        other.begin(f"{ID}2", "n10")


@pytest.mark.parametrize("version", VERSIONS)
def test_after_a_cancel_between_nodes_the_next_order_begins_where_the_vehicle_is(
    version: str,
) -> None:
    pair = Pair(ROW, version, blind=Blind(100.0, 1e6))
    pair.send(pair.control.begin(f"{ID}1", "n70"))
    pair.run(4.3)
    pair.send(pair.control.cancel())
    pair.run(1.0)
    assert EventKind.DROPPED in {event.kind for event in pair.events}
    x = pair.place[0]
    assert 3.5 < x < 5.5, "between n10 and n20"
    back = pair.control.begin(f"{ID}2", "n00")
    start = back.nodes[0].node_position
    assert start is not None
    assert abs(start.x - x) < 0.2
    assert [node.node_id for node in back.nodes[1:]] == ["n10", "n00"]
    pair.send(back)
    pair.run(10.0)
    assert pair.events[-1].kind is EventKind.FINISHED


def test_a_vehicle_that_follows_a_line_in_the_floor_begins_at_a_node_alone() -> None:
    pair = Pair(ROW, factsheet=sheet_of(navigation="PHYSICAL_LINE_GUIDED"))
    pair.bodies.place(0, 4.4, 0.0, 0.0)
    pair.run(31.0, step=1.0)
    with pytest.raises(OrderError, match="stands on no node"):
        pair.control.begin(f"{ID}2", "n00")


# -- goals


def test_a_pose_means_the_node_near_it() -> None:
    pair = Pair(FLOOR, snap=1.0)
    order = pair.control.begin(f"{ID}1", (3.4, 0.3, 1.0))
    goal = order.nodes[-1]
    assert goal.node_id == "n10"
    assert goal.node_position is not None
    assert goal.node_position.theta == 1.0
    pair.control.withdraw(f"{ID}1")
    with pytest.raises(OrderError, match=r"nearest node to \(4.5, 1.5\) is .*2.12 m away"):
        pair.control.begin(f"{ID}2", (4.5, 1.5, 0.0))


def test_a_vehicle_that_finds_its_own_way_goes_to_the_pose_itself_in_a_free_zone() -> None:
    zones = {"yard": zone("yard", 9.0, 6.0, 5.0, authority="free")}
    open_floor = msgspec.structs.replace(FLOOR, zones=zones)
    pair = Pair(open_floor, factsheet=sheet_of(navigation="FREELY_NAVIGATING"))
    order = pair.control.begin(f"{ID}1", (8.0, 7.5, 0.5))
    goal = order.nodes[-1].node_position
    assert goal is not None
    assert (goal.x, goal.y, goal.theta) == (8.0, 7.5, 0.5)
    assert order.nodes[-2].node_id == "n32", "the zone's own node nearest to it"
    pair.send(order)
    pair.run(30)
    assert pair.events[-1].kind is EventKind.FINISHED
    assert math.dist(pair.place, (8.0, 7.5)) < 0.35
    pair.send(pair.control.begin(f"{ID}2", "n32"))
    pair.run(10)
    assert pair.vehicle.last_node_id == "n32"


def test_a_vehicle_on_another_map_or_lost_gets_no_order() -> None:
    pair = Pair(FLOOR)
    elsewhere = Control(
        pair.control.identity, msgspec.structs.replace(FLOOR, id="other"), clock=pair.clock
    )
    for message in pair.up:
        elsewhere.receive(message)
    with pytest.raises(OrderError, match="it is on map 'floor', the connection's is 'other'"):
        elsewhere.begin(f"{ID}1", "n10")
    pair.vehicle.set_localized(False, pair.clock.wall())
    pair.run(0.5)
    with pytest.raises(OrderError, match="LOCALIZATION_ERROR"):
        pair.control.begin(f"{ID}1", "n10")


# -- limits of the factsheet


def test_no_more_nodes_are_sent_than_the_vehicle_takes_and_it_still_arrives() -> None:
    sheet = limited(sheet_of(), arrays={"order_nodes": 3, "state_node_states": 4})
    pair = Pair(ROW, factsheet=sheet, blind=Blind(100.0, 1e6))
    pair.send(pair.control.begin(f"{ID}1", "n70"))
    pair.run(40)
    assert pair.events[-1].kind is EventKind.FINISHED
    assert max(len(order.nodes) for order in orders(pair)) == 3
    states = [message for message in pair.up if message.topic == "state"]
    assert max(len(state.node_states) for state in states) <= 4  # type: ignore[attr-defined]


@pytest.mark.parametrize(("length", "numerical"), [(36, False), (20, False), (12, True)])
def test_ids_fit_the_vehicle_and_are_the_same_for_the_same_command(
    length: int, numerical: bool
) -> None:
    limits = {"maximum_id_length": length, "id_numerical_only": numerical}
    taken = Limits(limited(sheet_of(), strings=limits))
    made = taken.id_of(f"{ID}1")
    assert made == taken.id_of(f"{ID}1") != taken.id_of(f"{ID}2")
    assert len(made) <= length
    assert made.isdigit() or not numerical
    assert length < 36 or made == f"{ID}1"
    with pytest.raises(OrderError, match="too short"):
        Limits(limited(sheet_of(), strings={"maximum_id_length": 4})).id_of(f"{ID}1")


def test_what_the_factsheet_does_not_allow_is_not_sent() -> None:
    sheet = limited(sheet_of(), strings={"maximum_id_length": 3}, arrays={"node_actions": 1})
    faults = Limits(sheet).order_faults(Pair(ROW).control.begin(f"{ID}1", "n20"))
    assert any("orderId" in fault and "at most 3" in fault for fault in faults)
    pair = Pair(ROW, factsheet=limited(sheet_of(), arrays={"node_actions": 1}))

    def act(kind: str, blocking: Any = "HARD") -> Action:
        return Action(action_type=kind, action_id=f"a-{kind}", blocking_type=blocking)

    for actions, words in (
        ({-1: [act("fly")]}, "'fly' is none of the vehicle's"),
        ({-1: [act("cancelOrder")]}, "may be INSTANT, not NODE"),
        ({-1: [act("pick"), act("drop")]}, "2 actions at node 'n20', at most 1"),
        ({2: [act("initializePosition")]}, "needs x, y, theta"),
        ({99: [act("pick")]}, "sequence ids 0 to 4"),
    ):
        with pytest.raises(OrderError, match=words):
            pair.control.begin(f"{ID}1", "n20", actions)  # type: ignore[arg-type]
        assert pair.control.order is None
    with pytest.raises(OrderError, match="may be NODE, EDGE, not INSTANT"):
        pair.control.instant("pick")


@pytest.mark.parametrize("version", VERSIONS)
def test_actions_at_the_goal_belong_to_the_end_of_the_order(version: str) -> None:
    pair = Pair(ROW, version)
    pick = Action(action_type="pick", action_id="a-1", blocking_type="HARD")
    pair.send(pair.control.begin(f"{ID}1", "n20", {-1: [pick]}))
    while pair.vehicle.last_node_id != "n20":
        pair.run(0.1)
    assert "FINISHED" not in pair.kinds()
    pair.run(30)
    assert pair.kinds()[-1] == "FINISHED"
    state = pair.control.mirror.state
    assert state is not None
    assert {s.action_id: s.action_status for s in state.action_states}["a-1"] == "FINISHED"


# -- instant actions


@pytest.mark.parametrize("version", VERSIONS)
def test_instant_actions_are_followed_to_their_ends(version: str) -> None:
    pair = Pair(ROW, version)
    message = pair.control.instant("startPause", "i-1")
    assert isinstance(message, InstantActions)
    assert message.actions[0].blocking_type == "NONE"
    pair.send(message)
    pair.run(0.5)
    assert [event.kind.name for event in pair.events] == ["ACCEPTED", "FINISHED"]
    pair.send(pair.control.instant("cancelOrder", "i-2"))
    pair.run(0.5)
    refused = pair.events[-1]
    assert (refused.kind, refused.id) == (EventKind.REFUSED, "i-2")
    assert "order" in refused.words.lower()


def test_an_order_that_is_being_cancelled_is_extended_no_more() -> None:
    pair = Pair(ROW, blind=Blind(4.0, 1e6))
    pair.send(pair.control.begin(f"{ID}1", "n70"))
    pair.run(1.0)
    pair.control.cancel("lost on its way")
    count = len(orders(pair))
    pair.run(20)
    assert len(orders(pair)) == count
    assert pair.control.order is not None
    assert pair.vehicle.last_node_id == orders(pair)[-1].nodes[-1].node_id or pair.place[0] < 9.0


# -- requests


CROSSING = msgspec.structs.replace(
    ROW, zones={"X": zone("X", 12.0, 0.0, 3.0, type="RELEASE")}, id="floor"
)


def in_zone() -> Pair:
    """A vehicle with an enabled zone set."""
    pair = Pair(CROSSING, blind=Blind(100.0, 1e6))
    transfer = pair.control.transfer(zones_of(CROSSING))
    pair.run(12.0)
    assert transfer.done, transfer.fault
    return pair


def test_a_zone_set_is_brought_to_the_vehicle_and_enabled() -> None:
    pair = in_zone()
    kinds = [type(message).__name__ for message in pair.down]
    assert kinds.count("ZoneSet") == 1
    state = pair.control.mirror.state
    assert state is not None
    assert state.zone_sets is not None
    (shown,) = state.zone_sets
    assert shown.zone_set_status == "ENABLED"
    again = zones_of(CROSSING)
    assert again.zone_set_id == shown.zone_set_id, "the same content has the same id"
    old = Control(Identity("vda5050", "2.1.0", "KIT", "0001"), CROSSING, clock=pair.clock)
    with pytest.raises(OrderError, match=r"2\.1\.0 has no zone sets"):
        old.transfer(again)
    assert ZoneSet(zone_set=again).topic == "zoneSet"


def test_a_zone_is_granted_with_a_lease_that_is_renewed_while_there_is_leave() -> None:
    pair = in_zone()
    pair.send(pair.control.begin(f"{ID}1", "n70"))
    pair.run(40)
    assert pair.events[-1].kind is EventKind.FINISHED
    answers = [m for m in pair.down if isinstance(m, Responses)]
    assert answers
    assert {r.grant_type for m in answers for r in m.responses} == {"GRANTED"}
    assert all(r.lease_expiry for m in answers for r in m.responses)
    assert pair.control._releases is not None
    assert pair.control._releases.holders("X") == [], "it has left"


def test_without_leave_no_zone_is_granted_and_the_vehicle_waits_before_it() -> None:
    pair = in_zone()
    pair.send(pair.control.begin(f"{ID}1", "n70"))
    pair.run(25, leave=False)
    assert pair.place[0] < 10.5
    assert not [m for m in pair.down if isinstance(m, Responses)]
    pair.run(40)
    assert pair.events[-1].kind is EventKind.FINISHED


def test_codec_and_control_speak_of_one_version() -> None:
    for version in VERSIONS:
        control = Control(Identity("vda5050", version, "KIT", "1"), ROW)
        assert control.codec.version == Codec(version).version


# -- what was left over


def test_a_speed_zone_is_found_on_a_lane_however_long_and_thin_it_is() -> None:
    far = 2.0e6
    thin = zone("T", far / 2, 0.0, 0.02, type="SPEED_LIMIT", maximum_speed=0.3)
    nodes = {"a": Node(id="a", x=0.0, y=0.0), "b": Node(id="b", x=far, y=0.0)}
    lanes = {"ab": Lane(id="ab", start="a", end="b")}
    road_map = RoadMap(id="floor", nodes=nodes, lanes=lanes, zones={"T": thin})
    # Sampled each 0.1 m this took minutes, and met the zone by chance.
    assert lane_way(road_map, "ab", forward=True, speed=1.0).limit == 0.3
    inside = msgspec.structs.replace(
        road_map,
        zones={"T": zone("T", 0.0, 0.0, 2 * far + 1.0, type="SPEED_LIMIT", maximum_speed=0.4)},
    )
    assert lane_way(inside, "ab", forward=True, speed=1.0).limit == 0.4


def test_of_a_stitching_node_that_is_changed_in_2_1_the_first_word_holds() -> None:
    """2.1, 6.6.2: for actions, deviations and the like the vehicle uses the first order's."""
    pair = Pair(ROW, "2.1.0", blind=Blind(3.0, 1e6))
    pair.send(pair.control.begin(f"{ID}1", "n20"))
    pair.run(0.3, leave=False)
    order = pair.control.order
    assert order is not None
    update = order.extend(2, 60)
    first = update.nodes[0]
    assert first.node_position is not None
    elsewhere = msgspec.structs.replace(first.node_position, x=first.node_position.x + 1.0)
    pair.vehicle.receive(
        pair.control._headers.stamp(
            msgspec.structs.replace(
                update,
                nodes=(
                    msgspec.structs.replace(first, node_position=elsewhere),
                    *update.nodes[1:],
                ),
            )
        ),
        pair.clock.wall(),
    )
    seen = []
    for _ in range(100):
        pair.run(0.1, leave=False)
        state = pair.control.mirror.state
        if state is not None and state.last_node_id == first.node_id:
            seen.append(pair.place[0])
    assert pair.control.mirror.state is not None
    assert pair.control.mirror.state.last_node_id == "n20"
    assert seen[0] == pytest.approx(3.0, abs=0.4), "where the first order had it"


def test_our_own_update_never_changes_what_is_released() -> None:
    pair = Pair(ROW, "2.1.0", blind=Blind(3.0, 1e6))
    pair.send(pair.control.begin(f"{ID}1", "n20"))
    pair.run(0.3, leave=False)
    order = pair.control.order
    assert order is not None
    stops = order.plan.stops
    changed = (stops[0], dataclasses.replace(stops[1], x=stops[1].x + 1.0), *stops[2:])
    with pytest.raises(OrderError, match="what is released cannot be changed"):
        order.extend(2, 60, dataclasses.replace(order.plan, stops=changed))
