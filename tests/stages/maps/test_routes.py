"""The best way through a map."""

from __future__ import annotations

import itertools
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagetwin.maps import Lane, MapError, Node, NoRouteError, RoadMap, Zone
from tests.stages.maps.floors import by_id, changed, square


def test_a_route_follows_the_lanes_and_their_direction() -> None:
    route = square().route("a", "d", speed=1.0)
    assert route.nodes == ("a", "b", "c", "d")
    assert route.lanes == ("ab", "bc", "cd")
    assert route.forward == (True, True, True)
    assert route.points == ((0.0, 0.0), (10.0, 0.0), (12.0, 5.0), (10.0, 10.0), (0.0, 10.0))
    bend = 2 * math.hypot(2, 5)
    assert route.length == pytest.approx(20 + bend)
    # 2 m of the first lane lie in the slow zone, and the second is slow itself.
    assert route.duration == pytest.approx(8 + 2 / 0.5 + bend / 0.5 + 10)


def test_a_lane_both_ways_is_driven_backward_by_those_who_may() -> None:
    route = square().route("c", "a", vehicle_type="small", speed=1.0)
    assert (route.lanes, route.forward) == (("ac",), (False,))
    assert route.points == ((10.0, 10.0), (0.0, 0.0))


@pytest.mark.parametrize("vehicle_type", ["", "large"])
def test_a_lane_for_others_is_closed(vehicle_type: str) -> None:
    assert square().route("c", "a", vehicle_type=vehicle_type).lanes == ("cd", "da")
    with pytest.raises(NoRouteError, match=r"1 lanes are not for .* but for small"):
        square().route("a", "c", vehicle_type=vehicle_type, closed={"ab"})


def test_the_best_node_of_a_station_is_taken() -> None:
    assert square().route("d", "T").nodes == ("d", "a")
    assert square().route("T", "S").nodes == ("b", "c")
    assert square().route("T", "b").nodes == ("b",)


def test_who_is_there_already_drives_nowhere() -> None:
    route = square().route("a", "a")
    assert (route.nodes, route.lanes, route.length, route.duration) == (("a",), (), 0.0, 0.0)


@pytest.mark.parametrize("closed", [{"bc"}, {"c"}, {"b", "da"}])
def test_without_a_way_the_error_names_both_ends_and_what_is_closed(closed: set[str]) -> None:
    with pytest.raises(NoRouteError) as caught:
        square().route("a", "S", closed=closed)
    text = str(caught.value)
    assert "'a' to 'S'" in text
    assert all(name in text for name in closed)


def blocked(*corners: tuple[float, float], type_: str = "BLOCKED", **fields: Any) -> RoadMap:
    zone = Zone(id="shut", type=type_, polygon=corners, **fields)
    return msgspec.structs.replace(square(), zones={**square().zones, "shut": zone})


AHEAD = ((4.0, -2.0), (6.0, -2.0), (6.0, 2.0), (4.0, 2.0))


def test_blocked_zones_close_the_lanes_through_them() -> None:
    with pytest.raises(NoRouteError, match="closed: shut"):
        blocked(*AHEAD).route("a", "b")
    beside = blocked((4.0, 1.0), (6.0, 1.0), (6.0, 2.0), (4.0, 2.0))
    assert beside.route("a", "b").lanes == ("ab",)
    along = blocked((4.0, 0.0), (6.0, 0.0), (6.0, 2.0), (4.0, 2.0))
    with pytest.raises(NoRouteError):  # its edge is part of it
        along.route("a", "b")


@pytest.mark.parametrize("end", ["a", "b"])
def test_nobody_starts_or_ends_in_a_blocked_zone(end: str) -> None:
    x = square().nodes[end].x
    around = blocked((x - 1, -1.0), (x + 1, -1.0), (x + 1, 1.0), (x - 1, 1.0))
    with pytest.raises(NoRouteError):
        around.route(end, end)


def test_penalties_send_others_round_and_change_no_duration() -> None:
    small: dict[str, Any] = {"vehicle_type": "small", "speed": 1.0}
    across = ((4.0, 4.0), (6.0, 4.0), (6.0, 6.0), (4.0, 6.0))
    direct = square().route("a", "c", **small)
    assert direct.lanes == ("ac",)
    light = blocked(*across, type_="PENALTY", factor=0.1).route("a", "c", **small)
    assert light.lanes == ("ac",)
    assert light.duration == pytest.approx(direct.duration)
    heavy = blocked(*across, type_="PENALTY", factor=1.0)
    assert heavy.route("a", "c", **small).lanes == ("ab", "bc")
    # The largest penalty is still no ban.
    assert heavy.route("a", "c", **small, closed={"ab"}).lanes == ("ac",)


