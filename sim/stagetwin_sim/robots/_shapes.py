"""Shapes of links as USD's own, seen and touched."""

from __future__ import annotations

from typing import Any

import newton
import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics, UsdShade, Vt

__all__ = ["Materials", "place", "write_shape"]

_TYPES = Sdf.ValueTypeNames


def place(prim: Usd.Prim, pose: Any, scale: tuple[float, float, float] | None = None) -> None:
    """Give a prim a pose in its parent; Warp's transform."""
    x, y, z, qx, qy, qz, qw = (float(v) for v in pose)
    xform = UsdGeom.Xformable(prim)
    xform.AddTranslateOp().Set(Gf.Vec3d(x, y, z))
    xform.AddOrientOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Quatd(qw, qx, qy, qz))
    if scale is not None:
        xform.AddScaleOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Vec3d(*scale))


class Materials:
    """Physics materials, one for each that shapes have.

    Args:
        stage: that is written to.
        scope: path below which they are.
    """

    def __init__(self, stage: Usd.Stage, scope: Sdf.Path) -> None:
        self._stage = stage
        self._scope = scope
        self._known: dict[tuple[float, ...], UsdShade.Material] = {}

    def bind(self, prim: Usd.Prim, builder: Any, shape: int) -> None:
        """Bind the material of a shape."""
        names = ("mu", "restitution", "mu_torsional", "mu_rolling")
        key = tuple(float(getattr(builder, f"shape_material_{name}")[shape]) for name in names)
        if key not in self._known:
            if not self._known:
                UsdGeom.Scope.Define(self._stage, self._scope)
            path = self._scope.AppendChild(f"Surface{len(self._known)}")
            material = UsdShade.Material.Define(self._stage, path)
            own = UsdPhysics.MaterialAPI.Apply(material.GetPrim())
            own.CreateStaticFrictionAttr(key[0])
            own.CreateDynamicFrictionAttr(key[0])
            own.CreateRestitutionAttr(key[1])
            material.GetPrim().AddAppliedSchema("NewtonMaterialAPI")
            for name, value in (("torsionalFriction", key[2]), ("rollingFriction", key[3])):
                attr = material.GetPrim().CreateAttribute(f"newton:{name}", _TYPES.Float, False)
                attr.Set(value)
            self._known[key] = material
        binding = UsdShade.MaterialBindingAPI.Apply(prim)
        binding.Bind(self._known[key], UsdShade.Tokens.weakerThanDescendants, "physics")


def write_shape(
    stage: Usd.Stage, path: Sdf.Path, builder: Any, shape: int, materials: Materials, seen: bool
) -> str:
    """Write one shape of a link.

    Args:
        stage: that is written to.
        path: of its prim.
        builder: newton's.
        shape: newton's index.
        materials: of the robot.
        seen: whether the link has a shape to be looked at besides this collider.

    Returns:
        Why it cannot be written; empty where it was.
    """
    kind = newton.GeoType(builder.shape_type[shape])
    size = [float(v) for v in builder.shape_scale[shape]]
    flags = int(builder.shape_flags[shape])
    pose = builder.shape_transform[shape]
    prim = _gprim(stage, path, kind, size, builder.shape_source[shape])
    if prim is None:
        return f"a shape of type {kind.name.lower()} has no counterpart"
    place(prim, pose, (size[0], size[1], size[2]) if kind is newton.GeoType.BOX else None)
    color = builder.shape_color[shape]
    if color is not None:
        UsdGeom.Gprim(prim).CreateDisplayColorAttr([Gf.Vec3f(*(float(v) for v in color))])
    if flags & int(newton.ShapeFlags.COLLIDE_SHAPES):
        UsdPhysics.CollisionAPI.Apply(prim)
        if prim.IsA("Mesh"):
            hull = UsdPhysics.Tokens.convexHull
            api = UsdPhysics.MeshCollisionAPI.Apply(prim)
            convex = kind is not newton.GeoType.MESH
            api.CreateApproximationAttr(hull if convex else UsdPhysics.Tokens.none)
        materials.bind(prim, builder, shape)
        if seen and not flags & int(newton.ShapeFlags.VISIBLE):
            UsdGeom.Imageable(prim).CreatePurposeAttr(UsdGeom.Tokens.guide)
    return ""


