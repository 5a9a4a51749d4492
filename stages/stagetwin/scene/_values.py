"""Reading attributes of the composed stage, as designed: without what live layers say."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from pxr import Gf, Sdf, Usd, UsdGeom

__all__ = ["Values", "reading_time"]

_RESET = "!resetXformStack!"


def reading_time(stage: Usd.Stage) -> Usd.TimeCode:
    """Return the time at which an animated stage is shown: its first frame."""
    if stage.HasAuthoredTimeCodeRange():
        return Usd.TimeCode(stage.GetStartTimeCode())
    return Usd.TimeCode.EarliestTime()


class Values:
    """Values of attributes at one time.

    An attribute that live values drive has two: the one *now*, and the one of the *design*,
    authored beneath the live layers.

    Attributes:
        time: when undriven attributes are read.
        driven: paths of attributes that live values drive.
        movers: prims whose transform they drive.
    """

    def __init__(
        self,
        time: Usd.TimeCode,
        driven: Collection[Sdf.Path] = (),
        live: Iterable[Sdf.Layer] = (),
    ) -> None:
        self.time = time
        self.driven = frozenset(driven)
        self.movers = frozenset(
            path.GetPrimPath() for path in self.driven if path.name.startswith("xformOp:")
        )
        self.live = frozenset(layer.identifier for layer in live)

    def get(self, attribute: Usd.Attribute) -> Any:
        """Return the value of the design, None where there is none."""
        if not attribute:
            return None
        if self.driven and attribute.GetPath() in self.driven:
            return self._design(attribute)
        return attribute.Get(self.time)

    def now(self, attribute: Usd.Attribute) -> Any:
        """Return the value now, None where there is none."""
        if not attribute:
            return None
        if self.driven and attribute.GetPath() in self.driven:
            value = attribute.Get()
            return self._design(attribute) if value is None else value
        return attribute.Get(self.time)

    def _design(self, attribute: Usd.Attribute) -> Any:
        for spec in attribute.GetPropertyStack():
            if spec.layer.identifier not in self.live and spec.HasInfo("default"):
                return spec.default
        definition = attribute.GetPrim().GetPrimDefinition()
        return definition.GetAttributeFallbackValue(attribute.GetName())

    def local_matrix(self, prim: Usd.Prim, *, now: bool = False) -> Gf.Matrix4d:
        """Return the local transform of a prim, the identity where it can have none.

        Args:
            now: with the live values, not as designed.
        """
        xformable = UsdGeom.Xformable(prim)
        if not xformable:
            return Gf.Matrix4d(1)
        if prim.GetPath() not in self.movers:
            return xformable.GetLocalTransformation(self.time)
        scratch = Usd.Stage.CreateInMemory()
        copy = UsdGeom.Xform.Define(scratch, "/Prim")
        read = self.now if now else self.get
        # A model that places a prim gives it another order too.
        order = read(xformable.GetXformOpOrderAttr()) or ()
        for name in {str(each).removeprefix("!invert!") for each in order if each != _RESET}:
            attribute = prim.GetAttribute(name)
            value = read(attribute)
            if value is not None:
                kind = attribute.GetTypeName()
                copy.GetPrim().CreateAttribute(name, kind, False).Set(value)
        if order:
            copy.GetXformOpOrderAttr().Set(order)
        return copy.GetLocalTransformation()

    def resets(self, prim: Usd.Prim, *, now: bool = False) -> bool:
        """Tell whether a prim's transform is not relative to its parent's."""
        xformable = UsdGeom.Xformable(prim)
        if not xformable or prim.GetPath() not in self.movers:
            return bool(xformable) and xformable.GetResetXformStack()
        order = (self.now if now else self.get)(xformable.GetXformOpOrderAttr())
        return _RESET in (order or ())
