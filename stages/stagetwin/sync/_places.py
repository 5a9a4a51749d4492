"""From where a prim stands to a command's value, and back: markers and ghosts."""

from __future__ import annotations

from typing import Any

from pxr import Gf, Usd, UsdGeom

from stagetwin._errors import CommandError
from stagetwin.sync._values import maker, plain_shape
from stagetwin.values import plain

__all__ = ["ghost_matrix", "moved_value"]

_AXES = ("X", "Y", "Z")
_QUATERNIONS = ("quatd", "quatf", "quath")
_VECTORS = ("double3", "float3", "half3")
_NUMBERS = ("double", "float", "half")


def moved_value(stage: Usd.Stage, marker: str, command: str, type_name: str, axis: str = "") -> Any:
    """Return the value that takes a command's prim to where a marker stands, as plain data.

    Places are in the space of the parent of the command's prim.

    Args:
        stage: where both are.
        marker: path of the prim that was moved.
        command: `/Prim.name`.
        type_name: USD type of the command: a matrix4d, a vector of three, a quaternion, or a number
            along an axis.
        axis: `X`, `Y` or `Z` for a number.

    Raises:
        CommandError: there is no such prim, or a place is no value of that type.
    """
    where, shape = stage.GetPrimAtPath(marker), plain_shape(type_name)
    if not where or not UsdGeom.Xformable(where):
        raise CommandError(f"{marker} is no prim that stands somewhere")
    cache = UsdGeom.XformCache()
    matrix = cache.GetLocalToWorldTransform(where) * _space(stage, command, cache).GetInverse()
    place = matrix.ExtractTranslation()
    if shape == "matrix4d":
        return [number for row in plain(matrix) for number in row]
    if shape in _VECTORS:
        return plain(place)
    if shape in _QUATERNIONS:
        turn = matrix.RemoveScaleShear().ExtractRotationQuat().GetNormalized()
        return plain(turn)
    if shape in _NUMBERS:
        if axis.upper() not in _AXES:
            raise CommandError(f"{command} is a {type_name}: name the axis, X, Y or Z, of the move")
        return float(place[_AXES.index(axis.upper())])
    raise CommandError(f"{command} is a {type_name}, which is no place")


def ghost_matrix(
    stage: Usd.Stage, command: str, type_name: str, value: Any
) -> tuple[float, ...] | None:
    """Return where a value would take a command's prim on the stage, None if it is no place."""
    shape = plain_shape(type_name)
    try:
        if shape == "matrix4d":
            matrix = Gf.Matrix4d(maker(type_name)(value))
        elif shape in _VECTORS:
            matrix = Gf.Matrix4d(1).SetTranslate(Gf.Vec3d(maker("double3")(value)))
        elif shape in _QUATERNIONS:
            matrix = Gf.Matrix4d(1).SetRotate(maker("quatd")(value))
        else:
            return None
    except (TypeError, ValueError, OverflowError):
        return None
    world = matrix * _space(stage, command, UsdGeom.XformCache())
    return tuple(float(world[i, j]) for i in range(4) for j in range(4))


def _space(stage: Usd.Stage, command: str, cache: UsdGeom.XformCache) -> Gf.Matrix4d:
    """Return the transform of the space that a command's places are in."""
    prim = stage.GetPrimAtPath(command.rpartition(".")[0])
    if not prim:
        raise CommandError(f"this stage has no prim {command.rpartition('.')[0]}")
    return cache.GetParentToWorldTransform(prim)
