"""All machines of a stage, or of one gateway's part of it."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from pxr import Usd

from stagetwin.bindings import BindingTable, CommandBinding, TelemetryBinding
from stagetwin.ports import ValueKind
from stagetwin_sim._hints import Hints
from stagetwin_sim.faults import Faults, FaultScript
from stagetwin_sim.machines._drives import Motor, Pump, Valve
from stagetwin_sim.machines._kinds import kind_of, make_machine
from stagetwin_sim.machines._machine import Machine
from stagetwin_sim.machines._modelled import Modelled, as_kind, own_weaknesses
from stagetwin_sim.machines._nameplate import Nameplate, name_of
from stagetwin_sim.machines._network import Network
from stagetwin_sim.machines._transport import Conveyor, Line
from stagetwin_sim.machines._unseen import models_of
from stagetwin_sim.machines._vessels import Tank
from stagetwin_sim.synthetic import SyntheticModel

__all__ = ["MachinePark"]

_log = logging.getLogger(__name__)

_SHAKEN = ("vibration", "spectrum", "torques", "force")
"""Signals of the synthetic model that end when their machine stands."""
_SHORTEST_STEP = 1e-3
_LONGEST_STEP = 0.25
"""Physics goes in steps of this at most [s]."""


class MachinePark:
    """Machines made from bindings, stepped together.

    The same bindings, seed, steps and commands give the same values.

    Args:
        plates: one for each asset; the ordinals are counted here.
        bindings: the signals, in the order of `values`.
        seed: of everything random.
        shown: how many of the signals, the first, `values` is to return; None is all.

    Attributes:
        machines: by path of their asset.
        networks: what couples tanks, pumps and valves, by path of their line.
        modelled: models of the stage in place of the machines' own physics; None for none.
        faults: of the machines and their sensors.
    """

    def __init__(
        self,
        plates: Sequence[Nameplate],
        bindings: Sequence[TelemetryBinding],
        seed: int = 0,
        shown: int | None = None,
    ) -> None:
        self._rng = np.random.default_rng(seed)
        self._bindings = tuple(bindings)
        self._shown = len(self._bindings) if shown is None else shown
        self.machines: dict[str, Machine] = {}
        self.networks: dict[str, Network] = {}
        for line, group in groupby(sorted(plates, key=_line_of), _line_of):
            self._add_line(line, list(group))
        self._names = [(b.asset, name_of(b)) for b in self._bindings]
        told = {prim: machine.signals() for prim, machine in self.machines.items()}
        self._covered = [asset in told and name in told[asset] for asset, name in self._names]
        self._sensors = np.array([self._sensor(*name) for name in self._names], float)
        self._noise = np.zeros(len(self._bindings))
        self._ranges = [_range_of(b) for b in self._bindings]
        self._overlay: SyntheticModel | None = None
        self._made_up: list[Any] = []
        self._measured: list[Any] = []
        self.modelled: Modelled | None = None
        self.faults = Faults(self._bindings[: self._shown], own_weaknesses(self.machines))

    @staticmethod
    def read_faults(path: Path) -> FaultScript:
        """Return a script of faults, before there are machines that could have them.

        Raises:
            FaultError: it cannot be read, or says something that is not allowed; names the entry.
        """
        return FaultScript.load(path)

    @classmethod
    def of_stage(
        cls,
        stage: Usd.Stage,
        table: BindingTable,
        seed: int = 0,
        *,
        whole: BindingTable | None = None,
        faults: Path | None = None,
        elapsed: float = 0.0,
        patience: float | None = None,
    ) -> MachinePark:
        """Make the machines of a stage that have bindings in a table.

        Args:
            stage: where tokens, places and models are read from.
            table: bindings of the stage, or a part of them.
            seed: of everything random.
            whole: all bindings of the stage; with them, its models stand in for the machines of
                `table`. Machines of others that are coupled to them are there too, unseen.
            faults: script of faults.
            elapsed: how much of the script is over [s].
            patience: how long to wait for the models to be ready [s]; None is as long as it takes.
                Until then machines go by their own physics.

        Raises:
            FaultError: the script cannot be used.
        """
        shown = list(table.telemetry.values())
        models = models_of(stage, table, whole, seed)
        unseen = models.unseen if models else BindingTable()
        bindings = (*shown, *unseen.telemetry.values())
        both = BindingTable(
            telemetry=dict(enumerate(bindings)), commands=[*table.commands, *unseen.commands]
        )
        hints = Hints.of_stage(stage, bindings)
        park = cls(plates_of(both, hints.words), bindings, seed, len(shown))
        rest = [b for b, covered in zip(bindings, park._covered, strict=True) if not covered]
        park.overlay(SyntheticModel(rest, seed, hints))
        if models:
            park.modelled = Modelled(models.physics, park.machines, bindings, both.commands)
        park._weaken(table, whole or table, seed, faults, elapsed)
        if park.modelled:
            park._begin(park.modelled, patience)
        return park

    def _begin(self, modelled: Modelled, patience: float | None) -> None:
        """Let models begin where the machines are."""
        self.modelled = modelled
        self._noise = np.array([modelled.noise(i, b) for i, b in enumerate(self._bindings)])
        self._sensors[[modelled.authored(b) for b in self._bindings]] = 0.0
        self._noise[self._sensors > 0] = 0.0
        for machine in self.machines.values():
            machine.step(_SHORTEST_STEP)  # what follows from others is known after a step
        self._measured = self._measure()
        if not modelled.begin(self._measured, patience) and not modelled.physics.failed:
            _log.warning("machines go by simple physics until their models are compiled")
        self._measured = self._measure()

    def _weaken(
        self,
        table: BindingTable,
        whole: BindingTable,
        seed: int,
        faults: Path | None,
        elapsed: float,
    ) -> None:
        """Let machines and sensors fail, as a script says."""
        found = list(self.modelled.weaknesses()) if self.modelled else []
        known = {(w.asset, w.port) for w in found}
        found += [w for w in own_weaknesses(self.machines) if (w.asset, w.port) not in known]
        ids = {asset.id: path for path, asset in whole.assets.items() if asset.id}
        signals = self._bindings[: self._shown]
        self.faults = Faults(signals, found, ids, seed, elapsed)
        if faults is not None:
            self.faults.script(FaultScript.load(faults), str(faults), _elsewhere(table, whole))

    def overlay(self, model: SyntheticModel) -> None:
        """Take the values of signals that no machine covers from a model."""
        self._overlay = model
        self._made_up = model.step(1e-3) if model.bindings else []

    @property
    def uncovered(self) -> list[TelemetryBinding]:
        """Signals that no machine covers."""
        return [b for b, known in zip(self._bindings, self._covered, strict=True) if not known]

    def step(self, dt: float) -> None:
        """Move all machines on by `dt` [s].

        Raises:
            ValueError: `dt` is not positive.
        """
        if not 0 < dt < math.inf:
            raise ValueError(f"dt must be positive and finite, got {dt!r}")
        self._look()
        steps = math.ceil(dt / _LONGEST_STEP)
        for _ in range(steps):
            self.faults.advance(dt / steps)
            for network in self.networks.values():
                network.step(dt / steps)
            for machine in self.machines.values():
                machine.step(dt / steps)
            if self.modelled is not None:
                self.modelled.step(dt / steps, self._measured)
        for network in self.networks.values():
            network.settle()
        if self._overlay is not None and self._overlay.bindings:
            self._made_up = self._overlay.step(dt)
        self._measured = self._measure()

    def _look(self) -> None:
        """See which networks models say all of."""
        for network in self.networks.values():
            network.modelled = (
                self.modelled is not None
                and self.modelled.physics.ready
                and bool(network.pumps)
                and all(self.modelled.covers(p.plate.telemetry.get("flow")) for p in network.pumps)
            )

    def command(self, command: CommandBinding, value: Any) -> str:
        """Give a command to the machine of its asset; see Machine.command."""
        machine = self.machines.get(command.asset)
        if machine is None:
            return f"there is no machine at {command.asset}"
        return machine.command(name_of(command), value)

    def fail(self, where: str, kind: str, **how: Any) -> None:
        """Let a machine or a sensor fail from now on; see Fault.

        Args:
            where: prim path or id of a machine, or `PRIM.signal` or `ID.signal`.
            kind: a port of a model of it, or a kind of sensor fault.
            how: `amount`, `unit`, `model`, `ramp` [s], `lasts` [s].

        Raises:
            FaultError: it cannot; names the prim and what is allowed.
        """
        self.faults.begin(self.faults.fault(where, kind, **how))

    def recover(self, where: str, kind: str = "") -> int:
        """End faults of a machine or a sensor, of one kind or all; return how many."""
        return self.faults.end(where, kind)

    def values(self) -> list[Any]:
        """Return what the sensors said at the end of the last step, one value for each signal.

        Numbers are float or int within the hard limits, the rest is bool, str, or lists; what
        nothing covers, and what a faulty sensor does not say, is None.
        """
        if not self._measured:
            self._measured = self._measure()
        return self._measured[: self._shown]

    def _measure(self) -> list[Any]:
        """Return what all sensors say, sound or not."""
        told = {prim: machine.signals() for prim, machine in self.machines.items()}
        modelled = self.modelled.rows if self.modelled is not None else {}
        draws = self._rng.standard_normal(len(self._sensors))
        gain, shift = (1 + self._sensors * draws).tolist(), (self._noise * draws).tolist()
        made_up = iter(self._made_up)
        values: list[Any] = []
        for i, (asset, name) in enumerate(self._names):
            if self._covered[i]:
                value = told[asset][name]
            else:
                value = next(made_up, None)
                if name in _SHAKEN and isinstance(value, list) and asset in self.machines:
                    activity = self.machines[asset].activity
                    value = [item * activity for item in value]
            if i in modelled:
                value = as_kind(modelled[i], self._bindings[i].value_type.kind)
            if i in modelled or self._covered[i]:
                value = _noisy(value, gain[i], shift[i])
            values.append(value)
        values = self.faults.told(values)
        return [_within(v, *r) for v, r in zip(values, self._ranges, strict=True)]

    # -- parts

    def _add_line(self, line: str, plates: list[Nameplate]) -> None:
        kinds = [kind_of(plate) for plate in plates]
        totals, seen = Counter(kinds), Counter[type[Machine]]()
        for kind, plate in zip(kinds, plates, strict=True):
            known = replace(plate, ordinal=seen[kind])
            seen[kind] += 1
            self.machines[plate.prim] = make_machine(kind, known, totals[kind], self._rng)
        self._couple(line, [self.machines[plate.prim] for plate in plates])

    def _couple(self, line: str, machines: Iterable[Machine]) -> None:
        """Connect the machines of a line: the nth motor drives the nth pump."""
        found = list(machines)
        pumps = [m for m in found if isinstance(m, Pump)]
        valves = [m for m in found if isinstance(m, Valve)]
        motors = [m for m in found if isinstance(m, Motor)]
        tanks = [m for m in found if isinstance(m, Tank)]
        for motor, pump in zip(motors, pumps, strict=False):
            motor.pump = pump
        network = None
        if pumps or tanks:
            for pump, valve in zip(pumps, valves, strict=False):
                if not pump.on:
                    valve.opening = valve.target = 0.0
            network = self.networks[line] = Network(pumps, valves, tanks)
            network.settle()
        for each in found:
            if isinstance(each, Line):
                each.network = network
                each.conveyors = tuple(m for m in found if isinstance(m, Conveyor))

    def _sensor(self, asset: str, name: str) -> float:
        machine = self.machines.get(asset)
        return machine.noisy.get(name, 0.0) if machine is not None else 0.0


def plates_of(
    table: BindingTable, words: Mapping[str, tuple[str, ...]] | None = None
) -> list[Nameplate]:
    """Return a plate for each asset that has bindings in a table, in the stage's order.

    Args:
        table: bindings.
        words: allowed tokens, by path of the driven property.
    """
    known = words or {}
    plates: dict[str, Nameplate] = {}
    for binding in (*table.telemetry.values(), *table.commands):
        if binding.asset not in plates:
            plates[binding.asset] = Nameplate(binding.asset, {}, {}, {})
    for signal in table.telemetry.values():
        plate = plates[signal.asset]
        plate.telemetry[name_of(signal)] = signal  # type: ignore[index]
        if tokens := known.get(signal.target):
            plate.words[name_of(signal)] = tokens  # type: ignore[index]
    for command in table.commands:
        plates[command.asset].commands[name_of(command)] = command  # type: ignore[index]
    return list(plates.values())


def _elsewhere(table: BindingTable, whole: BindingTable) -> set[str]:
    """Return the names of machines and signals that are not in a part of a table."""
    here = {b.asset for b in (*table.telemetry.values(), *table.commands)}
    names = set()
    for signal in whole.telemetry.values():
        own = whole.assets.get(signal.asset)
        if signal.asset not in here:
            names |= {signal.asset, signal.prim, signal.path, signal.target}
            if own is not None and own.id:
                names |= {own.id, f"{own.id}.{signal.signal}"}
    for model in whole.models:
        if model.asset not in here:
            names |= {model.asset, model.prim}
    return names


def _noisy(value: Any, gain: float, shift: float) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value * gain + shift
    return [item * gain for item in value] if isinstance(value, list) else value


def _within(value: Any, low: float, high: float, integral: bool) -> Any:
    """Return a value within its limits, as its type says it: a sensor ends at its range."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = min(max(value, low), high)
        return round(value) if integral else float(value)
    if isinstance(value, list) and not (low == -math.inf and high == math.inf):
        return [min(max(i, low), high) if isinstance(i, (int, float)) else i for i in value]
    return value


def _line_of(plate: Nameplate) -> str:
    """Return the path of the nearest ancestor called Line..., else of the parent."""
    parts = plate.prim.split("/")
    for end in range(len(parts), 1, -1):
        if parts[end - 1].startswith("Line"):
            return "/".join(parts[:end])
    return "/".join(parts[:-1])


def _range_of(binding: TelemetryBinding) -> tuple[float, float, bool]:
    """Return what a number may be [unit], and whether it is an integer."""
    limits, kind = binding.limits, binding.value_type
    low, high = limits.hard_min, limits.hard_max
    low = max(low, default=-math.inf) if isinstance(low, tuple) else low
    high = min(high, default=math.inf) if isinstance(high, tuple) else high
    integral = kind.kind is ValueKind.INTEGER
    return max(low, kind.minimum), min(high, kind.maximum), integral
