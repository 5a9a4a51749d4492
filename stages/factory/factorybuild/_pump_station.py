"""The recorded water-pump test bed: a bench with a closed loop of water.

A motor drives a centrifugal pump that lifts water from a tank through two valves and back. The
recording has one row a second; the stage binds it on the connection `testbed`.
"""

from pxr import Kind, Sdf, Usd, UsdGeom

from ._hall import add_camera, add_lights
from ._interfaces import attribute
from ._parameters import Parameters
from ._process_assets import draw_motor, draw_pump, draw_tank, draw_valve
from ._shapes import Shapes, chamfered
from ._site import author_connection, stage_metadata

BENCH = "/World/TestBed"


def _bench(s: Shapes) -> None:
    """Aluminium frame with a plate, on castors."""
    for x in (-1.5, 1.5):
        for y in (-0.7, 0.7):
            tag = f"{'L' if x < 0 else 'R'}{'F' if y < 0 else 'B'}"
            s.box(f"Bench/Leg{tag}", (0.09, 0.09, 0.66), (x, y, 0.45), "Aluminium")
            s.cylinder(f"Bench/Castor{tag}", 0.06, 0.05, (x, y, 0.06), "Rubber", "Y")
    for side, y in (("Front", -0.7), ("Back", 0.7)):
        s.box(f"Bench/Rail{side}", (2.91, 0.07, 0.09), (0, y, 0.28), "Aluminium")
    s.prism("Bench/Plate", chamfered(3.3, 1.7, 0.05), 0.05, (0, 0, 0.78), "Panel")
    for index, x in enumerate((-1.5, 0.0, 1.5)):
        s.box(f"Bench/Frame{index}", (0.08, 0.08, 1.5), (x, 0.74, 1.55), "Aluminium")
    s.box("Bench/FrameTop", (3.08, 0.08, 0.08), (0, 0.74, 2.3), "Aluminium")


def _loop(s: Shapes) -> None:
    """Tank, pump, motor, valves and the pipes between them; the bench top is at 0.83 m."""
    s.group("Tank", (-1.0, 0.15, 0.83))
    draw_tank(Shapes(s.stage, f"{BENCH}/Tank", str(s.looks)), "Body", 0.36, 0.72, 0.3, 0.5)
    s.group("Pump", (-0.05, -0.25, 0.83))
    s.box("Pump/Plate", (1.5, 0.42, 0.05), (0.45, 0, 0.025), "SteelDark")
    draw_pump(Shapes(s.stage, f"{BENCH}/Pump", str(s.looks)), "Body")
    s.cylinder("Pump/CouplingGuard", 0.12, 0.24, (0.6, 0, 0.47), "Yellow", "X")
    s.group("Motor", (1.07, -0.25, 0.95))
    s.box("Motor/Plinth", (0.52, 0.4, 0.12), (0, 0, -0.06), "SteelDark")
    draw_motor(Shapes(s.stage, f"{BENCH}/Motor", str(s.looks)), "Body")
    valves = {"ValveInlet": (-0.62, -0.25, 1.30), "ValveOutlet": (0.32, 0.5, 2.02)}
    for name, at in valves.items():
        s.group(name, at)
        draw_valve(Shapes(s.stage, f"{BENCH}/{name}", str(s.looks)), "Body")
        s.box(f"{name}/Lever", (0.34, 0.05, 0.03), (0.1, 0, 0.33), "Red")
    blue, green, radius = "PipeBlue", "PipeGreen", 0.06
    suction = [(-1.0, 0.15, 0.95), (-1.0, -0.25, 0.95), (-1.0, -0.25, 1.3), (-0.88, -0.25, 1.3)]
    discharge = [(-0.05, -0.25, 1.66), (-0.05, -0.25, 2.02), (-0.05, 0.5, 2.02), (0.06, 0.5, 2.02)]
    back = [(0.58, 0.5, 2.02), (0.95, 0.5, 2.02), (0.95, 0.5, 2.5), (-1.0, 0.5, 2.5)]
    s.pipe("Suction", suction, radius, green)
    s.pipe("Inlet", [(-0.36, -0.25, 1.3), (-0.38, -0.25, 1.3)], radius, green)
    s.pipe("Discharge", discharge, radius, blue)
    s.pipe("Return", [*back, (-1.0, 0.15, 2.5), (-1.0, 0.15, 1.95)], radius, blue)


