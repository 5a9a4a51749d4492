"""Which models a set-point moves: what may be believed of a rehearsal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stagetwin_sim.engine import GroupPlan
from stagetwin_sim.futures._wiring import Wiring
from stagetwin_sim.plant import Instance

__all__ = ["dependants"]


def dependants(wiring: Wiring, command: str) -> list[tuple[str, Instance]]:
    """Return the models whose inputs follow from a set-point, however far, by `PRIM.NAME`.

    Args:
        wiring: of the future.
        command: path of the commanded property.
    """
    plant = wiring.slots.present.plant
    reached = {feed.column for feed in plant.setpoints.get(command, ())}
    for signal, followed in wiring.actuators.items():
        if followed == command:
            reached |= _moved(wiring, signal)
    steps = list(_steps(wiring))
    while True:
        before = len(reached)
        for inputs, outputs in steps:
            if not reached.isdisjoint(inputs):
                reached.update(outputs)
        if len(reached) == before:
            break
    return [
        (path, instance)
        for path, instance in plant.instances.items()
        if not reached.isdisjoint(instance.inputs.values())
        or not reached.isdisjoint(instance.outputs.values())
    ]


def _moved(wiring: Wiring, signal: str) -> set[int]:
    """Return the columns that move with a signal."""
    slots = wiring.slots
    columns = {feed.column for feed in slots.present.plant.measured.get(signal, ())}
    if signal in slots.slots:
        columns.add(slots.slots[signal])
    return columns


def _steps(wiring: Wiring) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
    """Yield inputs and outputs of everything that takes columns to columns."""
    slots = wiring.slots
    plant = slots.present.plant
    groups = {system.name: system for system in plant.plan.systems}
    for system in plant.plan.systems:
        if isinstance(system, GroupPlan):
            for i in range(len(system.places)):
                yield system.inputs[:, i].tolist(), system.outputs[:, i].tolist()
    coupled: dict[str, tuple[list[int], list[int]]] = {}
    for path, instance in plant.instances.items():
        if not isinstance(groups.get(instance.group), GroupPlan):
            # What a family solves together moves together.
            inputs, outputs = coupled.setdefault(instance.group or path, ([], []))
            inputs.extend(instance.inputs.values())
            outputs.extend(instance.outputs.values())
    yield from coupled.values()
    for path, output in slots.outputs.items():
        yield [output.column], sorted(_moved(wiring, path))
    for rule in wiring.rules:
        yield [rule.signal], [rule.desired]
    for path, command in slots.commands.items():
        if path in slots.slots:
            moved = {feed.column for feed in plant.setpoints.get(path, ())}
            for signal, followed in wiring.actuators.items():
                if followed == command.target:
                    moved |= _moved(wiring, signal)
            yield [slots.slots[path]], sorted(moved)
