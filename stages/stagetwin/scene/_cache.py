"""Models that were converted, until something changes that they may depend on."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from pxr import Sdf

from stagetwin.scene._model import Model
from stagetwin.scene._shape import Geometry

__all__ = ["Kept", "ModelCache"]

MAX_SHAPES = 10_000
"""Shapes kept by their numbers."""


@dataclass(slots=True)
class Kept:
    """A model at a place.

    Attributes:
        model: what it is.
        beside: paths below it that are not of the model.
        prototype: whether it was read as an instancer's prototype.
        rows: its prims' rows of the manifest, None until they were asked for.
        cameras: path and label of the cameras among them.
        mark: hash of the rows, in this process.
    """

    model: Model
    beside: frozenset[Sdf.Path]
    prototype: bool
    rows: list[dict[str, Any]] | None = None
    cameras: list[tuple[str, str]] = field(default_factory=list)
    mark: int = 0


class ModelCache:
    """Converted models by where they are, and by what they are.

    Attributes:
        by_key: models of one state of the stage by their keys.
        shapes: shapes by their numbers.
    """

    def __init__(self) -> None:
        self._by_path: dict[Sdf.Path, Kept] = {}
        self.by_key: dict[Any, Model] = {}
        self.shapes: dict[Any, Geometry] = {}

    def get(self, path: Sdf.Path, beside: frozenset[Sdf.Path], prototype: bool) -> Kept | None:
        """Return the model at a path, if it was read so."""
        kept = self._by_path.get(path)
        if kept is None or kept.beside != beside or kept.prototype != prototype:
            return None
        return kept

    def put(self, path: Sdf.Path, kept: Kept) -> None:
        """Keep a model."""
        self._by_path[path] = kept

    def keep(self, paths: Collection[Sdf.Path]) -> None:
        """Forget the models at all other paths."""
        for path in self._by_path.keys() - set(paths):
            del self._by_path[path]
        if len(self.shapes) > MAX_SHAPES:
            self.shapes.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._by_path.clear()
        self.by_key.clear()

    def drop(self, changed: Iterable[Sdf.Path], moved: Iterable[Sdf.Path] = ()) -> None:
        """Forget what depends on prims that changed, or on what is above or below them.

        Args:
            changed: prims of other content.
            moved: prims elsewhere: what they are inside of has another content.
        """
        self.by_key.clear()
        paths, places = set(changed), set(moved)
        if any(path.name.startswith("__") for p in paths | places for path in p.GetPrefixes()[:1]):
            # Something inside of what USD shares between instances: whose it is, is not told.
            self.clear()
            return
        above = {str(prefix) for path in paths for prefix in path.GetPrefixes()}
        for path, kept in list(self._by_path.items()):
            depends = kept.model.depends
            if (
                _touched(path, paths)
                or not depends.isdisjoint(above)
                or any(_touched(Sdf.Path(each), paths) for each in depends)
            ):
                del self._by_path[path]
        # What changed inside a model, and is not of a model beside it.
        for path in paths | places:
            inside = path.GetPrefixes()
            for prefix in inside[: -1 if path in places else None]:
                found = self._by_path.get(prefix)
                if found is not None and found.beside.isdisjoint(inside):
                    del self._by_path[prefix]


def _touched(path: Sdf.Path, changed: set[Sdf.Path]) -> bool:
    """Tell whether a path, or one above it, changed."""
    return any(prefix in changed for prefix in path.GetPrefixes())
