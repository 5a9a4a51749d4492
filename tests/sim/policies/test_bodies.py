"""Vehicles that a policy drives are vehicles like others: legs, stops, limits, charge."""

from __future__ import annotations

import io
import json
import math
import os
import threading
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import warp as wp

from stagetwin.fleets import Leg, VehicleType, find_bodies
from stagetwin.maps import Obstacle, RoadMap
from stagetwin.maps.geometry import wrapped
from stagetwin_sim._errors import BundleError, PolicyError
from stagetwin_sim.policies import (
    Bundle,
    ObservationSpec,
    PolicyBodies,
    Runner,
    SigningKey,
    Status,
    Term,
    make_policy_bodies,
    run_vehicle,
)
from stagetwin_sim.policies._process import LinesPort
from stagetwin_sim.policies._senses import SENSES

from .small_bundles import bundle_of, linear_model
from .steering import steering_bundle

TYPE = VehicleType()


def bodies_of(*poses: tuple[float, float, float], road_map: RoadMap | None = None) -> PolicyBodies:
    return PolicyBodies(
        steering_bundle(), [TYPE], np.array(poses, np.float64), road_map, untrusted=True
    )


def until(bodies: PolicyBodies, vehicle: int, legs: int, most: float = 60.0) -> float:
    """Step until legs are done; return the seconds it took."""
    seconds = 0.0
    while bodies.done()[vehicle] < legs:
        assert seconds < most
        bodies.step(0.1)
        seconds += 0.1
    return seconds


@pytest.mark.parametrize("theta", [0.0, math.pi, -1.3, math.nan])
def test_a_leg_ends_where_it_says(theta: float) -> None:
    bodies = bodies_of((0.0, 0.0, 0.5))
    bodies.drive(0, [Leg(x=4.0, y=-2.0, theta=theta)])
    until(bodies, 0, 1)
    x, y, heading = bodies.poses()[0]
    assert math.hypot(x - 4.0, y + 2.0) < 0.03
    if not math.isnan(theta):
        assert abs(wrapped(heading - theta)) < 0.05
    assert np.abs(bodies.velocities()).max() < 0.03
    assert bodies.counts["policy"] + bodies.counts["limited"] > 10


def test_legs_follow_each_other_and_paths_are_followed() -> None:
    bodies = bodies_of((0.0, 0.0, 0.0))
    bodies.drive(0, [Leg(x=3.0, y=3.0, path=((3.0, 0.0),)), Leg(x=0.0, y=3.0, theta=math.pi)])
    nearest = math.inf
    while bodies.done()[0] < 1:
        bodies.step(0.05)
        nearest = min(nearest, math.hypot(*(bodies.poses()[0, :2] - (3.0, 0.0))))
    assert nearest < 0.6
    until(bodies, 0, 2)


def test_a_leg_where_it_stands_turns_on_the_spot() -> None:
    bodies = bodies_of((1.0, 1.0, 0.0))
    bodies.drive(0, [Leg(x=1.0, y=1.0, theta=2.5)])
    until(bodies, 0, 1)
    assert abs(wrapped(bodies.poses()[0, 2] - 2.5)) < 0.05
    assert np.hypot(*(bodies.poses()[0, :2] - 1.0)) < 0.03


def test_stops_keep_or_forget() -> None:
    bodies = bodies_of((0.0, 0.0, 0.0))
    bodies.drive(0, [Leg(x=5.0, y=0.0)])
    bodies.step(2.0)
    assert bodies.velocities()[0, 0] > 0.5
    bodies.stop(0, keep=True)
    bodies.step(3.0)
    assert bodies.velocities()[0, 0] == 0.0
    bodies.resume(0)
    until(bodies, 0, 1)
    bodies.drive(0, [Leg(x=0.0, y=0.0)])
    bodies.step(2.0)
    bodies.stop(0)
    bodies.step(3.0)
    stood = bodies.poses()[0].copy()
    bodies.resume(0)
    bodies.step(2.0)
    assert bodies.poses()[0].tolist() == stood.tolist()
    assert bodies.done()[0] == 1


