"""Avoidance: the same as the reference's, discs and drives, obstacles, people."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import warp as wp

from stagetwin.fleets import VehicleType
from stagetwin_sim.fleet import Mode, Motion, MotionPlan, Obstacles, People
from tests.sim.fleet.scenes import AMR, BOX, ROOM, free, scattered

pyrvo = pytest.importorskip("pyrvo")

Arrays = npt.NDArray[Any]

RADIUS, TOP, HORIZON, STEP, REACH = 0.3, 1.5, 2.0, 0.1, 3.0
DISC = VehicleType(speed=TOP, width=2 * RADIUS)


def crowd(seed: int, count: int, walls: bool) -> tuple[Arrays, Arrays, list[Arrays]]:
    """Return places, preferred velocities and obstacles; about six neighbours each."""
    rng = np.random.default_rng(seed)
    columns = math.ceil(math.sqrt(count))
    gap = math.sqrt(math.pi * REACH**2 / 6.7)
    cells = np.stack(np.meshgrid(np.arange(columns), np.arange(columns)), -1).reshape(-1, 2)[:count]
    places = (cells + 0.5) * gap + rng.uniform(-0.3, 0.3, (count, 2))
    polygons: list[Arrays] = []
    if walls:
        side = columns * gap
        for middle in rng.uniform(0, side, (count // 8, 2)):
            angles = np.sort(rng.uniform(0, 2 * math.pi, int(rng.integers(3, 6))))
            polygon = middle + 0.4 * np.stack([np.cos(angles), np.sin(angles)], 1)
            edges = np.roll(polygon, -1, axis=0) - polygon
            far = np.hypot(*(places - middle).T).min() > 0.5
            apart = all(np.hypot(*(middle - other.mean(axis=0))) > 1.0 for other in polygons)
            if far and apart and np.hypot(*edges.T).min() > 0.1:
                polygons.append(polygon)
        polygons.append(np.array([(-1, -1), (-1, side + 1), (side + 1, side + 1), (side + 1, -1)]))
        # A nook, a thin wall: corners that are not convex, and edges of two sides.
        polygons.append(side + np.array([(2.0, 2), (5, 2), (5, 5), (4, 5), (4, 3), (2, 3)]))
        polygons.append(np.array([(-0.5, 0.2), (-0.5, side / 2)]))
    ways = rng.normal(0, 1, (count, 2))
    preferred = 1.2 * ways / np.hypot(*ways.T)[:, None]
    single = [polygon.astype(np.float32).astype(float) for polygon in polygons]
    return places.astype(np.float32), preferred.astype(np.float32), single


def reference(places: Arrays, preferred: Arrays, polygons: list[Arrays]) -> Any:
    """Return RVO2 with the same."""
    sim = pyrvo.RVOSimulator(STEP, REACH, 10, HORIZON, HORIZON, RADIUS, TOP)
    for place, way in zip(places.tolist(), preferred.tolist(), strict=True):
        sim.set_agent_pref_velocity(sim.add_agent(place), way)
    for polygon in polygons:
        sim.add_obstacle(polygon.tolist())
    if polygons:
        sim.process_obstacles()
    return sim


def ours(places: Arrays, preferred: Arrays, polygons: list[Arrays], device: str = "cpu") -> Motion:
    """Return discs with the same, one world; or several, shape (worlds, agents, 2)."""
    poses = np.concatenate([places, np.zeros((*places.shape[:-1], 1))], axis=-1)
    plan = MotionPlan(
        types=(DISC,),
        poses=poses,
        obstacles=Obstacles(polygons),
        step=STEP,
        neighbour_distance=REACH,
        horizon=HORIZON,
        wall_horizon=HORIZON,
        preferred="given",
        discs=True,
        fields=False,
        near_time=0.0,
        near_distance=0.0,
    )
    worlds = len(poses) if poses.ndim == 3 else 1
    motion = Motion(plan, worlds, device=device)
    given = np.ascontiguousarray(preferred.reshape(worlds, -1, 2))
    motion.state.preferred.assign(given)
    motion.state.mode.fill_(int(Mode.FREE))
    return motion


def positions(sim: Any) -> Arrays:
    return np.array([sim.get_agent_position(i).to_tuple() for i in range(sim.get_num_agents())])


def where(motion: Motion) -> Arrays:
    return np.stack([motion.state.x.numpy(), motion.state.y.numpy()], axis=-1)


@pytest.mark.parametrize("walls", [False, True], ids=["open", "obstacles"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_thousand_agents_go_where_rvo2_has_them_go(seed: int, walls: bool) -> None:
    places, preferred, polygons = crowd(seed, 1000, walls)
    sim, motion = reference(places, preferred, polygons), ours(places, preferred, polygons)
    moved = 0.0
    for _ in range(10):
        sim.do_step()
        motion.step()
        apart = np.abs(positions(sim) - where(motion)[0]).max()
        assert apart <= 1e-4
        moved = max(moved, float(np.abs(positions(sim) - places).max()))
    assert moved > 0.5
    avoiding = [sim.get_agent_num_agent_neighbors(i) for i in range(1000)]
    assert np.mean(avoiding) > 4
    if walls:
        assert max(sim.get_agent_num_obstacle_neighbors(i) for i in range(1000)) >= 3


def overlap(at: Arrays) -> Arrays:
    """Return who overlaps another by more than a millimetre, shape (agents,)."""
    apart = np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1))
    np.fill_diagonal(apart, np.inf)
    found: Arrays = (apart < 2 * RADIUS - 1e-3).any(axis=1)
    return found


def test_over_twenty_seeds_no_more_collisions_than_rvo2() -> None:
    seeds, count, steps = 20, 80, 100
    scenes = []
    for seed in range(seeds):
        rng = np.random.default_rng(100 + seed)
        places = scattered(rng, count, 14.0, 2.2 * RADIUS)
        goals = scattered(rng, count, 14.0, 2.2 * RADIUS)
        ways = goals - places
        far = np.hypot(*ways.T)[:, None]
        scenes.append((places.astype(np.float32), (1.2 * ways / far).astype(np.float32)))
    motion = ours(np.stack([s[0] for s in scenes]), np.stack([s[1] for s in scenes]), [])
    sims = [reference(places, preferred, []) for places, preferred in scenes]
    mine, theirs = np.zeros((steps, seeds)), np.zeros((steps, seeds))
    for step in range(steps):
        motion.step()
        at = where(motion)
        for seed, sim in enumerate(sims):
            sim.do_step()
            mine[step, seed] = overlap(at[seed]).mean()
            theirs[step, seed] = overlap(positions(sim)).mean()
    rates = mine.mean(axis=0)
    upper = rates.mean() + 1.729 * rates.std(ddof=1) / math.sqrt(seeds)  # one-sided 95 %, t(19)
    assert upper <= theirs.mean() + 0.01
    # What motion counts is what happened: whoever overlapped more than it is counted.
    counted = motion.state.collisions.numpy()
    assert (counted.sum(axis=1) > 0).sum() >= (mine[:-1].max(axis=0) > 0).sum()


def test_discs_reach_their_goals() -> None:
    rng = np.random.default_rng(5)
    places, goals = scattered(rng, 12, 14.0, 1.5), scattered(rng, 12, 14.0, 1.5)
    plan = MotionPlan(
        types=(DISC,),
        poses=np.hstack([places, np.zeros((12, 1))]),
        discs=True,
        obstacles=Obstacles([ROOM, BOX]),
        step=0.1,
    )
    motion = Motion(plan)
    free(motion, goals)
    motion.step(400)
    left = np.hypot(*(where(motion)[0] - goals).T)
    assert (left < 0.3).mean() > 0.9
    assert motion.state.collisions.numpy().sum() == 0


# -- differential drives


def test_two_who_meet_head_on_pass() -> None:
    plan = MotionPlan(types=(AMR,), poses=[(-4.0, 0.0, 0.0), (4.0, 0.0, math.pi)])
    motion = Motion(plan)
    motion.set_goal(0, 0, 4.0, 0.0, 1.0)
    motion.set_goal(0, 1, -4.0, 0.0)
    motion.step(400)
    state = motion.state
    assert state.arrived.numpy()[0].tolist() == [1, 1]
    assert state.theta.numpy()[0, 0] == pytest.approx(1.0, abs=0.02)
    np.testing.assert_allclose(state.x.numpy()[0], [4.0, -4.0], atol=0.06)
    assert state.collisions.numpy().sum() == 0
    assert state.near_misses.numpy().sum() == 0


def test_drives_in_a_room_collide_with_nobody() -> None:
    worlds = 12
    rngs = [np.random.default_rng(40 + w) for w in range(worlds)]
    poses = np.stack(
        [np.hstack([scattered(rng, 8, 14.0, 1.6), rng.uniform(-3.0, 3.0, (8, 1))]) for rng in rngs]
    )
    goals = np.stack([scattered(rng, 8, 14.0, 1.6) for rng in rngs])
    plan = MotionPlan(types=(AMR,), poses=poses, obstacles=Obstacles([ROOM, BOX]))
    motion = Motion(plan, worlds, seed=2)
    free(motion, goals)
    motion.step(900)
    state = motion.state
    assert state.collisions.numpy().sum() == 0
    assert state.arrived.numpy().mean() >= 0.95


def test_the_tracking_error_holds_for_every_velocity_that_may_be_chosen() -> None:
    """Whoever keeps what was chosen is never farther off it than its radius grew by."""
    rng = np.random.default_rng(8)
    worlds, error, dt = 500, 0.15, 0.02
    poses = np.zeros((worlds, 1, 3))
    poses[..., 2] = rng.uniform(-3.0, 3.0, (worlds, 1))
    plan = MotionPlan(
        types=(AMR,),
        poses=poses,
        preferred="given",
        fields=False,
        counting=False,
        tracking_error=error,
        step=dt,
    )
    motion = Motion(plan, worlds)
    state = motion.state
    state.mode.fill_(int(Mode.FREE))
    speed = rng.uniform(0.0, 1.4, (worlds, 1)).astype(np.float32)
    state.v.assign(speed)
    state.vx.assign(speed * np.cos(poses[..., 2]).astype(np.float32))
    state.vy.assign(speed * np.sin(poses[..., 2]).astype(np.float32))
    angles, fast = rng.uniform(-math.pi, math.pi, worlds), rng.uniform(0.1, 1.4, worlds)
    wish = np.stack([fast * np.cos(angles), fast * np.sin(angles)], 1).astype(np.float32)
    begin = motion.save()
    state.preferred.assign(wish[:, None])
    motion.step()
    chosen = state.wanted.numpy()[:, 0].copy()
    motion.load(begin)
    state.preferred.assign(chosen[:, None])
    moves = np.hypot(*chosen.T) >= 0.05  # slower ones are for turning on the spot
    assert moves.mean() > 0.6
    worst = 0.0
    for step in range(1, int(3.0 / dt)):
        motion.step()
        off = where(motion)[:, 0] - (chosen.astype(float) * step * dt)
        worst = max(worst, float(np.hypot(*off.T)[moves].max()))
    assert worst <= error
    ended = np.stack([state.vx.numpy()[:, 0], state.vy.numpy()[:, 0]], 1)
    np.testing.assert_allclose(ended[moves], chosen[moves], atol=0.03)


def test_people_do_not_give_way_and_vehicles_do() -> None:
    people = People(places=[(0.0, -3.0)], speed=1.0, area=(0.0, 2.9, 0.0, 3.0), rest=0.0)
    plan = MotionPlan(
        types=(AMR,), poses=[(-3.0, 0.0, 0.0)], people=people, bounds=(-5.0, -5.0, 5.0, 5.0)
    )
    motion = Motion(plan)
    motion.set_goal(0, 0, 3.0, 0.0)
    walked = []
    for _ in range(300):
        motion.step()
        walked.append([motion.people.x.numpy()[0, 0], motion.people.y.numpy()[0, 0]])
    assert np.abs(np.array(walked)[:, 0]).max() < 1e-6
    assert motion.state.arrived.numpy()[0, 0] == 1
    assert motion.state.collisions.numpy()[0, 0] == 0


def test_people_walk_through_no_obstacle() -> None:
    rng = np.random.default_rng(1)
    people = People(places=scattered(rng, 12, 14.0, 1.5).tolist(), rest=0.2)
    plan = MotionPlan(
        types=(AMR,), poses=[(1.0, 1.0, 0.0)], people=people, obstacles=Obstacles([ROOM, BOX])
    )
    motion = Motion(plan, worlds=4)
    begin = motion.people.x.numpy().copy()
    for _ in range(400):
        motion.step()
        x, y = motion.people.x.numpy(), motion.people.y.numpy()
        dx, dy = np.maximum(np.abs(x - 5.0) - 0.5, 0), np.maximum(np.abs(y - 5.0) - 0.5, 0)
        assert np.hypot(dx, dy).min() > 0.29
        assert min(x.min(), y.min()) > 0.29
        assert max(x.max(), y.max()) < 14 - 0.29
    assert np.abs(motion.people.x.numpy() - begin).max() > 2.0
    assert (np.ptp(motion.people.x.numpy(), axis=0) > 0.1).any()


@pytest.mark.gpu
@pytest.mark.skipif(not wp.is_cuda_available(), reason="needs a CUDA device")
def test_a_gpu_avoids_as_rvo2_does() -> None:
    places, preferred, polygons = crowd(0, 1000, walls=True)
    sim = reference(places, preferred, polygons)
    motion = ours(places, preferred, polygons, "cuda:0")
    for _ in range(10):
        sim.do_step()
        motion.step()
        assert np.abs(positions(sim) - where(motion)[0]).max() <= 1e-4
    again = ours(places, preferred, polygons, "cuda:0")
    again.step(10)
    assert where(again).tobytes() == where(motion).tobytes()
