"""Vehicles: neither limits nor clearances are exceeded; worlds know nothing of each other."""

from __future__ import annotations

import math
from typing import Any

import hypothesis.strategies as st
import numpy as np
import numpy.typing as npt
import pytest
import warp as wp
from hypothesis import given, settings

from stagetwin.fleets import VehicleType
from stagetwin_sim._errors import FleetError, SnapshotError
from stagetwin_sim.fleet import (
    DriveLimits,
    Mode,
    Motion,
    MotionPlan,
    Noise,
    Obstacles,
    drive_limits,
)
from tests.sim.fleet.drive_kernels import drive_all
from tests.sim.fleet.scenes import AMR, busy

Arrays = npt.NDArray[Any]

DRIVERS = 400
ROUND = 1 + 1e-5
"""What rounding of float32 may add."""


def read(motion: Motion, name: str) -> Arrays:
    values: Arrays = getattr(motion.state, name).numpy()
    return values.copy()


def check_limits(kinds: Arrays, before: Arrays, after: Arrays, dt: Any) -> None:
    """Assert that no drive was driven beyond what its type can; twists are (v, omega)."""
    v, was = after[:, 0].astype(float), before[:, 0].astype(float)
    assert (v <= np.maximum(kinds["speed"], was) * ROUND).all()
    assert (v >= np.minimum(-kinds["reverse_speed"], was) * ROUND).all()
    most = np.maximum(kinds["rotation_speed"], np.abs(before[:, 1]))
    assert (np.abs(after[:, 1]) <= most * ROUND).all()
    tiny = 1e-6 + 1e-6 * np.abs(was)
    faster, slower = kinds["acceleration"] * dt + tiny, kinds["deceleration"] * dt + tiny
    same = v * was >= 0
    change = np.abs(v) - np.abs(was)
    assert (change[same] <= faster[same]).all()
    assert (change[same] >= -slower[same]).all()
    # Through standstill: braking and speeding up share the time.
    share = np.abs(was) / kinds["deceleration"] + np.abs(v) / kinds["acceleration"]
    assert (share[~same] <= (dt * ROUND + tiny * 10 / kinds["acceleration"])[~same]).all()
    turned = np.abs(after[:, 1].astype(float) - before[:, 1])
    assert (turned <= kinds["rotation_acceleration"] * dt + 2e-6).all()


@settings(max_examples=20)
@given(seed=st.integers(0, 2**31), lag=st.sampled_from([0.0, 0.05, 1.0]))
def test_a_drive_stays_within_its_limits_whatever_it_is_told(seed: int, lag: float) -> None:
    rng = np.random.default_rng(seed)
    n = DRIVERS
    kinds = np.repeat(drive_limits([AMR], lag), n)
    for name, low, high in (
        ("speed", 0.1, 5.0),
        ("reverse_speed", 0.0, 2.0),
        ("acceleration", 0.05, 6.0),
        ("deceleration", 0.05, 6.0),
        ("rotation_speed", 0.1, 6.0),
        ("rotation_acceleration", 0.1, 12.0),
    ):
        kinds[name] = rng.uniform(low, high, n)
    dt = rng.choice([0.001, 0.02, 0.1, 0.5], n).astype(np.float32)
    poses = np.zeros((n, 3), np.float32)
    twists = np.zeros((n, 2), np.float32)
    slips = rng.uniform(0.0, 0.5, (n, 2)).astype(np.float32)
    for _ in range(8):
        wild = rng.choice([0.1, 1.0, 100.0], (n, 1))
        commands = (rng.normal(0.0, 2.0, (n, 2)) * wild).astype(np.float32)
        place: wp.array[Any] = wp.array(poses, dtype=wp.vec3)
        turn: wp.array[Any] = wp.array(twists, dtype=wp.vec2)
        wp.launch(
            drive_all,
            dim=n,
            inputs=[
                place,
                turn,
                wp.array(commands, dtype=wp.vec2),
                wp.array(kinds, dtype=DriveLimits),
                wp.array(slips, dtype=wp.vec2),
                wp.array(dt, dtype=wp.float32),
            ],
        )
        after, moved = turn.numpy(), place.numpy()
        check_limits(kinds, twists, after, dt)
        gone = np.hypot(*(moved - poses)[:, :2].T)
        assert (gone <= np.abs(after[:, 0]) * dt * ROUND + 1e-5).all()
        assert (np.abs(moved[:, 2]) <= math.pi * ROUND).all()
        poses, twists = moved.copy(), after.copy()


