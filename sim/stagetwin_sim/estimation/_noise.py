"""How much noise signals and states have: as the plant says, else from what is known of them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from stagetwin.bindings import TelemetryBinding
from stagetwin_sim._errors import ModelError
from stagetwin_sim.engine import Floats, Group
from stagetwin_sim.estimation._bank import process_noise
from stagetwin_sim.plant import Instance, Output, PlantModel, conversion

__all__ = ["SignalNoise", "input_noises", "process_noises"]

_OF_RANGE = 0.005
_OF_SIZE = 0.01
_LEAST_SIZE = 0.1


class SignalNoise:
    """Standard deviations of what signals measure, in the units of the bus.

    Args:
        plant: whose signals.
    """

    def __init__(self, plant: PlantModel) -> None:
        self._plant = plant
        self._signals: dict[str, TelemetryBinding] = {}
        for binding in plant.table.telemetry.values():
            self._signals.setdefault(binding.target, binding)
        self._said: dict[str, float] = {}

    def of_output(self, output: Output, port: str, unit: str) -> float:
        """Return the noise of the signal that an output is the expected value of.

        Args:
            output: where its column goes.
            port: its name; empty for a column that no group writes.
            unit: UCUM, of the port.

        Raises:
            ModelError: what the stage says of it cannot be.
        """
        name = f"measurement:{port}"
        own = _said(self._plant.instances.get(output.model), name, unit) if port else None
        if own == 0:
            raise ModelError(f"{output.model}: param:{name} must be positive, got 0")
        if own is not None:
            self._said[output.signal] = own * abs(output.scale)
            return own
        value = self._plant.plan.columns[output.column].value
        return self._of_signal(output.signal, 1 / abs(output.scale), value)

    def of_inputs(self) -> dict[int, float]:
        """Return the noise of the columns that measured signals feed, by column.

        Call it after `of_output`, so that it knows what models say of the same signals.
        """
        columns = self._plant.plan.columns
        return {
            feed.column: self._of_signal(path, abs(feed.scale), columns[feed.column].value)
            for path, feeds in self._plant.measured.items()
            for feed in feeds
        }

    def _of_signal(self, path: str, scale: float, value: float) -> float:
        """Return the noise of a signal; `scale` takes its unit to the bus, which holds `value`."""
        if path in self._said:
            return self._said[path] * scale
        signal = self._signals.get(path)
        squares = 0.0
        if signal is not None:
            if math.isfinite(span := _range(signal)):
                squares += (_OF_RANGE * span) ** 2
            squares += signal.deadband**2 / 3
        if squares > 0:
            return math.sqrt(squares) * scale
        return _OF_SIZE * max(abs(value), _LEAST_SIZE)


def process_noises(group: Group, instances: Mapping[int, Instance]) -> Floats:
    """Return the process noise of a group's states, shape (state_count, count) [unit/sqrt(s)].

    Args:
        group: whose.
        instances: what the stage says of each, by index.

    Raises:
        ModelError: what it says cannot be.
    """
    noise = process_noise(group)
    for i, instance in instances.items():
        for j, state in enumerate(group.plan.kind.states):
            said = _said(instance, f"process:{state.name}", state.unit)
            if said is not None:
                noise[j, i] = said
    return noise


def input_noises(group: Group, of_columns: Mapping[int, float]) -> Floats:
    """Return the noise of a group's inputs, shape (input_count, count) [unit]."""
    columns = np.asarray(group.plan.inputs)
    noise: Floats = np.zeros(columns.shape)
    for index, column in np.ndenumerate(columns):
        noise[index] = of_columns.get(int(column), 0.0)
    return noise


def _range(signal: TelemetryBinding) -> float:
    limits = signal.limits
    for low, high in ((limits.soft_min, limits.soft_max), (limits.hard_min, limits.hard_max)):
        if isinstance(low, tuple) or isinstance(high, tuple):
            continue
        if math.isfinite(high - low) and high > low:
            return high - low
    return math.inf


def _said(instance: Instance | None, name: str, unit: str) -> float | None:
    """Return an authored noise in the kind's unit, or None.

    Raises:
        ModelError: it is negative or infinite, or its unit measures something else.
    """
    if instance is None or name not in instance.binding.parameters:
        return None
    parameter = instance.binding.parameters[name]
    if not 0 <= parameter.value < math.inf:
        raise ModelError(
            f"{instance.binding.path}: param:{name} must be in [0, inf) {unit}, "
            f"got {parameter.value:g}"
        )
    scale = conversion(parameter.unit, unit).scale if parameter.unit else 1.0
    return parameter.value * abs(scale)