def _instruments(s: Shapes) -> None:
    """What measures: accelerometers, flow meter, manometer, thermocouple, panel."""
    s.cylinder("Accelerometer1", 0.03, 0.06, (1.07, -0.25, 1.54), "Chrome")
    s.cylinder("Accelerometer2", 0.03, 0.06, (0.3, -0.25, 1.44), "Chrome")
    s.box("FlowMeter/Body", (0.26, 0.16, 0.16), (0.0, 0.5, 2.5), "CastBlue")
    s.cylinder("FlowMeter/Neck", 0.04, 0.14, (0, 0.5, 2.62), "Steel")
    s.box("FlowMeter/Head", (0.2, 0.12, 0.14), (0, 0.5, 2.74), "CastBlue")
    s.box("FlowMeter/Screen", (0.12, 0.01, 0.07), (0, 0.437, 2.75), "Screen")
    s.cylinder("Manometer/Neck", 0.02, 0.14, (-0.05, -0.34, 1.86), "Chrome", "Y")
    s.cylinder("Manometer/Case", 0.11, 0.05, (-0.05, -0.42, 1.86), "Chrome", "Y")
    s.cylinder("Manometer/Dial", 0.095, 0.01, (-0.05, -0.447, 1.86), "White", "Y")
    s.box("Manometer/Needle", (0.008, 0.004, 0.075), (-0.03, -0.455, 1.885), "Red", (0, 35, 0))
    s.cylinder("Thermocouple", 0.02, 0.24, (-1.28, 0.15, 2.05), "Chrome")
    s.box("Panel/Box", (0.7, 0.22, 0.85), (1.12, 0.62, 1.5), "OffWhite")
    s.box("Panel/Door", (0.64, 0.01, 0.79), (1.12, 0.506, 1.5), "White")
    s.box("Panel/Screen", (0.36, 0.012, 0.22), (1.12, 0.5, 1.68), "Screen")
    for index, look in enumerate(("LightGreen", "LightAmber", "LightRed")):
        at = (0.98 + 0.14 * index, 0.495, 1.42)
        s.cylinder(f"Panel/Lamp{index}", 0.03, 0.02, at, look, "Y")
    s.cylinder("Panel/Stop", 0.045, 0.04, (1.12, 0.485, 1.26), "Red", "Y")
    s.tube("Panel/Conduit", (1.12, 0.62, 1.08), (1.12, 0.62, 0.83), 0.025, "Black")


def write_pump_station(layer: Sdf.Layer, parameters: Parameters) -> None:
    """Author the test bed's stage into `layer`."""
    layer.comment = "A water-pump test bed, fed from a recording on the connection `testbed`."
    layer.subLayerPaths.append("./interfaces.usda")
    stage_metadata(layer, parameters)
    world = Sdf.PrimSpec(layer, "World", Sdf.SpecifierDef, "Xform")
    world.kind = Kind.Tokens.assembly
    author_connection(layer, parameters.testbed)
    stage = Usd.Stage.Open(layer)
    bed = UsdGeom.Xform.Define(stage, BENCH).GetPrim()
    Usd.ModelAPI(bed).SetKind(Kind.Tokens.component)
    bed.GetInherits().AddInherit("/_Testbed")
    spec = layer.GetPrimAtPath(BENCH)
    attribute(spec, "twin:id", "string", "testbed", uniform=True)
    connection = parameters.testbed.name
    attribute(spec, "twin:connection", "token", connection, uniform=True)
    shapes = Shapes(stage, BENCH)
    _bench(shapes)
    _loop(shapes)
    _instruments(shapes)
    room = Shapes(stage, "/World", "/World/Looks")
    room.box("Room/Floor", (24, 24, 0.1), (0, 0, -0.05), "Floor")
    room.box("Room/Wall", (24, 0.2, 5), (0, 3.2, 2.5), "Panel")
    room.box("Room/Stripe", (24, 0.02, 0.5), (0, 3.09, 0.9), "Teal")
    add_lights(stage, "/World/Lights")
    UsdGeom.Scope.Define(stage, "/World/Cameras")
    add_camera(stage, "/World/Cameras/Overview", (-2.7, -4.9, 2.9), (0.0, 0.0, 1.35), 32.0)
    add_camera(stage, "/World/Cameras/Pump", (-0.8, -2.6, 1.9), (0.4, 0.0, 1.3), 32.0)
