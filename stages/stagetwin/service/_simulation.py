"""Models under the service: what they are told, what they say, and where that stands."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import math
import os
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from stagetwin._errors import SimulatorError
from stagetwin.bindings import BindingTable
from stagetwin.clock import WallClock
from stagetwin.live import Expected, Placed
from stagetwin.service._config import ServiceConfig
from stagetwin.service._expected import ExpectedNumbers
from stagetwin.service._measured import Measured
from stagetwin.service._model_states import ModelStates
from stagetwin.service._simulator import Progress, Simulator
from stagetwin.simulation import find_simulator, wire
from stagetwin.twin import Twin

__all__ = ["NO_MODELS", "Simulation"]

_log = logging.getLogger(__name__)

_steady = WallClock().steady
"""Of the machine, whatever clock the twin has: processes live and fall silent on the wall."""

PERIOD = 0.05
"""Time between two messages to the simulator, at least [s]."""

MAX_WAITING = 2**20
"""What it may leave in its pipe before changes are put together for it [B]."""

STALE_AFTER = 3.5
"""Time without expected values or a word of health after which they are withdrawn [s]."""

IDLE = 60.0
"""Time without a question after which a process for futures is ended [s]."""

Future = Literal["ahead", "what-if"]

FUTURES: tuple[Future, ...] = ("ahead", "what-if")
"""Processes for futures."""

NO_MODELS = "this stage has no models"
NO_SIMULATOR = "no simulator is installed (pip install 'stagetwin[sim]')"


class Simulation:
    """The models of one twin, beside it and ahead of it; belongs to the thread that owns the stage.

    Attributes:
        states: how each model stands.
        beside: the process that goes along with the machine; None while there are no models.
        ahead: the process that rehearses commands; None while nobody asks for that.
        what_if: the process for all other futures, which are long and anybody's: no rehearsal waits
            for them; None while nobody asks for any.
        rules: returns the timers of rules, by `PRIM.NAME`; a service that commands sets it.
        displaced: returns what is in force in place of requests that have not left; likewise.
        version: grows whenever simulators have to read the plant's files anew.
    """

    def __init__(self, config: ServiceConfig, twin: Twin) -> None:
        self._config, self._twin = config, twin
        self._module: str | None = None
        self._measured = Measured(twin, lambda: self.displaced())
        self._numbers = ExpectedNumbers()
        self.states = ModelStates(twin.layers)
        self.beside: Simulator | None = None
        self.ahead: Simulator | None = None
        self.what_if: Simulator | None = None
        self.rules: Callable[[], Mapping[str, Any]] = dict
        self.displaced: Callable[[], Mapping[str, Any]] = dict
        self.version = 0
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._opened = ""
        self._told = self._heard = self._told_time = -math.inf
        self._broken = ""
        self._asked = dict.fromkeys(FUTURES, -math.inf)
        twin.on_rebind.append(self._rebound)
        self._rebound()

    # -- life

    @property
    def plant(self) -> BindingTable:
        """The bindings that models are read from."""
        guarded = self._twin.guarded
        return guarded if guarded is not None else self._twin.table

    @property
    def fault(self) -> str:
        """Why no model runs; empty where they may."""
        if not self.plant.models:
            return NO_MODELS
        if not self._config.models:
            return "this service runs no models (--no-models)"
        self._module = self._module or find_simulator()
        return "" if self._module is not None else NO_SIMULATOR

    async def run(self) -> None:
        """Start and end simulators as models come and go, until cancelled."""
        try:
            while True:
                self._changed.clear()
                await self._apply()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(IDLE if self.ahead or self.what_if else None):
                        await self._changed.wait()
        finally:
            for name in list(self._tasks):
                await self._end(name)

    async def _apply(self) -> None:
        if self.fault:
            for name in ("beside", *FUTURES):
                await self._end(name)
            self._twin.predicted.bind(())
        elif self.beside is None:
            self.beside = self._start("beside")
        if self.fault:
            self.states.all_of(self.plant, self.fault)
            return
        if self.ahead is None and self._wants("ahead"):
            self.ahead = self._start("ahead")
        for name in FUTURES:
            if name in self._tasks and not self._wants(name):
                await self._end(name)

    def _wants(self, name: Future) -> bool:
        """Tell whether a process for futures may be asked soon: starting one takes long."""
        required = any(command.rehearsal == "required" for command in self.plant.commands)
        if name == "ahead" and required:
            return True
        simulator = self.ahead if name == "ahead" else self.what_if
        busy = simulator is not None and simulator.busy
        return busy or _steady() - self._asked[name] < IDLE

    def _start(self, name: Literal["beside"] | Future) -> Simulator:
        assert self._module is not None  # or there is a fault
        made = Simulator(
            self._module,
            "beside" if name == "beside" else "ahead",
            self._open,
            self if name == "beside" else None,
            name,
            polite=name == "what-if",
        )
        self._tasks[name] = asyncio.create_task(made.run(), name=f"simulator {name}")
        return made

    async def _end(self, name: str) -> None:
        task = self._tasks.get(name)
        if task is not None:
            if not task.cancelling():  # a second time would cut short how it ends its process
                task.cancel()
            await asyncio.wait([task])
            del self._tasks[name]
        if name == "beside":
            self.beside = None
        elif name == "ahead":
            self.ahead = None
        else:
            self.what_if = None

    def _open(self, role: wire.Role) -> wire.Open:
        config = self._config
        files = wire.Files(
            str(config.stage), [str(path) for path in config.sidecars], dict(config.endpoints)
        )
        rate = self._twin.clock.rate if role == "beside" else 0.0
        return wire.Open(files, role, rate=rate, version=self.version)

    def _rebound(self) -> None:
        """Take note that the bindings changed; a simulator reads the plant's files if they did."""
        self._measured.rebind()
        opened = self._fingerprint()
        if opened != self._opened:
            self._opened = opened
            self.version += 1
            for each in (self.beside, self.ahead, self.what_if):
                if each is not None:
                    each.reopen()
        elif self.beside is not None and self.beside.table is not None:
            self._bind(self.beside.table)  # what was a prim a moment ago may be none
            self._numbers.fresh = not math.isnan(self._numbers.time)
        self.states.rebind(self.plant)
        self._changed.set()

    def _fingerprint(self) -> str:
        """Return what tells whether the plant's files are others: that is all a simulator reads."""
        if not self.plant.models:
            return ""
        stamps = []
        for layer in sorted(self._twin.stage.GetUsedLayers(), key=lambda each: each.identifier):
            with contextlib.suppress(OSError):
                if layer.realPath:
                    status = os.stat(layer.realPath)
                    stamps.append((layer.realPath, status.st_mtime_ns, status.st_size))
        return hashlib.sha256(repr(stamps).encode()).hexdigest()

    # -- what the simulator says

    def table(self, table: wire.Table) -> None:
        """See SimulatorEvents."""
        self._bind(table)
        self._numbers.bind(len(table.outputs), len(table.poses))
        self._measured.bind(table.measured)
        self._told = -math.inf
        self.states.take_table(table, self.plant, self._twin.predicted.refused)

    def _bind(self, table: wire.Table) -> None:
        layer, live = self._twin.predicted, self._twin.table
        driven = {b.target for b in live.telemetry.values()} | {b.target for b in live.commands}
        driven |= {b.target for b in self.plant.commands}
        outputs = [Expected(output.path, output.type_name) for output in table.outputs]
        poses = [Placed(pose.prim, pose.reset, pose.instance) for pose in table.poses]
        layer.bind(outputs, poses, driven)

    def columns(self, kind: wire.Kind, columns: wire.Columns) -> None:
        """See SimulatorEvents."""
        self._heard = _steady()
        self._numbers.take(kind, columns)

    def health(self, health: wire.Health) -> None:
        """See SimulatorEvents."""
        self._heard = _steady()
        if math.isnan(self._twin.predicted.time) and not math.isnan(self._numbers.time):
            self._numbers.fresh = True  # it was silent for a while, and nothing has changed
        self.states.take(health.states)

    def down(self, cause: str) -> None:
        """See SimulatorEvents."""
        if not cause:
            if self.beside is not None:
                self.beside.reopen()  # it says how everything stands, as at first
            return
        self._twin.predicted.withdraw()
        if self.beside is not None and self.beside.table is None:
            self._numbers.bind(len(self._twin.predicted.outputs), len(self._twin.predicted.poses))
        self._numbers.again()
        self.states.all_of(self.plant, cause)
        self.states.write()

    # -- every tick

    def step(self) -> None:
        """Pass on what is new, both ways; call after each tick of the twin.

        What a model says may be of no use to the stage, but it ends no service: expected values are
        withdrawn then, and the next ones are tried again.
        """
        try:
            self._step()
            return
        except Exception as error:
            if (broken := f"{type(error).__name__}: {error}") != self._broken:
                self._broken = broken
                _log.exception("what models expect cannot be passed on, it counts as unknown")
        self._numbers.again()
        self._heard = -math.inf
        try:
            self._twin.predicted.withdraw()
        except Exception:
            # What could not be written may not be withdrawn either; it was told above.
            _log.debug("what models expected cannot be withdrawn", exc_info=True)

    def _step(self) -> None:
        now, layer = _steady(), self._twin.predicted
        if self._numbers.fresh:
            numbers = self._numbers
            every = np.arange(len(numbers.values), dtype=np.int32)
            layer.write(every, numbers.values, numbers.time)
            layer.place(np.arange(len(numbers.matrices), dtype=np.int32), numbers.matrices)
            self._numbers.fresh = False
        elif math.isfinite(self._heard) and now - self._heard > STALE_AFTER:
            self._heard = -math.inf
            layer.withdraw()
        self.states.write()
        beside = self.beside
        if beside is None or beside.table is None or now - self._told < PERIOD - 1e-6:
            return
        if beside.waiting > MAX_WAITING:
            return
        first, self._told = math.isinf(self._told), now
        index, values, quality = self._measured.news()
        clock = self._twin.clock
        wall = clock.wall()
        moved = clock.rate == 0 and wall != self._told_time  # then only this moves the models
        if len(index) or first or moved:  # it begins with the first word
            self._told_time = wall
            number = beside.table.number
            kind: Literal[wire.Kind.VALUES] = wire.Kind.VALUES
            beside.post(wire.encode_columns(kind, number, wall, index, values, quality))

    # -- questions

    async def present(self, *, budget: float = 10.0) -> wire.Answer:
        """Return the whole present as bytes, and what is said of it.

        Raises:
            SimulatorError: there is none.
        """
        if self.fault:
            raise SimulatorError(self.fault, "gone")
        if self.beside is None:
            raise SimulatorError("the simulator is starting", "gone")
        given = {"rules": dict(self.rules())}
        return await self.beside.ask("present", given, budget=budget)

    def process(self, name: Future) -> Simulator:
        """Return a process for futures; it is started if need be.

        Raises:
            SimulatorError: no model runs.
        """
        if self.fault:
            raise SimulatorError(self.fault, "gone")
        self._asked[name] = _steady()
        simulator = self.ahead if name == "ahead" else self.what_if
        if simulator is None:
            simulator = self._start(name)
            if name == "ahead":
                self.ahead = simulator
            else:
                self.what_if = simulator
            self._changed.set()
        return simulator

    async def future(
        self,
        operation: str,
        given: Mapping[str, Any],
        data: bytes,
        *,
        budget: float = 0.0,
        progress: Progress | None = None,
    ) -> wire.Answer:
        """Ask about futures that start from a present; the process for it is started if need be.

        A rehearsal has a process of its own and waits for no what-if.

        Raises:
            SimulatorError: there is no answer.
        """
        name: Future = "ahead" if operation == "rehearse" else "what-if"
        simulator = self.process(name)
        while not simulator.pid and simulator.state == "starting":
            await asyncio.sleep(0.01)
        try:
            return await simulator.ask(operation, given, data, budget=budget, progress=progress)
        finally:
            self._asked[name] = _steady()

    # -- how they are

    def status(self) -> dict[str, Any]:
        """Return how models and simulators do."""
        return {
            "fault": "" if self.fault == NO_MODELS else self.fault,
            "models": len(self.plant.models),
            "states": self.states.counts(),
            "simulators": {
                each.name: {
                    "state": each.state,
                    "cause": each.cause,
                    "pid": each.pid,
                    "restarts": each.restarts,
                    "factor": each.health.factor if each.health is not None else None,
                    "lag": each.health.lag if each.health is not None else None,
                    "device": each.health.device if each.health is not None else "",
                    "outputs": len(each.table.outputs) if each.table is not None else 0,
                    "poses": len(each.table.poses) if each.table is not None else 0,
                }
                for each in (self.beside, self.ahead, self.what_if)
                if each is not None
            },
        }
