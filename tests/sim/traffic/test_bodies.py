"""Bodies behind `stagetwin.fleets`: legs, stops, and what counts as done."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stagetwin.fleets import Leg, VehicleType, find_bodies
from stagetwin_sim._errors import TrafficError
from stagetwin_sim.traffic import SimulatedBodies


def _bodies(count: int = 1) -> SimulatedBodies:
    poses = np.array([[10.0 * i, 0.0, 0.0] for i in range(count)])
    made = find_bodies("simulated")([VehicleType()], poses, None, options={"step": 0.05})
    assert isinstance(made, SimulatedBodies)
    return made


def test_legs_are_driven_one_after_the_other() -> None:
    bodies = _bodies()
    bodies.drive(0, [Leg(x=3, y=0, through=True), Leg(x=5, y=0), Leg(x=5, y=2, theta=0.0)])
    slowest = math.inf
    while bodies.done()[0] < 2:
        bodies.step(0.05)
        if bodies.done()[0] == 0 and bodies.poses()[0, 0] > 1:
            slowest = min(slowest, bodies.velocities()[0, 0])
    assert slowest > 0.8, "a leg that goes on needs no stand"
    bodies.step(10)
    assert bodies.done()[0] == 3
    assert np.allclose(bodies.poses()[0], (5, 2, 0), atol=0.03)


def test_a_leg_appended_under_way_goes_on_without_a_stand() -> None:
    bodies = _bodies()
    bodies.drive(0, [Leg(x=3, y=0, through=True)])
    bodies.step(1.5)
    bodies.drive(0, [Leg(x=6, y=0, through=True)])
    seen = []
    while bodies.done()[0] < 1:
        bodies.step(0.05)
        seen.append(bodies.velocities()[0, 0])
    assert seen[-1] > 1.0
    bodies.step(8)
    assert bodies.done()[0] == 2, "the last ends at a stand whatever it says"
    assert abs(bodies.velocities()[0, 0]) < 0.01


def test_a_stop_keeps_or_forgets() -> None:
    bodies = _bodies(2)
    for vehicle in range(2):
        bodies.drive(vehicle, [Leg(x=10 * vehicle + 6, y=0)])
    bodies.step(2)
    bodies.stop(0, keep=True)
    bodies.stop(1)
    bodies.drive(0, [Leg(x=6, y=3)])
    bodies.step(5)
    assert np.abs(bodies.velocities()[:, 0]).max() < 0.01
    assert bodies.done().tolist() == [0, 0]
    bodies.resume(0)
    bodies.step(15)
    assert bodies.done().tolist() == [2, 0]
    bodies.drive(1, [Leg(x=12, y=0)])
    bodies.step(12)
    assert bodies.done().tolist() == [2, 1]


def test_a_leg_where_it_stands_turns_it() -> None:
    bodies = _bodies()
    bodies.drive(0, [Leg(x=0, y=0, theta=2.0), Leg(x=0, y=0)])
    bodies.step(5)
    assert bodies.done()[0] == 2
    assert bodies.poses()[0, 2] == pytest.approx(2.0, abs=0.02)
    bodies.place(0, 4, 4, -1.0)
    assert bodies.poses()[0].tolist() == pytest.approx([4, 4, -1.0], abs=1e-5)


def test_loads_limits_and_plugs_reach_motion() -> None:
    bodies = _bodies()
    before = bodies.charge()[0]
    bodies.load(0, 50.0, 1.2, 0.8)
    bodies.limit(0, 0.4)
    bodies.drive(0, [Leg(x=5, y=0)])
    bodies.step(3)
    assert 0.3 < bodies.velocities()[0, 0] <= 0.4 + 1e-4
    assert bodies.motion.state.length.numpy()[0, 0] == pytest.approx(1.2)
    assert bodies.charge()[0] < before
    assert not bodies.blocked()[0]


def test_a_leg_bounds_how_fast_a_vehicle_turns() -> None:
    """On the leg, in the bend into it, and not after it; a speed limit stays what it is."""
    bodies = _bodies()
    bodies.limit(0, 0.9)
    bodies.drive(
        0,
        [
            Leg(x=4, y=0, path=((2, 0),), through=True),
            Leg(x=6, y=2, path=((5, 0.3), (5.7, 1)), rotation_speed=0.3, through=True),
            Leg(x=6, y=4, theta=-1.6, rotation_speed=0.3),
            Leg(x=6, y=4, theta=1.6),
        ],
    )
    turns: list[list[float]] = [[], [], [], []]
    while bodies.done()[0] < 4:
        bodies.step(0.05)
        turns[min(int(bodies.done()[0]), 3)].append(abs(float(bodies.velocities()[0, 2])))
        assert bodies.velocities()[0, 0] <= 0.9 + 1e-4
    assert max(turns[1]) <= 0.3 + 1e-4
    assert 0.25 < max(turns[2]) <= 0.3 + 1e-4
    assert max(turns[3]) > 1.0


def test_what_is_no_leg_or_option_is_refused() -> None:
    bodies = _bodies()
    with pytest.raises(TrafficError, match="finite"):
        bodies.drive(0, [Leg(x=math.nan, y=0)])
    with pytest.raises(TrafficError, match="vehicle must be in"):
        bodies.drive(3, [])
    with pytest.raises(TrafficError, match="no option 'stop'"):
        find_bodies()([VehicleType()], np.zeros((1, 3)), None, options={"stop": 1})