def test_an_arc_ends_where_geometry_says() -> None:
    slow = [VehicleType(speed=1.0, rotation_speed=1.0)]
    kinds: wp.array[Any] = wp.array(drive_limits(slow), dtype=DriveLimits)
    poses: wp.array[Any] = wp.array(np.zeros((1, 3), np.float32), dtype=wp.vec3)
    twists: wp.array[Any] = wp.array(np.array([[1.0, 0.5]], np.float32), dtype=wp.vec2)
    still = wp.zeros(1, dtype=wp.vec2)
    for _ in range(10):
        wp.launch(
            drive_all,
            dim=1,
            inputs=[poses, twists, twists, kinds, still, wp.full(1, 0.1, dtype=wp.float32)],
        )
    np.testing.assert_allclose(
        poses.numpy()[0], [2 * math.sin(0.5), 2 * (1 - math.cos(0.5)), 0.5], rtol=1e-5
    )


# -- paths


def wandering(seed: int, dt: float, noise: Noise) -> tuple[Motion, list[Arrays], Arrays]:
    """Return vehicles of many types on paths of many shapes, their paths, and their limits."""
    rng = np.random.default_rng(seed)
    n = 120
    types = [
        VehicleType(
            speed=rng.uniform(0.3, 3.0),
            reverse_speed=rng.uniform(0.1, 1.0),
            acceleration=rng.uniform(0.2, 2.0),
            deceleration=rng.uniform(0.2, 3.0),
            rotation_speed=rng.uniform(0.3, 3.0),
            rotation_acceleration=rng.uniform(0.5, 6.0),
        )
        for _ in range(8)
    ]
    chosen = rng.integers(0, 8, n)
    poses = np.zeros((n, 3))
    poses[:, 2] = rng.uniform(-3.0, 3.0, n)
    plan = MotionPlan(
        types=types,
        vehicle_types=chosen.tolist(),
        poses=poses,
        step=dt,
        noise=noise,
        fields=False,
        counting=False,
    )
    motion = Motion(plan, seed=seed)
    paths = []
    for i in range(n):
        count = int(rng.integers(1, 9))
        gentle = i % 2 == 1
        angles = np.cumsum(rng.uniform(-0.5, 0.5, count) if gentle else rng.uniform(-3, 3, count))
        lengths = rng.uniform(0.05, 1.5, count) if gentle else rng.uniform(0.3, 3.0, count)
        legs = np.stack([lengths * np.cos(angles), lengths * np.sin(angles)], axis=1)
        points = np.vstack([[0.0, 0.0], np.cumsum(legs, axis=0)])
        limits = rng.uniform(0.3, 3.0, count)
        if i % 5 == 0:
            limits *= rng.choice([-1.0, 1.0], count)
        final = rng.uniform(-3.0, 3.0) if i % 3 else math.nan
        motion.set_path(0, i, points.tolist(), limits=limits.tolist(), theta=final)
        paths.append(points)
    return motion, paths, drive_limits([types[k] for k in chosen], noise.lag)


def off_path(points: Arrays, x: float, y: float) -> float:
    """Return the distance of a place from a polyline [m]."""
    a, b = points[:-1], points[1:]
    edge = b - a
    t = np.clip(((np.array([x, y]) - a) * edge).sum(1) / (edge**2).sum(1), 0.0, 1.0)
    return float(np.hypot(*(a + t[:, None] * edge - [x, y]).T).min())


