"""What is pictured: a red cube before a camera, and a pump with signals."""

from __future__ import annotations

from pxr import Gf, Usd, UsdGeom

from tests.stages.plants import HEADER, asset, connection, prim, stage_of, telemetry

__all__ = ["PUMP", "cube_stage", "pump_stage"]

RED = (0.9, 0.0, 0.0)
PUMP = (
    asset("pump", connection="line"),
    telemetry("flow", address="flow", unit="m3/h", default=41.5),
    telemetry("running", "bool", address="running", default=True),
    telemetry("place", "double3", address="place", target="/World/Pump.xformOp:translate"),
    'double3 xformOp:translate = (0, 0, 0)\nuniform token[] xformOpOrder = ["xformOp:translate"]\n',
    prim("Body", "color3f[] primvars:displayColor = [(0.9, 0, 0)]\n", type_name="Cube"),
)


def cube_stage() -> Usd.Stage:
    """A red cube before a camera of odd shape that looks at it from the side and above."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/World").GetPrim())
    cube = UsdGeom.Cube.Define(stage, "/World/Cube")
    cube.CreateSizeAttr(100.0)
    cube.CreateDisplayColorAttr([Gf.Vec3f(*RED)])
    UsdGeom.XformCommonAPI(cube).SetTranslate((120, 50, 0))
    camera = UsdGeom.Camera.Define(stage, "/World/Eye")
    camera.CreateHorizontalApertureAttr(36.0)
    camera.CreateVerticalApertureAttr(24.0)
    camera.CreateFocalLengthAttr(28.0)
    camera.AddTranslateOp().Set(Gf.Vec3d(0, 120, 500))
    return stage


def pump_stage(flow: float = 41.5, quality: str = "good") -> Usd.Stage:
    stage = stage_of(HEADER + connection() + prim("World", prim("Pump", *PUMP)))
    for name, value in (("value", flow), ("quality", quality)):
        stage.GetPrimAtPath("/World/Pump").GetAttribute(f"twin:telemetry:flow:{name}").Set(value)
    return stage
