"""Drawing with a handful of shapes: boxes, cylinders, prisms, lofts, pipes.

All lengths [m], angles [deg], Z up. Meshes stay below 64 elements an array, which is what the
validator accepts in text layers.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import cos, pi, sin
from pathlib import Path
from typing import Any

from pxr import Gf, Kind, Sdf, Usd, UsdGeom, UsdShade, Vt

from ._looks import define_look

Point = Sequence[float]
_AXIS = {"X": Gf.Vec3d(1, 0, 0), "Y": Gf.Vec3d(0, 1, 0), "Z": Gf.Vec3d(0, 0, 1)}


def new_stage(path: Path, root: str, kind: str, sublayers: Sequence[str] = ()) -> Usd.Stage:
    """An asset's stage: metres, Z up, one default prim of the given kind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    layer = Sdf.Layer.CreateNew(str(path))
    for sublayer in sublayers:
        layer.subLayerPaths.append(sublayer)
    stage = Usd.Stage.Open(layer)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    prim = UsdGeom.Xform.Define(stage, f"/{root}").GetPrim()
    stage.SetDefaultPrim(prim)
    Usd.ModelAPI(prim).SetKind(kind)
    return stage


class Shapes:
    """Draws prims below one root of a stage and binds them to looks of the palette."""

    def __init__(self, stage: Usd.Stage, root: str, looks: str | None = None) -> None:
        """Draw below `root`; materials go to the scope `looks`, by default `<root>/Looks`."""
        self.stage = stage
        self.root = Sdf.Path(root)
        self.looks = Sdf.Path(looks) if looks else self.root.AppendChild("Looks")

    def path(self, name: str) -> Sdf.Path:
        """The path of a shape named relative to the root."""
        return self.root.AppendPath(name)

    def new(self, name: str) -> Sdf.Path:
        """The path of a new shape, after its missing parents were made Xforms."""
        path = self.path(name)
        for parent in path.GetParentPath().GetPrefixes():
            if not self.stage.GetPrimAtPath(parent):
                UsdGeom.Xform.Define(self.stage, parent)
        return path

    def bind(self, prim: Usd.Prim, look: str) -> None:
        """Bind a prim to a look, defined at its first use."""
        if not self.stage.GetPrimAtPath(self.looks):
            UsdGeom.Scope.Define(self.stage, self.looks)
        UsdShade.MaterialBindingAPI.Apply(prim).Bind(define_look(self.stage, self.looks, look))

    def group(self, name: str, at: Point = (0, 0, 0), rotate: Point = (0, 0, 0)) -> Usd.Prim:
        """An Xform that carries other shapes."""
        xform = UsdGeom.Xform.Define(self.stage, self.new(name))
        _place(xform, at, rotate)
        return xform.GetPrim()

    def box(
        self, name: str, size: Point, at: Point, look: str, rotate: Point = (0, 0, 0)
    ) -> Usd.Prim:
        """A box with edge lengths `size` about its centre `at`."""
        cube = UsdGeom.Cube.Define(self.stage, self.new(name))
        cube.CreateSizeAttr(1.0)
        cube.CreateExtentAttr(_extent((0.5, 0.5, 0.5)))
        _place(cube, at, rotate, size)
        self.bind(cube.GetPrim(), look)
        return cube.GetPrim()

    def cylinder(
        self,
        name: str,
        radius: float,
        height: float,
        at: Point,
        look: str,
        axis: str = "Z",
        rotate: Point = (0, 0, 0),
    ) -> Usd.Prim:
        """A cylinder about its centre."""
        shape = UsdGeom.Cylinder.Define(self.stage, self.new(name))
        return self._round(shape, radius, height, height / 2, at, look, axis, rotate)

    def capsule(
        self,
        name: str,
        radius: float,
        height: float,
        at: Point,
        look: str,
        axis: str = "Z",
        rotate: Point = (0, 0, 0),
    ) -> Usd.Prim:
        """A capsule; `height` is the length of its cylinder."""
        shape = UsdGeom.Capsule.Define(self.stage, self.new(name))
        return self._round(shape, radius, height, height / 2 + radius, at, look, axis, rotate)

    def cone(
        self, name: str, radius: float, height: float, at: Point, look: str, axis: str = "Z"
    ) -> Usd.Prim:
        """A cone about the middle of its height, its tip towards the axis."""
        shape = UsdGeom.Cone.Define(self.stage, self.new(name))
        return self._round(shape, radius, height, height / 2, at, look, axis, (0, 0, 0))

    def _round(
        self,
        shape: UsdGeom.Cylinder | UsdGeom.Capsule | UsdGeom.Cone,
        radius: float,
        height: float,
        reach: float,
        at: Point,
        look: str,
        axis: str,
        rotate: Point,
    ) -> Usd.Prim:
        shape.CreateRadiusAttr(radius)
        shape.CreateHeightAttr(height)
        shape.CreateAxisAttr(axis)
        half = [reach if name == axis else radius for name in "XYZ"]
        shape.CreateExtentAttr(_extent(half))
        _place(shape, at, rotate)
        self.bind(shape.GetPrim(), look)
        return shape.GetPrim()

    def sphere(
        self, name: str, radius: float, at: Point, look: str, scale: Point = (1, 1, 1)
    ) -> Usd.Prim:
        """A sphere, or an ellipsoid by `scale`."""
        shape = UsdGeom.Sphere.Define(self.stage, self.new(name))
        shape.CreateRadiusAttr(radius)
        shape.CreateExtentAttr(_extent((radius, radius, radius)))
        _place(shape, at, (0, 0, 0), scale)
        self.bind(shape.GetPrim(), look)
        return shape.GetPrim()

    def prism(
        self,
        name: str,
        outline: Sequence[tuple[float, float]],
        height: float,
        at: Point,
        look: str,
        rotate: Point = (0, 0, 0),
    ) -> Usd.Prim:
        """A convex outline (counter-clockwise in XY, at most ten points) drawn up along Z."""
        count = len(outline)
        points = [(x, y, z) for z in (0.0, height) for x, y in outline]
        faces = [list(range(count))[::-1], list(range(count, 2 * count))]
        faces += [[i, (i + 1) % count, count + (i + 1) % count, count + i] for i in range(count)]
        return self._mesh(name, points, faces, at, look, rotate, smooth=False)

    def loft(self, name: str, rings: Sequence[Sequence[Point]], at: Point, look: str) -> Usd.Prim:
        """A smooth skin over rings of equally many points, counter-clockwise seen from the end."""
        count = len(rings[0])
        points = [tuple(float(c) for c in point) for ring in rings for point in ring]
        faces = []
        for ring in range(len(rings) - 1):
            low, high = ring * count, (ring + 1) * count
            for i in range(count):
                j = (i + 1) % count
                faces.append([low + i, low + j, high + j, high + i])
        return self._mesh(name, points, faces, at, look, (0, 0, 0), smooth=True)

    def frustum(
        self, name: str, radii: tuple[float, float], height: float, at: Point, look: str
    ) -> Usd.Prim:
        """The skin of a truncated cone along Z, from the base up."""
        turns = [2 * pi * i / 16 for i in range(16)]
        rings = [
            [(radius * cos(t), radius * sin(t), z) for t in turns]
            for radius, z in zip(radii, (0.0, height), strict=True)
        ]
        return self.loft(name, rings, at, look)

    def _mesh(
        self,
        name: str,
        points: Sequence[Point],
        faces: Sequence[Sequence[int]],
        at: Point,
        look: str,
        rotate: Point,
        *,
        smooth: bool,
    ) -> Usd.Prim:
        mesh = UsdGeom.Mesh.Define(self.stage, self.new(name))
        vectors = [Gf.Vec3d(*point) for point in points]
        flat = [_normal(vectors, face) for face in faces]
        if smooth:
            sums = [Gf.Vec3d(0) for _ in points]
            for face, normal in zip(faces, flat, strict=True):
                for index in face:
                    sums[index] += normal
            normals = [total.GetNormalized() for total in sums]
        else:
            normals = [n for face, n in zip(faces, flat, strict=True) for _ in face]
        mesh.CreatePointsAttr(Vt.Vec3fArray([Gf.Vec3f(v) for v in vectors]))
        mesh.CreateFaceVertexCountsAttr(Vt.IntArray([len(face) for face in faces]))
        mesh.CreateFaceVertexIndicesAttr(Vt.IntArray([i for face in faces for i in face]))
        mesh.CreateNormalsAttr(Vt.Vec3fArray([_rounded(n) for n in normals]))
        mesh.SetNormalsInterpolation("vertex" if smooth else "faceVarying")
        mesh.CreateSubdivisionSchemeAttr("none")
        mesh.CreateExtentAttr(UsdGeom.PointBased.ComputeExtent(mesh.GetPointsAttr().Get()))
        _place(mesh, at, rotate)
        self.bind(mesh.GetPrim(), look)
        return mesh.GetPrim()

    def tube(self, name: str, start: Point, end: Point, radius: float, look: str) -> Usd.Prim:
        """A straight tube between two points."""
        a, b = Gf.Vec3d(*start), Gf.Vec3d(*end)
        span, middle = b - a, xyz((a + b) * 0.5)
        for axis, unit in _AXIS.items():
            if abs(Gf.Dot(span.GetNormalized(), unit)) > 0.9999:
                return self.cylinder(name, radius, span.GetLength(), middle, look, axis)
        turn = Gf.Rotation(_AXIS["Z"], span)
        rotate = [round(c, 6) for c in xyz(turn.Decompose(*_AXIS.values()))]
        return self.cylinder(name, radius, span.GetLength(), middle, look, "Z", rotate)

    def pipe(self, name: str, points: Sequence[Point], radius: float, look: str) -> None:
        """A run of tubes with round elbows and a steel flange at both ends."""
        self.group(name)
        for index, (start, end) in enumerate(pairwise(points)):
            self.tube(f"{name}/Run{index}", start, end, radius, look)
            if index:
                self.sphere(f"{name}/Elbow{index}", radius * 1.12, start, look)
        for flange, outer, inner in (
            ("FlangeIn", points[0], points[1]),
            ("FlangeOut", points[-1], points[-2]),
        ):
            step = Gf.Vec3d(*inner) - Gf.Vec3d(*outer)
            near = xyz(Gf.Vec3d(*outer) + step.GetNormalized() * 0.04)
            self.tube(f"{name}/{flange}", outer, near, radius * 1.7, "Steel")

    def reference(
        self,
        name: str,
        asset: str,
        at: Point,
        rotate: Point = (0, 0, 0),
        *,
        kind: str | None = None,
        instanceable: bool = True,
    ) -> Usd.Prim:
        """Another asset, placed; pure decoration is instanceable."""
        xform = UsdGeom.Xform.Define(self.stage, self.new(name))
        xform.GetPrim().GetReferences().AddReference(asset)
        xform.GetPrim().SetInstanceable(instanceable)
        if kind:
            Usd.ModelAPI(xform.GetPrim()).SetKind(kind)
        _place(xform, at, rotate)
        return xform.GetPrim()

    def variants(self, name: str, choices: Sequence[str], default: str) -> Usd.VariantSet:
        """A variant set on the root with its choices, none authored yet."""
        variant_set = self.stage.GetPrimAtPath(self.root).GetVariantSets().AddVariantSet(name)
        for choice in choices:
            variant_set.AddVariant(choice)
        variant_set.SetVariantSelection(default)
        return variant_set

    def lamp_variants(self, name: str, lamp: Usd.Prim, looks: dict[str, str], default: str) -> None:
        """A variant set that changes nothing but the look of a lamp."""
        lamp.RemoveProperty("material:binding")
        variant_set = self.variants(name, list(looks), default)
        for choice, look in looks.items():
            variant_set.SetVariantSelection(choice)
            define_look(self.stage, self.looks, look)
            with variant_set.GetVariantEditContext():
                self.bind(lamp, look)
        variant_set.SetVariantSelection(default)


