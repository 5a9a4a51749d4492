"""The cross dock: a small plant whose vehicles speak VDA 5050, on a map of its own."""

from __future__ import annotations

from math import cos, radians, sin

from pxr import Gf, Kind, Sdf, Usd, UsdGeom

from ._hall import add_camera, add_lights
from ._interfaces import apply_schemas, attribute
from ._map import write_map
from ._parameters import Parameters
from ._shapes import Shapes, tidy
from ._site import author_connection, stage_metadata

__all__ = ["write_fleet_plant"]

_FLEET = Sdf.Path("/World/Map/Fleet")
"""Below the map, whose frame the vehicles' poses are in."""
_LEFT, _RIGHT, _FRONT, _BACK = -13.5, 13.5, -8.5, 8.5
_AISLE = 2.0
"""How far the two aisles are from the middle [m]."""


def write_fleet_plant(layer: Sdf.Layer, parameters: Parameters) -> None:
    """Author the cross dock's stage into `layer`."""
    layer.comment = "A cross dock: eight vehicles by VDA 5050 on the connection `fleet`."
    layer.subLayerPaths.append("./interfaces.usda")
    stage_metadata(layer, parameters)
    world = Sdf.PrimSpec(layer, "World", Sdf.SpecifierDef, "Xform")
    world.kind = Kind.Tokens.assembly
    author_connection(layer, parameters.fleet)
    write_map(layer, parameters.fleet_map)
    _vehicles(layer, parameters)
    stage = Usd.Stage.Open(layer)
    shapes = Shapes(stage, "/World", "/World/Looks")
    _floor(shapes)
    _bays(shapes, parameters)
    _surroundings(shapes)
    add_lights(stage, "/World/Lights")
    UsdGeom.Scope.Define(stage, "/World/Cameras")
    add_camera(stage, "/World/Cameras/Overview", (-10.5, -16.5, 11.0), (-0.3, -0.1, 0.2), 28.0)
    add_camera(stage, "/World/Cameras/Above", (0.0, -0.01, 30.0), (0.0, 0.0, 0.0), 36.0)


def _vehicles(layer: Sdf.Layer, parameters: Parameters) -> None:
    """Each stands on a node at first, as the node's heading says."""
    group = Sdf.CreatePrimInLayer(layer, _FLEET)
    group.specifier, group.typeName, group.kind = Sdf.SpecifierDef, "Xform", Kind.Tokens.group
    layer.GetPrimAtPath(_FLEET.GetParentPath()).kind = Kind.Tokens.group
    apply_schemas(group, ["TwinAssetAPI"])
    attribute(group, "twin:id", "string", "fleet", uniform=True)
    attribute(group, "twin:kind", "token", "system", uniform=True)
    attribute(group, "twin:connection", "token", parameters.fleet.name, uniform=True)
    for name, node in parameters.fleet_vehicles.items():
        x, y, heading = parameters.fleet_map["nodes"][node]
        prim = Sdf.CreatePrimInLayer(layer, _FLEET.AppendChild(name))
        prim.specifier, prim.typeName = Sdf.SpecifierDef, "Xform"
        prim.referenceList.prependedItems = [Sdf.Reference("./assets/vehicle.usda")]
        attribute(prim, "twin:id", "string", name.lower(), uniform=True)
        c, s = cos(radians(heading)), sin(radians(heading))
        pose = Gf.Matrix4d(c, s, 0, 0, -s, c, 0, 0, 0, 0, 1, 0, x, y, 0, 1)
        attribute(prim, "xformOp:transform:live", "matrix4d", tidy(pose))


