"""Noticing that a stage's structure may have changed, without a price on telemetry."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable

from pxr import Sdf, Tf, Usd

from stagetwin._errors import usd_message

__all__ = ["FileWatcher", "LayerWatcher"]

_log = logging.getLogger(__name__)

TIME_STEP = 2.0
"""Steps in which the coarsest file systems count the time of a file [s]."""


def used_layers(stage: Usd.Stage, guards: Usd.Stage | None) -> list[Sdf.Layer]:
    """Return the layers of a stage and of its guards, which a session may have left aside."""
    both = {layer.identifier: layer for layer in stage.GetUsedLayers()}
    if guards is not None:
        both.update((layer.identifier, layer) for layer in guards.GetUsedLayers())
    return list(both.values())


class LayerWatcher:
    """Sets a flag when a layer of the stage changes, the live ones excepted.

    Sdf's notice says which layer changed and not what; one listener per layer costs the layers that
    are not listened to nothing, and the bindings are read again anyway.

    Attributes:
        dirty: whether a layer changed since `refresh`, or what of the stage is loaded or muted.
    """

    def __init__(
        self, stage: Usd.Stage, ignored: Iterable[Sdf.Layer], guards: Usd.Stage | None = None
    ) -> None:
        self._stage = stage
        self._guards = guards
        self._ignored = {layer.identifier for layer in ignored}
        self._listeners: dict[str, Tf.Notice.Listener] = {}
        self._layer_changed = True
        self._shown = self._what_is_shown()

    @property
    def dirty(self) -> bool:
        return self._layer_changed or self._shown != self._what_is_shown()

    def _what_is_shown(self) -> tuple[Usd.StageLoadRules, list[str]]:
        # Loading and muting change no layer.
        return self._stage.GetLoadRules(), sorted(self._stage.GetMutedLayers())

    def refresh(self) -> None:
        """Listen to the layers that the stage uses now, and lower the flag."""
        used = {
            layer.identifier: layer
            for layer in used_layers(self._stage, self._guards)
            if layer.identifier not in self._ignored
        }
        for identifier in self._listeners.keys() - used.keys():
            self._listeners.pop(identifier).Revoke()
        for identifier in used.keys() - self._listeners.keys():
            self._listeners[identifier] = Tf.Notice.Register(
                Sdf.Notice.LayersDidChangeSentPerLayer, self._changed, used[identifier]
            )
        self._layer_changed = False
        self._shown = self._what_is_shown()

    def _changed(self, _notice: Tf.Notice, _sender: Sdf.Layer) -> None:
        # No work here: an exception in a listener is raised in whoever writes the layer.
        self._layer_changed = True

    def close(self) -> None:
        """Stop listening."""
        for listener in self._listeners.values():
            listener.Revoke()
        self._listeners.clear()


class FileWatcher:
    """Reloads layers whose files changed on disk.

    Attributes:
        unreadable: by path, why its newest content cannot be read; the next change is tried.
    """

    def __init__(self, stage: Usd.Stage, guards: Usd.Stage | None = None) -> None:
        self._stage = stage
        self._guards = guards
        self._stamps: dict[str, tuple[int, int, int]] = {}
        self.unreadable: dict[str, str] = {}
        self.poll()

    def poll(self) -> list[str]:
        """Look at the files and reload what changed; call it on the thread that owns the stage.

        Returns:
            Paths of the reloaded files.
        """
        reloaded: list[str] = []
        for layer in used_layers(self._stage, self._guards):
            path = layer.realPath
            stamp = _stamp(path) if path else None
            if stamp is None:
                continue
            known = self._stamps.get(path)
            self._stamps[path] = stamp
            if known == stamp:
                continue
            if layer.dirty:
                if known is not None:
                    text = "%s changed on disk, but has unsaved edits here: not reloaded"
                    _log.warning(text, path)
                continue
            try:
                # At the first look it may have changed since it was opened: the layer knows of
                # which time its content is, and reads the file again if it is another.
                if layer.Reload(force=known is not None or _just_written(stamp)):
                    reloaded.append(path)
                self.unreadable.pop(path, None)
            except Tf.ErrorException as error:
                # The layer keeps its content; the writer's next save is another stamp.
                self.unreadable[path] = usd_message(error)
                _log.warning(
                    "%s cannot be read, its last good state stays: %s", path, usd_message(error)
                )
        return reloaded


def _just_written(stamp: tuple[int, int, int]) -> bool:
    """Tell whether a file is so new that its time may be that of two writes."""
    return abs(time.time() - stamp[0] / 1e9) < TIME_STEP


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