@pytest.mark.parametrize(
    ("seed", "dt", "noise"),
    [
        (0, 0.05, Noise()),
        (1, 0.1, Noise(lag=0.2)),
        (2, 0.05, Noise(slip=0.1, slip_rotation=0.1)),
        (3, 0.05, Noise(position=0.02, heading=0.01)),
    ],
    ids=["plain", "lag", "slip", "noise"],
)
def test_no_clearance_is_passed_and_every_path_ends(seed: int, dt: float, noise: Noise) -> None:
    motion, paths, kinds = wandering(seed, dt, noise)
    rng = np.random.default_rng(seed)
    n = len(paths)
    s_max = motion.state.s_max.numpy()
    ends = np.array([np.hypot(*np.diff(p, axis=0).T).sum() for p in paths])
    widest = 0.0
    for step in range(int(110.0 / dt)):
        if step % 31 == 0:  # what is cleared grows in fits, and halts in between
            s_max[0] += rng.uniform(0.0, 2.0, n) * (rng.random(n) < 0.6)
        if step * dt > 50.0:
            s_max[0] = np.inf
        before = np.stack([read(motion, "v")[0], read(motion, "omega")[0]], axis=1)
        motion.step()
        after = np.stack([read(motion, "v")[0], read(motion, "omega")[0]], axis=1)
        check_limits(kinds, before, after, dt)
        assert (read(motion, "s")[0] <= np.minimum(s_max[0], ends + 1e-4) + 1e-6).all()
        if step % 20 == 0:
            x, y = read(motion, "x")[0], read(motion, "y")[0]
            off = [off_path(p, float(a), float(b)) for p, a, b in zip(paths, x, y, strict=True)]
            widest = max(widest, *off)
    assert read(motion, "overruns").sum() == 0
    assert read(motion, "arrived").all()
    x, y = read(motion, "x")[0], read(motion, "y")[0]
    missed = [math.hypot(a - p[-1, 0], b - p[-1, 1]) for p, a, b in zip(paths, x, y, strict=True)]
    # Some of the types turn slowly, and swing wide of a bend.
    assert np.quantile(missed, 0.9) < 0.07
    assert max(missed) < 0.2
    assert widest < 0.2


def test_a_clearance_is_reached_to_within_a_centimetre_and_held() -> None:
    plan = MotionPlan(types=(AMR,), poses=[(0.0, 0.0, 0.0)], fields=False)
    motion = Motion(plan)
    assert motion.set_path(0, 0, [(0.0, 0.0), (10.0, 0.0)]) == pytest.approx(10.0)
    motion.step(20)
    assert read(motion, "x")[0, 0] == 0.0
    motion.clear(0, 0, 4.0)
    motion.step(200)
    x = read(motion, "x")[0, 0]
    assert 3.99 < x <= 4.0
    motion.step(100)
    assert read(motion, "x")[0, 0] == x
    assert read(motion, "stops")[0, 0] == 1
    assert read(motion, "waited")[0, 0] > 5.0


def test_the_way_is_driven_about_as_fast_as_the_profile_allows() -> None:
    plan = MotionPlan(types=(AMR,), poses=[(0.0, 0.0, 0.0)], fields=False, step=0.02)
    motion = Motion(plan)
    motion.set_path(0, 0, [(0.0, 0.0), (10.0, 0.0)], s_max=math.inf)
    steps = 0
    while not read(motion, "arrived")[0, 0]:
        motion.step()
        steps += 1
        assert steps < 1000
    # Speeding up 1.5^2 / 1.6, braking 1.5^2 / 2, the rest at 1.5 m/s.
    ideal = 1.5 / 0.8 + 1.5 / 1.0 + (10.0 - 1.5**2 / 1.6 - 1.5**2 / 2.0) / 1.5
    assert ideal - 0.05 < steps * 0.02 < ideal * 1.12


def test_a_clearance_that_is_taken_back_is_an_overrun() -> None:
    plan = MotionPlan(types=(AMR,), poses=[(0.0, 0.0, 0.0)], fields=False)
    motion = Motion(plan)
    motion.set_path(0, 0, [(0.0, 0.0), (10.0, 0.0)], s_max=8.0)
    motion.step(60)
    motion.clear(0, 0, float(read(motion, "s")[0, 0]) + 0.1)
    motion.step(60)
    assert read(motion, "overruns")[0, 0] == 1
    assert read(motion, "v")[0, 0] == 0.0


def test_a_path_is_driven_backward_where_it_says_so() -> None:
    plan = MotionPlan(types=(AMR,), poses=[(0.0, 0.0, 0.0)], fields=False)
    motion = Motion(plan)
    line = [(0.0, 0.0), (2.0, 0.0), (1.0, 0.0)]
    motion.set_path(0, 0, line, limits=[1.0, -0.2], s_max=math.inf)
    slowest = 0.0
    for _ in range(300):
        motion.step()
        slowest = min(slowest, float(read(motion, "v")[0, 0]))
    assert slowest == pytest.approx(-0.2, abs=1e-3)
    assert abs(read(motion, "theta")[0, 0]) < 0.02
    assert read(motion, "x")[0, 0] == pytest.approx(1.0, abs=0.011)
    assert read(motion, "arrived")[0, 0] == 1