def test_speeds_are_bounded_by_leg_and_limit() -> None:
    for leg, limit, most in ((0.6, math.inf, 0.6), (math.inf, 0.4, 0.4)):
        bodies = bodies_of((0.0, 0.0, 0.0))
        bodies.limit(0, limit)
        bodies.drive(0, [Leg(x=4.0, y=0.0, speed=leg)])
        fastest = 0.0
        while not bodies.done()[0]:
            bodies.step(0.1)
            fastest = max(fastest, bodies.velocities()[0, 0])
        assert 0.9 * most < fastest <= most + 1e-6


def test_the_protective_field_stops_whatever_the_policy_says() -> None:
    wall = Obstacle(polygon=((3.0, -2.0), (3.2, -2.0), (3.2, 2.0), (3.0, 2.0)))
    bodies = bodies_of((0.0, 0.0, 0.0), road_map=RoadMap(id="floor", obstacles=(wall,)))
    bodies.drive(0, [Leg(x=6.0, y=0.0)])
    bodies.step(20.0)
    assert bodies.blocked()[0]
    assert 2.0 < bodies.poses()[0, 0] < 3.0 - TYPE.front
    assert bodies.velocities()[0, 0] == 0.0


def test_others_are_seen_and_not_run_into() -> None:
    bodies = bodies_of((0.0, 0.0, 0.0), (3.5, 0.0, 0.0))
    bodies.drive(0, [Leg(x=6.0, y=0.0)])
    bodies.step(15.0)
    assert bodies.blocked().tolist() == [True, False]
    assert bodies.poses()[0, 0] + TYPE.front < 3.5 - TYPE.front


def test_a_battery_drains_and_charges() -> None:
    bodies = bodies_of((0.0, 0.0, 0.0))
    bodies.step(36.0)
    assert bodies.charge()[0] == pytest.approx(1.0 - TYPE.draw_idle * 36.0 / 3600 / TYPE.battery)
    bodies.plug(0, True)
    before = bodies.charge()[0]
    bodies.step(10.0)
    assert bodies.charge()[0] > before
    bodies.load(0, 100.0, 1.2, 0.8)
    bodies.place(0, 1.0, 2.0, 4.0)
    assert bodies.poses()[0] == pytest.approx([1.0, 2.0, wrapped(4.0)])


def test_slip_and_errors_of_localisation_do_not_keep_them_from_their_ends() -> None:
    poses = np.zeros((3, 3))
    poses[:, 1] = 4.0 * np.arange(3)
    options = {
        "bundle": steering_bundle(),
        "untrusted": True,
        "noise": {"position": 0.01, "heading": 0.005, "slip": 0.05, "lag": 0.1},
        "lidar_noise": 0.02,
    }
    ends: dict[int, Any] = {}
    for seed in (1, 1, 2):
        bodies = make_policy_bodies([TYPE], poses, None, seed=seed, options=options)
        for vehicle in range(3):
            bodies.drive(vehicle, [Leg(x=4.0, y=poses[vehicle, 1] + 1.0, theta=1.0)])
        for vehicle in range(3):
            until(bodies, vehicle, 1)
        true = np.stack([getattr(bodies.motion.state, name).numpy()[0] for name in "xy"], axis=1)
        assert np.abs(true - poses[:, :2] - (4.0, 1.0)).max() < 0.12
        assert not np.array_equal(true, bodies.poses()[:, :2])  # they believe something else
        assert ends.setdefault(seed, bodies.poses().tolist()) == bodies.poses().tolist()
    assert ends[1] != ends[2]


def test_what_need_not_stop_does_not() -> None:
    bodies = bodies_of((0.0, 0.0, 0.0))
    bodies.drive(0, [Leg(x=3.0, y=0.0, through=True), Leg(x=6.0, y=0.5)])
    slowest = math.inf
    while bodies.done()[0] < 1:
        bodies.step(0.1)
    for _ in range(5):
        bodies.step(0.1)
        slowest = min(slowest, bodies.velocities()[0, 0])
    assert slowest > 0.3
    until(bodies, 0, 2)


