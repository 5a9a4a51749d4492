"""Another local transform, said in the operations that a prim has already."""

from __future__ import annotations

from typing import Any

from pxr import Gf, Sdf, Usd, UsdGeom, Vt

from stagetwin._errors import ReviewError

__all__ = ["author_transform", "close"]

_Op = UsdGeom.XformOp
_EULER = {
    _Op.TypeRotateXYZ: (0, 1, 2),
    _Op.TypeRotateXZY: (0, 2, 1),
    _Op.TypeRotateYXZ: (1, 0, 2),
    _Op.TypeRotateYZX: (1, 2, 0),
    _Op.TypeRotateZXY: (2, 0, 1),
    _Op.TypeRotateZYX: (2, 1, 0),
}
_AXES = (Gf.Vec3d.XAxis(), Gf.Vec3d.YAxis(), Gf.Vec3d.ZAxis())
_TRANSFORM = "xformOp:transform"


def close(one: Gf.Matrix4d, other: Gf.Matrix4d) -> bool:
    """Tell whether two transforms are one, but for rounding."""
    size = max(1.0, *(abs(other[3, column]) for column in range(3)))
    return all(
        abs(one[row, column] - other[row, column]) <= 1e-6 * (size if row == 3 else 1.0)
        for row in range(4)
        for column in range(4)
    )


def author_transform(layer: Sdf.Layer, prim: Usd.Prim, matrix: Gf.Matrix4d) -> list[str]:
    """Write a local transform to a layer: by translate, rotate and scale where a prim has these.

    Args:
        layer: where to.
        prim: of the stage that the layer is on top of.
        matrix: local transform, row vectors.

    Returns:
        Names of the attributes that were written, and of those that count no more.

    Raises:
        ReviewError: the prim has no transform, or the matrix is none.
    """
    xformable = UsdGeom.Xformable(prim)
    if not xformable:
        raise ReviewError(f"{prim.GetPath()} is a {prim.GetTypeName()}, which has no transform")
    if abs(matrix.GetDeterminant()) < 1e-12 or matrix.GetColumn(3) != Gf.Vec4d(0, 0, 0, 1):
        raise ReviewError(f"{prim.GetPath()}: the matrix is no transform that can be undone")
    ops = xformable.GetOrderedXformOps()
    values = _by_operations(ops, matrix)
    spec = Sdf.CreatePrimInLayer(layer, prim.GetPath())
    if values is not None:
        for op, value in zip(ops, values, strict=True):
            _set(spec, op.GetOpName(), op.GetAttr().GetTypeName(), value)
        return [op.GetOpName() for op in ops]
    _set(spec, _TRANSFORM, Sdf.ValueTypeNames.Matrix4d, matrix)
    order = Vt.TokenArray(["!resetXformStack!"] * xformable.GetResetXformStack() + [_TRANSFORM])
    attr = spec.attributes.get("xformOpOrder") or Sdf.AttributeSpec(
        spec, "xformOpOrder", Sdf.ValueTypeNames.TokenArray, Sdf.VariabilityUniform
    )
    attr.default = order
    return sorted({op.GetOpName() for op in ops} | {_TRANSFORM, "xformOpOrder"})


def _set(prim: Sdf.PrimSpec, name: str, type_name: Sdf.ValueTypeName, value: Any) -> None:
    attr = prim.attributes.get(name) or Sdf.AttributeSpec(prim, name, type_name)
    attr.default = value


def _by_operations(ops: list[UsdGeom.XformOp], matrix: Gf.Matrix4d) -> list[Any] | None:
    """Return a value of each operation that together make a matrix, or None if they cannot."""
    kinds: list[Any] = [op.GetOpType() for op in ops]
    names = [op.GetOpName() for op in ops]
    if names == [_TRANSFORM] and ops[0].GetPrecision() == _Op.PrecisionDouble:
        return [matrix]
    if not ops or any(":" in name.removeprefix("xformOp:") for name in names):
        return None  # inverses, pivots, and what moves while the twin runs
    ranks = [_rank(kind) for kind in kinds]
    if None in ranks or ranks != sorted(set(ranks)):  # type: ignore[type-var]
        return None
    lengths = [matrix.GetRow3(row).GetLength() for row in range(3)]
    if matrix.GetDeterminant() < 0:
        lengths[0] = -lengths[0]
    turn = Gf.Matrix4d(1)
    for row, length in enumerate(lengths):
        turn.SetRow3(row, matrix.GetRow3(row) / length)
    values: list[Any] = []
    made = Gf.Matrix4d(1)
    for op, kind in zip(ops, kinds, strict=True):
        if kind == _Op.TypeTranslate:
            value: Any = matrix.ExtractTranslation()
        elif kind == _Op.TypeScale:
            value = Gf.Vec3d(lengths[0], lengths[1], lengths[2])
        else:
            value = _angles(turn, _EULER[kind])
        values.append(_as_it_was(op, value))
        made = _matrix(kind, Gf.Vec3d(values[-1])) * made
    return values if close(made, matrix) else None


def _matrix(kind: Any, value: Gf.Vec3d) -> Gf.Matrix4d:
    if kind == _Op.TypeTranslate:
        return Gf.Matrix4d().SetTranslate(value)
    if kind == _Op.TypeScale:
        return Gf.Matrix4d().SetScale(value)
    made = Gf.Matrix4d(1)
    for axis in _EULER[kind]:
        made = made * Gf.Matrix4d().SetRotate(Gf.Rotation(_AXES[axis], value[axis]))
    return made


def _as_it_was(op: UsdGeom.XformOp, value: Gf.Vec3d) -> Any:
    """Return a value in the type of an operation; the one it has where only rounding differs."""
    made = type(op.GetAttr().GetTypeName().defaultValue)(value)
    now = op.Get()
    if now is not None and all(
        abs(now[i] - made[i]) <= 1e-6 * max(1, abs(made[i])) for i in range(3)
    ):
        return now
    return made


def _rank(kind: Any) -> int | None:
    if kind == _Op.TypeTranslate:
        return 0
    if kind in _EULER:
        return 1
    return 2 if kind == _Op.TypeScale else None


def _angles(turn: Gf.Matrix4d, order: tuple[int, int, int]) -> Gf.Vec3d:
    """Return angles about x, y, z [degrees] whose turns, in an order, make a rotation."""
    first, second, third = order
    found = turn.ExtractRotation().Decompose(_AXES[third], _AXES[second], _AXES[first])
    angles = Gf.Vec3d(0)
    angles[third], angles[second], angles[first] = found[0], found[1], found[2]
    return angles
