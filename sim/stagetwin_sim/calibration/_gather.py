"""From a recording and the models of a stage to the telemetry of one kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stagetwin.bindings import TelemetryBinding
from stagetwin_sim._errors import CalibrationError
from stagetwin_sim.calibration._recorded import Recorded
from stagetwin_sim.calibration._telemetry import Telemetry
from stagetwin_sim.engine import Floats, GroupPlan, Kind
from stagetwin_sim.plant import Instance, PlantModel

__all__ = ["Gathered", "gather"]


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """What a fit takes.

    Attributes:
        kind: of all models.
        instances: who they are.
        telemetry: of them.
        parameters: as the stage has them, shape (parameter_count, count).
        sources: recorded column of each port, by `PRIM.NAME:port`; empty is a constant.
    """

    kind: Kind
    instances: tuple[Instance, ...]
    telemetry: Telemetry
    parameters: Floats
    sources: Mapping[str, str]


def gather(
    plant: PlantModel,
    model: str,
    recorded: Recorded,
    columns: Mapping[str, str] | None = None,
    dt: float | None = None,
) -> Gathered:
    """Find models and what a recording holds of their ports.

    A port takes the column that `columns` names, else the one named as its signal: by the path of
    its property, by `PRIM.signal`, by the signal's `field` (a wire value then, scaled as the
    binding says), or by the signal's or port's name.

    Args:
        plant: whose models.
        model: `PRIM.NAME` of one, or a kind for all of it.
        recorded: the recording.
        columns: recorded columns by port; `{prim}` stands for the prim's name.
        dt: time between rows [s]; None is the recording's own.

    Raises:
        CalibrationError: there is no such model, it is no plain kind, an input has no column, or no
            output has one.
    """
    instances = _chosen(plant, model)
    kind = instances[0].kind
    assert kind is not None
    grid, bare, held = recorded.on_grid(dt if dt is not None else recorded.interval())
    finder = _Finder(plant, columns or {}, recorded)
    rows, count = len(grid), len(instances)
    inputs = np.empty((rows, len(kind.inputs), count))
    outputs = np.full((rows, len(kind.outputs), count), np.nan)
    sources: dict[str, str] = {}
    for i, instance in enumerate(instances):
        path = instance.binding.path
        for j, port in enumerate(kind.inputs):
            name, scale, offset = finder.input(instance, port.name)
            sources[f"{path}:{port.name}"] = name
            if name:
                inputs[:, j, i] = held[name] * scale + offset
            else:
                inputs[:, j, i] = plant.plan.columns[instance.inputs[port.name]].value
        for j, port in enumerate(kind.outputs):
            name, scale, offset = finder.output(instance, port.name)
            if name:
                sources[f"{path}:{port.name}"] = name
                outputs[:, j, i] = bare[name] * scale + offset
    telemetry = Telemetry(
        dt=float(grid[1] - grid[0]) if rows > 1 else 1.0,
        inputs=inputs,
        outputs=outputs,
        places=tuple(instance.binding.path for instance in instances),
        start=float(grid[0]),
    )
    if not np.isfinite(outputs).any():
        ports = ", ".join(port.name for port in kind.outputs)
        raise CalibrationError(
            f"{model}: the recording holds none of its outputs ({ports}); name one by "
            f"PORT=COLUMN; there are {', '.join(recorded.columns)}"
        )
    return Gathered(kind, instances, telemetry, _parameters(plant, instances), sources)


def _chosen(plant: PlantModel, model: str) -> tuple[Instance, ...]:
    found = plant.instances.get(model)
    if found is not None:
        chosen: Sequence[Instance] = [found]
    else:
        chosen = [i for i in plant.instances.values() if i.kind and i.kind.name == model]
    if not chosen:
        there = sorted(plant.instances)
        raise CalibrationError(f"no model {model} runs; there are {', '.join(there) or 'none'}")
    if any(i.kind is None or i.kind.observe is None for i in chosen):
        raise CalibrationError(
            f"{model} is part of a system that is stepped as a whole and cannot be fitted by "
            "itself; fit its plain kind (pump-curve, pipe-loss, valve-flow, tank-level)"
        )
    return tuple(chosen)


class _Finder:
    def __init__(self, plant: PlantModel, named: Mapping[str, str], recorded: Recorded) -> None:
        self._plant, self._named, self._recorded = plant, named, recorded
        self._signals: dict[str, TelemetryBinding] = {}
        for binding in plant.table.telemetry.values():
            self._signals.setdefault(binding.target, binding)
        self._feeds = {
            feed.column: (path, feed.scale, feed.offset)
            for feeds_of in (plant.measured, plant.setpoints)
            for path, feeds in feeds_of.items()
            for feed in feeds
        }

    def input(self, instance: Instance, port: str) -> tuple[str, float, float]:
        """Return the recorded column of an input, and what takes it to the bus; empty: constant."""
        column = instance.inputs[port]
        path, scale, offset = self._feeds.get(column, ("", 1.0, 0.0))
        name, wire_scale, wire_offset = self._column(instance, port, path)
        if name:
            return name, wire_scale * scale, wire_offset * scale + offset
        if path or self._plant.plan.columns[column].role == "output":
            what = path or self._plant.plan.columns[column].name
            raise CalibrationError(
                f"{instance.binding.path}: no column of {self._recorded.path} holds its input "
                f"{port} ({what}); name one by {port}=COLUMN; there are "
                f"{', '.join(self._recorded.columns)}"
            )
        return "", 1.0, 0.0

    def output(self, instance: Instance, port: str) -> tuple[str, float, float]:
        """Return the recorded column of an output, and what takes it to the bus; empty: none."""
        column = instance.outputs[port]
        for output in self._plant.outputs:
            if output.column == column and output.signal:
                name, wire_scale, wire_offset = self._column(instance, port, output.signal)
                if name:
                    scale = wire_scale / output.scale
                    return name, scale, (wire_offset - output.offset) / output.scale
        name, _, _ = self._column(instance, port, "")
        return name, 1.0, 0.0

    def _column(self, instance: Instance, port: str, path: str) -> tuple[str, float, float]:
        there = self._recorded.columns
        prim = instance.binding.prim.rsplit("/", 1)[-1]
        if port in self._named:
            name = self._named[port].replace("{prim}", prim)
            if name not in there:
                raise CalibrationError(
                    f"{port}={name}: {self._recorded.path} has no such column; there are "
                    f"{', '.join(there)}"
                )
            return name, 1.0, 0.0
        signal = self._signals.get(path)
        if signal is not None:
            for name in (path, signal.path, f"{prim}.{signal.signal}"):
                if name in there:
                    return name, 1.0, 0.0
            fields = (signal.field, signal.field.strip("[]").strip("\"'"))
            for name in fields:
                if name and name in there:
                    return name, signal.scale, signal.offset
        alone = signal.signal if signal is not None else ""
        for name in (path, f"{prim}.{port}", alone, port):
            if name and name in there:
                return name, 1.0, 0.0
        return "", 1.0, 0.0


def _parameters(plant: PlantModel, instances: Sequence[Instance]) -> Floats:
    groups = {g.name: g for g in plant.plan.systems if isinstance(g, GroupPlan)}
    rows = [groups[i.group].parameters[:, i.index] for i in instances]
    parameters: Floats = np.array(rows).T.reshape(-1, len(instances))
    return parameters
