"""Noticing what of the composed stage looks different, at no price for telemetry."""

from __future__ import annotations

from collections.abc import Iterable

from pxr import Sdf, Tf, Usd

__all__ = ["SceneWatcher"]

_OTHERS = ("twin:", "physics:", "collection:", "ui:", "userProperties:")
"""Beginnings of names of properties that change no picture."""

_PLACE = ("xformOp", "visibility")
"""Beginnings of names of properties that a manifest holds of a model's root."""

_FIELDS = frozenset({"active", "displayName", "instanceable", "kind", "typeName", "apiSchemas"})
"""Fields of prims that show."""


class SceneWatcher:
    """Collects prims that changed in layers other than the live ones.

    USD's notice comes with every change, but only after Sdf's of the layer. Where none of the
    layers listened to has changed, it is of a live layer, and nothing is asked of it.

    Attributes:
        places: whether something changed at all.
        content: prims whose content changed, or that of what is below them.
        moved: prims of which only the place or the visibility changed: of a model's root that is in
            the manifest, of a prim inside a model it is content.
        everything: whether it cannot be told what changed.
    """

    def __init__(self, stage: Usd.Stage, live: Iterable[Sdf.Layer]) -> None:
        self._stage = stage
        self._live = frozenset(layer.identifier for layer in live)
        self._layers: dict[str, Tf.Notice.Listener] = {}
        self._touched = False
        self._driven: frozenset[Sdf.Path] = frozenset()
        self.places = False
        self.everything = False
        self.content: set[Sdf.Path] = set()
        self.moved: set[Sdf.Path] = set()
        self._shown = self._what_is_shown()
        self._listener = Tf.Notice.Register(Usd.Notice.ObjectsChanged, self._changed, stage)
        self.listen()

    def drive(self, driven: frozenset[Sdf.Path]) -> None:
        """Leave out properties that live values drive."""
        self._driven = driven

    @property
    def dirty(self) -> bool:
        """Whether something changed since `take`."""
        if self._shown != self._what_is_shown():
            # Loading and muting change no layer.
            self._shown = self._what_is_shown()
            self.places = self.everything = True
        return self.places

    def _what_is_shown(self) -> tuple[Usd.StageLoadRules, list[str], object]:
        stage = self._stage
        return stage.GetLoadRules(), stage.GetMutedLayers(), stage.GetPopulationMask()

    def listen(self) -> None:
        """Listen to the layers that the stage uses now."""
        used = {
            layer.identifier: layer
            for layer in self._stage.GetUsedLayers()
            if layer.identifier not in self._live
        }
        for identifier in self._layers.keys() - used.keys():
            self._layers.pop(identifier).Revoke()
        for identifier in used.keys() - self._layers.keys():
            self._layers[identifier] = Tf.Notice.Register(
                Sdf.Notice.LayersDidChangeSentPerLayer, self._layer_changed, used[identifier]
            )

    def take(self) -> tuple[bool, set[Sdf.Path], set[Sdf.Path]]:
        """Return `everything`, `content` and `moved`; from now on nothing has changed."""
        taken = self.everything, self.content, self.moved
        self.places = self.everything = False
        self.content, self.moved = set(), set()
        self.listen()
        return taken

    def close(self) -> None:
        """Stop listening."""
        self._listener.Revoke()
        for listener in self._layers.values():
            listener.Revoke()
        self._layers.clear()

    # -- listeners: an exception in one of them is raised in whoever writes the layer

    def _layer_changed(self, _notice: Tf.Notice, _sender: Sdf.Layer) -> None:
        self._touched = True

    def _changed(self, notice: Usd.Notice.ObjectsChanged, _sender: Usd.Stage) -> None:
        if not self._touched:
            return
        self._touched = False
        for path in notice.GetResyncedPaths():
            self._note(path, notice, resynced=True)
        for path in notice.GetChangedInfoOnlyPaths():
            self._note(path, notice, resynced=False)

    def _note(self, path: Sdf.Path, notice: Usd.Notice.ObjectsChanged, *, resynced: bool) -> None:
        if path.IsPropertyPath():
            name = path.name
            if path in self._driven or name.startswith(_OTHERS):
                return
            self.places = True
            if name.startswith(_PLACE):
                self.moved.add(path.GetPrimPath())
            else:
                self.content.add(path.GetPrimPath())
        elif resynced:
            self.places = True
            if path == Sdf.Path.absoluteRootPath:
                self.everything = True
            self.content.add(path)
        else:
            fields = set(notice.GetChangedFields(path))
            if path == Sdf.Path.absoluteRootPath:
                self.places = True  # up axis, units, default prim
            elif fields & _FIELDS or any("inactiveIds" in field for field in fields):
                self.places = True
                self.content.add(path)