def test_priorities_draw_them() -> None:
    nodes = by_id(*(Node(id=n, x=float(x), y=float(y)) for n, x, y in NODES))
    pairs = (("a", "b"), ("b", "d"), ("a", "c"), ("c", "d"))
    lanes = by_id(*(Lane(id=f"{a}{b}", start=a, end=b) for a, b in pairs))
    plain = RoadMap(id="m", nodes=nodes, lanes=lanes)
    assert plain.route("a", "d").nodes == ("a", "b", "d")
    zone = Zone(id="p", type="PRIORITY", factor=0.5, polygon=BELOW)
    preferred = msgspec.structs.replace(plain, zones=by_id(zone))
    assert preferred.route("a", "d").nodes == ("a", "c", "d")
    # Where both hold, the more restrictive one does (VDA 5050 3.0, 6.4.4).
    over = Zone(id="q", type="PENALTY", factor=0.1, polygon=BELOW)
    both = msgspec.structs.replace(plain, zones=by_id(zone, over))
    assert both.route("a", "d").nodes == ("a", "b", "d")


NODES = (("a", 0, 0), ("b", 5, 5), ("c", 5, -5.5), ("d", 10, 0))
BELOW = ((-1.0, -9.0), (11.0, -9.0), (11.0, -0.1), (-1.0, -0.1))


def test_directed_zones_do_not_turn_lanes() -> None:
    """A lane's own path goes before them (VDA 5050 3.0, 6.4.4, note 9)."""
    against = blocked(*AHEAD, type_="DIRECTED", direction=math.pi, limitation="STRICT")
    assert against.route("a", "b").lanes == ("ab",)


@pytest.mark.parametrize("speed", [0.0, -1.0, math.nan])
def test_a_vehicle_has_a_speed(speed: float) -> None:
    with pytest.raises(MapError, match="above 0 m/s"):
        square().route("a", "b", speed=speed)


def test_lanes_without_their_nodes_are_not_driven() -> None:
    loose = changed(square(), "lanes", "ab", end="gone")
    with pytest.raises(NoRouteError):
        loose.route("a", "b")


@st.composite
def networks(draw: st.DrawFn) -> RoadMap:
    count = draw(st.integers(2, 7))
    spot = st.tuples(st.integers(0, 12), st.integers(0, 12))
    spots = draw(st.lists(spot, min_size=count, max_size=count, unique=True))
    nodes = [Node(id=f"n{i}", x=float(x), y=float(y)) for i, (x, y) in enumerate(spots)]
    ends = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    pairs = draw(st.lists(ends.filter(lambda e: e[0] != e[1]), max_size=14))
    lanes = [
        Lane(
            id=f"l{i}",
            start=f"n{a}",
            end=f"n{b}",
            both=draw(st.booleans()),
            maximum_speed=draw(st.sampled_from([None, 0.25, 1.0])),
        )
        for i, (a, b) in enumerate(pairs)
    ]
    zones = [
        Zone(
            id=kind,
            type=kind,
            factor=0.75,
            polygon=((x, 0.0), (x + 4.0, 0.0), (x + 4.0, 12.0), (x, 12.0)),
        )
        for kind, x in (("PENALTY", 1.0), ("PRIORITY", 6.5))
    ]
    return RoadMap(id="m", nodes=by_id(*nodes), lanes=by_id(*lanes), zones=by_id(*zones))


def price(road_map: RoadMap, lane: Lane) -> float:
    """Cost of a straight lane, by summing over a thousand pieces of it."""
    a, b = road_map.nodes[lane.start], road_map.nodes[lane.end]
    speed = min(2.0, lane.maximum_speed or 2.0)
    total = 0.0
    for i in range(1000):
        x = a.x + (b.x - a.x) * (i + 0.5) / 1000
        factor = 1 / (1 - 0.75) if 1 <= x <= 5 else 1 / 1.75 if 6.5 <= x <= 10.5 else 1.0
        total += factor * math.hypot(b.x - a.x, b.y - a.y) / speed / 1000
    return total


@given(networks())
def test_no_other_way_is_better(road_map: RoadMap) -> None:
    """Against every order of nodes, priced by brute force."""
    costs: dict[tuple[str, str], float] = {}
    for lane in road_map.lanes.values():
        ends = [(lane.start, lane.end)] + ([(lane.end, lane.start)] if lane.both else [])
        for pair in ends:
            costs[pair] = min(price(road_map, lane), costs.get(pair, math.inf))
    names = sorted(road_map.nodes)
    best = {(a, b): costs.get((a, b), math.inf) for a in names for b in names}
    for via, a, b in itertools.product(names, names, names):
        best[a, b] = min(best[a, b], best[a, via] + best[via, b])
    goal = names[-1]
    try:
        route = road_map.route(names[0], goal, speed=2.0)
    except NoRouteError:
        assert best[names[0], goal] == math.inf
        return
    driven = sum(price(road_map, road_map.lanes[lane]) for lane in route.lanes)
    assert driven == pytest.approx(best[names[0], goal], rel=0.02)
    assert route == road_map.route(names[0], goal, speed=2.0)
    for lane, forward, pair in zip(
        route.lanes, route.forward, itertools.pairwise(route.nodes), strict=True
    ):
        ends = (road_map.lanes[lane].start, road_map.lanes[lane].end)
        assert pair == (ends if forward else ends[::-1])
