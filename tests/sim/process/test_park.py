"""Wind parks: wakes against published formulas, and by where turbines stand on the stage."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stagetwin_sim._errors import SnapshotError
from stagetwin_sim.engine import Engine
from stagetwin_sim.plant import PlantModel
from stagetwin_sim.process import WIND_TURBINE, rotor_radius
from tests.sim.plant.stages import clean, codes, model, out_of, read
from tests.stages.plants import prim

RADIUS = float(rotor_radius({p.name: np.array(p.value) for p in WIND_TURBINE.parameters}))
DEGREE = math.pi / 180


def turbine(name: str, x: float, y: float) -> str:
    place = f"""double3 xformOp:translate = ({x}, {y}, 0)
    uniform token[] xformOpOrder = ["xformOp:translate"]"""
    return prim(name, place, model("rotor", "wind-turbine"))


def park(*places: tuple[float, float], **given: float) -> PlantModel:
    """A park whose turbines /Plant/W0, W1, ... stand at these places [m]."""
    names = [f"/Plant/W{i}" for i in range(len(places))]
    constants = {"wind_speed": 8.0, "wind_direction": 0.0, **given}
    return clean(
        prim("Park", model("wakes", "wind-park", turbines=names, parameters=constants)),
        *(turbine(f"W{i}", x, y) for i, (x, y) in enumerate(places)),
    )


def settled(found: PlantModel, seconds: float = 120.0) -> Engine:
    engine = found.plan.engine()
    engine.step(round(seconds * 20))
    return engine


def winds(engine: Engine, count: int, world: int = 0) -> list[float]:
    columns = [
        engine.plan.column(f"/Plant/W{i}.twin:model:rotor:in:wind_speed") for i in range(count)
    ]
    return [float(v) for v in engine.read(columns)[world]]


def outputs(engine: Engine, port: str, count: int) -> list[float]:
    columns = [engine.plan.column(out_of(f"W{i}", "rotor", port)) for i in range(count)]
    return [float(v) for v in engine.read(columns)[0]]


def jensen(thrust: float, behind: float, decay: float = 0.075) -> float:
    """Deficit on the axis of a wake: Jensen 1983 in the form of Katic et al. 1986."""
    return (1 - math.sqrt(1 - thrust)) * (1 + decay * behind / RADIUS) ** -2


def test_two_in_line_by_jensen() -> None:
    # Wind from north (+Y): the turbine in the south stands in the wake.
    engine = settled(park((0.0, 0.0), (0.0, -500.0)))
    thrust = outputs(engine, "thrust_coefficient", 2)[0]
    assert 0.7 < thrust < 0.85
    first, second = winds(engine, 2)
    assert first == 8.0
    assert second == pytest.approx(8.0 * (1 - jensen(thrust, 500.0)), rel=1e-9)
    power = outputs(engine, "power", 2)
    assert power[1] == pytest.approx(power[0] * (second / 8.0) ** 3, rel=1e-3)


def test_the_published_example_of_a_full_wake() -> None:
    """Jensen 1983: with a = 1/3 and k = 0.1 the wind behind is v (1 - 2/3 / (1 + 0.1 x/r)^2)."""
    for behind in (5.0, 10.0, 20.0):
        expected = 2 / 3 / (1 + 0.1 * behind) ** 2
        assert jensen(8 / 9, behind * RADIUS, 0.1) == pytest.approx(expected, rel=1e-12)
    found = park((0.0, 0.0), (0.0, -10 * RADIUS), wake_decay=0.1)
    engine = found.plan.engine()
    column = engine.plan.column(out_of("W0", "rotor", "thrust_coefficient"))
    engine.write([column], [8 / 9])
    engine.step()
    assert winds(engine, 2)[1] == pytest.approx(8.0 * (1 - 2 / 3 / 4), rel=1e-12)


def test_squares_of_deficits_add() -> None:
    engine = settled(park((0.0, 0.0), (0.0, -400.0), (0.0, -900.0)), 200.0)
    thrust = outputs(engine, "thrust_coefficient", 3)
    both = math.hypot(jensen(thrust[0], 900.0), jensen(thrust[1], 500.0))
    assert winds(engine, 3)[2] == pytest.approx(8.0 * (1 - both), rel=1e-9)


@pytest.mark.parametrize(
    ("direction", "waked"), [(0.0, 1), (180.0, 0), (90.0, None), (270.0, None), (2.0, 1)]
)
def test_the_wind_decides_who_is_in_whose_wake(direction: float, waked: int | None) -> None:
    found = park((0.0, 0.0), (0.0, -600.0), wind_direction=direction * DEGREE)
    seen = winds(settled(found), 2)
    expected = [i == waked for i in range(2)]
    assert [v < 7.9 for v in seen] == expected


def test_the_stages_north_turns_it() -> None:
    # +Y of the stage is east: turbines along Y stand east to west.
    places = (0.0, 0.0), (0.0, -600.0)
    east = park(*places, north=90 * DEGREE, wind_direction=90 * DEGREE)
    north = park(*places)
    assert winds(settled(east), 2) == pytest.approx(winds(settled(north), 2), rel=1e-6)


def test_a_rotor_partly_within_a_wake_has_that_share() -> None:
    """The wake's edge through the rotor's centre: nearly half of it is in, for a wide wake."""
    behind = 400.0
    wake = RADIUS + 0.075 * behind
    seen = {}
    for aside in (0.0, wake - RADIUS, wake, wake + RADIUS):
        engine = settled(park((0.0, 0.0), (aside, -behind)))
        full = jensen(outputs(engine, "thrust_coefficient", 2)[0], behind)
        seen[aside] = (1 - winds(engine, 2)[1] / 8.0) / full
    shares = list(seen.values())
    assert shares[:2] == pytest.approx([1.0, 1.0], rel=1e-9)
    # The lens of two circles, by counting points.
    grid = (np.arange(2000) + 0.5) / 1000 - 1
    x, y = np.meshgrid(grid, grid)
    inside = x**2 + y**2 <= 1
    lens = np.mean(((x * RADIUS + wake) ** 2 + (y * RADIUS) ** 2 <= wake**2)[inside])
    assert shares[2] == pytest.approx(lens, abs=1e-3)
    assert shares[3] == pytest.approx(0.0, abs=1e-9)


def test_a_park_adds_up_and_says_what_wakes_took() -> None:
    engine = settled(park((0.0, 0.0), (0.0, -500.0), (800.0, 0.0)))
    total, loss = (
        float(engine.read([engine.plan.column(out_of("Park", "wakes", port))])[0, 0])
        for port in ("power", "wake_loss")
    )
    power = sum(outputs(engine, "power", 3))
    assert total == pytest.approx(power, rel=1e-6)
    cubes = [(v / 8.0) ** 3 for v in winds(engine, 3)]
    assert loss == pytest.approx(1 - sum(cubes) / 3, rel=1e-9)


def test_turbines_turn_to_the_parks_wind() -> None:
    engine = settled(park((0.0, 0.0), (0.0, -500.0), wind_direction=-0.5))
    assert outputs(engine, "yaw_error", 2) == pytest.approx([0.0, 0.0], abs=1e-9)


def test_worlds_may_try_other_layouts_and_a_fork_keeps_them() -> None:
    engine = settled(park((0.0, 0.0), (0.0, -500.0)))
    fork = engine.fork(2)
    system = fork.systems["wind-park"]
    position = system.save()["position"]
    position[1, 0, 1] = 900.0  # the second world moves the second turbine out of the wake
    system.load({"position": position})
    fork.step(20)
    assert winds(fork, 2, 0)[1] < 7.1
    assert winds(fork, 2, 1)[1] == 8.0
    with pytest.raises(SnapshotError, match="wind-park: position"):
        system.load({})


def test_another_layout_is_another_plan() -> None:
    first, second = park((0.0, 0.0), (0.0, -500.0)), park((0.0, 0.0), (0.0, -501.0))
    assert first.plan.revision != second.plan.revision


def test_a_park_without_turbines_is_a_problem_of_its_own() -> None:
    found = read(
        prim("Park", model("wakes", "wind-park", turbines=["/Plant/Pole", "/Plant/W0"])),
        prim("Pole"),
        prim("Empty", model("wakes", "wind-park")),
        turbine("W0", 0.0, 0.0),
    )
    assert codes(found) == [("/Plant/Empty", "turbines"), ("/Plant/Park", "turbines")]
    assert "/Plant/W0.rotor" in found.instances
