"""Before and after: what a proposal would make of the prims that it touches."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pxr import Sdf, Usd, UsdGeom, UsdUtils

from stagetwin.reviews._fields import Field, parse_layer, said
from stagetwin.reviews._proposal import Proposal

__all__ = ["compose", "edit_rows", "follow", "overridden", "touched_rows"]


def compose(root: Sdf.Layer, edits: str, prims: Iterable[str], site: Path | None) -> Usd.Stage:
    """Return the plant around some prims with a proposal on top, and nothing of any session.

    Args:
        root: root layer of the plant.
        edits: usda text of the proposal; empty for the plant as it is.
        prims: paths that are looked at.
        site: file of the site layer, from which references lead on.
    """
    session = Sdf.Layer.CreateAnonymous("ghost.usda")
    if edits:
        session.TransferContent(parse_layer(edits))
        _lead_on(session, site)
    mask = Usd.StagePopulationMask([Sdf.Path(path) for path in prims if path != "/"])
    return Usd.Stage.OpenMasked(root, session, mask)


def follow(stage: Usd.Stage, layer: Sdf.Layer, prim: str, site: Path | None) -> None:
    """Have a composed stage show what a proposal says by now at and below a prim.

    Args:
        stage: of `compose`, with the prim among those that are looked at.
        layer: the proposal.
        prim: path.
        site: as for `compose`.
    """
    session = stage.GetSessionLayer()
    copy = Sdf.Layer.CreateAnonymous("follow.usda")
    if layer.GetPrimAtPath(prim):
        Sdf.CreatePrimInLayer(copy, prim)
        Sdf.CopySpec(layer, prim, copy, prim)
        _lead_on(copy, site)
        Sdf.CreatePrimInLayer(session, prim)
        Sdf.CopySpec(copy, prim, session, prim)
    elif spec := session.GetPrimAtPath(prim):
        parent: Any = spec.nameParent or session.pseudoRoot  # the stubs lack deletion
        del parent.nameChildren[spec.name]


def _lead_on(session: Sdf.Layer, site: Path | None) -> None:
    """Have references lead on from the site layer."""
    if site is not None:
        UsdUtils.ModifyAssetPaths(
            session, lambda path: str(site.parent / path) if path.startswith("./") else path
        )


def touched_rows(
    proposal: Proposal, before: Usd.Stage, after: Usd.Stage, prims: Iterable[str]
) -> list[dict[str, Any]]:
    """Return `{prim, change, before, after}` of each prim, with local and world matrices."""
    rows: list[dict[str, Any]] = []
    caches = UsdGeom.XformCache(), UsdGeom.XformCache()
    for path in prims:
        was = _matrices(before, path, caches[0])
        becomes = _matrices(after, path, caches[1])
        there, stays = _is_there(before, path), _is_there(after, path)
        change = "changed" if there == stays else "added" if stays else "removed"
        rows.append({"prim": path, "change": change, "before": was, "after": becomes})
    return rows


def _is_there(stage: Usd.Stage, path: str) -> bool:
    prim = stage.GetPrimAtPath(path)
    return bool(prim) and prim.IsActive() and prim.IsDefined()


def _matrices(
    stage: Usd.Stage, path: str, cache: UsdGeom.XformCache
) -> dict[str, list[float]] | None:
    prim = stage.GetPrimAtPath(path)
    if not _is_there(stage, path) or not UsdGeom.Xformable(prim):
        return None
    local, _ = cache.GetLocalTransformation(prim)
    world = cache.GetLocalToWorldTransform(prim)
    return {"local": _flat(local), "world": _flat(world)}


def _flat(matrix: Any) -> list[float]:
    return [float(matrix[row, column]) for row in range(4) for column in range(4)]


def edit_rows(theirs: dict[Field, Any], base: dict[Field, Any]) -> list[dict[str, str]]:
    """Return `{path, field, before, after}` of each field, to read."""
    return [
        {
            "path": field.path,
            "field": f"{field.name}:{field.key}" if field.key else field.name,
            "before": said(base[field]),
            "after": said(value),
        }
        for field, value in theirs.items()
        if field.name != "declaration"
    ]


def overridden(stage: Usd.Stage, site: Path, fields: Iterable[Field]) -> list[str]:
    """Return the paths at which a stronger layer of the plant says something of the same field."""
    stronger: list[Sdf.Layer] = []
    for layer in stage.GetLayerStack(includeSessionLayers=False):
        if layer.realPath and Path(layer.realPath).resolve() == site:
            break
        stronger.append(layer)
    found: set[str] = set()
    for field in fields:
        if field.name in ("declaration", "specifier"):
            continue
        for layer in stronger:
            spec: Any = layer.GetObjectAtPath(field.path)
            if spec and spec.HasInfo(field.name):
                found.add(field.path)
    return sorted(found)
