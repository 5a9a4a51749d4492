"""What has no gradient is found by trying: the friction of a contact, a candidate in each world."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from stagetwin_sim.bodies import read_scene
from stagetwin_sim.calibration import sweep, worlds_objective
from stagetwin_sim.engine import Engine, Floats
from tests.sim.bodies.conftest import place, plan_of, seconds, system_of
from tests.sim.bodies.scenes import slope, stage_of

TRUE, WORLDS, GRAVITY = 0.137, 12, 9.81
TIME = 1.5
BLOCK = "/Cell/Block"


def test_friction_is_found_from_how_far_a_block_slid() -> None:
    plan = plan_of(read_scene(stage_of(slope(15)), "/Cell"), belts=False)
    engine = plan.engine(WORLDS)
    start = engine.save()

    def assign(own: Engine, values: Mapping[str, Floats]) -> None:
        system_of(own).assign("/Cell.physics", "friction", values["friction"])

    def ends(own: Engine) -> Floats:
        return np.array([place(system_of(own), BLOCK, world) for world in range(WORLDS)])

    assign(engine, {"friction": np.full(WORLDS, TRUE)})
    first = ends(engine)[0]
    seconds(engine, TIME)
    seen = ends(engine)[0]
    # It did slide as Coulomb has it, so that there is something to find.
    tilted = math.radians(15)
    slid = GRAVITY * (math.sin(tilted) - TRUE * math.cos(tilted)) * TIME**2 / 2
    assert np.linalg.norm(seen - first) == pytest.approx(slid, rel=0.05)

    engine.restore(start)
    frames = round(TIME / plan.frame)
    objective = worlds_objective(
        engine,
        assign,
        lambda own, history: np.linalg.norm(ends(own) - seen, axis=1),
        [],
        frames,
        every=frames,
    )
    found = sweep(objective, {"friction": (0.02, 0.6)}, budget=4 * WORLDS, batch=WORLDS)
    assert found.best["friction"] == pytest.approx(TRUE, rel=0.02)
    assert found.loss < 0.01
    assert len(found.losses) == 4 * WORLDS
