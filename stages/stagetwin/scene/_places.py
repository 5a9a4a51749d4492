"""Transforms as glTF nodes take them: a matrix that is a rotation, scale and translation."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
from pxr import Gf

__all__ = ["is_finite", "matrix_rows", "parts", "place_rows"]

_IDENTITY = Gf.Matrix4d(1)

_SIXTEEN = struct.Struct("16d")

_SHEAR = 1e-7
"""Cosine between axes up to which they are at right angles: less than 32 bits can tell."""


def parts(vector: Any) -> list[float]:
    """Return the numbers of a Gf vector."""
    return list(vector)


def matrix_rows(matrix: Gf.Matrix4d) -> list[float]:
    """Return the 16 numbers of a matrix, rows of row vectors: what glTF takes as columns."""
    # As a buffer: Gf's own iteration takes a hundred times as long. Adding 0 turns -0 into 0, so
    # that the same place is the same text.
    return [number + 0.0 for number in _SIXTEEN.unpack(matrix)]  # type: ignore[arg-type]


def is_finite(matrix: Gf.Matrix4d) -> bool:
    """Tell whether all numbers of a matrix are finite."""
    return math.isfinite(sum(_SIXTEEN.unpack(matrix)))  # type: ignore[arg-type]


def place_rows(matrix: Gf.Matrix4d) -> list[dict[str, Any]]:
    """Return the transform of a node, and that of a node inside it where it is sheared.

    glTF's nodes are a scale, then a rotation, then a translation. A sheared transform is a rotation
    before that (its singular value decomposition), on a node of its own.
    """
    if matrix == _IDENTITY:
        return [{}]
    numbers = matrix_rows(matrix)
    (a, b, c), (d, e, f), (g, h, i) = numbers[0:3], numbers[4:7], numbers[8:11]
    one, two, three = lengths = (
        math.sqrt(a * a + b * b + c * c),
        math.sqrt(d * d + e * e + f * f),
        math.sqrt(g * g + h * h + i * i),
    )
    straight = (
        abs(a * d + b * e + c * f) <= _SHEAR * one * two
        and abs(a * g + b * h + c * i) <= _SHEAR * one * three
        and abs(d * g + e * h + f * i) <= _SHEAR * two * three
    )
    if straight and min(lengths) > 1e-6 * max(lengths) > 1e-18:
        return [{"matrix": numbers}]
    rows = np.array(numbers).reshape(4, 4)
    linear = rows[:3, :3]
    first, scale, last = np.linalg.svd(linear)
    if straight:
        # Flat in some direction: the axes stay where they are, as far as there are any.
        first, last, scale = np.eye(3), _axes(linear, lengths), np.array(lengths)
    if np.linalg.det(first) < 0:
        first[:, 2] *= -1
        scale = scale * (1, 1, -1)
    if np.linalg.det(last) < 0:
        last[2] *= -1
        scale = scale * (1, 1, -1)
    outer: dict[str, Any] = {
        "translation": [float(x) + 0.0 for x in rows[3, :3]],
        "rotation": _quaternion(last),
        "scale": [float(x) + 0.0 for x in scale],
    }
    if straight:
        return [outer]
    return [outer, {"rotation": _quaternion(first)}]


def _axes(linear: npt.NDArray[np.float64], lengths: tuple[float, ...]) -> Any:
    """Return orthonormal rows along the rows of a matrix, any where a row is 0."""
    result = np.zeros((3, 3))
    for row in np.argsort([-length for length in lengths]):
        direction = linear[row] / lengths[row] if lengths[row] > 1e-300 else np.zeros(3)
        for axis in (direction, *np.eye(3)):
            free = axis - result.T @ (result @ axis)
            if np.linalg.norm(free) > 0.1:
                result[row] = free / np.linalg.norm(free)
                break
    return result


def _quaternion(rotation: npt.NDArray[np.float64]) -> list[float]:
    """Return the unit quaternion (x, y, z, w) of a rotation matrix of row vectors."""
    matrix = Gf.Matrix3d(*(float(x) for x in rotation.reshape(-1)))
    found = matrix.ExtractRotation().GetQuat().GetNormalized()
    return [*(float(x) + 0.0 for x in parts(found.GetImaginary())), float(found.GetReal()) + 0.0]
