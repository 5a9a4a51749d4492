"""The AMR area: vehicle, its body for the fleet's point instancer, charger, station."""

from pathlib import Path

from pxr import Gf, Sdf, UsdGeom

from ._process_assets import machine
from ._shapes import Shapes, chamfered, new_stage

BEACON_LOOKS = {
    "idle": "LightOff",
    "driving": "LightBlue",
    "charging": "LightGreen",
    "fault": "LightRed",
}


def make_amr_body(folder: Path) -> None:
    """What every vehicle looks like, front towards +X; no signals."""
    stage = new_stage(folder / "assets" / "amr_body.usda", "AmrBody", "component")
    shapes = Shapes(stage, "/AmrBody")
    shapes.prism("Chassis", chamfered(1.18, 0.78, 0.14), 0.1, (0, 0, 0.05), "Black")
    shapes.prism("Hull", chamfered(1.2, 0.8, 0.16), 0.16, (0, 0, 0.15), "White")
    shapes.prism("Stripe", chamfered(1.206, 0.806, 0.163), 0.04, (0, 0, 0.19), "Teal")
    shapes.prism("Deck", chamfered(1.0, 0.66, 0.08), 0.03, (-0.02, 0, 0.31), "Anthracite")
    for name, x, y in (("Front", 0.55, 0.33), ("Rear", -0.55, -0.33)):
        shapes.cylinder(f"Scanner{name}", 0.075, 0.08, (x, y, 0.14), "Yellow")
    shapes.box("LightFront", (0.01, 0.36, 0.03), (0.602, 0, 0.27), "Screen")
    for index, x in enumerate((-0.35, 0.35)):
        for side, y in (("Left", 0.36), ("Right", -0.36)):
            name = f"Wheel{side}{index}"
            shapes.cylinder(name, 0.09, 0.05, (x, y, 0.09), "Rubber", "Y")
    variant_set = shapes.variants("load", ["empty", "tote", "cartons"], "empty")
    loads = {"tote": "./tote.usda", "cartons": "./carton.usda"}
    for choice, asset in loads.items():
        variant_set.SetVariantSelection(choice)
        with variant_set.GetVariantEditContext():
            for index, x in enumerate((-0.27, 0.24)):
                shapes.reference(f"Load{index}", asset, (x, 0, 0.34), kind="subcomponent")
    variant_set.SetVariantSelection("empty")
    stage.Save()


def make_amr(folder: Path) -> None:
    """One vehicle's signals and its beacon; `body = full` adds what the fleet draws elsewhere."""
    shapes = machine(folder, "amr", "Amr")
    root = shapes.stage.GetDefaultPrim()
    live = "xformOp:transform:live"
    root.CreateAttribute(live, Sdf.ValueTypeNames.Matrix4d, False).Set(Gf.Matrix4d(1))
    UsdGeom.Xformable(root).CreateXformOpOrderAttr().Set([live])
    shapes.cylinder("Beacon/Mast", 0.018, 0.5, (-0.52, 0.3, 0.55), "Chrome")
    lamp = shapes.capsule("Beacon/Lamp", 0.05, 0.08, (-0.52, 0.3, 0.84), "LightOff")
    shapes.lamp_variants("state", lamp, BEACON_LOOKS, "idle")
    variant_set = shapes.variants("body", ["full", "beacon"], "full")
    variant_set.SetVariantSelection("full")
    with variant_set.GetVariantEditContext():
        shapes.reference("Body", "./amr_body.usda", (0, 0, 0), kind="subcomponent")
    shapes.stage.Save()


def make_vehicle(folder: Path) -> None:
    """One vehicle that speaks VDA 5050: its signals, its body, a mast that is seen from afar."""
    shapes = machine(folder, "vehicle", "Vehicle")
    root = shapes.stage.GetDefaultPrim()
    live = "xformOp:transform:live"
    root.CreateAttribute(live, Sdf.ValueTypeNames.Matrix4d, False).Set(Gf.Matrix4d(1))
    UsdGeom.Xformable(root).CreateXformOpOrderAttr().Set([live])
    shapes.reference("Body", "./amr_body.usda", (0, 0, 0), kind="subcomponent")
    shapes.cylinder("Beacon/Mast", 0.018, 0.5, (-0.52, 0.3, 0.55), "Chrome")
    shapes.capsule("Beacon/Lamp", 0.05, 0.08, (-0.52, 0.3, 0.84), "LightBlue")
    shapes.stage.Save()