def test_a_leg_that_is_added_late_is_the_policys_again() -> None:
    bodies = bodies_of((0.0, 0.0, 0.0))
    bodies.drive(0, [Leg(x=3.0, y=0.0, through=True)])
    while bodies.poses()[0, 0] < 2.75:
        bodies.step(0.1)
    asked = sum(bodies.counts.values())
    bodies.drive(0, [Leg(x=6.0, y=2.0)])
    bodies.step(1.0)
    assert bodies.done()[0] == 1
    assert sum(bodies.counts.values()) >= asked + 9
    until(bodies, 0, 2)


def test_a_leg_backward_is_a_path() -> None:
    bodies = bodies_of((0.0, 0.0, 0.0))
    assert bodies.reverses
    bodies.drive(0, [Leg(x=-2.0, y=0.5, path=((-1.0, 0.0),), backward=True), Leg(x=0.0, y=0.0)])
    furthest = 0.0
    while bodies.done()[0] < 1:
        bodies.step(0.1)
        furthest = max(furthest, *np.abs(bodies.poses()[0, 1:]))
        assert bodies.velocities()[0, 0] < 1e-6 or bodies.done()[0] == 1
    assert sum(bodies.counts.values()) <= 1
    assert furthest < 1.0  # it never turned round
    assert math.dist(bodies.poses()[0, :2], (-2.0, 0.5)) < 0.03
    until(bodies, 0, 2)
    forklift = msgspec.structs.replace(TYPE, reverse_speed=0.0)
    poses = np.zeros((1, 3))
    bodies = PolicyBodies(steering_bundle(), [forklift], poses, untrusted=True)
    with pytest.raises(PolicyError, match="backward it drives at 0 m/s"):
        bodies.drive(0, [Leg(x=1.0, y=0.0, backward=True)])


def test_a_policy_sees_what_the_lidar_of_the_fleet_sees_and_what_it_carries() -> None:
    wall = Obstacle(polygon=((3.0, -2.0), (3.2, -2.0), (3.2, 2.0), (3.0, 2.0)))
    base = steering_bundle()
    load = Term(name="load", unit="kg", scale=100.0, low=0.0, high=500.0, source="load")
    seen = (*base.spec.observations, ObservationSpec(term=load, max_age=0.3))
    weights = np.zeros((31, 2), np.float32)
    weights[4, 0], weights[30, 1] = 1.0, 0.1  # ahead, and the load
    spec = msgspec.structs.replace(base.spec, observations=seen)
    bundle = Bundle(spec=spec, model=linear_model(weights))
    poses = np.zeros((1, 3))
    bodies = PolicyBodies(bundle, [TYPE], poses, RoadMap(id="a", obstacles=(wall,)), untrusted=True)
    bodies.load(0, 50.0, 1.0, 0.8)
    bodies.drive(0, [Leg(x=2.0, y=3.0)])
    bodies.step(0.05)
    asked = bodies.motion.state.command.numpy()[0, 0]
    assert asked == pytest.approx([1.5 * 3.0 / 6.0, 1.5 * 0.1 * 50.0 / 100.0], rel=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not wp.is_cuda_available(), reason="needs a CUDA device")
def test_a_gpu_drives_them_to_the_same_ends() -> None:
    poses = np.array([(0.0, 0.0, 0.5), (0.0, 4.0, 0.0)])
    bodies = PolicyBodies(steering_bundle(), [TYPE], poses, untrusted=True, device="cuda:0")
    for vehicle in range(2):
        bodies.drive(vehicle, [Leg(x=4.0, y=-2.0 + 6.0 * vehicle, theta=1.0)])
    for vehicle in range(2):
        until(bodies, vehicle, 1)
    assert np.abs(bodies.poses() - [(4.0, -2.0, 1.0), (4.0, 4.0, 1.0)]).max() < 0.05


def test_all_that_navigation_sees_is_measured_here() -> None:
    from stagetwin_sim.environments import NavigationConfig

    seen = [one.term for one in NavigationConfig().observations]
    assert {one.name for one in seen if one.source != "action"} <= set(SENSES)


