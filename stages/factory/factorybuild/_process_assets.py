"""Machines of a process line: pump, motor, tank, valve, conveyor.

Each function draws one asset into a fresh file that has the interfaces as sublayer, so that the
asset inherits its class and a site's class of the same name overrides it.
"""

from itertools import pairwise
from math import cos, pi, sin
from pathlib import Path

from pxr import Sdf, Usd, UsdGeom

from ._shapes import Shapes, chamfered, new_stage, subcomponent

INTERFACES = "../interfaces.usda"
LAMP_LOOKS = {"running": "LightGreen", "stopped": "LightOff", "fault": "LightRed"}


def machine(folder: Path, file: str, name: str, kind: str = "component") -> Shapes:
    """A fresh asset that inherits the interface `_<name>`."""
    stage = new_stage(folder / "assets" / f"{file}.usda", name, kind, [INTERFACES])
    stage.GetDefaultPrim().GetInherits().AddInherit(f"/_{name}")
    return Shapes(stage, f"/{name}")


def driven_op(prim: Usd.Prim, op: str, suffix: str, seed: float) -> None:
    """Append a double xformOp that telemetry drives, such as `rotateZ:position`."""
    name = f"xformOp:{op}:{suffix}"
    prim.CreateAttribute(name, Sdf.ValueTypeNames.Double, False).Set(seed)
    xform = UsdGeom.Xformable(prim)
    order = [*(xform.GetXformOpOrderAttr().Get() or []), name]
    xform.CreateXformOpOrderAttr().Set(order)


def draw_pump(shapes: Shapes, name: str) -> None:
    """A centrifugal pump, shaft along X at 0.47 m, suction at -X, discharge up."""
    subcomponent(shapes.group(name))
    s = f"{name}/"
    shapes.cylinder(s + "Volute", 0.27, 0.2, (0, 0, 0.47), "CastBlue", "X")
    shapes.cylinder(s + "Cover", 0.2, 0.3, (0.02, 0, 0.47), "CastBlue", "X")
    shapes.cylinder(s + "BearingHousing", 0.11, 0.4, (0.3, 0, 0.47), "CastBlue", "X")
    shapes.cylinder(s + "BearingCap", 0.13, 0.05, (0.47, 0, 0.47), "SteelDark", "X")
    shapes.cylinder(s + "SuctionNeck", 0.11, 0.22, (-0.2, 0, 0.47), "CastBlue", "X")
    shapes.cylinder(s + "SuctionFlange", 0.18, 0.04, (-0.33, 0, 0.47), "Steel", "X")
    shapes.cylinder(s + "DischargeNeck", 0.09, 0.36, (0, 0, 0.65), "CastBlue")
    shapes.cylinder(s + "DischargeFlange", 0.15, 0.04, (0, 0, 0.83), "Steel")
    shapes.box(s + "Foot", (0.3, 0.34, 0.14), (0, 0, 0.19), "CastBlue")
    shapes.box(s + "HousingFoot", (0.12, 0.24, 0.26), (0.36, 0, 0.25), "CastBlue")
    for index in range(8):
        turn = 2 * pi * index / 8
        at = (-0.12, 0.235 * cos(turn), 0.47 + 0.235 * sin(turn))
        shapes.cylinder(f"{s}Bolt{index}", 0.018, 0.04, at, "Steel", "X")


