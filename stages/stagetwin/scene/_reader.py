"""The stage's scene, kept up to date between ticks."""

from __future__ import annotations

import time as clock
from collections.abc import Collection, Iterable, Iterator

from pxr import Sdf, Usd

from stagetwin.bindings import BindingTable
from stagetwin.live import INSTANCED, POSE_OP, Owner
from stagetwin.scene._cache import ModelCache
from stagetwin.scene._reading import SceneReading
from stagetwin.scene._scene import Scene
from stagetwin.scene._values import Values, reading_time
from stagetwin.scene._watch import SceneWatcher

__all__ = ["SceneReader", "convert_stage", "driven_properties"]


def driven_properties(
    table: BindingTable, placed: Iterable[str] = (), instancers: Iterable[str] = ()
) -> frozenset[Sdf.Path]:
    """Return the properties that live values drive.

    Args:
        table: what telemetry drives.
        placed: paths of prims that models place.
        instancers: paths of PointInstancers of which models place instances.
    """
    driven = {Sdf.Path(binding.target) for binding in table.telemetry.values()}
    for prim in map(Sdf.Path, placed):
        driven |= {prim.AppendProperty(name) for name in (POSE_OP, "xformOpOrder")}
    for prim in map(Sdf.Path, instancers):
        driven |= {prim.AppendProperty(name) for name in INSTANCED}
    return frozenset(driven)


def convert_stage(
    stage: Usd.Stage,
    time: Usd.TimeCode | None = None,
    driven: Collection[Sdf.Path] = (),
    live: Iterable[Sdf.Layer] = (),
) -> Scene:
    """Convert a stage in one go.

    Args:
        time: when; the stage's first frame where none is given.
        driven: paths of properties that live values drive, of which a GLB holds the design.
        live: layers with live values.
    """
    values = Values(reading_time(stage) if time is None else time, driven, live)
    reading = SceneReading(stage, values, ModelCache(), 1)
    for _ in reading.steps():
        pass
    assert reading.scene is not None
    return reading.scene


class SceneReader:
    """Converts a stage, and again what changes, in slices on the thread that owns the stage.

    Attributes:
        scene: the newest complete scene, None before the first.
        converted: how many prims were converted for it, and not kept from before.
    """

    def __init__(
        self,
        stage: Usd.Stage,
        driven: Collection[Sdf.Path] = (),
        live: Iterable[Sdf.Layer] = (),
    ) -> None:
        self._owner = Owner()
        self._stage = stage
        self._live = tuple(live)
        self._driven = frozenset(driven)
        self._cache = ModelCache()
        self._watcher = SceneWatcher(stage, self._live)
        self._watcher.drive(self._driven)
        self._reading: SceneReading | None = None
        self._steps: Iterator[None] = iter(())
        self._wanted = True
        self._fingerprint = 0
        self.scene: Scene | None = None
        self.converted = 0

    @property
    def busy(self) -> bool:
        """Whether there is something to convert, and `advance` should be called soon."""
        return self._wanted or self._reading is not None or self._watcher.dirty

    def drive(self, driven: Collection[Sdf.Path]) -> None:
        """Take note of which properties live values drive from now on."""
        now = frozenset(driven)
        changed = {path.GetPrimPath() for path in now ^ self._driven}
        if changed:
            self._driven = now
            self._watcher.drive(now)
            self._cache.drop(changed)
            self._restart()

    def advance(self, budget: float = 0.005) -> bool:
        """Convert for a while.

        Args:
            budget: about how long [s]; a prim is not interrupted.

        Returns:
            Whether `scene` is a new one.

        Raises:
            OwnershipError: the stage belongs to another thread.
        """
        self._owner.check()
        if self._watcher.dirty:
            # Also in the middle of a reading, which then is of a stage that is no more.
            everything, content, moved = self._watcher.take()
            if everything:
                self._cache.clear()
            else:
                self._cache.drop(content, moved)
            self._restart()
        if self._wanted:
            self._begin()
        if self._reading is None:
            return False
        stop = clock.perf_counter() + budget
        for _ in self._steps:
            if clock.perf_counter() >= stop:
                return False
        return self._end()

    def _restart(self) -> None:
        self._reading = None
        self._steps = iter(())
        self._wanted = True

    def _begin(self) -> None:
        self._wanted = False
        values = Values(reading_time(self._stage), self._driven, self._live)
        epoch = self.scene.epoch + 1 if self.scene is not None else 1
        self._reading = SceneReading(self._stage, values, self._cache, epoch)
        self._steps = self._reading.steps()

    def _end(self) -> bool:
        reading, self._reading = self._reading, None
        assert reading is not None
        scene = reading.scene
        assert scene is not None
        self.converted = reading.prims
        if self.scene is not None and self._fingerprint == reading.fingerprint:
            return False
        self.scene, self._fingerprint = scene, reading.fingerprint
        return True

    def close(self) -> None:
        """Stop listening to the stage."""
        self._watcher.close()
