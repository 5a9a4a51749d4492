"""Where anchors are: what asset a prim belongs to, and where that asset is now."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pxr import Gf, Usd, UsdGeom

from stagetwin.reviews._topic import Anchor, Resolved

__all__ = ["Places"]


class Places:
    """Finds anchored prims on a stage, also after they were renamed.

    A prim is known by the `twin:id` of the nearest asset at or above it and by its path from there.
    """

    def __init__(self, stage: Usd.Stage) -> None:
        self._stage = stage
        self._assets: Mapping[str, str] | None = None

    def forget(self) -> None:
        """Take note that prims may have come, gone, or changed their names."""
        self._assets = None

    def place(self, path: str) -> tuple[str, str]:
        """Return `twin:id` of the nearest asset and the path from it; both empty without one."""
        prim = self._stage.GetPrimAtPath(path)
        asset = prim
        while asset and not asset.IsPseudoRoot():
            if identity := _identity(asset):
                relative = str(prim.GetPath().MakeRelativePath(asset.GetPath()))
                return identity, "" if relative == "." else relative
            asset = asset.GetParent()
        return "", ""

    def resolve(self, anchor: Anchor) -> Resolved:
        """Return how an anchor stands now."""
        there = _is_there(self._stage.GetPrimAtPath(anchor.prim))
        if there and (not anchor.id or self.place(anchor.prim)[0] == anchor.id):
            return Resolved()
        if not anchor.id:
            return Resolved(orphaned=True)
        asset = self._by_identity().get(anchor.id)
        if asset is None:
            return Resolved(orphaned=True)
        path = f"{asset}/{anchor.relative}" if anchor.relative else asset
        found = _is_there(self._stage.GetPrimAtPath(path))
        return Resolved(orphaned=True, moved_to=path if found else asset)

    def remembering(self) -> Callable[[Anchor], Resolved]:
        """Return `resolve` for one look at many anchors: equal places are looked up once."""
        known: dict[tuple[str, str, str], Resolved] = {}

        def resolve(anchor: Anchor) -> Resolved:
            place = anchor.prim, anchor.id, anchor.relative
            if (found := known.get(place)) is None:
                found = known[place] = self.resolve(anchor)
            return found

        return resolve

    def space(self, path: str) -> Gf.Matrix4d:
        """Return a prim's transform to the stage's space; identity where there is none."""
        prim = self._stage.GetPrimAtPath(path)
        if not prim or prim.IsPseudoRoot():
            return Gf.Matrix4d(1)
        return UsdGeom.XformCache().GetLocalToWorldTransform(prim)

    def _by_identity(self) -> Mapping[str, str]:
        if self._assets is None:
            found: dict[str, str] = {}
            predicate = Usd.TraverseInstanceProxies(Usd.PrimDefaultPredicate)
            for prim in Usd.PrimRange.Stage(self._stage, predicate):
                if identity := _identity(prim):
                    found.setdefault(identity, str(prim.GetPath()))
            self._assets = found
        return self._assets


def _identity(prim: Usd.Prim) -> str:
    value = prim.GetAttribute("twin:id").Get() if prim.HasAttribute("twin:id") else ""
    return value if isinstance(value, str) else ""


def _is_there(prim: Usd.Prim) -> bool:
    return bool(prim) and prim.IsActive() and prim.IsDefined()
