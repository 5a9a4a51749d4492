"""Which prims are models, and what is scenery between them."""

from __future__ import annotations

from collections.abc import Iterator

from pxr import Kind, Sdf, Usd

__all__ = ["Partition"]

STEP = 64
"""Prims between two moments to pause."""

_SHADING = frozenset({"Material", "Shader", "NodeGraph", "GeomSubset"})


class Partition:
    """The models of a stage.

    Attributes:
        roots: paths of model roots.
        opens: paths of prims with model roots or instancers below them, and instancers themselves.
        tops: root prims of the stage that are shown.
    """

    def __init__(self, stage: Usd.Stage, live: frozenset[str]) -> None:
        self._stage = stage
        self._live = live
        self._kinds: dict[str, tuple[bool, bool]] = {}
        self.roots: set[Sdf.Path] = set()
        self.opens: set[Sdf.Path] = set()
        self.tops: list[Usd.Prim] = []

    def steps(self) -> Iterator[None]:
        """Look at the stage; what is yielded means nothing but a moment to pause."""
        pseudo = self._stage.GetPseudoRoot()
        self.tops = [prim for prim in pseudo.GetChildren() if not self._is_our_own(prim)]
        kinds = False
        for top in self.tops:
            prims = iter(Usd.PrimRange(top))
            for count, prim in enumerate(prims):
                if count % STEP == STEP - 1:
                    yield
                if prim.GetTypeName() in _SHADING:
                    prims.PruneChildren()
                elif prim.GetTypeName() == "PointInstancer":
                    self._open(prim.GetPath())
                    prims.PruneChildren()
                else:
                    model, instance = self._is_root(prim)
                    kinds |= model and not instance
                    if model:
                        self.roots.add(prim.GetPath())
                        self._open(prim.GetPath().GetParentPath())
                        prims.PruneChildren()
        if not kinds:
            self._by_children()

    def _is_our_own(self, prim: Usd.Prim) -> bool:
        """Tell whether only the service's layers know a prim."""
        stack = prim.GetPrimStack()
        return bool(stack) and all(spec.layer.identifier in self._live for spec in stack)

    def _is_root(self, prim: Usd.Prim) -> tuple[bool, bool]:
        """Tell whether a prim is a model root, and whether because USD instances it."""
        if prim.IsInstance():
            return True, True
        kind = str(Usd.ModelAPI(prim).GetKind())
        if not kind:
            return False, False
        known = self._kinds.get(kind)
        if known is None:
            is_a = Kind.Registry.IsA
            known = (is_a(kind, Kind.Tokens.component), is_a(kind, Kind.Tokens.subcomponent))
            self._kinds[kind] = known
        component, below = known
        own = below and (prim.HasAuthoredReferences() or prim.HasAuthoredPayloads())
        return component or own, False

    def _open(self, path: Sdf.Path) -> None:
        while path != Sdf.Path.absoluteRootPath and path not in self.opens:
            self.opens.add(path)
            path = path.GetParentPath()

    def _by_children(self) -> None:
        default = self._stage.GetDefaultPrim()
        for prim in default.GetChildren() if default else ():
            path = prim.GetPath()
            if path not in self.opens and path not in self.roots:
                self.roots.add(path)
                self._open(path.GetParentPath())
