"""Where everything stands: lines, robot cell, energy, AMR area.

Siblings are written through Sdf, since defining many siblings on a composed stage is quadratic.
"""

from collections.abc import Iterator
from math import cos, radians, sin

from pxr import Gf, Kind, Sdf, Usd, UsdGeom, UsdPhysics, Vt

from ._hall import draw_hall, draw_lights_and_cameras
from ._interfaces import apply_schemas, attribute
from ._models import author_line_models
from ._parameters import AreaSpec, MachineSpec, Parameters, Vec
from ._shapes import Shapes, tidy

WORLD = Sdf.Path("/World")


def _xform(layer: Sdf.Layer, path: Sdf.Path, kind: str = "") -> Sdf.PrimSpec:
    prim = Sdf.CreatePrimInLayer(layer, path)
    prim.specifier, prim.typeName = Sdf.SpecifierDef, "Xform"
    if kind:
        prim.kind = kind
    return prim


def _place(prim: Sdf.PrimSpec, at: Vec, yaw: float = 0.0) -> None:
    """Translate and turn a prim about Z [m, deg]."""
    ops = []
    x, y, *rest = at
    if any(at):
        op = "xformOp:translate"
        attribute(prim, op, "double3", Gf.Vec3d(x, y, *rest or [0.0]))
        ops.append(op)
    if yaw:
        attribute(prim, "xformOp:rotateZ", "float", float(yaw))
        ops.append("xformOp:rotateZ")
    if ops:
        attribute(prim, "xformOpOrder", "token[]", Vt.TokenArray(ops), uniform=True)


def _reference(prim: Sdf.PrimSpec, asset: str) -> None:
    prim.referenceList.prependedItems = [Sdf.Reference(f"./assets/{asset}.usda")]


def _select(prim: Sdf.PrimSpec, variants: dict[str, str]) -> None:
    for name, choice in variants.items():
        prim.variantSelections[name] = choice


def _area(layer: Sdf.Layer, name: str, area: str, connection: str, at: Vec) -> Sdf.PrimSpec:
    """A group of machines that share a variable of their addresses and a connection."""
    prim = _xform(layer, WORLD.AppendChild(name), Kind.Tokens.group)
    apply_schemas(prim, ["TwinAssetAPI"])
    attribute(prim, "twin:id", "string", area, uniform=True)
    attribute(prim, "twin:kind", "token", "process", uniform=True)
    attribute(prim, "twin:connection", "token", connection, uniform=True)
    attribute(prim, "twin:var:area", "string", area, uniform=True, custom=True)
    _place(prim, at)
    return prim


def _machine(
    layer: Sdf.Layer, parent: Sdf.Path, spec: MachineSpec, name: str, identity: str
) -> Sdf.PrimSpec:
    prim = _xform(layer, parent.AppendChild(name))
    _reference(prim, spec.asset)
    _select(prim, spec.variants)
    attribute(prim, "twin:id", "string", identity, uniform=True)
    _place(prim, (*spec.at, spec.z), spec.yaw)
    return prim


def _line(layer: Sdf.Layer, parameters: Parameters, number: int) -> None:
    """One process line: machines, decorations; its pipes are drawn afterwards."""
    line = parameters.line
    area = f"line{number}"
    at = (line.origin[0], line.origin[1] + line.pitch * (number - 1), 0.0)
    prim = _area(layer, f"Line{number}", area, line.connection, at)
    prim.inheritPathList.prependedItems = [Sdf.Path("/_Line")]
    for spec in line.machines:
        name = spec.name.format(n=number)
        _machine(layer, prim.path, spec, name, f"{area}-{name.lower()}")
    for spec in line.decorations:
        child = _xform(layer, prim.path.AppendChild(spec.name))
        _reference(child, spec.asset)
        child.instanceable = True
        _place(child, (*spec.at, spec.z), spec.yaw)


def _draw_pipes(stage: Usd.Stage, parameters: Parameters) -> None:
    for number in range(1, parameters.lines + 1):
        root = f"/World/Line{number}/Pipework"
        shapes = Shapes(stage, root, "/World/Looks")
        UsdGeom.Xform.Define(stage, root)
        for pipe in parameters.line.pipes:
            shapes.pipe(pipe.name.format(n=number), pipe.points, pipe.radius, pipe.look)
        for index, (x, y, z) in enumerate(parameters.line.supports):
            shapes.box(f"Support{index}/Post", (0.08, 0.08, z), (x, y, z / 2), "SteelDark")
            shapes.box(f"Support{index}/Foot", (0.26, 0.26, 0.02), (x, y, 0.01), "SteelDark")
            shapes.box(f"Support{index}/Saddle", (0.24, 0.24, 0.04), (x, y, z - 0.02), "SteelDark")


