"""Materials: UsdPreviewSurface to glTF's metallic-roughness, and an honest fallback."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pxr import Usd, UsdShade

from stagetwin.scene._glb import GlbWriter
from stagetwin.scene._networks import (
    Coordinates,
    PrimvarColor,
    Sampled,
    read_input,
    surface_shader,
)
from stagetwin.scene._textures import Image, Images
from stagetwin.scene._values import Values

__all__ = ["GREY", "Look", "Looks"]

GREY = (0.18, 0.18, 0.18)
"""Colour of what says nothing of its colour, as in USD."""

_COLOR_DEFAULTS = {"diffuseColor": GREY, "emissiveColor": (0.0, 0.0, 0.0)}
_DEFAULTS = {
    "metallic": 0.0,
    "roughness": 0.5,
    "opacity": 1.0,
    "opacityThreshold": 0.0,
    "clearcoat": 0.0,
    "clearcoatRoughness": 0.01,
    "ior": 1.5,
}


@dataclass(slots=True)
class Look:
    """A material, before it is known whether it is seen from both sides.

    Attributes:
        row: glTF material.
        coordinates: texture coordinates by number of the TEXCOORD set.
        primvar_color: whether the shape's displayColor is its colour.
        plain: whether it takes the shape's displayColor, because it says nothing itself.
    """

    row: dict[str, Any]
    coordinates: list[Coordinates] = field(default_factory=list)
    primvar_color: bool = False
    plain: bool = False


def _rounded(numbers: tuple[float, ...]) -> list[float]:
    # Authored as 32 bits: the digits beyond would be noise, and bytes.
    return [round(float(x), 6) + 0.0 for x in numbers]


def _unit(number: float) -> float:
    return round(min(max(number, 0.0), 1.0), 6)


class Looks:
    """Materials of one model.

    Attributes:
        problems: (path of the material, reason), what is not shown as it is.
    """

    def __init__(self, values: Values, writer: GlbWriter) -> None:
        self._values = values
        self._writer = writer
        self._images = Images()
        self._known: dict[str, Look] = {}
        self.problems: list[tuple[str, str]] = []

    def of(self, prim: Usd.Prim | None) -> Look:
        """Return the look of a material's prim, or of none."""
        key = str(prim.GetPath()) if prim is not None else ""
        look = self._known.get(key)
        if look is None:
            look = self._known[key] = self._read(prim, key)
        return look

    def index(self, look: Look, color: tuple[float, ...], *, varies: bool, sided: bool) -> int:
        """Return the glTF material of a look on a shape.

        Args:
            color: the shape's constant displayColor and displayOpacity.
            varies: whether it has colours of its own at each vertex.
            sided: whether it is seen from both sides.
        """
        row = look.row
        if look.plain or look.primvar_color:
            taken = (1.0, 1.0, 1.0, 1.0) if varies else color
            row = {**row, "pbrMetallicRoughness": {**row["pbrMetallicRoughness"]}}
            row["pbrMetallicRoughness"]["baseColorFactor"] = _rounded(taken)
            if look.plain and (color[3] < 1.0 or varies):
                row["alphaMode"] = "BLEND" if color[3] < 1.0 else "OPAQUE"
        if sided:
            row = {**row, "doubleSided": True}
        return self._writer.material(row)

    def paths(self) -> list[str]:
        """Return the paths of the materials that were asked for."""
        return [path for path in self._known if path]

    # -- reading

    def _read(self, prim: Usd.Prim | None, path: str) -> Look:
        if prim is None:
            return _plain_look()
        shader = surface_shader(UsdShade.Material(prim))
        if isinstance(shader, str):
            self.problems.append((path, shader))
            look = _plain_look()
            look.row["extras"] = {"material": f"unsupported: {shader}"}
            look.row["name"] = prim.GetName()
            return look
        return _PreviewSurface(self._values, self._writer, self._images, self.problems).look(
            shader, prim.GetName(), path
        )


