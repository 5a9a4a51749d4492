"""Another layout of the plant: a stage and models of its own, with states of those it shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pxr import Sdf, Tf, Usd

from stagetwin_sim._errors import ScenarioError
from stagetwin_sim.engine import GroupPlan
from stagetwin_sim.futures._present import Present
from stagetwin_sim.futures._scenario import Layout
from stagetwin_sim.plant import PlantModel, read_plant

__all__ = ["relaid"]


def relaid(present: Present, layout: Layout, layers: Sequence[Path]) -> Present:
    """Return the present of another layout of the same plant.

    Models that are of one kind and called alike go on from their states; others begin where the
    measured values put them.

    Args:
        present: of the plant as it is.
        layout: what is otherwise.
        layers: the layers that it names.

    Raises:
        ScenarioError: a layer or variant is not there.
    """
    stage = _stage(present.plant, layout, layers)
    plan = present.plant.plan
    plant = read_plant(stage, frame=plan.frame, seed=plan.seed)
    starting = plant.at({**present.values, **present.desired})
    engine = starting.plan.engine()
    for name, system in engine.systems.items():
        ours = next((s for s in plant.plan.systems if s.name == name), None)
        theirs = next((s for s in plan.systems if s.name == name), None)
        if isinstance(ours, GroupPlan) and isinstance(theirs, GroupPlan):
            if ours.kind.states != theirs.kind.states:
                continue
            system.load(_shared(ours, theirs, system.save(), present.snapshot.systems[name]))
    bus = engine.read()
    for i, column in enumerate(plant.plan.columns):
        if column.name in plan and column.role != "constant":
            bus[:, i] = present.snapshot.bus[:, plan.column(column.name)]
    engine.write(range(len(plant.plan.columns)), bus)
    engine.frames = present.snapshot.frames
    engine.context.ticks.assign(present.snapshot.ticks)
    engine.context.seeds.assign(present.snapshot.seeds)
    return replace(
        present,
        plant=plant,
        snapshot=engine.save(),
        parameters=plant.parameters,
        stage=f"{present.stage} ({layout})",
    )


def _shared(
    ours: GroupPlan,
    theirs: GroupPlan,
    saved: Mapping[str, npt.NDArray[Any]],
    known: Mapping[str, npt.NDArray[Any]],
) -> Mapping[str, npt.NDArray[Any]]:
    where = {place: i for i, place in enumerate(theirs.places)}
    pairs = [(i, where[place]) for i, place in enumerate(ours.places) if place in where]
    state = np.array(saved["state"])
    for i, j in pairs:
        state[:, :, i] = known["state"][:, :, j]
    return {**saved, "state": state}


def _stage(plant: PlantModel, layout: Layout, layers: Sequence[Path]) -> Usd.Stage:
    root = Sdf.Layer.FindOrOpen(plant.root)
    if root is None:
        raise ScenarioError(f"{plant.root}: another layout needs the plant's own file")
    over = Sdf.Layer.CreateAnonymous("layout.usda")
    for path in layers:
        if not path.is_file():
            raise ScenarioError(f"{path}: no such layer")
        try:
            Sdf.Layer.FindOrOpen(str(path))
        except Tf.ErrorException as error:
            # Composed, it would be left out without a word.
            raise ScenarioError(f"{path}: this layer cannot be read: {error}") from None
        over.subLayerPaths.append(str(path))
    over.subLayerPaths.append(root.identifier)
    stage = Usd.Stage.Open(over)
    for place, chosen in layout.variants.items():
        prim = stage.GetPrimAtPath(place) if Sdf.Path.IsValidPathString(place) else None
        if not prim:
            raise ScenarioError(f"{place}: no prim is there, and no variant of it")
        for name, variant in chosen.items():
            variants = prim.GetVariantSets()
            known = variants.GetVariantSet(name).GetVariantNames() if variants else []
            if variant not in known:
                allowed = ", ".join(known) or "none"
                raise ScenarioError(f"{place}: no variant {name}={variant}; there are {allowed}")
            variants.SetSelection(name, variant)
    return stage
