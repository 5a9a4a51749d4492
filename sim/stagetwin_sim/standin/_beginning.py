"""Models begin where their machines are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from stagetwin_sim.engine import Engine, Group, host_copy
from stagetwin_sim.plant import Output, PlantModel

__all__ = ["begin_at"]


def begin_at(plant: PlantModel, engine: Engine, known: Mapping[str, float]) -> None:
    """Set states so that signals are what they are known to be.

    A state of a plain kind is set that has the name and unit of an output that gives the signal;
    other systems take what they can by `correct`.

    Args:
        plant: the models.
        engine: of them.
        known: what signals are, by property [unit of the signal].
    """
    places = {(o.model, o.column): o for o in plant.outputs if o.signal in known}
    if not places:
        return
    groups = {name: s for name, s in engine.systems.items() if isinstance(s, Group)}
    for name, system in engine.systems.items():
        if correct := getattr(system, "correct", None):
            correct({o.column: _bus(o, known) for o in places.values()})
        elif name in groups:
            _set(plant, name, groups[name].state, places, known)


def _set(
    plant: PlantModel,
    group: str,
    state: Any,
    places: Mapping[tuple[str, int], Output],
    known: Mapping[str, float],
) -> None:
    values = None
    for path, instance in plant.instances.items():
        if instance.group != group or (kind := instance.kind) is None:
            continue
        units = {port.name: port.unit for port in kind.outputs}
        for i, variable in enumerate(kind.states):
            output = places.get((path, instance.outputs.get(variable.name, -1)))
            if output is None or units[variable.name] != variable.unit:
                continue
            if values is None:
                values = host_copy(state)
            wanted = _bus(output, known)
            values[:, i, instance.index] = np.clip(wanted, variable.minimum, variable.maximum)
    if values is not None:
        state.assign(values)


def _bus(output: Output, known: Mapping[str, float]) -> float:
    return (known[output.signal] - output.offset) / output.scale