def _plain_look() -> Look:
    row = {"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.5}}
    return Look(row, plain=True)


class _PreviewSurface:
    """One UsdPreviewSurface being read."""

    def __init__(
        self,
        values: Values,
        writer: GlbWriter,
        images: Images,
        problems: list[tuple[str, str]],
    ) -> None:
        self._values = values
        self._writer = writer
        self._images = images
        self._problems = problems
        self._path = ""
        self._look = Look({})

    def look(self, shader: UsdShade.Shader, name: str, path: str) -> Look:
        self._path = path
        self._shader = shader
        pbr: dict[str, Any] = {}
        row: dict[str, Any] = {"name": name, "pbrMetallicRoughness": pbr}
        self._look = Look(row)
        self._color(row, pbr)
        self._surface(pbr)
        self._emission(row)
        self._relief(row)
        self._coat(row)
        if self._number("useSpecularWorkflow"):
            self._note("the specular workflow is shown as a dielectric")
        return self._look

    def _note(self, reason: str) -> None:
        self._problems.append((self._path, reason))

    def _input(self, name: str) -> Any:
        found = read_input(self._values, self._shader, name)
        if isinstance(found, str):
            self._note(found)
            return None
        return found

    def _number(self, name: str) -> float:
        return self._as_number(self._input(name), name)

    def _as_number(self, found: Any, name: str) -> float:
        default = _DEFAULTS.get(name, 0.0)
        if isinstance(found, Sampled):
            self._note(f"the texture of {name} is not shown")
            channel = max("rgba".find(found.channel), 0)
            return float(found.fallback[channel])
        if isinstance(found, PrimvarColor):
            found = found.fallback
        return found if isinstance(found, float) else default

    def _texture(self, sampled: Sampled, name: str) -> dict[str, Any] | None:
        """Return the glTF texture of an input, None where its image cannot be had."""
        image = self._images.read(sampled.path)
        if not isinstance(image, Image):
            self._note(f"the texture of {name} is not shown: {image}")
            return None
        if sampled.coordinates not in self._look.coordinates:
            self._look.coordinates.append(sampled.coordinates)
        entry: dict[str, Any] = {
            "index": self._writer.texture(image.content, image.mime, *sampled.wrap)
        }
        number = self._look.coordinates.index(sampled.coordinates)
        if number:
            entry["texCoord"] = number
        return entry

    def _color(self, row: dict[str, Any], pbr: dict[str, Any]) -> None:
        color, opacity = self._input("diffuseColor"), self._input("opacity")
        factor: tuple[float, ...] = _COLOR_DEFAULTS["diffuseColor"]
        textured = None
        if isinstance(color, Sampled):
            textured = self._texture(color, "diffuseColor")
            factor = color.scale[:3] if textured else color.fallback[:3]
            if textured and any(color.bias[:3]):
                self._note("the bias of diffuseColor is not shown")
            if textured:
                pbr["baseColorTexture"] = textured
        elif isinstance(color, PrimvarColor):
            self._look.primvar_color = color.primvar == "displayColor"
            if not self._look.primvar_color:
                self._note(f"diffuseColor from primvar {color.primvar!r} is not shown")
            if isinstance(color.fallback, tuple):
                factor = color.fallback
        elif isinstance(color, tuple):
            factor = color
        cut = self._number("opacityThreshold")
        alpha = 1.0
        seen_through = False
        if isinstance(opacity, Sampled):
            same = isinstance(color, Sampled) and color.path == opacity.path
            if textured and same and opacity.channel == "a":
                alpha, seen_through = opacity.scale[3], True
            else:
                self._note("opacity is not the alpha of the colour's texture, it is not shown")
        else:
            alpha = self._as_number(opacity, "opacity")
            seen_through = alpha < 1.0
        parts = (*factor[:3], alpha) if len(factor) >= 3 else (*GREY, alpha)
        pbr["baseColorFactor"] = [_unit(part) for part in parts]
        if seen_through:
            row["alphaMode"] = "MASK" if cut > 0 else "BLEND"
            if cut > 0:
                row["alphaCutoff"] = _unit(cut)

    def _surface(self, pbr: dict[str, Any]) -> None:
        metallic, roughness = self._input("metallic"), self._input("roughness")
        if isinstance(roughness, Sampled):
            packed = (
                isinstance(metallic, Sampled)
                and metallic.path == roughness.path
                and metallic.channel == "b"
            )
            if packed or self._is_zero(metallic):
                entry = self._texture(roughness, "roughness")
                if entry is not None:
                    pbr["metallicRoughnessTexture"] = entry
                    if roughness.channel != "g":
                        self._note("roughness is taken from the green channel of its texture")
                    pbr["metallicFactor"] = 1.0 if packed else 0.0
                    return
        pbr["metallicFactor"] = _unit(self._as_number(metallic, "metallic"))
        pbr["roughnessFactor"] = _unit(self._as_number(roughness, "roughness"))

    @staticmethod
    def _is_zero(found: Any) -> bool:
        return found is None or found == 0.0

    def _emission(self, row: dict[str, Any]) -> None:
        color = self._input("emissiveColor")
        if isinstance(color, Sampled):
            entry = self._texture(color, "emissiveColor")
            if entry is not None:
                row["emissiveTexture"] = entry
            color = color.scale[:3] if entry is not None else color.fallback[:3]
        if isinstance(color, PrimvarColor):
            color = color.fallback
        if not isinstance(color, tuple) or not any(part > 0 for part in color[:3]):
            return
        strongest = max(1.0, *color[:3])
        row["emissiveFactor"] = [_unit(part / strongest) for part in color[:3]]
        if strongest > 1.0:
            strength = {"emissiveStrength": round(strongest, 6)}
            row.setdefault("extensions", {})["KHR_materials_emissive_strength"] = strength

    def _relief(self, row: dict[str, Any]) -> None:
        normal = self._input("normal")
        if isinstance(normal, Sampled):
            entry = self._texture(normal, "normal")
            if entry is not None:
                row["normalTexture"] = entry
                if normal.scale[:3] != (2.0, 2.0, 2.0) or normal.bias[:3] != (-1.0, -1.0, -1.0):
                    self._note("the normal map is read with scale 2 and bias -1")
        occlusion = self._input("occlusion")
        if isinstance(occlusion, Sampled):
            entry = self._texture(occlusion, "occlusion")
            if entry is not None:
                row["occlusionTexture"] = entry
        if isinstance(self._input("displacement"), Sampled):
            self._note("displacement is not shown")

    def _coat(self, row: dict[str, Any]) -> None:
        coat = self._number("clearcoat")
        if coat > 0:
            row.setdefault("extensions", {})["KHR_materials_clearcoat"] = {
                "clearcoatFactor": _unit(coat),
                "clearcoatRoughnessFactor": _unit(self._number("clearcoatRoughness")),
            }
        ior = self._number("ior")
        if ior != 1.5 and (ior >= 1.0 or ior == 0.0):
            row.setdefault("extensions", {})["KHR_materials_ior"] = {"ior": round(ior, 6)}
