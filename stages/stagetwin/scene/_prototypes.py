"""Prototypes of PointInstancers: the models that an instance consists of."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from pxr import Gf, Sdf, Usd, UsdGeom

from stagetwin.scene._instancers import read_instances
from stagetwin.scene._model import prim_row
from stagetwin.scene._models import Models, joined
from stagetwin.scene._shape import ShapeFault

__all__ = ["Piece", "Prototypes"]

MAX_NESTED = 4
"""Instancers inside of instancers' prototypes."""

MAX_PIECES = 4_096
"""Pieces of one prototype."""

Piece = tuple[str, Gf.Matrix4d]
"""Hash of a GLB, and its place in the instance."""


class Prototypes:
    """Reads prototypes; instancers inside of them become pieces, instance by instance."""

    def __init__(self, stage: Usd.Stage, models: Models, xforms: UsdGeom.XformCache) -> None:
        self._stage = stage
        self._models = models
        self._xforms = xforms

    def pieces(
        self, target: Sdf.Path, owner: Sdf.Path
    ) -> Generator[None, None, tuple[list[Piece], Gf.Range3d]]:
        """Return the pieces of a prototype, and the bounds of what is drawn of it.

        Args:
            target: path of the prototype.
            owner: path of the instancer.
        """
        found: list[Piece] = []
        bounds = Gf.Range3d()
        yield from self._collect(target, Gf.Matrix4d(1), found, bounds, 0, (owner,))
        return found, bounds

    def _collect(
        self,
        target: Sdf.Path,
        outer: Gf.Matrix4d,
        pieces: list[tuple[str, Gf.Matrix4d]],
        bounds: Gf.Range3d,
        depth: int,
        inside: tuple[Sdf.Path, ...],
    ) -> Iterator[None]:
        """Collect the GLBs of a prototype, instances of instancers inside it one by one."""
        prim = self._stage.GetPrimAtPath(target)
        owner = str(inside[-1])
        if not prim:
            self._models.problem(owner, f"its prototype {target} does not exist")
            return
        if depth > MAX_NESTED or target in inside:
            self._models.problem(owner, f"its prototype {target} is nested in itself, or too deep")
            return
        if UsdGeom.Imageable(prim) and not prim_row(self._models.values, prim, "").visible:
            return
        model = (yield from self._models.model(prim, prototype=True)).model
        place = self._models.values.local_matrix(prim) * outer
        if model.hash:
            if len(pieces) >= MAX_PIECES:
                self._models.problem(
                    owner, f"its prototype {target} has more than {MAX_PIECES} pieces"
                )
                return
            pieces.append((model.hash, place))
            bounds.UnionWith(Gf.BBox3d(model.bounds, place).ComputeAlignedRange())
        for short in model.instancers:
            yield from self._nested(prim, short, place, pieces, bounds, depth, (*inside, target))

    def _nested(
        self,
        root: Usd.Prim,
        short: str,
        place: Gf.Matrix4d,
        pieces: list[tuple[str, Gf.Matrix4d]],
        bounds: Gf.Range3d,
        depth: int,
        inside: tuple[Sdf.Path, ...],
    ) -> Iterator[None]:
        prim = self._stage.GetPrimAtPath(joined(root.GetPath(), short))
        targets = UsdGeom.PointInstancer(prim).GetPrototypesRel().GetForwardedTargets()
        notes: list[str] = []
        try:
            instances = read_instances(self._models.values, prim, len(targets), notes)
        except ShapeFault as fault:
            self._models.problem(str(prim.GetPath()), f"not shown: {fault}")
            return
        relative = Gf.Matrix4d(1)
        if prim != root:
            relative = self._xforms.ComputeRelativeTransform(prim, root)[0]
        hidden = set(instances.hidden.tolist())
        for number, matrix in enumerate(instances.matrices()):
            if number in hidden or len(pieces) >= MAX_PIECES:
                continue
            outer = Gf.Matrix4d(matrix.tolist()) * relative * place
            target = targets[int(instances.indices[number])]
            yield from self._collect(target, outer, pieces, bounds, depth + 1, inside)
