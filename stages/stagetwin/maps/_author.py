"""Writing a map as prims that can be looked at and edited."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from pxr import Gf, Sdf, Tf, Usd, UsdGeom, Vt

from stagetwin._errors import MapError
from stagetwin.maps._drawing import (
    DISC,
    LANE_COLORS,
    LIFT,
    STATION_COLORS,
    ZONE_COLORS,
    ZONE_LIFT,
    arrow,
    box,
    disc,
    prism,
)
from stagetwin.maps._frame import MapFrame
from stagetwin.maps._road_map import Lane, Node, Obstacle, RoadMap, Station, Zone
from stagetwin.maps.geometry import Point

__all__ = ["author_map"]

_TYPES = Sdf.ValueTypeNames


def author_map(target: Sdf.Layer | Usd.Stage, path: str | Sdf.Path, road_map: RoadMap) -> RoadMap:
    """Write a map, with shapes to look at; what was at its path before is replaced.

    Args:
        target: a layer, or a stage whose edit target is written to; its unit and up axis hold.
        path: of the map's prim; transforms of what is around it hold.
        road_map: what is written.

    Returns:
        The map with the paths of its prims.

    Raises:
        MapError: the path is none, something has no id, or a lane hangs in the air.
    """
    where = Sdf.Path(str(path))
    if not (where.IsAbsolutePath() and where.IsPrimPath()):
        raise MapError(f"a map is written to the path of a prim such as /Map, got {path}")
    layer, stage = _opened(target)
    _clear(layer, where)
    frame = _frame_at(stage, where)
    return _Draft(layer, where, frame).write(road_map)


def _opened(target: Sdf.Layer | Usd.Stage) -> tuple[Sdf.Layer, Usd.Stage]:
    if isinstance(target, Usd.Stage):
        return target.GetEditTarget().GetLayer(), target
    if not target.pseudoRoot.HasInfo("upAxis"):
        target.pseudoRoot.SetInfo("upAxis", UsdGeom.Tokens.z)
    if not target.pseudoRoot.HasInfo("metersPerUnit"):
        target.pseudoRoot.SetInfo("metersPerUnit", 1.0)
    return target, Usd.Stage.Open(target, Sdf.Layer.CreateAnonymous("map.usda"))


def _clear(layer: Sdf.Layer, path: Sdf.Path) -> None:
    """Remove what an earlier map has left, its own transform excepted."""
    spec = layer.GetPrimAtPath(path)
    if spec is None:
        return
    for name in _SCOPES:
        if name in spec.nameChildren:
            del spec.nameChildren[name]  # type: ignore[attr-defined]


def _frame_at(stage: Usd.Stage, path: Sdf.Path) -> MapFrame:
    """Return the frame that a map has at a path, whose prim need not be there yet."""
    if not stage.GetPrimAtPath(path):
        for each in path.GetPrefixes():
            if not stage.GetPrimAtPath(each):
                UsdGeom.Xform.Define(stage, each)
    return MapFrame(stage.GetPrimAtPath(path))


_SCOPES = ("Nodes", "Lanes", "Zones", "Stations", "Obstacles")

Values = Mapping[str, tuple[Sdf.ValueTypeName, Any]]


@dataclass
class _Draft:
    """A map while it is written."""

    layer: Sdf.Layer
    root: Sdf.Path
    frame: MapFrame

    def write(self, road_map: RoadMap) -> RoadMap:
        names = {kind: _names(getattr(road_map, kind.lower())) for kind in _SCOPES[:4]}
        paths = {
            kind: {key: self.root.AppendPath(f"{kind}/{name}") for key, name in named.items()}
            for kind, named in names.items()
        }
        points = {key: road_map.lane_points(key) for key in road_map.lanes}
        with Sdf.ChangeBlock():
            self._root(road_map)
            for key, node in road_map.nodes.items():
                self._node(paths["Nodes"][key], node)
            for key, lane in road_map.lanes.items():
                ends = [paths["Nodes"][lane.start], paths["Nodes"][lane.end]]
                self._lane(paths["Lanes"][key], lane, points[key], ends)
            for key, zone in road_map.zones.items():
                self._zone(paths["Zones"][key], zone)
            for key, station in road_map.stations.items():
                nodes = [paths["Nodes"][n] for n in station.nodes if n in road_map.nodes]
                self._station(paths["Stations"][key], station, nodes)
            width = len(str(max(len(road_map.obstacles) - 1, 0)))
            stands = [
                self.root.AppendPath(f"Obstacles/Obstacle_{i:0{width}}")
                for i in range(len(road_map.obstacles))
            ]
            for path, obstacle in zip(stands, road_map.obstacles, strict=True):
                self._obstacle(path, obstacle)
        placed: dict[str, Any] = {
            kind.lower(): {
                key: msgspec.structs.replace(thing, prim=str(paths[kind][key]))
                for key, thing in sorted(getattr(road_map, kind.lower()).items())
            }
            for kind in paths
        }
        placed["obstacles"] = tuple(
            msgspec.structs.replace(obstacle, prim=str(path))
            for path, obstacle in zip(stands, road_map.obstacles, strict=True)
        )
        return msgspec.structs.replace(road_map, prim=str(self.root), **placed)

    # -- prims

    def _prim(
        self, path: Sdf.Path, type_name: str, api: str = "", values: Values | None = None
    ) -> Sdf.PrimSpec:
        prim = Sdf.CreatePrimInLayer(self.layer, path)
        prim.specifier = Sdf.SpecifierDef
        prim.typeName = type_name
        if api:
            prim.SetInfo("apiSchemas", Sdf.TokenListOp.Create(prependedItems=[api]))
        for name, (kind, value) in (values or {}).items():
            if value is None:
                continue
            attr = Sdf.AttributeSpec(prim, name, kind, _variability(name))
            attr.default = value
        return prim

    def _root(self, road_map: RoadMap) -> None:
        prim = Sdf.CreatePrimInLayer(self.layer, self.root)
        prim.specifier = Sdf.SpecifierDef
        prim.typeName = prim.typeName or "Xform"
        listed = prim.GetInfo("apiSchemas") if prim.HasInfo("apiSchemas") else Sdf.TokenListOp()
        others = [name for name in listed.prependedItems if name != "TwinMapAPI"]
        listed.prependedItems = ["TwinMapAPI", *others]
        prim.SetInfo("apiSchemas", listed)
        extent = Gf.Vec4d(*road_map.extent) if road_map.extent is not None else None
        wanted: Values = {
            "twin:map:id": (_TYPES.Token, _other(road_map.id, self.root.name)),
            "twin:map:version": (_TYPES.String, road_map.version or None),
            "twin:map:extent": (_TYPES.Double4, extent),
        }
        for name, (kind, value) in wanted.items():
            if name in prim.properties:
                prim.RemoveProperty(prim.properties[name])
            if value is not None:
                Sdf.AttributeSpec(prim, name, kind, _variability(name)).default = value
        for scope in _SCOPES:
            if getattr(road_map, scope.lower()):
                self._prim(self.root.AppendChild(scope), "Scope")

    def _placed(self, x: float, y: float) -> Values:
        return {
            "xformOp:translate": (_TYPES.Double3, self.frame.local(x, y)),
            "xformOpOrder": (_TYPES.TokenArray, Vt.TokenArray(["xformOp:translate"])),
        }

    def _node(self, path: Sdf.Path, node: Node) -> None:
        values: Values = {
            "twin:node:id": (_TYPES.String, _other(node.id, path.name)),
            "twin:node:name": (_TYPES.String, node.name or None),
            "twin:node:theta": (_TYPES.Double, node.theta),
            "twin:node:deviation": (_TYPES.Double, _unless(node.deviation, 0.3)),
            "twin:node:deviationTheta": (_TYPES.Double, _unless(node.deviation_theta, math.pi)),
            **self._placed(node.x, node.y),
        }
        self._prim(path, "Xform", "TwinNodeAPI", values)
        self._mesh(path.AppendChild("Marker"), *disc(node.theta), DISC)

    def _lane(
        self, path: Sdf.Path, lane: Lane, points: Sequence[Point], ends: list[Sdf.Path]
    ) -> None:
        head = () if lane.both else arrow(points)
        drawn = self._points([*points, *head], LIFT)
        width = 0.05 / self.frame.metres
        rule = "types" if lane.vehicle_types else "both" if lane.both else "one"
        rule = "slow" if lane.maximum_speed is not None and rule != "types" else rule
        values: Values = {
            "twin:lane:id": (_TYPES.String, _other(lane.id, path.name)),
            "twin:lane:both": (_TYPES.Bool, lane.both or None),
            "twin:lane:maximumSpeed": (_TYPES.Double, lane.maximum_speed),
            "twin:lane:maximumRotationSpeed": (_TYPES.Double, lane.maximum_rotation_speed),
            "twin:lane:width": (_TYPES.Double, lane.width),
            "twin:lane:orientation": (_TYPES.Double, lane.orientation),
            "twin:lane:vehicleTypes": (
                _TYPES.StringArray,
                Vt.StringArray(list(lane.vehicle_types)) if lane.vehicle_types else None,
            ),
            "type": (_TYPES.Token, "linear"),
            "points": (_TYPES.Point3fArray, drawn),
            "curveVertexCounts": (
                _TYPES.IntArray,
                Vt.IntArray([len(points), *([len(head)] if head else [])]),
            ),
            "widths": (_TYPES.FloatArray, Vt.FloatArray([width])),
            "extent": (
                _TYPES.Float3Array,
                UsdGeom.Curves.ComputeExtent(drawn, Vt.FloatArray([width])),
            ),
            "primvars:displayColor": (_TYPES.Color3fArray, [LANE_COLORS[rule]]),
        }
        prim = self._prim(path, "BasisCurves", "TwinLaneAPI", values)
        prim.attributes["widths"].SetInfo("interpolation", "constant")
        for name, end in zip(("start", "end"), ends, strict=True):
            self._rel(prim, f"twin:lane:{name}", [end])

    def _zone(self, path: Sdf.Path, zone: Zone) -> None:
        color = ZONE_COLORS.get(zone.type or zone.authority, ZONE_COLORS[""])
        values: Values = {
            "twin:zone:id": (_TYPES.String, _other(zone.id, path.name)),
            "twin:zone:type": (_TYPES.Token, zone.type or None),
            "twin:zone:authority": (_TYPES.Token, zone.authority or None),
            "twin:zone:maximumSpeed": (_TYPES.Double, zone.maximum_speed),
            "twin:zone:factor": (_TYPES.Double, zone.factor),
            "twin:zone:direction": (_TYPES.Double, zone.direction),
            "twin:zone:limitation": (_TYPES.Token, zone.limitation or None),
            "twin:zone:cell": (_TYPES.Double, zone.cell),
        }
        count = len(zone.polygon)
        prim = self._mesh(
            path,
            [(x, y, ZONE_LIFT) for x, y in zone.polygon],
            [list(range(count))] if count > 2 else [],
            color,
            opacity=0.3,
            api="TwinZoneAPI",
            values=values,
        )
        prim.attributes["doubleSided"].default = True

    def _station(self, path: Sdf.Path, station: Station, nodes: list[Sdf.Path]) -> None:
        values: Values = {
            "twin:station:id": (_TYPES.String, _other(station.id, path.name)),
            "twin:station:name": (_TYPES.String, station.name or None),
            "twin:station:kind": (_TYPES.Token, station.kind or None),
            "twin:station:theta": (_TYPES.Double, station.theta),
            "twin:station:height": (_TYPES.Double, station.height),
            "twin:station:capacity": (_TYPES.Int, _unless(station.capacity, 1)),
            **self._placed(station.x, station.y),
        }
        prim = self._prim(path, "Xform", "TwinStationAPI", values)
        if nodes:
            self._rel(prim, "twin:station:nodes", nodes)
        if station.serves:
            self._rel(prim, "twin:station:serves", [Sdf.Path(station.serves)])
        color = STATION_COLORS.get(station.kind, STATION_COLORS[""])
        self._mesh(path.AppendChild("Marker"), *box(station.theta or 0.0), color)

    def _obstacle(self, path: Sdf.Path, obstacle: Obstacle) -> None:
        points, faces = prism(obstacle.polygon)
        self._mesh(path, points, faces, (0.35, 0.35, 0.38), api="TwinObstacleAPI")

    def _mesh(
        self,
        path: Sdf.Path,
        points: Iterable[tuple[float, float, float]],
        faces: Sequence[Sequence[int]],
        color: tuple[float, float, float],
        opacity: float | None = None,
        api: str = "",
        values: Values | None = None,
    ) -> Sdf.PrimSpec:
        places = Vt.Vec3fArray([Gf.Vec3f(self.frame.local(*point)) for point in points])
        drawn: Values = {
            "points": (_TYPES.Point3fArray, places),
            "faceVertexCounts": (_TYPES.IntArray, Vt.IntArray([len(face) for face in faces])),
            "faceVertexIndices": (_TYPES.IntArray, Vt.IntArray([i for f in faces for i in f])),
            "normals": (_TYPES.Normal3fArray, Vt.Vec3fArray([_normal(places, f) for f in faces])),
            "subdivisionScheme": (_TYPES.Token, "none"),
            "doubleSided": (_TYPES.Bool, False),
            "extent": (_TYPES.Float3Array, UsdGeom.PointBased.ComputeExtent(places)),
            "primvars:displayColor": (_TYPES.Color3fArray, [Gf.Vec3f(*color)]),
            "primvars:displayOpacity": (
                _TYPES.FloatArray,
                None if opacity is None else Vt.FloatArray([opacity]),
            ),
        }
        prim = self._prim(path, "Mesh", api, {**(values or {}), **drawn})
        prim.attributes["normals"].SetInfo("interpolation", "uniform")
        return prim

    def _points(self, points: Sequence[Point], lift: float) -> Vt.Vec3fArray:
        return Vt.Vec3fArray([Gf.Vec3f(self.frame.local(x, y, lift)) for x, y in points])

    def _rel(self, prim: Sdf.PrimSpec, name: str, targets: Sequence[Sdf.Path]) -> None:
        rel = Sdf.RelationshipSpec(prim, name, False)
        rel.targetPathList.explicitItems = list(targets)


_UNIFORM = frozenset({"subdivisionScheme", "doubleSided", "type", "xformOpOrder"})


def _variability(name: str) -> Sdf.Variability:
    uniform = name.startswith("twin:") or name in _UNIFORM
    return Sdf.VariabilityUniform if uniform else Sdf.VariabilityVarying


def _normal(points: Vt.Vec3fArray, face: Sequence[int]) -> Gf.Vec3f:
    """Return the normal of a flat face (Newell's method)."""
    total = Gf.Vec3f(0, 0, 0)
    for a, b in zip(face, (*face[1:], *face[:1]), strict=True):
        total += Gf.Cross(points[a] - points[face[0]], points[b] - points[face[0]])
    return Gf.Vec3f(total.GetNormalized())


def _unless(value: Any, default: Any) -> Any:
    return None if value == default else value


def _other(id_: str, name: str) -> str | None:
    """Return an id where it is not the name of its prim already."""
    if not id_:
        raise MapError(f"{name}: what has no id cannot be written")
    return None if id_ == name else id_


def _names(things: Mapping[str, Any]) -> dict[str, str]:
    """Return names of prims for ids, each once."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for key in things:
        name = base = Tf.MakeValidIdentifier(key)
        number = 2
        while name.lower() in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name.lower())
        found[key] = name
    return found
