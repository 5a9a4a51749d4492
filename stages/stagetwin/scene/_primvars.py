"""Primvars: values that interpolate over a shape, checked against it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pxr import Sdf, Usd, UsdGeom

from stagetwin.scene._shape import Ints
from stagetwin.scene._values import Values

__all__ = [
    "CONSTANT",
    "FACE_VARYING",
    "UNIFORM",
    "VERTEX",
    "Primvar",
    "coordinate_names",
    "read_colors",
    "read_normals",
    "read_primvar",
]

CONSTANT, UNIFORM, VERTEX, FACE_VARYING = "constant", "uniform", "vertex", "faceVarying"

_Table = npt.NDArray[np.float64]


@dataclass(slots=True)
class Primvar:
    """A primvar without its indices.

    Attributes:
        values: shape (element_count, width).
        interpolation: over what the elements go; `varying` is `vertex` here.
    """

    values: _Table
    interpolation: str

    def at_corners(self, corners: Ints, face: Ints) -> _Table:
        """Return values of each corner.

        Args:
            corners: point of each corner.
            face: face of each corner.
        """
        if self.interpolation == CONSTANT:
            return np.repeat(self.values[:1], len(corners), axis=0)
        if self.interpolation == UNIFORM:
            return self.values[face]
        if self.interpolation == VERTEX:
            return self.values[corners]
        return self.values


def read_primvar(
    values: Values,
    prim: Usd.Prim,
    name: str,
    sizes: dict[str, int],
    notes: list[str],
    *,
    inherited: bool = True,
) -> Primvar | None:
    """Return a primvar that fits its shape, None where there is none.

    Args:
        sizes: number of elements by interpolation.
        notes: gets the reason why one is left out.
        inherited: whether a constant one of an ancestor will do.
    """
    api = UsdGeom.PrimvarsAPI(prim)
    primvar = api.FindPrimvarWithInheritance(name) if inherited else api.GetPrimvar(name)
    if not primvar or not primvar.HasValue():
        return None
    attribute = primvar.GetAttr()
    raw = values.get(attribute)
    indices = primvar.GetIndicesAttr()
    picked = values.get(indices) if indices else None
    return _checked(raw, picked, str(primvar.GetInterpolation()), name, sizes, notes)


def read_normals(
    values: Values, prim: Usd.Prim, sizes: dict[str, int], notes: list[str]
) -> Primvar | None:
    """Return authored normals; `primvars:normals` goes before `normals`."""
    found = read_primvar(values, prim, "normals", sizes, notes, inherited=False)
    if found is not None:
        return found
    based = UsdGeom.PointBased(prim)
    raw = values.get(based.GetNormalsAttr())
    if raw is None or not len(raw):
        return None
    return _checked(raw, None, str(based.GetNormalsInterpolation()), "normals", sizes, notes)


def _checked(
    raw: object,
    picked: object,
    interpolation: str,
    name: str,
    sizes: dict[str, int],
    notes: list[str],
) -> Primvar | None:
    try:
        table = np.array(raw, np.float64)
    except (TypeError, ValueError):
        notes.append(f"primvar {name} is no number")
        return None
    table = table.reshape(len(table), -1) if table.ndim else table.reshape(1, 1)
    if picked is not None:
        index = np.array(picked, np.int64)
        if len(index):
            # Out of range is the first element's, as where nothing is known.
            bad = (index < 0) | (index >= len(table))
            if bad.all() or not len(table):
                notes.append(f"primvar {name}: no index is in [0, {len(table)})")
                return None
            if bad.any():
                notes.append(f"primvar {name}: {int(bad.sum())} indices not in [0, {len(table)})")
                index[bad] = 0
            table = table[index]
    kind = VERTEX if interpolation == "varying" else interpolation
    wanted = sizes.get(kind)
    if kind == CONSTANT:
        table = table[:1]
        wanted = 1
    if wanted is None or len(table) != wanted:
        notes.append(
            f"primvar {name} is left out: {interpolation} takes {wanted} values, got {len(table)}"
        )
        return None
    if not np.isfinite(table).all():
        notes.append(f"primvar {name} is left out: it has values that are not finite")
        return None
    return Primvar(table, kind)


def read_colors(
    values: Values, prim: Usd.Prim, sizes: dict[str, int], notes: list[str]
) -> tuple[Primvar | None, Primvar | None]:
    """Return displayColor (width 3) and displayOpacity (width 1)."""
    found = []
    for name, width in (("displayColor", 3), ("displayOpacity", 1)):
        primvar = read_primvar(values, prim, name, sizes, notes)
        if primvar is not None and primvar.values.shape[1] != width:
            notes.append(f"primvar {name} is left out: it has {primvar.values.shape[1]} parts")
            primvar = None
        if primvar is not None:
            np.clip(primvar.values, 0.0, 1.0, out=primvar.values)
        found.append(primvar)
    return found[0], found[1]


def coordinate_names(prim: Usd.Prim) -> list[str]:
    """Return the names of the primvars of a prim itself that texture coordinates can be."""
    types = (Sdf.ValueTypeNames.TexCoord2fArray, Sdf.ValueTypeNames.Float2Array)
    return [
        str(primvar.GetPrimvarName())
        for primvar in UsdGeom.PrimvarsAPI(prim).GetPrimvarsWithValues()
        if primvar.GetTypeName() in types
    ]
