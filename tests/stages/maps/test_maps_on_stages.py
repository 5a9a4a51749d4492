"""Maps written to a stage and read back, frames, shapes, and what is wrong on a stage."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pxr import Gf, Sdf, Usd, UsdGeom

from stagetwin.check import check_stage
from stagetwin.maps import (
    LIMITATIONS,
    ZONE_TYPES,
    Lane,
    MapError,
    MapFault,
    MapFrame,
    Node,
    Obstacle,
    RoadMap,
    Station,
    Zone,
    author_map,
    read_map,
    read_maps,
)
from stagetwin.maps.geometry import convex_hull, is_simple, signed_area
from stagetwin.scene import convert_stage
from tests.stages.maps.floors import bare, by_id, square

HEADER = '#usda 1.0\n(\n    upAxis = "Z"\n    metersPerUnit = 1\n)\n'


def laid_out(text: str) -> str:
    """Put closing braces on lines of their own, as usda wants them."""
    return text.replace(" }", "\n}")


def stage_with(body: str, header: str = HEADER) -> Usd.Stage:
    layer = Sdf.Layer.CreateAnonymous("map.usda")
    layer.ImportFromString(header + laid_out(body))
    return Usd.Stage.Open(layer)


def empty(up: str = "Z", unit: float = 1.0) -> Usd.Stage:
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, up)
    UsdGeom.SetStageMetersPerUnit(stage, unit)
    return stage


# -- there and back

MILLIMETRES = st.integers(-200_000, 200_000).map(lambda n: n / 1000)
POINTS = st.tuples(MILLIMETRES, MILLIMETRES)
NAMES = st.text(min_size=1, max_size=8).filter(lambda t: t.isprintable())
MAYBE = st.none() | st.integers(-3000, 3000).map(lambda n: n / 1000)
ABOVE = st.none() | st.integers(1, 3000).map(lambda n: n / 1000)


def ids(draw: st.DrawFn, most: int) -> list[str]:
    return draw(st.lists(NAMES, max_size=most, unique=True))


def polygon(draw: st.DrawFn) -> tuple[tuple[float, float], ...]:
    """A simple polygon, convex or star-shaped, counter-clockwise."""
    if draw(st.booleans()):
        hull = convex_hull(draw(st.lists(POINTS, min_size=3, max_size=8)))
        return hull if len(hull) > 2 else ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
    x, y = draw(POINTS)
    radii = draw(st.lists(st.integers(200, 9000), min_size=3, max_size=9))
    corners = [
        (
            round(x + r / 1000 * math.cos(2 * math.pi * i / len(radii)), 3),
            round(y + r / 1000 * math.sin(2 * math.pi * i / len(radii)), 3),
        )
        for i, r in enumerate(radii)
    ]
    sound = is_simple(corners) and signed_area(corners) > 0
    return tuple(corners) if sound else ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))


@st.composite
def road_maps(draw: st.DrawFn) -> RoadMap:
    nodes = [
        Node(
            id=name,
            x=draw(MILLIMETRES),
            y=draw(MILLIMETRES),
            theta=draw(MAYBE),
            deviation=draw(st.sampled_from([0.3, 0.0, 1.25])),
            deviation_theta=draw(st.sampled_from([math.pi, 0.1])),
            name=draw(st.sampled_from(["", "Dock 7"])),
        )
        for name in ids(draw, 5)
    ]
    node = st.sampled_from([each.id for each in nodes]) if nodes else st.nothing()
    lanes = [
        Lane(
            id=name,
            start=draw(node),
            end=draw(node),
            path=tuple(draw(st.lists(POINTS, max_size=3))),
            both=draw(st.booleans()),
            maximum_speed=draw(ABOVE),
            maximum_rotation_speed=draw(ABOVE),
            width=draw(ABOVE),
            orientation=draw(MAYBE),
            vehicle_types=tuple(draw(st.lists(NAMES, max_size=2))),
        )
        for name in (ids(draw, 4) if nodes else [])
    ]
    zones = [
        Zone(
            id=name,
            polygon=polygon(draw),
            type=draw(st.sampled_from(["", *ZONE_TYPES])),
            authority=draw(st.sampled_from(["", "lanes", "grid", "free"])),
            maximum_speed=draw(ABOVE),
            factor=draw(st.none() | st.just(0.25)),
            direction=draw(MAYBE),
            limitation=draw(st.sampled_from(["", *LIMITATIONS])),
            cell=draw(ABOVE),
        )
        for name in ids(draw, 3)
    ]
    stations = [
        Station(
            id=name,
            x=draw(MILLIMETRES),
            y=draw(MILLIMETRES),
            kind=draw(st.sampled_from(["", "pick", "charge"])),
            nodes=tuple(draw(st.lists(node, max_size=2, unique=True))) if nodes else (),
            theta=draw(MAYBE),
            height=draw(MAYBE),
            capacity=draw(st.integers(1, 9)),
            serves=draw(st.sampled_from(["", "/Machines/Belt"])),
            name=draw(st.sampled_from(["", "Infeed"])),
        )
        for name in ids(draw, 3)
    ]
    hulls = [convex_hull(draw(st.lists(POINTS, min_size=3, max_size=6))) for _ in range(2)]
    extent = draw(st.none() | st.just((-1.5, -2.0, 300.0, 400.25)))
    return RoadMap(
        id=draw(NAMES),
        version=draw(st.sampled_from(["", "7"])),
        nodes=by_id(*nodes),
        lanes=by_id(*lanes),
        zones=by_id(*zones),
        stations=by_id(*stations),
        obstacles=tuple(Obstacle(polygon=hull) for hull in hulls if len(hull) > 2),
        extent=extent,
    )


@settings(max_examples=50)
@given(road_map=road_maps(), up=st.sampled_from("ZY"), unit=st.sampled_from([1.0, 0.01, 0.001]))
def test_what_is_written_is_read_back(road_map: RoadMap, up: str, unit: float) -> None:
    stage = empty(up, unit)
    UsdGeom.Xform.Define(stage, "/Machines/Belt")
    around = UsdGeom.Xform.Define(stage, "/Hall")
    around.AddTranslateOp().Set(Gf.Vec3d(30, -4, 5))
    around.AddRotateZOp().Set(33.0)
    written = author_map(stage, "/Hall/Map", road_map)
    read = read_map(stage)
    # Obstacles are hulls out of shapes in single precision, and are read to a micrometre.
    near = [[tuple(round(v, 4) for v in p) for p in o.polygon] for o in read.obstacles]
    assert near == [[tuple(round(v, 4) for v in p) for p in o.polygon] for o in road_map.obstacles]
    assert [o.prim for o in read.obstacles] == [o.prim for o in written.obstacles]
    read, written, road_map = (
        msgspec.structs.replace(each, obstacles=()) for each in (read, written, road_map)
    )
    assert read == written
    assert bare(read) == bare(road_map)


def test_a_map_is_written_over_an_older_one_and_keeps_its_place() -> None:
    stage = empty()
    prim = author_map(stage, "/Map", square()).prim
    UsdGeom.Xformable(stage.GetPrimAtPath(prim)).AddTranslateOp().Set(Gf.Vec3d(7, 0, 0))
    small = RoadMap(id="square", nodes=by_id(Node(id="a", x=1.0, y=2.0)))
    author_map(stage, "/Map", small)
    assert bare(read_map(stage)) == small
    place = UsdGeom.XformCache().GetLocalToWorldTransform(stage.GetPrimAtPath("/Map/Nodes/a"))
    assert place.ExtractTranslation() == Gf.Vec3d(8, 2, 0)


def test_ids_that_are_no_names_of_prims_keep_what_they_are() -> None:
    nodes = by_id(*(Node(id=name, x=float(i), y=0.0) for i, name in enumerate(["1-2", "1_2", "é"])))
    layer = Sdf.Layer.CreateAnonymous(".usda")
    author_map(layer, "/Map", RoadMap(id="m", nodes=nodes))
    assert sorted(read_map(Usd.Stage.Open(layer)).nodes) == ["1-2", "1_2", "é"]


@pytest.mark.parametrize("path", ["Map", "/Map.attribute", "/"])
def test_a_map_goes_to_a_prim(path: str) -> None:
    with pytest.raises(MapError, match="path of a prim such as /Map"):
        author_map(empty(), path, square())


def test_a_map_is_drawn() -> None:
    """Every shape reaches the browser's scene, and nothing in it is amiss."""
    stage = empty()
    author_map(stage, "/Map", square())
    scene = convert_stage(stage)
    assert scene.problems == ()
    assert scene.glbs
    shapes = [p for p in stage.Traverse() if p.IsA("Gprim")]
    assert len(shapes) == 4 + 5 + 3 + 2 + 1
    for shape in shapes:
        assert UsdGeom.Gprim(shape).GetDisplayColorAttr().Get() is not None
        assert UsdGeom.Boundable(shape).GetExtentAttr().HasAuthoredValue()


