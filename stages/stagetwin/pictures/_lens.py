"""A camera prim as the viewer's eye and lens."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

from pxr import Gf, Usd, UsdGeom

from stagetwin._errors import PictureError

__all__ = ["camera_of", "first_camera", "shape_of"]


def first_camera(stage: Usd.Stage) -> str:
    """Return the path of the stage's first camera, empty where it has none."""
    return next(_cameras(stage), "")


def camera_of(stage: Usd.Stage, path: str, time: Usd.TimeCode) -> dict[str, Any]:
    """Return where a camera is and what its lens does, as `picture.js` takes it.

    The frustum is USD's own, so aperture, offsets, roll, projection and clipping are obeyed.

    Raises:
        PictureError: there is no such camera, or nothing can be seen through it.
    """
    prim = stage.GetPrimAtPath(path)
    if not prim:
        there = list(itertools.islice(_cameras(stage), 8))
        what = f"there are {', '.join(there)}" if there else "the stage has none"
        raise PictureError(f"there is no camera {path}: {what}")
    if not prim.IsA("Camera"):
        raise PictureError(f"{path} is a {prim.GetTypeName() or 'prim without a type'}, no camera")
    camera = UsdGeom.Camera(prim).GetCamera(time)
    frustum = camera.frustum
    position, up = _numbers(frustum.position), _numbers(frustum.ComputeUpVector())
    ahead = _numbers(frustum.ComputeViewDirection())
    (left, bottom), (right, top) = _numbers(frustum.window.min), _numbers(frustum.window.max)
    near, far = frustum.nearFar.min, frustum.nearFar.max
    numbers = (left, right, bottom, top, near, far, *position, *ahead, *up)
    if not all(map(math.isfinite, numbers)) or not (left < right and bottom < top):
        raise PictureError(f"{path}: its aperture, focal length or transform cannot be used")
    if not near < far:
        raise PictureError(f"{path}: clippingRange must rise, got ({near:g}, {far:g})")
    distance = camera.focusDistance
    if not (math.isfinite(distance) and distance > 0):
        distance = 10.0 / UsdGeom.GetStageMetersPerUnit(stage)
    return {
        "path": path,
        "position": position,
        "target": [p + a * distance for p, a in zip(position, ahead, strict=True)],
        "fov": camera.GetFieldOfView(Gf.Camera.FOVVertical),
        "lens": {
            "orthographic": frustum.projectionType == Gf.Frustum.Orthographic,
            "window": [left, right, bottom, top],
            "near": near,
            "far": far,
            "up": up,
        },
    }


def shape_of(camera: dict[str, Any]) -> float:
    """Return the width of what a camera sees, per height."""
    left, right, bottom, top = camera["lens"]["window"]
    return float((right - left) / (top - bottom))


def _cameras(stage: Usd.Stage) -> Iterator[str]:
    for prim in stage.Traverse(Usd.TraverseInstanceProxies()):
        # A viewpoint of a review is somebody's remark, not how the plant wants to be seen.
        if prim.IsA("Camera") and not str(prim.GetPath()).startswith("/Review/"):
            yield str(prim.GetPath())


def _numbers(vector: Any) -> list[float]:
    return [float(number) for number in vector]
