"""All machines of a stage, or of one gateway's part of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
from pxr import Usd

from stagetwin.bindings import BindingTable, CommandBinding, TelemetryBinding
from stagetwin.ports import ValueKind
from stagetwin_sim._hints import Hints
from stagetwin_sim.machines._drives import Motor, Pump, Valve
from stagetwin_sim.machines._kinds import kind_of, make_machine
from stagetwin_sim.machines._machine import Machine
from stagetwin_sim.machines._nameplate import Nameplate, name_of
from stagetwin_sim.machines._network import Network
from stagetwin_sim.machines._transport import Conveyor, Line
from stagetwin_sim.machines._vessels import Tank
from stagetwin_sim.synthetic import SyntheticModel

__all__ = ["MachinePark"]

_SHAKEN = ("vibration", "spectrum", "torques", "force")
"""Signals of the synthetic model that end when their machine stands."""
_LONGEST_STEP = 0.25
"""Physics goes in steps of this at most [s]."""


class MachinePark:
    """Machines made from bindings, stepped together.

    The same bindings, seed, steps and commands give the same values.

    Args:
        plates: one for each asset; the ordinals are counted here.
        bindings: the signals, in the order of `values`.
        overlay: values for signals that no machine covers, one for each of `uncovered`.
        seed: of everything random.

    Attributes:
        machines: by path of their asset.
        networks: what couples tanks, pumps and valves, by path of their line.
    """

    def __init__(
        self, plates: Sequence[Nameplate], bindings: Sequence[TelemetryBinding], seed: int = 0
    ) -> None:
        self._rng = np.random.default_rng(seed)
        self._bindings = tuple(bindings)
        self.machines: dict[str, Machine] = {}
        self.networks: dict[str, Network] = {}
        for line, group in groupby(sorted(plates, key=_line_of), _line_of):
            self._add_line(line, list(group))
        self._names = [(b.asset, name_of(b)) for b in self._bindings]
        told = {prim: machine.signals() for prim, machine in self.machines.items()}
        self._covered = [asset in told and name in told[asset] for asset, name in self._names]
        self._sensors = np.array([self._sensor(*name) for name in self._names], float)
        self._ranges = [_range_of(b) for b in self._bindings]
        self._overlay: SyntheticModel | None = None
        self._made_up: list[Any] = []

    @classmethod
    def of_stage(cls, stage: Usd.Stage, table: BindingTable, seed: int = 0) -> MachinePark:
        """Make the machines of a stage that have bindings in a table.

        Args:
            stage: where tokens and places are read from.
            table: bindings of the stage, or a part of them.
            seed: of everything random.
        """
        bindings = tuple(table.telemetry.values())
        hints = Hints.of_stage(stage, bindings)
        park = cls(plates_of(table, hints.words), bindings, seed)
        rest = [b for b, covered in zip(bindings, park._covered, strict=True) if not covered]
        park.overlay(SyntheticModel(rest, seed, hints))
        return park

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
        steps = math.ceil(dt / _LONGEST_STEP)
        for _ in range(steps):
            for network in self.networks.values():
                network.step(dt / steps)
            for machine in self.machines.values():
                machine.step(dt / steps)
        for network in self.networks.values():
            network.settle()
        if self._overlay is not None and self._overlay.bindings:
            self._made_up = self._overlay.step(dt)

    def command(self, command: CommandBinding, value: Any) -> str:
        """Give a command to the machine of its asset; see Machine.command."""
        machine = self.machines.get(command.asset)
        if machine is None:
            return f"there is no machine at {command.asset}"
        return machine.command(name_of(command), value)

    def values(self) -> list[Any]:
        """Return what the sensors say, one value for each binding, within its hard limits.

        Numbers are float or int, the rest is bool, str, or lists; a signal that neither a machine
        nor the synthetic model covers is None.
        """
        told = {prim: machine.signals() for prim, machine in self.machines.items()}
        noise = (1 + self._sensors * self._rng.standard_normal(len(self._sensors))).tolist()
        made_up = iter(self._made_up)
        values: list[Any] = []
        for i, (asset, name) in enumerate(self._names):
            low, high, integral = self._ranges[i]
            if self._covered[i]:
                value = told[asset][name]
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    value = min(max(value * noise[i], low), high)
                    value = round(value) if integral else float(value)
                elif isinstance(value, list):
                    value = [min(max(item * noise[i], low), high) for item in value]
            else:
                value = next(made_up, None)
                if name in _SHAKEN and isinstance(value, list) and asset in self.machines:
                    activity = self.machines[asset].activity
                    value = [item * activity for item in value]
            values.append(value)
        return values

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