# -- frames

TURNED = Gf.Matrix4d().SetRotate(Gf.Rotation(Gf.Vec3d(0, 0, 1), 90))


@pytest.mark.parametrize("unit", [1.0, 0.01])
def test_the_frame_is_the_prims_own(unit: float) -> None:
    stage = empty(unit=unit)
    author_map(stage, "/Map", square())
    map_prim = stage.GetPrimAtPath("/Map")
    before = read_map(stage)
    UsdGeom.Xformable(map_prim).AddTransformOp().Set(TURNED)
    assert read_map(stage) == before
    frame = MapFrame(map_prim)
    # Its x axis points along the world's y now.
    assert Gf.IsClose(frame.world(2.0, 0.5, 1.0), Gf.Vec3d(-0.5, 2.0, 1.0) / unit, 1e-9)
    pose = frame.pose(2.0, 0.5, math.pi / 2)
    assert Gf.IsClose(pose.TransformDir(Gf.Vec3d(1, 0, 0)), Gf.Vec3d(-1, 0, 0), 1e-9)


def test_with_y_up_the_maps_y_points_away_from_z() -> None:
    stage = empty("Y")
    author_map(stage, "/Map", square())
    at = UsdGeom.XformCache().GetLocalToWorldTransform(stage.GetPrimAtPath("/Map/Nodes/d"))
    assert at.ExtractTranslation() == Gf.Vec3d(0, 0, -10)
    frame = MapFrame(stage.GetPrimAtPath("/Map"))
    assert frame.world(3.0, 4.0, 5.0) == Gf.Vec3d(3, 5, -4)
    ahead = frame.pose(0.0, 0.0, math.pi / 2).TransformDir(Gf.Vec3d(1, 0, 0))
    assert Gf.IsClose(ahead, Gf.Vec3d(0, 0, -1), 1e-9)


