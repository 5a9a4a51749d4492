"""Normals of a mesh that has none: smooth where faces meet at a small angle."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from stagetwin.scene._shape import Ints

__all__ = ["crease_normals"]

CREASE = math.cos(math.radians(40.0))
"""Cosine of the angle between faces from which their edge is seen."""

MAX_VALENCE = 128
"""Faces around a point, from which on it is left faceted."""

_Points = npt.NDArray[np.float64]


def crease_normals(points: _Points, counts: Ints, corners: Ints) -> _Points:
    """Return a normal for each corner.

    Args:
        points: positions, shape (point_count, 3).
        counts: corners of each face, at least 3.
        corners: point of each corner, shape (corner_count,).

    Returns:
        Unit vectors, shape (corner_count, 3); faces without area have the z axis.
    """
    face = np.repeat(np.arange(len(counts)), counts)
    weighted = _face_normals(points, counts, corners, face)
    unit = _unit(weighted)[face]
    result = weighted[face]
    # Corners of one point side by side.
    order = np.argsort(corners, kind="stable")
    valence = np.bincount(corners, minlength=len(points))
    first = np.cumsum(valence) - valence
    for count in np.unique(valence):
        if not 2 <= count <= MAX_VALENCE:
            continue
        at_points = np.flatnonzero(valence == count)
        # Not all at once: pairs of corners grow with the square of their number.
        step = max(1, 2_000_000 // int(count) ** 2)
        for begin in range(0, len(at_points), step):
            group = order[first[at_points[begin : begin + step], None] + np.arange(count)]
            directions = unit[group]
            near = np.einsum("gax,gbx->gab", directions, directions) >= CREASE
            result[group] = np.einsum("gab,gbx->gax", near, weighted[face[group]])
    return _unit(result)


def _face_normals(points: _Points, counts: Ints, corners: Ints, face: Ints) -> _Points:
    """Return normals of faces, twice their area long (Newell)."""
    starts = np.cumsum(counts) - counts
    following = np.arange(len(corners)) + 1
    following[starts + counts - 1] = starts
    relative = points[corners] - points[corners[starts]][face]
    crossed = np.cross(relative, relative[following])
    return np.add.reduceat(crossed, starts, axis=0) if len(starts) else np.zeros((0, 3))


def _unit(vectors: _Points) -> _Points:
    length = np.sqrt(np.einsum("ix,ix->i", vectors, vectors))
    flat = length < 1e-300
    result = vectors / np.where(flat, 1.0, length)[:, None]
    result[flat] = (0.0, 0.0, 1.0)
    return result
