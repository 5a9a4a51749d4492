"""One model to one GLB, prim by prim."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade

from stagetwin.scene._beside import LARGE, PATIENCE, Beside
from stagetwin.scene._curves import curves_geometry, points_geometry
from stagetwin.scene._glb import GlbWriter, content_hash
from stagetwin.scene._gprims import GPRIMS, gprim_geometry
from stagetwin.scene._materials import Looks
from stagetwin.scene._mesh import mesh_geometry
from stagetwin.scene._mesh_source import read_mesh
from stagetwin.scene._meshes import Meshes, Placed
from stagetwin.scene._places import is_finite, place_rows
from stagetwin.scene._shape import Geometry, ShapeFault
from stagetwin.scene._values import Values

__all__ = ["DRAWN", "Model", "ModelReading", "PrimRow", "prim_row"]

_log = logging.getLogger(__name__)

DRAWN = ("default", "render")
"""Purposes that are drawn unless somebody asks for others."""

CHUNK = 32
"""Prims whose materials are looked up together."""

_ASSET = "TwinAssetAPI"
_SHADING = frozenset({"Material", "Shader", "NodeGraph", "GeomSubset"})
_UNKNOWN = frozenset({"HermiteCurves", "NurbsCurves", "NurbsPatch", "TetMesh", "Volume"})

_POINT_BASED: dict[str, Callable[[Values, Usd.Prim, list[str]], Geometry]] = {
    "BasisCurves": curves_geometry,
    "Points": points_geometry,
}

_SHAPES = GPRIMS | _POINT_BASED.keys() | {"Mesh"}


@dataclass(frozen=True, slots=True)
class PrimRow:
    """A prim in the hierarchy; the path is relative to the model root."""

    path: str
    type: str
    kind: str
    label: str
    asset: bool
    visible: bool
    instance: bool


@dataclass(frozen=True, slots=True)
class Model:
    """What a model is, wherever it is placed. Paths are relative to its root.

    Attributes:
        hash: name of the GLB, empty where nothing is drawn.
        glb: the GLB.
        rows: its prims, the root's row left out.
        instancers: paths of its PointInstancers.
        problems: (path, reason).
        depends: absolute paths of materials outside of it.
        bounds: of what is drawn, in the root's space; empty where nothing is.
        private: whether it depends on where it is placed.
        prims: how many prims were read.
    """

    hash: str
    glb: bytes
    rows: tuple[PrimRow, ...]
    instancers: tuple[str, ...]
    problems: tuple[tuple[str, str], ...]
    depends: frozenset[str]
    bounds: Gf.Range3d
    private: bool
    prims: int


@dataclass(slots=True)
class _Frame:
    """A prim that is open: its children are still to come."""

    path: Sdf.Path
    name: str
    depth: int
    place: list[dict[str, Any]]
    world: Gf.Matrix4d
    purpose: str
    hidden: bool
    extras: dict[str, Any]
    placed: Placed | None = None
    keep: bool = False
    children: list[int] = field(default_factory=list)


def prim_row(values: Values, prim: Usd.Prim, path: str) -> PrimRow:
    """Return a prim's row of the hierarchy."""
    visibility = prim.GetAttribute("visibility")
    visible = not visibility or values.get(visibility) != UsdGeom.Tokens.invisible
    return PrimRow(
        path,
        str(prim.GetTypeName()),
        str(Usd.ModelAPI(prim).GetKind()),
        prim.GetDisplayName() or prim.GetName(),
        _ASSET in prim.GetAppliedSchemas(),
        visible,
        prim.IsInstance(),
    )