def test_an_even_scale_is_part_of_the_unit() -> None:
    stage = empty()
    author_map(stage, "/Map", square())
    UsdGeom.Xformable(stage.GetPrimAtPath("/Map")).AddScaleOp().Set(Gf.Vec3f(2, 2, 2))
    assert read_map(stage).nodes["b"].x == 20.0
    assert MapFrame(stage.GetPrimAtPath("/Map")).world(20.0, 0.0) == Gf.Vec3d(20, 0, 0)


@pytest.mark.parametrize(
    ("scale", "says"),
    [((1, 2, 1), "scaled evenly"), ((-1, 1, 1), "mirrored"), ((0, 0, 0), "scaled evenly")],
)
def test_a_frame_that_is_none_is_no_map(scale: tuple[float, float, float], says: str) -> None:
    stage = empty()
    author_map(stage, "/Map", square())
    UsdGeom.Xformable(stage.GetPrimAtPath("/Map")).AddScaleOp().Set(Gf.Vec3f(*scale))
    problems: list[MapFault] = []
    with pytest.raises(MapError, match="no map on the stage"):
        read_map(stage, problems=problems)
    # Said once, and not of everything in it.
    assert [(p.prim, p.grave) for p in problems] == [("/Map", True)]
    assert says in problems[0].message


def test_turned_markers_turn_their_headings() -> None:
    stage = empty()
    author_map(stage, "/Map", square())
    UsdGeom.Xformable(stage.GetPrimAtPath("/Map/Nodes/c")).AddRotateZOp().Set(90.0)
    assert read_map(stage).nodes["c"].theta == pytest.approx(0.5 + math.pi / 2)


# -- what people author

MAP = """
def Xform "Map" (prepend apiSchemas = ["TwinMapAPI"])
{
    def Xform "A" (prepend apiSchemas = ["TwinNodeAPI"]) {}
    def Xform "B" (prepend apiSchemas = ["TwinNodeAPI"])
    {
        double3 xformOp:translate = (4, 0, 0)
        uniform token[] xformOpOrder = ["xformOp:translate"]
    }
%s
}
"""
LANE = """
    def %s "L" (prepend apiSchemas = ["TwinLaneAPI"])
    {
        rel twin:lane:start = </Map/A>
        rel twin:lane:end = </Map/B>
        %s
    }
"""


