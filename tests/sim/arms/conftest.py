"""What the tests of arms share: the example cell, read once."""

from __future__ import annotations

import pytest
from pxr import Usd

from stagetwin_sim.arms import ArmIk
from stagetwin_sim.bodies import BodyScene, read_scene
from stagetwin_sim.engine import Engine
from tests.sim.arms.cells import ARM, TOOL, cell_stage, pick_plan


@pytest.fixture(scope="session")
def stage() -> Usd.Stage:
    """The example cell; only to be read."""
    return cell_stage()


@pytest.fixture(scope="session")
def scene(stage: Usd.Stage) -> BodyScene:
    """Its bodies."""
    return read_scene(stage, "/World")


@pytest.fixture(scope="session")
def ik(stage: Usd.Stage) -> ArmIk:
    """Its arm."""
    return ArmIk(stage, ARM, TOOL, problems=4)


@pytest.fixture(scope="session")
def carried(stage: Usd.Stage, scene: BodyScene) -> Engine:
    """The cell at work after 3 s, its belt slower in the second world; only to be read."""
    engine = pick_plan(stage, scene).engine(2)
    engine.write([engine.plan.column("speed")], [[0.2], [0.15]])
    engine.step(60)
    return engine
