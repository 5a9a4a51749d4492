"""Subdivision surfaces: Catmull-Clark, Loop and bilinear, with creases and corners."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from stagetwin.scene._shape import Ints

__all__ = ["ControlMesh", "levels", "subdivide"]

_Table = npt.NDArray[np.float64]

INFINITE = 10.0
"""Sharpness from which a crease never becomes smooth."""


@dataclass(slots=True)
class ControlMesh:
    """A mesh between two levels.

    Attributes:
        counts: corners of each face.
        corners: point of each corner.
        points: columns that are subdivided as positions are, shape (point_count, n).
        varying: by name, values of each corner, shape (corner_count, n); interpolated linearly.
        source: which authored face each face comes from.
        creases: sharpness by edge, (lower point, higher point).
        sharp: sharpness by point.
    """

    counts: Ints
    corners: Ints
    points: _Table
    varying: dict[str, _Table]
    source: Ints
    creases: dict[tuple[int, int], float] = field(default_factory=dict)
    sharp: dict[int, float] = field(default_factory=dict)


def levels(face_count: int) -> int:
    """Return how often a mesh is subdivided: enough to look round, and no more."""
    return 2 if face_count <= 300 else 1 if face_count <= 4_000 else 0


def subdivide(mesh: ControlMesh, scheme: str, boundary: str) -> ControlMesh:
    """Return the mesh one level finer.

    Args:
        scheme: `catmullClark`, `loop` (of triangles alone) or `bilinear`.
        boundary: `edgeAndCorner`, or anything else for smooth corners.
    """
    edges = _Edges(mesh)
    if scheme == "loop":
        return _loop(mesh, edges, boundary)
    return _quads(mesh, edges, scheme == "bilinear", boundary)


class _Edges:
    """Edges of a mesh, and who is beside them.

    Attributes:
        ends: lower and higher point, shape (edge_count, 2).
        of_corner: the edge from each corner to the next one of its face.
        faces: number of faces at each edge.
        sharpness: of each edge; boundaries are infinitely sharp.
    """

    def __init__(self, mesh: ControlMesh) -> None:
        self.following = _following(mesh.counts)
        pairs = np.stack([mesh.corners, mesh.corners[self.following]], axis=1)
        pairs.sort(axis=1)
        self.ends, self.of_corner = np.unique(pairs, axis=0, return_inverse=True)
        self.of_corner = self.of_corner.reshape(-1)
        self.faces = np.bincount(self.of_corner, minlength=len(self.ends))
        self.sharpness = np.zeros(len(self.ends))
        if mesh.creases:
            known = {(int(a), int(b)): i for i, (a, b) in enumerate(self.ends)}
            for edge, sharpness in mesh.creases.items():
                if edge in known:
                    self.sharpness[known[edge]] = sharpness
        # Where more than two faces meet there is no smooth rule either.
        self.sharpness[self.faces != 2] = INFINITE


def _following(counts: Ints) -> Ints:
    """Return the next corner of the same face, for each corner."""
    starts = np.cumsum(counts) - counts
    result = np.arange(int(counts.sum())) + 1
    result[starts + counts - 1] = starts
    return result


def _sums(index: Ints, values: _Table, size: int) -> _Table:
    result = np.zeros((size, values.shape[1]))
    np.add.at(result, index, values)
    return result


def _sharp_rules(
    mesh: ControlMesh, edges: _Edges, smooth: _Table, boundary: str, faces_at: Ints
) -> _Table:
    """Return the points where creases and corners are minded.

    A point with two sharp edges lies on a crease, with more it is a corner; between a sharpness of
    0 and 1 the rules are blended (DeRose, Kass, Truong 1998).
    """
    count = len(mesh.points)
    sharp = edges.sharpness > 0
    ends = edges.ends[sharp]
    both = np.concatenate([ends[:, 0], ends[:, 1]])
    other = np.concatenate([ends[:, 1], ends[:, 0]])
    at_point = np.bincount(both, minlength=count)
    weight = np.concatenate([edges.sharpness[sharp]] * 2)
    mean = _sums(both, weight[:, None], count)[:, 0] / np.maximum(at_point, 1)
    result = smooth.copy()
    crease = 0.75 * mesh.points + 0.125 * _sums(both, mesh.points[other], count)
    on_crease = at_point == 2
    blend = np.clip(mean, 0.0, 1.0)[:, None]
    result[on_crease] = (blend * crease + (1 - blend) * smooth)[on_crease]
    corner = at_point > 2
    result[corner] = (blend * mesh.points + (1 - blend) * smooth)[corner]
    if boundary == "edgeAndCorner":
        alone = on_crease & (faces_at == 1)
        result[alone] = mesh.points[alone]
    for point, sharpness in mesh.sharp.items():
        if point < count:
            part = min(sharpness, 1.0)
            result[point] = part * mesh.points[point] + (1 - part) * result[point]
    lonely = faces_at == 0
    result[lonely] = mesh.points[lonely]
    return result


def _inherited(
    mesh: ControlMesh, edges: _Edges, first_edge: int
) -> tuple[dict[tuple[int, int], float], dict[int, float]]:
    """Return the sharpness that is left at the next level, on both halves of each crease."""
    creases: dict[tuple[int, int], float] = {}
    for index in np.flatnonzero((edges.sharpness > 0) & (edges.faces == 2)):
        sharpness = float(edges.sharpness[index])
        left = sharpness if sharpness >= INFINITE else sharpness - 1.0
        if left > 0:
            middle = first_edge + int(index)
            for end in edges.ends[index]:
                creases[int(end), middle] = left
    sharp = {
        p: (s if s >= INFINITE else s - 1) for p, s in mesh.sharp.items() if s > 1 or s >= INFINITE
    }
    return creases, sharp


def _quads(mesh: ControlMesh, edges: _Edges, linear: bool, boundary: str) -> ControlMesh:
    """Split every face into quads around its middle."""
    points, corners, counts = mesh.points, mesh.corners, mesh.counts
    count, face_count = len(points), len(counts)
    face = np.repeat(np.arange(face_count), counts)
    centres = _sums(face, points[corners], face_count) / counts[:, None]
    middles = points[edges.ends].mean(axis=1)
    faces_at = np.bincount(corners, minlength=count)
    if linear:
        moved, on_edges = points, middles
    else:
        beside = _sums(edges.of_corner, centres[face], len(edges.ends))
        round_edges = (points[edges.ends].sum(axis=1) + beside) / 4
        part = np.clip(edges.sharpness, 0.0, 1.0)[:, None]
        on_edges = part * middles + (1 - part) * round_edges
        valence = np.maximum(faces_at, 1)[:, None]
        mean_face = _sums(corners, centres[face], count) / valence
        ends = edges.ends
        both = np.concatenate([ends[:, 0], ends[:, 1]])
        at_point = np.maximum(np.bincount(both, minlength=count), 1)[:, None]
        mean_edge = _sums(both, np.concatenate([middles, middles]), count) / at_point
        smooth = (mean_face + 2 * mean_edge + (valence - 3) * points) / valence
        moved = _sharp_rules(mesh, edges, smooth, boundary, faces_at)
    first_edge, first_face = count, count + len(edges.ends)
    previous = np.empty_like(edges.following)
    previous[edges.following] = np.arange(len(corners))
    new_corners = np.stack(
        [
            corners,
            first_edge + edges.of_corner,
            first_face + face,
            first_edge + edges.of_corner[previous],
        ],
        axis=1,
    )
    varying = {}
    for name, values in mesh.varying.items():
        centre = (_sums(face, values, face_count) / counts[:, None])[face]
        ahead = (values + values[edges.following]) / 2
        varying[name] = np.stack([values, ahead, centre, ahead[previous]], axis=1).reshape(
            -1, values.shape[1]
        )
    creases, sharp = _inherited(mesh, edges, first_edge)
    return ControlMesh(
        np.full(len(corners), 4),
        new_corners.reshape(-1),
        np.concatenate([moved, on_edges, centres]),
        varying,
        mesh.source[face],
        creases,
        sharp,
    )


def _loop(mesh: ControlMesh, edges: _Edges, boundary: str) -> ControlMesh:
    """Split every triangle into four."""
    points, corners = mesh.points, mesh.corners
    count = len(points)
    triangles = corners.reshape(-1, 3)
    opposite = points[corners[edges.following[edges.following]]]
    wings = _sums(edges.of_corner, opposite, len(edges.ends))
    ends = points[edges.ends]
    smooth_edges = (3 * ends.sum(axis=1) + wings) / 8
    part = np.clip(edges.sharpness, 0.0, 1.0)[:, None]
    on_edges = part * ends.mean(axis=1) + (1 - part) * smooth_edges
    both = np.concatenate([edges.ends[:, 0], edges.ends[:, 1]])
    other = np.concatenate([edges.ends[:, 1], edges.ends[:, 0]])
    valence = np.maximum(np.bincount(both, minlength=count), 1)[:, None]
    # Loop's weight of a neighbour.
    beta = (0.625 - (0.375 + 0.25 * np.cos(2 * np.pi / valence)) ** 2) / valence
    smooth = (1 - valence * beta) * points + beta * _sums(both, points[other], count)
    faces_at = np.bincount(corners, minlength=count)
    moved = _sharp_rules(mesh, edges, smooth, boundary, faces_at)
    middle = (count + edges.of_corner).reshape(-1, 3)
    a, b, c = triangles.T
    ab, bc, ca = middle.T
    new = np.stack([a, ab, ca, ab, b, bc, ca, bc, c, ab, bc, ca], axis=1).reshape(-1)
    varying = {}
    for name, values in mesh.varying.items():
        va, vb, vc = (values[i::3] for i in range(3))
        mab, mbc, mca = (va + vb) / 2, (vb + vc) / 2, (vc + va) / 2
        rows = [va, mab, mca, mab, vb, mbc, mca, mbc, vc, mab, mbc, mca]
        varying[name] = np.stack(rows, axis=1).reshape(-1, values.shape[1])
    creases, sharp = _inherited(mesh, edges, count)
    return ControlMesh(
        np.full(4 * len(triangles), 3),
        new,
        np.concatenate([moved, on_edges]),
        varying,
        np.repeat(mesh.source, 4),
        creases,
        sharp,
    )
