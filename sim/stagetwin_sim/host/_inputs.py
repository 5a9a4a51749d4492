"""What the service says of signals and commands, and what it means for each model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stagetwin.signals import Quality
from stagetwin.simulation import wire
from stagetwin_sim.engine import Engine
from stagetwin_sim.host._grades import Grades
from stagetwin_sim.plant import PlantModel

__all__ = ["Inputs"]


class Inputs:
    """The newest values of the properties that models hear of.

    A value that is bad or stale leaves the last good one in place.

    Args:
        plant: whose models.

    Attributes:
        paths: properties, in the order of the table.
        doubts: grows whenever a quality changed, so that states may have.
    """

    def __init__(self, plant: PlantModel) -> None:
        self.paths = plant.heard
        self.doubts = 0
        count = len(self.paths)
        self._value = np.full(count, np.nan)
        self._known = np.zeros(count, bool)
        self._quality = np.full(count, Quality.STALE, np.uint8)
        self._index = {path: i for i, path in enumerate(self.paths)}
        fed = [(i, feed) for i, path in enumerate(self.paths) for feed in plant.feeds(path)]
        self._from = np.array([i for i, _ in fed], np.intp)
        self._columns = np.array([feed.column for _, feed in fed], np.intp)
        self._scale = np.array([feed.scale for _, feed in fed])
        self._offset = np.array([feed.offset for _, feed in fed])
        self._dirty = True
        self._grades = Grades(plant)

    def hear(self, said: wire.Columns) -> None:
        """Take values of the service; positions that the table does not have are passed over."""
        there = (said.index >= 0) & (said.index < len(self.paths))
        index, values = said.index[there], np.asarray(said.values)[there]
        quality = said.quality[there]
        if len(index) == 0:
            return
        usable = np.isfinite(values) & (quality <= Quality.UNCERTAIN)
        grade = np.where(np.isfinite(values), quality, np.maximum(quality, Quality.BAD))
        if (self._quality[index] != grade).any() or not self._known[index[usable]].all():
            self.doubts += 1
        self._quality[index] = grade
        self._value[index[usable]] = values[usable]
        self._known[index[usable]] = True
        self._dirty = True

    def write(self, engine: Engine) -> None:
        """Put on the bus what came since."""
        if not self._dirty:
            return
        known = self._known[self._from]
        if known.any():
            values = self._value[self._from[known]] * self._scale[known] + self._offset[known]
            engine.write(self._columns[known].tolist(), values)
        self._dirty = False

    def rewrite(self) -> None:
        """Put everything on the bus once more, as for another engine."""
        self._dirty = True

    def values(self) -> dict[str, float]:
        """Return the last good values [unit of the stage], by property."""
        return {self.paths[i]: float(self._value[i]) for i in np.flatnonzero(self._known)}

    def quality(self) -> dict[str, Quality]:
        """Return the quality of each value that was ever known, by property."""
        return {self.paths[i]: Quality(self._quality[i]) for i in np.flatnonzero(self._known)}

    def states(self, failed: Mapping[str, str]) -> dict[str, wire.State]:
        """Return how each model stands.

        Args:
            failed: why models do not run, by `PRIM.NAME`.
        """
        return self._grades.states(failed, self._doubt)

    def _doubt(self, path: str) -> str | None:
        """Return what is doubtful about a property; None where it was never known."""
        i = self._index[path]
        if not self._known[i]:
            return None
        quality = Quality(self._quality[i])
        return "" if quality is Quality.GOOD else f"{path} is {quality.token}"
