"""An engine of a plant's models, with its observer, and what becomes of a model that diverges."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from stagetwin.signals import Quality
from stagetwin.simulation import wire
from stagetwin_sim._errors import DivergedError, UnforkableError
from stagetwin_sim.engine import Column, Engine, Floats, Snapshot
from stagetwin_sim.host._inputs import Inputs
from stagetwin_sim.host._isolation import carry, culprits, last_outputs
from stagetwin_sim.host._opening import Opened
from stagetwin_sim.host._outgoing import Outgoing
from stagetwin_sim.plant import PlantModel, read_plant

__all__ = ["Running"]

_log = logging.getLogger(__name__)

OBSERVED = 4
"""Frames between two looks of the observer: five a second are enough for what drifts."""


class Running:
    """The models of a plant, going.

    Args:
        request: what the service asked for.
        opened: the plant.
        inputs: what is heard.
        outgoing: what is said.
        before: where an engine of the plant was that this one goes on from.

    Attributes:
        plant: the models that still run.
        engine: of them.
        failed: why others do not, by `PRIM.NAME`.
        values: of all attributes that are said, shape (count,).
    """

    def __init__(
        self,
        request: wire.Open,
        opened: Opened,
        inputs: Inputs,
        outgoing: Outgoing,
        before: tuple[Snapshot, PlantModel] | None = None,
    ) -> None:
        self._request, self._opened = request, opened
        self._inputs, self._outgoing = inputs, outgoing
        self._left_out: dict[str, Sequence[Column]] = {}
        self._good: list[Snapshot] = []
        self.plant = opened.plant
        self.failed: dict[str, str] = {}
        self.values: Floats = np.full(len(outgoing.outputs), np.nan)
        self._make(before)

    def _make(self, before: tuple[Snapshot, PlantModel] | None) -> None:
        self._inputs.follow(self.plant)
        self._outgoing.follow(self.plant)
        begun = self.plant.at(self._inputs.beginning())
        self.engine: Engine = begun.plan.engine(1, self._request.device or "cpu")
        if before is not None:
            carry(*before, self.engine)
        self._observer: Any = None
        self._residuals: Any = None
        self._observe_at = self.engine.frames
        self._guarded(self._observe_from_here)
        self._bus = self.engine.read()[0]

    def frame(self) -> None:
        """Step a frame; a model that diverges in it is left out from then on.

        Raises:
            StagetwinError: a system stopped, and it is not known whose fault that is.
        """
        self._inputs.write(self.engine)
        before = self._bus
        self.engine.step()
        after = self.engine.read()[0]
        if not np.isfinite(after).all():
            self._isolate(before, after)
            return
        self.values = self._outgoing.expected(after)
        if self._observer is not None and self.engine.frames >= self._observe_at:
            self._observe_at = self.engine.frames + OBSERVED
            self._guarded(self._observe)
            after = self.engine.read()[0]  # behind the correction
        if self._residuals is not None:
            self._outgoing.add_residuals(self.values, self._residuals)
        self._bus = after

    def _observe_from_here(self) -> None:
        from stagetwin_sim.estimation import Observer

        self._observer = Observer(self.plant, self.engine)

    def _observe(self) -> None:
        from stagetwin_sim.estimation import Measured

        quality = self._inputs.quality()
        self._observer.update(
            {
                path: Measured(value, quality[path] is Quality.GOOD, quality[path] < Quality.STALE)
                for path, value in self._inputs.values().items()
            }
        )
        self._residuals = self._observer.residuals()

    def _guarded(self, observe: Callable[[], None]) -> None:
        """Observe; models go on without residuals where that fails."""
        try:
            observe()
        except Exception as error:
            _log.error("no residuals from here on: %s", error, exc_info=error)
            self._observer = self._residuals = None

    def keep(self) -> None:
        """Remember this state, and ask systems how they are.

        Two states are remembered: a model that leaves the finite numbers was wrong before, and the
        older of them is less likely to hold the beginnings of it.
        """
        try:
            self._good = [*self._good[-1:], self.engine.save()]
        except UnforkableError:
            self._good = []
        for system in self.engine.systems.values():
            for each in getattr(system, "health", list)():
                if each.stopped:
                    self.failed.setdefault(each.place, each.cause)

    def state(self) -> tuple[Snapshot, PlantModel] | None:
        """Return where it is, for one that follows it; None where a model cannot be copied."""
        try:
            return self.engine.save(), self.plant
        except UnforkableError:
            return None

    def _isolate(self, before: Floats, after: Floats) -> None:
        faults = culprits(self.plant, before, after)
        if not faults:
            self.engine.check()
            raise DivergedError("a column that no model writes left the finite numbers")
        for path, cause in faults.items():
            _log.error("%s is left out: %s", path, cause)
        self.failed.update(faults)
        good = self._good[0].bus[0] if self._good else self._bus
        self._left_out.update(last_outputs(self.plant, faults, good))
        here = (self._good[0], self.plant) if self._good else None
        self.plant = read_plant(
            self._opened.stage,
            self._opened.bindings,
            frame=self._request.frame,
            seed=self._request.seed,
            left_out=self._left_out,
        )
        self._make(here)
        self._good = []
