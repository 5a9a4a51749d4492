"""FMUs for tests: plans of them alone, one column for each of their ports, and on a stage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stagetwin_sim.engine import Column, Engine, Plan, PlanBuilder
from stagetwin_sim.fmi import FmuHealth, FmuPlan, FmuSystem, FmuUnit, read_fmu
from tests.sim.plant.stages import model
from tests.stages.plants import Part


class Wanted(NamedTuple):
    """One FMU of a plan; what is fed and set is in its own units."""

    path: Path
    fed: Mapping[str, float] = {}
    params: Mapping[str, float] = {}
    step: float = 0.0
    more: tuple[str, ...] = ()


def plan_of(*wanted: Wanted, frame: float = 0.05) -> Plan:
    """Return a plan of FMUs on `/F0`, `/F1`, ..., with columns `/F0.u` and so on."""
    builder = PlanBuilder(frame)
    units = []
    for i, each in enumerate(wanted):
        fmu = read_fmu(each.path)
        place = f"/F{i}"

        def column(name: str, value: float, place: str = place) -> int:
            return builder.column(Column(f"{place}.{name}", value=value))

        inputs = tuple((v, column(v.port, v.si(each.fed.get(v.port, v.start)))) for v in fmu.inputs)
        outputs = (*fmu.outputs, *(fmu.variables[name] for name in each.more))
        units.append(
            FmuUnit(
                place=f"{place}.m",
                fmu=fmu,
                inputs=inputs,
                outputs=tuple((v, column(v.port, v.si(v.start))) for v in outputs),
                starts=tuple((fmu.variables[n], value) for n, value in each.params.items()),
                step=each.step,
            )
        )
    builder.add(FmuPlan(units=tuple(units)))
    return builder.build()


def fmu_model(name: str, file: Path, **options: Any) -> Part:
    """A model of kind `fmu`."""
    made = model(name, "fmu", **options)
    return made._replace(text=made.text + f"uniform asset twin:model:{name}:file = @{file}@\n")


def get(engine: Engine, name: str, world: int = 0) -> float:
    """Return what a column holds."""
    return float(engine.read()[world, engine.plan.column(name)])


def series(engine: Engine, name: str, frames: int) -> np.ndarray:
    """Return what a column of the first world holds after each of the next frames."""
    values = []
    for _ in range(frames):
        engine.step()
        values.append(get(engine, name))
    return np.array(values)


def system(engine: Engine) -> FmuSystem:
    """Return the FMUs of an engine."""
    found = engine.systems["fmu"]
    assert isinstance(found, FmuSystem)
    return found


def health(engine: Engine, place: str, world: int = 0) -> FmuHealth:
    """Return how an instance is."""
    (found,) = (h for h in system(engine).health() if h.place == f"{place}.m" and h.world == world)
    return found