def make_pump(folder: Path) -> None:
    """Pump with its base plate, coupling guard and local panel; the motor stands beside it."""
    shapes = machine(folder, "pump", "Pump")
    plate = chamfered(2.2, 0.72, 0.06)
    shapes.prism("BasePlate", plate, 0.12, (0.62, 0, 0), "SteelDark")
    draw_pump(shapes, "Body")
    shapes.cylinder("CouplingGuard", 0.15, 0.3, (0.64, 0, 0.47), "Yellow", "X")
    shapes.box("GuardFoot", (0.26, 0.22, 0.3), (0.64, 0, 0.27), "Yellow")
    shapes.group("Panel", (-0.1, -0.55, 0))
    shapes.box("Panel/Post", (0.05, 0.05, 0.95), (0, 0, 0.475), "SteelDark")
    shapes.box("Panel/Box", (0.26, 0.12, 0.34), (0, 0, 1.05), "OffWhite")
    shapes.box("Panel/Screen", (0.18, 0.01, 0.1), (0, -0.062, 1.12), "Screen")
    shapes.cylinder("Panel/Stop", 0.03, 0.03, (0.05, -0.07, 0.97), "Red", "Y")
    shapes.cylinder("Panel/LampFoot", 0.03, 0.05, (0, 0, 1.245), "Black")
    lamp = shapes.capsule("Panel/Lamp", 0.045, 0.06, (0, 0, 1.33), "LightOff")
    shapes.lamp_variants("state", lamp, LAMP_LOOKS, "running")
    shapes.stage.Save()


def draw_motor(shapes: Shapes, name: str) -> None:
    """A finned induction motor, shaft along X at 0.35 m, drive end at -X."""
    subcomponent(shapes.group(name))
    s = f"{name}/"
    shapes.cylinder(s + "Frame", 0.2, 0.62, (0, 0, 0.35), "MotorGrey", "X")
    shapes.cylinder(s + "ShieldDrive", 0.225, 0.06, (-0.33, 0, 0.35), "MotorGrey", "X")
    shapes.cylinder(s + "FanCover", 0.23, 0.16, (0.39, 0, 0.35), "Anthracite", "X")
    shapes.cylinder(s + "Grille", 0.15, 0.02, (0.475, 0, 0.35), "Black", "X")
    shapes.cylinder(s + "Shaft", 0.035, 0.2, (-0.45, 0, 0.35), "Chrome", "X")
    shapes.box(s + "TerminalBox", (0.24, 0.2, 0.13), (-0.02, 0, 0.61), "MotorGrey")
    shapes.box(s + "Nameplate", (0.16, 0.004, 0.09), (0, -0.232, 0.35), "Aluminium")
    for side, y in (("Left", 0.15), ("Right", -0.15)):
        shapes.box(f"{s}Foot{side}", (0.5, 0.09, 0.16), (0, y, 0.08), "MotorGrey")
    for index in range(18):
        turn = 360.0 * index / 18
        angle = turn * pi / 180
        at = (0, 0.212 * cos(angle), 0.35 + 0.212 * sin(angle))
        shapes.box(f"{s}Fin{index:02d}", (0.56, 0.042, 0.012), at, "MotorGrey", (turn, 0, 0))


def make_motor(folder: Path) -> None:
    """Motor with its frequency converter on the terminal box."""
    shapes = machine(folder, "motor", "Motor")
    draw_motor(shapes, "Body")
    shapes.box("Drive", (0.3, 0.24, 0.12), (0.02, 0, 0.735), "OffWhite")
    shapes.box("DriveScreen", (0.1, 0.01, 0.05), (0.02, -0.122, 0.75), "Screen")
    shapes.stage.Save()


def draw_tank(
    shapes: Shapes, name: str, radius: float, height: float, foot: float, seed: float
) -> None:
    """An upright tank with a glass shell; `Fluid` beside it is scaled by the level [m]."""
    subcomponent(shapes.group(name))
    s = f"{name}/"
    shell = shapes.cylinder(s + "Shell", radius, height, (0, 0, foot + height / 2), "Glass")
    UsdGeom.Gprim(shell).CreateDoubleSidedAttr(True)
    shapes.frustum(s + "Bottom", (radius * 0.2, radius), foot * 0.45, (0, 0, foot * 0.55), "Steel")
    shapes.cylinder(s + "Outlet", radius * 0.11, foot * 0.3, (0, 0, foot * 0.45), "Steel")
    shapes.cone(
        s + "Roof", radius * 1.03, radius * 0.32, (0, 0, foot + height + radius * 0.16), "Steel"
    )
    for index in range(4):
        z = foot + height * index / 3
        shapes.cylinder(f"{s}Band{index}", radius * 1.025, radius * 0.08, (0, 0, z), "Steel")
        turn = pi / 4 + pi / 2 * index
        at = (0.88 * radius * cos(turn), 0.88 * radius * sin(turn), foot / 2)
        shapes.cylinder(f"{s}Leg{index}", radius * 0.06, foot, at, "Steel")
    fluid = shapes.group("Fluid", (0, 0, foot + 0.03))
    driven_op(fluid, "scaleZ", "level", seed)
    shapes.cylinder("Fluid/Column", radius * 0.95, 1.0, (0, 0, 0.5), "Water")