def test_they_are_found_by_name_and_want_a_trusted_bundle(tmp_path: Path) -> None:
    key = SigningKey.make()
    file = steering_bundle().write(tmp_path / "steering.bundle", key)
    key.public.save(tmp_path / "plant.pub.pem")
    make = find_bodies("policy")
    poses = np.zeros((2, 3))
    poses[1, 1] = 5.0
    bodies = make([TYPE], poses, None, options={"bundle": str(file), "trust": [tmp_path]})
    bodies.drive(1, [Leg(x=2.0, y=5.0)])
    for _ in range(100):
        bodies.step(0.1)
    assert bodies.done().tolist() == [0, 1]
    with pytest.raises(BundleError, match="trusted keys: none"):
        make([TYPE], poses, None, options={"bundle": str(file)})
    for options, words in (
        ({}, "option bundle"),
        ({"speed": 1}, "options are bundle"),
        ({"noise": {"wind": 1.0}}, "has position, heading"),
        ({"field": "no"}, "option field: 'no' is of a wrong type"),
    ):
        with pytest.raises(PolicyError, match=words):
            make([TYPE], poses, None, options=options)
    with pytest.raises(PolicyError, match="vehicles here take speed and rotation"):
        make_policy_bodies([TYPE], poses, None, options={"bundle": bundle_of()})


# -- beside a real vehicle


def test_a_vehicle_on_a_pipe_is_driven_and_stopped_at_the_end() -> None:
    readings = {
        "goal_distance": 4.0,
        "goal_direction": [1.0, 0.0],
        "speed": 0.0,
        "lidar": [6.0] * 24,
    }
    runner = Runner(steering_bundle(), untrusted=True)
    came, vehicle = os.pipe(), io.StringIO()
    lines = os.fdopen(came[0])
    with os.fdopen(came[1], "w") as sensors:
        port = LinesPort(lines, vehicle)
        sensors.write("no object\n[1]\n" + json.dumps(readings) + "\n")
        sensors.flush()
        steps = 0

        def wait(_: float) -> None:
            nonlocal steps
            steps += 1
            if steps == 1:
                while not port.read():
                    pass
            if steps == 3:
                sensors.close()
                while not port.closed():
                    pass

        made = run_vehicle(runner, port, sleep=wait)
    lines.close()
    said: list[dict[str, Any]] = [json.loads(line) for line in vehicle.getvalue().splitlines()]
    assert made == 3
    assert port.refused == 2
    driven = [one for one in said if one["status"] in ("policy", "limited")]
    assert driven[0]["speed"] == [1.5]
    assert driven[0]["good_for"] == 0.5
    assert (said[-1]["status"], said[-1]["cause"], said[-1]["speed"]) == ("stop", "ended", [0.0])


def test_a_decision_that_hangs_is_stopped_by_the_dead_man() -> None:
    hangs = threading.Event()

    class Port:
        def __init__(self) -> None:
            self.said: list[tuple[Status, str]] = []
            self.reads = 0

        def read(self) -> dict[str, Any]:
            self.reads += 1
            if self.reads == 2:
                assert hangs.wait(30.0)
            return {}

        def write(self, action: Any, good_for: float) -> None:
            self.said.append((action.status, action.cause))
            if action.cause.startswith("dead man"):
                hangs.set()

        def closed(self) -> bool:
            return self.reads >= 2

    port = Port()
    run_vehicle(Runner(steering_bundle(), untrusted=True), port, dead_man=0.25)
    causes = [cause for _, cause in port.said]
    assert "dead man: no decision in time" in causes
    assert causes[-1] == "ended"
    assert {status for status, _ in port.said} == {Status.STOP}


def test_a_dead_man_shorter_than_the_policy_is_refused() -> None:
    runner = Runner(steering_bundle(), untrusted=True)
    with pytest.raises(PolicyError, match=r"at least 0.2 s, got 0.1"):
        run_vehicle(runner, LinesPort(io.StringIO(), io.StringIO()), dead_man=0.1)
