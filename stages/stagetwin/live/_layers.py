"""The session layer stack: one sublayer per origin, so that origins never hide one another."""

from __future__ import annotations

from pxr import Sdf, Usd

from stagetwin._authoring import Owner

__all__ = ["LAYER_NAMES", "Owner", "SessionLayers"]

LAYER_NAMES = ("review", "desired", "state", "history", "predicted", "live")
"""Strongest first. `history` is stronger than `live`, so that a value at a time comes from history
and the value without a time from live."""


class SessionLayers:
    """Anonymous sublayers of a stage's session layer, strongest first.

    Attributes:
        review: comments and viewpoints.
        desired: requested values; the service writes it.
        state: the service's own words.
        history: a window of the past as time samples.
        predicted: what models expect.
        live: telemetry.
    """

    review: Sdf.Layer
    desired: Sdf.Layer
    state: Sdf.Layer
    history: Sdf.Layer
    predicted: Sdf.Layer
    live: Sdf.Layer

    def __init__(self, stage: Usd.Stage) -> None:
        self._session = stage.GetSessionLayer()
        with Sdf.ChangeBlock():
            for name in LAYER_NAMES:
                layer = Sdf.Layer.CreateAnonymous(f"{name}.usda")
                setattr(self, name, layer)
                self._session.subLayerPaths.append(layer.identifier)
        # Samples would land at other times if the layer's time codes had another length.
        self.history.timeCodesPerSecond = stage.GetTimeCodesPerSecond()

    def detach(self) -> None:
        """Take the sublayers out of the session layer again: the stage is as it was."""
        with Sdf.ChangeBlock():
            for name in LAYER_NAMES:
                self._session.subLayerPaths.remove(getattr(self, name).identifier)
