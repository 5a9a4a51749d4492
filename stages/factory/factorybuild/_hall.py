"""The hall around the machines: floor, lanes, columns, walls, grounds, lights, cameras."""

from pxr import Gf, Kind, Sdf, Usd, UsdGeom, UsdLux

from ._shapes import Shapes, tidy

LEFT, RIGHT, FRONT = -31.0, 24.0, -17.5  # walls of the hall [m]
HEIGHT = 7.0  # [m]


def _asset(name: str) -> str:
    return f"./assets/{name}.usda"


def _floor(s: Shapes, back: float) -> None:
    """Floor slab, painted lanes and walkways; paint lies millimetres apart."""
    wide, deep = RIGHT - LEFT, back - FRONT
    middle = ((LEFT + RIGHT) / 2, (back + FRONT) / 2)
    s.box("Ground/Lawn", (220, 220, 0.2), (0, 0, -0.32), "Grass")
    s.box("Ground/Yard", (wide + 8, deep + 8, 0.2), (*middle, -0.24), "Asphalt")
    s.box("Ground/Road", (9, 220, 0.2), (RIGHT + 20, 0, -0.28), "Asphalt")
    s.box("Floor/Slab", (wide, deep, 0.3), (*middle, -0.15), "Floor")
    s.box("Floor/LaneSouth", (wide - 8, 5.2, 0.004), (middle[0] + 2, -8.0, 0.002), "FloorLane")
    s.box(
        "Floor/LaneEast",
        (5.2, back - FRONT - 12.4, 0.004),
        (15.8, (back - 4.6) / 2 - 3, 0.0025),
        "FloorLane",
    )
    s.box("Floor/Walkway", (wide - 12, 1.3, 0.004), (middle[0] - 2, -3.9, 0.003), "FloorWalk")
    for name, y in (("A", -10.6), ("B", -5.4)):
        s.box(f"Floor/Edge{name}", (wide - 8, 0.12, 0.004), (middle[0] + 2, y, 0.005), "LineYellow")
    for index in range(14):
        x = LEFT + 7.5 + 3.2 * index
        s.box(f"Floor/Dash{index:02d}", (1.6, 0.1, 0.004), (x, -8.0, 0.005), "LineWhite")
    for name, y in (("A", -4.55), ("B", -3.25)):
        s.box(f"Floor/Walk{name}", (wide - 12, 0.08, 0.004), (middle[0] - 2, y, 0.006), "LineWhite")
    for index in range(6):
        y = -5.2 + 0.4 * index
        s.box(f"Floor/Zebra{index}", (2.6, 0.2, 0.004), (15.8, y, 0.007), "LineWhite")
    for index, x in enumerate((-15.0, -12.2, -9.4)):
        _bay(s, f"Floor/ChargerBay{index}", x, -14.0, 2.4, 4.4, "LineYellow")
    for index, x in enumerate((-3.0, 2.0, 7.0, 12.0)):
        _bay(s, f"Floor/StationBay{index}", x, -13.5, 3.2, 4.6, "LineWhite")


def _bay(s: Shapes, name: str, x: float, y: float, wide: float, deep: float, look: str) -> None:
    """A painted frame on the floor, open towards the lane."""
    for side, dx in (("Left", -wide / 2), ("Right", wide / 2)):
        s.box(f"{name}/{side}", (0.1, deep, 0.004), (x + dx, y, 0.005), look)
    s.box(f"{name}/Back", (wide + 0.1, 0.1, 0.004), (x, y - deep / 2, 0.0055), look)


def _line_floor(s: Shapes, lines: int, origin: float, pitch: float) -> None:
    """Yellow frames around the lines and drip trays below the pumps."""
    for number in range(1, lines + 1):
        y = origin + pitch * (number - 1)
        name = f"Floor/Line{number}"
        s.box(f"{name}/South", (33.0, 0.1, 0.004), (-10.6, y - 2.6, 0.005), "LineYellow")
        s.box(f"{name}/North", (33.0, 0.1, 0.004), (-10.6, y + 4.1, 0.005), "LineYellow")
        s.box(f"{name}/Tray", (7.0, 5.6, 0.03), (-17.4, y + 0.9, 0.012), "Concrete")


