"""Belt conveyors: resistances, slip, and what lies on them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stagetwin_sim.process import CONVEYOR
from tests.sim.process.alone import alone, read, state, write

P = {p.name: p.value for p in CONVEYOR.parameters}
G = 9.80665
ORE = {
    "length": 500.0,
    "height": 20.0,
    "belt_mass": 14.0,
    "roller_mass": 30.0,
    "friction": 0.02,
    "secondary": 1.2,
    "item_mass": 1.0,
    "capacity": 1e6,
    "tension": 40e3,
    "acceleration": 10.0,
}
"""A bulk conveyor: items are kilograms."""


def flow(engine_seconds: float, **inputs: float) -> list[float]:
    """Run one as delivered and return received, delivered, items, refused."""
    engine = alone(CONVEYOR, inputs=inputs).engine()
    engine.step(round(engine_seconds * 20))
    return read(engine, "received", "delivered", "items", "refused")


def test_resistances_of_a_loaded_belt_by_din_22101() -> None:
    speed, tonnes = 2.5, 900 / 3.6  # 900 t/h
    given = {"drum_speed": speed, "infeed": tonnes}
    engine = alone(CONVEYOR, [ORE], given).engine()
    engine.step(20 * 300)
    load = tonnes / speed * 500
    level = math.sqrt(500**2 - 20**2)
    friction = 1.2 * 0.02 * G * (500 * 30 + (2 * 14 * 500 + load) * level / 500)
    lift = load * 20 / 500 * G
    found = read(engine, "load", "force", "load_torque", "load_inertia", "outfeed")
    assert found[0] == pytest.approx(load, rel=1e-9)
    force = friction + lift + tonnes * speed
    assert found[1] == pytest.approx(force, rel=1e-9)
    lever = P["drum_radius"] / P["gear_ratio"]
    assert found[2] == pytest.approx(force * lever / P["gear_efficiency"], rel=1e-9)
    assert found[3] == pytest.approx((500 * (30 + 28) + load) * lever**2, rel=1e-9)
    assert found[4] == pytest.approx(tonnes, rel=1e-9)


def test_what_goes_in_comes_out_after_the_belts_length() -> None:
    engine = alone(CONVEYOR, inputs={"drum_speed": 0.5}).engine()
    engine.step()
    arrivals = []
    for frame in range(20 * 40):
        write(engine, infeed=0.5 if frame < 40 else 0.0)
        engine.step()
        arrivals.append(read(engine, "delivered")[0])
    out = np.diff(np.array(arrivals), prepend=0.0)
    when = float(np.sum(out * np.arange(len(out))) / np.sum(out)) * 0.05
    assert arrivals[-1] == pytest.approx(1.0, rel=1e-12)
    # Two seconds of items, centred on 1 s, 6 m at 0.5 m/s later; a cell is 0.75 m.
    assert when == pytest.approx(1.0 + 12.0, abs=0.75)
    assert out[: round(20 * (12.0 - 1.5))].sum() == 0.0
    assert out[round(20 * (14.0 + 1.6)) :].sum() == 0.0


@pytest.mark.parametrize("seed", range(3))
def test_items_balance_whatever_happens(seed: int) -> None:
    rng = np.random.default_rng(seed)
    engine = alone(CONVEYOR, [{"items": 3.0}]).engine()
    offered = 0.0
    for _ in range(400):
        infeed = float(rng.choice([0.0, 0.4, 3.0]))
        write(
            engine,
            infeed=infeed,
            drum_speed=float(rng.uniform(0, 1.5)),
            blocked=float(rng.random() < 0.4),
            run=float(rng.random() < 0.8),
        )
        engine.step(4)
        offered += infeed * 0.2
        received, delivered, items, refused = read(
            engine, "received", "delivered", "items", "refused"
        )
        assert 3.0 + received == pytest.approx(delivered + items, abs=1e-10)
        assert received + refused == pytest.approx(offered, abs=1e-9)
        assert -1e-12 <= items <= 9.0 + 1e-9  # what fits, and one cell that is being filled
    assert refused > 0
    assert delivered > 3


def test_blocked_items_pile_up_and_go_on() -> None:
    engine = alone(CONVEYOR, inputs={"drum_speed": 0.6, "infeed": 0.5, "blocked": 1.0}).engine()
    engine.step(20 * 40)
    items, delivered, refused = read(engine, "items", "delivered", "refused")
    assert items == pytest.approx(9.0, abs=1e-9)
    assert delivered == 0.0
    assert refused == pytest.approx(20.0 - 9.0, abs=1e-9)
    write(engine, blocked=0.0, infeed=0.0)
    engine.step(20 * 30)
    assert read(engine, "items", "delivered") == pytest.approx([0.0, 9.0], abs=1e-9)


def test_a_belt_slips_beyond_what_its_drum_can_pass_on() -> None:
    """Euler and Eytelwein: T (exp(mu a) - 1)."""
    tension = 60.0
    grip = tension * (math.exp(0.3 * math.pi) - 1)
    engine = alone(CONVEYOR, [{"tension": tension, "acceleration": 5.0}]).engine()
    write(engine, drum_speed=1.0)
    engine.step(4)
    moving = 6 * (6 + 2 * 4)
    friction = 1.8 * 0.025 * G * moving
    speed, slip, force, inertia = read(engine, "speed", "slip", "force", "load_inertia")
    assert force == pytest.approx(grip, rel=1e-9)
    assert (slip > 0.1, inertia) == (True, 0.0)
    assert speed == pytest.approx((grip - friction) / moving * 0.2, rel=1e-9)
    engine.step(60)
    assert read(engine, "speed", "slip") == pytest.approx([1.0, 0.0], abs=1e-12)
    assert read(engine, "force")[0] == pytest.approx(friction, rel=1e-9)


def test_a_slack_belt_never_moves_and_a_backstop_holds_it() -> None:
    engine = alone(CONVEYOR, [{"tension": 1.0, "height": 3.0, "items": 8.0}], {"run": 0.0}).engine()
    engine.step()
    write(engine, drum_speed=1.0, run=1.0)
    engine.step(100)
    speed, slip = read(engine, "speed", "slip")
    assert (speed, slip) == (0.0, 1.0)


def test_work_of_the_drum_is_lift_friction_and_intake() -> None:
    engine = alone(CONVEYOR, [ORE], {"drum_speed": 2.0, "infeed": 100.0}).engine()
    engine.step(20 * 300)  # full: what is lifted is what leaves
    before = state(engine, CONVEYOR)
    work = 0.0
    for _ in range(200):
        engine.step()
        force, speed = read(engine, "force", "speed")
        work += force * speed * 0.05
    after = state(engine, CONVEYOR)
    gone = after["delivered"] - before["delivered"]
    run = after["distance"] - before["distance"]
    load = 100.0 / 2.0 * 500
    level = math.sqrt(500**2 - 20**2) / 500
    rubbed = 1.2 * 0.02 * G * (500 * 30 + (2 * 14 * 500 + load) * level) * run
    assert work == pytest.approx(rubbed + gone * G * 20 + gone * 2.0**2, rel=1e-9)


def test_no_speed_and_no_size_hangs_it() -> None:
    engine = alone(CONVEYOR, [{"length": 0.1, "acceleration": 100.0}]).engine()
    write(engine, shaft_speed=1e9, infeed=1e9)
    engine.step(20)
    engine.check()
    assert read(engine, "speed")[0] >= 0.0
