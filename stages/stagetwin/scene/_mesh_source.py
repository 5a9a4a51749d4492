"""What a mesh says of itself, checked, before anything is made of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from pxr import Usd, UsdGeom, UsdShade

from stagetwin.scene._gprims import MAX_LENGTH
from stagetwin.scene._primvars import (
    CONSTANT,
    FACE_VARYING,
    UNIFORM,
    VERTEX,
    Primvar,
    coordinate_names,
    read_colors,
    read_normals,
    read_primvar,
)
from stagetwin.scene._shape import Ints, ShapeFault
from stagetwin.scene._subdivide import INFINITE, levels
from stagetwin.scene._values import Values

__all__ = ["MAX_POINTS", "MeshSource", "Topology", "read_mesh", "read_points"]

MAX_POINTS = 5_000_000
"""Points, or corners, of one shape."""

_SCHEMES = ("catmullClark", "loop", "bilinear")

_Table = npt.NDArray[np.float64]


@dataclass(slots=True)
class Topology:
    """Faces of a mesh that are drawn.

    Attributes:
        counts, corners: of the faces that are drawn.
        kept: which authored faces these are.
        kept_corners: which authored corners.
        sizes: authored numbers of elements by interpolation.
    """

    counts: Ints
    corners: Ints
    kept: Ints
    kept_corners: Ints
    sizes: dict[str, int]


@dataclass(slots=True)
class MeshSource:
    """A mesh as it is authored.

    Attributes:
        points: shape (point_count, 3).
        topology: faces that are drawn.
        primvars: `normals`, `color`, `opacity` and `st:NAME` of these faces.
        scheme: of subdivision; `none` where it is not subdivided.
        boundary: how borders are subdivided.
        creases: sharpness by edge.
        sharp: sharpness by point.
        left_handed, double_sided: as authored.
        subsets: names of the material subsets.
        owner: position of each authored face's subset, -1 for none.
        notes: what is not shown as it is.
    """

    points: _Table
    topology: Topology
    primvars: dict[str, Primvar]
    scheme: str
    boundary: str
    creases: dict[tuple[int, int], float]
    sharp: dict[int, float]
    left_handed: bool
    double_sided: bool
    subsets: list[str]
    owner: Ints
    notes: list[str]


def read_mesh(values: Values, prim: Usd.Prim) -> MeshSource:
    """Read a mesh.

    Raises:
        ShapeFault: nothing of it can be shown.
    """
    mesh = UsdGeom.Mesh(prim)
    notes: list[str] = []
    points = read_points(values, prim)
    topology = _topology(values, mesh, len(points))
    scheme = str(values.get(mesh.GetSubdivisionSchemeAttr()))
    if scheme not in _SCHEMES or not levels(len(topology.counts)):
        scheme = "none"
    if scheme == "loop" and (topology.counts != 3).any():
        notes.append("Loop subdivision takes triangles alone: Catmull-Clark was taken")
        scheme = "catmullClark"
    primvars = _primvars(values, prim, topology, scheme, notes)
    subsets, owner = _subsets(values, prim, topology.sizes[UNIFORM], notes)
    return MeshSource(
        points,
        topology,
        primvars,
        scheme,
        str(values.get(mesh.GetInterpolateBoundaryAttr())),
        _creases(values, mesh) if scheme != "none" else {},
        _corner_sharpness(values, mesh) if scheme != "none" else {},
        values.get(mesh.GetOrientationAttr()) == UsdGeom.Tokens.leftHanded,
        bool(values.get(mesh.GetDoubleSidedAttr())),
        subsets,
        owner,
        notes,
    )


def read_points(values: Values, prim: Usd.Prim) -> _Table:
    """Return a shape's points.

    Raises:
        ShapeFault: there are none, too many, or some that are not finite.
    """
    raw = values.get(UsdGeom.PointBased(prim).GetPointsAttr())
    if raw is None or not len(raw):
        raise ShapeFault("it has no points")
    if len(raw) > MAX_POINTS:
        raise ShapeFault(f"it has {len(raw)} points, {MAX_POINTS} are shown at most")
    points = np.array(raw, np.float64)
    if not np.isfinite(points).all():
        raise ShapeFault("it has points that are not finite")
    if np.abs(points).max() > MAX_LENGTH:
        raise ShapeFault(f"it has points farther than {MAX_LENGTH:g}")
    return points


def _integers(values: Values, attribute: Usd.Attribute) -> Ints:
    raw = values.get(attribute)
    return np.array(raw if raw is not None else (), np.int64).reshape(-1)


def _topology(values: Values, mesh: UsdGeom.Mesh, point_count: int) -> Topology:
    counts = _integers(values, mesh.GetFaceVertexCountsAttr())
    corners = _integers(values, mesh.GetFaceVertexIndicesAttr())
    if len(corners) > MAX_POINTS:
        raise ShapeFault(f"it has {len(corners)} corners, {MAX_POINTS} are shown at most")
    if (counts < 0).any() or counts.sum() != len(corners):
        raise ShapeFault(
            f"faceVertexCounts add up to {counts.sum()}, there are {len(corners)} indices"
        )
    if len(corners) and (corners.min() < 0 or corners.max() >= point_count):
        raise ShapeFault(
            f"faceVertexIndices are in [0, {point_count}), got {corners.min()} to {corners.max()}"
        )
    sizes = {UNIFORM: len(counts), VERTEX: point_count, FACE_VARYING: len(corners), CONSTANT: 1}
    drawn = counts >= 3
    holes = _integers(values, mesh.GetHoleIndicesAttr())
    drawn[holes[(holes >= 0) & (holes < len(counts))]] = False
    if not drawn.any():
        raise ShapeFault("it has no face to draw")
    at = np.repeat(drawn, counts)
    return Topology(counts[drawn], corners[at], np.flatnonzero(drawn), np.flatnonzero(at), sizes)


def _primvars(
    values: Values, prim: Usd.Prim, topology: Topology, scheme: str, notes: list[str]
) -> dict[str, Primvar]:
    """Return normals, colors, opacities and texture coordinates (`st:NAME`) of drawn faces."""
    found: dict[str, Primvar] = {}
    sizes = topology.sizes
    if scheme == "none":
        normals = read_normals(values, prim, sizes, notes)
        if normals is not None and normals.values.shape[1] == 3:
            found["normals"] = normals
    color, opacity = read_colors(values, prim, sizes, notes)
    if color is not None:
        found["color"] = color
    if opacity is not None:
        found["opacity"] = opacity
    for name in coordinate_names(prim):
        st = read_primvar(values, prim, name, sizes, notes, inherited=False)
        if st is not None:
            found[f"st:{name}"] = st
    if len(topology.kept) != sizes[UNIFORM]:
        for primvar in found.values():
            if primvar.interpolation == UNIFORM:
                primvar.values = primvar.values[topology.kept]
            elif primvar.interpolation == FACE_VARYING:
                primvar.values = primvar.values[topology.kept_corners]
    return found


def _creases(values: Values, mesh: UsdGeom.Mesh) -> dict[tuple[int, int], float]:
    indices = _integers(values, mesh.GetCreaseIndicesAttr())
    lengths = _integers(values, mesh.GetCreaseLengthsAttr())
    sharpness = list(values.get(mesh.GetCreaseSharpnessesAttr()) or ())
    edges = int((lengths - 1).sum()) if len(lengths) else 0
    each = len(sharpness) == edges != len(lengths)
    if (lengths < 2).any() or lengths.sum() != len(indices) or not sharpness:
        return {}
    found: dict[tuple[int, int], float] = {}
    start = done = 0
    for number, length in enumerate(lengths.tolist()):
        line = indices[start : start + length].tolist()
        start += length
        for one, other in pairwise(line):
            at = done if each else number
            value = float(sharpness[at]) if at < len(sharpness) else INFINITE
            found[min(one, other), max(one, other)] = value if value >= 0 else 0.0
            done += 1
    return found


def _corner_sharpness(values: Values, mesh: UsdGeom.Mesh) -> dict[int, float]:
    indices = _integers(values, mesh.GetCornerIndicesAttr()).tolist()
    sharpness = list(values.get(mesh.GetCornerSharpnessesAttr()) or ())
    return {i: float(s) for i, s in zip(indices, sharpness, strict=False) if i >= 0 and s > 0}


def _subsets(
    values: Values, prim: Usd.Prim, face_count: int, notes: list[str]
) -> tuple[list[str], Ints]:
    """Return the names of material subsets, and each face's; the first claim holds."""
    owner = np.full(face_count, -1)
    names: list[str] = []
    for subset in UsdShade.MaterialBindingAPI(prim).GetMaterialBindSubsets():
        name = subset.GetPrim().GetName()
        if values.get(subset.GetElementTypeAttr()) != UsdGeom.Tokens.face:
            notes.append(f"subset {name} is not of faces")
            continue
        index = _integers(values, subset.GetIndicesAttr())
        good = (index >= 0) & (index < len(owner))
        if not good.all():
            count = int((~good).sum())
            notes.append(f"subset {name}: {count} indices not in [0, {len(owner)})")
        index = index[good]
        owner[index[owner[index] < 0]] = len(names)
        names.append(name)
    return names, owner
