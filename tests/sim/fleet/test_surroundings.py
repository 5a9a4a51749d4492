"""What vehicles see and count: fields, collisions, near misses, rays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import warp as wp

from stagetwin.fleets import VehicleType
from stagetwin_sim._errors import FleetError
from stagetwin_sim.fleet import Lidar, LidarFan, Motion, MotionPlan, Obstacles, People
from tests.sim.fleet.scenes import AMR, BOX, ROOM, busy

Arrays = npt.NDArray[Any]

LONG = VehicleType(length=1.4, width=0.7, front=1.0)


def corners(pose: Arrays, kind: VehicleType) -> Arrays:
    """Return the corners of a footprint, counter-clockwise."""
    x, y, theta = pose
    c, s = math.cos(theta), math.sin(theta)
    back, front, side = kind.front - kind.length, kind.front, 0.5 * kind.width
    own = np.array([(back, -side), (front, -side), (front, side), (back, side)])
    placed: Arrays = own @ np.array([[c, s], [-s, c]]) + [x, y]
    return placed


def overlapping(one: Arrays, two: Arrays) -> bool:
    """Return whether convex polygons overlap, by every direction that can part them."""
    for polygon in (one, two):
        for edge in np.roll(polygon, -1, axis=0) - polygon:
            axis = np.array([-edge[1], edge[0]])
            a, b = one @ axis, two @ axis
            if a.max() <= b.min() or b.max() <= a.min():
                return False
    return True


def standing(poses: Arrays, kinds: list[int], **changes: Any) -> Motion:
    plan = MotionPlan(types=(AMR, LONG), vehicle_types=kinds, poses=poses, **changes)
    worlds = len(poses) if np.ndim(poses) == 3 else 1
    return Motion(plan, worlds)


def test_footprints_touch_when_their_rectangles_overlap() -> None:
    rng = np.random.default_rng(4)
    worlds, kinds = 400, [0, 1, 0]
    poses = rng.uniform(-1.2, 1.2, (worlds, 3, 3))
    poses[..., 2] *= 2.5
    motion = standing(poses, kinds)
    motion.step()
    found = motion.state.touching.numpy().astype(bool)
    types = (AMR, LONG)
    for w in range(worlds):
        shapes = [corners(poses[w, i], types[kinds[i]]) for i in range(3)]
        for i in range(3):
            hit = any(overlapping(shapes[i], shapes[j]) for j in range(3) if j != i)
            assert found[w, i] == hit, (w, i)
    np.testing.assert_array_equal(motion.state.collisions.numpy(), found)
    motion.step(5)
    np.testing.assert_array_equal(motion.state.collisions.numpy(), found)  # one that lasts is one


def test_footprints_touch_obstacles() -> None:
    rng = np.random.default_rng(6)
    worlds = 300
    poses = rng.uniform(3.0, 7.0, (worlds, 1, 3))
    motion = standing(poses, [1], obstacles=Obstacles([ROOM, BOX]))
    motion.step()
    found = motion.state.touching.numpy()[:, 0].astype(bool)
    box = np.array(BOX)
    for w in range(worlds):
        shape = corners(poses[w, 0], LONG)
        inside = (np.abs(shape - 5.0) < 0.5).all()  # within it no edge is touched
        if not inside:
            assert found[w] == overlapping(shape, box), w
    assert 20 < found.sum() < 280


def test_a_vehicle_that_drives_into_another_is_counted_with_its_speed() -> None:
    plan = MotionPlan(types=(AMR,), poses=[(0.0, 0.0, 0.0), (4.0, 0.0, 1.0)], fields=False)
    motion = Motion(plan)
    motion.set_path(0, 0, [(0.0, 0.0), (8.0, 0.0)], s_max=math.inf)
    motion.step(60)
    state = motion.state
    assert state.collisions.numpy()[0].tolist() == [1, 1]
    assert state.near_misses.numpy()[0].tolist() == [1, 1]  # it was near before it touched
    assert state.hardest.numpy()[0] == pytest.approx([1.5, 1.5])
    assert 0.0 < state.least_time.numpy()[0, 0] < 0.5
    motion.step(100)
    assert state.touching.numpy()[0].tolist() == [0, 0]  # through, and gone
    assert state.collisions.numpy()[0].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("aside", "speed", "counted"), [(0.65, 1.0, 1), (0.65, 0.2, 0), (0.9, 1.0, 0)]
)
def test_passing_closely_is_a_near_miss_when_it_is_fast(
    aside: float, speed: float, counted: int
) -> None:
    plan = MotionPlan(types=(AMR,), poses=[(0.0, 0.0, 0.0), (3.0, aside, 0.0)], fields=False)
    motion = Motion(plan)
    motion.set_path(0, 0, [(0.0, 0.0), (6.0, 0.0)], s_max=math.inf, limits=speed)
    motion.step(int(5.5 / speed / 0.05))
    assert motion.state.near_misses.numpy()[0].tolist() == [counted, counted]
    assert motion.state.collisions.numpy().sum() == 0


def test_a_field_stops_a_vehicle_before_whatever_stands_there() -> None:
    people = People(places=[(5.0, 20.1)], speed=0.1, rest=100.0, area=(5, 20, 5, 20.1))
    plan = MotionPlan(
        types=(AMR, LONG),
        vehicle_types=[0, 0, 0, 0, 1],
        poses=[(0, 0, 0), (0, 10, 0), (0, 20, 0), (0, 30, 0), (4.0, 0.4, 2.0)],
        obstacles=Obstacles([[(4.0, 9.0), (4.0, 11.0)]]),
        people=people,
    )
    motion = Motion(plan)
    for i in range(4):
        motion.set_path(0, i, [(0.0, 10.0 * i), (9.0, 10.0 * i)], s_max=math.inf)
    motion.step(240)
    state = motion.state
    assert state.blocked.numpy()[0].tolist() == [1, 1, 1, 0, 0]
    assert state.v.numpy()[0, :3].tolist() == [0.0, 0.0, 0.0]
    assert state.x.numpy()[0, 3] == pytest.approx(9.0, abs=0.011)
    assert state.collisions.numpy().sum() == 0
    assert state.x.numpy()[0, 1] + 0.45 == pytest.approx(3.9, abs=0.1)
    motion.place(0, 4, 4.0, 5.0, 0.0)
    motion.step(240)
    assert state.blocked.numpy()[0, 0] == 0  # and goes on when it is gone
    assert state.x.numpy()[0, 0] == pytest.approx(9.0, abs=0.011)


def test_a_field_looks_where_the_vehicle_goes() -> None:
    plan = MotionPlan(types=(AMR,), poses=[(0.0, 0.0, 0.0), (-2.0, 0.0, 0.0), (0.8, 0.9, 0.0)])
    motion = Motion(plan)
    motion.set_path(0, 0, [(0.0, 0.0), (-4.0, 0.0)], limits=-0.3, s_max=math.inf)
    motion.step(200)
    assert motion.state.blocked.numpy()[0, 0] == 1
    assert motion.state.x.numpy()[0, 0] == pytest.approx(-2.0 + 0.9 + 0.1, abs=0.06)
    assert motion.state.collisions.numpy().sum() == 0


def test_a_field_that_is_off_stops_nothing() -> None:
    plan = MotionPlan(types=(AMR,), poses=[(0.0, 0.0, 0.0), (2.0, 0.0, 0.0)])
    motion = Motion(plan)
    motion.state.field.zero_()
    motion.set_path(0, 0, [(0.0, 0.0), (4.0, 0.0)], s_max=math.inf)
    motion.step(120)
    assert motion.state.collisions.numpy()[0, 0] == 1


def test_someone_who_walks_into_a_standing_vehicle_is_a_bump() -> None:
    people = People(places=[(3.0, 0.0)], speed=1.0, rest=0.0, area=(-5, 0, -4.9, 0))
    plan = MotionPlan(types=(AMR,), poses=[(0.0, 0.0, 0.0)], people=people)
    motion = Motion(plan)
    motion.step(160)
    assert motion.state.collisions.numpy()[0, 0] == 1
    assert motion.state.bumps.numpy()[0, 0] == 1


# -- rays


def cast(origin: Arrays, angle: float, far: float, shapes: list[Arrays], discs: Arrays) -> float:
    """Return what a ray meets first, by brute force in float64."""
    way = np.array([math.cos(angle), math.sin(angle)])
    best = far
    for shape in shapes:
        a, b = shape, np.roll(shape, -1, axis=0)
        edge, apart = b - a, a - origin
        slope = way[0] * edge[:, 1] - way[1] * edge[:, 0]
        t = (apart[:, 0] * edge[:, 1] - apart[:, 1] * edge[:, 0]) / slope
        u = (apart[:, 0] * way[1] - apart[:, 1] * way[0]) / slope
        met = t[(t >= 0) & (u >= 0) & (u <= 1)]
        best = min(best, float(met.min()) if len(met) else far)
    for x, y, radius in discs:
        away = np.array([x, y]) - origin
        along = float(away @ way)
        under = along**2 - float(away @ away) + radius**2
        if along > 0 and under >= 0:
            best = min(best, along - math.sqrt(under))
    return best


def test_rays_see_vehicles_people_and_obstacles() -> None:
    motion = busy(3)
    fan = LidarFan(motion, Lidar(rays=24, far=8.0, x=0.2, theta=0.1))
    motion.step(20)
    fan.launch()
    ranges, hits = fan.ranges.numpy(), fan.hits.numpy()
    state = motion.state
    poses = np.stack([state.x.numpy(), state.y.numpy(), state.theta.numpy()], -1).astype(float)
    lengths, widths = state.length.numpy(), state.width.numpy()
    for w in range(3):
        kinds = [motion.plan.types[k] for k in motion.plan.type_indices()]
        assert lengths[w].tolist() == pytest.approx([k.length for k in kinds])
        assert widths[w].tolist() == pytest.approx([k.width for k in kinds])
        shapes = [corners(poses[w, i], kinds[i]) for i in range(12)]
        people = np.stack([motion.people.x.numpy()[w], motion.people.y.numpy()[w], [0.3, 0.3]], -1)
        for i in range(12):
            x, y, theta = poses[w, i]
            origin = np.array([x + 0.2 * math.cos(theta), y + 0.2 * math.sin(theta)])
            others = [s for j, s in enumerate(shapes) if j != i]
            others += [np.array(ROOM), np.array(BOX)]
            expected = [
                cast(origin, theta + 0.1 - math.pi + 2 * math.pi * r / 24, 8.0, others, people)
                for r in range(24)
            ]
            np.testing.assert_allclose(ranges[w, i], expected, atol=2e-3)
    assert set(np.unique(hits)) > {-1, -2, 12}
    assert (ranges[hits == -1] == 8.0).all()


def test_rays_are_noisy_and_lost_by_the_seed() -> None:
    motion = busy(40)
    clean = LidarFan(motion, Lidar(far=8.0))
    noisy = LidarFan(motion, Lidar(far=8.0, noise=0.05, dropout=0.1))
    clean.launch()
    noisy.launch()
    seen = clean.hits.numpy() != -1
    kept = noisy.hits.numpy() != -1
    assert 1 - kept[seen].mean() == pytest.approx(0.1, abs=0.01)
    off = (noisy.ranges.numpy() - clean.ranges.numpy())[seen & kept]
    assert off.std() == pytest.approx(0.05, rel=0.1)
    assert abs(off.mean()) < 0.005
    saved = noisy.save()
    noisy.launch()
    again = noisy.ranges.numpy().copy()
    noisy.load(saved)
    noisy.launch()
    assert noisy.ranges.numpy().tobytes() == again.tobytes()


def test_localisation_errs_as_it_was_told_to() -> None:
    from stagetwin_sim.fleet import Noise

    plan = MotionPlan(
        types=(AMR,), poses=[(0.0, 0.0, 0.0)], noise=Noise(position=0.05, heading=0.02, time=0.5)
    )
    motion = Motion(plan, worlds=2000)
    motion.step(60)
    state = motion.state
    assert (state.seen_x.numpy() - state.x.numpy()).std() == pytest.approx(0.05, rel=0.06)
    assert (state.seen_theta.numpy() - state.theta.numpy()).std() == pytest.approx(0.02, rel=0.06)
    before = state.error_x.numpy()[:, 0].copy()
    motion.step(10)  # a time constant later they are alike by 1/e
    alike = np.corrcoef(before, state.error_x.numpy()[:, 0])[0, 1]
    assert alike == pytest.approx(math.exp(-1), abs=0.06)


@pytest.mark.parametrize("changes", [{"rays": 0}, {"far": math.inf}, {"dropout": 1.5}])
def test_a_lidar_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(FleetError):
        Lidar(**changes)


def test_obstacles_that_cannot_be_are_refused() -> None:
    with pytest.raises(FleetError, match="obstacle 1 must have two points or more"):
        Obstacles([BOX, [(0.0, 0.0)]])
    with pytest.raises(FleetError, match="its corners apart"):
        Obstacles([[(0.0, 0.0), (0.0, 0.0), (1.0, 1.0)]])


@pytest.mark.gpu
@pytest.mark.skipif(not wp.is_cuda_available(), reason="needs a CUDA device")
def test_a_gpu_sees_what_a_cpu_sees() -> None:
    seen = []
    for device in ("cpu", "cuda:0"):
        motion = busy(3, device=device)
        fan = LidarFan(motion, Lidar(rays=24, far=8.0))
        motion.step()
        fan.launch()
        seen.append((fan.ranges.numpy(), motion.state.touching.numpy()))
    np.testing.assert_allclose(seen[0][0], seen[1][0], atol=1e-3)
    np.testing.assert_array_equal(seen[0][1], seen[1][1])