def _gprim(
    stage: Usd.Stage, path: Sdf.Path, kind: newton.GeoType, size: list[float], source: Any
) -> Usd.Prim | None:
    types = newton.GeoType
    gprim: Any
    if kind is types.BOX:
        gprim = UsdGeom.Cube.Define(stage, path)
        gprim.CreateSizeAttr(2.0)
        gprim.CreateExtentAttr([(-1, -1, -1), (1, 1, 1)])
    elif kind is types.SPHERE:
        gprim = UsdGeom.Sphere.Define(stage, path)
        gprim.CreateRadiusAttr(size[0])
        gprim.CreateExtentAttr([(-size[0],) * 3, (size[0],) * 3])
    elif kind is types.ELLIPSOID:
        # Physics knows no stretched sphere in USD: a mesh of it, and its hull to be touched.
        gprim = _mesh(stage, path, size, *_ball())
    elif kind in (types.CAPSULE, types.CYLINDER, types.CONE):
        define: Any = {
            types.CAPSULE: UsdGeom.Capsule,
            types.CYLINDER: UsdGeom.Cylinder,
            types.CONE: UsdGeom.Cone,
        }[kind]
        gprim = define.Define(stage, path)
        gprim.CreateAxisAttr("Z")
        gprim.CreateRadiusAttr(size[0])
        gprim.CreateHeightAttr(2 * size[1])
        top = size[1] + (size[0] if kind is types.CAPSULE else 0.0)
        gprim.CreateExtentAttr([(-size[0], -size[0], -top), (size[0], size[0], top)])
    elif kind is types.PLANE:
        gprim = UsdGeom.Plane.Define(stage, path)
        gprim.CreateAxisAttr("Z")
        gprim.CreateWidthAttr(size[0] if size[0] > 0 else 100.0)
        gprim.CreateLengthAttr(size[1] if size[1] > 0 else 100.0)
    elif kind in (types.MESH, types.CONVEX_MESH) and source is not None:
        gprim = _mesh(stage, path, size, source.vertices, source.indices)
    else:
        return None
    return gprim.GetPrim()  # type: ignore[no-any-return]


def _ball(rings: int = 8, around: int = 16) -> tuple[Any, Any]:
    """Return points and corners of a ball of radius 1."""
    up = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)[:, None]
    turn = np.arange(around)[None, :] * (2 * np.pi / around)
    z = np.broadcast_to(np.sin(up), (rings + 1, around))
    points = np.stack([np.cos(up) * np.cos(turn), np.cos(up) * np.sin(turn), z], axis=-1)
    row, column = np.divmod(np.arange(rings * around), around)
    a, b = row * around + column, row * around + (column + 1) % around
    corners = np.stack([a, b, b + around, a, b + around, a + around], axis=1)
    return points.reshape(-1, 3), corners.reshape(-1)


def _mesh(stage: Usd.Stage, path: Sdf.Path, size: list[float], vertices: Any, indices: Any) -> Any:
    points = np.asarray(vertices, np.float32) * np.array(size, np.float32)
    corners = np.asarray(indices, np.int32).reshape(-1, 3)
    if np.prod(size) < 0:
        corners = corners[:, ::-1]  # mirrored: what was outside stays outside
    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreatePointsAttr(Vt.Vec3fArray(points.tolist()))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray([3] * len(corners)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray(corners.reshape(-1).tolist()))
    mesh.CreateSubdivisionSchemeAttr("none")
    mesh.CreateExtentAttr(UsdGeom.PointBased.ComputeExtent(mesh.GetPointsAttr().Get()))
    return mesh