def _shell(s: Shapes, back: float) -> None:
    """Columns, beams, two walls with a band of windows; front and right stay open."""
    wide, deep = RIGHT - LEFT, back - FRONT
    x_mid, y_mid = (LEFT + RIGHT) / 2, (back + FRONT) / 2
    for index in range(10):
        x = LEFT + wide * index / 9
        s.reference(f"Columns/Back{index:02d}", _asset("column"), (x, back, 0), (0, 0, 90))
    rows = max(2, round(deep / 6))
    for index in range(1, rows + 1):
        y = back - deep * index / rows
        s.reference(f"Columns/Left{index:02d}", _asset("column"), (LEFT, y, 0))
    s.box("Walls/BackSill", (wide, 0.2, 2.4), (x_mid, back + 0.3, 1.2), "Panel")
    s.box("Walls/BackWindow", (wide, 0.06, 2.4), (x_mid, back + 0.3, 3.6), "Window")
    s.box("Walls/BackTop", (wide, 0.2, 2.2), (x_mid, back + 0.3, 5.9), "PanelDark")
    s.box("Walls/LeftSill", (0.2, deep, 2.4), (LEFT - 0.3, y_mid, 1.2), "Panel")
    s.box("Walls/LeftWindow", (0.06, deep, 2.4), (LEFT - 0.3, y_mid, 3.6), "Window")
    s.box("Walls/LeftTop", (0.2, deep, 2.2), (LEFT - 0.3, y_mid, 5.9), "PanelDark")
    for index in range(28):
        x = LEFT + wide * index / 27
        s.box(f"Walls/BackMullion{index:02d}", (0.06, 0.1, 2.4), (x, back + 0.3, 3.6), "PanelDark")
    for index in range(1, 17):
        y = back - deep * index / 16
        s.box(f"Walls/LeftMullion{index:02d}", (0.1, 0.06, 2.4), (LEFT - 0.3, y, 3.6), "PanelDark")
    s.box("Beams/Back", (wide, 0.3, 0.4), (x_mid, back, HEIGHT), "Girder")
    s.box("Beams/Left", (0.3, deep, 0.4), (LEFT, y_mid, HEIGHT), "Girder")
    s.box("Walls/Stripe", (wide, 0.03, 0.35), (x_mid, back + 0.19, 5.1), "Teal")
    s.box("Walls/LeftStripe", (0.03, deep, 0.35), (LEFT - 0.19, y_mid, 5.1), "Teal")


def _services(s: Shapes, back: float) -> None:
    """A pipe bridge and a duct along the back wall, and the cabinets below them."""
    y = back - 1.3
    for index in range(7):
        x = LEFT + 2.5 + 5.2 * index
        for side, dy in (("Front", -0.6), ("Back", 0.6)):
            s.box(f"PipeBridge/Post{index}{side}", (0.14, 0.14, 4.3), (x, y + dy, 2.15), "Girder")
        s.box(f"PipeBridge/Beam{index}", (0.14, 1.5, 0.14), (x, y, 4.1), "Girder")
    runs = (("PipeGreen", -0.45, 0.11), ("PipeBlue", -0.15, 0.09), ("Steel", 0.15, 0.13))
    for index, (look, dy, radius) in enumerate((*runs, ("Yellow", 0.45, 0.06))):
        start = (LEFT + 1.5, y + dy, 4.17 + radius)
        s.tube(f"PipeBridge/Pipe{index}", start, (4.0, *start[1:]), radius, look)
    s.tube(
        "Duct/Main", (LEFT + 1, back - 0.9, 6.1), (RIGHT - 3, back - 0.9, 6.1), 0.42, "Aluminium"
    )
    for index in range(9):
        x = LEFT + 3 + 5.6 * index
        s.cylinder(f"Duct/Joint{index}", 0.45, 0.08, (x, back - 0.9, 6.1), "Steel", "X")
        s.frustum(f"Duct/Outlet{index}", (0.3, 0.2), 0.5, (x + 2, back - 0.9, 5.4), "Aluminium")
    for index in range(8):
        x = -12.0 + 0.85 * index + (2.4 if index > 3 else 0.0)
        at = (x, back - 0.7, 0)
        s.reference(f"Cabinets/Cabinet{index}", _asset("controller"), at)


def _people(s: Shapes, back: float) -> None:
    """Operators on their rounds, for scale."""
    spots = (
        (-20.5, -3.7, 20),
        (-19.9, -4.2, 150),
        (-7.4, -1.1, 90),
        (2.4, -3.9, 180),
        (12.4, 1.4, 170),
        (-3.0, back - 3.4, -80),
        (-14.2, 3.6, 180),
    )
    for index, (x, y, yaw) in enumerate(spots):
        s.reference(f"People/Operator{index}", _asset("operator"), (x, y, 0), (0, 0, yaw))


