"""From the space of a stage to that of BCF, metres with z up, and back."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

from pxr import Gf, Usd, UsdGeom

__all__ = ["BcfSpace"]

Point = tuple[float, float, float]


class BcfSpace:
    """Turns points and directions of a prim into BCF's, and BCF's into the stage's."""

    def __init__(self, stage: Usd.Stage, space: Callable[[str], Gf.Matrix4d]) -> None:
        """Begin.

        Args:
            stage: says what its unit is and which way is up.
            space: returns a prim's transform to the stage's space.
        """
        self.meters = float(UsdGeom.GetStageMetersPerUnit(stage))
        self._y_up = UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.y
        self._space = space

    def frozen(self, prims: Iterable[str]) -> BcfSpace:
        """Return it with some prims where they stand now, for any thread."""
        matrices = {prim: self._space(prim) for prim in prims}
        made = copy.copy(self)
        made._space = matrices.__getitem__
        return made

    def point(self, prim: str, point: Point) -> Point:
        """Return a point of a prim's space [m]."""
        made: Gf.Vec3d = self._space(prim).Transform(Gf.Vec3d(*point)) * self.meters
        return self._raised(_numbers(made))

    def direction(self, prim: str, direction: Point) -> Point:
        """Return a direction of a prim's space, of length 1."""
        return self._unit(self._space(prim).TransformDir(Gf.Vec3d(*direction)))

    def normal(self, prim: str, normal: Point) -> Point:
        """Return the normal of a plane in a prim's space, of length 1."""
        matrix = self._space(prim).GetInverse().GetTranspose()
        return self._unit(matrix.TransformDir(Gf.Vec3d(*normal)))

    def stage_point(self, point: Point) -> Point:
        """Return a point of BCF's [m] in the stage's space."""
        x, y, z = self._lowered(point)
        return (x / self.meters, y / self.meters, z / self.meters)

    def stage_direction(self, direction: Point) -> Point:
        """Return a direction of BCF's in the stage's space."""
        return self._lowered(direction)

    def _unit(self, vector: Gf.Vec3d) -> Point:
        made = vector.GetNormalized()
        return self._raised(_numbers(made))

    def _raised(self, v: Point) -> Point:
        return (v[0], -v[2], v[1]) if self._y_up else v

    def _lowered(self, v: Point) -> Point:
        return (v[0], v[2], -v[1]) if self._y_up else v


def _numbers(vector: Any) -> Point:
    return float(vector[0]), float(vector[1]), float(vector[2])
