"""From the space of a stage to that of BCF, metres with z up, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pxr import Gf, Usd, UsdGeom

__all__ = ["BcfSpace"]

Point = tuple[float, float, float]


class BcfSpace:
    """Turns points and directions of a prim into BCF's, and BCF's into the stage's."""

    def __init__(self, meters: float, y_up: bool, space: Callable[[str], Gf.Matrix4d]) -> None:
        """Begin.

        Args:
            meters: unit of the stage [m].
            y_up: whether y is up on it, else z.
            space: returns a prim's transform to the stage's space.
        """
        self.meters, self._y_up, self._space = meters, y_up, space

    @classmethod
    def of_stage(cls, stage: Usd.Stage, space: Callable[[str], Gf.Matrix4d]) -> BcfSpace:
        """Return the space of a stage, with its unit and its way up."""
        y_up = UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.y
        return cls(float(UsdGeom.GetStageMetersPerUnit(stage)), y_up, space)

    def frozen(self, prims: Iterable[str]) -> BcfSpace:
        """Return it with some prims where they stand now, for any thread."""
        matrices = {prim: self._space(prim) for prim in prims}
        return BcfSpace(self.meters, self._y_up, matrices.__getitem__)

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