class ModelReading:
    """A model being converted, in steps of one prim.

    Attributes:
        model: the result, once `steps` is exhausted.
    """

    def __init__(
        self,
        values: Values,
        root: Usd.Prim,
        known: dict[Any, Geometry],
        *,
        beside: Collection[Sdf.Path] = (),
        prototype: bool = False,
    ) -> None:
        """Prepare to read a model.

        Args:
            known: shapes that were made before.
            beside: paths below the root that are not of this model.
            prototype: whether it is an instancer's, which may be `over` or invisible above.
        """
        self._values = values
        self._root = root
        self._path = root.GetPath()
        self._beside = beside
        self._prototype = prototype
        self._writer = GlbWriter()
        self._looks = Looks(values, self._writer)
        self._meshes = Meshes(self._writer, self._looks, known)
        self._known = known
        self._frames: list[_Frame] = []
        self._rows: list[PrimRow] = []
        self._instancers: list[str] = []
        self._problems: list[tuple[str, str]] = []
        self._bounds = Gf.Range3d()
        self._private = False
        self._count = 0
        self._top: list[int] = []
        self.model: Model | None = None

    def steps(self) -> Iterator[None]:
        """Convert; what is yielded means nothing but a moment to pause."""
        prims = self._prims()
        while chunk := list(islice(prims, CHUNK)):
            shapes = [prim for prim in chunk if prim.GetTypeName() in _SHAPES]
            bound = UsdShade.MaterialBindingAPI.ComputeBoundMaterials(shapes)[0] if shapes else []
            materials = {
                prim.GetPath(): material.GetPrim()
                for prim, material in zip(shapes, bound, strict=True)
                if material
            }
            for prim in chunk:
                yield from self._open(prim, materials)
                self._count += 1
                yield
        while self._frames:
            self._close()
        self._finish()

    def _prims(self) -> Iterator[Usd.Prim]:
        predicate = Usd.PrimDefaultPredicate
        if self._prototype:
            predicate = Usd.PrimIsActive & Usd.PrimIsLoaded
        prims = iter(Usd.PrimRange(self._root, Usd.TraverseInstanceProxies(predicate)))
        for prim in prims:
            kind = prim.GetTypeName()
            if kind in _SHADING or prim.GetPath() in self._beside:
                prims.PruneChildren()
                continue
            if kind == "PointInstancer":
                prims.PruneChildren()
            yield prim

    # -- prims

    def _open(self, prim: Usd.Prim, materials: dict[Sdf.Path, Usd.Prim]) -> Iterator[None]:
        path = prim.GetPath()
        depth = path.pathElementCount
        while self._frames and self._frames[-1].depth >= depth:
            self._close()
        parent = self._frames[-1] if self._frames else None
        relative = "" if parent is None else str(path.MakeRelativePath(self._path))
        row = prim_row(self._values, prim, relative)
        if parent is not None:
            self._rows.append(row)
        if prim.GetTypeName() == "PointInstancer":
            self._instancers.append(relative)
            for frame in self._frames:
                frame.keep = True
            return
        frame = self._frame(prim, row, parent, depth)
        self._frames.append(frame)
        kind = prim.GetTypeName()
        if kind in _SHAPES:
            frame.placed = yield from self._shape(prim, kind, relative, materials.get(path))
            self._bound(frame)
        elif kind in _UNKNOWN:
            self._problems.append((relative, f"{kind} is not shown"))

    def _frame(self, prim: Usd.Prim, row: PrimRow, parent: _Frame | None, depth: int) -> _Frame:
        values = self._values
        mover = prim.GetPath() in values.movers
        extras: dict[str, Any] = {"usdPath": row.path}
        if parent is None:
            local = Gf.Matrix4d(1)
            above = Gf.Matrix4d(1)
            purpose = str(UsdGeom.Imageable(prim).ComputePurpose()) if prim else "default"
            hidden = self._prototype and not row.visible
        else:
            local = values.local_matrix(prim)
            if not is_finite(local):
                self._problems.append((row.path, "its transform is not finite: left out"))
                local = Gf.Matrix4d(1)
            above = parent.world
            purpose, hidden = parent.purpose, parent.hidden or not row.visible
            authored = prim.GetAttribute("purpose")
            if authored and authored.HasAuthoredValue():
                purpose = str(values.get(authored))
            if values.resets(prim):
                local = local * self._world_of_parent(prim).GetInverse()
                self._private = True
            if not row.visible:
                extras["hidden"] = True
        place = place_rows(local)
        if mover and len(place) > 1:
            place = [{}]
        return _Frame(
            prim.GetPath(),
            prim.GetName(),
            depth,
            place,
            local * above,
            purpose,
            hidden,
            extras,
            keep=mover,
        )

    def _world_of_parent(self, prim: Usd.Prim) -> Gf.Matrix4d:
        cache = UsdGeom.XformCache(self._values.time)
        return cache.GetParentToWorldTransform(prim)

    def _shape(
        self, prim: Usd.Prim, kind: str, relative: str, material: Usd.Prim | None
    ) -> Generator[None, None, Placed | None]:
        notes: list[str] = []
        try:
            if kind in GPRIMS:
                key, geometry = gprim_geometry(self._values, prim, self._known)
            else:
                source = prim.GetPrimInPrototype() if prim.IsInstanceProxy() else prim
                key = (str(source.GetPath()),)
                found = self._meshes.geometries.get(key)
                if found is None:
                    found = yield from self._geometry(prim, kind, notes)
                    self._meshes.geometries[key] = found
                geometry = found
            placed = self._meshes.place(self._values, prim, key, geometry, material, notes)
        except ShapeFault as fault:
            self._problems.append((relative, f"not shown: {fault}"))
            return None
        except Exception as error:
            # Assets come from anywhere: what nobody thought of costs its prim, and nothing else.
            _log.exception("%s cannot be converted", prim.GetPath())
            self._problems.append((relative, f"not shown: {type(error).__name__}: {error}"))
            return None
        if prim.HasAPI("SkelBindingAPI") and prim.HasProperty("primvars:skel:jointIndices"):
            notes.append("UsdSkel is shown in its bind pose")
        self._problems.extend((relative, note) for note in notes)
        return placed

    def _geometry(
        self, prim: Usd.Prim, kind: str, notes: list[str]
    ) -> Generator[None, None, Geometry]:
        if kind != "Mesh":
            return _POINT_BASED[kind](self._values, prim, notes)
        source = read_mesh(self._values, prim)
        notes.extend(source.notes)
        if len(source.topology.corners) <= LARGE:
            return mesh_geometry(source)
        work = Beside(source)
        while not work.done(PATIENCE):
            yield
        return work.result()

    def _bound(self, frame: _Frame) -> None:
        if frame.placed is None or frame.hidden or frame.purpose not in DRAWN:
            return
        box = Gf.BBox3d(frame.placed.bounds, frame.world)
        self._bounds.UnionWith(box.ComputeAlignedRange())

    def _close(self) -> None:
        frame = self._frames.pop()
        placed = frame.placed
        if placed is None and not frame.children and not frame.keep:
            return
        row: dict[str, Any] = {"extras": frame.extras, **frame.place[0]}
        if self._frames:
            # The root's name is its place's, and the same model may be in many places.
            row["name"] = frame.name
        children, mesh = frame.children, None
        if placed is not None:
            if frame.purpose != "default":
                frame.extras["purpose"] = frame.purpose
            if placed.offset is None:
                mesh = placed.mesh
            else:
                moved = {"mesh": placed.mesh, "translation": placed.offset}
                children = [self._writer.node(moved), *children]
        if len(frame.place) > 1:
            inner: dict[str, Any] = dict(frame.place[1])
            if mesh is not None:
                inner["mesh"] = mesh
            if children:
                inner["children"] = children
            children, mesh = [self._writer.node(inner)], None
        if mesh is not None:
            row["mesh"] = mesh
        if children:
            row["children"] = children
        index = self._writer.node(row)
        (self._frames[-1].children if self._frames else self._top).append(index)

    # -- the end

    def _finish(self) -> None:
        drawn = bool(self._top) and not self._writer.empty
        glb = self._writer.finish(self._top) if drawn else b""
        problems = list(dict.fromkeys(self._problems))
        depends: set[str] = set()
        for path, reason in self._looks.problems:
            absolute = Sdf.Path(path)
            inside = absolute.HasPrefix(self._path)
            short = str(absolute.MakeRelativePath(self._path)) if inside else path
            problems.append((short, reason))
        for path in self._looks.paths():
            if not Sdf.Path(path).HasPrefix(self._path):
                depends.add(path)
        self.model = Model(
            content_hash(glb) if drawn else "",
            glb,
            tuple(self._rows),
            tuple(self._instancers),
            tuple(problems),
            frozenset(depends),
            self._bounds,
            self._private,
            self._count,
        )