def test_a_path_grows_while_it_is_driven() -> None:
    plan = MotionPlan(types=(AMR,), poses=[(0.0, 0.0, 0.0)], fields=False, path_points=4)
    motion = Motion(plan)
    motion.set_path(0, 0, [(0.0, 0.0), (2.0, 0.0)], s_max=math.inf)
    for k in range(2, 9):
        fastest = 0.0
        for _ in range(400):
            motion.step()
            fastest = max(fastest, float(read(motion, "v")[0, 0]))
            if read(motion, "x")[0, 0] > k - 1.2:
                break
        motion.extend_path(0, 0, [(float(k + 1), 0.0)])
        assert fastest > 0.4
    with pytest.raises(FleetError, match="vehicle 0 of world 0: path_points allows 4"):
        motion.extend_path(0, 0, [(20.0, float(k)) for k in range(6)])
    motion.step(300)
    assert read(motion, "x")[0, 0] == pytest.approx(9.0, abs=0.011)
    assert read(motion, "distance")[0, 0] == pytest.approx(9.0, abs=0.02)


def test_one_point_with_a_heading_turns_on_the_spot() -> None:
    plan = MotionPlan(types=(AMR,), poses=[(1.0, 1.0, 0.0)])
    motion = Motion(plan)
    motion.set_path(0, 0, [(1.0, 1.0)], theta=2.5, s_max=math.inf)
    motion.step(100)
    assert read(motion, "theta")[0, 0] == pytest.approx(2.5, abs=0.011)
    assert read(motion, "arrived")[0, 0] == 1
    assert read(motion, "distance")[0, 0] == 0.0


def test_bounds_of_speeds_are_kept() -> None:
    plan = MotionPlan(types=(AMR,), poses=[(0.0, 0.0, 0.0)])
    motion = Motion(plan)
    motion.limit(0, 0, 0.5, 0.3)
    motion.set_path(0, 0, [(0.0, 0.0), (2.0, 0.0), (2.0, 2.0)], s_max=math.inf)
    fastest = np.zeros(2)
    for _ in range(500):
        motion.step()
        now = [abs(read(motion, "v")[0, 0]), abs(read(motion, "omega")[0, 0])]
        fastest = np.maximum(fastest, now)
    np.testing.assert_allclose(fastest, [0.5, 0.3], rtol=1e-5)
    assert read(motion, "arrived")[0, 0] == 1


def test_a_command_is_driven_within_speed_limit_and_field() -> None:
    wall = Obstacles([[(4.0, -2.0), (4.2, -2.0), (4.2, 2.0), (4.0, 2.0)]])
    plan = MotionPlan(types=(AMR,), poses=[(0.0, 0.0, 0.0), (0.0, 4.0, 0.0)], obstacles=wall)
    motion = Motion(plan)
    for i in range(2):
        motion.command(0, i, 9.0, 0.0)
    motion.limit(0, 1, 0.5)
    motion.step(300)
    assert read(motion, "v")[0].tolist() == [0.0, 0.5]
    assert read(motion, "blocked")[0].tolist() == [1, 0]
    assert 3.5 < read(motion, "x")[0, 0] + AMR.front < 4.0
    motion.command(0, 0, -0.1, 0.0)  # what is ahead keeps nobody from backing away
    motion.step(40)
    assert read(motion, "v")[0, 0] == pytest.approx(-0.1)
    assert read(motion, "collisions").sum() == 0


def test_vehicles_share_a_path() -> None:
    plan = MotionPlan(
        types=(AMR,),
        poses=[(0.0, 0.0, 0.0), (-2.0, 0.0, 0.0)],
        shared_paths=[[(-2.0, 0.0), (0.0, 0.0), (5.0, 0.0)]],
    )
    motion = Motion(plan)
    assert [motion.use_path(0, i, 0) for i in range(2)] == [pytest.approx(7.0)] * 2
    motion.clear(0, 0, 7.0)
    motion.clear(0, 1, 5.0)
    motion.step(300)
    np.testing.assert_allclose(read(motion, "x")[0], [5.0, 3.0], atol=0.011)
    assert read(motion, "touching").sum() == 0
    with pytest.raises(FleetError, match="a shared path cannot be extended"):
        motion.extend_path(0, 0, [(9.0, 0.0)])


