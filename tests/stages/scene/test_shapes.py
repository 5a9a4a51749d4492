"""Shapes: polygons, subdivision, curves, colours, subsets."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagetwin.scene import convert_stage
from stagetwin.scene._normals import crease_normals
from stagetwin.scene._subdivide import ControlMesh, levels, subdivide
from stagetwin.scene._triangulate import corner_fans, triangulate
from tests.stages.scene.zoo import Drawn, Table, drawn, stage_of

CUBE_POINTS = np.array(
    [(x, y, z) for z in (-1, 1) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))], np.float64
)
CUBE_CORNERS = np.array(
    [0, 3, 2, 1, 4, 5, 6, 7, 0, 1, 5, 4, 1, 2, 6, 5, 2, 3, 7, 6, 3, 0, 4, 7], np.int64
)
CUBE_COUNTS = np.full(6, 4)


def cube(**creases: object) -> ControlMesh:
    return ControlMesh(CUBE_COUNTS, CUBE_CORNERS, CUBE_POINTS.copy(), {}, np.arange(6), **creases)  # type: ignore[arg-type]


def area(points: Table, triangles: Table) -> Table:
    a, b, c = (points[triangles[:, i]] for i in range(3))
    return np.cross(b - a, c - a).sum(axis=0) / 2


@settings(max_examples=60, deadline=None)
@given(
    radii=st.lists(st.floats(0.1, 10), min_size=3, max_size=40),
    tilt=st.floats(-1.5, 1.5),
)
def test_triangles_of_any_star_cover_it_once(radii: list[float], tilt: float) -> None:
    """Signed areas add up to the polygon's, and none is turned over."""
    angles = np.arange(len(radii)) * (2 * math.pi / len(radii))
    ring = np.array(radii)[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = np.c_[ring, ring[:, 0] * math.tan(tilt)]
    corners = np.arange(len(radii))
    triangles, owner = triangulate(points, np.array([len(radii)]), corners)
    assert len(triangles) == len(radii) - 2
    assert set(owner.tolist()) == {0}
    x, y = ring.T
    expected = (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2
    assert area(points, triangles)[2] == pytest.approx(expected, rel=1e-9)
    a, b, c = (ring[triangles[:, i]] for i in range(3))
    turns = (b[:, 0] - a[:, 0]) * (c[:, 1] - b[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - b[:, 0])
    assert (turns > -1e-9 * expected).all()


def test_a_polygon_that_crosses_itself_loses_nothing() -> None:
    points = np.array([(0, 0, 0), (1, 1, 0), (1, 0, 0), (0, 1, 0), (2, 2, 0)], np.float64)
    triangles, _ = triangulate(points, np.array([5]), np.arange(5))
    assert len(triangles) == 3


def test_fans_of_polygons_of_several_sizes() -> None:
    triangles, polygon = corner_fans(np.array([3, 5, 4]))
    assert polygon.tolist() == [0, 1, 1, 1, 2, 2]
    assert triangles.tolist() == [
        [0, 1, 2],
        [3, 4, 5],
        [3, 5, 6],
        [3, 6, 7],
        [8, 9, 10],
        [8, 10, 11],
    ]


def test_catmull_clark_of_a_cube() -> None:
    """The first level, from the rules by hand: corners at 5/9, edges at 3/4, faces stay."""
    finer = subdivide(cube(), "catmullClark", "edgeAndCorner")
    np.testing.assert_allclose(np.abs(finer.points[:8]), np.full((8, 3), 5 / 9))
    np.testing.assert_allclose(np.sort(np.abs(finer.points[8:20])), [[0, 0.75, 0.75]] * 12)
    np.testing.assert_allclose(np.sort(np.abs(finer.points[20:])), [[0, 0, 1]] * 6)
    assert finer.counts.tolist() == [4] * 24
    assert finer.source.tolist() == [i // 4 for i in range(24)]


def test_a_creased_cube_stays_a_cube_and_a_soft_one_less_so() -> None:
    edges = {
        (min(a, b), max(a, b)): 10.0
        for face in CUBE_CORNERS.reshape(-1, 4).tolist()
        for a, b in zip(face, [*face[1:], face[0]], strict=True)
    }
    hard, half = cube(creases=edges), cube(creases=dict.fromkeys(edges, 0.5))
    for _ in range(2):
        hard = subdivide(hard, "catmullClark", "edgeAndCorner")
    np.testing.assert_allclose(np.abs(hard.points).max(axis=1), 1.0)
    np.testing.assert_allclose(np.abs(hard.points[:8]), 1.0)
    half = subdivide(half, "catmullClark", "edgeAndCorner")
    np.testing.assert_allclose(np.abs(half.points[:8]), (5 / 9 + 1) / 2)


def test_a_sharp_corner_stays_where_it_is() -> None:
    finer = subdivide(cube(sharp={3: 10.0}), "catmullClark", "edgeAndCorner")
    np.testing.assert_allclose(finer.points[3], CUBE_POINTS[3])
    np.testing.assert_allclose(np.abs(finer.points[0]), 5 / 9)


def test_a_flat_sheet_stays_flat_and_keeps_its_corners() -> None:
    grid = np.array([(x, y, 0) for y in range(3) for x in range(3)], np.float64)
    corners = np.array([0, 1, 4, 3, 1, 2, 5, 4, 3, 4, 7, 6, 4, 5, 8, 7])
    sheet = ControlMesh(np.full(4, 4), corners, grid, {}, np.arange(4))
    kept = subdivide(sheet, "catmullClark", "edgeAndCorner").points
    assert kept.min(axis=0).tolist() == [0, 0, 0]
    assert kept.max(axis=0).tolist() == [2, 2, 0]
    rounded = subdivide(sheet, "catmullClark", "edgeOnly").points
    assert (rounded[0] > 0).tolist() == [True, True, False]


def test_loop_of_an_octahedron_and_bilinear_of_a_cube() -> None:
    points = np.array([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)], float)
    faces = [0, 2, 4, 2, 1, 4, 1, 3, 4, 3, 0, 4, 2, 0, 5, 1, 2, 5, 3, 1, 5, 0, 3, 5]
    mesh = ControlMesh(np.full(8, 3), np.array(faces), points, {}, np.arange(8))
    finer = subdivide(mesh, "loop", "edgeAndCorner")
    assert len(finer.counts) == 32
    # Weight of the own point is 1 - 4 beta, beta = (5/8 - (3/8)**2) / 4; neighbours cancel out.
    np.testing.assert_allclose(np.abs(finer.points[:6]).max(axis=1), 1 - (0.625 - 0.375**2))
    np.testing.assert_allclose(np.sort(np.abs(finer.points[6:])), [[0, 0.375, 0.375]] * 12)
    flat = subdivide(cube(), "bilinear", "edgeAndCorner")
    np.testing.assert_allclose(np.abs(flat.points).max(axis=1), 1.0)


def test_texture_coordinates_of_faces_are_subdivided_linearly() -> None:
    mesh = ControlMesh(
        np.array([4]),
        np.arange(4),
        np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], float),
        {"st": np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float)},
        np.array([0]),
    )
    finer = subdivide(mesh, "catmullClark", "edgeAndCorner")
    np.testing.assert_allclose(finer.points[finer.corners][:, :2], finer.varying["st"])


