"""Avoidance (ORCA) of many agents: ours against RVO2, with the same neighbours and obstacles.

`ours` replays a captured graph; `rvo2` is the C++ step of pyrvo alone: preferred velocities are
given to both once. Their positions are compared first, over ten steps. Each round starts both from
the same state, and times ten steps. All are held to one core; figures are agent-steps per
CPU-second.

`vmas` is VMAS's navigation without its lidar, at the best of four layouts of the same number of
agents: another model (forces, no linear programs), beside it without a goal.

On a CUDA device, where there is one, batched worlds run as well, against the roof that the memory's
measured bandwidth sets (`limit`).

    python -m benchmarks.fleet [--rounds N] [--sizes 1000 10000 100000] [--no-vmas]
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks._report import Case, paired, report
from stagetwin.fleets import VehicleType
from stagetwin_sim.fleet import Mode, Motion, MotionPlan, Obstacles

Floats = npt.NDArray[np.float64]

RADIUS, TOP, HORIZON, STEP, REACH, NEIGHBOURS = 0.3, 1.5, 2.0, 0.1, 3.0, 10
TOGETHER = 6.7
"""Others within reach, on average, where nothing is in the way."""

STEPS = 10
MOST_BOXES = 400
"""RVO2 builds its tree of obstacles in quadratic time."""

OPEN = 10_000
"""Agents of the case without obstacles, which cost RVO2 more than they cost us."""

BYTES = 180.0
"""What one agent-step must move to and from memory: sorting 95, states 45, integration 40 [B]."""

WORLDS, EACH = 4_000, 500
"""Of the batch on a GPU."""


class Scene:
    """Agents on a jittered lattice, boxes between them, a wall about them.

    Args:
        count: of agents.
        walls: whether there are boxes and a wall.
    """

    def __init__(self, count: int, walls: bool = True) -> None:
        rng = np.random.default_rng(count)
        self.count = count
        columns = math.ceil(math.sqrt(count))
        gap = math.sqrt(math.pi * REACH**2 / TOGETHER)
        lattice = np.stack(np.meshgrid(np.arange(columns), np.arange(columns)), -1)
        cells = lattice.reshape(-1, 2)[:count]
        self.places = (cells + 0.5) * gap + rng.uniform(-0.3, 0.3, (count, 2))
        ways = rng.normal(0.0, 1.0, (count, 2))
        self.preferred = 1.2 * ways / np.hypot(*ways.T)[:, None]
        corners = rng.permutation(lattice[1:, 1:].reshape(-1, 2))[: min(count // 12, MOST_BOXES)]
        side = columns * gap
        self.polygons: list[Floats] = []
        for middle in corners * gap:
            half, angle = rng.uniform(0.1, 0.35, 2), rng.uniform(0.0, math.pi)
            turn = np.array(
                [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
            )
            box = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half
            self.polygons.append(box @ turn + middle)
        self.polygons.append(
            np.array([(-1.0, -1.0), (-1, side + 1), (side + 1, side + 1), (side + 1, -1)])
        )
        if not walls:
            self.polygons = []
        # Both have single precision: what they are given is the same.
        self.places = self.places.astype(np.float32).astype(float)
        self.preferred = self.preferred.astype(np.float32).astype(float)
        self.polygons = [polygon.astype(np.float32).astype(float) for polygon in self.polygons]

    def motion(self, worlds: int = 1, device: str = "cpu") -> Motion:
        """Return it for us."""
        plan = MotionPlan(
            types=(VehicleType(speed=TOP, width=2 * RADIUS),),
            poses=np.hstack([self.places, np.zeros((self.count, 1))]),
            obstacles=Obstacles(self.polygons),
            step=STEP,
            neighbours=NEIGHBOURS,
            neighbour_distance=REACH,
            horizon=HORIZON,
            wall_horizon=HORIZON,
            preferred="given",
            discs=True,
            fields=False,
            counting=False,
            path_points=2,
        )
        motion = Motion(plan, worlds, device=device)
        given = np.broadcast_to(self.preferred.astype(np.float32), (worlds, self.count, 2))
        motion.state.preferred.assign(np.ascontiguousarray(given))
        motion.state.mode.fill_(int(Mode.FREE))
        return motion

    def reference(self) -> Any:
        """Return it for RVO2."""
        pyrvo: Any = importlib.import_module("pyrvo")
        sim = pyrvo.RVOSimulator(STEP, REACH, NEIGHBOURS, HORIZON, HORIZON, RADIUS, TOP)
        for place, way in zip(self.places.tolist(), self.preferred.tolist(), strict=True):
            sim.set_agent_pref_velocity(sim.add_agent(place), way)
        for polygon in self.polygons:
            sim.add_obstacle(polygon.tolist())
        if self.polygons:
            sim.process_obstacles()
        return sim


class Contest:
    """One scene for both contenders."""

    def __init__(self, count: int, walls: bool = True) -> None:
        self.scene = Scene(count, walls)
        self.count = count
        self.motion = self.scene.motion()
        self.sim = self.scene.reference()
        self.motion.step(2)  # kernels loaded, graph captured
        self.begin = self.scene.motion().save()
        self.check()

    def restart(self) -> None:
        """Put both back to the begin."""
        self.motion.load(self.begin)
        for i, place in enumerate(self.scene.places.tolist()):
            self.sim.set_agent_position(i, place)
            self.sim.set_agent_velocity(i, (0.0, 0.0))

    def check(self) -> None:
        """Run both for ten steps and assert that everybody is at the same place."""
        self.restart()
        sim = self.sim
        for step in range(STEPS):
            self.motion.step()
            sim.do_step()
            if step == 0:
                assert self.apart().max() <= 1e-4, f"{self.count}: {self.apart().max()} m"
        # Hundreds of metres from the origin single precision is worth 0.015 mm, and what it
        # rounds away some agents make more of.
        apart = self.apart()
        within = np.quantile(apart, 1.0 if self.count <= 1_000 else 0.999)
        assert within <= 1e-4, f"{self.count}: {within} m from RVO2"
        assert apart.max() < 0.05, f"{self.count}: {apart.max()} m from RVO2"
        neighbours = np.mean([sim.get_agent_num_agent_neighbors(i) for i in range(self.count)])
        walls = np.mean([sim.get_agent_num_obstacle_neighbors(i) for i in range(self.count)])
        print(
            f"{self.count}: {apart.max():.1e} m from RVO2 after {STEPS} steps, {neighbours:.1f} "
            f"neighbours, {walls:.2f} edges of {len(self.scene.polygons)} obstacles"
        )

    def apart(self) -> Floats:
        """Return how far everybody is from where RVO2 has them [m]."""
        sim, state = self.sim, self.motion.state
        theirs = np.array([sim.get_agent_position(i).to_tuple() for i in range(self.count)])
        ours = np.stack([state.x.numpy()[0], state.y.numpy()[0]], axis=1).astype(float)
        off: Floats = np.abs(ours - theirs).max(axis=1)
        return off

    def ours(self) -> float:
        """Return our agent-steps per CPU-second."""
        self.restart()
        started = time.process_time()
        self.motion.step(STEPS)
        return STEPS * self.count / (time.process_time() - started)

    def rvo2(self) -> float:
        """Return RVO2's."""
        self.restart()
        started = time.process_time()
        for _ in range(STEPS):
            self.sim.do_step()
        return STEPS * self.count / (time.process_time() - started)