def lane_of(type_name: str, curve: str) -> tuple[RoadMap, list[MapFault]]:
    problems: list[MapFault] = []
    return read_map(stage_with(MAP % (LANE % (type_name, curve))), problems=problems), problems


POINTS_TEXT = "point3f[] points = [(0, 0, 0.1), (1, 1.1, 0.1), (3, 1.1, 0.1), (4, 0, 0.1)]"
COUNTS = "int[] curveVertexCounts = [4]"


def test_a_lane_without_a_curve_is_straight() -> None:
    for type_name in ("Scope", "Xform"):
        road_map, problems = lane_of(type_name, "")
        assert road_map.lane_points("L") == ((0.0, 0.0), (4.0, 0.0))
        assert [p for p in problems if p.severity == "error"] == []


def test_a_linear_curve_is_its_points() -> None:
    text = f'uniform token type = "linear"\n{POINTS_TEXT}\n{COUNTS}'
    road_map, _ = lane_of("BasisCurves", text)
    assert road_map.lanes["L"].path == ((1.0, 1.1), (3.0, 1.1))


@pytest.mark.parametrize(
    ("type_name", "kind"),
    [
        ("BasisCurves", 'uniform token type = "cubic"\nuniform token basis = "bezier"'),
        ("NurbsCurves", "int[] order = [4]\ndouble[] knots = [0, 0, 0, 0, 1, 1, 1, 1]"),
    ],
)
def test_a_bent_curve_is_sampled(type_name: str, kind: str) -> None:
    road_map, problems = lane_of(type_name, f"{kind}\n{POINTS_TEXT}\n{COUNTS}")
    path = road_map.lanes["L"].path
    assert len(path) > 5
    # A Bezier curve reaches three quarters of the height of its two middle points.
    assert max(y for _, y in path) == pytest.approx(0.75 * 1.1)
    assert [p for p in problems if p.severity == "error"] == []


def test_a_node_that_moved_takes_the_lane_along() -> None:
    text = "point3f[] points = [(0, 0, 0), (2, 1, 0), (9, 9, 0)]\nint[] curveVertexCounts = [3]"
    road_map, problems = lane_of("BasisCurves", f'uniform token type = "linear"\n{text}')
    assert road_map.lane_points("L") == ((0.0, 0.0), (2.0, 1.0), (4.0, 0.0))
    assert [(p.prim, p.code, p.severity) for p in problems if p.code == "path-end"] == [
        ("/Map/L", "path-end", "warning")
    ]


ZONE = """
    def %s "Z" (prepend apiSchemas = ["TwinZoneAPI"])
    {
        uniform token twin:zone:authority = "free"
        %s
    }
"""


def test_the_outline_of_several_faces_is_the_zone() -> None:
    mesh = """
        point3f[] points = [(0, 0, 0), (2, 0, 0), (2, 1, 0), (1, 0.5, 0), (0, 1, 0)]
        int[] faceVertexCounts = [3, 3, 3]
        int[] faceVertexIndices = [0, 1, 3, 1, 2, 3, 3, 4, 0]
    """
    road_map = read_map(stage_with(MAP % (ZONE % ("Mesh", mesh))))
    assert road_map.zones["Z"].polygon == ((0, 0), (2, 0), (2, 1), (1, 0.5), (0, 1))


def test_a_clockwise_closed_curve_is_a_zone() -> None:
    curve = """
        uniform token type = "linear"
        point3f[] points = [(0, 0, 0), (0, 1, 0), (1, 1, 0), (0, 0, 0)]
        int[] curveVertexCounts = [4]
    """
    road_map = read_map(stage_with(MAP % (ZONE % ("BasisCurves", curve))))
    assert road_map.zones["Z"].polygon == ((0, 0), (1, 1), (0, 1))


# -- obstacles

SHAPES = """
    def Xform "Rack" (prepend apiSchemas = ["TwinObstacleAPI"])
    {
        %s
    }
"""


def footprints(text: str) -> dict[str, tuple[tuple[float, float], ...]]:
    problems: list[MapFault] = []
    road_map = read_map(stage_with(MAP % (SHAPES % text)), problems=problems)
    assert [p for p in problems if p.severity == "error"] == []
    return {obstacle.prim: obstacle.polygon for obstacle in road_map.obstacles}


