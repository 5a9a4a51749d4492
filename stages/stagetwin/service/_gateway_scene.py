"""The scene on its way to the gateway: read between ticks, sent in pieces, each model once."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from stagetwin.gateway import wire
from stagetwin.live import LAYER_NAMES
from stagetwin.scene import Scene, SceneReader, driven_properties
from stagetwin.twin import Twin

__all__ = ["SceneFeed"]

_log = logging.getLogger(__name__)

BUDGET = 0.005
"""Longest time that a tick gives to reading the scene [s]."""

PIECE = 2**20
"""Largest piece of a model on the pipe [B]."""


class SceneFeed:
    """Keeps the scene of a twin converted, on the thread that owns the stage."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin
        live = [getattr(twin.layers, name) for name in LAYER_NAMES]
        self._reader = SceneReader(twin.stage, driven_properties(twin.table), live)
        self._sent: set[str] = set()
        self._frames: Iterator[bytes] = iter(())
        self._broken = False

    @property
    def epoch(self) -> int:
        """Number of the newest scene, 0 before the first."""
        return self._reader.scene.epoch if self._reader.scene is not None else 0

    def rebound(self) -> None:
        """Take note of other bindings."""
        predicted = self._twin.predicted
        placed = [pose for pose in predicted.poses if pose.prim not in predicted.refused]
        prims = [pose.prim for pose in placed if pose.instance < 0]
        instancers = {pose.prim for pose in placed if pose.instance >= 0}
        self._reader.drive(driven_properties(self._twin.table, prims, instancers))

    def forget(self) -> None:
        """Have everything sent again: the gateway is another."""
        self._sent.clear()
        scene = self._reader.scene
        self._frames = self._to_send(scene) if scene is not None else iter(())

    def step(self) -> None:
        """Read on for a while, if there is anything to read; call between ticks."""
        if self._broken or not self._reader.busy:
            return
        try:
            new = self._reader.advance(BUDGET)
        except Exception:
            # A scene that cannot be shown must not keep the values from being shown.
            self._broken = True
            _log.exception("the scene cannot be converted; viewers see values without shapes")
            return
        scene = self._reader.scene
        if new and scene is not None:
            for problem in scene.problems[:10]:
                _log.warning("%s is not shown as it is: %s", problem.path, problem.reason)
            self._frames = self._to_send(scene)

    def next_frame(self) -> bytes | None:
        """Return what is to be sent next, None while everything was sent."""
        return next(self._frames, None)

    def _to_send(self, scene: Scene) -> Iterator[bytes]:
        """Yield the models that the gateway does not have, then the manifest that names them."""
        for name, data in scene.glbs.items():
            if name in self._sent:
                continue
            for start in range(0, max(len(data), 1), PIECE):
                last = start + PIECE >= len(data)
                part = wire.GlbPart(name, data[start : start + PIECE], last)
                yield wire.encode(wire.Kind.GLB, part)
            self._sent.add(name)
        # The gateway keeps the models of two scenes.
        self._sent &= scene.glbs.keys()
        yield wire.encode(wire.Kind.SCENE, wire.Scene(scene.epoch, dict(scene.manifest)))

    def close(self) -> None:
        """Stop listening to the stage."""
        self._reader.close()
