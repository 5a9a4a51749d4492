"""UsdGeomMesh to triangles: polygons, subdivision, normals, subsets."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from pxr import Usd, UsdGeom, UsdShade

from stagetwin.scene._gprims import MAX_LENGTH
from stagetwin.scene._normals import crease_normals
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
from stagetwin.scene._shape import Floats, Geometry, Ints, Part, ShapeFault
from stagetwin.scene._subdivide import INFINITE, ControlMesh, levels, subdivide
from stagetwin.scene._triangulate import triangulate
from stagetwin.scene._values import Values

__all__ = ["MAX_POINTS", "mesh_geometry", "read_points"]

MAX_POINTS = 5_000_000
"""Points, or corners, of one shape."""

_Table = npt.NDArray[np.float64]


@dataclass(slots=True)
class _Topology:
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


def _topology(values: Values, mesh: UsdGeom.Mesh, point_count: int) -> _Topology:
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
    return _Topology(counts[drawn], corners[at], np.flatnonzero(drawn), np.flatnonzero(at), sizes)


def mesh_geometry(values: Values, prim: Usd.Prim, notes: list[str]) -> Geometry:
    """Return the triangles of a mesh.

    Args:
        notes: gets what is not shown as it is.

    Raises:
        ShapeFault: nothing of it can be shown.
    """
    mesh = UsdGeom.Mesh(prim)
    points = read_points(values, prim)
    topology = _topology(values, mesh, len(points))
    primvars = _primvars(values, prim, topology, notes)
    scheme = str(values.get(mesh.GetSubdivisionSchemeAttr()) or "none")
    steps = levels(len(topology.counts)) if scheme in ("catmullClark", "loop", "bilinear") else 0
    if steps and "normals" not in primvars:
        points, topology, primvars = _refined(
            values, mesh, scheme, steps, points, topology, primvars, notes
        )
    triangles, face = triangulate(points, topology.counts, topology.corners)
    if values.get(mesh.GetOrientationAttr()) == UsdGeom.Tokens.leftHanded:
        triangles = triangles[:, ::-1]
    triangles, face = _with_area(points, topology.corners, triangles, face)
    geometry, vertex = _vertices(points, topology, primvars)
    geometry.double_sided = bool(values.get(mesh.GetDoubleSidedAttr()))
    if values.get(mesh.GetOrientationAttr()) == UsdGeom.Tokens.leftHanded and (
        "normals" not in primvars and geometry.normals is not None
    ):
        geometry.normals = -geometry.normals
    geometry.parts = _parts(values, prim, topology, vertex[triangles], face, notes)
    return geometry


def _primvars(
    values: Values, prim: Usd.Prim, topology: _Topology, notes: list[str]
) -> dict[str, Primvar]:
    """Return normals, colors, opacities and texture coordinates (`st:NAME`) of drawn faces."""
    found: dict[str, Primvar] = {}
    sizes = topology.sizes
    scheme = values.get(UsdGeom.Mesh(prim).GetSubdivisionSchemeAttr())
    if scheme == UsdGeom.Tokens.none or levels(len(topology.counts)) == 0:
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


def _refined(
    values: Values,
    mesh: UsdGeom.Mesh,
    scheme: str,
    steps: int,
    points: _Table,
    topology: _Topology,
    primvars: dict[str, Primvar],
    notes: list[str],
) -> tuple[_Table, _Topology, dict[str, Primvar]]:
    """Return a mesh subdivided, with what it carries."""
    if scheme == "loop" and (topology.counts != 3).any():
        notes.append("Loop subdivision takes triangles alone: Catmull-Clark was taken")
        scheme = "catmullClark"
    smooth = [name for name, p in primvars.items() if p.interpolation == VERTEX]
    columns = np.concatenate([points, *(primvars[name].values for name in smooth)], axis=1)
    control = ControlMesh(
        topology.counts,
        topology.corners,
        columns,
        {n: p.values for n, p in primvars.items() if p.interpolation == FACE_VARYING},
        np.arange(len(topology.counts)),
        _creases(values, mesh),
        _corner_sharpness(values, mesh),
    )
    boundary = str(values.get(mesh.GetInterpolateBoundaryAttr()) or "edgeAndCorner")
    for _ in range(steps):
        control = subdivide(control, scheme, boundary)
    result = dict(primvars)
    offset = 3
    for name in smooth:
        width = primvars[name].values.shape[1]
        result[name] = Primvar(control.points[:, offset : offset + width], VERTEX)
        offset += width
    for name, primvar in primvars.items():
        if primvar.interpolation == FACE_VARYING:
            result[name] = Primvar(control.varying[name], FACE_VARYING)
        elif primvar.interpolation == UNIFORM:
            result[name] = Primvar(primvar.values[control.source], UNIFORM)
    refined = _Topology(
        control.counts,
        control.corners,
        topology.kept[control.source],
        np.arange(len(control.corners)),
        topology.sizes,
    )
    return control.points[:, :3], refined, result


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


def _with_area(points: _Table, corners: Ints, triangles: Ints, face: Ints) -> tuple[Ints, Ints]:
    """Leave out triangles without area."""
    a, b, c = (points[corners[triangles[:, i]]] for i in range(3))
    area = np.abs(np.cross(b - a, c - a)).max(axis=1)
    keep = area > 0
    if not keep.any():
        raise ShapeFault("none of its faces has an area")
    return (triangles, face) if keep.all() else (triangles[keep], face[keep])


def _vertices(
    points: _Table, topology: _Topology, primvars: dict[str, Primvar]
) -> tuple[Geometry, Ints]:
    """Return the vertices that corners share where everything is the same, and each corner's."""
    corners, counts = topology.corners, topology.counts
    face = np.repeat(np.arange(len(counts)), counts)
    tables: dict[str, Floats] = {}
    for name, primvar in primvars.items():
        if name in ("color", "opacity") and primvar.interpolation == CONSTANT:
            continue
        tables[name] = primvar.at_corners(corners, face).astype(np.float32)
    if "normals" in tables:
        tables["normals"] = _unit(tables["normals"])
    else:
        tables["normals"] = crease_normals(points, counts, corners).astype(np.float32)
    positions = points.astype(np.float32)
    # Adding 0 turns -0 into 0, which would else be another vertex.
    columns = [corners.astype(np.int32)[:, None]]
    columns += [(table + np.float32(0)).view(np.int32) for table in tables.values()]
    rows = np.ascontiguousarray(np.concatenate(columns, axis=1))
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).reshape(-1)
    _, first, vertex = np.unique(keys, return_index=True, return_inverse=True)
    # In the order of the corners, which is kind to the cache of whoever draws it.
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    taken = first[order]
    geometry = Geometry(positions[corners[taken]], [], normals=tables["normals"][taken])
    geometry.colors = _colors(tables, primvars, taken)
    geometry.sets = {n[3:]: t[taken][:, :2] for n, t in tables.items() if n.startswith("st:")}
    return geometry, rank[vertex.reshape(-1)]


