"""Parameters that are otherwise in some worlds of a future."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from stagetwin_sim._errors import ModelError, ScenarioError
from stagetwin_sim.engine import Engine, Floats, Group, host_copy
from stagetwin_sim.futures._branch import Branch, ParameterChange
from stagetwin_sim.plant import PlantModel

__all__ = ["Parameterised", "change_parameters"]


@runtime_checkable
class Parameterised(Protocol):
    """A system that is no group, and whose parameters can be changed.

    Attributes:
        parameters: shape (worlds, n), float64.
    """

    parameters: Any

    def parameter(self, place: str, name: str) -> int:
        """Return which of them is the parameter of a model, `PRIM.NAME`.

        Raises:
            ModelError: there is none.
        """
        ...


def change_parameters(plant: PlantModel, engine: Engine, branches: Sequence[Branch]) -> None:
    """Change what branches say, each in its own world of an engine.

    Raises:
        ScenarioError: there is no such model or parameter, or the value is out of range.
    """
    wanted: dict[tuple[str, str], dict[int, ParameterChange]] = {}
    for world, branch in enumerate(branches):
        for change in branch.parameters:
            wanted.setdefault((change.model, change.name), {})[world] = change
    for (model, name), changes in wanted.items():
        _change(plant, engine, model, name, changes)


def _change(
    plant: PlantModel,
    engine: Engine,
    model: str,
    name: str,
    changes: dict[int, ParameterChange],
) -> None:
    instance = plant.instances.get(model)
    if instance is None:
        known = ", ".join(sorted(plant.instances)[:6]) or "none"
        raise ScenarioError(f"{model}: no model of that name runs; there are {known}")
    prim, _, called = model.rpartition(".")
    column = f"{prim}.twin:model:{called}:in:{name}"
    if column in plant.plan:  # an input that nothing feeds is a constant on the bus
        index = plant.plan.column(column)
        engine.write([index], _changed(engine.read([index])[:, 0], changes)[:, None])
        return
    system = engine.systems.get(instance.group)
    if isinstance(system, Group):
        _change_group(system, instance.index, model, name, changes)
    elif isinstance(system, Parameterised):
        try:
            at = system.parameter(model, name)
        except ModelError as error:
            raise ScenarioError(str(error)) from None
        values = host_copy(system.parameters)
        values[:, at] = _changed(values[:, at], changes)
        system.parameters.assign(values)
    else:
        raise ScenarioError(f"{model}: parameters of a {instance.binding.kind} stay as they are")


def _change_group(
    group: Group, index: int, model: str, name: str, changes: dict[int, ParameterChange]
) -> None:
    kind = group.plan.kind
    declared = [parameter.name for parameter in kind.parameters]
    if name not in declared:
        allowed = ", ".join(declared) or "none"
        raise ScenarioError(f"{model}: a {kind.name} has no parameter {name}; it has {allowed}")
    row = declared.index(name)
    values = host_copy(group.parameters)
    values[:, row, index] = _changed(values[:, row, index], changes)
    for value in values[:, row, index]:
        try:
            kind.parameter_values({name: float(value)}, model)
        except ModelError as error:
            raise ScenarioError(str(error)) from None
    group.parameters.assign(values)


def _changed(values: Floats, changes: dict[int, ParameterChange]) -> Floats:
    changed = np.array(values, np.float64)
    for world, change in changes.items():
        given = change.value
        changed[world] = given if given is not None else changed[world] * change.factor
    return changed
