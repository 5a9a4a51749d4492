"""Triangles of the shapes that USD describes by a few numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from pxr import Usd, UsdGeom

from stagetwin.scene._shape import Geometry, Ints, Part, ShapeFault
from stagetwin.scene._values import Values

__all__ = ["GPRIMS", "gprim_geometry"]

AROUND = 24
"""Segments around; a multiple of 4, so that the extent is met exactly."""

FROM_POLE = 12
"""Segments from pole to pole; even, for the same reason."""

MAX_LENGTH = 1e15
"""Longest length; areas of it still are numbers of 32 bits."""

_TURN = {"X": (2, 0, 1), "Y": (1, 2, 0), "Z": (0, 1, 2)}
"""Where x, y and z of a shape along Z go."""


_Table = npt.NDArray[np.float64]


def _turned(points: _Table, axis: str) -> _Table:
    return points[:, _TURN[axis]]


@lru_cache
def _circle() -> tuple[_Table, _Table]:
    angle = np.arange(AROUND + 1) * (2 * math.pi / AROUND)
    # The quarters exactly: sin(pi) is not 0 in floating point.
    cos, sin = np.cos(angle), np.sin(angle)
    for wave in (cos, sin):
        wave[np.abs(wave) < 1e-9] = 0.0
    return cos, sin


def _grid(rows: int) -> Ints:
    """Return triangles between rows of AROUND + 1 vertices."""
    width = AROUND + 1
    row, column = np.divmod(np.arange((rows - 1) * AROUND), AROUND)
    a = row * width + column
    quads = np.stack([a, a + 1, a + width + 1, a, a + width + 1, a + width], axis=1)
    return quads.reshape(-1)


def _revolve(profile: list[tuple[float, float, float, float]]) -> tuple[_Table, _Table, _Table]:
    """Turn a profile around Z.

    Args:
        profile: (radius, z, normal's radial part, normal's z) of points from below to above.

    Returns:
        Positions, normals, texture coordinates.
    """
    cos, sin = _circle()
    p = np.array(profile, np.float64)
    rows, width = len(p), len(cos)
    positions = np.empty((rows, width, 3))
    normals = np.empty((rows, width, 3))
    for target, radial, z in ((positions, p[:, 0], p[:, 1]), (normals, p[:, 2], p[:, 3])):
        target[..., 0] = radial[:, None] * cos
        target[..., 1] = radial[:, None] * sin
        target[..., 2] = z[:, None]
    span = np.ptp(p[:, 1]) or 1.0
    st = np.empty((rows, width, 2))
    st[..., 0] = np.arange(width) / AROUND
    st[..., 1] = ((p[:, 1] - p[:, 1].min()) / span)[:, None]
    return positions.reshape(-1, 3), normals.reshape(-1, 3), st.reshape(-1, 2)


def _joined(
    profiles: list[list[tuple[float, float, float, float]]], axis: str, sided: bool
) -> Geometry:
    parts = [_revolve(profile) for profile in profiles]
    indices, base = [], 0
    for profile, part in zip(profiles, parts, strict=True):
        indices.append(_grid(len(profile)) + base)
        base += len(part[0])
    positions, normals, st = (np.concatenate(each) for each in zip(*parts, strict=True))
    triangles = _proper(positions, np.concatenate(indices))
    return Geometry(
        _turned(positions, axis).astype(np.float32),
        [Part("", triangles)],
        normals=_turned(normals, axis).astype(np.float32),
        sets={"st": st.astype(np.float32)},
        double_sided=sided,
    )


def _proper(positions: _Table, indices: Ints) -> Ints:
    """Leave out triangles without area, as at a pole."""
    a, b, c = (positions[indices[i::3]] for i in range(3))
    area = np.abs(np.cross(b - a, c - a)).max(axis=1)
    keep = area > 1e-12 * max(1e-300, float(np.abs(positions).max(initial=0.0)) ** 2)
    kept: Ints = indices.reshape(-1, 3)[keep].reshape(-1)
    return kept


def _arc(radius: float, centre: float, start: float, stop: float, steps: int) -> list[Any]:
    angles = [start + (stop - start) * i / steps for i in range(steps + 1)]
    points = [(math.cos(a), math.sin(a)) for a in angles]
    exact = [(0.0 if abs(c) < 1e-9 else c, 0.0 if abs(s) < 1e-9 else s) for c, s in points]
    return [(radius * c, centre + radius * s, c, s) for c, s in exact]


def _sphere(radius: float) -> Geometry:
    return _joined([_arc(radius, 0.0, -math.pi / 2, math.pi / 2, FROM_POLE)], "Z", False)


def _disc(radius: float, z: float, up: float) -> list[tuple[float, float, float, float]]:
    rim, middle = (radius, z, 0.0, up), (0.0, z, 0.0, up)
    return [rim, middle] if up > 0 else [middle, rim]


def _tapered(bottom: float, top: float, height: float, axis: str) -> Geometry:
    half = height / 2
    slope = math.hypot(height, bottom - top) or 1.0
    radial, upward = height / slope, (bottom - top) / slope
    profiles = [[(bottom, -half, radial, upward), (top, half, radial, upward)]]
    if bottom:
        profiles.append(_disc(bottom, -half, -1.0))
    if top:
        profiles.append(_disc(top, half, 1.0))
    return _joined(profiles, axis, False)


def _capsule(bottom: float, top: float, height: float, axis: str) -> Geometry:
    half, quarter = height / 2, FROM_POLE // 2
    below = _arc(bottom, -half, -math.pi / 2, 0.0, quarter)
    above = _arc(top, half, 0.0, math.pi / 2, quarter)
    return _joined([below + above], axis, False)


def _cube(size: float) -> Geometry:
    positions: list[list[float]] = []
    normals: list[list[float]] = []
    st: list[list[float]] = []
    indices: list[int] = []
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    for axis in range(3):
        for sign in (-1, 1):
            base = len(positions)
            for u, v in corners:
                point = [0.0, 0.0, 0.0]
                # Seen from outside the corners go round to the left.
                point[axis], point[(axis + 1) % 3], point[(axis + 2) % 3] = sign, u * sign, v
                positions.append(point)
                normals.append([float(sign) if i == axis else 0.0 for i in range(3)])
                st.append([(u + 1) / 2, (v + 1) / 2])
            indices += [base, base + 1, base + 2, base, base + 2, base + 3]
    return Geometry(
        np.array(positions, np.float32) * np.float32(size / 2),
        [Part("", np.array(indices))],
        normals=np.array(normals, np.float32),
        sets={"st": np.array(st, np.float32)},
    )


def _plane(width: float, length: float, axis: str, sided: bool) -> Geometry:
    w, h = width / 2, length / 2
    # Of a plane across X the width lies along Z; across Y along X; across Z along X.
    flat = {
        "X": [(0.0, v, -u) for u, v in ((-w, -h), (w, -h), (w, h), (-w, h))],
        "Y": [(u, 0.0, -v) for u, v in ((-w, -h), (w, -h), (w, h), (-w, h))],
        "Z": [(u, v, 0.0) for u, v in ((-w, -h), (w, -h), (w, h), (-w, h))],
    }[axis]
    normal = {"X": (1.0, 0.0, 0.0), "Y": (0.0, 1.0, 0.0), "Z": (0.0, 0.0, 1.0)}[axis]
    return Geometry(
        np.array(flat, np.float32),
        [Part("", np.array([0, 1, 2, 0, 2, 3]))],
        normals=np.array([normal] * 4, np.float32),
        sets={"st": np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32)},
        double_sided=sided,
    )


def _numbers(values: Values, prim: Usd.Prim, *names: str) -> list[float]:
    found: list[float] = []
    for name in names:
        value = values.get(prim.GetAttribute(name))
        number = math.nan if value is None else float(value)
        if not 0 <= number <= MAX_LENGTH:
            raise ShapeFault(f"{name} is a length in [0, {MAX_LENGTH:g}], got {value}")
        found.append(number)
    return found


def _axis(values: Values, prim: Usd.Prim) -> str:
    axis = values.get(prim.GetAttribute("axis"))
    if axis not in _TURN:
        raise ShapeFault(f"axis is X, Y or Z, got {axis}")
    return str(axis)


def _sided(values: Values, prim: Usd.Prim) -> bool:
    return bool(values.get(UsdGeom.Gprim(prim).GetDoubleSidedAttr()))


_KINDS: dict[str, Callable[[Values, Usd.Prim], tuple[Callable[..., Geometry], tuple[Any, ...]]]] = {
    "Cube": lambda v, p: (_cube, tuple(_numbers(v, p, "size"))),
    "Sphere": lambda v, p: (_sphere, tuple(_numbers(v, p, "radius"))),
    "Cylinder": lambda v, p: (
        lambda r, h, a: _tapered(r, r, h, a),
        (*_numbers(v, p, "radius", "height"), _axis(v, p)),
    ),
    "Cylinder_1": lambda v, p: (
        _tapered,
        (*_numbers(v, p, "radiusBottom", "radiusTop", "height"), _axis(v, p)),
    ),
    "Cone": lambda v, p: (
        lambda r, h, a: _tapered(r, 0.0, h, a),
        (*_numbers(v, p, "radius", "height"), _axis(v, p)),
    ),
    "Capsule": lambda v, p: (
        lambda r, h, a: _capsule(r, r, h, a),
        (*_numbers(v, p, "radius", "height"), _axis(v, p)),
    ),
    "Capsule_1": lambda v, p: (
        _capsule,
        (*_numbers(v, p, "radiusBottom", "radiusTop", "height"), _axis(v, p)),
    ),
    "Plane": lambda v, p: (
        _plane,
        (*_numbers(v, p, "width", "length"), _axis(v, p), _sided(v, p)),
    ),
}

GPRIMS = frozenset(_KINDS)
"""Types that this module knows."""


def gprim_geometry(
    values: Values, prim: Usd.Prim, known: dict[tuple[Any, ...], Geometry]
) -> tuple[tuple[Any, ...], Geometry]:
    """Return a key of the shape's numbers, and the shape.

    Args:
        known: shapes made so far.

    Raises:
        ShapeFault: its numbers describe no shape.
    """
    make, arguments = _KINDS[prim.GetTypeName()](values, prim)
    key = (str(prim.GetTypeName()), *arguments)
    found = known.get(key)
    if found is None:
        found = make(*arguments)
        size = np.ptp(found.positions, axis=0)
        if not len(found.parts[0].indices) or np.count_nonzero(size) < 2:
            raise ShapeFault("it has no area")
        known[key] = found
    return key, found