def test_a_load_slows_nothing_and_costs_more() -> None:
    plan = MotionPlan(types=(AMR,), poses=[(0.0, 0.0, 0.0), (0.0, 5.0, 0.0)], fields=False)
    motion = Motion(plan)
    motion.carry(0, 1, 7, 150.0, 1.0, 0.7)
    for i in range(2):
        motion.set_path(0, i, [(0.0, 5.0 * i), (20.0, 5.0 * i)], s_max=math.inf)
    motion.step(400)
    seconds, energy = 400 * 0.05, read(motion, "energy")[0]
    # 40 W all the time; 200 W at full speed for the weight of the vehicle.
    assert energy[0] == pytest.approx(40 * seconds + 200 * 20.0 / 1.5, rel=0.01)
    assert energy[1] - energy[0] == pytest.approx(200 * 20.0 / 1.5, rel=0.01)
    used = 1.0 - read(motion, "charge")[0]
    np.testing.assert_allclose(used * 1200 * 3600, energy, rtol=0.01)
    motion.plug(0, 1, True)
    motion.step(400)
    assert read(motion, "charge")[0, 1] == 1.0


def test_an_empty_battery_stops_a_vehicle() -> None:
    plan = MotionPlan(types=(AMR,), poses=[(0.0, 0.0, 0.0)], charge=0.0)
    motion = Motion(plan)
    motion.set_path(0, 0, [(0.0, 0.0), (5.0, 0.0)], s_max=math.inf)
    motion.step(20)
    assert read(motion, "x")[0, 0] == 0.0


@settings(max_examples=6)
@given(seed=st.integers(0, 2**20))
def test_limits_hold_in_a_crowd_in_every_mode(seed: int) -> None:
    motion = busy(3, seed=seed)
    kinds = drive_limits([motion.plan.types[k] for k in motion.plan.type_indices()] * 3)
    rng = np.random.default_rng(seed)
    mode = motion.state.mode.numpy()
    before = np.stack([read(motion, "v").ravel(), read(motion, "omega").ravel()], axis=1)
    for step in range(160):
        if step % 20 == 0:
            modes = [Mode.STOPPED, Mode.PATH, Mode.FREE, Mode.COMMANDED]
            mode[:] = rng.choice(modes, mode.shape, p=[0.2, 0.3, 0.3, 0.2])
            given = motion.state.command.numpy()
            given[:] = rng.uniform(-9.0, 9.0, given.shape)
        motion.step()
        after = np.stack([read(motion, "v").ravel(), read(motion, "omega").ravel()], axis=1)
        check_limits(kinds, before, after, motion.plan.step)
        before = after
    assert np.isfinite(before).all()


# -- worlds, seeds, saved states


def whole(motion: Motion) -> dict[str, Arrays]:
    return dict(motion.save())


def assert_same(one: dict[str, Arrays], two: dict[str, Arrays]) -> None:
    assert one.keys() == two.keys()
    for name, values in one.items():
        assert values.tobytes() == two[name].tobytes(), name


def test_a_world_is_the_same_alone_and_in_a_batch() -> None:
    batch = busy(4)
    batch.step(150)
    together = whole(batch)
    for world in (0, 3):
        alone = busy(1, seed=3 + world)
        alone.step(150)
        here = {name: values[world : world + 1] for name, values in together.items()}
        begin = here.pop("path_begin") - world * 12 * 64
        one = whole(alone)
        np.testing.assert_array_equal(one.pop("path_begin"), begin)
        assert_same(one, here)


def test_a_seed_gives_one_run_and_another_seed_another() -> None:
    runs = []
    for seed in (3, 3, 4):
        motion = busy(2)
        motion.seeds.assign(np.array([seed, seed + 1], np.int32))
        motion.step(60)
        runs.append(whole(motion))
    assert_same(runs[0], runs[1])
    assert (runs[0]["x"] != runs[2]["x"]).any()