def _colors(tables: dict[str, Floats], primvars: dict[str, Primvar], taken: Ints) -> Floats | None:
    """Return vertex colours where either varies; the constant other is in them then."""
    if "color" not in tables and "opacity" not in tables:
        return None
    colors = np.ones((len(taken), 4), np.float32)
    for name, columns in (("color", slice(0, 3)), ("opacity", slice(3, 4))):
        if name in tables:
            colors[:, columns] = tables[name][taken]
        elif name in primvars:
            colors[:, columns] = primvars[name].values[0]
    return colors


def _unit(normals: Floats) -> Floats:
    length = np.sqrt(np.einsum("ix,ix->i", normals, normals))
    flat = ~(length > 1e-12)
    result: Floats = (normals / np.where(flat, 1.0, length)[:, None]).astype(np.float32)
    result[flat] = (0, 0, 1)
    return result


def _parts(
    values: Values,
    prim: Usd.Prim,
    topology: _Topology,
    triangles: Ints,
    face: Ints,
    notes: list[str],
) -> list[Part]:
    """Return the triangles by material subset; the rest comes last, and the first claim holds."""
    subsets = UsdShade.MaterialBindingAPI(prim).GetMaterialBindSubsets()
    if not subsets:
        return [Part("", triangles.reshape(-1))]
    owner = np.full(topology.sizes[UNIFORM], -1)
    names: list[str] = []
    for subset in subsets:
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
    of_triangle = owner[topology.kept[face]]
    found = []
    for number, name in [*enumerate(names), (-1, "")]:
        which = triangles[of_triangle == number]
        if len(which):
            found.append(Part(name, which.reshape(-1)))
    return found
