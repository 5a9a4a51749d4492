"""Shapes that do not fit together are left out and named; what is beside them stays."""

from __future__ import annotations

import pytest
from pxr import Usd, UsdGeom

from stagetwin.scene import convert_stage, export_glb
from tests.stages.scene.zoo import drawn, stage_of

TRIANGLE = "point3f[] points = [(0, 0, 0), (1, 0, 0), (0, 1, 0)]"

BAD = {
    "no points": ('Mesh "Bad"', "int[] faceVertexCounts = [3]", "it has no points"),
    "index out of range": (
        'Mesh "Bad"',
        f"{TRIANGLE}; int[] faceVertexCounts = [3]; int[] faceVertexIndices = [0, 1, 3]",
        "faceVertexIndices are in [0, 3), got 0 to 3",
    ),
    "negative index": (
        'Mesh "Bad"',
        f"{TRIANGLE}; int[] faceVertexCounts = [3]; int[] faceVertexIndices = [0, 1, -2]",
        "got -2 to 1",
    ),
    "counts": (
        'Mesh "Bad"',
        f"{TRIANGLE}; int[] faceVertexCounts = [4]; int[] faceVertexIndices = [0, 1, 2]",
        "faceVertexCounts add up to 4, there are 3 indices",
    ),
    "negative counts": (
        'Mesh "Bad"',
        f"{TRIANGLE}; int[] faceVertexCounts = [-3, 6]; int[] faceVertexIndices = [0, 1, 2]",
        "faceVertexCounts add up to 3",
    ),
    "no faces": (
        'Mesh "Bad"',
        f"{TRIANGLE}; int[] faceVertexCounts = [2]; int[] faceVertexIndices = [0, 1]",
        "no face to draw",
    ),
    "no area": (
        'Mesh "Bad"',
        f"{TRIANGLE}; int[] faceVertexCounts = [3]; int[] faceVertexIndices = [0, 0, 1]",
        "none of its faces has an area",
    ),
    "nan": (
        'Mesh "Bad"',
        "point3f[] points = [(0, 0, 0), (nan, 0, 0), (0, 1, 0)]; "
        "int[] faceVertexCounts = [3]; int[] faceVertexIndices = [0, 1, 2]",
        "points that are not finite",
    ),
    "another type": ('Mesh "Bad"', 'string[] points = ["a"]', "not shown: "),
    "negative radius": (
        'Sphere "Bad"',
        "double radius = -1",
        "radius is a length in [0, 1e+15], got -1",
    ),
    "nan size": ('Cube "Bad"', "double size = nan", "size is a length in [0, 1e+15], got nan"),
    "no size": ('Cube "Bad"', "double size = 0", "it has no area"),
    "no axis": ('Cylinder "Bad"', 'uniform token axis = "W"', "axis is X, Y or Z, got W"),
    "huge": ('Sphere "Bad"', "double radius = 1e300", "got 1e+300"),
    "far points": (
        'Points "Bad"',
        "point3f[] points = [(1e30, 0, 0), (0, 0, 0)]",
        "points farther than 1e+15",
    ),
    "curve counts": (
        'BasisCurves "Bad"',
        f"{TRIANGLE}; int[] curveVertexCounts = [2]",
        "curveVertexCounts add up to 2, got 3 points",
    ),
    "short curve": (
        'BasisCurves "Bad"',
        f"{TRIANGLE}; int[] curveVertexCounts = [3]",
        "no curve of enough points",
    ),
    "nurbs": ('NurbsPatch "Bad"', TRIANGLE, "NurbsPatch is not shown"),
    "instancer": (
        'PointInstancer "Bad"',
        "int[] protoIndices = [0]; rel prototypes = </World/Good>",
        "it has 1 protoIndices and 0 positions",
    ),
    "no prototype": (
        'PointInstancer "Bad"',
        "int[] protoIndices = [0]; point3f[] positions = [(0, 0, 0)]; rel prototypes = </Nowhere>",
        "its prototype /Nowhere does not exist",
    ),
    "own prototype": (
        'PointInstancer "Bad"',
        "int[] protoIndices = [0]; point3f[] positions = [(0, 0, 0)]; "
        "rel prototypes = </World/Bad>",
        "nested in itself",
    ),
    "nan place": (
        'Cube "Bad"',
        "double3 xformOp:translate = (nan, 0, 0); "
        'uniform token[] xformOpOrder = ["xformOp:translate"]',
        "its transform is not finite",
    ),
    "camera": ('Camera "Bad"', "float focalLength = 0", "the camera's numbers"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_prim_is_named_and_its_neighbours_are_shown(case: str) -> None:
    kind, text, reason = BAD[case]
    scene = convert_stage(
        stage_of(f'def Xform "World" {{ def Cube "Good" {{ }} def {kind} {{ {text} }} }}')
    )
    assert "/World/Good" in drawn(scene)
    said = [problem for problem in scene.problems if problem.path == "/World/Bad"]
    assert any(reason in problem.reason for problem in said), scene.problems
    assert export_glb(scene).startswith(b"glTF")


PRIMVARS = {
    "too few": (
        'color3f[] primvars:displayColor = [(1, 0, 0)] ( interpolation = "vertex" )',
        "vertex takes 3 values, got 1",
    ),
    "index": (
        "color3f[] primvars:displayColor = [(1, 0, 0)]; int[] primvars:displayColor:indices = [7]",
        "no index is in [0, 1)",
    ),
    "nan": ("color3f[] primvars:displayColor = [(nan, 0, 0)]", "not finite"),
    "another type": ('string[] primvars:displayColor = ["red"]', "is no number"),
    "width": ("float2[] primvars:displayColor = [(1, 0)]", "it has 2 parts"),
    "normals": ("normal3f[] normals = [(0, 0, 1)]", "primvar normals is left out"),
}


@pytest.mark.parametrize("case", PRIMVARS)
def test_a_bad_primvar_is_left_out_and_the_shape_is_shown(case: str) -> None:
    text, reason = PRIMVARS[case]
    scene = convert_stage(
        stage_of(
            f"""def Xform "World" {{ def Mesh "M" {{
            uniform token subdivisionScheme = "none"
            {TRIANGLE}; int[] faceVertexCounts = [3]; int[] faceVertexIndices = [0, 1, 2]
            {text} }} }}"""
        )
    )
    assert len(drawn(scene)["/World/M"].triangles()) == 1
    assert [p.path for p in scene.problems] == ["/World/M"]
    assert reason in scene.problems[0].reason


def test_an_empty_stage_is_an_empty_scene() -> None:
    scene = convert_stage(Usd.Stage.CreateInMemory())
    assert scene.manifest["nodes"] == []
    assert scene.manifest["stage"]["bounds"] is None
    assert scene.glbs == {}


def test_an_animated_shape_is_shown_at_the_first_frame() -> None:
    stage = stage_of('def Xform "World" { def Cube "C" { } }')
    stage.SetStartTimeCode(10)
    stage.SetEndTimeCode(20)
    size = UsdGeom.Cube(stage.GetPrimAtPath("/World/C")).GetSizeAttr()
    size.Set(4, 10)
    size.Set(8, 20)
    assert drawn(convert_stage(stage))["/World/C"].positions.max() == 2
    assert drawn(convert_stage(stage, Usd.TimeCode(20)))["/World/C"].positions.max() == 4
