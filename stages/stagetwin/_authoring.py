"""Authoring specs: who may, what a spec must look like, and how values go into them fast.

A viewer uses it as well as the service: it needs pxr and nothing else.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Container, Mapping, Sequence
from typing import Any

from pxr import Sdf, Usd

from stagetwin._errors import OwnershipError

__all__ = [
    "BLOCK_SIZE",
    "OpinionLayer",
    "Owner",
    "author_specs",
    "declared_value",
    "declaring_spec",
    "write_specs",
]

BLOCK_SIZE = 60
"""Changes per Sdf.ChangeBlock. Sdf's change list searches linearly up to 64 entries and builds a
hash table beyond, which makes large blocks slower than none."""

_set_default = Sdf.AttributeSpec.default.fset


class Owner:
    """The one thread that may touch a stage: USD allows many readers or one writer."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def check(self) -> None:
        """Raise OwnershipError on any other thread."""
        if threading.get_ident() != self._thread:
            raise OwnershipError(
                "the stage belongs to the thread that opened it; hand it columns through the hub"
            )


def write_specs(specs: Sequence[Sdf.AttributeSpec], values: Sequence[Any]) -> None:
    """Set the default values of attribute specs, in blocks of `BLOCK_SIZE`.

    Args:
        specs: specs of one staged layer.
        values: as many values of the specs' types, as Python or Gf objects.
    """
    # deque(maxlen=0) runs the map at C speed; a Python loop costs a third more.
    for start in range(0, len(specs), BLOCK_SIZE):
        stop = start + BLOCK_SIZE
        with Sdf.ChangeBlock():
            deque(map(_set_default, specs[start:stop], values[start:stop]), maxlen=0)


def author_specs(
    layer: Sdf.Layer, wanted: Mapping[Sdf.Path, tuple[Sdf.ValueTypeName, Sdf.Variability, bool]]
) -> None:
    """Create wanted specs in one block, and remove those that are not wanted any more."""
    gone: list[Sdf.AttributeSpec] = []

    def visit(path: Sdf.Path | str) -> None:
        at = Sdf.Path(path)
        if at.IsPropertyPath():
            spec = layer.GetAttributeAtPath(at)
            if (spec.typeName, spec.variability) != wanted.get(at, ())[:2]:
                gone.append(spec)

    layer.Traverse(Sdf.Path.absoluteRootPath, visit)
    with Sdf.ChangeBlock():
        for spec in gone:
            layer.GetPrimAtPath(spec.path.GetPrimPath()).RemoveProperty(spec)
        for path, (type_name, variability, custom) in wanted.items():
            if not layer.GetAttributeAtPath(path):
                Sdf.JustCreatePrimAttributeInLayer(layer, path, type_name, variability, custom)
    if gone:
        layer.RemoveInertSceneDescription()


def declaring_spec(attr: Usd.Attribute, ignored: Container[str]) -> Sdf.AttributeSpec | None:
    """Return the spec that says what an attribute is: the schema's, else the plant's strongest.

    Args:
        attr: composed attribute.
        ignored: identifiers of the layers a twin writes. Their specs outlive what they were made
            for, until the bindings are read again.
    """
    built_in = attr.GetPrim().GetPrimDefinition().GetSchemaAttributeSpec(attr.GetName())
    if built_in:
        return built_in
    specs = (s for s in attr.GetPropertyStack() if s.layer.identifier not in ignored)
    return next((s for s in specs if isinstance(s, Sdf.AttributeSpec)), None)


def declared_value(attr: Usd.Attribute, ignored: Container[str]) -> Any:
    """Return an attribute's default as the plant says it, None if it says none."""
    for spec in attr.GetPropertyStack():
        if spec.layer.identifier not in ignored and spec.HasDefaultValue():
            return None if isinstance(spec.default, Sdf.ValueBlock) else spec.default
    return None


class OpinionLayer:
    """Writes single attributes of one layer, creating them on first use."""

    def __init__(self, layer: Sdf.Layer) -> None:
        self._owner = Owner()
        self._layer = layer
        self._specs: dict[Sdf.Path, Sdf.AttributeSpec] = {}

    def write(self, values: Mapping[Sdf.Path, tuple[Sdf.ValueTypeName, Any]]) -> None:
        """Write attributes.

        Args:
            values: type and value by attribute path; None withdraws the opinion.
        """
        self._owner.check()
        missing = [path for path in values if path not in self._specs]
        with Sdf.ChangeBlock():
            for path in missing:
                name = path.name
                # Level is uniform in the schema; everything the service says of it varies.
                variability = (
                    Sdf.VariabilityUniform if name == "twin:level" else Sdf.VariabilityVarying
                )
                Sdf.JustCreatePrimAttributeInLayer(
                    self._layer, path, values[path][0], variability, False
                )
        for path in missing:
            self._specs[path] = self._layer.GetAttributeAtPath(path)
        new = [
            (self._specs[path], value)
            for path, (_, value) in values.items()
            if self._specs[path].default != value
        ]
        write_specs([spec for spec, _ in new], [value for _, value in new])

    def withdraw(self, path: Sdf.Path) -> None:
        """Remove an attribute, so that the opinion below it shows again."""
        self._owner.check()
        if self._specs.pop(path, None) is not None:
            prim = self._layer.GetPrimAtPath(path.GetPrimPath())
            prim.RemoveProperty(self._layer.GetPropertyAtPath(path))
