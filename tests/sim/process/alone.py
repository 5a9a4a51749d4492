"""A plan of instances of one kind, each with columns of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stagetwin_sim.engine import Column, Engine, GroupPlan, Kind, Plan, PlanBuilder

Given = Mapping[str, float]


def alone(
    kind: Kind,
    parameters: Sequence[Given] = ({},),
    inputs: Sequence[Given] | Given = (),
    frame: float = 0.05,
    rate: float | None = None,
) -> Plan:
    """Return a plan of independent instances, called /M0, /M1, ..."""
    builder = PlanBuilder(frame=frame)
    count = len(parameters)
    fed = [inputs] * count if isinstance(inputs, Mapping) else list(inputs) or [{}] * count
    ins = [
        [
            builder.column(Column(f"/M{i}.{p.name}", p.unit, fed[i].get(p.name, p.value)))
            for i in range(count)
        ]
        for p in kind.inputs
    ]
    outs = [
        [builder.column(Column(f"/M{i}.out:{p.name}", p.unit)) for i in range(count)]
        for p in kind.outputs
    ]
    builder.add(
        GroupPlan(
            kind=kind,
            places=[f"/M{i}.{kind.name}" for i in range(count)],
            inputs=np.array(ins, np.int32).reshape(-1, count),
            outputs=np.array(outs, np.int32).reshape(-1, count),
            parameters=np.array(
                [kind.parameter_values(given, f"/M{i}") for i, given in enumerate(parameters)]
            ).T.reshape(-1, count),
            rate=rate,
        )
    )
    return builder.build()


def write(engine: Engine, machine: int = 0, **values: float) -> None:
    """Give inputs of one machine."""
    columns = [engine.plan.column(f"/M{machine}.{name}") for name in values]
    engine.write(columns, list(values.values()))


def read(engine: Engine, *names: str, machine: int = 0, world: int = 0) -> list[float]:
    """Return outputs of one machine."""
    columns = [engine.plan.column(f"/M{machine}.out:{name}") for name in names]
    return [float(value) for value in engine.read(columns)[world]]


def state(engine: Engine, kind: Kind, machine: int = 0, world: int = 0) -> dict[str, float]:
    """Return the state of one machine by name."""
    saved = engine.systems[kind.name].save()["state"]
    return {s.name: float(saved[world, i, machine]) for i, s in enumerate(kind.states)}
