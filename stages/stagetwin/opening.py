"""Opening a plant: its root layer, sidecars with bindings for it, and this host's endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pxr import Sdf, Tf, Usd

from stagetwin._errors import ConnectionConfigError, StageError, usd_message

__all__ = ["open_stage"]

_COMPOSED = ("subLayers", "subLayerOffsets")


def open_stage(
    path: str | Path,
    sidecars: Sequence[str | Path] = (),
    endpoints: Mapping[str, str] | None = None,
) -> Usd.Stage:
    """Open a plant's stage.

    Args:
        path: root layer of the plant.
        sidecars: layers that add bindings to a stage which has none, strongest first.
        endpoints: by connection name, the endpoint to use on this host instead; one without a query
            keeps the options of the stage's.

    Returns:
        The stage. With sidecars or endpoints its root layer is an anonymous one on top of theirs,
        so that they count among what the plant approved and not as a session's edits.

    Raises:
        StageError: a layer cannot be opened.
        ConnectionConfigError: an endpoint is given for a connection that is not on the stage.
    """
    root = _layer(path)
    if not sidecars and not endpoints:
        return _stage(root)
    top = Sdf.Layer.CreateAnonymous("plant.usda")
    for sidecar in (*sidecars, path):
        top.subLayerPaths.append(_layer(sidecar).identifier)
    # Stage metadata counts on the root layer alone and is not inherited from sublayers.
    for key in root.pseudoRoot.ListInfoKeys():
        if key not in _COMPOSED:
            top.pseudoRoot.SetInfo(key, root.pseudoRoot.GetInfo(key))
    top.timeCodesPerSecond = root.timeCodesPerSecond
    stage = _stage(top)
    if endpoints:
        _override(stage, top, endpoints)
    return stage


def _layer(path: str | Path) -> Sdf.Layer:
    try:
        layer = Sdf.Layer.FindOrOpen(str(path))
    except Tf.ErrorException as error:
        raise StageError(f"cannot open {path}: {usd_message(error)}") from None
    if layer is None:
        raise StageError(f"cannot open {path}: no such layer")
    return layer


def _stage(root: Sdf.Layer) -> Usd.Stage:
    try:
        return Usd.Stage.Open(root)
    except Tf.ErrorException as error:
        raise StageError(f"cannot open stage {root.identifier}: {usd_message(error)}") from None


def _override(stage: Usd.Stage, top: Sdf.Layer, endpoints: Mapping[str, str]) -> None:
    prims = {p.GetName(): p for p in stage.Traverse() if p.GetTypeName() == "TwinConnection"}
    unknown = sorted(endpoints.keys() - prims.keys())
    if unknown:
        known = ", ".join(sorted(prims)) or "none"
        raise ConnectionConfigError(
            f"endpoints are given for {', '.join(unknown)}, connections on the stage: {known}"
        )
    with Usd.EditContext(stage, top):
        for name, endpoint in endpoints.items():
            attr = prims[name].GetAttribute("twin:endpoint")
            _, marked, query = str(attr.Get() or "").partition("?")
            attr.Set(endpoint if "?" in endpoint else f"{endpoint}{marked}{query}")
