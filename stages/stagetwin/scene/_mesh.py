"""Meshes to triangles: polygons, subdivision, normals, subsets.

Nothing here touches a stage: large meshes are worked on beside the thread that owns it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stagetwin.scene._mesh_source import MeshSource, Topology
from stagetwin.scene._normals import crease_normals
from stagetwin.scene._primvars import CONSTANT, FACE_VARYING, UNIFORM, VERTEX, Primvar
from stagetwin.scene._shape import Floats, Geometry, Ints, Part, ShapeFault
from stagetwin.scene._subdivide import ControlMesh, levels, subdivide
from stagetwin.scene._triangulate import triangulate

__all__ = ["mesh_geometry"]

_Table = npt.NDArray[np.float64]


def mesh_geometry(source: MeshSource) -> Geometry:
    """Return the triangles of a mesh.

    Raises:
        ShapeFault: nothing of it can be shown.
    """
    points, topology, primvars = source.points, source.topology, source.primvars
    if source.scheme != "none":
        points, topology, primvars = _refined(source)
    triangles, face = triangulate(points, topology.counts, topology.corners)
    if source.left_handed:
        triangles = triangles[:, ::-1]
    triangles, face = _with_area(points, topology.corners, triangles, face)
    geometry, vertex = _vertices(points, topology, primvars)
    geometry.double_sided = source.double_sided
    if source.left_handed and "normals" not in primvars and geometry.normals is not None:
        geometry.normals = -geometry.normals
    geometry.parts = _parts(source, topology, vertex[triangles], face)
    return geometry


def _refined(source: MeshSource) -> tuple[_Table, Topology, dict[str, Primvar]]:
    """Return a mesh subdivided, with what it carries."""
    points, topology, primvars = source.points, source.topology, source.primvars
    smooth = [name for name, p in primvars.items() if p.interpolation == VERTEX]
    columns = np.concatenate([points, *(primvars[name].values for name in smooth)], axis=1)
    control = ControlMesh(
        topology.counts,
        topology.corners,
        columns,
        {n: p.values for n, p in primvars.items() if p.interpolation == FACE_VARYING},
        np.arange(len(topology.counts)),
        source.creases,
        source.sharp,
    )
    for _ in range(levels(len(topology.counts))):
        control = subdivide(control, source.scheme, source.boundary)
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
    refined = Topology(
        control.counts,
        control.corners,
        topology.kept[control.source],
        np.arange(len(control.corners)),
        topology.sizes,
    )
    return control.points[:, :3], refined, result


def _with_area(points: _Table, corners: Ints, triangles: Ints, face: Ints) -> tuple[Ints, Ints]:
    """Leave out triangles without area."""
    a, b, c = (points[corners[triangles[:, i]]] for i in range(3))
    area = np.abs(np.cross(b - a, c - a)).max(axis=1)
    keep = area > 0
    if not keep.any():
        raise ShapeFault("none of its faces has an area")
    return (triangles, face) if keep.all() else (triangles[keep], face[keep])


def _vertices(
    points: _Table, topology: Topology, primvars: dict[str, Primvar]
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


def _parts(source: MeshSource, topology: Topology, triangles: Ints, face: Ints) -> list[Part]:
    """Return the triangles by material subset; the rest comes last."""
    if not source.subsets:
        return [Part("", triangles.reshape(-1))]
    of_triangle = source.owner[topology.kept[face]]
    found = []
    for number, name in [*enumerate(source.subsets), (-1, "")]:
        which = triangles[of_triangle == number]
        if len(which):
            found.append(Part(name, which.reshape(-1)))
    return found
