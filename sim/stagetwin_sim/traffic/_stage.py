"""What came of a fleet's work on the stage: waiting as a primvar on a mesh of the floor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, Vt

from stagetwin.maps import MapFrame
from stagetwin_sim._errors import TrafficError

if TYPE_CHECKING:
    from stagetwin_sim.traffic._fleet import FleetSimulation

__all__ = ["author_congestion", "write_congestion"]

_HEIGHT = 0.01
"""Of the mesh above the floor [m]."""


def author_congestion(stage: Usd.Stage, fleet: FleetSimulation) -> Usd.Prim:
    """Author a mesh `Congestion` below the map's prim, into the stage's edit target.

    Each face is a square of the floor in which vehicles were. `primvars:waiting` is how long they
    waited there and `primvars:visits` how long they were there [vehicle-seconds in an hour and m2],
    one value a face; `primvars:displayColor` shows the first.

    Raises:
        TrafficError: the map is not of this stage.
    """
    road_map, counts = fleet.road_map, fleet.counts
    home = stage.GetPrimAtPath(road_map.prim) if road_map.prim else None
    if not home:
        raise TrafficError(f"map {road_map.id!r} has no prim on this stage, got {road_map.prim!r}")
    frame = MapFrame(home)
    hours = max(fleet.time, 1e-9) / 3600 * fleet.worlds
    scale = 1.0 / (hours * counts.edge**2)
    waiting = counts.waiting.sum(axis=0) * scale
    visits = counts.visits.sum(axis=0) * scale
    rows, columns = np.nonzero(visits > 0)
    mesh = UsdGeom.Mesh.Define(stage, home.GetPath().AppendChild("Congestion"))
    points: list[Gf.Vec3f] = []
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        x = counts.corner[0] + column * counts.edge
        y = counts.corner[1] + row * counts.edge
        for dx, dy in ((0, 0), (1, 0), (1, 1), (0, 1)):
            place = frame.local(x + dx * counts.edge, y + dy * counts.edge, _HEIGHT)
            points.append(Gf.Vec3f(place))
    count = len(rows)
    mesh.CreatePointsAttr(Vt.Vec3fArray(points))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray([4] * count))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray(range(4 * count)))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateDoubleSidedAttr(True)
    if points:
        mesh.CreateExtentAttr(UsdGeom.PointBased.ComputeExtent(Vt.Vec3fArray(points)))
    mesh.GetPrim().SetDocumentation(
        f"Where {fleet.count} vehicles waited in {fleet.time / 60:g} min of {fleet.worlds} worlds."
    )
    primvars = UsdGeom.PrimvarsAPI(mesh.GetPrim())
    for name, values in (("waiting", waiting), ("visits", visits)):
        made = primvars.CreatePrimvar(name, Sdf.ValueTypeNames.FloatArray, UsdGeom.Tokens.uniform)
        made.Set(Vt.FloatArray(values[rows, columns].astype(float).tolist()))
    shown = mesh.CreateDisplayColorPrimvar(UsdGeom.Tokens.uniform)
    shown.Set(Vt.Vec3fArray(_colours(waiting[rows, columns])))
    prim: Usd.Prim = mesh.GetPrim()
    return prim


def _colours(values: Any) -> list[Gf.Vec3f]:
    """Return colours from pale yellow over orange to dark red."""
    stops = np.array([(0.97, 0.95, 0.82), (1.0, 0.75, 0.3), (0.85, 0.3, 0.1), (0.4, 0.02, 0.15)])
    most = float(np.quantile(values, 0.98)) if len(values) else 0.0
    share = np.clip(values / most, 0, 1) if most > 0 else np.zeros(len(values))
    at = np.linspace(0, 1, len(stops))
    mixed = np.stack([np.interp(share, at, stops[:, k]) for k in range(3)], axis=1)
    return [Gf.Vec3f(*row) for row in mixed.tolist()]


def write_congestion(path: Path, root: Path, fleet: FleetSimulation) -> None:
    """Write a layer that shows the stage with waiting on its floor."""
    layer = Sdf.Layer.CreateNew(str(path))
    layer.subLayerPaths.append(str(root.resolve()))
    stage = Usd.Stage.Open(layer)
    below = stage.GetRootLayer()
    source = Sdf.Layer.FindOrOpen(str(root))
    for name in ("upAxis", "metersPerUnit"):
        if source is not None and source.pseudoRoot.HasInfo(name):
            below.pseudoRoot.SetInfo(name, source.pseudoRoot.GetInfo(name))
    if source is not None and source.defaultPrim:
        below.defaultPrim = source.defaultPrim
    author_congestion(stage, fleet)
    below.Save()