def _surroundings(s: Shapes, back: float) -> None:
    """Racks at the right, bollards at the corners, trees outside."""
    for index in range(max(2, int((back - 1) // 3.1))):
        rack = (21.8, 1.2 + 3.05 * index, 0.0)
        s.reference(f"Racks/Rack{index:02d}", _asset("rack"), rack, (0, 0, 90))
    for index, (x, y) in enumerate(((12.8, -3.2), (12.8, -0.6), (-27.4, -4.6), (-27.4, -3.2))):
        s.reference(f"Bollards/Bollard{index}", _asset("bollard"), (x, y, 0))
    trees = [(LEFT - 9 - 3.1 * (i % 3), FRONT + 5.3 * i) for i in range(9)]
    trees += [(LEFT + 4 + 6.4 * i, back + 9.5 + 2.7 * (i * 7 % 4)) for i in range(9)]
    trees += [(RIGHT + 12.5 + 1.6 * (i % 2), FRONT + 6.5 * i) for i in range(6)]
    for index, (x, y) in enumerate(trees):
        tree = (x, y, -0.22)
        s.reference(f"Trees/Tree{index:02d}", _asset("tree"), tree, (0, 0, 37.0 * index % 360))
    for index in range(3):
        silo = (-21.0 + 4.6 * index, back + 4.5, -0.2)
        s.reference(f"Silos/Silo{index}", _asset("silo"), silo)
    for index in range(4):
        mast = (RIGHT + 15.0, FRONT + 3 + 13.0 * index, -0.2)
        s.reference(f"Masts/Mast{index}", _asset("mast"), mast)


def draw_hall(stage: Usd.Stage, back: float) -> None:
    """The hall with its back wall at y = `back` [m]."""
    root = UsdGeom.Xform.Define(stage, "/World/Building").GetPrim()
    Usd.ModelAPI(root).SetKind(Kind.Tokens.group)
    s = Shapes(stage, "/World/Building", "/World/Looks")
    for name in ("Columns", "Racks", "Bollards", "Trees", "Masts", "Cabinets", "People", "Silos"):
        Usd.ModelAPI(s.group(name)).SetKind(Kind.Tokens.group)
    _floor(s, back)
    _line_floor(s, *_lines(stage))
    _shell(s, back)
    _services(s, back)
    _people(s, back)
    _surroundings(s, back)


def _lines(stage: Usd.Stage) -> tuple[int, float, float]:
    """Number of lines, y of the first and their pitch [m], read from the layout."""
    heights = [
        prim.GetAttribute("xformOp:translate").Get()[1]
        for prim in stage.GetPrimAtPath("/World").GetChildren()
        if prim.GetName().startswith("Line")
    ]
    return len(heights), heights[0], heights[1] - heights[0] if len(heights) > 1 else 0.0


def look_at(eye: Gf.Vec3d, centre: Gf.Vec3d) -> Gf.Matrix4d:
    """Pose of a camera at `eye` that looks at `centre`, Z up."""
    pose = Gf.Matrix4d().SetLookAt(eye, centre, Gf.Vec3d(0, 0, 1)).GetInverse()
    return tidy(pose)


def add_camera(
    stage: Usd.Stage, path: str, eye: tuple[float, ...], centre: tuple[float, ...], focal: float
) -> None:
    """A 16:9 camera on a 36 mm film; focal length [mm]."""
    camera = UsdGeom.Camera.Define(stage, path)
    camera.CreateFocalLengthAttr(focal)
    camera.CreateHorizontalApertureAttr(36.0)
    camera.CreateVerticalApertureAttr(20.25)
    camera.CreateClippingRangeAttr(Gf.Vec2f(0.1, 2000))
    camera.AddTransformOp().Set(look_at(Gf.Vec3d(*eye), Gf.Vec3d(*centre)))


def add_lights(stage: Usd.Stage, root: str) -> None:
    """A blue sky and a low, warm sun."""
    UsdGeom.Scope.Define(stage, root)
    sky = UsdLux.DomeLight.Define(stage, f"{root}/Sky")
    sky.CreateIntensityAttr(0.55)
    sky.CreateColorAttr(Gf.Vec3f(0.62, 0.78, 1.0))
    sun = UsdLux.DistantLight.Define(stage, f"{root}/Sun")
    sun.CreateIntensityAttr(2.6)
    sun.CreateColorAttr(Gf.Vec3f(1.0, 0.91, 0.78))
    sun.CreateAngleAttr(0.8)
    UsdGeom.Xformable(sun).AddRotateXYZOp().Set(Gf.Vec3f(50, 0, -66))


def draw_lights_and_cameras(stage: Usd.Stage, back: float) -> None:
    """Sky, sun, and five places worth looking from."""
    add_lights(stage, "/World/Lights")
    UsdGeom.Scope.Define(stage, Sdf.Path("/World/Cameras"))
    shift = back - 16.0
    cameras = {
        "Overview": ((-29.5, -23.5 - shift, 10.0 + shift / 2), (-3.6, 2.0, 2.1), 26.0),
        "Line1": ((-23.0, -7.5, 4.2), (-16.5, 1.8, 1.7), 28.0),
        "RobotCell": ((0.5, -3.5, 4.6), (9.0, 4.0, 1.0), 26.0),
        "Logistics": ((-14.0, -23.0, 6.5), (-4.0, -9.0, 0.5), 28.0),
        "Energy": ((16.0, back + 4.0, 5.0), (40.0, 51.0, 12.0), 24.0),
    }
    for name, (eye, centre, focal) in cameras.items():
        add_camera(stage, f"/World/Cameras/{name}", eye, centre, focal)
