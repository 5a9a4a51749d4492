"""Telling, before anything is converted, that two models are the same.

Only a saving: what is the same after all, although it could not be told, becomes the same GLB by
its hash. So every doubt means no key.
"""

from __future__ import annotations

import hashlib
from typing import Any

from pxr import Sdf, Usd, UsdGeom, UsdShade

__all__ = ["ModelKeys"]

MAX_SPECS = 400
"""Specs of one site that are read; a larger one is told by where it is."""

MAX_ELEMENTS = 64
"""Elements of an array that are read."""

_NOT_OF_ROOT = ("xformOp", "twin:", "physics:", "visibility")
_FIELDS_NOT_OF_ROOT = frozenset(
    {
        "assetInfo",
        "comment",
        "customData",
        "displayName",
        "documentation",
        "inheritPaths",
        "instanceable",
        "kind",
        "payload",
        "primChildren",
        "properties",
        "references",
        "specializes",
        "specifier",
        "variantChildren",
        "variantSelection",
        "variantSetChildren",
        "variantSetNames",
    }
)
_FIELDS_OF_STRUCTURE = frozenset(
    {"primChildren", "properties", "variantChildren", "variantSetChildren"}
)


class _Unsure(Exception):
    """A site is too large, or of a kind that is not read here."""


class ModelKeys:
    """Keys of models, valid until the stage changes.

    Two models with the same key have the same composed content: the same arcs bring them the same
    specs, their own specs say the same, and what they inherit from above is the same.
    """

    def __init__(self, time: Usd.TimeCode, live: frozenset[str]) -> None:
        self._time = time
        self._live = live
        self._sites: dict[tuple[str, str], str] = {}
        self._above: dict[Sdf.Path, tuple[Any, ...] | None] = {}

    def key(self, prim: Usd.Prim) -> tuple[Any, ...] | None:
        """Return a key, or None where nothing can be told."""
        above = self._inherited(prim.GetParent())
        if above is None:
            return None
        if prim.IsInstance():
            return ("instance", prim.GetPrototype().GetName(), above)
        sites = []
        referenced = False
        beside = ""
        for spec in prim.GetPrimStack():
            layer = spec.layer.identifier
            if layer in self._live:
                continue
            own = spec.path == prim.GetPath()
            referenced |= not own
            if own or not _is_of_file(spec.path):
                sites.append(self._site(spec))
                if not own:
                    # An arc of an ancestor brings it. What is beside that ancestor, a class for
                    # one, may say other things inside of each copy: only its siblings are alike.
                    beside = str(prim.GetPath().GetParentPath())
            else:
                sites.append(f"{layer}{spec.path}")
        if not referenced:
            return None
        return ("sites", str(prim.GetTypeName()), tuple(sites), beside, above)

    def _site(self, spec: Sdf.PrimSpec) -> str:
        place = (spec.layer.identifier, str(spec.path))
        known = self._sites.get(place)
        if known is None:
            try:
                text = _SiteText(spec.path).of(spec)
                known = hashlib.sha256(text.encode()).hexdigest()
            except _Unsure:
                known = f"{place[0]}{place[1]}"
            self._sites[place] = known
        return known

    def _inherited(self, parent: Usd.Prim) -> tuple[Any, ...] | None:
        """Return what a prim's children inherit from it and from what is above it."""
        path = parent.GetPath()
        if path not in self._above:
            self._above[path] = self._inherits(parent)
        return self._above[path]

    def _inherits(self, parent: Usd.Prim) -> tuple[Any, ...] | None:
        if not parent or parent.IsPseudoRoot():
            return ()
        found: list[Any] = []
        prim = parent
        while prim and not prim.IsPseudoRoot():
            if prim.GetPropertiesInNamespace("material:binding:collection"):
                return None
            prim = prim.GetParent()
        material = UsdShade.MaterialBindingAPI(parent).ComputeBoundMaterial()[0]
        found.append(str(material.GetPath()) if material else "")
        purpose = UsdGeom.Imageable(parent).ComputePurposeInfo() if parent else None
        found.append(f"{purpose.purpose}{purpose.isInheritable}" if purpose is not None else "")
        for primvar in UsdGeom.PrimvarsAPI(parent).FindInheritablePrimvars():
            value = primvar.ComputeFlattened(self._time)
            if value is not None and hasattr(value, "__len__") and len(value) > MAX_ELEMENTS:
                return None
            found.append((str(primvar.GetName()), str(value)))
        return tuple(found)


def _is_of_file(path: Sdf.Path) -> bool:
    """Tell whether a path is that of a file's root prim, in one of its variants or not."""
    return path.StripAllVariantSelections().IsRootPrimPath()


class _SiteText:
    """What the specs of one site say, without where the site is."""

    def __init__(self, root: Sdf.Path) -> None:
        self._root = root
        self._count = 0

    def of(self, spec: Sdf.PrimSpec) -> str:
        lines: list[str] = []
        self._prim(spec, "", lines)
        return "\n".join(lines)

    def _prim(self, spec: Sdf.PrimSpec, name: str, lines: list[str]) -> None:
        self._tell()
        if spec.variantSets and name:
            raise _Unsure
        lines.append(f"prim {name}")
        left_out = _FIELDS_NOT_OF_ROOT if not name else _FIELDS_OF_STRUCTURE
        for key in sorted(spec.ListInfoKeys()):
            if key not in left_out:
                lines.append(f"{key}={self._text(spec, key)}")
                if name and key in ("references", "payload", "inheritPaths", "specializes"):
                    # Where an arc leads depends on the layer that it is written in.
                    lines.append(spec.layer.identifier)
        for each in spec.properties:
            if name or not each.name.startswith(_NOT_OF_ROOT):
                if each.name.startswith(("twin:", "physics:")):
                    continue
                self._property(each, lines)
        for child in spec.nameChildren:
            self._prim(child, f"{name}/{child.name}", lines)

    def _property(self, spec: Sdf.PropertySpec, lines: list[str]) -> None:
        self._tell()
        lines.append(f"property {spec.name}")
        for key in sorted(spec.ListInfoKeys()):
            lines.append(f"{key}={self._text(spec, key)}")

    def _text(self, spec: Sdf.Spec, key: str) -> str:
        if key == "timeSamples":
            raise _Unsure
        value = spec.GetInfo(key)
        if not isinstance(value, str) and hasattr(value, "__len__") and len(value) > MAX_ELEMENTS:
            raise _Unsure
        text = str(value)
        if isinstance(value, Sdf.AssetPath) or "@" in text:
            text += spec.layer.identifier
        return text.replace(str(self._root), "<>")

    def _tell(self) -> None:
        self._count += 1
        if self._count > MAX_SPECS:
            raise _Unsure