def test_levels_are_modest() -> None:
    assert [levels(n) for n in (6, 300, 301, 4_000, 4_001)] == [2, 2, 1, 1, 0]


def test_normals_are_smooth_up_to_a_crease() -> None:
    sharp = crease_normals(CUBE_POINTS, CUBE_COUNTS, CUBE_CORNERS)
    np.testing.assert_allclose(np.sort(np.abs(sharp)), [[0, 0, 1]] * 24, atol=1e-12)
    # A roof of 20 degrees is smooth on its ridge.
    rise = math.tan(math.radians(10))
    points = np.array([(-1, 0, 0), (-1, 1, 0), (0, 0, rise), (0, 1, rise), (1, 0, 0), (1, 1, 0)])
    corners = np.array([0, 2, 3, 1, 2, 4, 5, 3])
    normals = crease_normals(points, np.array([4, 4]), corners)
    np.testing.assert_allclose(normals[[1, 2, 4, 7]], [[0, 0, 1]] * 4, atol=1e-12)


def one(text: str) -> Drawn:
    """Return the shape of a stage with one."""
    scene = convert_stage(stage_of(f'def Xform "World" {{ {text} }}'))
    assert scene.problems == ()
    (shape,) = drawn(scene).values()
    return shape


QUAD = """
    uniform token subdivisionScheme = "none"
    point3f[] points = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (2, 0, 0), (2, 1, 0)]
    int[] faceVertexCounts = [4, 4]
    int[] faceVertexIndices = [0, 1, 2, 3, 1, 4, 5, 2]
"""


