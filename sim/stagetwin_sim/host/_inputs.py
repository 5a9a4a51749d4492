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

    A value that is bad or stale leaves the last good one in place. A command that nobody gave yet
    is at what the signal of its name says by which it is read back.

    Args:
        plant: whose models.

    Attributes:
        paths: properties, in the order of the table.
        news: grows whenever something was heard.
        doubts: grows whenever a quality changed, so that states may have.
    """

    def __init__(self, plant: PlantModel) -> None:
        self.paths = plant.heard
        self.news = 0
        self.doubts = 0
        count = len(self.paths)
        self._value = np.full(count, np.nan)
        self._known = np.zeros(count, bool)
        self._quality = np.full(count, Quality.STALE, np.uint8)
        self._index = {path: i for i, path in enumerate(self.paths)}
        self._stands_in = np.arange(count)
        for command in plant.table.commands:
            own, other = self._index.get(command.target), self._index.get(command.readback)
            same_name = command.readback.endswith(f":{command.signal}:value")
            if own is not None and other is not None and same_name:
                self._stands_in[own] = other
        self._newest: tuple[int, dict[str, float]] = (-1, {})
        self.follow(plant)
        self._grades = Grades(plant)

    def follow(self, plant: PlantModel) -> None:
        """Feed the columns of another plan of the same plant, or of the same plan anew."""
        fed = [(i, feed) for i, path in enumerate(self.paths) for feed in plant.feeds(path)]
        self._from = np.array([i for i, _ in fed], np.intp)
        self._columns = np.array([feed.column for _, feed in fed], np.intp)
        self._scale = np.array([feed.scale for _, feed in fed])
        self._offset = np.array([feed.offset for _, feed in fed])
        self._dirty = True

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
        self.news += 1

    def write(self, engine: Engine) -> None:
        """Put on the bus what came since."""
        if not self._dirty:
            return
        source = np.where(self._known[self._from], self._from, self._stands_in[self._from])
        known = self._known[source]
        if known.any():
            values = self._value[source[known]] * self._scale[known] + self._offset[known]
            engine.write(self._columns[known].tolist(), values)
        self._dirty = False

    def values(self) -> dict[str, float]:
        """Return the last good values [unit of the stage], by property."""
        if self._newest[0] != self.news:
            known = {self.paths[i]: float(self._value[i]) for i in np.flatnonzero(self._known)}
            self._newest = (self.news, known)
        return self._newest[1]

    def beginning(self) -> dict[str, float]:
        """Return what models begin with [unit of the stage], by property."""
        source = np.where(self._known, np.arange(len(self.paths)), self._stands_in)
        known = np.flatnonzero(self._known[source])
        return {self.paths[i]: float(self._value[source[i]]) for i in known}

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
        # A value beyond its soft limits is uncertain, and no less what the machine does.
        return "" if quality <= Quality.UNCERTAIN else f"{path} is {quality.token}"
