"""The state layer: the service's own words about connections, levels and its own health."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pxr import Sdf

from stagetwin.live._layers import Owner
from stagetwin.live._writer import write_specs

__all__ = ["HEALTH_PATH", "StateLayer"]

HEALTH_PATH = Sdf.Path("/StageTwin/Health")
"""Where the health of the synchronisation stands on the stage."""


class StateLayer:
    """Writes attributes of the `state` layer, creating them on first use."""

    def __init__(self, layer: Sdf.Layer) -> None:
        self._owner = Owner()
        self._layer = layer
        self._specs: dict[Sdf.Path, Sdf.AttributeSpec] = {}

    def define_health(self) -> None:
        """Create the prim that carries the service's health."""
        self._owner.check()
        with Sdf.ChangeBlock():
            for path in (HEALTH_PATH.GetParentPath(), HEALTH_PATH):
                prim = Sdf.CreatePrimInLayer(self._layer, path)
                prim.specifier = Sdf.SpecifierDef
                prim.typeName = "Scope"
            prim.SetInfo("apiSchemas", Sdf.TokenListOp.Create(prependedItems=["TwinHealthAPI"]))

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
