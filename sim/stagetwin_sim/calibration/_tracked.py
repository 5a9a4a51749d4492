"""Which parameters of a plant's models are followed while the machines run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stagetwin.bindings import Problem, Severity
from stagetwin_sim.engine import GroupPlan
from stagetwin_sim.plant import Instance, Output, PlantModel, UnitsError, conversion

__all__ = ["MOST", "Tracked", "read_tracked"]

MOST = 256
"""How many models of a plant are followed at most: one second of it must stay cheap."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """One model whose parameters are followed.

    Attributes:
        model: `PRIM.NAME`.
        instance: of the plant.
        plan: of the group that holds it.
        names: parameters that are followed.
        tolerances: by what share each may change.
        scales, offsets: from the kind's unit of each to the stage's.
        signals: what measures an output, by port.
    """

    model: str
    instance: Instance
    plan: GroupPlan
    names: tuple[str, ...]
    tolerances: tuple[float, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    signals: dict[str, Output]

    def path(self, what: str, parameter: str) -> str:
        """Return the attribute that says something of a parameter.

        Args:
            what: `drift`, `drifted` or `tracked`.
            parameter: its name.
        """
        binding = self.instance.binding
        return f"{binding.prim}.twin:model:{binding.name}:out:{what}_{parameter}"

    def paths(self) -> Iterator[str]:
        """Yield all attributes that say something of its parameters."""
        for name in self.names:
            for what in ("drift", "drifted", "tracked"):
                yield self.path(what, name)


def read_tracked(plant: PlantModel) -> tuple[list[Tracked], list[Problem]]:
    """Return the models that are followed, and a warning for each parameter that cannot be.

    Args:
        plant: whose models.
    """
    plans = {system.name: system for system in plant.plan.systems}
    found: list[Tracked] = []
    problems: list[Problem] = []
    for path, instance in plant.instances.items():
        if not instance.binding.tracked:
            continue
        signals = {
            port: output
            for port, column in instance.outputs.items()
            for output in plant.outputs
            if output.column == column and output.signal and output.model == path
        }
        plan: Any = plans.get(instance.group)
        own, faults = _checked(instance, plan, signals)
        if own and len(found) >= MOST:
            own, faults = [], [f"at most {MOST} models of a plant are followed"]
        problems += [_problem(instance, fault) for fault in faults]
        if own:
            to = [_to_stage(instance, name) for name in own]
            found.append(
                Tracked(
                    model=path,
                    instance=instance,
                    plan=plan,
                    names=tuple(own),
                    tolerances=tuple(instance.binding.tracked[name] for name in own),
                    scales=tuple(scale for scale, _ in to),
                    offsets=tuple(offset for _, offset in to),
                    signals=signals,
                )
            )
    return found, problems


def _checked(
    instance: Instance, plan: object, signals: dict[str, Output]
) -> tuple[list[str], list[str]]:
    """Return the parameters that can be followed, and why others cannot."""
    binding, kind = instance.binding, instance.kind
    if kind is None or not isinstance(plan, GroupPlan):
        return [], [
            f"a {binding.kind} is no batch of single machines, and its parameters cannot be "
            "followed; bind a kind of single machines (docs/calibration.md) beside it"
        ]
    if not signals:
        return [], ["no signal measures what it gives, so that nothing tells of its parameters"]
    known = [parameter.name for parameter in kind.parameters]
    own: list[str] = []
    faults: list[str] = []
    for name in sorted(binding.tracked):
        if name not in known:
            faults.append(f"track:{name}: a {kind.name} has {', '.join(known)}")
        elif plan.parameters[known.index(name), instance.index] == 0:
            faults.append(f"track:{name}: a share of it means nothing, for param:{name} is 0")
        else:
            own.append(name)
    return own, faults


def _to_stage(instance: Instance, name: str) -> tuple[float, float]:
    """Return scale and offset from the kind's unit of a parameter to the stage's."""
    assert instance.kind is not None
    (unit,) = [p.unit for p in instance.kind.parameters if p.name == name]
    said = instance.binding.parameters.get(name)
    try:
        to = conversion(unit, said.unit) if said is not None and said.unit else None
    except UnitsError:  # its model is refused for it elsewhere
        to = None
    return (to.scale, to.offset) if to is not None else (1.0, 0.0)


def _problem(instance: Instance, fault: str) -> Problem:
    binding = instance.binding
    return Problem(binding.prim, binding.name, "model-track", fault, Severity.WARNING)
