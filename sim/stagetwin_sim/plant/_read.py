"""Reading the models of a stage into a plan. One bad model never stops the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from pxr import Usd

from stagetwin import StagetwinError
from stagetwin.bindings import BindingTable, ModelBinding, Problem, read_bindings
from stagetwin.ports import find_model
from stagetwin_sim.engine import FRAME, Column, GroupPlan, Kind, Plan, PlanBuilder, fingerprint
from stagetwin_sim.plant._known import Known
from stagetwin_sim.plant._model import Instance, PlantModel
from stagetwin_sim.plant._ports import Ports
from stagetwin_sim.plant._scope import PHASES, Family, group_plan
from stagetwin_sim.plant._signals import Signals

__all__ = ["read_plant"]


def read_plant(
    stage: Usd.Stage,
    table: BindingTable | None = None,
    *,
    frame: float = FRAME,
    seed: int = 0,
    left_out: Mapping[str, Sequence[Column]] | None = None,
) -> PlantModel:
    """Read the models of a stage into a plan.

    Args:
        stage: the plant; only read.
        table: its bindings; read from the stage if None.
        frame: length of a frame [s].
        seed: of everything random.
        left_out: models that are not to run, by `PRIM.NAME`, and what their outputs are held at
            for those that take them.

    Returns:
        The models that run, and a problem for each that does not. A model that is fed by one that
        does not run does not run either.
    """
    bindings = read_bindings(stage) if table is None else table
    problems: list[Problem] = []
    kinds = _Kinds()
    running: dict[str, ModelBinding] = {}
    held = {column.name: column for outs in (left_out or {}).values() for column in outs}
    for binding in _proven(stage, bindings.models, problems):
        if binding.path in (left_out or {}):
            continue
        if fault := kinds.fault(binding):
            problems.append(Problem(binding.prim, binding.name, "kind", fault))
        else:
            running[binding.path] = binding
    signals, known = Signals(stage, bindings), Known()
    while True:
        builder = PlanBuilder(frame, seed)
        ports = Ports(stage, bindings, signals, builder, running, known, held)
        for model, members in kinds.in_order(running.values()):
            _plan(model, members, builder, ports, frame)
        ports.finish()
        if ports.faulty:
            problems += [p for p in ports.problems if f"{p.prim}.{p.signal}" in ports.faulty]
            running = {path: b for path, b in running.items() if path not in ports.faulty}
        elif not ports.stale():
            break
        known = ports.known()
    plan = builder.build()
    instances = ports.instances()
    plant = PlantModel(
        plan=builder.build(_revision(plan, bindings, instances)),
        table=bindings,
        problems=sorted([*problems, *ports.problems]),
        outputs=tuple(ports.outputs),
        measured=ports.measured,
        setpoints=ports.setpoints,
        instances=instances,
        heard=_heard(bindings, signals, ports),
        root=stage.GetRootLayer().identifier,
        stage=fingerprint([msgspec.msgpack.encode(bindings).hex()]),
        parameters=_versions(stage, instances),
    )
    return _followed(plant)


def _proven(
    stage: Usd.Stage, models: Sequence[ModelBinding], problems: list[Problem]
) -> list[ModelBinding]:
    """Return models with the fidelity that they have: nothing is calibrated because it says so."""
    if not any(binding.fidelity == "calibrated" for binding in models):
        return list(models)
    from stagetwin_sim.calibration import unproven  # loads scipy

    found = unproven(stage, models)
    problems += found
    claimed = {f"{problem.prim}.{problem.signal}" for problem in found}
    return [replace(b, fidelity="engineering") if b.path in claimed else b for b in models]


def _followed(plant: PlantModel) -> PlantModel:
    """Return a plant with what is wrong with the parameters that it wants followed."""
    if not any(instance.binding.tracked for instance in plant.instances.values()):
        return plant
    from stagetwin_sim.calibration import read_tracked  # loads scipy

    return replace(plant, problems=sorted([*plant.problems, *read_tracked(plant)[1]]))


def _versions(stage: Usd.Stage, instances: Mapping[str, Instance]) -> str:
    """Return the versions of the assets whose models run, each once."""
    attributes = [
        stage.GetAttributeAtPath(f"{asset}.twin:modelVersion")
        for asset in {instance.binding.asset for instance in instances.values()}
    ]
    return ", ".join(sorted({str(each.Get()) for each in attributes if each and each.Get()}))


def _heard(bindings: BindingTable, signals: Signals, ports: Ports) -> tuple[str, ...]:
    """Return the properties whose values decide what models and futures do."""
    wanted = {*ports.measured, *ports.setpoints, *(o.signal for o in ports.outputs if o.signal)}
    for command in bindings.commands:
        wanted |= {command.target, command.readback, *command.permissives}
    wanted |= {rule.signal for rule in bindings.rules}
    wanted |= {asset.remote for asset in bindings.assets.values()}
    return tuple(sorted(path for path in wanted if path and signals.is_number(path)))


class _Kinds:
    """Kinds and families as they are installed, each loaded once."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}
        self._faults: dict[str, str] = {}

    def fault(self, binding: ModelBinding) -> str:
        """Return why a model's kind cannot be used, or empty."""
        name = binding.kind
        if name not in self._found and name not in self._faults:
            try:
                found = find_model(name)
                made = found() if isinstance(found, type) and hasattr(found, "plan") else found
                if not isinstance(made, Kind) and not callable(getattr(made, "plan", None)):
                    self._faults[name] = f"{name} is no kind of model that runs beside a plant"
                elif getattr(made, "phase", "process") not in PHASES:
                    self._faults[name] = (
                        f"the phase of {name} must be one of {', '.join(PHASES)}, got {made.phase}"
                    )
                else:
                    self._found[name] = made
            except StagetwinError as error:
                self._faults[name] = str(error)
            except Exception as error:
                # A third party's package: whatever it raises concerns its models alone.
                self._faults[name] = f"{name} cannot be loaded: {type(error).__name__}: {error}"
        return self._faults.get(name, "")

    def in_order(self, bindings: Iterable[ModelBinding]) -> list[tuple[Any, list[ModelBinding]]]:
        """Return kinds and families with their models, in the order of their turns in a frame."""
        models: dict[int, Any] = {}
        members: dict[int, list[ModelBinding]] = defaultdict(list)
        for binding in bindings:
            model = self._found[binding.kind]
            models[id(model)] = model
            members[id(model)].append(binding)
        return sorted(
            ((models[key], found) for key, found in members.items()),
            key=lambda each: (PHASES.index(getattr(each[0], "phase", "process")), each[1][0].kind),
        )


