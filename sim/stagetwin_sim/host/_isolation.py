"""A model that diverged is taken out of the plan, and the others go on from where they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from stagetwin_sim.engine import Column, Engine, Floats, Group, GroupPlan, Saved, Snapshot
from stagetwin_sim.plant import PlantModel

__all__ = ["carry", "culprits", "last_outputs"]


def culprits(plant: PlantModel, before: Floats, after: Floats) -> dict[str, str]:
    """Return the models that left the finite numbers, and why, by `PRIM.NAME`.

    A model whose inputs were not finite when it had its turn is a victim, and no culprit.

    Args:
        plant: whose models.
        before, after: the bus around a frame, shape (column_count,).
    """
    turn = {system.name: i for i, system in enumerate(plant.plan.systems)}
    turns = {name: turn.get(each.group, -1) for name, each in plant.instances.items()}
    written = {
        column: turns[name]
        for name, instance in plant.instances.items()
        for column in instance.outputs.values()
    }
    lost: dict[str, str] = {}
    first: dict[str, str] = {}
    for name, instance in plant.instances.items():
        ports = [port for port, i in instance.outputs.items() if not np.isfinite(after[i])]
        if not ports:
            continue
        lost[name] = f"{', '.join(ports)} left the finite numbers"
        seen = [
            after[i] if written.get(i, -1) < turns[name] else before[i]
            for i in instance.inputs.values()
        ]
        if np.isfinite(seen).all():
            first[name] = lost[name]
    return first or lost


def last_outputs(
    plant: PlantModel, models: Mapping[str, str], bus: Floats
) -> dict[str, list[Column]]:
    """Return the outputs of models, held at what they were, for `read_plant(left_out=)`.

    Args:
        plant: whose models.
        models: by `PRIM.NAME`.
        bus: while all was well, shape (column_count,).
    """
    columns = plant.plan.columns
    return {
        name: [
            replace(columns[i], value=float(bus[i])) for i in plant.instances[name].outputs.values()
        ]
        for name in models
    }


def carry(snapshot: Snapshot, plant: PlantModel, engine: Engine) -> None:
    """Let an engine of another plan of a plant go on from the state of the plan before.

    Models that were there before keep their states; parameters are those of the plan now. Systems
    whose state has another shape now (a network that lost a member) begin anew.

    Args:
        snapshot: of an engine of the plan before.
        plant: the models of the plan before.
        engine: of the plan now.
    """
    fresh = engine.save()
    there = {column.name: i for i, column in enumerate(plant.plan.columns)}
    bus = fresh.bus.copy()
    for i, column in enumerate(engine.plan.columns):
        if column.name in there and column.role != "constant":
            bus[:, i] = snapshot.bus[:, there[column.name]]
    plans = {system.name: system for system in plant.plan.systems}
    systems: dict[str, Saved] = {}
    for name, own in fresh.systems.items():
        old, before, now = snapshot.systems.get(name), plans.get(name), engine.systems[name]
        if old is None:
            systems[name] = own
        elif isinstance(before, GroupPlan) and isinstance(now, Group):
            systems[name] = _carried(old, before.places, own, now.plan.places)
        else:
            fits = own.keys() == old.keys() and all(own[k].shape == old[k].shape for k in own)
            systems[name] = old if fits else own
    engine.restore(
        replace(fresh, frames=snapshot.frames, bus=bus, ticks=snapshot.ticks, systems=systems)
    )


def _carried(old: Saved, before: Sequence[str], own: Saved, now: Sequence[str]) -> Saved:
    """Return the state of a group with that of its members which were there before."""
    state = own["state"].copy()
    if old["state"].shape[:-1] != state.shape[:-1]:
        return own
    at = {place: i for i, place in enumerate(before)}
    stay = [i for i, place in enumerate(now) if place in at]
    state[..., stay] = old["state"][..., [at[now[i]] for i in stay]]
    return {**own, "state": state}
