"""The surface of a belt: a box whose edges are round, as a belt runs over rollers at its ends.

Sharp edges would catch what comes from another belt: a load lies a fraction of a millimetre inside
of what carries it, and meets the face at the end instead of the one on top.
"""

from __future__ import annotations

from typing import Any

import newton
import numpy as np
import numpy.typing as npt

__all__ = ["belt_mesh", "tangents"]

Floats = npt.NDArray[np.float64]

_RADIUS = 0.05
"""Of the edges [m], if the box is thick enough."""

_STEPS = 2
"""Facets of an eighth of a turn."""


def belt_mesh(builder: Any, shape: int) -> tuple[Any, Floats]:
    """Return the mesh of a belt, and the normals of its points, shape (n, 3).

    The normals of a mesh that the stage gives are not told: it runs as it is.

    Args:
        builder: of one world.
        shape: index of the collider, a box or a mesh.
    """
    if builder.shape_type[shape] == newton.GeoType.BOX:
        half = np.array(builder.shape_scale[shape], np.float64)
        points, normals, indices = _rounded(half, min(_RADIUS, float(half.min())))
    else:
        source = builder.shape_source[shape]
        points, indices = np.asarray(source.vertices), np.asarray(source.indices)
        normals = np.zeros((len(points), 3))
    made = newton.Mesh(
        points.astype(np.float32),
        indices.astype(np.int32).ravel(),
        compute_inertia=False,
        enable_surface_velocity=True,
    )
    return made, normals


def tangents(direction: npt.NDArray[Any], normals: Floats) -> Floats:
    """Return how each point of a belt moves at unit speed: along the surface, shape (n, 3)."""
    along = np.asarray(direction, np.float64)
    moved: Floats = along - (normals @ along)[:, None] * normals
    return moved


def _rounded(half: Floats, radius: float) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Return points, normals and triangles of a box with round edges and corners."""
    turn = np.tan(np.linspace(0, np.pi / 4, _STEPS + 1))
    # From one edge to the flat middle, and from there to the other edge.
    line = np.concatenate([-turn[::-1], turn])
    side = np.concatenate([-np.ones(_STEPS + 1), np.ones(_STEPS + 1)])
    size = len(line)
    points: list[Floats] = []
    normals: list[Floats] = []
    triangles: list[npt.NDArray[np.int64]] = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            u, v = np.meshgrid(line, line, indexing="ij")
            su, sv = np.meshgrid(side, side, indexing="ij")
            normal, inner = np.empty((size, size, 3)), np.empty((size, size, 3))
            first_side, second_side = (axis + 1) % 3, (axis + 2) % 3
            normal[..., first_side], inner[..., first_side] = u, su
            normal[..., second_side], inner[..., second_side] = v, sv
            normal[..., axis], inner[..., axis] = sign, sign
            normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
            first = len(points) * size * size
            points.append((inner * (half - radius) + radius * normal).reshape(-1, 3))
            normals.append(normal.reshape(-1, 3))
            a = (first + np.arange(size * size)).reshape(size, size)
            corners = a[:-1, :-1], a[1:, :-1], a[1:, 1:], a[:-1, 1:]
            p, q, r, s = corners if sign > 0 else corners[::-1]
            triangles += [np.stack([p, q, r], -1), np.stack([p, r, s], -1)]
    return (
        np.concatenate(points),
        np.concatenate(normals),
        np.concatenate([t.reshape(-1, 3) for t in triangles]),
    )
