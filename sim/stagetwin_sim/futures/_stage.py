"""A future as a stage: the plant below, and over it what is expected, as time samples."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pxr import Sdf, Usd

from stagetwin_sim._errors import ScenarioError
from stagetwin_sim.futures._branch import Branch
from stagetwin_sim.futures._future import fork
from stagetwin_sim.futures._present import Present
from stagetwin_sim.futures._scenario import Scenario
from stagetwin_sim.futures._slots import Slots, Tap

__all__ = ["write_stage"]

_CASTS: dict[str, Any] = {"bool": lambda value: value > 0.5}
_STEP = 1e-3
"""Share of the time between two samples in which a set-point steps."""

_WHOLE = ("int", "uint", "int64", "uint64", "uchar")


def write_stage(
    present: Present,
    scenario: Scenario,
    branch: Branch,
    path: Path,
    cancelled: Callable[[], bool] | None = None,
) -> None:
    """Run one future again, and write all that moves in it as time samples over the plant.

    A signal's samples are authored on its value and, where a model predicts it, on its expected
    value; set-points on `desired`; what is no signal on the model's output.

    Args:
        present: where it starts.
        scenario: horizon and sample, and whether rules are approved.
        branch: what it is told.
        path: of the layer, `.usda` or `.usdc`; written whole or not at all.
        cancelled: asked whether nobody wants it any more.

    Raises:
        ScenarioError: the plant has no file that a layer could stand on, or its samples do not fit
            into the memory.
        CancelledError: nobody wants it any more.
    """
    root = Sdf.Layer.FindOrOpen(present.plant.root)
    if root is None:
        raise ScenarioError(f"{present.plant.root}: a what-if stage needs the plant's own file")
    times, targets, values = _recorded(present, scenario, branch, cancelled)
    beside = path.with_name(f".{os.getpid()}.{path.name}")
    layer = Sdf.Layer.CreateNew(str(beside))
    for name in _references(root, path):
        layer.subLayerPaths.append(name)
    stage = Usd.Stage.Open(root)
    for name in ("upAxis", "metersPerUnit", "kilogramsPerUnit"):
        if stage.HasAuthoredMetadata(name):
            layer.pseudoRoot.SetInfo(name, stage.GetMetadata(name))
    rate = float(stage.GetTimeCodesPerSecond())
    layer.timeCodesPerSecond = rate
    layer.framesPerSecond = float(stage.GetFramesPerSecond())
    layer.startTimeCode, layer.endTimeCode = 0.0, float(times[-1]) * rate
    if root.defaultPrim:
        layer.defaultPrim = root.defaultPrim
    layer.comment = f"{scenario.name}: {branch.name or 'as it is'}, {scenario.horizon:g} s from now"
    codes = [float(time) * rate for time in times]
    with Sdf.ChangeBlock():
        for i, (attribute, type_name) in enumerate(targets):
            _author(layer, stage, attribute, type_name, codes, values[:, i])
    layer.Save()
    del layer
    beside.replace(path)


def _references(root: Sdf.Layer, path: Path) -> list[str]:
    """Return how a layer at a path names the plant's own: relative where it can.

    A plant with sidecars has a root in memory, on top of its files.
    """
    below: Any = root.subLayerPaths
    names = list(below) if root.anonymous else [root.identifier]
    found = [Sdf.Layer.FindOrOpen(str(name)) for name in names]
    if not found or any(layer is None or not layer.realPath for layer in found):
        raise ScenarioError(f"{root.identifier}: a what-if stage needs the plant's own file")
    return [os.path.relpath(layer.realPath, path.resolve().parent) for layer in found]


def _recorded(
    present: Present,
    scenario: Scenario,
    branch: Branch,
    cancelled: Callable[[], bool] | None,
) -> tuple[Any, list[tuple[str, str]], Any]:
    slots = Slots(present)
    future = fork(present, [branch], slots=slots, approve_rules=scenario.approve_rules)
    targets: dict[str, tuple[str, Tap]] = {}
    for path, column in slots.slots.items():
        binding = slots.telemetry.get(path) or slots.commands.get(path)
        if binding is not None:
            targets[path] = (binding.type_name, Tap(column))
    for output in present.plant.outputs:
        tap = Tap(output.column, output.scale, output.offset)
        targets[output.path] = (output.type_name, tap)
        signal = slots.telemetry.get(output.signal)
        if signal is not None and output.signal not in branch.forecasts:
            targets[signal.target] = (signal.type_name, tap)
    taps = [tap for _, tap in targets.values()]
    rows = [future.read(taps)[0]]
    frame = present.plant.plan.frame
    every = max(1, round(scenario.sample / frame))
    size = future.frames(scenario.horizon) // every * len(taps) * 8 / 2**20
    if size > scenario.memory:
        raise ScenarioError(
            f"a what-if stage of {len(taps)} signals takes {size:.0f} MiB; memory is "
            f"{scenario.memory:g} MiB: make sample longer"
        )
    future.run(
        scenario.horizon,
        cancelled=cancelled,
        every=every,
        sample=lambda: rows.append(future.read(taps)[0]),
    )
    times = np.arange(len(rows)) * every * frame
    return times, [(path, kind) for path, (kind, _) in targets.items()], np.array(rows)


def _author(
    layer: Sdf.Layer,
    stage: Usd.Stage,
    path: str,
    type_name: str,
    codes: list[float],
    values: Any,
) -> None:
    where = Sdf.Path(path)
    if not stage.GetPrimAtPath(where.GetPrimPath()):
        return
    prim = Sdf.CreatePrimInLayer(layer, where.GetPrimPath())
    spec = Sdf.AttributeSpec(prim, where.name, Sdf.ValueTypeNames.Find(type_name))  # type: ignore[call-arg]
    cast = _CASTS.get(type_name, (lambda v: round(v)) if type_name in _WHOLE else float)
    given = [cast(value) for value in values.tolist()]
    last = len(given) - 1
    steps = where.name.startswith("twin:command:")
    for i, (code, value) in enumerate(zip(codes, given, strict=True)):
        # Of a stretch in which nothing changes, the first and the last sample say all.
        if 0 < i < last and given[i - 1] == value == given[i + 1]:
            continue
        if steps and i and given[i - 1] != value:
            # Between samples a viewer draws a line; a set-point is what it was until it is another.
            layer.SetTimeSample(spec.path, _just_before(code, codes[i - 1]), given[i - 1])
        layer.SetTimeSample(spec.path, code, value)


def _just_before(code: float, last: float) -> float:
    """Return a time code so near before one that nobody sees a ramp."""
    return code - (code - last) * _STEP
