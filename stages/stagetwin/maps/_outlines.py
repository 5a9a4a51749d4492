"""Polygons and polylines out of prims: meshes, curves and points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pxr import Gf, Usd

from stagetwin._errors import MapError
from stagetwin.maps._splines import basis_curve, nurbs_curve

__all__ = ["outline", "polyline", "raw_points"]

Table = npt.NDArray[np.float64]

_AT = Usd.TimeCode.EarliestTime()

_MOST = 50_000
"""Points whose decimals are worth the time; larger shapes are scans, which have no round ones."""


def raw_points(attr: Usd.Attribute) -> Table:
    """Return points in the shortest decimals that single precision tells apart.

    So 0.1 on the stage is 0.1 in the map and not 0.10000000149.

    Returns:
        Points in the prim's local frame, shape (point_count, 3).

    Raises:
        MapError: one is not finite.
    """
    values = attr.Get(_AT)
    table = np.array(values if values is not None else (), np.float64).reshape(-1, 3)
    if not np.isfinite(table).all():
        raise MapError(f"{attr.GetPath()}: points must be finite")
    single = str(attr.GetTypeName()).removesuffix("[]").endswith("f")
    single = single or str(attr.GetTypeName()) == "float3[]"
    if single and 0 < len(table) <= _MOST:
        rows = np.asarray(values, np.float32).reshape(-1, 3)
        table = np.array([[float(str(v)) for v in row] for row in rows], np.float64).reshape(-1, 3)
    return table


def _vectors(points: Table) -> list[Gf.Vec3d]:
    return [Gf.Vec3d(*row) for row in points.tolist()]


def polyline(prim: Usd.Prim) -> list[Gf.Vec3d]:
    """Return the path that a prim draws, its first curve where there are several; empty for none.

    Raises:
        MapError: its numbers describe no curve.
    """
    attr = prim.GetAttribute("points")
    if not attr or not attr.HasValue():
        return []
    points = _vectors(raw_points(attr))
    if prim.IsA("NurbsCurves"):
        return _nurbs(prim, points)
    if prim.IsA("Curves"):
        first = _first_curve(prim, points)
        if prim.IsA("BasisCurves") and prim.GetAttribute("type").Get(_AT) == "cubic":
            basis, wrap = (str(prim.GetAttribute(name).Get(_AT)) for name in ("basis", "wrap"))
            table = basis_curve(np.array(first).reshape(-1, 3), basis, wrap, str(prim.GetPath()))
            return [Gf.Vec3d(*row) for row in table.tolist()]
        return first
    return points


def _first_curve(prim: Usd.Prim, points: list[Gf.Vec3d]) -> list[Gf.Vec3d]:
    counts = list(prim.GetAttribute("curveVertexCounts").Get(_AT) or ())
    if counts and (min(counts) < 0 or sum(counts) != len(points)):
        raise MapError(
            f"{prim.GetPath()}: curveVertexCounts add up to {sum(counts)}, got {len(points)} points"
        )
    return points[: counts[0]] if counts else points


def _nurbs(prim: Usd.Prim, points: list[Gf.Vec3d]) -> list[Gf.Vec3d]:
    first = _first_curve(prim, points)
    orders = list(prim.GetAttribute("order").Get(_AT) or ())
    knots = list(prim.GetAttribute("knots").Get(_AT) or ())
    weights = list(prim.GetAttribute("pointWeights").Get(_AT) or ())
    order = int(orders[0]) if orders else 0
    table = nurbs_curve(
        np.array(first).reshape(-1, 3),
        order - 1,
        knots[: len(first) + order],
        weights[: len(first)] or None,
        where=str(prim.GetPath()),
    )
    return [Gf.Vec3d(*row) for row in table.tolist()]


def outline(prim: Usd.Prim) -> list[Gf.Vec3d]:
    """Return the corners of the polygon that a prim draws: a mesh's border, or a closed curve.

    Raises:
        MapError: it draws none, or one with holes or in several pieces.
    """
    if not prim.IsA("Mesh"):
        corners = polyline(prim)
    else:
        points = _vectors(raw_points(prim.GetAttribute("points")))
        corners = [points[i] for i in _border(prim, len(points))]
    if len(corners) > 1 and corners[0] == corners[-1]:
        corners.pop()
    if len(corners) < 3:
        raise MapError(
            f"{prim.GetPath()}: a zone's prim draws a polygon of three corners or more (a mesh or "
            f"a curve), got {len(corners)} points"
        )
    return corners


def _border(prim: Usd.Prim, count: int) -> list[int]:
    """Return the points on the border of a mesh, in the order of its faces."""
    sizes = list(prim.GetAttribute("faceVertexCounts").Get(_AT) or ())
    corners = list(prim.GetAttribute("faceVertexIndices").Get(_AT) or ())
    if sum(sizes) != len(corners) or any(not 0 <= i < count for i in corners) or not corners:
        raise MapError(f"{prim.GetPath()}: the mesh has no faces, or they name points it lacks")
    edges: set[tuple[int, int]] = set()
    start = 0
    for size in sizes:
        face = corners[start : start + size]
        start += size
        for edge in zip(face, (*face[1:], *face[:1]), strict=True):
            if edge in edges:
                raise MapError(f"{prim.GetPath()}: faces of a zone's mesh lie on each other")
            edges.add(edge)
    after: dict[int, int] = {}
    for a, b in edges:
        if (b, a) not in edges:
            if a in after:
                raise MapError(f"{prim.GetPath()}: the border of a zone's mesh touches itself")
            after[a] = b
    return _loop(prim, after)


def _loop(prim: Usd.Prim, after: dict[int, int]) -> list[int]:
    found: Sequence[int] = ()
    if after:
        first = min(after)
        loop = [first]
        while (ahead := after.get(loop[-1], first)) != first and len(loop) <= len(after):
            loop.append(ahead)
        found = loop
    if not found or len(found) != len(after):
        raise MapError(f"{prim.GetPath()}: a zone's mesh has one border, without holes or islands")
    return list(found)