def make_tank(folder: Path) -> None:
    """Process tank of 12 m3 with agitator, two level transmitters and a ladder."""
    shapes = machine(folder, "tank", "Tank")
    draw_tank(shapes, "Body", 1.15, 3.2, 1.1, 1.6)
    top = 4.66
    shapes.cylinder("Agitator/Gear", 0.16, 0.3, (0, 0, top + 0.1), "CastBlue")
    shapes.cylinder("Agitator/Motor", 0.13, 0.42, (0, 0, top + 0.45), "MotorGrey")
    shapes.cylinder("Agitator/Shaft", 0.03, 3.0, (0, 0, 2.9), "Chrome")
    for index in range(2):
        rotate = (0, 0, 90.0 * index)
        shapes.box(f"Agitator/Blade{index}", (1.1, 0.1, 0.05), (0, 0, 1.5), "Chrome", rotate)
    for name, x in (("Radar", 0.6), ("PressureCell", -0.6)):
        shapes.cylinder(f"{name}/Neck", 0.05, 0.3, (x, 0.3, 4.55), "Steel")
        shapes.cylinder(f"{name}/Head", 0.09, 0.14, (x, 0.3, 4.76), "CastBlue")
    for side, y in (("Left", -0.22), ("Right", 0.22)):
        shapes.box(f"Ladder/{side}", (0.04, 0.04, 4.9), (1.32, y, 2.45), "Yellow")
    for index in range(15):
        rung = (1.32, 0.0, 0.35 + 0.3 * index)
        shapes.cylinder(f"Ladder/Rung{index:02d}", 0.014, 0.44, rung, "Yellow", "Y")
    turns = [pi / 10 + k * pi / 5 for k in range(11)]
    corners = [(1.19 * cos(turn), 1.19 * sin(turn)) for turn in turns]
    for index, ((x, y), end) in enumerate(pairwise(corners)):
        shapes.cylinder(f"Railing/Post{index}", 0.015, 0.75, (x, y, 4.72), "Yellow")
        for bar, z in enumerate((4.75, 5.08)):
            shapes.tube(f"Railing/Bar{bar}{index}", (x, y, z), (*end, z), 0.015, "Yellow")
    fills = {"empty": 0.15, "half": 1.6, "full": 2.6}
    fluid = shapes.stage.GetPrimAtPath(shapes.path("Fluid"))
    fluid.GetAttribute("xformOp:scaleZ:level").Clear()
    variant_set = shapes.variants("fill", list(fills), "half")
    for choice, level in fills.items():
        variant_set.SetVariantSelection(choice)
        with variant_set.GetVariantEditContext():
            fluid.GetAttribute("xformOp:scaleZ:level").Set(level)
    variant_set.SetVariantSelection("half")
    shapes.stage.Save()


def draw_valve(shapes: Shapes, name: str) -> None:
    """A flanged ball valve, pipe axis X through the origin, 0.52 m long, actuator above."""
    subcomponent(shapes.group(name))
    s = f"{name}/"
    shapes.sphere(s + "Ball", 0.17, (0, 0, 0), "Steel")
    shapes.cylinder(s + "Body", 0.12, 0.5, (0, 0, 0), "Steel", "X")
    for side, x in (("In", -0.24), ("Out", 0.24)):
        shapes.cylinder(f"{s}Flange{side}", 0.18, 0.04, (x, 0, 0), "Steel", "X")
    shapes.cylinder(s + "Stem", 0.05, 0.2, (0, 0, 0.22), "Steel")


