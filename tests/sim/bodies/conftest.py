"""What the tests of bodies share: scenes and engines, made once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from stagetwin_sim.bodies import Belt, BodiesPlan, BodiesSystem, BodyScene, JointDrive, read_scene
from stagetwin_sim.engine import Column, Engine, Plan, PlanBuilder
from tests.sim.bodies.scenes import cell, stage_of

TARGETS = {"Pendulum": None, "Upper": -0.5, "Fore": 0.524, "Slow": -0.4}


def plan_of(scene: BodyScene, belts: bool = True, frame: float = 0.05, **options: Any) -> Plan:
    """Return a plan of the cell: its belt and joints on columns."""
    builder = PlanBuilder(frame=frame)

    def column(name: str, value: float = 0.0) -> int:
        return builder.column(Column(name, value=value))

    def drive(name: str, target: float | None) -> JointDrive:
        asked = -1 if target is None else column(f"{name}.target", target)
        columns = [column(f"{name}.{what}") for what in ("position", "velocity", "effort")]
        return JointDrive(f"/Cell/{name}Joint", asked, *columns)

    speed = column("speed", 0.5)
    builder.add(
        BodiesPlan(
            scene=scene,
            name="bodies",
            belts=[Belt("/Cell/Belt", speed, (1, 0, 0))] if belts else [],
            drives=[drive(n, t) for n, t in TARGETS.items() if f"/Cell/{n}Joint" in scene.joints],
            contact_column=column("contacts"),
            dropped_column=column("dropped"),
            **options,
        )
    )
    return builder.build()


def system_of(engine: Engine) -> BodiesSystem:
    """Return the bodies of an engine."""
    system = engine.systems["bodies"]
    assert isinstance(system, BodiesSystem)
    return system


def value(engine: Engine, name: str, world: int = 0) -> float:
    """Return what a column holds."""
    return float(engine.read([engine.plan.column(name)])[world, 0])


def seconds(engine: Engine, time: float) -> None:
    """Step an engine by a time [s]."""
    engine.step(round(time / engine.plan.frame))


def place(system: BodiesSystem, path: str, world: int = 0) -> Sequence[float]:
    """Return where a body's prim is, in the stage's units."""
    row = list(system.paths).index(path)
    return [float(x) for x in system.poses(world)[row, 12:15]]


@pytest.fixture(scope="session")
def scene() -> BodyScene:
    """The cell, in metres with Z up."""
    return read_scene(stage_of(cell()), "/Cell")


@pytest.fixture(scope="session")
def settled(scene: BodyScene) -> Engine:
    """The cell after three seconds, in two worlds whose belts run apart; only to be read."""
    engine = plan_of(scene).engine(2)
    engine.write([engine.plan.column("speed")], [[0.5], [-0.25]])
    seconds(engine, 3.0)
    return engine