def _plan(
    model: Kind | Family,
    members: Sequence[ModelBinding],
    builder: PlanBuilder,
    ports: Ports,
    frame: float,
) -> None:
    """Add what the models of one kind or family need; what it raises is their problem alone."""
    try:
        if isinstance(model, Kind):
            _plan_kind(model, members, builder, ports, frame)
        else:
            model.plan(members, builder, ports)
    except Exception as error:
        # Any package may offer a family; what it raises must not cost the others.
        what = (
            str(error) if isinstance(error, StagetwinError) else f"{type(error).__name__}: {error}"
        )
        for binding in members:
            if binding.path not in ports.faulty:
                ports.report(binding, "family", f"it cannot be planned: {what}")


def _plan_kind(
    kind: Kind, members: Sequence[ModelBinding], builder: PlanBuilder, ports: Ports, frame: float
) -> None:
    by_rate: dict[float, list[ModelBinding]] = defaultdict(list)
    for binding in members:
        rate = 1 / binding.step if binding.step > 0 else kind.rate
        by_rate[rate].append(binding)
    for rate, bindings in sorted(by_rate.items(), reverse=True):
        if not fits(rate, frame):
            for binding in bindings:
                ports.report(
                    binding,
                    "step",
                    f"step must be a whole part or a whole multiple of {frame:g} s, "
                    f"got {1 / rate:g} s",
                )
        own = rate == kind.rate
        name = kind.name if own else f"{kind.name}@{rate:g}"
        builder.add(group_plan(kind, bindings, ports, name, None if own else rate))


def fits(rate: float, frame: float) -> bool:
    """Tell whether a rate [Hz] is a multiple or a divisor of that of the frames."""
    steps = rate * frame
    ratio = steps if steps >= 1 else 1 / steps
    return abs(ratio - round(ratio)) < 1e-9 * ratio


def _revision(plan: Plan, table: BindingTable, instances: Mapping[str, Instance]) -> str:
    """Return the fingerprint of everything that decides what an engine does."""
    parts = [f"{plan.frame!r} {plan.seed}"]
    parts += [
        f"{c.name} {c.unit} {c.value!r} {c.role} {c.predicts}"
        if c.role in ("constant", "output")
        else f"{c.name} {c.unit} {c.role}"  # what a signal holds just now is no part of the plan
        for c in plan.columns
    ]
    parts += [_text(instance.binding) for instance in instances.values()]
    for system in plan.systems:
        parts.append(f"{system.name} {getattr(system, 'revision', '')}")
        if isinstance(system, GroupPlan):
            kind = system.kind
            declared = (kind.inputs, kind.outputs, kind.parameters, kind.states, kind.draws)
            parts.append(f"{kind.name} {declared!r} {kind.rate!r} {system.rate!r}")
            parts += [
                array.tobytes().hex()
                for array in (system.inputs, system.outputs, system.parameters)
            ]
    return fingerprint(parts)


def _text(binding: ModelBinding) -> str:
    # msgpack keeps types apart and floats exact, infinity included.
    return msgspec.msgpack.encode(replace(binding, tracked={})).hex()