def placed(kind: str, x: float, z: float, more: str = "") -> str:
    return f"""
        def {kind}
        {{
            {more}
            double3 xformOp:translate = ({x}, 0, {z})
            uniform token[] xformOpOrder = ["xformOp:translate"]
        }}
    """


def test_a_footprint_is_the_hull_of_all_shapes_below() -> None:
    text = placed('Cube "A"', 0, 0, "double size = 1") + placed('Cube "B"', 3, 0, "double size = 1")
    found = footprints(text)
    assert found == {"/Map/Rack": ((-0.5, -0.5), (3.5, -0.5), (3.5, 0.5), (-0.5, 0.5))}


def test_what_hangs_high_is_driven_under_and_what_is_flat_driven_over() -> None:
    text = placed('Cube "Lamp"', 0, 3, "double size = 1")
    text += placed('Cube "Paint"', 5, -0.5, "double size = 1.02")
    assert footprints(text) == {}


def test_a_slanted_shape_is_cut_at_the_height() -> None:
    slab = """
        def Mesh "Ramp"
        {
            point3f[] points = [(0, 0, 0), (4, 0, 4), (4, 1, 4), (0, 1, 0)]
            int[] faceVertexCounts = [4]
            int[] faceVertexIndices = [0, 1, 2, 3]
        }
    """
    assert footprints(slab)["/Map/Rack"] == ((0, 0), (2, 0), (2, 1), (0, 1))


@pytest.mark.parametrize(
    ("kind", "reach"),
    [
        ('Sphere "S"', 1.0),
        ('Cylinder "S"', 1.0),
        ('Cone "S"', 1.0),
        ('Capsule "S"', 0.5),
        ('Cylinder_1 "S"', 1.0),
        ('Capsule_1 "S"', 0.5),
    ],
)
def test_round_shapes_lie_within_their_footprints(kind: str, reach: float) -> None:
    (polygon,) = footprints(placed(kind, 0, 0.5)).values()
    reaches = [math.hypot(x, y) for x, y in polygon]
    assert min(reaches) >= reach
    assert max(reaches) < reach * 1.02


def test_instances_are_in_the_way_where_they_stand() -> None:
    text = """
        def PointInstancer "Crates"
        {
            rel prototypes = </Map/Rack/Crates/Box>
            int[] protoIndices = [0, 0]
            point3f[] positions = [(0, 0, 0), (2, 2, 0)]
            def Cube "Box" { double size = 1 }
        }
    """
    (polygon,) = footprints(text).values()
    assert polygon == ((-0.5, -0.5), (0.5, -0.5), (2.5, 1.5), (2.5, 2.5), (1.5, 2.5), (-0.5, 0.5))


def test_prims_elsewhere_are_named_by_the_map() -> None:
    text = """
def Xform "Map" (prepend apiSchemas = ["TwinMapAPI"])
{
    rel twin:map:obstacles = [</Column>, </Gone>]
    double3 xformOp:translate = (10, 0, 0)
    uniform token[] xformOpOrder = ["xformOp:translate"]
}
def Cube "Column" { double size = 2 }
"""
    problems: list[MapFault] = []
    road_map = read_map(stage_with(text), problems=problems)
    assert [o.polygon for o in road_map.obstacles] == [((-11, -1), (-9, -1), (-9, 1), (-11, 1))]
    assert [(p.code, p.grave) for p in problems] == [("obstacle", True)]
    assert "/Gone" in problems[0].message


# -- what is wrong

