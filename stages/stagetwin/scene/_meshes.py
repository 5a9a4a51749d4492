"""Geometries as glTF meshes of one model, the same of each only once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pxr import Gf, Usd, UsdGeom, UsdShade

from stagetwin.scene._glb import GlbWriter
from stagetwin.scene._materials import GREY, Look, Looks
from stagetwin.scene._networks import Coordinates
from stagetwin.scene._primvars import CONSTANT, Primvar, read_colors
from stagetwin.scene._shape import TRIANGLES, Floats, Geometry
from stagetwin.scene._values import Values

__all__ = ["Meshes", "Placed"]

FAR = 256.0
"""Distance from the origin, in sizes of a shape, from which its vertices are moved there."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A mesh, ready to hang on a node.

    Attributes:
        mesh: index.
        offset: where its vertices were moved from, None where they were not.
        bounds: of the shape in its prim's space.
    """

    mesh: int
    offset: list[float] | None
    bounds: Gf.Range3d


class Meshes:
    """Meshes of one model.

    Attributes:
        geometries: point-based shapes of this model, by the prim that they come from.
    """

    def __init__(self, writer: GlbWriter, looks: Looks, known: dict[Any, Geometry]) -> None:
        self._writer = writer
        self._looks = looks
        self._known = known
        self._placed: dict[tuple[Any, ...], Placed] = {}
        self.geometries: dict[tuple[Any, ...], Geometry] = {}

    def place(
        self,
        values: Values,
        prim: Usd.Prim,
        key: tuple[Any, ...],
        geometry: Geometry,
        material: Usd.Prim | None,
        notes: list[str],
    ) -> Placed:
        """Return the mesh of a shape with its materials.

        Args:
            key: what the geometry is known by.
            notes: gets what is not shown as it is.
        """
        looks = self._part_looks(prim, geometry, material)
        color: tuple[float, ...] = (*GREY, 1.0)
        if geometry.colors is None and any(look.plain or look.primvar_color for look in looks):
            color = _constant_color(values, prim, notes)
        sided = geometry.double_sided or _sided(values, prim)
        full = (*key, sided, color, *(id(look) for look in looks))
        placed = self._placed.get(full)
        if placed is None:
            placed = self._placed[full] = self._build(geometry, looks, color, sided, notes)
        return placed

    def _part_looks(
        self, prim: Usd.Prim, geometry: Geometry, material: Usd.Prim | None
    ) -> list[Look]:
        found = []
        for part in geometry.parts:
            bound = material
            if part.subset:
                subset = prim.GetChild(part.subset)
                own = UsdShade.MaterialBindingAPI(subset).ComputeBoundMaterial()[0]
                bound = own.GetPrim() if own else None
            found.append(self._looks.of(bound))
        return found

    def _build(
        self,
        geometry: Geometry,
        looks: list[Look],
        color: tuple[float, ...],
        sided: bool,
        notes: list[str],
    ) -> Placed:
        positions = geometry.positions
        low, high = (edge.astype(np.float64) for edge in (positions.min(0), positions.max(0)))
        offset = None
        centre = (low + high) / 2
        if np.abs(centre).max() > FAR * max(float((high - low).max()), 1e-30):
            positions = (positions.astype(np.float64) - centre).astype(np.float32)
            offset = [float(x) for x in centre]
        common: dict[str, int] = {"POSITION": self._writer.vertices(positions, bounds=True)}
        if geometry.normals is not None:
            common["NORMAL"] = self._writer.vertices(geometry.normals)
        primitives = []
        for part, look in zip(geometry.parts, looks, strict=True):
            attributes = dict(common)
            for number, wanted in enumerate(look.coordinates):
                table = geometry.sets.get(wanted.primvar)
                if table is None:
                    notes.append(f"its texture coordinates {wanted.primvar!r} are missing")
                    table = np.zeros((len(positions), 2), np.float32)
                attributes[f"TEXCOORD_{number}"] = self._writer.vertices(_flipped(table, wanted))
            varies = geometry.colors is not None and (look.plain or look.primvar_color)
            if varies and geometry.colors is not None:
                attributes["COLOR_0"] = self._writer.vertices(geometry.colors)
            alpha = 1.0 if geometry.colors is None else float(geometry.colors[:, 3].min())
            shown = (*color[:3], alpha) if varies else color
            row: dict[str, Any] = {
                "attributes": attributes,
                "material": self._looks.index(look, shown, varies=varies, sided=sided),
                "mode": geometry.mode,
            }
            whole = len(part.indices) == len(positions) and geometry.mode != TRIANGLES
            if not whole:
                row["indices"] = self._writer.indices(part.indices)
            primitives.append(row)
        bounds = Gf.Range3d(Gf.Vec3d(*low.tolist()), Gf.Vec3d(*high.tolist()))
        return Placed(self._writer.mesh(primitives), offset, bounds)


def _flipped(table: Floats, wanted: Coordinates) -> Floats:
    """Return coordinates transformed, and with v downwards as glTF has it."""
    uv = table.astype(np.float64)
    if not wanted.plain:
        a, b, c, d, x, y = wanted.transform
        uv = np.stack([a * uv[:, 0] + c * uv[:, 1] + x, b * uv[:, 0] + d * uv[:, 1] + y], axis=1)
    return np.stack([uv[:, 0], 1.0 - uv[:, 1]], axis=1).astype(np.float32)


def _constant_color(values: Values, prim: Usd.Prim, notes: list[str]) -> tuple[float, ...]:
    sizes = {CONSTANT: 1, "uniform": 1, "vertex": 1, "faceVarying": 1}
    color, opacity = read_colors(values, prim, sizes, notes)

    def first(primvar: Primvar | None, default: tuple[float, ...]) -> tuple[float, ...]:
        if primvar is None:
            return default
        return tuple(round(float(x), 6) for x in primvar.values[0])

    return (*first(color, GREY), *first(opacity, (1.0,)))


def _sided(values: Values, prim: Usd.Prim) -> bool:
    attribute = UsdGeom.Gprim(prim).GetDoubleSidedAttr()
    return bool(attribute) and attribute.HasAuthoredValue() and bool(values.get(attribute))