def chamfered(length: float, width: float, chamfer: float) -> list[tuple[float, float]]:
    """Outline of a rectangle with its four corners cut, about the origin."""
    x, y, c = length / 2, width / 2, chamfer
    return [
        (x, -y + c),
        (x, y - c),
        (x - c, y),
        (-x + c, y),
        (-x, y - c),
        (-x, -y + c),
        (-x + c, -y),
        (x - c, -y),
    ]


def subcomponent(prim: Usd.Prim) -> Usd.Prim:
    """Mark a part of a machine that matters on its own."""
    Usd.ModelAPI(prim).SetKind(Kind.Tokens.subcomponent)
    return prim


def _normal(points: Sequence[Gf.Vec3d], face: Sequence[int]) -> Gf.Vec3d:
    """Unit normal of a planar face, counter-clockwise (Newell's sum)."""
    total = Gf.Vec3d(0)
    for i, j in zip(face, [*face[1:], face[0]], strict=True):
        total += Gf.Cross(points[i], points[j])
    return total.GetNormalized()


def _rounded(vector: Gf.Vec3d) -> Gf.Vec3f:
    return Gf.Vec3f(*(round(c, 6) + 0.0 for c in xyz(vector)))


def xyz(vector: Gf.Vec3d) -> tuple[float, float, float]:
    """A vector as a plain tuple."""
    return (_component(vector, 0), _component(vector, 1), _component(vector, 2))


def _component(vector: Any, index: int) -> float:
    return float(vector[index])


def tidy(matrix: Gf.Matrix4d) -> Gf.Matrix4d:
    """A matrix without the noise of the last digits, so that files compare equal."""
    rows = [matrix.GetRow(index) for index in range(4)]
    values = [_component(row, column) for row in rows for column in range(4)]
    return Gf.Matrix4d(*(round(value, 9) + 0.0 for value in values))


def _extent(half: Sequence[float]) -> Vt.Vec3fArray:
    return Vt.Vec3fArray([Gf.Vec3f(*(-h for h in half)), Gf.Vec3f(*half)])


def _place(prim: UsdGeom.Xformable, at: Point, rotate: Point, scale: Point = (1, 1, 1)) -> None:
    """Translate, rotate and scale ops; those that do nothing are left out."""
    if any(at):
        prim.AddTranslateOp().Set(Gf.Vec3d(*(round(float(c), 6) for c in at)))
    if any(rotate):
        prim.AddRotateXYZOp().Set(Gf.Vec3f(*rotate))
    if tuple(scale) != (1, 1, 1):
        prim.AddScaleOp().Set(Gf.Vec3f(*scale))