def _robot_cell(stage: Usd.Stage) -> None:
    """Pedestals, controllers, pallets and the fence around both arms."""
    shapes = Shapes(stage, "/World/RobotCell", "/World/Looks")

    def put(name: str, asset: str, x: float, y: float, yaw: float = 0.0, z: float = 0.0) -> None:
        shapes.reference(name, f"./assets/{asset}.usda", (x, y, z), (0, 0, yaw))

    for index, y in enumerate((-3.2, 3.2)):
        put(f"Pedestal{index}", "pedestal", 0, y)
        put(f"Stack{index}", "pallet_stack", 1.75, y + 0.05)
        put(f"Controller{index}", "controller", 2.6, y * 0.45, 90)
    put("Empty0", "pallet", 1.75, -0.1)
    put("Empty1", "pallet", 1.75, -0.1, z=0.145)
    put("Empty2", "pallet", 1.75, -0.1, z=0.29)
    left, right, low, high = -1.2, 3.4, -6.0, 6.0
    for index in range(6):
        y = low + 1 + 2 * index
        put(f"FenceRight{index}", "fence", right, y, 90)
        if abs(abs(y) - 5.0) > 0.5:
            put(f"FenceLeft{index}", "fence", left, y, 90)
    for index in range(2):
        x = left + 1.1 + 2.2 * index
        put(f"FenceLow{index}", "fence", x, low)
        put(f"FenceHigh{index}", "fence", x, high)


def _vehicles(area: AreaSpec) -> Iterator[tuple[int, Vec, float, str]]:
    for row in area.vehicles:
        yield row["number"], row["at"], float(row["yaw"]), row["state"]


def _fleet(layer: Sdf.Layer, area: AreaSpec) -> None:
    """The vehicles: one point instancer for the bodies, one small asset each for the signals."""
    parent = WORLD.AppendChild(area.name)
    fleet = _xform(layer, parent.AppendChild("Fleet"), Kind.Tokens.component)
    fleet.typeName = "PointInstancer"
    fleet.inheritPathList.prependedItems = [Sdf.Path("/_Fleet")]
    attribute(fleet, "twin:id", "string", "logistics-fleet", uniform=True)
    rows = list(_vehicles(area))
    prototypes = []
    for load in ("empty", "tote", "cartons"):
        body = _xform(layer, fleet.path.AppendPath(f"Prototypes/Amr{load.title()}"))
        _reference(body, "amr_body")
        _select(body, {"load": load})
        body.kind = Kind.Tokens.subcomponent
        prototypes.append(body.path)
    _xform(layer, fleet.path.AppendChild("Prototypes"))
    rel = Sdf.RelationshipSpec(fleet, "prototypes", False, Sdf.VariabilityUniform)
    rel.targetPathList.explicitItems = prototypes
    loads = [number % 3 if state == "driving" else 0 for number, _, _, state in rows]
    attribute(fleet, "protoIndices", "int[]", Vt.IntArray(loads))
    attribute(fleet, "ids", "int64[]", Vt.Int64Array([number for number, *_ in rows]))
    spots = [Gf.Vec3f(at[0], at[1], 0.0) for _, at, _, _ in rows]
    attribute(fleet, "positions", "point3f[]", Vt.Vec3fArray(spots))
    turns = []
    for _, _, yaw, _ in rows:
        half = radians(yaw) / 2
        turns.append(Gf.Quath(cos(half), Gf.Vec3h(0, 0, sin(half))))
    attribute(fleet, "orientations", "quath[]", Vt.QuathArray(turns))
    for number, at, yaw, state in rows:
        prim = _xform(layer, parent.AppendChild(f"AMR{number:02d}"))
        _reference(prim, "amr")
        _select(prim, {"body": "beacon", "state": state})
        attribute(prim, "twin:id", "string", f"amr-{number}", uniform=True)
        pose = Gf.Matrix4d().SetRotate(Gf.Rotation(Gf.Vec3d(0, 0, 1), yaw))
        pose.SetTranslateOnly(Gf.Vec3d(at[0], at[1], 0.0))
        attribute(prim, "xformOp:transform:live", "matrix4d", tidy(pose))


def write_layout(layer: Sdf.Layer, parameters: Parameters) -> None:
    """Author the whole layout into `layer`."""
    layer.comment = "Layout: where the machines stand."
    with Sdf.ChangeBlock():
        world = _xform(layer, WORLD, Kind.Tokens.assembly)
        attribute(world, "twin:frame", "token", parameters.frame, uniform=True)
        attribute(world, "twin:id", "string", "plant", uniform=True)
        attribute(world, "twin:kind", "token", "system", uniform=True)
        apply_schemas(world, ["TwinAssetAPI"])
        for number in range(1, parameters.lines + 1):
            _line(layer, parameters, number)
        for area in parameters.areas:
            prim = _area(layer, area.name, area.area, area.connection, (*area.at, 0.0))
            for spec in area.machines:
                _machine(layer, prim.path, spec, spec.name, spec.id)
            if area.vehicles:
                _fleet(layer, area)
    stage = Usd.Stage.Open(layer)
    stage.SetDefaultPrim(stage.GetPrimAtPath(WORLD))
    UsdPhysics.Scene.Define(stage, "/World/PhysicsScene").CreateGravityMagnitudeAttr(9.81)
    _draw_pipes(stage, parameters)
    for number in range(1, parameters.lines + 1):
        author_line_models(layer, WORLD.AppendChild(f"Line{number}"), parameters.line, number)
    _robot_cell(stage)
    back = parameters.line.origin[1] + parameters.line.pitch * (parameters.lines - 1) + 5.5
    draw_hall(stage, back)
    draw_lights_and_cameras(stage, back)
