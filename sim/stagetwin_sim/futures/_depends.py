"""Which models a set-point moves: what may be believed of a rehearsal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pxr import Sdf

from stagetwin.bindings import ModelBinding
from stagetwin_sim.engine import GroupPlan
from stagetwin_sim.futures._wiring import Wiring
from stagetwin_sim.plant import Instance, PlantModel

__all__ = ["dependants", "missing", "sources"]


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


def sources(
    wiring: Wiring, moved: Mapping[str, Instance], columns: Iterable[int]
) -> dict[str, Instance]:
    """Return models that a set-point moves and all that they take from, by `PRIM.NAME`.

    Args:
        wiring: of the future.
        moved: models that the set-point moves.
        columns: what else the verdict rests on, as permissives.
    """
    needed = {column for each in moved.values() for column in each.inputs.values()} | {*columns}
    needed |= {column for each in moved.values() for column in each.outputs.values()}
    steps = list(_steps(wiring))
    while True:
        before = len(needed)
        for inputs, outputs in steps:
            if not needed.isdisjoint(outputs):
                needed.update(inputs)
        if len(needed) == before:
            break
    found = {
        path: instance
        for path, instance in wiring.slots.present.plant.instances.items()
        if not needed.isdisjoint(instance.outputs.values())
    }
    return {**moved, **found}


def missing(
    plant: PlantModel, command: str, moved: Mapping[str, Instance]
) -> tuple[str, str] | None:
    """Return a model that does not run though it may follow from a command, and why; else None.

    What it would take is not known, for it has no place in the plan; so what it names decides:
    signals that moved models or the command have to do with, or prims that relations join.

    Args:
        plant: the models of the stage.
        command: path of the commanded property.
        moved: models that the command moves.
    """
    lost = [each for each in plant.table.models if each.path not in plant.instances]
    if not lost:
        return None
    known = [each.binding for each in moved.values()]
    named = {path for each in known for path in _named(each)} | {command}
    named |= {each.readback for each in plant.table.commands if each.target == command}
    prims = {each.prim for each in known}
    for each in sorted(lost, key=lambda model: model.path):
        own = _named(each)
        beside = {_prim(path) for path in own}
        if named & own or prims & beside or each.prim in {_prim(path) for path in named}:
            why = [
                p.message for p in plant.problems if (p.prim, p.signal) == (each.prim, each.name)
            ]
            return each.path, why[0] if why else "it takes from one that does not"
    return None


def _named(model: ModelBinding) -> set[str]:
    """Return the paths that a model names."""
    related = (path for targets in model.relations.values() for path in targets)
    return {*model.reads, *model.writes, *related}


def _prim(path: str) -> str:
    return str(Sdf.Path(path).GetPrimPath())


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
    parts: dict[str, str] = {}
    for system in plant.plan.systems:
        networks: Sequence[Sequence[Any]] = getattr(system, "networks", ())
        for i, network in enumerate(networks):
            parts.update((element.place, f"{system.name}:{i}") for element in network)
    for path, instance in plant.instances.items():
        if not isinstance(groups.get(instance.group), GroupPlan):
            # What a family solves together moves together: a network, or all that it has.
            part = parts.get(path, instance.group or path)
            inputs, outputs = coupled.setdefault(part, ([], []))
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
