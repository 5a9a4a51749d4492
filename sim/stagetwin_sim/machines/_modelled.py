"""Models of the stage in place of what machines do by themselves."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from stagetwin.bindings import CommandBinding, TelemetryBinding
from stagetwin.ports import ValueKind
from stagetwin_sim.faults import Weakness, port_range
from stagetwin_sim.machines._machine import Machine
from stagetwin_sim.machines._nameplate import name_of

if TYPE_CHECKING:
    from stagetwin_sim.standin import Physics

__all__ = ["Modelled", "own_weaknesses"]


class _Feed(NamedTuple):
    """What feeds a model's input: the property's path, and where its value comes from."""

    path: str
    source: str
    asset: str
    name: str
    command: bool


class Modelled:
    """The models behind machines: fed by what controllers do, felt by them, told by sensors.

    Args:
        physics: the models.
        machines: by path of their asset.
        bindings: signals of these machines, in the order of the values.
        commands: of these machines.
    """

    def __init__(
        self,
        physics: Physics,
        machines: Mapping[str, Machine],
        bindings: Sequence[TelemetryBinding],
        commands: Sequence[CommandBinding],
    ) -> None:
        self.physics = physics
        self._machines = machines
        self._rows = {b.target: row for row, b in reversed(list(enumerate(bindings)))}
        self._covered = [
            (row, b.asset, name_of(b), b.target, b.value_type.kind)
            for row, b in enumerate(bindings)
            if b.element < 0 and physics.covers(b.target)
        ]
        signals = {b.target: b for b in reversed(bindings)}
        asked = {c.target: c for c in commands}
        self._feeds: list[_Feed] = []
        for path in physics.heard:
            found: Any = signals.get(path) or asked.get(path)
            if found is not None:
                commanded = path not in signals
                source = "device" if commanded else physics.source(path)
                self._feeds.append(_Feed(path, source, found.asset, name_of(found), commanded))
        self._last: dict[str, float] = {}

    @property
    def rows(self) -> dict[int, float]:
        """What models say of signals, by row [unit of the signal]; empty while they do not run."""
        if not self.physics.ready:
            return {}
        told = self.physics.told
        return {row: told[target] for row, _, _, target, _ in self._covered if target in told}

    def noise(self, row: int, binding: TelemetryBinding) -> float:
        """Return the standard deviation of a sensor's noise [unit]; 0 where no model gives it.

        What is authored, else half of the deadband, below which nobody is told of changes.
        """
        if all(row != covered for covered, *_ in self._covered):
            return 0.0
        return self.physics.noise.get(binding.target, binding.deadband / 2)

    def authored(self, binding: TelemetryBinding) -> bool:
        """Tell whether the stage says how noisy a sensor is."""
        return binding.target in self.physics.noise

    def covers(self, binding: TelemetryBinding | None) -> bool:
        """Tell whether a model says what a signal is."""
        return binding is not None and self.physics.covers(binding.target)

    def begin(self, values: Sequence[Any], patience: float | None = None) -> bool:
        """Let the models begin where the machines are, and tell whether they run.

        Args:
            values: what sensors say.
            patience: how long to wait for them [s]; None is as long as it takes.
        """
        return self.physics.begin(*self._now(values), patience)

    def _now(self, values: Sequence[Any]) -> tuple[dict[str, float], dict[str, float]]:
        """Return what models hear, and what is known of signals that they are to give."""
        known = {}
        for _, asset, name, target, _ in self._covered:
            machine = self._machines[asset]
            number = _number(machine.signals().get(name))
            # What is known of a machine of no kind is a guess, and its model knows better.
            if number is not None and type(machine) is not Machine:
                known[target] = number
        first = {**self._given(values), **known}
        heard = {path: first[path] for path in self.physics.heard if path in first}
        return heard, known

    def step(self, dt: float, values: Sequence[Any]) -> None:
        """Move the models on by `dt` [s], and let the machines feel what they say."""
        if self.physics.late:
            self.physics.take_over(*self._now(values))
        if not self.physics.ready:
            return
        self.physics.step(dt, self._given(values))
        if not self.physics.ready:
            for machine in self._machines.values():
                machine.feel({})
            return
        felt: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        for _, asset, name, target, kind in self._covered:
            if target in self.physics.told:
                felt[asset][name] = as_kind(self.physics.told[target], kind)
        for asset, signals in felt.items():
            self._machines[asset].feel(signals)

    def _given(self, values: Sequence[Any]) -> dict[str, float]:
        """Return what models hear, by property [unit of the property]."""
        signals: dict[str, Mapping[str, Any]] = {}
        for feed in self._feeds:
            value: Any = None
            machine = self._machines.get(feed.asset)
            row = self._rows.get(feed.path, -1)
            if feed.command:
                value = machine.wants(feed.name) if machine is not None else None
            elif feed.source == "model":
                value = self.physics.told.get(feed.path)
            elif feed.source == "device" and machine is not None:
                if feed.asset not in signals:
                    signals[feed.asset] = machine.signals()
                value = signals[feed.asset].get(feed.name)
            if value is None and not feed.command and 0 <= row < len(values):
                value = values[row]
            if (number := _number(value)) is not None:
                self._last[feed.path] = number
        return dict(self._last)

    def weaknesses(self) -> Iterator[Weakness]:
        """Yield where the models can fail: at every input that nothing feeds."""
        physics = self.physics
        for instance in physics.plant.instances.values():
            model = instance.binding
            machine = self._machines.get(model.asset)
            declared = instance.kind.inputs if instance.kind is not None else ()
            limits = {port.name: (port.low, port.high) for port in declared}
            for port, index in instance.inputs.items():
                column = physics.plant.plan.columns[index]
                own = f"{model.prim}.twin:model:{model.name}:in:{port}"
                if column.role != "constant" or column.name != own:
                    continue
                low, high = port_range(model.kind, port, *limits.get(port, (-math.inf, math.inf)))

                def strike(
                    value: float, index: int = index, port: str = port, at: Machine | None = machine
                ) -> None:
                    physics.strike(index, value)
                    if at is not None and port in at.ailments:
                        at.ills[port] = value

                yield Weakness(
                    prim=model.prim,
                    asset=model.asset,
                    model=model.name,
                    port=port,
                    unit=column.unit,
                    low=low,
                    high=high,
                    sound=column.value,
                    strike=strike,
                )


def own_weaknesses(machines: Mapping[str, Machine]) -> Iterator[Weakness]:
    """Yield where machines can fail by their own physics."""
    for path, machine in machines.items():
        for port, (low, high) in machine.ailments.items():

            def strike(value: float, port: str = port, machine: Machine = machine) -> None:
                machine.ills[port] = value

            yield Weakness(path, path, "", port, "1", low, high, 0.0, strike)


def as_kind(value: float, kind: ValueKind) -> Any:
    """Return a number as a signal of a kind says it."""
    if kind is ValueKind.BOOLEAN:
        return value > 0.5
    return round(value) if kind is ValueKind.INTEGER else value


def _number(value: Any) -> float | None:
    if isinstance(value, (bool, int, float)) and math.isfinite(value):
        return float(value)
    return None
