"""What goes back to the service: attributes and poses that changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin.simulation import wire
from stagetwin_sim.engine import Engine, Floats
from stagetwin_sim.plant import PlantModel

__all__ = ["Outgoing"]

_PREDICTED = ":predicted"


class Outgoing:
    """The attributes of a table, and what was last said of each.

    Args:
        plant: whose models.
        residuals: whether an observer gives residuals.

    Attributes:
        outputs: rows of the table: expected values first, then residuals and their deviations, then
            what is known of parameters that are followed.
        poses: rows of the table.
    """

    def __init__(self, plant: PlantModel, residuals: bool) -> None:
        expected = plant.outputs
        self.outputs = [wire.Output(o.path, o.type_name, o.model, o.unit) for o in expected]
        self._paths = [o.path for o in expected]
        self.follow(plant)
        self._models = [o.model for o in expected]
        self._residual: dict[str, int] = {}
        self._known_paths: tuple[str, ...] | None = None
        if residuals:
            for output in expected:
                if output.signal and output.path.endswith(_PREDICTED):
                    self._residual.setdefault(output.signal, len(self.outputs))
                    stem = output.path.removesuffix(_PREDICTED)
                    self.outputs += [
                        wire.Output(f"{stem}:residual", "double", output.model),
                        wire.Output(f"{stem}:residualSigma", "double", output.model),
                    ]
        self._followed = {}
        if any(instance.binding.tracked for instance in plant.instances.values()):
            self._followed = self._follow_parameters(plant)
        self._models += [o.model for o in self.outputs[len(expected) :]]
        self._said: Floats = np.full(len(self.outputs), np.nan)
        self._systems: dict[str, slice] = {}
        self.poses: list[wire.Pose] = []
        for system in plant.plan.systems:
            paths = getattr(system, "paths", None)
            if paths is not None:
                first = len(self.poses)
                resets = getattr(system, "resets", [False] * len(paths))
                instances = getattr(system, "instances", [-1] * len(paths))
                self.poses += [
                    wire.Pose(path, bool(reset), instance=instance)
                    for path, reset, instance in zip(paths, resets, instances, strict=True)
                ]
                self._systems[system.name] = slice(first, len(self.poses))
        self._placed: Floats = np.full((len(self.poses), 16), np.nan)

    def follow(self, plant: PlantModel) -> None:
        """Take the values from another plan of the same plant; what it has not is not known."""
        now = {output.path: output for output in plant.outputs}
        there = [(i, now[path]) for i, path in enumerate(self._paths) if path in now]
        self._from = np.array([i for i, _ in there], np.intp)
        self._columns = np.array([o.column for _, o in there], np.intp)
        self._scale = np.array([o.scale for _, o in there])
        self._offset = np.array([o.offset for _, o in there])

    def _follow_parameters(self, plant: PlantModel) -> dict[str, int]:
        """Add the attributes of parameters that are followed; returns where they are."""
        from stagetwin_sim.calibration import read_tracked  # loads scipy

        there: dict[str, int] = {}
        for each in read_tracked(plant)[0]:
            for path in each.paths():
                there[path] = len(self.outputs)
                self.outputs.append(wire.Output(path, "double", each.model))
        return there

    def nothing(self) -> Floats:
        """Return values of which none is known, shape (count,)."""
        return np.full(len(self.outputs), np.nan)

    def expected(self, bus: Floats) -> Floats:
        """Return the expected values of all attributes, residuals not known, shape (count,).

        Args:
            bus: of one world, shape (column_count,).
        """
        values = self.nothing()
        values[self._from] = bus[self._columns] * self._scale + self._offset
        return values

    def add_residuals(self, values: Floats, residuals: Any) -> None:
        """Put the residuals of an observer among the values; see estimation.Residuals."""
        if residuals.paths is not self._known_paths:
            self._known_paths = residuals.paths
            at = [(i, self._residual.get(path)) for i, path in enumerate(residuals.paths)]
            there = [(i, place) for i, place in at if place is not None]
            self._residual_from = np.array([i for i, _ in there], np.intp)
            self._residual_at = np.array([place for _, place in there], np.intp)
        values[self._residual_at] = residuals.residual[self._residual_from]
        values[self._residual_at + 1] = residuals.sigma[self._residual_from]

    def add_parameters(self, values: Floats, known: Mapping[str, float]) -> None:
        """Put what is known of followed parameters among the values, by path."""
        for path, value in known.items():
            if path in self._followed:
                values[self._followed[path]] = value

    def changed(
        self, values: Floats, withheld: Collection[str]
    ) -> tuple[npt.NDArray[np.int32], Floats]:
        """Return positions and values of the attributes that are to be said.

        Args:
            values: of all attributes.
            withheld: models whose attributes are not known now.
        """
        if withheld:
            hidden = [i for i, model in enumerate(self._models) if model in withheld]
            values[hidden] = np.nan
        values[~np.isfinite(values)] = np.nan
        lost = np.isnan(self._said) != np.isnan(values)
        with np.errstate(invalid="ignore"):
            size = np.maximum(np.abs(self._said), np.abs(values))
            far = np.abs(values - self._said) > 1e-9 * size
        index = np.flatnonzero(lost | far).astype(np.int32)
        self._said[index] = values[index]
        return index, values[index]

    def moved(self, engine: Engine) -> tuple[npt.NDArray[np.int32], Floats]:
        """Return positions and matrices of the prims that moved, shape (n, 16)."""
        poses = self._placed.copy()
        for name, rows in self._systems.items():
            system: Any = engine.systems.get(name)
            if system is not None:
                poses[rows] = system.poses()
        with np.errstate(invalid="ignore"):
            far = np.abs(poses - self._placed) > 1e-9 * np.maximum(1.0, np.abs(poses))
        far |= np.isnan(self._placed) & ~np.isnan(poses)
        index = np.flatnonzero(far.any(axis=1)).astype(np.int32)
        self._placed[index] = poses[index]
        return index, poses[index]
