"""The state layer: the service's own words about connections, levels and its own health."""

from __future__ import annotations

from pxr import Sdf

from stagetwin._authoring import OpinionLayer

__all__ = ["HEALTH_PATH", "StateLayer"]

HEALTH_PATH = Sdf.Path("/StageTwin/Health")
"""Where the health of the synchronisation stands on the stage."""


class StateLayer(OpinionLayer):
    """Writes attributes of the `state` layer, creating them on first use."""

    def define_health(self) -> None:
        """Create the prim that carries the service's health."""
        self._owner.check()
        with Sdf.ChangeBlock():
            for path in (HEALTH_PATH.GetParentPath(), HEALTH_PATH):
                prim = Sdf.CreatePrimInLayer(self._layer, path)
                prim.specifier = Sdf.SpecifierDef
                prim.typeName = "Scope"
            prim.SetInfo("apiSchemas", Sdf.TokenListOp.Create(prependedItems=["TwinHealthAPI"]))
