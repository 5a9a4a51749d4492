"""An engine of a plant's models, with its observer, and what becomes of a model that diverges."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stagetwin.signals import Quality
from stagetwin.simulation import wire
from stagetwin_sim._errors import DivergedError, UnforkableError
from stagetwin_sim.engine import Column, Engine, Floats, Saved, Snapshot
from stagetwin_sim.host._inputs import Inputs
from stagetwin_sim.host._isolation import carry, culprits, last_outputs
from stagetwin_sim.host._opening import Opened
from stagetwin_sim.host._outgoing import Outgoing
from stagetwin_sim.plant import PlantModel, read_plant

__all__ = ["Left", "Running"]

_log = logging.getLogger(__name__)

_SHARE = 0.1
"""Of the time that a frame has, for the observer; one that needs more looks less often."""

_RAREST = 20
"""Most frames between two looks of the observer."""


class Left(NamedTuple):
    """Where models were when others took over from them.

    Attributes:
        snapshot: of their engine.
        plant: the models.
        tracked: states of what followed their parameters.
    """

    snapshot: Snapshot
    plant: PlantModel
    tracked: Mapping[str, Saved]


class Running:
    """The models of a plant, going.

    Args:
        request: what the service asked for.
        opened: the plant.
        inputs: what is heard.
        outgoing: what is said.
        before: where models of the plant were that these go on from.

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
        before: Left | None = None,
    ) -> None:
        self._request, self._opened = request, opened
        self._inputs, self._outgoing = inputs, outgoing
        self._left_out: dict[str, Sequence[Column]] = {}
        self._good: list[Snapshot] = []
        self.plant = opened.plant
        self.failed: dict[str, str] = {}
        self.values: Floats = np.full(len(outgoing.outputs), np.nan)
        self._make(before)

    def _make(self, before: Left | None) -> None:
        self._inputs.follow(self.plant)
        self._outgoing.follow(self.plant)
        begun = self.plant.at(self._inputs.beginning())
        self.engine: Engine = begun.plan.engine(1, self._request.device or "cpu")
        if before is not None:
            carry(before.snapshot, before.plant, self.engine)
        self._observer: Any = None
        self._residuals: Any = None
        self._observe_at = self.engine.frames
        self._look = 0.0
        self._guarded(self._observe_from_here)
        self._tracking: Any = None
        if any(each.binding.tracked for each in self.plant.instances.values()):
            self._follow_from_here(before)
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
            self._guarded(self._observe)
            self._observe_at = self.engine.frames + self._pause()
            after = self.engine.read()[0]  # behind the correction
        if self._residuals is not None:
            self._outgoing.add_residuals(self.values, self._residuals)
        if self._tracking is not None:
            self._follow(after)
        self._bus = after

    def _observe_from_here(self) -> None:
        from stagetwin_sim.estimation import Observer

        self._observer = Observer(self.plant, self.engine)

    def _observe(self) -> None:
        from stagetwin_sim.estimation import Measured

        began = time.perf_counter()
        quality = self._inputs.quality()
        self._observer.update(
            {
                path: Measured(value, quality[path] is Quality.GOOD, quality[path] < Quality.STALE)
                for path, value in self._inputs.values().items()
            }
        )
        self._residuals = self._observer.residuals()
        took = time.perf_counter() - began
        # The first one loads kernels, and says nothing about the others.
        self._look = 0.9 * self._look + 0.1 * min(took, self._request.frame)

    def _pause(self) -> int:
        """Return after how many frames the observer looks again."""
        has = self._request.frame / (self._request.rate or 1.0)  # a recording: as if on the wall
        return min(_RAREST, max(1, math.ceil(self._look / (_SHARE * has))))

    def _guarded(self, observe: Callable[[], None]) -> None:
        """Observe; models go on without residuals where that fails."""
        try:
            observe()
        except Exception as error:
            # Residuals are extra: whatever ends them must not end the expected values.
            _log.error("no residuals from here on: %s", error, exc_info=error)
            self._observer = self._residuals = None

    def _follow_from_here(self, before: Left | None) -> None:
        from stagetwin_sim.calibration import Tracking  # loads scipy

        device = self._request.device or "cpu"
        try:
            self._tracking = Tracking(self.plant, self.engine, self._request.rate, device)
            if before is not None:
                self._tracking.load(before.tracked)
        except Exception as error:
            # As with residuals: models run on with the parameters that they have.
            self._lose_track(error)

    def _follow(self, bus: Floats) -> None:
        """Follow parameters; a model that hears what is doubtful keeps those that it has."""
        try:
            if self._tracking.due():
                states = self._inputs.states(self.failed)
                doubtful = {p for p, s in states.items() if s.state != "running" or s.cause}
                quality = self._inputs.quality()
                known = self._inputs.values().items()
                good = {path: v for path, v in known if quality[path] <= Quality.UNCERTAIN}
                self._tracking.update(bus, good, doubtful)
                for drift in self._tracking.drifts:
                    _log.warning(
                        "%s: %s has drifted from %.4g to %.4g (+- %.2g)",
                        drift.place,
                        drift.parameter,
                        drift.reference,
                        drift.value,
                        drift.sigma,
                    )
        except Exception as error:
            # As where it began: models run on with the parameters that they have.
            self._lose_track(error)
            return
        self._outgoing.add_parameters(self.values, self._tracking.values)

    def _lose_track(self, error: Exception) -> None:
        _log.error("no parameters are followed from here on: %s", error, exc_info=error)
        self._tracking = None

    def keep(self) -> None:
        """Remember this state, and ask systems how they are.

        Two states are remembered: a model that leaves the finite numbers was wrong before, and the
        older of them is less likely to hold the beginnings of it.
        """
        try:
            self._good = [*self._good[-1:], self.engine.save()]
        except UnforkableError:
            self._good = []
        self.ask()

    def ask(self) -> None:
        """Ask systems which of their models stopped."""
        for system in self.engine.systems.values():
            for each in getattr(system, "health", list)():
                if each.stopped:
                    self.failed.setdefault(each.place, each.cause)

    def state(self) -> Left | None:
        """Return where it is, for one that follows it; None where a model cannot be copied."""
        try:
            return Left(self.engine.save(), self.plant, self._tracked())
        except UnforkableError:
            return None

    def observed(self) -> Mapping[str, npt.NDArray[Any]]:
        """Return the state of the observer; empty where there is none."""
        return self._observer.save() if self._observer is not None else {}

    def _tracked(self) -> Mapping[str, Saved]:
        return self._tracking.save() if self._tracking is not None else {}

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
        here = Left(self._good[0], self.plant, self._tracked()) if self._good else None
        self.plant = read_plant(
            self._opened.stage,
            self._opened.bindings,
            frame=self._request.frame,
            seed=self._request.seed,
            left_out=self._left_out,
        )
        self._make(here)
        self._good = []
