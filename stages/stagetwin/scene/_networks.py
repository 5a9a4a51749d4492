"""UsdShade networks read as far as UsdPreviewSurface goes: constants, textures, coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pxr import Sdf, Usd, UsdShade

from stagetwin.scene._values import Values

__all__ = ["Coordinates", "PrimvarColor", "Sampled", "read_input", "surface_shader"]

_IDENTITY = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Texture coordinates as a texture wants them.

    Attributes:
        primvar: name.
        transform: a, b, c, d, tx, ty: u' = a u + c v + tx, v' = b u + d v + ty, v upwards.
    """

    primvar: str
    transform: tuple[float, float, float, float, float, float] = _IDENTITY

    @property
    def plain(self) -> bool:
        """Whether they are the primvar's values."""
        return self.transform == _IDENTITY


@dataclass(frozen=True, slots=True)
class Sampled:
    """An input that a texture gives.

    Attributes:
        path: resolved path of the image; empty where it is not found.
        channel: `r`, `g`, `b`, `a` or `rgb`.
        coordinates: where it is sampled.
        wrap: glTF's wrap of u and v.
        scale, bias: of red, green, blue, alpha.
        fallback: value where the image cannot be read.
    """

    path: str
    channel: str
    coordinates: Coordinates
    wrap: tuple[int, int]
    scale: tuple[float, ...]
    bias: tuple[float, ...]
    fallback: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PrimvarColor:
    """An input that a primvar of the shape gives.

    Attributes:
        primvar: name.
        fallback: value where the shape has none.
    """

    primvar: str
    fallback: Any


_WRAPS = {"repeat": 10497, "mirror": 33648, "clamp": 33071, "black": 33071}


def surface_shader(material: UsdShade.Material) -> UsdShade.Shader | str:
    """Return the UsdPreviewSurface of a material, or why there is none."""
    source = material.ComputeSurfaceSource()
    shader = source[0] if source else None
    if not shader:
        others = material.GetSurfaceOutputs()
        contexts = sorted(
            str(output.GetBaseName()).split(":")[0]
            for output in others
            if output.HasConnectedSource()
        )
        what = f"only for {', '.join(contexts)}" if contexts else "none"
        return f"its surface is not a UsdPreviewSurface, {what}"
    identifier = shader.GetIdAttr().Get()
    if identifier != "UsdPreviewSurface":
        return f"its surface is not a UsdPreviewSurface, but {identifier or 'without an id'}"
    return shader


def _producer(shader: UsdShade.Shader, name: str) -> Usd.Attribute | None:
    entry = shader.GetInput(name)
    if not entry:
        return None
    found = entry.GetValueProducingAttributes()
    return found[0] if found else None


def _constant(values: Values, shader: UsdShade.Shader, name: str) -> Any:
    attribute = _producer(shader, name)
    if attribute is None or attribute.GetName().startswith("outputs:"):
        return None
    return values.get(attribute)


def read_input(
    values: Values, shader: UsdShade.Shader, name: str
) -> float | tuple[float, ...] | Sampled | PrimvarColor | str | None:
    """Return what gives an input its value; a text says why it cannot be told."""
    attribute = _producer(shader, name)
    if attribute is None:
        return None
    if not attribute.GetName().startswith("outputs:"):
        return _plain(values.get(attribute))
    node = UsdShade.Shader(attribute.GetPrim())
    identifier = str(node.GetIdAttr().Get() or "") if node else ""
    if identifier == "UsdUVTexture":
        return _sampled(values, node, attribute.GetName().split(":", 1)[1])
    if identifier.startswith("UsdPrimvarReader_float"):
        fallback = _plain(_constant(values, node, "fallback"))
        return PrimvarColor(str(_constant(values, node, "varname") or ""), fallback)
    return f"{name} comes from {identifier or 'a shader without an id'}"


def _plain(value: Any) -> float | tuple[float, ...] | None:
    """Return a number or tuple of finite numbers, None for anything else."""
    if isinstance(value, (bool, int, float)):
        return float(value) if math.isfinite(value) else None
    try:
        numbers = tuple(float(part) for part in value)
    except (TypeError, ValueError):
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def _numbers(value: Any, default: tuple[float, ...]) -> tuple[float, ...]:
    found = _plain(value)
    return found if isinstance(found, tuple) and len(found) == len(default) else default


def _sampled(values: Values, node: UsdShade.Shader, channel: str) -> Sampled:
    file = _constant(values, node, "file")
    path = str(file.resolvedPath) if isinstance(file, Sdf.AssetPath) else ""
    wraps = [str(_constant(values, node, name) or "") for name in ("wrapS", "wrapT")]
    return Sampled(
        path,
        channel,
        _coordinates(values, node),
        (_WRAPS.get(wraps[0], 10497), _WRAPS.get(wraps[1], 10497)),
        _numbers(_constant(values, node, "scale"), (1.0,) * 4),
        _numbers(_constant(values, node, "bias"), (0.0,) * 4),
        _numbers(_constant(values, node, "fallback"), (0.0, 0.0, 0.0, 1.0)),
    )


def _coordinates(values: Values, node: UsdShade.Shader) -> Coordinates:
    transform = _IDENTITY
    entry = "st"
    # A chain of transforms is short; one that bites its own tail is cut.
    for _ in range(8):
        attribute = _producer(node, entry)
        if attribute is None or not attribute.GetName().startswith("outputs:"):
            break
        node = UsdShade.Shader(attribute.GetPrim())
        identifier = str(node.GetIdAttr().Get() or "") if node else ""
        if identifier == "UsdTransform2d":
            transform = _chained(_transform2d(values, node), transform)
            entry = "in"
            continue
        if identifier.startswith("UsdPrimvarReader_float2"):
            return Coordinates(str(_constant(values, node, "varname") or "st"), transform)
        break
    return Coordinates("st", transform)


_Affine = tuple[float, float, float, float, float, float]


def _transform2d(values: Values, node: UsdShade.Shader) -> _Affine:
    """Return UsdTransform2d: scaled, then rotated to the left [degrees], then moved."""
    turned = _plain(_constant(values, node, "rotation"))
    angle = math.radians(turned) if isinstance(turned, float) else 0.0
    sx, sy = _numbers(_constant(values, node, "scale"), (1.0, 1.0))
    tx, ty = _numbers(_constant(values, node, "translation"), (0.0, 0.0))
    cos, sin = math.cos(angle), math.sin(angle)
    return cos * sx, sin * sx, -sin * sy, cos * sy, tx, ty


def _chained(first: _Affine, second: _Affine) -> _Affine:
    """Return the transform that does one, then the other."""
    a, b, c, d, x, y = first
    e, f, g, h, s, t = second
    return (
        e * a + g * b,
        f * a + h * b,
        e * c + g * d,
        f * c + h * d,
        e * x + g * y + s,
        f * x + h * y + t,
    )