def make_bays(folder: Path) -> None:
    """Charger and station without signals, where a plant has only vehicles to look at."""
    for name, draw in (("charger", draw_charger), ("station", draw_station)):
        root = f"{name.title()}Body"
        stage = new_stage(folder / "assets" / f"{name}_body.usda", root, "component")
        draw(Shapes(stage, f"/{root}"))
        stage.Save()


def make_charger(folder: Path) -> None:
    """Charging station, with its signals."""
    shapes = machine(folder, "charger", "Charger")
    draw_charger(shapes)
    shapes.stage.Save()


def make_station(folder: Path) -> None:
    """Transfer station, with its signals."""
    shapes = machine(folder, "station", "Station")
    draw_station(shapes)
    shapes.stage.Save()


def draw_charger(shapes: Shapes) -> None:
    """A cabinet whose two contacts face the vehicle at +X."""
    shapes.prism("Cabinet", chamfered(0.36, 0.9, 0.06), 1.25, (0, 0, 0), "OffWhite")
    shapes.prism("Band", chamfered(0.366, 0.906, 0.061), 0.12, (0, 0, 1.02), "Teal")
    shapes.box("Front", (0.01, 0.7, 0.5), (0.182, 0, 0.85), "Anthracite")
    shapes.box("Screen", (0.012, 0.3, 0.18), (0.186, 0, 0.95), "Screen")
    shapes.box("Contact", (0.3, 0.5, 0.12), (0.3, 0, 0.2), "SteelDark")
    for side, y in (("Left", 0.12), ("Right", -0.12)):
        shapes.box(f"Pole{side}", (0.05, 0.06, 0.06), (0.47, y, 0.2), "Chrome")
    shapes.box("FloorPlate", (1.6, 1.0, 0.012), (1.25, 0, 0.006), "Anthracite")
    shapes.box("FloorMark", (1.2, 0.7, 0.004), (1.25, 0, 0.014), "LightGreen")
    lamp = shapes.box("Lamp", (0.012, 0.6, 0.04), (0.186, 0, 1.14), "LightOff")
    looks = {"free": "LightBlue", "charging": "LightGreen", "fault": "LightRed"}
    shapes.lamp_variants("state", lamp, looks, "free")


def draw_station(shapes: Shapes) -> None:
    """A short roller table with a scanner arch; vehicles dock at +X."""
    for side, y in (("Left", 0.5), ("Right", -0.5)):
        shapes.box(f"Frame/{side}", (1.5, 0.06, 0.14), (0, y, 0.36), "Anthracite")
        for index, x in enumerate((-0.65, 0.65)):
            shapes.box(f"Frame/Leg{side}{index}", (0.08, 0.06, 0.3), (x, y, 0.15), "Anthracite")
        shapes.box(f"Arch/Post{side}", (0.08, 0.08, 1.9), (-0.4, y * 1.2, 0.95), "Teal")
    shapes.box("Arch/Beam", (0.12, 1.3, 0.14), (-0.4, 0, 1.95), "Teal")
    shapes.box("Arch/Scanner", (0.16, 0.3, 0.14), (-0.4, 0, 1.82), "Black")
    for index in range(7):
        at = (-0.63 + 0.21 * index, 0, 0.41)
        shapes.reference(f"Rollers/Roller{index}", "./roller.usda", at, kind="subcomponent")
    shapes.box("Panel/Post", (0.05, 0.05, 1.2), (0.6, -0.72, 0.6), "SteelDark")
    shapes.box("Panel/Screen", (0.04, 0.34, 0.24), (0.6, -0.72, 1.3), "Black")
    lamp = shapes.capsule("Arch/Lamp", 0.05, 0.1, (-0.4, 0.6, 2.12), "LightOff")
    shapes.lamp_variants("state", lamp, {"ready": "LightGreen", "waiting": "LightAmber"}, "ready")
    variant_set = shapes.variants("load", ["cartons", "totes", "empty"], "totes")
    for choice, asset in (("cartons", "./carton.usda"), ("totes", "./tote.usda")):
        variant_set.SetVariantSelection(choice)
        with variant_set.GetVariantEditContext():
            for index, x in enumerate((-0.4, 0.3)):
                name = f"Load/Item{index}"
                shapes.reference(name, asset, (x, 0, 0.44), kind="subcomponent")
    variant_set.SetVariantSelection("totes")
