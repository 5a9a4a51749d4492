"""Triangles out of the mesh files that robots come with: STL and OBJ."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stagetwin_sim._errors import RobotError

__all__ = ["FORMATS", "Triangles", "read_mesh"]

Triangles = tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]
"""Points, shape (point_count, 3), and corners, shape (triangle_count, 3)."""

FORMATS = (".obj", ".stl")

_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def read_mesh(path: Path) -> Triangles:
    """Read the triangles of a file.

    Raises:
        RobotError: it cannot be read, is none of `FORMATS`, or holds no triangle.
    """
    readers = {".stl": _stl, ".obj": _obj}
    read = readers.get(path.suffix.lower())
    if read is None:
        raise RobotError(f"{path}: meshes are read from {', '.join(FORMATS)} files")
    try:
        points, corners = read(path.read_bytes())
    except OSError as error:
        raise RobotError(f"{path}: {error.strerror}") from None
    except (ValueError, IndexError) as error:
        raise RobotError(f"{path}: is no {path.suffix[1:].upper()} mesh: {error}") from None
    sound = np.isfinite(points).all() and ((corners >= 0) & (corners < len(points))).all()
    if not len(corners) or not sound:
        raise RobotError(f"{path}: holds no triangles, or some that are none")
    return points, corners


def _stl(data: bytes) -> Triangles:
    count = int.from_bytes(data[80:84], "little") if len(data) >= 84 else -1
    if count >= 0 and len(data) == 84 + _FACET.itemsize * count:
        table = np.frombuffer(data, _FACET, count, 84)["corners"].reshape(-1, 3)
    else:
        # The text form; a binary one may begin with `solid` as well, so its size decides.
        words = data.decode("ascii", "replace").split()
        if not words or words[0].lower() != "solid":
            raise ValueError("neither text nor as long as it says")
        at = [i for i, word in enumerate(words) if word.lower() == "vertex"]
        table = np.array([[float(w) for w in words[i + 1 : i + 4]] for i in at], np.float64)
        if len(table) % 3 or table.shape[1:] != (3,):
            raise ValueError("a facet has three vertices of three numbers")
    points, corners = np.unique(table.astype(np.float64), axis=0, return_inverse=True)
    return points, corners.reshape(-1, 3).astype(np.int32)


def _obj(data: bytes) -> Triangles:
    points: list[list[float]] = []
    corners: list[tuple[int, int, int]] = []
    for line in data.decode("utf-8", "replace").splitlines():
        word, *rest = line.split() or [""]
        if word == "v":
            points.append([float(value) for value in rest[:3]])
        elif word == "f":
            # Indices begin at 1, and count back from the end where they are negative.
            face = [int(each.split("/")[0]) for each in rest]
            face = [i - 1 if i > 0 else len(points) + i for i in face]
            corners += [(face[0], b, c) for b, c in pairwise(face[1:])]
    table = np.array(points, np.float64).reshape(-1, 3)
    return table, np.array(corners, np.int32).reshape(-1, 3)
