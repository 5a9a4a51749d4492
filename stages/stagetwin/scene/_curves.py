"""BasisCurves and Points: tubes, lines, points."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from pxr import Usd, UsdGeom

from stagetwin.scene._mesh_source import MAX_POINTS, read_points
from stagetwin.scene._primvars import CONSTANT, UNIFORM, VERTEX, Primvar, read_colors
from stagetwin.scene._shape import LINES, POINTS, Geometry, Part, ShapeFault
from stagetwin.scene._values import Values

__all__ = ["curves_geometry", "points_geometry"]

STEPS = 8
"""Straight pieces of a cubic segment."""

AROUND = 8
"""Sides of a tube."""

_Index = npt.NDArray[np.int64]
_Table = npt.NDArray[np.float64]
_Line = tuple[int, _Index, _Table]
"""Number of the curve, and its samples: control points and weights."""

_BASES = {
    "bezier": ((1, 0, 0, 0), (-3, 3, 0, 0), (3, -6, 3, 0), (-1, 3, -3, 1)),
    "bspline": (
        (1 / 6, 4 / 6, 1 / 6, 0),
        (-0.5, 0, 0.5, 0),
        (0.5, -1, 0.5, 0),
        (-1 / 6, 0.5, -0.5, 1 / 6),
    ),
    "catmullRom": ((0, 1, 0, 0), (-0.5, 0, 0.5, 0), (1, -2.5, 2, -0.5), (-0.5, 1.5, -1.5, 0.5)),
}
"""Rows: powers of the parameter, columns: control points."""


def points_geometry(values: Values, prim: Usd.Prim, notes: list[str]) -> Geometry:
    """Return a cloud of points.

    Raises:
        ShapeFault: it has none that can be shown.
    """
    points = read_points(values, prim)
    sizes = {VERTEX: len(points), CONSTANT: 1, UNIFORM: 1}
    geometry = Geometry(points.astype(np.float32), [Part("", np.arange(len(points)))], mode=POINTS)
    geometry.colors = _spread(
        read_colors(values, prim, sizes, notes), np.arange(len(points)), np.zeros(len(points), int)
    )
    return geometry


def _spread(
    found: tuple[Primvar | None, Primvar | None],
    point: npt.NDArray[np.int64],
    curve: npt.NDArray[np.int64],
) -> npt.NDArray[np.float32] | None:
    """Return colours of vertices, None where all have the same."""
    if all(primvar is None or primvar.interpolation == CONSTANT for primvar in found):
        return None
    colors = np.ones((len(point), 4), np.float32)
    for primvar, columns in zip(found, (slice(0, 3), slice(3, 4)), strict=True):
        if primvar is not None:
            colors[:, columns] = primvar.at_corners(point, curve)
    return colors


def curves_geometry(values: Values, prim: Usd.Prim, notes: list[str]) -> Geometry:
    """Return curves as tubes where they have widths, as lines else.

    Raises:
        ShapeFault: they cannot be shown.
    """
    curves = UsdGeom.BasisCurves(prim)
    points = read_points(values, prim)
    raw = values.get(curves.GetCurveVertexCountsAttr())
    counts = np.array(raw if raw is not None else (), np.int64)
    if (counts < 0).any() or counts.sum() != len(points):
        raise ShapeFault(f"curveVertexCounts add up to {counts.sum()}, got {len(points)} points")
    kind = values.get(curves.GetTypeAttr())
    basis = values.get(curves.GetBasisAttr())
    wrap = values.get(curves.GetWrapAttr())
    if kind == "cubic" and basis not in _BASES:
        raise ShapeFault(f"basis is {', '.join(sorted(_BASES))}, got {basis}")
    widths = _widths(values, curves, points, counts, notes)
    starts = np.cumsum(counts) - counts
    lines: list[_Line] = []
    total = 0
    for number, (start, count) in enumerate(zip(starts.tolist(), counts.tolist(), strict=True)):
        index, weight = _samples(count, str(kind), str(basis), str(wrap))
        if len(index) < 2:
            continue
        total += len(index) * (AROUND if widths is not None else 1)
        if total > MAX_POINTS:
            raise ShapeFault(f"it takes more than {MAX_POINTS} vertices")
        lines.append((number, index + start, weight))
    if not lines:
        raise ShapeFault("it has no curve of enough points")
    return _drawn(values, prim, points, widths, lines, len(counts), notes)


def _samples(count: int, kind: str, basis: str, wrap: str) -> tuple[_Index, _Table]:
    """Return points along a curve as control points and their weights, shape (sample_count, k)."""
    closed = wrap == "periodic"
    if kind != "cubic":
        order = np.arange(count + (1 if closed and count > 2 else 0)) % max(count, 1)
        return order[:, None], np.ones((len(order), 1))
    step = 3 if basis == "bezier" else 1
    index = np.stack([np.arange(count)] * 2, axis=1)
    weight = np.stack([np.ones(count), np.zeros(count)], axis=1)
    if closed and count >= 4 - step:
        index = np.concatenate([index, index[: 4 - step]])
        weight = np.concatenate([weight, weight[: 4 - step]])
    elif wrap == "pinned" and basis != "bezier" and count >= 2:
        # A phantom point before the first and after the last lets the curve begin and end on them.
        index = np.concatenate([[[0, 1]], index, [[count - 1, count - 2]]])
        weight = np.concatenate([[[2.0, -1.0]], weight, [[2.0, -1.0]]])
    segments = (len(index) - 4) // step + 1
    if segments < 1:
        return np.zeros((0, 1), np.int64), np.zeros((0, 1))
    four = step * np.arange(segments)[:, None] + np.arange(4)
    powers = (np.arange(STEPS + 1) / STEPS)[:, None] ** np.arange(4)
    blend = powers @ np.array(_BASES[basis])
    # shape (segment, step, control point of the segment, entry of the control point)
    weights = blend[None, :, :, None] * weight[four][:, None]
    indices = np.broadcast_to(index[four][:, None], weights.shape)
    # The end of a segment is the start of the next; the last one's stays.
    flat = (slice(None), slice(0, STEPS))
    most = (weights[flat].reshape(-1, 8), indices[flat].reshape(-1, 8))
    last = (weights[-1:, STEPS].reshape(1, 8), indices[-1:, STEPS].reshape(1, 8))
    return np.concatenate([most[1], last[1]]), np.concatenate([most[0], last[0]])


def _widths(
    values: Values,
    curves: UsdGeom.BasisCurves,
    points: _Table,
    counts: npt.NDArray[np.int64],
    notes: list[str],
) -> _Table | None:
    """Return a width for each control point."""
    raw = values.get(curves.GetWidthsAttr())
    if raw is None or not len(raw):
        return None
    widths = np.array(raw, np.float64)
    if not np.isfinite(widths).all():
        notes.append("widths are not finite: drawn as lines")
        return None
    if len(widths) == len(points):
        return widths
    if len(widths) == 1:
        return np.repeat(widths, len(points))
    if len(widths) == len(counts):
        return np.repeat(widths, counts)
    notes.append(f"{len(widths)} widths do not fit {len(points)} points: the first is taken")
    return np.repeat(widths[:1], len(points))


def _drawn(
    values: Values,
    prim: Usd.Prim,
    points: _Table,
    widths: _Table | None,
    lines: list[_Line],
    curve_count: int,
    notes: list[str],
) -> Geometry:
    positions, normals, indices, nearest, owner = [], [], [], [], []
    base = 0
    for number, index, weight in lines:
        path = np.einsum("mk,mkx->mx", weight, points[index])
        close = np.take_along_axis(index, weight.argmax(axis=1)[:, None], axis=1)[:, 0]
        if widths is None:
            ring, count = path, 1
            step = np.arange(len(path) - 1)
            indices.append(np.stack([step, step + 1], axis=1).reshape(-1) + base)
        else:
            radius = np.abs(np.einsum("mk,mk->m", weight, widths[index])) / 2
            ring, outward = _tube(path, radius)
            count = AROUND
            normals.append(outward)
            indices.append(_tube_triangles(len(path)) + base)
        positions.append(ring)
        nearest.append(np.repeat(close, count))
        owner.append(np.full(len(ring), number))
        base += len(ring)
    vertices = np.concatenate(positions).astype(np.float32)
    sizes = {VERTEX: len(points), UNIFORM: curve_count, CONSTANT: 1}
    colors = read_colors(values, prim, sizes, notes)
    geometry = Geometry(vertices, [Part("", np.concatenate(indices))], mode=LINES)
    geometry.colors = _spread(colors, np.concatenate(nearest), np.concatenate(owner))
    if widths is not None:
        geometry.mode = 4
        geometry.normals = np.concatenate(normals).astype(np.float32)
    return geometry


def _tube(path: _Table, radius: _Table) -> tuple[_Table, _Table]:
    """Return rings around a path, turned as little as possible from one to the next."""
    ahead = np.gradient(path, axis=0)
    length = np.linalg.norm(ahead, axis=1)
    ahead[length < 1e-12] = (0.0, 0.0, 1.0)
    ahead /= np.linalg.norm(ahead, axis=1)[:, None]
    side = np.cross(ahead[0], np.eye(3)[int(np.argmin(np.abs(ahead[0])))])
    angle = np.arange(AROUND) * (2 * math.pi / AROUND)
    outward = np.empty((len(path), AROUND, 3))
    for i, direction in enumerate(ahead):
        side = side - direction * (side @ direction)
        size = math.sqrt(side @ side)
        if size < 1e-9:
            side = np.cross(direction, np.eye(3)[int(np.argmin(np.abs(direction)))])
            size = math.sqrt(side @ side)
        side = side / size
        other = np.cross(direction, side)
        outward[i] = np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * other
    rings = path[:, None] + outward * radius[:, None, None]
    return rings.reshape(-1, 3), outward.reshape(-1, 3)


def _tube_triangles(rings: int) -> npt.NDArray[np.int64]:
    row, column = np.divmod(np.arange((rings - 1) * AROUND), AROUND)
    a = row * AROUND + column
    b = row * AROUND + (column + 1) % AROUND
    quads = np.stack([a, b, b + AROUND, a, b + AROUND, a + AROUND], axis=1)
    return quads.reshape(-1)
