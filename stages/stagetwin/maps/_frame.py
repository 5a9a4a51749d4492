"""The frame of a map on its stage: metres on a floor, whatever unit and axis the stage has."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from pxr import Gf, Usd, UsdGeom

from stagetwin._errors import MapError
from stagetwin.maps.geometry import wrapped

__all__ = ["MapFrame", "settled"]

_EVEN = 1e-6
"""How far the scales of two axes may differ, as a share."""


def settled(value: float) -> float:
    """Return a coordinate without the noise of transforms: to a nanometre, and no negative zero."""
    return round(value, 9) + 0.0


def _three(vector: Any) -> tuple[float, float, float]:
    return float(vector[0]), float(vector[1]), float(vector[2])


class MapFrame:
    """Where a map lies on its stage.

    The map's frame is the local frame of its prim, in metres with z up: on a stage with y up, x
    stays and y points along -z.

    Attributes:
        path: of the map's prim.
        metres: metres in a unit of the prim's local frame.
        upright: whether z is up on the stage already.

    Args:
        prim: the map's prim.
        cache: of transforms; a new one if None.

    Raises:
        MapError: the prim is mirrored, sheared, flattened, or scaled unevenly.
    """

    def __init__(self, prim: Usd.Prim, cache: UsdGeom.XformCache | None = None) -> None:
        stage = prim.GetStage()
        self.path = str(prim.GetPath())
        self._prim = prim
        self._cache = cache or UsdGeom.XformCache(Usd.TimeCode.EarliestTime())
        self.upright = UsdGeom.GetStageUpAxis(stage) != UsdGeom.Tokens.y
        world = self._cache.GetLocalToWorldTransform(prim)
        axes = [Gf.Vec3d(*(world[i][j] for j in range(3))) for i in range(3)]
        scales = [axis.GetLength() for axis in axes]
        size = scales[0]
        if not (math.isfinite(size) and size > 0) or any(
            abs(scale - size) > _EVEN * size for scale in scales
        ):
            raise MapError(
                f"{self.path}: a map's prim is scaled evenly or not at all, got "
                f"({scales[0]:g}, {scales[1]:g}, {scales[2]:g})"
            )
        units = [axis / size for axis in axes]
        skew = max(abs(Gf.Dot(units[i], units[j])) for i, j in ((0, 1), (1, 2), (0, 2)))
        if skew > _EVEN or Gf.Dot(Gf.Cross(units[0], units[1]), units[2]) < 0:
            raise MapError(f"{self.path}: a map's prim is neither sheared nor mirrored")
        self.metres = size * float(UsdGeom.GetStageMetersPerUnit(stage))
        self._turned = Gf.Matrix4d(1).SetRotateOnly(
            Gf.Matrix3d(*(u[i] for u in units for i in range(3)))
        )
        self._turned.SetTranslateOnly(world.ExtractTranslation())
        self._scale = size
        self._to_local = world.GetInverse()

    # -- from the stage into the map

    def relative(self, prim: Usd.Prim) -> Gf.Matrix4d:
        """Return the transform from a prim's local frame into that of the map's prim."""
        if prim.GetPath().HasPrefix(self._prim.GetPath()):
            matrix, resets = self._cache.ComputeRelativeTransform(prim, self._prim)
            if not resets:
                return Gf.Matrix4d(matrix)
        return Gf.Matrix4d(self._cache.GetLocalToWorldTransform(prim) * self._to_local)

    def flat(self, local: Gf.Vec3d) -> tuple[float, float, float]:
        """Return x, y and height [m] in the map of a point in the local frame of its prim."""
        x, y, z = (value * self.metres for value in _three(local))
        if not self.upright:
            x, y, z = x, -z, y
        return settled(x), settled(y), settled(z)

    def points(
        self, prim: Usd.Prim, points: Iterable[Gf.Vec3d]
    ) -> list[tuple[float, float, float]]:
        """Return x, y and height [m] in the map of points in a prim's local frame."""
        matrix = self.relative(prim)
        return [self.flat(matrix.Transform(point)) for point in points]

    def yaw(self, prim: Usd.Prim) -> float:
        """Return how far a prim's x axis is turned in the map [rad]; exactly 0 where it is not."""
        axis = self.relative(prim).TransformDir(Gf.Vec3d(1, 0, 0))
        x, y, z = _three(axis)
        ahead, left = (x, y) if self.upright else (x, -z)
        return settled(math.atan2(left, ahead)) if (ahead, left) != (0.0, 0.0) else 0.0

    def heading(self, prim: Usd.Prim, theta: float | None) -> float | None:
        """Return a heading [rad] in a prim's frame as one in the map's."""
        if theta is None:
            return None
        yaw = self.yaw(prim)
        return theta if yaw == 0.0 else settled(wrapped(theta + yaw))

    # -- from the map onto the stage

    def local(self, x: float, y: float, height: float = 0.0) -> Gf.Vec3d:
        """Return a point of the map [m] in the local frame of its prim."""
        flat = (x, y, height) if self.upright else (x, height, -y)
        return Gf.Vec3d(*(value / self.metres for value in flat))

    def world(self, x: float, y: float, height: float = 0.0) -> Gf.Vec3d:
        """Return a point of the map [m] in the stage's world, in its unit."""
        return Gf.Vec3d(self._turned.Transform(self.local(x, y, height) * self._scale))

    def pose(self, x: float, y: float, theta: float, height: float = 0.0) -> Gf.Matrix4d:
        """Return where a vehicle stands, as the transform of its prim into the stage's world.

        Args:
            x: in the map [m].
            y: likewise.
            theta: heading in the map [rad]; the prim's own x axis points ahead and the stage's up
                axis up.
            height: above the map's floor [m].
        """
        up = Gf.Vec3d(0, 0, 1) if self.upright else Gf.Vec3d(0, 1, 0)
        turn = Gf.Matrix4d(1).SetRotate(Gf.Rotation(up, math.degrees(theta)))
        turn = Gf.Matrix4d(turn * self._turned)
        turn.SetTranslateOnly(self.world(x, y, height))
        return turn
