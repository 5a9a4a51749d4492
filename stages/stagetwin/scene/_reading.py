"""A stage being converted: its models, and the manifest that places them."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from pathlib import PurePath
from typing import Any

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom

from stagetwin.scene._cache import ModelCache
from stagetwin.scene._cameras import camera_row
from stagetwin.scene._instancers import read_instances
from stagetwin.scene._keys import ModelKeys
from stagetwin.scene._model import DRAWN, Model, ModelReading, PrimRow, prim_row
from stagetwin.scene._partition import Partition
from stagetwin.scene._places import is_finite, matrix_rows, parts
from stagetwin.scene._scene import Scene, SceneProblem
from stagetwin.scene._shape import ShapeFault
from stagetwin.scene._values import Values

__all__ = ["SceneReading", "moving_prims"]

MAX_NESTED = 4
"""Instancers inside of instancers' prototypes."""

MAX_PIECES = 4_096
"""Pieces of one prototype."""

_NOTHING: frozenset[Sdf.Path] = frozenset()


def moving_prims(driven: Collection[Sdf.Path]) -> list[Sdf.Path]:
    """Return the prims whose local transform changes when driven properties do."""
    return sorted({path.GetPrimPath() for path in driven if path.name.startswith("xformOp:")})


class SceneReading:
    """One conversion of a stage, in steps.

    Attributes:
        scene: the result, once `steps` is exhausted.
        fingerprint: the same for scenes that differ in nothing but what live values moved; of use
            in this process alone.
        prims: how many prims were converted, and not found in the cache.
    """

    def __init__(self, stage: Usd.Stage, values: Values, cache: ModelCache, epoch: int) -> None:
        self._stage = stage
        self._values = values
        self._cache = cache
        self._epoch = epoch
        self._keys = ModelKeys(values.time, values.live)
        self._partition = Partition(stage, values.live)
        self._xforms = UsdGeom.XformCache(values.time)
        self._nodes: list[dict[str, Any]] = []
        self._instancers: list[dict[str, Any]] = []
        self._rows: list[dict[str, Any]] = []
        self._cameras: list[dict[str, Any]] = []
        self._problems: dict[SceneProblem, None] = {}
        self._glbs: dict[str, bytes] = {}
        self._bounds = Gf.Range3d()
        self._used: set[Sdf.Path] = set()
        self.scene: Scene | None = None
        self.prims = 0
        self.fingerprint = 0

    def steps(self) -> Iterator[None]:
        """Convert; what is yielded means nothing but a moment to pause."""
        yield from self._partition.steps()
        identity = Gf.Matrix4d(1)
        for top in self._partition.tops:
            yield from self._place(top, -1, identity, True)
        self._finish()
        self._cache.keep(self._used)

    # -- models

    def _model(
        self, prim: Usd.Prim, beside: frozenset[Sdf.Path] = _NOTHING, *, prototype: bool = False
    ) -> Generator[None, None, Model]:
        """Return the model of a prim, converted if need be."""
        path = prim.GetPath()
        self._used.add(path)
        model = self._cache.get(path, beside)
        if model is None:
            key = None if beside else self._keys.key(prim)
            key = (key, prototype) if key is not None else None
            model = self._cache.by_key.get(key) if key is not None else None
            if model is None:
                reading = ModelReading(
                    self._values, prim, self._cache.shapes, beside=beside, prototype=prototype
                )
                yield from reading.steps()
                model = reading.model
                assert model is not None
                self.prims += model.prims
                if key is not None and not model.private:
                    self._cache.by_key[key] = model
            self._cache.put(path, beside, model)
        if model.hash:
            self._glbs[model.hash] = model.glb
        for short, reason in model.problems:
            self._problem(_joined(path, short), reason)
        return model

    def _problem(self, path: str, reason: str) -> None:
        self._problems[SceneProblem(path, reason)] = None

    # -- places

    def _place(
        self, prim: Usd.Prim, parent: int, above: Gf.Matrix4d, shown: bool, under: str = ""
    ) -> Iterator[None]:
        """Add a prim that is a model, an instancer or scenery, and what is below it."""
        path = prim.GetPath()
        row = prim_row(self._values, prim, str(path))
        local = self._values.local_matrix(prim, now=True)
        if not is_finite(local):
            self._problem(row.path, "its transform is not finite: left out")
            local = Gf.Matrix4d(1)
        if parent >= 0 and Values.resets(prim):
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
        self._row(row)
        shown = shown and row.visible
        if prim.GetTypeName() == "PointInstancer":
            self._nodes.append(node)
            yield from self._instancer(prim, position, world, shown and purpose in DRAWN)
            return
        is_model = path in self._partition.roots
        inner = [] if is_model else self._below(prim)
        beside = frozenset(child.GetPath() for child in inner)
        model = yield from self._model(prim, beside)
        if is_model or inner or model.hash:
            self._nodes.append(node)
        node["glb"] = model.hash or None
        self._mark(position, model.hash)
        self._add_rows(path, model)
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
        prim = self._stage.GetPrimAtPath(_joined(root.GetPath(), short))
        parent = prim.GetParent()
        under = str(parent.GetPath().MakeRelativePath(root.GetPath())) if parent != root else ""
        between = self._xforms.ComputeRelativeTransform(parent, root)[0]
        prim_shown = UsdGeom.Imageable(prim).ComputeVisibility() != UsdGeom.Tokens.invisible
        rows = len(self._rows)
        yield from self._place(prim, position, between * world, shown and prim_shown, under)
        del self._rows[rows]  # it came with the model

    def _add_rows(self, root: Sdf.Path, model: Model) -> None:
        for row in model.rows:
            self._row(row, _joined(root, row.path))

    def _mark(self, *parts: object) -> None:
        self.fingerprint = hash((self.fingerprint, *parts))

    def _row(self, row: PrimRow, path: str = "") -> None:
        path = path or row.path
        self._mark(path, row)
        self._rows.append(
            {
                "path": path,
                "type": row.type,
                "kind": row.kind,
                "label": row.label,
                "asset": row.asset,
                "visible": row.visible,
                "instance": row.instance,
            }
        )
        if row.type == "Camera":
            self._camera(path, row.label)

    # -- instancers

    def _instancer(
        self, prim: Usd.Prim, node: int, world: Gf.Matrix4d, shown: bool
    ) -> Iterator[None]:
        path = str(prim.GetPath())
        notes: list[str] = []
        targets = UsdGeom.PointInstancer(prim).GetPrototypesRel().GetForwardedTargets()
        prototypes: list[list[tuple[str, Gf.Matrix4d]]] = []
        boxes: list[Gf.Range3d] = []
        for target in targets:
            pieces: list[tuple[str, Gf.Matrix4d]] = []
            box = Gf.Range3d()
            yield from self._pieces(target, Gf.Matrix4d(1), pieces, box, 0, (prim.GetPath(),))
            prototypes.append(pieces)
            boxes.append(box)
        try:
            instances = read_instances(self._values, prim, len(targets), notes)
        except ShapeFault as fault:
            self._problem(path, f"not shown: {fault}")
            return
        for note in notes:
            self._problem(path, note)
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

    def _pieces(
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
            self._problem(owner, f"its prototype {target} does not exist")
            return
        if depth > MAX_NESTED or target in inside:
            self._problem(owner, f"its prototype {target} is nested in itself, or too deep")
            return
        if UsdGeom.Imageable(prim) and not prim_row(self._values, prim, "").visible:
            return
        model = yield from self._model(prim, prototype=True)
        place = self._values.local_matrix(prim) * outer
        if model.hash:
            if len(pieces) >= MAX_PIECES:
                self._problem(owner, f"its prototype {target} has more than {MAX_PIECES} pieces")
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
        prim = self._stage.GetPrimAtPath(_joined(root.GetPath(), short))
        targets = UsdGeom.PointInstancer(prim).GetPrototypesRel().GetForwardedTargets()
        notes: list[str] = []
        try:
            instances = read_instances(self._values, prim, len(targets), notes)
        except ShapeFault as fault:
            self._problem(str(prim.GetPath()), f"not shown: {fault}")
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
            yield from self._pieces(target, outer, pieces, bounds, depth + 1, inside)

    # -- the rest

    def _camera(self, path: str, label: str) -> None:
        prim = self._stage.GetPrimAtPath(path)
        unit = UsdGeom.GetStageMetersPerUnit(self._stage)
        try:
            self._cameras.append(camera_row(prim, label, self._values.time, unit))
        except ShapeFault as fault:
            self._problem(path, str(fault))

    def _movers(self) -> list[dict[str, Any]]:
        found = []
        for path in moving_prims(self._values.driven):
            prim = self._stage.GetPrimAtPath(path)
            if prim:
                matrix = self._values.local_matrix(prim, now=True)
                matrix = matrix if is_finite(matrix) else Gf.Matrix4d(1)
                found.append({"path": str(path), "matrix": matrix_rows(matrix)})
        return found

    def _finish(self) -> None:
        stage = self._stage
        problems = tuple(sorted(self._problems))
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
        self.scene = Scene(self._epoch, manifest, self._glbs, problems)


def _joined(root: Sdf.Path, short: str) -> str:
    """Return an absolute path; what begins with a slash already is."""
    if not short:
        return str(root)
    return short if short.startswith("/") else f"{root}/{short}"


def _box(box: Gf.Range3d) -> list[list[float]] | None:
    return None if box.IsEmpty() else [parts(box.GetMin()), parts(box.GetMax())]
