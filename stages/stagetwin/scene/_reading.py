"""A stage being converted: its models, and the manifest that places them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import PurePath
from typing import Any

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom

from stagetwin.scene._cache import ModelCache
from stagetwin.scene._cameras import camera_row
from stagetwin.scene._instancers import read_instances
from stagetwin.scene._model import DRAWN, prim_row
from stagetwin.scene._models import Models, joined, manifest_row
from stagetwin.scene._partition import Partition
from stagetwin.scene._places import is_finite, matrix_rows, parts
from stagetwin.scene._prototypes import Piece, Prototypes
from stagetwin.scene._scene import Scene
from stagetwin.scene._shape import ShapeFault
from stagetwin.scene._values import Values

__all__ = ["SceneReading", "moving_prims"]


def moving_prims(driven: Collection[Sdf.Path]) -> list[Sdf.Path]:
    """Return the prims whose local transform changes when driven properties do."""
    return sorted({path.GetPrimPath() for path in driven if path.name.startswith("xformOp:")})


class SceneReading:
    """One conversion of a stage, in steps.

    Attributes:
        scene: the result, once `steps` is exhausted.
        fingerprint: the same for scenes that differ in nothing but what live values moved; of use
            in this process alone.
    """

    def __init__(self, stage: Usd.Stage, values: Values, cache: ModelCache, epoch: int) -> None:
        self._stage = stage
        self._values = values
        self._cache = cache
        self._epoch = epoch
        self._models = Models(values, cache)
        self._partition = Partition(stage, values.live)
        self._xforms = UsdGeom.XformCache(values.time)
        self._prototypes = Prototypes(stage, self._models, self._xforms)
        self._nodes: list[dict[str, Any]] = []
        self._instancers: list[dict[str, Any]] = []
        self._rows: list[dict[str, Any]] = []
        self._cameras: list[dict[str, Any]] = []
        self._bounds = Gf.Range3d()
        self.scene: Scene | None = None
        self.fingerprint = 0

    @property
    def prims(self) -> int:
        """How many prims were converted, and not found in the cache."""
        return self._models.prims

    def steps(self) -> Iterator[None]:
        """Convert; what is yielded means nothing but a moment to pause."""
        yield from self._partition.steps()
        identity = Gf.Matrix4d(1)
        for top in self._partition.tops:
            yield from self._place(top, -1, identity, True)
        self._finish()
        self._cache.keep(self._models.used)

    # -- places

    def _place(
        self, prim: Usd.Prim, parent: int, above: Gf.Matrix4d, shown: bool, under: str = ""
    ) -> Iterator[None]:
        """Add a prim that is a model, an instancer or scenery, and what is below it."""
        path = prim.GetPath()
        row = prim_row(self._values, prim, str(path))
        local = self._values.local_matrix(prim, now=True)
        if not is_finite(local):
            self._models.problem(row.path, "its transform is not finite: left out")
            local = Gf.Matrix4d(1)
        if parent >= 0 and self._values.resets(prim, now=True):
            local = local * above.GetInverse()
        world = local * above
        purpose = str(UsdGeom.Imageable(prim).ComputePurpose()) if prim else "default"
        node = {
            "path": row.path,
            "parent": parent,
            "under": under,
            "matrix": matrix_rows(local),
            "glb": None,
            "kind": row.kind,
            "visible": row.visible,
            "purpose": purpose or "default",
            "instance": row.instance,
        }
        position = len(self._nodes)
        still = path not in self._values.movers
        self._mark(parent, under, purpose, *(matrix_rows(local) if still else ()))
        self._mark(row)
        self._rows.append(manifest_row(row, row.path))
        if row.type == "Camera":
            self._camera(row.path, row.label)
        shown = shown and row.visible
        if prim.GetTypeName() == "PointInstancer":
            self._nodes.append(node)
            yield from self._instancer(prim, position, world, shown and purpose in DRAWN)
            return
        is_model = path in self._partition.roots
        inner = [] if is_model else self._below(prim)
        beside = frozenset(child.GetPath() for child in inner)
        kept = yield from self._models.model(prim, beside)
        model = kept.model
        if is_model or inner or model.hash:
            self._nodes.append(node)
        node["glb"] = model.hash or None
        self._mark(position, model.hash)
        yield from self._models.rows(path, kept)
        self._rows.extend(kept.rows or ())
        self._mark(kept.mark)
        for camera in kept.cameras:
            self._camera(*camera)
        if shown and not model.bounds.IsEmpty():
            self._bounds.UnionWith(Gf.BBox3d(model.bounds, world).ComputeAlignedRange())
        for child in inner:
            yield from self._place(child, position, world, shown)
        for short in model.instancers:
            yield from self._inner_instancer(prim, short, position, world, shown)

    def _below(self, prim: Usd.Prim) -> list[Usd.Prim]:
        """Return the children of scenery that are not loose."""
        opens, roots = self._partition.opens, self._partition.roots
        children = prim.GetChildren()
        return [each for each in children if each.GetPath() in opens or each.GetPath() in roots]

    def _inner_instancer(
        self, root: Usd.Prim, short: str, position: int, world: Gf.Matrix4d, shown: bool
    ) -> Iterator[None]:
        """Add an instancer inside a model: it hangs from its parent in the model's GLB."""
        prim = self._stage.GetPrimAtPath(joined(root.GetPath(), short))
        parent = prim.GetParent()
        under = str(parent.GetPath().MakeRelativePath(root.GetPath())) if parent != root else ""
        between = self._xforms.ComputeRelativeTransform(parent, root)[0]
        prim_shown = UsdGeom.Imageable(prim).ComputeVisibility() != UsdGeom.Tokens.invisible
        rows = len(self._rows)
        yield from self._place(prim, position, between * world, shown and prim_shown, under)
        del self._rows[rows]  # it came with the model

    def _mark(self, *parts: object) -> None:
        self.fingerprint = hash((self.fingerprint, *parts))

    # -- instancers

    def _instancer(
        self, prim: Usd.Prim, node: int, world: Gf.Matrix4d, shown: bool
    ) -> Iterator[None]:
        path = str(prim.GetPath())
        notes: list[str] = []
        targets = UsdGeom.PointInstancer(prim).GetPrototypesRel().GetForwardedTargets()
        prototypes: list[list[Piece]] = []
        boxes: list[Gf.Range3d] = []
        for target in targets:
            pieces, box = yield from self._prototypes.pieces(target, prim.GetPath())
            prototypes.append(pieces)
            boxes.append(box)
        try:
            instances = read_instances(self._values, prim, len(targets), notes)
        except ShapeFault as fault:
            self._models.problem(path, f"not shown: {fault}")
            return
        for note in notes:
            self._models.problem(path, note)
        self._mark(
            path,
            len(instances.indices),
            *(glb for pieces in prototypes for glb, _ in pieces),
            *(n for pieces in prototypes for _, place in pieces for n in matrix_rows(place)),
            *(table.tobytes() for table in instances.designed(self._values.driven, prim.GetPath())),
        )
        self._instancers.append(
            {
                "path": path,
                "node": node,
                "prototypes": [
                    [{"glb": glb, "matrix": matrix_rows(matrix)} for glb, matrix in pieces]
                    for pieces in prototypes
                ],
                "bounds": [_box(box) for box in boxes],
                **instances.row(),
            }
        )
        if shown and len(instances.indices):
            drawn = np.ones(len(instances.indices), bool)
            drawn[instances.hidden] = False
            self._bound_instances(instances.matrices(), instances.indices, drawn, boxes, world)

    def _bound_instances(
        self, matrices: Any, indices: Any, drawn: Any, boxes: list[Gf.Range3d], world: Gf.Matrix4d
    ) -> None:
        for number, box in enumerate(boxes):
            which = matrices[(indices == number) & drawn]
            if box.IsEmpty() or not len(which):
                continue
            corners = np.array([[*parts(box.GetCorner(i)), 1.0] for i in range(8)])
            points = (corners @ which).reshape(-1, 4) @ np.array(world)
            low, high = points[:, :3].min(axis=0), points[:, :3].max(axis=0)
            self._bounds.UnionWith(Gf.Range3d(Gf.Vec3d(*low.tolist()), Gf.Vec3d(*high.tolist())))

    # -- the rest

    def _camera(self, path: str, label: str) -> None:
        prim = self._stage.GetPrimAtPath(path)
        unit = UsdGeom.GetStageMetersPerUnit(self._stage)
        try:
            self._cameras.append(camera_row(prim, label, self._values.time, unit))
        except ShapeFault as fault:
            self._models.problem(path, str(fault))

    def _movers(self) -> list[dict[str, Any]]:
        found = []
        for path in moving_prims(self._values.driven):
            prim = self._stage.GetPrimAtPath(path)
            if prim:
                matrix = self._values.local_matrix(prim, now=True)
                matrix = matrix if is_finite(matrix) else Gf.Matrix4d(1)
                if self._values.resets(prim, now=True):
                    matrix = matrix * self._xforms.GetParentToWorldTransform(prim).GetInverse()
                found.append({"path": str(path), "matrix": matrix_rows(matrix)})
        return found

    def _finish(self) -> None:
        stage = self._stage
        problems = tuple(sorted(self._models.problems))
        up, unit = str(UsdGeom.GetStageUpAxis(stage)), UsdGeom.GetStageMetersPerUnit(stage)
        movers = self._movers()
        self._mark(up, unit, problems, *(row["path"] for row in movers))
        self._mark(*(repr(row) for row in self._cameras))
        manifest = {
            "epoch": self._epoch,
            "stage": {
                "up": up,
                "metersPerUnit": unit,
                "name": PurePath(stage.GetRootLayer().GetDisplayName()).stem,
                "bounds": _box(self._bounds),
            },
            "nodes": self._nodes,
            "instancers": self._instancers,
            "movers": movers,
            "prims": self._rows,
            "cameras": self._cameras,
            "problems": [{"path": each.path, "reason": each.reason} for each in problems],
        }
        self.scene = Scene(self._epoch, manifest, self._models.glbs, problems)


def _box(box: Gf.Range3d) -> list[list[float]] | None:
    return None if box.IsEmpty() else [parts(box.GetMin()), parts(box.GetMax())]
