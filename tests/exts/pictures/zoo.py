"""A stage of shapes that converters get wrong, and cameras that renderers get wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pxr import Gf, Sdf, Usd, UsdGeom, Vt

__all__ = ["CAMERAS", "STAR", "smooth_zoo", "star", "zoo"]

CAMERAS = ("/Zoo/Shifted", "/Zoo/Parallel")


STAR = (
    *((0.0, 2.0), (0.4, 0.5), (2.0, 0.4), (0.5, -0.3), (1.0, -2.0), (0.0, -0.7)),
    *((-1.0, -2.0), (-0.5, -0.3), (-2.0, 0.4), (-0.4, 0.5)),
)
"""Corners of a star, x and z."""


def star(path: Path) -> Path:
    """Write a stage with a star of one polygon, seen straight from the front, and return it."""
    stage = _stage(path)
    count = len(STAR)
    mesh = _mesh(stage, "/Zoo/Star", [(x, 0, z) for x, z in STAR], [count], list(range(count)))
    mesh.CreateDoubleSidedAttr(True)
    front = _camera(stage, "Front", Gf.Vec3d(0, -10, 0), Gf.Vec3d(0, 0, 0))
    front.CreateProjectionAttr(UsdGeom.Tokens.orthographic)
    front.CreateHorizontalApertureAttr(50.0)
    front.CreateVerticalApertureAttr(50.0)
    stage.Save()
    return path


def zoo(path: Path) -> Path:
    """Write the zoo and return it."""
    stage = _stage(path)
    _gprims(stage)
    _meshes(stage)
    _instances(stage)
    _unseen(stage)
    stage.Save()
    return path


def smooth_zoo(path: Path) -> Path:
    """Write a zoo of subdivided cages and return it."""
    stage = _stage(path)
    for number, (scheme, at) in enumerate(
        (("catmullClark", -3.0), ("loop", 0.0), ("bilinear", 3.0))
    ):
        mesh = _cage(stage, f"/Zoo/Smooth{number}", triangles=scheme == "loop")
        mesh.CreateSubdivisionSchemeAttr(scheme)
        UsdGeom.XformCommonAPI(mesh).SetTranslate((at, 0, 1.4))
    stage.Save()
    return path


def _stage(path: Path) -> Usd.Stage:
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/Zoo").GetPrim())
    _cameras(stage)
    return stage


def _cameras(stage: Usd.Stage) -> None:
    wide = _camera(stage, "Wide", Gf.Vec3d(-5, -14, 6), Gf.Vec3d(0, 0, 1))
    wide.CreateFocalLengthAttr(24.0)
    shifted = _camera(stage, "Shifted", Gf.Vec3d(7, -12, 3), Gf.Vec3d(0, 0, 1.2), roll=20.0)
    shifted.CreateFocalLengthAttr(30.0)
    shifted.CreateHorizontalApertureOffsetAttr(4.0)
    shifted.CreateVerticalApertureOffsetAttr(-2.5)
    # In tenths of a unit of the stage, as USD has it for both projections.
    parallel = _camera(stage, "Parallel", Gf.Vec3d(3, -20, 9), Gf.Vec3d(0, 0, 1))
    parallel.CreateProjectionAttr(UsdGeom.Tokens.orthographic)
    parallel.CreateHorizontalApertureAttr(160.0)
    parallel.CreateVerticalApertureAttr(90.0)


def _camera(
    stage: Usd.Stage, name: str, eye: Gf.Vec3d, target: Gf.Vec3d, roll: float = 0.0
) -> UsdGeom.Camera:
    camera = UsdGeom.Camera.Define(stage, f"/Zoo/{name}")
    camera.CreateHorizontalApertureAttr(32.0)
    camera.CreateVerticalApertureAttr(18.0)
    camera.CreateClippingRangeAttr(Gf.Vec2f(0.1, 500))
    turn = Gf.Matrix4d().SetRotate(Gf.Rotation(Gf.Vec3d(0, 0, 1), roll))
    look = Gf.Matrix4d().SetLookAt(eye, target, Gf.Vec3d(0, 0, 1)).GetInverse()
    camera.AddTransformOp().Set(turn * look)
    return camera


def _gprims(stage: Usd.Stage) -> None:
    cube = UsdGeom.Cube.Define(stage, "/Zoo/Cube")
    cube.CreateSizeAttr(1.4)
    UsdGeom.XformCommonAPI(cube).SetTranslate((-5, 0, 0.7))
    UsdGeom.XformCommonAPI(cube).SetRotate((10, 0, 30))
    sphere = UsdGeom.Sphere.Define(stage, "/Zoo/Sphere")
    sphere.CreateRadiusAttr(0.8)
    UsdGeom.XformCommonAPI(sphere).SetTranslate((-3, 0, 0.8))
    for name, at, axis in (("Cylinder", -1.0, "X"), ("Cone", 1.0, "Z"), ("Capsule", 3.0, "Y")):
        shape = {
            "Cylinder": UsdGeom.Cylinder,
            "Cone": UsdGeom.Cone,
            "Capsule": UsdGeom.Capsule,
        }[name].Define(stage, f"/Zoo/{name}")
        shape.CreateHeightAttr(1.6 if name != "Capsule" else 1.0)
        shape.CreateRadiusAttr(0.6)
        shape.CreateAxisAttr(axis)
        UsdGeom.XformCommonAPI(shape).SetTranslate((at, 0, 0.9))
    # A shear: scaled along a diagonal.
    lean = UsdGeom.Xform.Define(stage, "/Zoo/Lean")
    lean.AddTransformOp().Set(Gf.Matrix4d(1, 0, 0, 0, 0, 1, 0, 0, 0.7, 0, 1, 0, 5, 0, 0.6, 1))
    UsdGeom.Cube.Define(stage, "/Zoo/Lean/Cube").CreateSizeAttr(1.2)


def _mesh(
    stage: Usd.Stage,
    path: str,
    points: Sequence[tuple[float, float, float]],
    counts: list[int],
    indices: list[int],
) -> UsdGeom.Mesh:
    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreatePointsAttr([Gf.Vec3f(*point) for point in points])
    mesh.CreateFaceVertexCountsAttr(counts)
    mesh.CreateFaceVertexIndicesAttr(indices)
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    return mesh


def _meshes(stage: Usd.Stage) -> None:
    # A concave polygon that begins at its inner corner, where Storm's fan of triangles is right.
    corner = [(0, 0), (0, 1.5), (-1.5, 1.5), (-1.5, -1.5), (1.5, -1.5), (1.5, 0)]
    mesh = _mesh(stage, "/Zoo/Corner", [(x, 0, z) for x, z in corner], [6], list(range(6)))
    mesh.CreateDoubleSidedAttr(True)
    UsdGeom.XformCommonAPI(mesh).SetTranslate((-4, 2, 3.4))
    # One face is a hole.
    grid = [(x, 0, z) for z in range(4) for x in range(4)]
    faces = [
        (4 * z + x, 4 * z + x + 1, 4 * z + x + 5, 4 * z + x + 4) for z in range(3) for x in range(3)
    ]
    mesh = _mesh(stage, "/Zoo/Frame", grid, [4] * 9, [i for face in faces for i in face])
    mesh.CreateHoleIndicesAttr(Vt.IntArray([4]))
    mesh.CreateDoubleSidedAttr(True)
    UsdGeom.XformCommonAPI(mesh).SetTranslate((-1.5, 3, 2))
    # Wound the other way and single-sided: it must not be seen from behind only.
    left = _cage(stage, "/Zoo/Left")
    left.CreateOrientationAttr(UsdGeom.Tokens.leftHanded)
    left.GetFaceVertexIndicesAttr().Set(Vt.IntArray(_reversed(left)))
    left.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    UsdGeom.XformCommonAPI(left).SetTranslate((4, 3, 3.5))
    # Mirrored by its transform.
    mirrored = _cage(stage, "/Zoo/Mirrored")
    mirrored.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    UsdGeom.XformCommonAPI(mirrored).SetTranslate((6.5, 2, 2.5))
    UsdGeom.XformCommonAPI(mirrored).SetScale((-0.7, 0.7, 1.2))


def _cage(stage: Usd.Stage, path: str, triangles: bool = False) -> UsdGeom.Mesh:
    """A lopsided box of six quadrangles, or of twelve triangles."""
    low, high = -1.0, 1.0
    points: list[tuple[float, float, float]] = [
        (x, y, z) for z in (low, high) for y in (low, high) for x in (low, high)
    ]
    points[7] = (1.5, 1.2, 1.8)
    quads = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
    faces: list[tuple[int, ...]] = list(quads)
    if triangles:
        faces = [f for a, b, c, d in quads for f in ((a, b, c), (a, c, d))]
    counts, indices = [len(face) for face in faces], [i for face in faces for i in face]
    return _mesh(stage, path, points, counts, indices)


def _reversed(mesh: UsdGeom.Mesh) -> list[int]:
    indices = list(mesh.GetFaceVertexIndicesAttr().Get())
    return [i for at in range(0, len(indices), 4) for i in reversed(indices[at : at + 4])]


def _instances(stage: Usd.Stage) -> None:
    many = UsdGeom.PointInstancer.Define(stage, "/Zoo/Many")
    UsdGeom.Cube.Define(stage, "/Zoo/Many/Prototypes/Box").CreateSizeAttr(0.5)
    roof = _cage(stage, "/Zoo/Many/Prototypes/Roof")
    roof.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    UsdGeom.XformCommonAPI(roof).SetScale((0.25, 0.25, 0.4))
    many.CreatePrototypesRel().SetTargets(
        [Sdf.Path("/Zoo/Many/Prototypes/Box"), Sdf.Path("/Zoo/Many/Prototypes/Roof")]
    )
    count = 11
    many.CreatePositionsAttr([Gf.Vec3f(-6 + 1.2 * i, -2, 0.4 + 0.12 * i) for i in range(count)])
    many.CreateProtoIndicesAttr([i % 2 for i in range(count)])
    turns = [Gf.Rotation(Gf.Vec3d(0.3, 0, 1), 17.0 * i).GetQuat() for i in range(count)]
    many.CreateOrientationsAttr([Gf.Quath(Gf.Quatf(turn)) for turn in turns])
    many.CreateScalesAttr([Gf.Vec3f(1, 1, 0.6 + 0.1 * i) for i in range(count)])
    many.CreateIdsAttr(list(range(100, 100 + count)))
    many.CreateInvisibleIdsAttr([103, 108])
    # Native instances of one model.
    stage.CreateClassPrim("/_class_post")
    post = UsdGeom.Cylinder.Define(stage, "/_class_post/Post")
    post.CreateRadiusAttr(0.15)
    post.CreateHeightAttr(2.2)
    for number in range(4):
        prim = UsdGeom.Xform.Define(stage, f"/Zoo/Post{number}")
        prim.GetPrim().GetInherits().AddInherit("/_class_post")
        prim.GetPrim().SetInstanceable(True)
        UsdGeom.XformCommonAPI(prim).SetTranslate((-7.0 + 4.6 * number, 4, 1.1))
        UsdGeom.XformCommonAPI(prim).SetScale((1, 1, 1.5 if number != 2 else -1.5))


def _unseen(stage: Usd.Stage) -> None:
    """What must not be drawn: invisible, and of purposes that are not asked for."""
    for number, purpose in enumerate(("default", "guide", "proxy")):
        cube = UsdGeom.Cube.Define(stage, f"/Zoo/Unseen{number}")
        cube.CreateSizeAttr(1.0)
        UsdGeom.XformCommonAPI(cube).SetTranslate((-2.5 + 3 * number, 0, 5.2))
        cube.CreatePurposeAttr(purpose)
        if purpose == "default":
            cube.CreateVisibilityAttr(UsdGeom.Tokens.invisible)