def make_valve(folder: Path) -> None:
    """Ball valve with electric actuator; the bar on top turns with the ball."""
    shapes = machine(folder, "valve", "Valve")
    draw_valve(shapes, "Body")
    shapes.prism("Actuator", chamfered(0.36, 0.26, 0.05), 0.24, (0, 0, 0.32), "Yellow")
    shapes.cylinder("Gland", 0.03, 0.12, (0, -0.18, 0.42), "Black", "Y")
    shapes.cylinder("Dome", 0.1, 0.05, (0, 0, 0.585), "Black")
    indicator = shapes.group("Indicator", (0, 0, 0.62))
    driven_op(indicator, "rotateZ", "position", 90.0)
    lamp = shapes.box("Indicator/Bar", (0.06, 0.3, 0.035), (0, 0, 0.01), "LightOff")
    looks = {"open": "LightGreen", "closed": "LightRed"}
    shapes.lamp_variants("position", lamp, looks, "open")
    turn = indicator.GetAttribute("xformOp:rotateZ:position")
    turn.Clear()
    variant_set = shapes.stage.GetDefaultPrim().GetVariantSet("position")
    for choice, angle in (("closed", 0.0), ("open", 90.0)):
        variant_set.SetVariantSelection(choice)
        with variant_set.GetVariantEditContext():
            turn.Set(angle)
    shapes.stage.Save()


def make_conveyor(folder: Path) -> None:
    """Roller conveyor of 6 m; `Load` carries four cartons and travels one pitch of 1.5 m."""
    shapes = machine(folder, "conveyor", "Conveyor")
    for side, y in (("Left", 0.42), ("Right", -0.42)):
        shapes.box(f"Frame/{side}", (6.0, 0.06, 0.16), (0, y, 0.74), "Anthracite")
        shapes.box(f"Frame/Strip{side}", (6.0, 0.01, 0.05), (0, y * 1.075, 0.75), "Orange")
        shapes.tube(f"Guide/Rail{side}", (-3, y, 1.0), (3, y, 1.0), 0.02, "Chrome")
        for index, x in enumerate((-2.6, 0.0, 2.6)):
            shapes.box(f"Frame/Leg{side}{index}", (0.08, 0.06, 0.7), (x, y, 0.35), "Anthracite")
            shapes.box(f"Frame/Foot{side}{index}", (0.2, 0.14, 0.02), (x, y, 0.01), "SteelDark")
            shapes.cylinder(f"Guide/Post{side}{index}", 0.014, 0.22, (x, y, 0.9), "Chrome")
    for index, x in enumerate((-2.6, 0.0, 2.6)):
        shapes.box(f"Frame/Brace{index}", (0.05, 0.8, 0.05), (x, 0, 0.3), "Anthracite")
    shapes.group("Rollers")
    for index in range(30):
        at = (-2.9 + 0.2 * index, 0, 0.8)
        shapes.reference(f"Rollers/Roller{index:02d}", "./roller.usda", at, kind="subcomponent")
    shapes.box("Drive/Gear", (0.28, 0.22, 0.24), (2.1, 0, 0.56), "CastBlue")
    shapes.cylinder("Drive/Motor", 0.1, 0.4, (1.78, 0, 0.56), "MotorGrey", "X")
    shapes.box("Panel/Box", (0.3, 0.14, 0.3), (-1.3, -0.52, 0.55), "OffWhite")
    shapes.cylinder("Panel/Stop", 0.035, 0.03, (-1.3, -0.6, 0.6), "Red", "Y")
    load = shapes.group("Load")
    driven_op(load, "translateX", "travel", 0.0)
    variant_set = shapes.variants("load", ["cartons", "totes", "empty"], "cartons")
    for choice in ("cartons", "totes"):
        variant_set.SetVariantSelection(choice)
        asset = {"cartons": "./carton.usda", "totes": "./tote.usda"}[choice]
        with variant_set.GetVariantEditContext():
            for index in range(4):
                spot = (-2.6 + 1.5 * index, 0.0, 0.83)
                shapes.reference(f"Load/Item{index}", asset, spot, kind="subcomponent")
    variant_set.SetVariantSelection("cartons")
    shapes.stage.Save()
