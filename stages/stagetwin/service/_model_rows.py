"""Models as clients see them: how they stand, and what they expect beside what is measured."""

from __future__ import annotations

import math
from typing import Any

from stagetwin.bindings import ModelBinding, TelemetryBinding
from stagetwin.service._simulation import Simulation
from stagetwin.signals import Quality
from stagetwin.simulation import wire
from stagetwin.twin import Twin
from stagetwin.values import plain

__all__ = ["ModelRows"]

Row = dict[str, Any]


class ModelRows:
    """Makes rows of models."""

    def __init__(self, twin: Twin, simulation: Simulation) -> None:
        self._twin, self._simulation = twin, simulation
        self._table: wire.Table | None = None
        self._outputs: dict[str, list[str]] = {}
        self._units: dict[str, str] = {}

    def row(self, model: ModelBinding, *, full: bool) -> Row:
        """Return one model; with `full`, parameters, relations and every number that it gives."""
        simulation = self._simulation
        state = simulation.states.of(model.path)
        known = simulation.states.rows.get(model.path)
        row: Row = {
            "path": model.path,
            "prim": model.prim,
            "name": model.name,
            "asset": model.asset,
            "kind": model.kind,
            "fidelity": known.fidelity if known is not None else _claimed(model),
            "state": state.state,
            "cause": state.cause,
            "forkable": known.forkable if known is not None else None,
            "signals": self._signals(model),
        }
        if full:
            row["parameters"] = {
                name: {"value": each.value, "unit": each.unit}
                for name, each in model.parameters.items()
            }
            row["defaults"] = {
                name: {"value": _finite(value), "unit": unit}
                for name, (value, unit) in (known.defaults if known is not None else {}).items()
            }
            row["inputs"] = [self._signal(path) for path in model.reads]
            row["reads"], row["relations"] = list(model.reads), dict(model.relations)
            row["outputs"] = self._given(model)
        return row

    def _paths(self, model: ModelBinding) -> list[str]:
        """Return the attributes that a model gives."""
        beside = self._simulation.beside
        table = beside.table if beside is not None else None
        if table is not self._table:
            self._table, self._outputs, self._units = table, {}, {}
            for output in table.outputs if table is not None else ():
                self._units[output.path] = output.unit
                self._outputs.setdefault(output.model, []).append(output.path)
        return self._outputs.get(model.path, [])

    def _signals(self, model: ModelBinding) -> list[Row]:
        """Return the signals of which a model expects something."""
        targets = {p.removesuffix(":predicted") for p in self._paths(model) if ":predicted" in p}
        written = dict.fromkeys(model.writes)
        written.update(dict.fromkeys(f"{path}:value" for path in sorted(targets)))
        return [self._signal(path) for path in written]

    def _signal(self, path: str) -> Row:
        twin, expected = self._twin, self._twin.predicted
        stem = path.removesuffix(":value")
        index, binding = self._channel(path)
        measured = plain(twin.value_of(index)) if binding is not None else None
        quality = int(twin.hub.latest.quality[index]) if binding is not None else Quality.STALE
        residual = _finite(expected.value(f"{stem}:residual"))
        sigma = _finite(expected.value(f"{stem}:residualSigma"))
        within = residual / sigma if residual is not None and sigma else None
        return {
            "path": binding.path if binding is not None else path,
            "property": path,
            "unit": binding.unit if binding is not None else "",
            "value": measured,
            "quality": Quality(quality).token,
            "predicted": _finite(expected.value(f"{stem}:predicted")),
            "residual": residual,
            "sigma": sigma,
            "sigmas": within,
        }

    def _channel(self, path: str) -> tuple[int, TelemetryBinding | None]:
        latest = self._twin.hub.latest
        found = [(i, b) for i, b in self._twin.table.telemetry.items() if b.target == path]
        return min(found, key=lambda each: int(latest.quality[each[0]]), default=(0, None))

    def _given(self, model: ModelBinding) -> list[Row]:
        """Return what a model gives and no signal measures."""
        prefix = f"{model.prim}.twin:model:{model.name}:out:"
        return [
            {
                "port": path.removeprefix(prefix),
                "value": _finite(self._twin.predicted.value(path)),
                "unit": self._units.get(path, ""),
            }
            for path in self._paths(model)
            if path.startswith(prefix)
        ]


def _claimed(model: ModelBinding) -> str:
    """Return the fidelity of a model that no simulator has read: a claim to be calibrated counts
    for nothing until the set of parameters behind it was looked at."""
    return "engineering" if model.fidelity == "calibrated" else model.fidelity


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
