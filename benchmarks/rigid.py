"""Rigid bodies: stepping them, and bringing their poses to a stage.

Microseconds, lower is better. The write-back is of every body while all of them move:

- `write-back`: a body's pose from newton's arrays to the composed attribute, against
  `viewer_usd`, newton's own recording of the same state.
- `step and write-back`: with a step of the same physics before each, the same one for both.

and the step, of a whole small scene of 8 boxes on a plane:

- `steel`, `xpbd`: ours through the engine, against `eager`, the same launches one by one, and
  `mujoco_c`, native MuJoCo stepping the same scene with its own contacts.
- `steel, 64 worlds`: for one of 64 worlds side by side.

Outcomes first: every box has come to rest at its height, whoever stepped it, and the stage shows
what newton holds.

    python -m benchmarks.rigid [--bodies N] [--rounds N]
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import newton
import numpy as np
from pxr import Sdf, Usd, UsdGeom

from benchmarks._report import Case, paired, report
from stagetwin.live import Placed, PredictedLayer
from stagetwin_sim.bodies import BodiesPlan, BodiesSystem, read_scene
from stagetwin_sim.engine import Engine, PlanBuilder, host_copy

SIZE, RATE = 0.3, 240.0


def stage_of(bodies: int) -> Usd.Stage:
    """Return a stage with a plane and boxes a little above it, 1 m apart."""
    stage = Usd.Stage.CreateInMemory()
    boxes = "\n".join(
        f"""
    def Cube "B{i}" (prepend apiSchemas = ["PhysicsCollisionAPI", "PhysicsRigidBodyAPI"])
    {{
        double size = {SIZE}
        double3 xformOp:translate = ({i % 32}, {i // 32}, {SIZE / 2 + 0.05})
        uniform token[] xformOpOrder = ["xformOp:translate"]
    }}"""
        for i in range(bodies)
    )
    stage.GetRootLayer().ImportFromString(
        f"""#usda 1.0
(
    metersPerUnit = 1
    upAxis = "Z"
)
def Xform "World"
{{
    def PhysicsScene "Physics"
    {{
    }}
    def Plane "Ground" (prepend apiSchemas = ["PhysicsCollisionAPI"])
    {{
        uniform token axis = "Z"
    }}
{boxes}
}}
"""
    )
    return stage


def engine_of(stage: Usd.Stage, solver: str, frame: float, worlds: int = 1) -> Engine:
    """Return an engine of a stage's boxes."""
    builder = PlanBuilder(frame=frame)
    scene = read_scene(stage, "/World")
    builder.add(BodiesPlan(scene=scene, name="bodies", rate=RATE, solver=solver))
    return builder.build().engine(worlds)


def system_of(engine: Engine) -> BodiesSystem:
    """Return the bodies of an engine."""
    system = engine.systems["bodies"]
    assert isinstance(system, BodiesSystem)
    return system


def check_rest(heights: np.ndarray) -> None:
    """Assert that boxes rest on the plane."""
    assert np.abs(heights - SIZE / 2).max() < 2e-3, heights


class Native:
    """The same scene in native MuJoCo."""

    def __init__(self, stage: Usd.Stage) -> None:
        native: Any = importlib.import_module("mujoco")
        model: Any = system_of(engine_of(stage, "steel", 1 / RATE)).model
        solver: Any = newton.solvers.SolverMuJoCo(model, use_mujoco_cpu=True)
        self._step = native.mj_step
        self.model, self.data = solver.mj_model, solver.mj_data
        self.model.opt.timestep = 1 / RATE
        self.bodies = model.body_count

    def step(self, count: int) -> None:
        """Move on by some steps."""
        for _ in range(count):
            self._step(self.model, self.data)

    def heights(self) -> np.ndarray:
        """Return the heights of the boxes [m]."""
        return np.asarray(self.data.qpos).reshape(self.bodies, 7)[:, 2]


def rate(work: Callable[[], None], times: int) -> float:
    """Return how often a second some work is done."""
    began = time.perf_counter()
    for _ in range(times):
        work()
    return times / (time.perf_counter() - began)


class WriteBack:
    """One engine, its poses on a stage, and newton's recording of it."""

    def __init__(self, bodies: int, folder: Path) -> None:
        self.stage = stage_of(bodies)
        self.bodies = bodies
        self.engine = engine_of(self.stage, "steel", 1 / RATE)
        self.system = system_of(self.engine)
        self.engine.step(5)
        layer = Sdf.Layer.CreateAnonymous("predicted.usda")
        self.stage.GetSessionLayer().subLayerPaths.append(layer.identifier)
        self._layer = PredictedLayer(self.stage, layer, {layer.identifier})
        resets = self.system.plan.resets
        self._layer.bind([], [Placed(p, r) for p, r in zip(self.system.paths, resets, strict=True)])
        self._index = np.arange(bodies, dtype=np.int32)
        self.viewer: Any = newton.viewer.ViewerUSD(str(folder / "out.usd"), num_frames=None)
        self.viewer.set_model(self.system.model)
        self._moved = 0

    def move(self) -> None:
        """Move every body a little, so that nothing is left out as unchanged."""
        self._moved += 1
        state = self.system.state
        for name in ("body_q", "joint_q"):  # a free joint's coordinates are its body's pose
            poses = host_copy(getattr(state, name)).reshape(self.bodies, 7)
            poses[:, 0] += 1e-4
            getattr(state, name).assign(poses.reshape(getattr(state, name).numpy().shape))

    def ours(self) -> None:
        """Bring all poses to the stage."""
        written = self._layer.place(self._index, self.system.poses())
        assert written == self.bodies

    def theirs(self) -> None:
        """Record the state as newton does."""
        self.viewer.begin_frame(self._moved / 60)
        self.viewer.log_state(self.system.state)
        self.viewer.end_frame()

    def check(self) -> None:
        """Assert that the stage shows what newton holds."""
        self.move()
        self.ours()
        cache = UsdGeom.XformCache()
        shown = [
            cache.GetLocalToWorldTransform(self.stage.GetPrimAtPath(p)).ExtractTranslation()
            for p in self.system.paths
        ]
        held = host_copy(self.system.state.body_q)[:, :3]
        assert np.abs(np.array(shown) - held).max() < 1e-5

    def cost(self, rounds: int, step: bool) -> list[float]:
        """Return microseconds a body, ours and theirs, with a step before each or without."""

        def run(write: Callable[[], None], times: int) -> float:
            spent = 0.0
            for _ in range(times):
                self.move()
                began = time.perf_counter()
                if step:
                    self.engine.step()
                write()
                spent += time.perf_counter() - began
            return times / spent

        best = paired(rounds, lambda: run(self.ours, 30), lambda: run(self.theirs, 5))
        return [1e6 / each / self.bodies for each in best]


def small_scene(solver: str, rounds: int) -> Case:
    """Return the case of one solver."""
    stage = stage_of(8)
    graph, eager = (engine_of(stage, solver, 1 / RATE) for _ in range(2))
    eager.eager = True
    native = Native(stage)
    graph.step(480)
    eager.step(60)
    native.step(480)
    check_rest(host_copy(system_of(graph).state.body_q)[:, 2])
    check_rest(native.heights())
    best = paired(
        rounds,
        lambda: rate(graph.step, 200),
        lambda: rate(eager.step, 10),
        lambda: rate(lambda: native.step(1), 1000),
    )
    ours, one_by_one, theirs = (1e6 / each for each in best)
    return Case(f"{solver}, 8 boxes", ours, {"eager": one_by_one, "mujoco_c": theirs})


def many_worlds(worlds: int, rounds: int) -> Case:
    """Return the case of worlds side by side, for one of them."""
    stage = stage_of(8)
    engine, native = engine_of(stage, "steel", 1 / RATE, worlds), Native(stage)
    engine.step(480)
    native.step(480)
    check_rest(host_copy(system_of(engine).state.body_q)[:, 2])
    best = paired(
        rounds,
        lambda: worlds * rate(engine.step, 10),
        lambda: rate(lambda: native.step(1), 1000),
    )
    ours, theirs = (1e6 / each for each in best)
    return Case(f"steel, {worlds} worlds", ours, {"mujoco_c": theirs})


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bodies", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    cases: list[Case] = []
    with tempfile.TemporaryDirectory() as folder:
        bodies = WriteBack(options.bodies, Path(folder))
        bodies.check()
        for name, step in (("write-back", False), ("step and write-back", True)):
            ours, theirs = bodies.cost(options.rounds, step)
            cases.append(Case(f"{name} a body", ours, {"viewer_usd": theirs}))
    cases += [small_scene(solver, options.rounds) for solver in ("steel", "xpbd")]
    cases.append(many_worlds(64, options.rounds))
    report("rigid", "us", True, cases)


if __name__ == "__main__":
    main()
