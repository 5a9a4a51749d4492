"""The models behind a device, as one engine."""

from __future__ import annotations

import logging
import math
import threading
from collections import defaultdict
from collections.abc import Mapping

from pxr import Usd

from stagetwin.bindings import BindingTable, Severity
from stagetwin_sim._quiet import begin_quietly
from stagetwin_sim.engine import Engine
from stagetwin_sim.plant import Output, PlantModel, UnitsError, conversion, read_plant
from stagetwin_sim.standin._beginning import begin_at

__all__ = ["Physics"]

_log = logging.getLogger(__name__)

_SENSING = ("control", "monitor")
"""Phases of models that hear what sensors say; all others feel what is."""
_SETTLING = 10.0
"""How long the models run before anybody looks [s]: what is fast has found its place then."""


class Physics:
    """The models of a stage in place of machines.

    Its engine is made by a thread of its own, since kernels may have to be compiled first.

    Args:
        stage: the plant; only read.
        table: its bindings, with the models that are wanted alone.
        seed: of everything random.

    Attributes:
        plant: the models.
        heard: properties that feed models, and must be given.
        told: what signals are, by path of the property they drive [unit of the signal].
        noise: authored noise of sensors [unit of the signal], by path of the property.
        failed: why no model runs any more; empty while all is well.
    """

    def __init__(self, stage: Usd.Stage, table: BindingTable, seed: int = 0) -> None:
        begin_quietly()
        self.plant: PlantModel = read_plant(stage, table, seed=seed)
        for problem in self.plant.problems:
            level = logging.ERROR if problem.severity is Severity.ERROR else logging.INFO
            _log.log(level, "%s", problem)
        self._outputs = {o.signal: o for o in self.plant.outputs if o.signal}
        self.heard = tuple({**self.plant.measured, **self.plant.setpoints})
        self.told: dict[str, float] = {}
        self.noise = self._noise()
        self.failed = ""
        self._readers = self._read_by()
        self._struck: dict[int, float] = {}
        self._engine: Engine | None = None
        self._due = 0.0
        self._begun = False
        self._made = threading.Event()
        self._thread: threading.Thread | None = None

    def covers(self, path: str) -> bool:
        """Tell whether a model says what a signal is."""
        return path in self._outputs

    def source(self, path: str) -> str:
        """Return where what models hear of a property comes from.

        Returns:
            `model` (what another model makes of it), `sensor` (what its sensor says of that), or
            `device` (what the machine's own controller does).
        """
        output = self._outputs.get(path)
        if output is None:
            return "device"
        others = [reader for reader in self._readers[path] if reader[0] != output.model]
        if not others:
            # Nothing is its own cause: such an input says where the model begins.
            return "device"
        return "sensor" if all(phase in _SENSING for _, phase in others) else "model"

    # -- the engine

    @property
    def ready(self) -> bool:
        """Whether the models run."""
        return self._begun and self._engine is not None and not self.failed

    def begin(
        self,
        values: Mapping[str, float],
        known: Mapping[str, float],
        patience: float | None = None,
    ) -> bool:
        """Make the engine, in a thread, and tell whether the models run.

        Args:
            values: of what is heard, by property.
            known: what signals of machines are now, by property, where models are to begin.
            patience: how long to wait for it [s]; None is as long as it takes.
        """
        self._thread = threading.Thread(
            target=self._make, args=(dict(values), dict(known)), name="models", daemon=True
        )
        self._thread.start()
        self._begun = self.wait(patience)
        return self.ready

    @property
    def late(self) -> bool:
        """Whether the models could run by now, after nobody waited for them any longer."""
        return self._made.is_set() and not self._begun

    def take_over(self, values: Mapping[str, float], known: Mapping[str, float]) -> None:
        """Let models that are late begin with what is now; as `begin`, their kernels are there."""
        self._begun = True
        if not self.failed:
            self._make(dict(values), dict(known))

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the models run, or cannot; tells whether that is so after so long [s]."""
        return self._made.wait(seconds)

    def _make(self, values: dict[str, float], known: dict[str, float]) -> None:
        try:
            plant = self.plant.at(values)
            engine = plant.plan.engine()
            begin_at(plant, engine, known)
            self._write(engine, {})
            engine.step(max(1, round(_SETTLING / plant.plan.frame)))
            begin_at(plant, engine, known)
            engine.step()
            engine.check()
        except Exception as error:
            # Any package may offer a model; machines have physics of their own.
            self._fail(error)
        else:
            self._read(engine)
            self._engine = engine
        finally:
            self._made.set()

    def strike(self, column: int, value: float) -> None:
        """Hold an input at a value, as a fault does [unit of the port]."""
        self._struck[column] = value

    def step(self, dt: float, values: Mapping[str, float]) -> None:
        """Move on by `dt` [s].

        Args:
            dt: what is no whole number of frames is made up for next time.
            values: of what is heard, by property.
        """
        engine = self._engine
        if engine is None or self.failed:
            return
        frame = self.plant.plan.frame
        self._due += dt
        frames = math.floor(self._due / frame + 1e-9)
        self._due -= frames * frame
        if not frames:
            return
        try:
            self._write(engine, values)
            engine.step(frames)
            engine.check()
        except Exception as error:
            # Models may be anybody's: machines go on without them, and say so.
            self._fail(error)
        else:
            self._read(engine)

    def _write(self, engine: Engine, values: Mapping[str, float]) -> None:
        columns = dict(self._struck)
        for path, value in values.items():
            if math.isfinite(value):
                columns.update({f.column: f.of(value) for f in self.plant.feeds(path)})
        if columns:
            engine.write(list(columns), list(columns.values()))

    def _read(self, engine: Engine) -> None:
        bus = engine.read()[0]
        self.told = {path: o.of(float(bus[o.column])) for path, o in self._outputs.items()}

    def _fail(self, error: Exception) -> None:
        self.failed = f"{type(error).__name__}: {error}"
        self.told = {}
        _log.error("the models stopped, machines go on by simple physics: %s", self.failed)

    # -- what is read of the plant once

    def _read_by(self) -> dict[str, list[tuple[str, str]]]:
        """Return model and phase of those who read a property."""
        paths = {f.column: path for path, feeds in self.plant.measured.items() for f in feeds}
        readers: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for model, instance in self.plant.instances.items():
            phase = instance.kind.phase if instance.kind is not None else "process"
            for column in instance.inputs.values():
                if column in paths:
                    readers[paths[column]].append((model, phase))
        return readers

    def _noise(self) -> dict[str, float]:
        found = {}
        for path, output in self._outputs.items():
            if sigma := self._authored_noise(output):
                found[path] = sigma
        return found

    def _authored_noise(self, output: Output) -> float:
        instance = self.plant.instances[output.model]
        port = next((p for p, c in instance.outputs.items() if c == output.column), "")
        given = instance.binding.parameters.get(f"measurement:{port}")
        if given is None:
            return 0.0
        try:
            # As a difference: 0.1 K is 0.1 Cel.
            scale = conversion(given.unit, output.unit).scale if given.unit else output.scale
        except UnitsError:
            return 0.0
        return abs(given.value * scale)