@pytest.mark.parametrize(
    ("interpolation", "values"),
    [
        ("uniform", "[(1, 0, 0), (0, 1, 0)]"),
        ("vertex", "[(1, 0, 0), (1, 0, 0), (1, 0, 0), (1, 0, 0), (0, 1, 0), (0, 1, 0)]"),
        ("varying", "[(1, 0, 0), (1, 0, 0), (1, 0, 0), (1, 0, 0), (0, 1, 0), (0, 1, 0)]"),
        ("faceVarying", f"[{', '.join(['(1, 0, 0)'] * 4 + ['(0, 1, 0)'] * 4)}]"),
    ],
)
def test_colours_of_every_interpolation(interpolation: str, values: str) -> None:
    shape = one(
        f"""def Mesh "M" {{ {QUAD}
        color3f[] primvars:displayColor = {values} ( interpolation = "{interpolation}" ) }}"""
    )
    colors = shape.attribute("COLOR_0")
    positions = shape.attribute("POSITION")
    assert (colors[positions[:, 0] == 0][:, :2] == (1, 0)).all()
    assert (colors[positions[:, 0] == 2][:, :2] == (0, 1)).all()
    middle = colors[positions[:, 0] == 1]
    split = interpolation in ("uniform", "faceVarying")
    assert len(middle) == (4 if split else 2)
    assert shape.material()["pbrMetallicRoughness"]["baseColorFactor"] == [1, 1, 1, 1]


def test_a_constant_colour_is_a_material() -> None:
    shape = one(
        f"""def Mesh "M" {{ {QUAD}
        color3f[] primvars:displayColor = [(0.5, 0.25, 0)]
        float[] primvars:displayOpacity = [0.5] }}"""
    )
    assert "COLOR_0" not in shape.primitives[0]["attributes"]
    material = shape.material()
    assert material["pbrMetallicRoughness"]["baseColorFactor"] == [0.5, 0.25, 0, 0.5]
    assert material["alphaMode"] == "BLEND"


def test_points_are_shared_where_everything_is_the_same() -> None:
    shape = one(f'def Mesh "M" {{ {QUAD} }}')
    assert len(shape.positions) == 6
    assert len(shape.triangles()) == 4


@pytest.mark.parametrize(
    ("interpolation", "count"), [("vertex", 6), ("uniform", 2), ("faceVarying", 8), ("constant", 1)]
)
def test_authored_normals_are_taken(interpolation: str, count: int) -> None:
    values = ", ".join(["(0, 3, 4)"] * count)
    shape = one(
        f"""def Mesh "M" {{ {QUAD}
        normal3f[] normals = [{values}] ( interpolation = "{interpolation}" ) }}"""
    )
    np.testing.assert_allclose(shape.attribute("NORMAL"), [[0, 0.6, 0.8]] * 6, rtol=1e-6)


def test_left_handed_and_double_sided() -> None:
    shape = one(
        f"""def Mesh "M" {{ {QUAD}
        uniform token orientation = "leftHanded"
        uniform bool doubleSided = 1 }}"""
    )
    assert (np.cross(*np.diff(shape.triangles(), axis=1).transpose(1, 0, 2))[:, 2] < 0).all()
    np.testing.assert_allclose(shape.attribute("NORMAL"), [[0, 0, -1]] * 6)
    assert shape.material()["doubleSided"] is True


