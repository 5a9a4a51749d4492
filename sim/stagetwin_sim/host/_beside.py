"""The models beside the machine: stepped with the service's clock from what it measures."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from stagetwin import StagetwinError
from stagetwin.simulation import Line, wire
from stagetwin_sim._errors import ModelError, UnforkableError
from stagetwin_sim.host._inputs import Inputs
from stagetwin_sim.host._opening import Opened
from stagetwin_sim.host._outgoing import Outgoing
from stagetwin_sim.host._pace import Pace
from stagetwin_sim.host._running import Left, Running
from stagetwin_sim.plant import Instance, PlantModel

__all__ = ["Beside"]

_log = logging.getLogger(__name__)

TURN = 0.25
"""Longest that frames are caught up before the line is looked at [s]."""

SETTLED = 1.0
"""How long models must have run before a rehearsal believes them [s of the plant]."""

HEALTH = 1.0
"""Time between two words about how it does [s]."""


class Beside:
    """The models of a plant, what they hear and what they say, until the plant is read anew.

    Args:
        line: to the service.
        request: what the service asked for.
        opened: the plant.
        number: of the table.
        before: what ran until now; models that are still there go on from it.
        steady: a clock that never steps [s].
    """

    def __init__(
        self,
        line: Line,
        request: wire.Open,
        opened: Opened,
        number: int,
        before: Beside | None = None,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._line, self._request, self._opened, self._number = line, request, opened, number
        self._before = before.state() if before is not None else None
        self._inputs = Inputs(opened.plant)
        self._outgoing = Outgoing(opened.plant, residuals=True)
        self._running: Running | None = None
        self._broken = ""
        self._steady = steady
        self._pace = Pace(request.frame, request.rate, steady)
        self._states: dict[str, wire.State] = {}
        self._told: dict[str, wire.State] = {}
        self._judged: tuple[int, int] = (-1, -1)
        self._begun = 0.0
        self._said_at = steady()
        self._worked, self._frames = 0.0, 0

    def table(self) -> wire.Table:
        """Return what the service has to know."""
        plant = self._opened.plant
        return wire.Table(
            number=self._number,
            revision=plant.plan.revision,
            guards=self._opened.guards,
            measured=list(self._inputs.paths),
            outputs=self._outgoing.outputs,
            poses=self._outgoing.poses,
            models=model_rows(plant),
            states=[wire.State(path, "starting") for path in plant.instances],
            problems=problem_rows(plant),
        )

    def hear(self, said: wire.Columns) -> None:
        """Take values of the service; those of an older table are passed over."""
        if said.table != self._number:
            return
        self._inputs.hear(said)
        if self._running is not None:
            self._pace.hear(said.time, self._running.engine.time)
        elif not self._broken:
            self._start(said.time)

    def wait(self) -> float:
        """Return how long nothing is due [s]."""
        if self._running is None:
            return HEALTH
        return min(HEALTH, self._pace.wait(self._running.engine.time))

    def turn(self) -> None:
        """Step what is due, for a bounded time, and say what changed."""
        if self._running is None:
            if not self._inputs.paths and not self._broken:
                self._start(time.time())  # nothing is measured: there is nothing to wait for
            return
        began, frames = time.perf_counter(), 0
        while self._pace.due(self._running.engine.time):
            if not self._frame(self._running):
                return
            frames += 1
            if time.perf_counter() - began > TURN:
                break
        self._worked += time.perf_counter() - began
        self._frames += frames
        if frames:
            self._say(self._running)
        if dropped := self._pace.settle(self._running.engine.time):
            _log.warning("the models cannot keep up: %d frames left out", dropped)
        if self._steady() - self._said_at >= HEALTH:
            self._running.keep()
            self._say_health()

    def state(self) -> Left | None:
        """Return where the models are, for those that follow; None where none can be copied."""
        return self._running.state() if self._running is not None else self._before

    def present(self, given: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Return the present: what is said of it, and all of it as bytes.

        Args:
            given: `rules`, timers of rules by `PRIM.NAME`.

        Raises:
            ModelError: no model runs, or what is given is not what rules have.
        """
        from stagetwin_sim.futures import Present, RuleTimer

        if self._running is None:
            raise ModelError(self._broken or "no model runs yet: there is no present to go on from")
        plant, engine = self._running.plant, self._running.engine
        now = self._pace.time_of(engine.time)
        said: dict[str, Any] = {"time": now, "revision": plant.plan.revision, "forkable": True}
        try:
            timers = {name: RuleTimer(**timer) for name, timer in given.get("rules", {}).items()}
        except (AttributeError, TypeError) as error:
            raise ModelError(f"rules must have held, asked and wait, got {error}") from None
        setpoints = {command.target for command in self._opened.bindings.commands}
        values = self._inputs.values()
        try:
            present = Present.of(
                plant,
                engine,
                values={path: v for path, v in values.items() if path not in setpoints},
                quality={path: q.token for path, q in self._inputs.quality().items()},
                desired={path: v for path, v in values.items() if path in setpoints},
                rules=timers,
                time=now,
                observer=self._running.observed(),
                doubts=self._doubts(self._running),
            )
        except UnforkableError as error:
            return {**said, "forkable": False, "unforkable": str(error)}, b""
        return said, present.to_bytes()

    def _doubts(self, running: Running) -> dict[str, str]:
        """Return why models are not to be believed now, by `PRIM.NAME`."""
        running.ask()
        done = running.engine.time
        if done - self._begun < SETTLED:
            began = f"it began {done - self._begun:.2f} s ago"
            return dict.fromkeys(self._opened.plant.instances, began)
        states = self._graded(running.failed).items()
        return {
            path: state.cause or state.state
            for path, state in states
            if state.state != "running" or state.cause
        }

    # -- going on

    def _start(self, now: float) -> None:
        try:
            # Kernels are compiled at the first step; on a machine that has none yet for a while.
            with self._line.busy():
                # The first question for the present must not hold up frames while this loads.
                import_module("stagetwin_sim.futures")
                self._running = Running(
                    self._request, self._opened, self._inputs, self._outgoing, self._before
                )
                self._begun = self._running.engine.time
                started = self._frame(self._running)
        except Exception as error:
            # A system may be anybody's: the service is told, and the next plant may do better.
            self._break(error)
            return
        if started:
            self._pace.start(now, self._running.engine.time)
            self._say(self._running)
            self._say_health()

    def _frame(self, running: Running) -> bool:
        """Step a frame; return whether all is well."""
        try:
            running.frame()
        except Exception as error:
            # As at the start: models stop, the process stays and says why.
            self._break(error)
            return False
        return True

    def _break(self, error: Exception) -> None:
        """Stop all models, for it is not known whose fault it is."""
        known = isinstance(error, StagetwinError)
        _log.error("the models stopped: %s", error, exc_info=None if known else error)
        self._broken = f"the models stopped: {type(error).__name__}: {error}"
        self._running = None
        index, values = self._outgoing.changed(
            self._outgoing.nothing(), self._opened.plant.instances
        )
        self._line.put(
            wire.encode_columns(wire.Kind.PREDICTED, self._number, time.time(), index, values)
        )
        self._say_health()

    # -- what is said

    def _say(self, running: Running) -> None:
        now = self._pace.time_of(running.engine.time)
        withheld = {p for p, s in self._graded(running.failed).items() if s.state != "running"}
        index, values = self._outgoing.changed(running.values, withheld)
        if len(index):
            self._line.put(
                wire.encode_columns(wire.Kind.PREDICTED, self._number, now, index, values)
            )
        moved, matrices = self._outgoing.moved(running.engine)
        if len(moved):
            self._line.put(wire.encode_columns(wire.Kind.POSES, self._number, now, moved, matrices))

    def _graded(self, failed: dict[str, str]) -> dict[str, wire.State]:
        """Return how each model stands; judged again only where something changed."""
        judged = (self._inputs.doubts, len(failed))
        if judged != self._judged:
            self._states, self._judged = self._inputs.states(failed), judged
        return self._states

    def _say_health(self) -> None:
        self._said_at = self._steady()
        running = self._running
        failed = dict.fromkeys(self._opened.plant.instances, self._broken) if self._broken else {}
        states = self._graded(running.failed if running is not None else failed)
        news = [state for path, state in states.items() if self._told.get(path) != state]
        self._told.update({state.path: state for state in news})
        done = running.engine.time if running is not None else 0.0
        plant_time = self._frames * self._request.frame
        self._line.say(
            wire.Kind.HEALTH,
            wire.Health(
                time=done,
                factor=plant_time / self._worked if self._worked > 0 else 0.0,
                lag=max(0.0, self._pace.lag(done)) if running is not None else 0.0,
                frames=running.engine.frames if running is not None else 0,
                device=self._request.device or "cpu",
                states=news,
                dropped=self._pace.dropped,
            ),
        )
        self._worked, self._frames = 0.0, 0


def model_rows(plant: PlantModel) -> list[wire.ModelRow]:
    """Return the models of a plant as rows of a table."""
    return [
        wire.ModelRow(path, each.binding.kind, each.fidelity, defaults=_defaults(each))
        for path, each in plant.instances.items()
    ]


def _defaults(instance: Instance) -> dict[str, tuple[float, str]]:
    """Return what a kind takes for the parameters that the stage leaves out."""
    declared = instance.kind.parameters if instance.kind is not None else ()
    given = instance.binding.parameters
    return {each.name: (each.value, each.unit) for each in declared if each.name not in given}


def problem_rows(plant: PlantModel) -> list[wire.Problem]:
    """Return the problems of a plant's models as rows of a table."""
    return [
        wire.Problem(p.prim, p.signal, p.code, p.message, str(p.severity)) for p in plant.problems
    ]
