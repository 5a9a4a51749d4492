"""Polygons to triangles: fans where they are convex, ear clipping where they are not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stagetwin.scene._shape import Ints

__all__ = ["corner_fans", "triangulate"]

MAX_CORNERS = 4_096
"""Corners of a polygon whose ears are clipped; a larger one is a fan."""

_Points = npt.NDArray[np.float64]


def corner_fans(counts: Ints) -> tuple[Ints, Ints]:
    """Return triangles of polygons as fans.

    Args:
        counts: corners of each polygon, shape (polygon_count,), each at least 3.

    Returns:
        Corners, shape (triangle_count, 3), counted over all polygons; and each triangle's polygon.
    """
    starts = np.cumsum(counts) - counts
    polygon = np.repeat(np.arange(len(counts)), counts - 2)
    first = starts[polygon]
    within = np.arange(len(polygon)) - np.repeat(np.cumsum(counts - 2) - (counts - 2), counts - 2)
    return np.stack([first, first + within + 1, first + within + 2], axis=1), polygon


def triangulate(points: _Points, counts: Ints, corners: Ints) -> tuple[Ints, Ints]:
    """Return triangles of polygons.

    Args:
        points: positions, shape (point_count, 3).
        counts: corners of each polygon, each at least 3.
        corners: point of each corner.

    Returns:
        As `corner_fans`.
    """
    triangles, polygon = corner_fans(counts)
    concave = _concave(points, counts, corners)
    if not concave.any():
        return triangles, polygon
    starts = np.cumsum(counts) - counts
    keep = ~concave[polygon]
    pieces, owners = [triangles[keep]], [polygon[keep]]
    for index in np.flatnonzero(concave):
        start, count = int(starts[index]), int(counts[index])
        ears = _clip(points[corners[start : start + count]])
        pieces.append(np.array(ears, np.int64).reshape(-1, 3) + start)
        owners.append(np.full(len(ears), index))
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    return np.concatenate(pieces)[order], owner[order]


def _concave(points: _Points, counts: Ints, corners: Ints) -> npt.NDArray[np.bool_]:
    """Tell which polygons have a corner that turns the other way."""
    concave = np.zeros(len(counts), bool)
    starts = np.cumsum(counts) - counts
    for count in np.unique(counts):
        if count == 3 or count > MAX_CORNERS:
            continue
        which = np.flatnonzero(counts == count)
        ring = points[corners[starts[which][:, None] + np.arange(count)]]
        edges = np.roll(ring, -1, axis=1) - ring
        turns = np.cross(np.roll(edges, 1, axis=1), edges)
        normal = turns.sum(axis=1) if count == 4 else _newell(ring)
        along = np.einsum("fcx,fx->fc", turns, normal)
        scale = np.einsum("fx,fx->f", normal, normal)
        concave[which] = (along < -1e-9 * scale[:, None]).any(axis=1)
    return concave


def _newell(ring: _Points) -> _Points:
    """Return polygons' normals, twice their area long."""
    relative = ring - ring[:, :1]
    normals: _Points = np.cross(relative, np.roll(relative, -1, axis=1)).sum(axis=1)
    return normals


def _clip(ring: _Points) -> list[tuple[int, int, int]]:
    """Cut ears off one polygon, the roundest first among the next few, until a triangle is left."""
    normal = _newell(ring[None])[0]
    drop = int(np.argmax(np.abs(normal)))
    u, v = ((1, 2), (2, 0), (0, 1))[drop]
    flat = ring[:, (u, v)] if normal[drop] >= 0 else ring[:, (v, u)]
    rest = list(range(len(ring)))
    ears: list[tuple[int, int, int]] = []
    position, refused = 0, 0
    while len(rest) > 3:
        size = len(rest)
        position %= size
        a, b, c = rest[position - 1], rest[position], rest[(position + 1) % size]
        # What cannot be clipped, because it crosses itself, is clipped anyway: nothing is lost.
        if refused >= size or _is_ear(flat, rest, a, b, c):
            ears.append((a, b, c))
            del rest[position]
            refused = 0
        else:
            position += 1
            refused += 1
    ears.append((rest[0], rest[1], rest[2]))
    return ears


def _is_ear(flat: _Points, rest: list[int], a: int, b: int, c: int) -> bool:
    pa, pb, pc = flat[a], flat[b], flat[c]
    if _cross(pb - pa, pc - pb) <= 0:
        return False
    others = flat[[i for i in rest if i not in (a, b, c)]]
    inside = (
        (_cross(pb - pa, others - pa) >= 0)
        & (_cross(pc - pb, others - pb) >= 0)
        & (_cross(pa - pc, others - pc) >= 0)
    )
    # Points that coincide with a corner, as along a bridge to a hole, do not spoil an ear.
    for corner in (pa, pb, pc):
        inside &= (others != corner).any(axis=1)
    return not inside.any()


def _cross(one: _Points, other: _Points) -> _Points:
    result: _Points = one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]
    return result
