"""Stages with models, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pxr import Usd

from stagetwin_sim.plant import PlantModel, read_plant
from tests.stages.plants import Part, literal, plant, stage_of


def model(
    name: str,
    kind: str,
    *,
    step: float = 0.0,
    fidelity: str = "",
    parameters: Mapping[str, float | tuple[float, str]] | None = None,
    limits: str = "",
    **relations: str | Sequence[str],
) -> Part:
    """A model; relations by name, with `in_speed` for `in:speed`."""
    prefix = f"twin:model:{name}"
    lines = [f"uniform token {prefix}:kind = {literal(kind)}"]
    if step:
        lines.append(f"uniform double {prefix}:step = {step}")
    if fidelity:
        lines.append(f"uniform token {prefix}:fidelity = {literal(fidelity)}")
    for key, given in (parameters or {}).items():
        value, unit = given if isinstance(given, tuple) else (given, "")
        said = f"customData = {{ string unit = {literal(unit)} }}" if unit else ""
        lines.append(f"double {prefix}:param:{key} = {value} (\n{said}\n{limits}\n)")
    for key, targets in relations.items():
        way, _, port = key.partition("_")
        rel = f"{way}:{port}" if way in ("in", "out") and port else key
        paths = [targets] if isinstance(targets, str) else targets
        lines.append(f"rel {prefix}:{rel} = [{', '.join(f'<{path}>' for path in paths)}]")
    return Part(f"TwinModelAPI:{name}", "\n".join(lines) + "\n")


def value_of(prim: str, signal: str) -> str:
    """Return the path of a signal's value."""
    return f"/Plant/{prim}.twin:telemetry:{signal}:value"


def out_of(prim: str, name: str, port: str) -> str:
    """Return the path of a model's output."""
    return f"/Plant/{prim}.twin:model:{name}:out:{port}"


def read(*bodies: str, **options: Any) -> PlantModel:
    """Read the models of a plant whose prims are given."""
    return read_plant(stage_of(plant(*bodies)), **options)


def clean(*bodies: str, **options: Any) -> PlantModel:
    """Read models that must have no problem."""
    found = read(*bodies, **options)
    assert [str(problem) for problem in found.problems] == []
    assert [str(problem) for problem in found.table.problems] == []
    return found


def codes(found: PlantModel) -> list[tuple[str, str]]:
    """Return prim and code of each problem."""
    return [(problem.prim, problem.code) for problem in found.problems]


def edited(stage: Usd.Stage, path: str, value: Any) -> PlantModel:
    """Read a stage again after an edit."""
    stage.GetAttributeAtPath(path).Set(value)
    return read_plant(stage)