def test_subsets_cover_a_part_and_the_rest_is_the_meshes() -> None:
    scene = convert_stage(
        stage_of(
            f"""def Xform "World" {{
            def Mesh "M" ( prepend apiSchemas = ["MaterialBindingAPI"] ) {{ {QUAD}
                rel material:binding = </World/Red>
                def GeomSubset "Part" ( prepend apiSchemas = ["MaterialBindingAPI"] ) {{
                    uniform token elementType = "face"
                    uniform token familyName = "materialBind"
                    int[] indices = [1, 99]
                    rel material:binding = </World/Blue> }} }}
            {material("Red", "color3f inputs:diffuseColor = (1, 0, 0)")}
            {material("Blue", "color3f inputs:diffuseColor = (0, 0, 1)")} }}"""
        )
    )
    (shape,) = drawn(scene).values()
    names = [shape.material(i)["name"] for i in range(2)]
    assert names == ["Blue", "Red"]
    areas = [shape.array(row["indices"]).size for row in shape.primitives]
    assert areas == [6, 6]
    assert [str(p) for p in scene.problems] == ["/World/M: subset Part: 1 indices not in [0, 2)"]


def material(name: str, inputs: str) -> str:
    return f"""def Material "{name}" {{
        token outputs:surface.connect = </World/{name}/S.outputs:surface>
        def Shader "S" {{
            uniform token info:id = "UsdPreviewSurface"
            {inputs}
            token outputs:surface }} }}"""


def test_a_round_mesh_is_between_its_cage_and_the_limit() -> None:
    shape = one(
        f"""def Mesh "M" {{
        point3f[] points = {[tuple(map(int, p)) for p in CUBE_POINTS]}
        int[] faceVertexCounts = {CUBE_COUNTS.tolist()}
        int[] faceVertexIndices = {CUBE_CORNERS.tolist()} }}"""
    )
    assert len(shape.triangles()) == 6 * 4 * 4 * 2
    assert 0.7 < np.abs(shape.positions).max() < 1.0
    # Round means smooth: at the middle of a former edge the normal looks along the diagonal.
    normals = shape.attribute("NORMAL")
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("curve", "ends", "mode"),
    [
        ('"linear"', [(0, 0, 0), (0, 3, 0)], 1),
        ('"cubic"; uniform token basis = "bezier"', [(0, 0, 0), (0, 3, 0)], 1),
        (
            '"cubic"; uniform token basis = "catmullRom"; uniform token wrap = "pinned"',
            [(0, 0, 0), (0, 3, 0)],
            1,
        ),
        ('"cubic"; uniform token basis = "catmullRom"', [(3, 0, 0), (3, 3, 0)], 1),
        ('"cubic"; uniform token basis = "bspline"', [(2.5, 0.5, 0), (2.5, 2.5, 0)], 1),
        (
            '"cubic"; uniform token basis = "bspline"; uniform token wrap = "pinned"',
            [(0, 0, 0), (0, 3, 0)],
            1,
        ),
    ],
)
def test_curves_begin_and_end_where_their_basis_says(
    curve: str, ends: list[tuple[float, ...]], mode: int
) -> None:
    shape = one(
        f"""def BasisCurves "C" {{
        uniform token type = {curve}
        int[] curveVertexCounts = [4]
        point3f[] points = [(0, 0, 0), (3, 0, 0), (3, 3, 0), (0, 3, 0)] }}"""
    )
    assert shape.primitives[0]["mode"] == mode
    np.testing.assert_allclose(shape.positions[[0, -1]], ends, atol=1e-6)


def test_a_periodic_curve_closes() -> None:
    shape = one(
        """def BasisCurves "C" {
        uniform token type = "cubic"; uniform token basis = "bspline"
        uniform token wrap = "periodic"
        int[] curveVertexCounts = [4]
        point3f[] points = [(0, 0, 0), (3, 0, 0), (3, 3, 0), (0, 3, 0)] }"""
    )
    np.testing.assert_allclose(shape.positions[0], shape.positions[-1], atol=1e-6)
    assert len(shape.positions) == 4 * 8 + 1


def test_curves_with_widths_are_tubes_of_that_width() -> None:
    shape = one(
        """def BasisCurves "C" {
        uniform token type = "linear"
        int[] curveVertexCounts = [3]
        point3f[] points = [(0, 0, 0), (0, 0, 1), (0, 0, 5)]
        float[] widths = [2] ( interpolation = "constant" ) }"""
    )
    distance = np.linalg.norm(shape.positions[:, :2], axis=1)
    np.testing.assert_allclose(distance, 1, rtol=1e-6)
    corner = shape.triangles()
    outward = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    middle = corner.mean(axis=1)
    assert (np.einsum("ij,ij->i", outward[:, :2], middle[:, :2]) > 0).all()
