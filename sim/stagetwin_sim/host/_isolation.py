"""A model that diverged is taken out of the plan, and the others go on from where they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from stagetwin_sim.engine import Column, Engine, Floats, Group, GroupPlan, Saved, Snapshot
from stagetwin_sim.plant import PlantModel

__all__ = ["carry", "culprits", "last_outputs"]


def culprits(plant: PlantModel, before: Floats, after: Floats) -> dict[str, str]:
    """Return the models that left the finite numbers, and why, by `PRIM.NAME`.

    A model with an input that was not finite is no culprit, unless all are in that place.

    Args:
        plant: whose models.
        before, after: the bus around a frame, shape (column_count,).
    """
    lost: dict[str, str] = {}
    first: dict[str, str] = {}
    for name, instance in plant.instances.items():
        for port, column in instance.outputs.items():
            if not np.isfinite(after[column]):
                lost[name] = f"{port} is no finite number any more"
                inputs = list(instance.inputs.values())
                if np.isfinite(before[inputs]).all() and np.isfinite(after[inputs]).all():
                    first[name] = lost[name]
                break
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
    """Let an engine of a smaller plan go on from the state of the plan before.

    Systems whose state has another shape now (a network that lost a member) begin anew.

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
            at = {place: i for i, place in enumerate(before.places)}
            index = [at[place] for place in now.plan.places]
            systems[name] = {key: old[key][..., index] for key in own}
        else:
            fits = own.keys() == old.keys() and all(own[k].shape == old[k].shape for k in own)
            systems[name] = old if fits else own
    engine.restore(
        replace(fresh, frames=snapshot.frames, bus=bus, ticks=snapshot.ticks, systems=systems)
    )
