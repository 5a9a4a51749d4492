"""Cameras of a stage, as points and directions in its space."""

from __future__ import annotations

import math
from typing import Any

from pxr import Gf, Usd, UsdGeom

from stagetwin.scene._places import parts
from stagetwin.scene._shape import ShapeFault

__all__ = ["camera_row"]

FOCUS = 10.0
"""Distance of the target where a camera has no focus [m]."""


def camera_row(prim: Usd.Prim, label: str, time: Usd.TimeCode, unit: float) -> dict[str, Any]:
    """Return a camera's row of the manifest.

    Args:
        unit: metres in a unit of the stage.

    Raises:
        ShapeFault: it cannot be looked through.
    """
    camera = UsdGeom.Camera(prim).GetCamera(time)
    height, length = camera.verticalAperture, camera.focalLength
    place = camera.transform
    position = place.ExtractTranslation()
    ahead = place.TransformDir(Gf.Vec3d(0, 0, -1)).GetNormalized()
    up = place.TransformDir(Gf.Vec3d(0, 1, 0)).GetNormalized()
    numbers = (height, length, *parts(position), *parts(ahead), *parts(up))
    if not all(map(math.isfinite, numbers)) or length <= 0 or height <= 0:
        raise ShapeFault("the camera's numbers are not finite, or not above 0")
    distance = camera.focusDistance
    if not math.isfinite(distance) or distance <= 0:
        distance = FOCUS / unit
    return {
        "path": str(prim.GetPath()),
        "name": label,
        "position": parts(position),
        "target": parts(position + ahead * distance),
        "up": parts(up),
        "fov": math.degrees(2 * math.atan(height / (2 * length))),
    }