def test_a_saved_state_goes_on_bit_for_bit() -> None:
    motion = busy(2)
    motion.step(40)
    saved = motion.save()
    motion.step(40)
    expected = whole(motion)
    other = busy(2, seed=9)
    other.step(3)
    other.load(saved)
    for _ in range(40):
        other.launch()  # without a graph
    assert_same(expected, whole(other))
    with pytest.raises(SnapshotError, match="other arrays"):
        other.load({name: saved[name] for name in ("x", "y")})
    with pytest.raises(SnapshotError, match="x must be float32"):
        other.load({**saved, "x": saved["x"][:1]})


def test_worlds_go_back_to_their_begin_one_by_one() -> None:
    motion = busy(3)
    first = whole(Motion(motion.plan, 3, 3))
    motion.step(50)
    moved = whole(motion)
    motion.reset([True, False, True])
    now = whole(motion)
    for name in first.keys() - {"ticks", "seeds"}:
        np.testing.assert_array_equal(now[name][[0, 2]], first[name][[0, 2]], err_msg=name)
        np.testing.assert_array_equal(now[name][1], moved[name][1], err_msg=name)
    assert now["ticks"].ravel().tolist() == [50, 50, 50]


def test_layouts_differ_by_world() -> None:
    wall = Obstacles([[(2.0, -2.0), (2.2, -2.0), (2.2, 2.0), (2.0, 2.0)]])
    plan = MotionPlan(
        types=(AMR,),
        poses=[(0.0, 0.0, 0.0)],
        obstacles=[Obstacles(), wall],
        world_layouts=[0, 1],
        bounds=(-5.0, -5.0, 5.0, 5.0),
    )
    motion = Motion(plan, worlds=2)
    for world in range(2):
        motion.set_path(world, 0, [(0.0, 0.0), (4.0, 0.0)], s_max=math.inf)
    motion.step(200)
    x = read(motion, "x")[:, 0]
    assert x[0] == pytest.approx(4.0, abs=0.011)
    assert 1.2 < x[1] < 1.55
    assert read(motion, "blocked")[:, 0].tolist() == [0, 1]
    assert read(motion, "collisions").sum() == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"poses": [(0.0, 0.0)]}, r"\(vehicles, 3\)"),
        ({"poses": [(0.0, math.nan, 0.0)]}, "finite, got nan"),
        ({"types": ()}, "at least one type"),
        ({"vehicle_types": [2]}, "an index below 1"),
        ({"step": 0.0}, "step must be finite and at least 1e-06, got 0.0"),
        ({"neighbours": 11}, "neighbours must be 0 to 10, got 11"),
        ({"preferred": "mine"}, "goal or given"),
        ({"margin": 0.1}, r"margin must be in \[0, 0.005\)"),
        ({"charge": 1.5}, "charge must be 0 to 1"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(FleetError, match=words):
        MotionPlan(**{"types": (AMR,), "poses": [(0.0, 0.0, 0.0)], **changes})


def test_what_cannot_be_asked_of_a_motion_is_refused() -> None:
    motion = Motion(MotionPlan(types=(AMR,), poses=[(0.0, 0.0, 0.0)]))
    with pytest.raises(FleetError, match="vehicle 0 of world 0: limits must be 1"):
        motion.set_path(0, 0, [(0.0, 0.0), (1.0, 0.0)], limits=[1.0, 2.0])
    with pytest.raises(FleetError, match="finite points"):
        motion.set_path(0, 0, [(0.0, math.inf)])
    with pytest.raises(FleetError, match="mask must be of 1 worlds"):
        motion.reset([True, False])
    with pytest.raises(FleetError, match="poses must be of 2 worlds"):
        Motion(MotionPlan(types=(AMR,), poses=np.zeros((3, 1, 3))), worlds=2)
    assert read(motion, "mode")[0, 0] == Mode.STOPPED


@pytest.mark.gpu
@pytest.mark.skipif(not wp.is_cuda_available(), reason="needs a CUDA device")
def test_a_gpu_drives_as_a_cpu_does() -> None:
    runs = []
    for device in ("cpu", "cuda:0"):
        motion = busy(3, device=device)
        motion.step(10)
        early = motion.save()
        motion.step(200)
        again = motion.save()
        runs.append((early, again))
    for name in ("x", "y", "theta", "s"):
        np.testing.assert_allclose(runs[0][0][name], runs[1][0][name], atol=2e-3, err_msg=name)
    motion = busy(3, device="cuda:0")
    motion.step(210)
    assert_same(dict(runs[1][1]), dict(motion.save()))