NODE = 'def Xform "%s" (prepend apiSchemas = ["TwinNodeAPI"]) { %s }\n'
BROKEN: list[tuple[str, str, str, str, bool]] = [
    ("duplicate-id", "/Map/N", NODE % ("N", 'uniform string twin:node:id = "A"'), "/Map/A", False),
    ("value", "/Map/N", NODE % ("N", 'uniform string twin:node:deviation = "x"'), "number", False),
    ("no-place", "/Map/N", NODE.replace("Xform", "Scope") % ("N", ""), "Scope", False),
    (
        "dangling",
        "/Map/L",
        (LANE % ("Scope", "")).replace("</Map/B>", "</Map/Nowhere>"),
        "/Map/Nowhere",
        False,
    ),
    (
        "dangling",
        "/Map/L",
        (LANE % ("Scope", "")).replace("rel twin:lane:end = </Map/B>", ""),
        "got 0",
        False,
    ),
    (
        "shape",
        "/Map/L",
        LANE % ("BasisCurves", f"{POINTS_TEXT}\nint[] curveVertexCounts = [3]"),
        "add up to 3, got 4",
        False,
    ),
    ("shape", "/Map/Z", ZONE % ("Xform", ""), "three corners or more", True),
    (
        "shape",
        "/Map/Z",
        ZONE
        % (
            "Mesh",
            "point3f[] points = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (5, 0, 0), (6, 0, 0), "
            "(5, 1, 0)]\n"
            "int[] faceVertexCounts = [3, 3]\nint[] faceVertexIndices = [0, 1, 2, 3, 4, 5]",
        ),
        "one border",
        True,
    ),
    (
        "shape",
        "/Map/Z",
        ZONE % ("Mesh", "int[] faceVertexCounts = [3]\nint[] faceVertexIndices = [0, 1, 2]"),
        "points it lacks",
        True,
    ),
    ("shape", "/Map/Rack", SHAPES % "", "got none", True),
    (
        "number",
        "/Map/Rack",
        SHAPES % 'def Cube "C" {}\nuniform double twin:obstacle:height = 0',
        "above 0 m",
        True,
    ),
    (
        "unknown-node",
        "/Map/S",
        'def Xform "S" (prepend apiSchemas = ["TwinStationAPI"])\n'
        "{ rel twin:station:nodes = [</Map/A>, </Map/L>] }",
        "/Map/L",
        False,
    ),
    (
        "serves",
        "/Map/S",
        'def Xform "S" (prepend apiSchemas = ["TwinStationAPI"])\n'
        "{ rel twin:station:nodes = </Map/A>\nrel twin:station:serves = </Gone> }",
        "/Gone",
        False,
    ),
]


@pytest.mark.parametrize(("code", "prim", "text", "says", "grave"), BROKEN)
def test_one_bad_prim_is_named_and_stops_no_other(
    code: str, prim: str, text: str, says: str, grave: bool
) -> None:
    problems: list[MapFault] = []
    road_map = read_map(stage_with(MAP % text), problems=problems)
    assert {"A", "B"} <= road_map.nodes.keys()
    found = [p for p in problems if p.severity == "error"]
    assert [(p.code, p.prim, p.grave, p.map) for p in found] == [(code, prim, grave, "Map")]
    assert says in found[0].message


def test_what_lies_in_no_map_is_named() -> None:
    reading = read_maps(stage_with(NODE % ("Lost", "")))
    assert [(p.code, p.prim) for p in reading.problems] == [("outside-map", "/Lost")]


def test_two_maps_of_one_id_are_both_distrusted() -> None:
    text = (MAP % "") + (MAP % "").replace('"Map"', '"Other"', 1).replace(
        "{", '{\n uniform token twin:map:id = "Map"', 1
    )
    reading = read_maps(stage_with(text))
    graves = {p.prim for p in reading.problems if p.grave}
    assert graves == {"/Map", "/Other"}
    assert sorted(reading.maps) == ["Map"]


def test_several_maps_are_chosen_by_id() -> None:
    stage = empty()
    for name in ("one", "two"):
        author_map(stage, f"/{name}", RoadMap(id=name, nodes=by_id(Node(id=name, x=0.0, y=0.0))))
    assert list(read_map(stage, "two").nodes) == ["two"]
    with pytest.raises(MapError, match="name one of the stage's maps; maps: 'one', 'two'"):
        read_map(stage)
    with pytest.raises(MapError, match="no map 'three' on the stage; maps: 'one', 'two'"):
        read_map(stage, "three")
    with pytest.raises(MapError, match="there is no map on the stage; maps: none"):
        read_map(empty())


def test_a_check_of_the_stage_names_map_faults_and_misspellings(tmp_path: Path) -> None:
    wrong = (LANE % ("Scope", "uniform double twin:lane:maxSpeed = 1")).replace("/B>", "/X>")
    loose = 'def Xform "N" { uniform double twin:node:theta = 1 }'
    path = tmp_path / "map.usda"
    path.write_text(HEADER + laid_out(MAP % (wrong + loose)))
    found = {(p.prim, p.code, str(p.severity)) for p in check_stage(path).problems}
    assert ("/Map/L", "map-dangling", "error") in found
    assert ("/Map/L", "unknown-attribute", "warning") in found
    assert ("/Map/N", "not-applied", "error") in found
