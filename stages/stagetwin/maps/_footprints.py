"""What of the shapes at and below a prim stands in a vehicle's way, seen from above."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from pxr import Gf, Usd, UsdGeom

from stagetwin._errors import MapError
from stagetwin.maps._frame import MapFrame
from stagetwin.maps._outlines import raw_points
from stagetwin.maps.geometry import Point, convex_hull

__all__ = ["footprint"]

Table = npt.NDArray[np.float64]
Edges = npt.NDArray[np.int64]

AROUND = 24
"""Corners of a circle, around it: the footprint holds the whole shape."""

_AT = Usd.TimeCode.EarliestTime()
_TURN = {"X": (2, 0, 1), "Y": (1, 2, 0), "Z": (0, 1, 2)}


def footprint(
    frame: MapFrame, prim: Usd.Prim, height: float, floor: float = 0.0
) -> tuple[Point, ...]:
    """Return the convex hull of what is lower than `height` [m]; empty where nothing is.

    Shapes that are nowhere higher than `floor` [m] are driven over and left out.

    Raises:
        MapError: there is no shape, or one cannot be read.
    """
    found: list[Point] = []
    shapes = 0
    for matrix, points, edges in _shapes(frame, prim):
        shapes += 1
        places = _placed(frame, matrix, points)
        if len(places) and places[:, 2].max() > floor:
            found += _below(places, edges, height)
    if not shapes:
        raise MapError(f"{prim.GetPath()}: an obstacle has a shape at or below its prim, got none")
    # To a micrometre: shapes are in single precision, and round numbers should come out round.
    hull = convex_hull((round(x, 6) + 0.0, round(y, 6) + 0.0) for x, y in found)
    return hull if len(hull) > 2 else ()


def _placed(frame: MapFrame, matrix: Gf.Matrix4d, points: Table) -> Table:
    """Return points of a shape in the map, as `MapFrame.flat` does it for one."""
    places = points
    if matrix != Gf.Matrix4d(1):
        table = np.array(matrix)
        places = points @ table[:3, :3] + table[3, :3]
    places = places * frame.metres
    return places if frame.upright else places[:, (0, 2, 1)] * (1.0, -1.0, 1.0)


def _below(points: Table, edges: Edges, height: float) -> list[Point]:
    """Return where points lie that are lower, and where edges come through that height."""
    low = points[points[:, 2] <= height, :2]
    a, b = points[edges[:, 0]], points[edges[:, 1]]
    through = (a[:, 2] > height) != (b[:, 2] > height)
    a, b = a[through], b[through]
    share = ((height - a[:, 2]) / (b[:, 2] - a[:, 2]))[:, None] if len(a) else np.zeros((0, 1))
    cut = a[:, :2] + (b[:, :2] - a[:, :2]) * share
    return [(x, y) for x, y in (*low.tolist(), *cut.tolist())]


def _shapes(frame: MapFrame, prim: Usd.Prim) -> Iterator[tuple[Gf.Matrix4d, Table, Edges]]:
    everything = iter(Usd.PrimRange(prim, Usd.TraverseInstanceProxies()))
    for each in everything:
        if each.IsA("PointInstancer"):
            everything.PruneChildren()
            yield from _instances(frame, each)
        elif UsdGeom.Imageable(each) and _is_shape(each):
            points, edges = _shape(each)
            yield frame.relative(each), points, edges


def _is_shape(prim: Usd.Prim) -> bool:
    if not prim.IsA("Gprim"):
        return False
    purpose = UsdGeom.Imageable(prim).ComputePurpose()
    return bool(purpose != UsdGeom.Tokens.guide)


def _instances(frame: MapFrame, prim: Usd.Prim) -> Iterator[tuple[Gf.Matrix4d, Table, Edges]]:
    instancer = UsdGeom.PointInstancer(prim)
    matrices = instancer.ComputeInstanceTransformsAtTime(_AT, _AT)
    kinds = list(instancer.GetProtoIndicesAttr().Get(_AT) or ())
    mask = instancer.ComputeMaskAtTime(_AT)
    roots = [prim.GetStage().GetPrimAtPath(p) for p in instancer.GetPrototypesRel().GetTargets()]
    own = frame.relative(prim)
    cache = UsdGeom.XformCache(_AT)
    for number, (kind, matrix) in enumerate(zip(kinds, matrices, strict=False)):
        if (mask and not mask[number]) or not 0 <= kind < len(roots) or not roots[kind]:
            continue
        root = roots[kind]
        for each in Usd.PrimRange(root, Usd.TraverseInstanceProxies()):
            if UsdGeom.Imageable(each) and _is_shape(each):
                points, edges = _shape(each)
                # A prototype's own transform is part of the instance's already.
                inner = (
                    cache.ComputeRelativeTransform(each, root)[0]
                    if each != root
                    else Gf.Matrix4d(1)
                )
                yield inner * matrix * own, points, edges


def _shape(prim: Usd.Prim) -> tuple[Table, Edges]:
    """Return points around a shape, and the edges between them."""
    kind = str(prim.GetTypeName())
    if prim.IsA("PointBased"):
        return _point_based(prim)

    def number(name: str) -> float:
        value = prim.GetAttribute(name).Get(_AT)
        if not isinstance(value, float) or not math.isfinite(value):
            raise MapError(f"{prim.GetPath()}: {name} must be a finite number, got {value}")
        return abs(value)

    if kind == "Cube":
        return _rings(
            [(number("size") / 2, z * number("size") / 2) for z in (-1, 1)], "Z", square=True
        )
    if kind == "Sphere":
        return _rings(_ball(number("radius"), 0.0, 0.0), "Z")
    axis = str(prim.GetAttribute("axis").Get(_AT) or "Z")
    if kind == "Plane":
        flat = number("width") / 2, number("length") / 2
        corners = np.array([(x * flat[0], y * flat[1], 0.0) for x, y in _SQUARE])
        return corners[:, _TURN[axis]], _ring_edges(1, 4)
    half = number("height") / 2
    if kind in ("Cylinder", "Cone", "Capsule"):
        radius = number("radius")
        if kind == "Capsule":
            return _rings(_ball(radius, -half, half), axis)
        return _rings([(radius, -half), (0.0 if kind == "Cone" else radius, half)], axis)
    if kind in ("Cylinder_1", "Capsule_1"):
        ends = number("radiusBottom"), number("radiusTop")
        if kind == "Capsule_1":
            return _rings([*_ball(ends[0], -half, -half), *_ball(ends[1], half, half)], axis)
        return _rings([(ends[0], -half), (ends[1], half)], axis)
    raise MapError(f"{prim.GetPath()}: a {kind} has no footprint; shapes and meshes have one")


_SQUARE = ((-1, -1), (1, -1), (1, 1), (-1, 1))


def _ball(radius: float, low: float, high: float) -> list[tuple[float, float]]:
    """Return radius and height of rings around a ball that is drawn out from `low` to `high`."""
    angles = [math.pi * i / 12 for i in range(13)]
    rings = [
        (radius * math.sin(a), -radius * math.cos(a) + (low if i < 6 else high))
        for i, a in enumerate(angles)
    ]
    return [*rings[:6], (radius, low), *rings[6:]]


def _rings(
    profile: list[tuple[float, float]], axis: str, square: bool = False
) -> tuple[Table, Edges]:
    count = 4 if square else AROUND
    if square:
        circle = np.array(_SQUARE, np.float64)
    else:
        angle = np.arange(AROUND) * (2 * math.pi / AROUND)
        # Around the circle, not in it: nothing of the shape may lie outside.
        circle = np.stack([np.cos(angle), np.sin(angle)], axis=1) / math.cos(math.pi / AROUND)
    points = np.concatenate(
        [np.concatenate([circle * r, np.full((count, 1), z)], axis=1) for r, z in profile]
    )
    return points[:, _TURN[axis]], _ring_edges(len(profile), count)


def _ring_edges(rings: int, count: int) -> Edges:
    base = np.arange(rings * count)
    around = np.stack([base, base - base % count + (base + 1) % count], axis=1)
    up = np.stack([base[:-count], base[count:]], axis=1)
    return np.concatenate([around, up])


def _point_based(prim: Usd.Prim) -> tuple[Table, Edges]:
    points = raw_points(prim.GetAttribute("points"))
    edges = np.zeros((0, 2), np.int64)
    if prim.IsA("Mesh"):
        sizes = np.array(prim.GetAttribute("faceVertexCounts").Get(_AT) or (), np.int64)
        corners = np.array(prim.GetAttribute("faceVertexIndices").Get(_AT) or (), np.int64)
        if sizes.sum() != len(corners) or (corners < 0).any() or (corners >= len(points)).any():
            raise MapError(f"{prim.GetPath()}: its faces name points that it does not have")
        starts = np.cumsum(sizes) - sizes
        ahead = np.arange(1, len(corners) + 1)
        ahead[(starts + sizes - 1)[sizes > 0]] = starts[sizes > 0]
        edges = np.stack([corners, corners[ahead]], axis=1) if len(corners) else edges
    elif len(points) > 1:
        edges = np.stack([np.arange(len(points) - 1), np.arange(1, len(points))], axis=1)
    return points, edges
