"""A map as plain data: encoding, places, and what is wrong with it."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagetwin.maps import Lane, MapError, Node, Obstacle, RoadMap, Zone
from stagetwin.maps.geometry import contains, convex_hull, cuts, is_simple, signed_area, wrapped
from tests.stages.maps.floors import by_id, changed, square

COORDINATES = st.integers(-2000, 2000).map(lambda n: n / 8)
POINTS = st.tuples(COORDINATES, COORDINATES)


def test_what_is_encoded_is_decoded_the_same() -> None:
    road_map = square()
    again = RoadMap.decode(road_map.encode())
    assert again == road_map
    assert again.digest == road_map.digest


def test_the_order_of_things_and_the_kind_of_number_change_no_byte() -> None:
    one = RoadMap(id="m", nodes=by_id(Node(id="a", x=1, y=2), Node(id="b", x=0, y=0)))
    other = RoadMap(id="m", nodes=by_id(Node(id="b", x=0.0, y=0.0), Node(id="a", x=1.0, y=2.0)))
    assert one.encode() == other.encode()


@pytest.mark.parametrize(
    ("kind", "id_", "fields"),
    [
        ("stations", "S", {"x": 10.001}),
        ("nodes", "a", {"y": 1e-9}),
        ("lanes", "ab", {"both": True}),
        ("zones", "slow", {"maximum_speed": 0.6}),
    ],
)
def test_a_change_changes_the_digest(kind: str, id_: str, fields: dict[str, Any]) -> None:
    assert changed(square(), kind, id_, **fields).digest != square().digest


@pytest.mark.parametrize("data", [b"", b"[]", b'{"id": 3}', b"\xff", b'{"id": "m", "nodes": []}'])
def test_what_is_no_map_is_refused(data: bytes) -> None:
    with pytest.raises(MapError, match="no encoded map"):
        RoadMap.decode(data)


def test_a_number_that_is_none_is_not_encoded() -> None:
    with pytest.raises(MapError, match=r"'square' cannot be encoded.*nodes"):
        changed(square(), "nodes", "a", x=math.nan).encode()


def test_processes_without_usd_can_use_maps() -> None:
    code = (
        "import sys; from stagetwin.maps import Node, RoadMap, import_lif; "
        "RoadMap(id='m', nodes={'a': Node(id='a', x=0, y=0)}).route('a', 'a'); "
        "assert 'pxr.Usd' not in sys.modules, 'pxr.Usd'; "
        "assert not {'yaml', 'mcap'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


# -- places


def test_the_nearest_node_is_found_within_a_radius() -> None:
    road_map = square()
    nearest = road_map.nearest(9.0, 1.0)
    assert nearest is not None
    assert nearest.id == "b"
    assert road_map.nearest(5.0, 5.0, radius=1.0) is None
    assert RoadMap(id="empty").nearest(0.0, 0.0) is None


def test_the_nearest_lane_tells_how_far_along_it_is() -> None:
    found = square().nearest_lane(7.0, 1.0)
    assert found is not None
    lane, along, off = found
    assert (lane.id, along, off) == ("ab", 7.0, 1.0)
    assert square().nearest_lane(100.0, 0.0, radius=5.0) is None


def test_the_smallest_zone_around_a_place_decides() -> None:
    road_map = square()
    assert [zone.id for zone in road_map.zones_at(1.0, 1.0)] == ["cells", "hall"]
    assert road_map.authority_at(1.0, 1.0) == "grid"
    # It names no authority, and leaves it to what lies around it.
    assert road_map.authority_at(5.0, 0.5) == "free"
    assert road_map.authority_at(50.0, 0.0) == "lanes"


def test_points_on_a_lane_follow_its_path_and_stop_at_its_ends() -> None:
    road_map = square()
    leg = math.hypot(2, 5)
    assert road_map.point_on("bc", 0.0) == (10.0, 0.0, math.atan2(5, 2))
    x, y, heading = road_map.point_on("bc", leg + 1)
    assert (x, y) == pytest.approx((12 - 2 / leg, 5 + 5 / leg))
    assert heading == pytest.approx(math.atan2(5, -2))
    assert road_map.point_on("bc", 99.0)[:2] == (10.0, 10.0)
    assert road_map.point_on("bc", -1.0)[:2] == (10.0, 0.0)
    assert road_map.lane_length("bc") == pytest.approx(2 * leg)


def test_ids_that_are_not_there_are_named_with_those_that_are() -> None:
    with pytest.raises(MapError, match=r"no node or station 'x'; it has S, T, a, b, c, d"):
        square().nodes_of("x")
    with pytest.raises(MapError, match="no lane 'x'"):
        square().point_on("x", 0.0)
    loose = changed(square(), "stations", "S", nodes=("gone",), prim="/Map/Stations/S")
    with pytest.raises(MapError, match=r"/Map/Stations/S: station 'S'.*served from no node"):
        loose.nodes_of("S")


# -- geometry


@given(st.lists(POINTS, min_size=3, max_size=12))
def test_a_hull_is_simple_and_holds_its_points(points: list[tuple[float, float]]) -> None:
    hull = convex_hull(points)
    if len(hull) > 2:
        assert is_simple(hull)
        assert signed_area(hull) > 0
        assert all(contains(hull, x, y) for x, y in points)
        assert convex_hull(hull) == hull


@given(POINTS, POINTS, POINTS, POINTS)
def test_cuts_part_a_line_into_pieces_within_and_without(
    a: tuple[float, float], b: tuple[float, float], c: tuple[float, float], d: tuple[float, float]
) -> None:
    """Between two cuts in a row a line is wholly in a polygon or wholly out of it."""
    polygon = convex_hull([b, c, d])
    line = ((-260.0, a[1]), (260.0, a[1] + 0.3))
    if len(polygon) < 3:
        return
    marks = [0.0, *cuts(line, polygon), math.dist(*line)]
    for low, high in itertools.pairwise(marks):
        if high - low > 1e-6:
            inside = {
                contains(
                    polygon,
                    line[0][0] + (line[1][0] - line[0][0]) * s / marks[-1],
                    line[0][1] + (line[1][1] - line[0][1]) * s / marks[-1],
                )
                for s in (low + (high - low) * share for share in (0.1, 0.5, 0.9))
            }
            assert len(inside) == 1


@given(st.floats(-1e4, 1e4))
def test_angles_are_wrapped_into_half_a_turn_either_way(angle: float) -> None:
    turned = wrapped(angle)
    assert -math.pi < turned <= math.pi
    assert math.cos(turned - angle) == pytest.approx(1.0)


# -- faults

FAULTS: list[tuple[str, str, str, dict[str, Any], str]] = [
    ("dangling", "lanes", "ab", {"end": "gone"}, "'gone'"),
    ("no-length", "lanes", "ab", {"end": "a"}, "'a' to 'a' has no length"),
    ("number", "lanes", "ab", {"maximum_speed": 0.0}, "above 0 m/s, got 0"),
    ("number", "lanes", "ab", {"width": -1.0}, "above 0 m, got -1"),
    ("number", "lanes", "ab", {"orientation": 90.0}, "-pi to pi rad, got 90"),
    ("number", "lanes", "ab", {"path": ((math.inf, 0.0),)}, "finite"),
    ("number", "nodes", "a", {"deviation": -0.1}, "0 m or more, got -0.1"),
    ("number", "nodes", "a", {"theta": math.nan}, "got nan"),
    ("off-extent", "nodes", "a", {"x": 99.0}, "x -5 to 15"),
    ("off-extent", "stations", "S", {"y": -99.0}, "y -5 to 15"),
    ("id", "nodes", "a", {"id": "z"}, "filed under 'a'"),
    ("no-node", "stations", "S", {"nodes": ()}, "no node"),
    ("unknown-node", "stations", "S", {"nodes": ("gone",)}, "'gone'"),
    ("kind", "stations", "S", {"kind": "pikc"}, "pick, drop, transfer, charge, park"),
    ("number", "stations", "S", {"capacity": 0}, "1 or more"),
    ("type", "zones", "hall", {"type": "SLOW"}, "SPEED_LIMIT"),
    ("authority", "zones", "hall", {"authority": "orca"}, "lanes, grid, free"),
    ("parameter", "zones", "slow", {"maximum_speed": None}, "needs maximum_speed"),
    ("parameter", "zones", "slow", {"type": "PENALTY"}, "needs factor"),
    ("parameter", "zones", "slow", {"type": "DIRECTED", "direction": 0.0}, "SOFT, RESTRICTED, STR"),
    ("parameter", "zones", "cells", {"cell": None}, "cell"),
    ("number", "zones", "slow", {"factor": 1.5}, "0 to 1"),
    ("polygon", "zones", "slow", {"polygon": ((0.0, 0.0), (1.0, 1.0))}, "three corners"),
    ("polygon", "zones", "slow", {"polygon": ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0))}, "clockwise"),
    (
        "polygon",
        "zones",
        "slow",
        {"polygon": ((0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0))},
        "crosses",
    ),
]


@pytest.mark.parametrize(("code", "kind", "id_", "fields", "says"), FAULTS)
def test_a_fault_names_its_prim(
    code: str, kind: str, id_: str, fields: dict[str, Any], says: str
) -> None:
    assert [fault for fault in square().faults() if fault.severity == "error"] == []
    prim = f"/Map/{kind.title()}/{id_}"
    broken = changed(square(), kind, id_, prim=prim, **fields)
    found = [fault for fault in broken.faults() if fault.code == code and fault.prim == prim]
    assert len(found) == 1
    assert says in found[0].message
    assert found[0].map == "square"
    assert found[0].severity == "error"


def test_places_that_cannot_be_reached_or_left_are_warned_of() -> None:
    road_map = RoadMap(
        id="m",
        nodes=by_id(*(Node(id=name, x=float(i), y=0.0) for i, name in enumerate("abc"))),
        lanes=by_id(Lane(id="ab", start="a", end="b")),
    )
    codes = {fault.prim: (fault.code, fault.severity) for fault in road_map.faults()}
    assert codes == {
        "node 'a'": ("no-way-in", "warning"),
        "node 'b'": ("no-way-out", "warning"),
        "node 'c'": ("no-lane", "warning"),
    }


def test_an_obstacle_on_a_lane_is_warned_of() -> None:
    on = Obstacle(polygon=((4.0, -1.0), (6.0, -1.0), (5.0, 1.0)), prim="/Crate")
    around = Obstacle(polygon=((-1.0, -1.0), (99.0, -1.0), (99.0, 99.0), (-1.0, 99.0)))
    for obstacle, lanes in ((on, {"lane 'ab'"}), (around, set())):
        faults = msgspec.structs.replace(square(), obstacles=(obstacle,)).faults()
        found = {fault.prim for fault in faults if fault.code == "obstacle"}
        assert found == (lanes or {f"lane '{name}'" for name in square().lanes})


def test_an_extent_inside_out_is_a_fault() -> None:
    broken = msgspec.structs.replace(square(), extent=(5.0, 0.0, -5.0, 1.0))
    assert [fault.code for fault in broken.faults() if fault.severity == "error"] == ["extent"]


def test_zones_that_cannot_be_read_keep_everybody_out() -> None:
    """Codes of what forbids are grave; a lane that is missing permits nothing."""
    broken = changed(square(), "zones", "hall", authority="orca")
    broken = changed(broken, "lanes", "ab", end="gone")
    grave = {fault.code: fault.grave for fault in broken.faults() if fault.severity == "error"}
    assert grave == {"authority": True, "dangling": False}


def test_the_same_corner_twice_is_no_polygon() -> None:
    zone = Zone(id="z", authority="free", polygon=((0.0, 0.0), (1.0, 0.0), (1.0, 0.0), (0.0, 1.0)))
    faults = RoadMap(id="m", zones=by_id(zone)).faults()
    assert [fault.code for fault in faults] == ["polygon"]