def vmas(count: int) -> float:
    """Return the figure of VMAS from a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks._fleet_vmas", str(count)],
        check=True,
        capture_output=True,
        text=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    print(f"{count}: vmas is best with {told['layout']} agents an environment")
    return float(told["rate"])


def repeated(rounds: int, run: Callable[[], float]) -> Callable[[], float]:
    """Return a run that is the best of several: small scenes are over in no time."""
    return lambda: max(run() for _ in range(rounds))


def bandwidth(device: str) -> float:
    """Return how fast a device's memory copies, read and written [B/s]."""
    import warp as wp

    size = 1 << 30
    one: Any = wp.zeros(size // 4, dtype=wp.float32, device=device)
    two: Any = wp.empty_like(one)
    best = 0.0
    for _ in range(5):
        wp.synchronize_device(device)
        started = time.perf_counter()
        wp.copy(two, one)
        wp.synchronize_device(device)
        best = max(best, 2 * size / (time.perf_counter() - started))
    return best


def batched(device: str, rounds: int) -> Case:
    """Return the case of many worlds on a GPU, checked against the CPU."""
    import warp as wp

    scene = Scene(EACH)
    here, there = scene.motion(), scene.motion(WORLDS, device)
    for motion in (here, there):
        motion.step(STEPS)
    x = there.state.x.numpy()
    assert np.abs(x - here.state.x.numpy()).max() <= 1e-4, "the GPU has them elsewhere"
    assert (x == x[:1]).all(), "worlds that begin alike differ"
    there.reset()
    there.state.mode.fill_(int(Mode.FREE))
    begin = there.save()

    def run() -> float:
        there.load(begin)
        wp.synchronize_device(device)
        started = time.perf_counter()
        there.step(STEPS)
        wp.synchronize_device(device)
        return STEPS * WORLDS * EACH / (time.perf_counter() - started)

    best = paired(rounds, run)[0]
    return Case(f"gpu, {WORLDS} x {EACH}", best, {"limit": bandwidth(device) / BYTES})


def main() -> None:
    """Measure and print."""
    import warp as wp

    wp.config.log_level = wp.LOG_WARNING
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each contender")
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--no-vmas", action="store_true", help="leave VMAS out")
    told = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    cases: list[Case] = []
    for count in told.sizes:
        contest = Contest(count)
        times = max(1, 10_000 // count)
        runs = [repeated(times, contest.ours), repeated(times, contest.rvo2)]
        ours, rvo2 = paired(told.rounds, *runs)
        against = {"rvo2": rvo2}
        if not told.no_vmas:
            against["vmas"] = vmas(count)
        cases.append(Case(f"{count:,} agents", ours, against))
    if OPEN in told.sizes:
        contest = Contest(OPEN, walls=False)
        ours, rvo2 = paired(told.rounds, contest.ours, contest.rvo2)
        cases.append(Case(f"{OPEN:,}, no obstacles", ours, {"rvo2": rvo2}))
    if wp.is_cuda_available():
        cases.append(batched("cuda:0", told.rounds))
    report("fleet", "agent-steps per CPU-second", False, cases)


if __name__ == "__main__":
    main()
