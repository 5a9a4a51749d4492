"""A rehearsal sees an arm hit a post before it moves, and lets it go where it hits nothing."""

from __future__ import annotations

import pytest

from stagetwin_sim.futures import Outcome, Present, fork, rehearse
from stagetwin_sim.plant import PlantModel, read_plant
from tests.sim.bodies.scenes import Scene
from tests.sim.plant.stages import model
from tests.stages.plants import asset, command, connection, prim, stage_of, telemetry

# newton compiles for a minute the first time, for many on a busy machine.
pytestmark = pytest.mark.timeout(900)

ANGLE = "/Cell.twin:telemetry:angle:value"
TARGET = "/Cell.twin:command:swing:desired"


@pytest.fixture(scope="module")
def plant() -> PlantModel:
    """An arm of 0.6 m at 1 m over the ground, and a post beside it, within its reach below."""
    scene = Scene()
    scene.link("Arm", (0, 0, 1), 0.6, 3.0, drive=scene.drive(4000, 400), collides=True, root=True)
    scene.box("Post", (0.4, 0, 0.45), (0.1, 0.4, 0.3))
    cell = prim(
        "Cell",
        asset(connection="line", level="twin"),
        telemetry("angle", address="angle", unit="deg"),
        command("swing", hard=(-90, 90), readback=ANGLE, unit="deg", settleTime=3.0),
        model("physics", "bodies"),
        model(
            "joint",
            "joint-drive",
            joint="/Cell/ArmJoint",
            in_target=TARGET,
            out_position=ANGLE,
        ),
        scene.text,
    )
    head = '#usda 1.0\n(\n    upAxis = "Z"\n    metersPerUnit = 1\n)\n'
    found = read_plant(stage_of(head + connection() + scene.physics() + cell))
    assert [str(problem) for problem in found.problems] == []
    return found


@pytest.fixture(scope="module")
def present(plant: PlantModel) -> Present:
    known = {ANGLE: 0.0}
    engine = plant.at({**known, TARGET: 0.0}).plan.engine()
    engine.step(20)
    return Present.of(plant, engine, values=known, desired={TARGET: 0.0})


def test_a_collision_is_seen_before_it_happens(present: Present) -> None:
    verdict = rehearse(present, "/Cell.swing", 60.0, horizon=3.0, budget=600.0)
    assert verdict.outcome is Outcome.VIOLATED
    (hit,) = verdict.violations
    assert hit.kind == "collision"
    assert {hit.prim, hit.signal} == {"/Cell/Arm", "/Cell/Post"}
    assert 0.0 < hit.time < 3.0
    assert "hits" in verdict.cause
    assert {b.model for b in verdict.believed} == {"/Cell.physics", "/Cell.joint"}


def test_the_other_way_it_hits_nothing(present: Present) -> None:
    verdict = rehearse(present, "/Cell.swing", -60.0, horizon=3.0, budget=600.0)
    assert verdict.outcome is Outcome.HELD
    assert verdict.violations == []


def test_bodies_are_forked_bit_for_bit(present: Present) -> None:
    engine = present.plant.plan.engine()
    engine.restore(present.snapshot)
    future = fork(present, 2)
    for each in (engine, future):
        each.step(20)
    alone = engine.save().digest()
    assert [future.moment(k).snapshot.digest() for k in (0, 1)] == [alone, alone]
    assert alone != present.snapshot.digest()
