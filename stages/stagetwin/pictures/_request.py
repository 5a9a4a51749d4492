"""What a picture is asked to be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from stagetwin._errors import PictureError

__all__ = ["SIDES", "Camera", "PictureRequest", "Section", "Viewpoint"]

SIDES = ("fit", "iso", "top", "bottom", "front", "back", "left", "right")
"""Looks that show the selection, or everything, whole; `fit` looks as the first camera does."""

LARGEST = 8192
"""Longest side [px] that a browser without a GPU draws."""

MOST_LABELS = 60

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """A place to look from, in stage space.

    Attributes:
        position, target: points [stage units].
        fov: vertical field of view [degrees].
    """

    position: Vector
    target: Vector
    fov: float = 42.0

    def __post_init__(self) -> None:
        _check_points("a viewpoint", self.position, self.target)
        if self.position == self.target:
            raise PictureError(f"a viewpoint looks from {self.position} to the same point")
        if not 1 <= self.fov <= 170:
            raise PictureError(f"fov must be in [1, 170] degrees, got {self.fov:g}")


@dataclass(frozen=True, slots=True)
class Section:
    """A plane, in stage space, beyond which all is cut away.

    Attributes:
        point: on the plane.
        normal: direction in which nothing is drawn.
    """

    point: Vector
    normal: Vector

    def __post_init__(self) -> None:
        _check_points("a section", self.point, self.normal)
        if not any(self.normal):
            raise PictureError("a section's normal is zero")


Camera = str | Viewpoint
"""Path of a camera prim, one of SIDES, a place; or empty: the first camera, else `iso`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureRequest:
    """What to draw, and how.

    Attributes:
        camera: where to look from.
        size: width and height [px]; None is 1600 wide, and as high as the camera has it, or 900.
        theme: `light` or `dark`.
        time: time code; the stage's first frame where none is given.
        select: paths of prims, outlined; what a look from a side shows whole.
        values: whether assets in sight are labelled with their signals.
        most_labels: labels at most; those of alarms and the nearest go first.
        sections: planes that cut, at most 6.
        transparent: neither sky nor grid; the background's alpha is 0.
        grid: whether the floor's lines are drawn.
        samples: pixels drawn for one of the picture, along each side, within what a browser can.
        timeout: how long the browser may take [s].
        browser: Chromium's program; found on the PATH where none is named.
        sandbox: whether Chromium's sandbox is used; None is yes, except for root, who cannot.
        title: what the picture is of; the stage's name where empty.
    """

    camera: Camera = ""
    size: tuple[int, int] | None = None
    theme: str = "light"
    time: float | None = None
    select: tuple[str, ...] = ()
    values: bool = False
    most_labels: int = 16
    sections: tuple[Section, ...] = ()
    transparent: bool = False
    grid: bool = False
    samples: float = 2.0
    timeout: float = 120.0
    browser: Path | None = None
    sandbox: bool | None = None
    title: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.camera, str) and self.camera and not self.camera.startswith("/"):
            _among("camera", self.camera, SIDES, "the path of a camera, ")
        _among("theme", self.theme, ("light", "dark"))
        for side in self.size or ():
            if not 16 <= side <= LARGEST:
                raise PictureError(f"a side must be in [16, {LARGEST}] px, got {side}")
        _within("samples", self.samples, 1, 4)
        _within("timeout", self.timeout, 1, 3600)
        _within("most_labels", self.most_labels, 1, MOST_LABELS)
        if len(self.sections) > 6:
            raise PictureError(f"6 sections at most, got {len(self.sections)}")
        if self.time is not None and not math.isfinite(self.time):
            raise PictureError(f"time must be a time code, got {self.time}")


def _among(name: str, got: str, allowed: tuple[str, ...], more: str = "") -> None:
    if got not in allowed:
        raise PictureError(f"{name} must be {more}{', '.join(allowed)}; got {got!r:.80}")


def _within(name: str, got: float, low: float, high: float) -> None:
    if not low <= got <= high:
        raise PictureError(f"{name} must be in [{low}, {high}], got {got:g}")


def _check_points(what: str, *points: Vector) -> None:
    for point in points:
        if len(point) != 3 or not all(map(math.isfinite, point)):
            raise PictureError(f"{what} has points of three finite numbers, got {point}")
