"""Models of one reading: from the cache, or converted."""

from __future__ import annotations

from collections.abc import Generator

from pxr import Sdf, Usd

from stagetwin.scene._cache import Kept, ModelCache
from stagetwin.scene._keys import ModelKeys
from stagetwin.scene._model import ModelReading, PrimRow
from stagetwin.scene._scene import SceneProblem
from stagetwin.scene._values import Values

__all__ = ["Models", "joined", "manifest_row"]

STEP = 128
"""Rows between two moments to pause."""

_NOTHING: frozenset[Sdf.Path] = frozenset()


def joined(root: Sdf.Path, short: str) -> str:
    """Return an absolute path; what begins with a slash already is."""
    if not short:
        return str(root)
    return short if short.startswith("/") else f"{root}/{short}"


def manifest_row(row: PrimRow, path: str) -> dict[str, object]:
    """Return a prim's row of the manifest."""
    return {
        "path": path,
        "type": row.type,
        "kind": row.kind,
        "label": row.label,
        "asset": row.asset,
        "visible": row.visible,
        "instance": row.instance,
    }


class Models:
    """What one reading has of models.

    Attributes:
        values: how attributes are read.
        glbs: GLB by hash.
        problems: what is not shown as it is, in the order in which it was found.
        used: paths of the models.
        prims: how many prims were converted, and not found in the cache.
    """

    def __init__(self, values: Values, cache: ModelCache) -> None:
        self._cache = cache
        self._keys = ModelKeys(values.time, values.live)
        self.values = values
        self.glbs: dict[str, bytes] = {}
        self.problems: dict[SceneProblem, None] = {}
        self.used: set[Sdf.Path] = set()
        self.prims = 0

    def problem(self, path: str, reason: str) -> None:
        """Take note of a problem."""
        self.problems[SceneProblem(path, reason)] = None

    def model(
        self, prim: Usd.Prim, beside: frozenset[Sdf.Path] = _NOTHING, *, prototype: bool = False
    ) -> Generator[None, None, Kept]:
        """Return the model of a prim, converted if need be.

        Args:
            beside: paths below it that are not of the model.
            prototype: whether it is an instancer's.
        """
        path = prim.GetPath()
        self.used.add(path)
        kept = self._cache.get(path, beside, prototype)
        if kept is None:
            key = None if beside else self._keys.key(prim)
            key = (key, prototype) if key is not None else None
            model = self._cache.by_key.get(key) if key is not None else None
            if model is None:
                reading = ModelReading(
                    self.values, prim, self._cache.shapes, beside=beside, prototype=prototype
                )
                yield from reading.steps()
                model = reading.model
                assert model is not None
                self.prims += model.prims
                if key is not None and not model.private:
                    self._cache.by_key[key] = model
            kept = Kept(model, beside, prototype)
            self._cache.put(path, kept)
        yield
        if kept.model.hash:
            self.glbs[kept.model.hash] = kept.model.glb
        for short, reason in kept.model.problems:
            self.problem(joined(path, short), reason)
        return kept

    def rows(self, root: Sdf.Path, kept: Kept) -> Generator[None, None, None]:
        """Make the rows of a model's prims, where they are not there yet."""
        if kept.rows is not None:
            return
        rows = []
        for count, row in enumerate(kept.model.rows):
            if count % STEP == STEP - 1:
                yield
            path = joined(root, row.path)
            rows.append(manifest_row(row, path))
            if row.type == "Camera":
                kept.cameras.append((path, row.label))
        kept.mark = hash((str(root), kept.model.rows))
        kept.rows = rows