def _floor(s: Shapes) -> None:
    """Slab and paint; paint lies millimetres apart."""
    wide, deep = _RIGHT - _LEFT, _BACK - _FRONT
    s.box("Floor/Yard", (wide + 9, deep + 9, 0.2), (0, 0, -0.4), "Asphalt")
    s.box("Floor/Slab", (wide, deep, 0.3), (0, 0, -0.15), "Floor")
    for side, y in (("South", -_AISLE), ("North", _AISLE)):
        s.box(f"Floor/Aisle{side}", (23.2, 2.0, 0.004), (0, y, 0.002), "FloorLane")
        for edge, dy in (("Inner", -1.0), ("Outer", 1.0)):
            name = f"Floor/Edge{side}{edge}"
            s.box(name, (23.2, 0.08, 0.004), (0, y + dy, 0.004), "LineWhite")
    for index, x in enumerate((-10.5, -1.5, 1.5, 10.5)):
        s.box(f"Floor/Cross{index}", (2.0, 2.0, 0.004), (x, 0, 0.0025), "FloorLane")


def _bays(s: Shapes, parameters: Parameters) -> None:
    """Chargers and parking bays to the north, stations to the south, each before its node."""
    nodes = parameters.fleet_map["nodes"]
    for name, station in parameters.fleet_map["stations"].items():
        x, y, heading = nodes[station["node"]]
        out = 1.0 if heading > 0 else -1.0
        look = "LineYellow" if out > 0 else "LineWhite"
        for side, dx in (("Left", -1.05), ("Right", 1.05)):
            at = (x + dx, y - 0.1 * out, 0.004)
            s.box(f"Floor/Bay{name}/{side}", (0.08, 2.6, 0.004), at, look)
        if station["kind"] == "charge":
            asset, far, variants = "charger_body", 1.35, {}
        elif station["kind"] == "park":
            s.box(f"Floor/Bay{name}/Stop", (1.6, 0.16, 0.12), (x, y + 0.9 * out, 0.06), "Yellow")
            continue
        else:
            full = station["kind"] == "pick"
            asset, far, variants = "station_body", 1.6, {"load": "totes" if full else "empty"}
        at = (x, y + far * out, 0)
        prim = s.reference(f"Bays/{name}", f"./assets/{asset}.usda", at, (0, 0, -90 * out))
        for variant, choice in variants.items():
            prim.GetVariantSet(variant).SetVariantSelection(choice)
    Usd.ModelAPI(s.stage.GetPrimAtPath(s.path("Bays"))).SetKind(Kind.Tokens.group)


def _surroundings(s: Shapes) -> None:
    """A wall and racks behind the chargers, goods in the middle, people for scale."""
    wide = _RIGHT - _LEFT
    s.box("Walls/Back", (wide, 0.2, 5.6), (0, _BACK + 0.1, 2.8), "Panel")
    s.box("Walls/Stripe", (wide, 0.03, 0.3), (0, _BACK - 0.02, 5.2), "Teal")
    for index in range(8):
        at = (-10.85 + 3.1 * index, _BACK - 1.0, 0.0)
        s.reference(f"Racks/Rack{index}", "./assets/rack.usda", at)
    for index, x in enumerate((-6.0, 6.0)):
        s.box(f"Island/Plinth{index}", (6.4, 1.4, 0.12), (x, 0, 0.06), "Concrete")
        for pallet, dx in enumerate((-2.2, 0.0, 2.2)):
            at = (x + dx, 0.0, 0.12)
            s.reference(f"Island/Pallet{index}{pallet}", "./assets/pallet_stack.usda", at)
    for index, (x, y) in enumerate(((-12.4, 0.0), (12.4, 0.0))):
        s.reference(f"Bollards/Bollard{index}", "./assets/bollard.usda", (x, y, 0))
    for index, (x, y, yaw) in enumerate(((-11.6, -5.6, 40), (10.4, -5.4, 120))):
        s.reference(f"People/Operator{index}", "./assets/operator.usda", (x, y, 0), (0, 0, yaw))
    for name in ("Racks", "Island", "Bollards", "People"):
        Usd.ModelAPI(s.stage.GetPrimAtPath(s.path(name))).SetKind(Kind.Tokens.group)
