"""A camera prim as the viewer's eye and lens."""

from __future__ import annotations

import math
from typing import Any

from pxr import Gf, Usd, UsdGeom

from stagetwin._errors import PictureError

__all__ = ["camera_of", "first_camera", "shape_of"]


def first_camera(stage: Usd.Stage) -> str:
    """Return the path of the stage's first camera, empty where it has none."""
    for prim in stage.Traverse(Usd.TraverseInstanceProxies()):
        if prim.IsA(UsdGeom.Camera):
            return str(prim.GetPath())
    return ""


def camera_of(stage: Usd.Stage, path: str, time: Usd.TimeCode) -> dict[str, Any]:
    """Return where a camera is and what its lens does, as `picture.js` takes it.

    The frustum is USD's own, so aperture, offsets, roll, projection and clipping are obeyed.

    Raises:
        PictureError: there is no such camera, or nothing can be seen through it.
    """
    prim = stage.GetPrimAtPath(path)
    if not prim:
        raise PictureError(f"there is no camera {path}: {_cameras(stage)}")
    if not prim.IsA(UsdGeom.Camera):
        raise PictureError(f"{path} is a {prim.GetTypeName() or 'prim without a type'}, no camera")
    camera = UsdGeom.Camera(prim).GetCamera(time)
    frustum = camera.frustum
    ahead, up = frustum.ComputeViewDirection(), frustum.ComputeUpVector()
    low, high = frustum.window.min, frustum.window.max
    near, far = frustum.nearFar.min, frustum.nearFar.max
    position = frustum.position
    numbers = (*low, *high, *position, *ahead, *up, near, far)
    if not all(map(math.isfinite, numbers)) or not (low[0] < high[0] and low[1] < high[1]):
        raise PictureError(f"{path}: its aperture, focal length or transform cannot be used")
    if not near < far:
        raise PictureError(f"{path}: clippingRange must rise, got ({near:g}, {far:g})")
    distance = camera.focusDistance
    if not (math.isfinite(distance) and distance > 0):
        distance = 10.0 / UsdGeom.GetStageMetersPerUnit(stage)
    target = position + ahead * distance
    return {
        "path": path,
        "position": list(position),
        "target": list(target),
        "fov": camera.GetFieldOfView(Gf.Camera.FOVVertical),
        "lens": {
            "orthographic": frustum.projectionType == Gf.Frustum.Orthographic,
            "window": [low[0], high[0], low[1], high[1]],
            "near": near,
            "far": far,
            "up": list(up),
        },
    }


def shape_of(camera: dict[str, Any]) -> float:
    """Return the width of what a camera sees, per height."""
    left, right, bottom, top = camera["lens"]["window"]
    return float((right - left) / (top - bottom))


def _cameras(stage: Usd.Stage) -> str:
    found = [
        str(prim.GetPath())
        for prim in stage.Traverse(Usd.TraverseInstanceProxies())
        if prim.IsA(UsdGeom.Camera)
    ]
    return f"there are {', '.join(found[:8])}" if found else "the stage has none"
