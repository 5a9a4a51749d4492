"""What a shape is between USD and glTF: vertices, triangles and what they look like."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["LINES", "POINTS", "TRIANGLES", "Floats", "Geometry", "Ints", "Part", "ShapeFault"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

POINTS, LINES, TRIANGLES = 0, 1, 4
"""Modes of a glTF primitive."""


class ShapeFault(Exception):
    """A shape cannot be shown; the message says why. It never leaves this package."""


@dataclass(slots=True)
class Part:
    """Elements of a geometry with one look.

    Attributes:
        subset: name of the material subset, empty for the rest.
        indices: shape (count,), into the vertices; a multiple of 3 for triangles, of 2 for lines.
    """

    subset: str
    indices: Ints


@dataclass(slots=True)
class Geometry:
    """One shape in its prim's own space.

    Attributes:
        positions: shape (vertex_count, 3).
        parts: what is drawn.
        mode: POINTS, LINES or TRIANGLES.
        normals: shape (vertex_count, 3), unit length.
        colors: shape (vertex_count, 4), linear, with opacity.
        sets: texture coordinates by primvar name, shape (vertex_count, 2), v upwards as in USD.
        double_sided: whether both sides are seen.
    """

    positions: Floats
    parts: list[Part]
    mode: int = TRIANGLES
    normals: Floats | None = None
    colors: Floats | None = None
    sets: dict[str, Floats] = field(default_factory=dict)
    double_sided: bool = False
