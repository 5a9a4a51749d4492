"""Directions that a sensor looks in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pxr import Usd, UsdGeom

from stagetwin_sim._errors import BodiesError

__all__ = ["Fan", "camera_fan", "camera_fan_of", "lidar_fan"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fan:
    """Directions in the frame of a sensor.

    Attributes:
        directions: of length 1, shape (rays, 3).
        shape: of an image of them, (rows, columns).
    """

    directions: Floats
    shape: tuple[int, int]

    @property
    def count(self) -> int:
        """How many rays it has."""
        return len(self.directions)

    def depths(self, ranges: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return distances from a camera's plane instead of along its rays.

        Args:
            ranges: along the rays [m], shape (…, rays).

        Returns:
            Depths [m], shape (…, rows, columns).
        """
        along = ranges * (-self.directions[:, 2]).astype(np.float32)
        return along.reshape(*ranges.shape[:-1], *self.shape)


def lidar_fan(
    count: int,
    first: float = -math.pi,
    last: float = math.pi,
    layers: Sequence[float] = (0.0,),
) -> Fan:
    """Return the fan of a lidar: angles about Z from X, one row for each layer.

    Args:
        count: rays in a layer.
        first, last: angles of the first and last ray [rad]; of a whole turn the last is left out.
        layers: elevation of each layer above the XY plane [rad].

    Raises:
        BodiesError: there is no ray.
    """
    if count < 1 or len(layers) == 0:
        raise BodiesError(f"a fan has at least 1 ray, got {count} in {len(layers)} layers", "fan")
    whole = math.isclose(last - first, 2 * math.pi)
    angles = np.linspace(first, last, count, endpoint=not whole)
    up = np.asarray(layers, np.float64)[:, None]
    made = np.stack(
        [
            np.cos(up) * np.cos(angles),
            np.cos(up) * np.sin(angles),
            np.broadcast_to(np.sin(up), (len(up), count)),
        ],
        axis=-1,
    )
    return Fan(made.reshape(-1, 3), (len(up), count))


def camera_fan(columns: int, rows: int, width: float, height: float) -> Fan:
    """Return the fan of a camera that looks along -Z with Y up, as USD's cameras do.

    Args:
        columns, rows: of its image.
        width, height: of the image plane at a distance of 1.

    Raises:
        BodiesError: there is no pixel.
    """
    if columns < 1 or rows < 1 or not (width > 0 and height > 0):
        raise BodiesError(f"a camera needs pixels, got {columns} x {rows}", "fan")
    x = ((np.arange(columns) + 0.5) / columns - 0.5) * width
    y = (0.5 - (np.arange(rows) + 0.5) / rows) * height
    made = np.empty((rows, columns, 3))
    made[..., 0], made[..., 1], made[..., 2] = x[None, :], y[:, None], -1.0
    made /= np.linalg.norm(made, axis=-1, keepdims=True)
    return Fan(made.reshape(-1, 3), (rows, columns))


def camera_fan_of(stage: Usd.Stage, path: str, columns: int) -> Fan:
    """Return the fan of a camera on a stage, with square pixels.

    Args:
        stage: only read.
        path: of a perspective camera.
        columns: of its image.

    Raises:
        BodiesError: it is no perspective camera.
    """
    camera = UsdGeom.Camera(stage.GetPrimAtPath(path))
    if not camera or camera.GetProjectionAttr().Get() != UsdGeom.Tokens.perspective:
        raise BodiesError(f"{path}: it is no perspective camera", "fan")
    length = camera.GetFocalLengthAttr().Get()
    width = camera.GetHorizontalApertureAttr().Get() / length
    height = camera.GetVerticalApertureAttr().Get() / length
    rows = max(1, round(columns * height / width))
    return camera_fan(columns, rows, width, height)
