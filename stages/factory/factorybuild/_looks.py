"""Materials: a palette of UsdPreviewSurface looks, defined per asset where they are used."""

from dataclasses import dataclass

from pxr import Gf, Sdf, Usd, UsdShade

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """Parameters of a UsdPreviewSurface; colours are linear RGB."""

    colour: Colour
    metallic: float = 0.0
    roughness: float = 0.5
    opacity: float = 1.0
    emissive: Colour = (0.0, 0.0, 0.0)
    clearcoat: float = 0.0


PALETTE = {
    "Steel": Look((0.55, 0.57, 0.59), 0.5, 0.34),
    "SteelDark": Look((0.15, 0.16, 0.175), 0.4, 0.45),
    "Chrome": Look((0.66, 0.67, 0.69), 0.6, 0.22),
    "Aluminium": Look((0.60, 0.62, 0.64), 0.45, 0.4),
    "CastBlue": Look((0.015, 0.10, 0.34), 0.0, 0.38, clearcoat=0.4),
    "MotorGrey": Look((0.16, 0.20, 0.24), 0.1, 0.45),
    "Anthracite": Look((0.045, 0.05, 0.058), 0.1, 0.5),
    "Black": Look((0.012, 0.012, 0.014), 0.0, 0.55),
    "Rubber": Look((0.02, 0.02, 0.022), 0.0, 0.85),
    "White": Look((0.78, 0.79, 0.78), 0.0, 0.4),
    "OffWhite": Look((0.62, 0.63, 0.61), 0.0, 0.6),
    "Orange": Look((0.85, 0.20, 0.018), 0.0, 0.36, clearcoat=0.5),
    "Yellow": Look((0.86, 0.50, 0.015), 0.0, 0.45),
    "Red": Look((0.55, 0.02, 0.02), 0.0, 0.4),
    "Teal": Look((0.01, 0.28, 0.30), 0.0, 0.4, clearcoat=0.3),
    "PipeBlue": Look((0.03, 0.22, 0.55), 0.1, 0.38),
    "PipeGreen": Look((0.02, 0.26, 0.14), 0.1, 0.38),
    "Water": Look((0.01, 0.20, 0.44), 0.0, 0.08, 0.86),
    "Glass": Look((0.72, 0.86, 0.90), 0.0, 0.06, 0.18),
    "Fence": Look((0.80, 0.62, 0.10), 0.2, 0.5, 0.22),
    "Window": Look((0.55, 0.72, 0.82), 0.1, 0.08, 0.42),
    "Cardboard": Look((0.46, 0.29, 0.145), 0.0, 0.85),
    "CardboardTape": Look((0.60, 0.45, 0.28), 0.0, 0.5),
    "Wood": Look((0.43, 0.28, 0.13), 0.0, 0.8),
    "Tote": Look((0.05, 0.22, 0.52), 0.0, 0.55),
    "Floor": Look((0.27, 0.285, 0.30), 0.0, 0.36),
    "FloorLane": Look((0.105, 0.125, 0.15), 0.0, 0.42),
    "FloorWalk": Look((0.05, 0.26, 0.14), 0.0, 0.55),
    "LineWhite": Look((0.80, 0.80, 0.78), 0.0, 0.6),
    "LineYellow": Look((0.88, 0.55, 0.02), 0.0, 0.6),
    "Grass": Look((0.10, 0.19, 0.045), 0.0, 0.95),
    "Asphalt": Look((0.07, 0.072, 0.078), 0.0, 0.9),
    "Concrete": Look((0.42, 0.42, 0.40), 0.0, 0.8),
    "Panel": Look((0.50, 0.54, 0.58), 0.2, 0.5),
    "PanelDark": Look((0.10, 0.16, 0.23), 0.2, 0.5),
    "Girder": Look((0.09, 0.15, 0.24), 0.3, 0.5),
    "Leaf": Look((0.055, 0.17, 0.035), 0.0, 0.9),
    "LeafLight": Look((0.12, 0.25, 0.05), 0.0, 0.9),
    "Bark": Look((0.11, 0.07, 0.04), 0.0, 0.95),
    "LightGreen": Look((0.05, 0.75, 0.20), 0.0, 0.3, emissive=(0.03, 0.9, 0.2)),
    "LightAmber": Look((0.95, 0.5, 0.02), 0.0, 0.3, emissive=(1.2, 0.5, 0.02)),
    "LightRed": Look((0.85, 0.03, 0.03), 0.0, 0.3, emissive=(1.2, 0.03, 0.02)),
    "LightBlue": Look((0.04, 0.35, 0.9), 0.0, 0.3, emissive=(0.04, 0.4, 1.3)),
    "LightOff": Look((0.16, 0.17, 0.18), 0.0, 0.3),
    "Screen": Look((0.01, 0.05, 0.08), 0.0, 0.2, emissive=(0.02, 0.22, 0.32)),
}


def define_look(stage: Usd.Stage, scope: Sdf.Path, name: str) -> UsdShade.Material:
    """The material `name` of the palette below `scope`, defined at its first use."""
    path = scope.AppendChild(name)
    existing = stage.GetPrimAtPath(path)
    if existing:
        return UsdShade.Material(existing)
    look = PALETTE[name]
    material = UsdShade.Material.Define(stage, path)
    shader = UsdShade.Shader.Define(stage, path.AppendChild("Surface"))
    shader.CreateIdAttr("UsdPreviewSurface")
    types = Sdf.ValueTypeNames
    shader.CreateInput("diffuseColor", types.Color3f).Set(Gf.Vec3f(*look.colour))
    shader.CreateInput("metallic", types.Float).Set(look.metallic)
    shader.CreateInput("roughness", types.Float).Set(look.roughness)
    if look.opacity < 1.0:
        shader.CreateInput("opacity", types.Float).Set(look.opacity)
    if any(look.emissive):
        shader.CreateInput("emissiveColor", types.Color3f).Set(Gf.Vec3f(*look.emissive))
    if look.clearcoat:
        shader.CreateInput("clearcoat", types.Float).Set(look.clearcoat)
    output = shader.CreateOutput("surface", types.Token)
    material.CreateSurfaceOutput().ConnectToSource(output)
    return material
