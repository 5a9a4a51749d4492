"""Layers as sets of fields: what a merge compares, takes and gives back.

A field is one opinion: the type of a prim, whether it is active, one variant selection, the value
of an attribute. An `over` that only leads to something else is no opinion.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from pxr import Sdf, Vt

from stagetwin._errors import ReviewError

__all__ = [
    "ABSENT",
    "Field",
    "fields_of",
    "fragment",
    "parse_layer",
    "read",
    "said",
    "same",
    "values_of",
    "write",
]

SPECIFIER, TYPE, DECLARATION, SELECTION = "specifier", "typeName", "declaration", "variantSelection"
TARGETS = "targetPaths"
_SPECIFIERS = {"def": Sdf.SpecifierDef, "class": Sdf.SpecifierClass}
_OWN = {"specifier", "typeName", "variability", "custom", "variantSelection"}
_FIRST = (SPECIFIER, TYPE, DECLARATION)


class Field(NamedTuple):
    """Where an opinion stands: spec path, name of the field, key where that is a dictionary."""

    path: str
    name: str
    key: str = ""

    @property
    def prim(self) -> str:
        """Path of its prim."""
        return self.path.partition(".")[0]


class _Absent:
    def __repr__(self) -> str:
        return "(none)"


ABSENT: Final = _Absent()
"""Nothing is said there."""


def parse_layer(text: str) -> Sdf.Layer:
    """Return an anonymous layer of usda text that this package wrote.

    Raises:
        ReviewError: it cannot be read.
    """
    layer = Sdf.Layer.CreateAnonymous("proposal.usda")
    if text and not layer.ImportFromString(text):
        raise ReviewError("a layer of a proposal cannot be read")
    return layer


def fields_of(layer: Sdf.Layer) -> list[Field]:
    """Return every opinion of a layer, parents first and declarations before values."""
    found: list[Field] = []

    def visit(at: Sdf.Path | str) -> None:
        path = Sdf.Path(at)
        if path.IsPrimPath() or path.IsPropertyPath():
            found.extend(_fields_at(layer, path))

    layer.Traverse(Sdf.Path.absoluteRootPath, visit)
    return sorted(found, key=_order)


def _order(field: Field) -> tuple[Any, ...]:
    rank = _FIRST.index(field.name) if field.name in _FIRST else len(_FIRST)
    return (field.path.partition(".")[0], field.path, rank, field.name, field.key)


def _fields_at(layer: Sdf.Layer, path: Sdf.Path) -> Iterator[Field]:
    spec: Any = layer.GetObjectAtPath(path)
    text = str(path)
    names = [name for name in spec.ListInfoKeys() if name not in _OWN]
    if path.IsPrimPath():
        candidates = [Field(text, SPECIFIER), Field(text, TYPE)]
        candidates += [Field(text, SELECTION, key) for key in sorted(dict(spec.variantSelections))]
    else:
        candidates = [Field(text, DECLARATION)]
    candidates += [Field(text, name) for name in sorted(names)]
    yield from (field for field in candidates if read(layer, field) is not ABSENT)


def read(layer: Sdf.Layer, field: Field) -> Any:
    """Return what a layer says at a field, or ABSENT."""
    spec: Any = layer.GetObjectAtPath(field.path)
    if not spec:
        return ABSENT
    if isinstance(spec, Sdf.PropertySpec):
        if field.name == DECLARATION:
            kind = str(spec.typeName) if isinstance(spec, Sdf.AttributeSpec) else "rel"
            return (kind, spec.variability == Sdf.VariabilityUniform, bool(spec.custom))
    elif field.name == SPECIFIER:
        return next((word for word, s in _SPECIFIERS.items() if s == spec.specifier), ABSENT)
    elif field.name == TYPE:
        return spec.typeName or ABSENT
    elif field.name == SELECTION:
        return dict(spec.variantSelections).get(field.key, ABSENT)
    return spec.GetInfo(field.name) if spec.HasInfo(field.name) else ABSENT


def values_of(layer: Sdf.Layer, fields: Iterable[Field]) -> dict[Field, Any]:
    """Return what a layer says at some fields, ABSENT included."""
    return {field: read(layer, field) for field in fields}


def same(one: Any, other: Any) -> bool:
    """Tell whether two values of a field are equal."""
    if one is ABSENT or other is ABSENT:
        return one is other
    return type(one) is type(other) and bool(one == other)


def fragment(values: Mapping[Field, Any]) -> str:
    """Return usda text that holds what is not ABSENT of some values."""
    layer = Sdf.Layer.CreateAnonymous("fragment.usda")
    for field in sorted(values, key=_order):
        if values[field] is not ABSENT:
            write(layer, field, values[field])
    text: str = layer.ExportToString()
    return text


def write(layer: Sdf.Layer, field: Field, value: Any) -> list[str]:
    """Make a layer say something at a field, or nothing for ABSENT.

    Returns:
        Paths of the specs that had to be created, parents first.
    """
    if value is ABSENT:
        _clear(layer, field)
        return []
    path = Sdf.Path(field.path)
    made = [str(prefix) for prefix in path.GetPrefixes() if layer.GetObjectAtPath(prefix) is None]
    if path.IsPropertyPath():
        _write_property(layer, path, field.name, value)
        return made
    spec = Sdf.CreatePrimInLayer(layer, path)
    if field.name == SPECIFIER:
        spec.specifier = _SPECIFIERS[value]
    elif field.name == TYPE:
        spec.typeName = value
    elif field.name == SELECTION:
        spec.variantSelections[field.key] = value
    else:
        spec.SetInfo(field.name, value)
    return made


def _write_property(layer: Sdf.Layer, path: Sdf.Path, name: str, value: Any) -> None:
    spec = layer.GetPropertyAtPath(path)
    if name == TARGETS:
        _write_targets(spec, value)
        return
    if name != DECLARATION:
        spec.SetInfo(name, value)
        return
    kind, uniform, custom = value
    if spec:
        return
    prim = Sdf.CreatePrimInLayer(layer, path.GetPrimPath())
    varies = Sdf.VariabilityUniform if uniform else Sdf.VariabilityVarying
    if kind == "rel":
        spec = Sdf.RelationshipSpec(prim, path.name, custom, varies)
    else:
        # The stubs know Find as a method without arguments.
        type_name = Sdf.ValueTypeNames.Find(kind)  # type: ignore[call-arg]
        spec = Sdf.AttributeSpec(prim, path.name, type_name, varies)
    spec.custom = custom


def _write_targets(spec: Any, value: Any) -> None:
    """Write targets by their editor: as a field they are read only."""
    editor = spec.targetPathList
    editor.ClearEdits()
    if value is ABSENT:
        return
    if value.isExplicit:
        editor.ClearEditsAndMakeExplicit()
        editor.explicitItems = value.explicitItems
        return
    editor.prependedItems = value.prependedItems
    editor.appendedItems = value.appendedItems
    editor.deletedItems = value.deletedItems


def _clear(layer: Sdf.Layer, field: Field) -> None:
    spec: Any = layer.GetObjectAtPath(field.path)
    if not spec:
        return
    if field.name == DECLARATION:
        layer.GetPrimAtPath(field.prim).RemoveProperty(spec)
    elif field.name == SPECIFIER:
        spec.specifier = Sdf.SpecifierOver
    elif field.name == TYPE:
        spec.ClearInfo("typeName")
    elif field.name == SELECTION:
        if field.key in dict(spec.variantSelections):
            del spec.variantSelections[field.key]
        if not dict(spec.variantSelections):
            spec.ClearInfo(SELECTION)
    elif field.name == TARGETS:
        _write_targets(spec, ABSENT)
    else:
        spec.ClearInfo(field.name)


def said(value: Any) -> str:
    """Return a value as people read it."""
    if value is ABSENT:
        return ""
    if isinstance(value, tuple):
        kind, uniform, custom = value
        return " ".join(filter(None, ["custom" * custom, "uniform" * uniform, kind]))
    text = str(list(value)) if isinstance(value, Vt.TokenArray) else str(value)
    return text if len(text) <= 300 else f"{text[:300]}..."
