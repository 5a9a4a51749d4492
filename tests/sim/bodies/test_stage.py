"""Bodies from a stage and back: models on prims, problems by prim, and poses in a layer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom

from stagetwin._data import factory_folder
from stagetwin.live import Placed, PredictedLayer
from stagetwin_sim._errors import BodiesError
from stagetwin_sim.bodies import Belt, BodiesPlan, BodiesSystem, JointDrive, read_scene
from stagetwin_sim.bodies._scene import read_scene_once
from stagetwin_sim.engine import Engine
from stagetwin_sim.plant import PlantModel, read_plant
from tests.sim.bodies.conftest import place, plan_of, system_of
from tests.sim.bodies.scenes import Scene, cell, stage_of
from tests.sim.plant.stages import codes, model
from tests.stages.plants import Part, asset, connection, prim, telemetry
from tests.stages.plants import stage_of as opened

# newton compiles for a minute the first time, for many on a busy machine.
pytestmark = pytest.mark.timeout(900)


def plant_of(*parts: Part | str, scene: Scene | None = None) -> PlantModel:
    """Read a cell that is an asset, with a conveyor's speed on a prim of its own."""
    conveyor = prim("C1", asset(), telemetry("speed", address="c1", unit="m/min"))
    made = scene if scene is not None else cell()
    body = prim("Cell", asset(connection="line"), *parts, made.text, conveyor)
    head = f'#usda 1.0\n(\n    upAxis = "{made.up}"\n    metersPerUnit = {made.metre}\n)\n'
    stage = opened(head + connection() + made.physics() + body)
    return read_plant(stage)


def bodies(parts: str = "physics", **options: object) -> Part:
    return model(parts, "bodies", **options)  # type: ignore[arg-type]


def belt(surface: str = "/Cell/Belt", **options: object) -> Part:
    return model("belt", "belt-surface", surface=surface, **options)  # type: ignore[arg-type]


def joint(name: str, **options: object) -> Part:
    return model(name, "joint-drive", joint=f"/Cell/{name}", **options)  # type: ignore[arg-type]


def test_a_line_of_models_moves() -> None:
    found = plant_of(
        bodies(),
        belt(reads="/Cell/C1.twin:telemetry:speed:value"),
        joint("UpperJoint", parameters={"target": (-30, "deg")}),
        joint("ForeJoint", out_position="/Cell.twin:telemetry:angle:value"),
        joint("PendulumJoint"),
        telemetry("angle", address="angle", unit="deg"),
    )
    assert [str(problem) for problem in found.problems] == []
    engine = found.plan.engine()
    feed = found.measured["/Cell/C1.twin:telemetry:speed:value"][0]
    engine.write([feed.column], [30.0 * feed.scale + feed.offset])  # 30 m/min
    engine.step(60)
    system = engine.systems["bodies:/Cell"]
    assert isinstance(system, BodiesSystem)
    row = list(system.paths).index("/Cell/Carton")
    assert system.twists()[row, 0] == pytest.approx(0.5, rel=0.02)
    shown = {output.path: output for output in found.outputs}
    angle = shown["/Cell.twin:telemetry:angle:predicted"]
    bus = engine.read()[0]
    # It holds the target that its drive authors.
    assert bus[angle.column] * angle.scale + angle.offset == pytest.approx(0, abs=2)
    upper = shown["/Cell.twin:model:UpperJoint:out:position"]
    assert bus[upper.column] == pytest.approx(math.radians(-30), abs=0.03)
    swing = shown["/Cell.twin:model:PendulumJoint:out:position"]
    assert bus[swing.column] != 0
    counted = shown["/Cell.twin:model:physics:out:contacts"]
    assert bus[counted.column] >= 8
    assert found.instances["/Cell.belt"].group == "bodies:/Cell"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([bodies(parameters={"solver": 2}), belt()], ("/Cell", "bodies_solver")),
        ([bodies(step=0.013)], ("/Cell", "step")),
        ([bodies(), bodies("again")], ("/Cell", "bodies_nested")),
        ([belt()], ("/Cell", "belt_surface")),
        ([bodies(), belt("/Cell/Carton")], ("/Cell", "belt_surface")),
        ([bodies(), belt("/Cell/Ground")], ("/Cell", "belt_surface")),
        ([bodies(), belt("/Cell/C1")], ("/Cell", "belt_surface")),
        ([bodies(), belt(parameters={"direction_x": 0})], ("/Cell", "belt_direction")),
        ([bodies(), joint("Box")], ("/Cell", "joint_unknown")),
        ([bodies(), joint("PendulumJoint", parameters={"target": 1})], ("/Cell", "joint_undriven")),
        ([joint("UpperJoint")], ("/Cell", "joint_unknown")),
    ],
)  # fmt: skip
def test_a_problem_names_its_prim_and_stops_nothing_else(
    parts: list[Part], expected: tuple[str, str]
) -> None:
    found = plant_of(*parts)
    assert expected in codes(found)


def test_bodies_without_a_body_are_a_problem() -> None:
    scene = Scene()
    scene.ground()
    assert codes(plant_of(bodies(), scene=scene)) == [("/Cell", "bodies_empty")]


def test_a_bad_belt_costs_only_itself() -> None:
    found = plant_of(bodies(), belt("/Cell/Carton"), joint("UpperJoint"))
    assert [system.name for system in found.plan.systems] == ["bodies:/Cell"]
    assert set(found.instances) == {"/Cell.physics", "/Cell.UpperJoint"}


def test_a_plan_that_would_not_run_is_refused() -> None:
    scene = read_scene(stage_of(cell()), "/Cell")
    for options, message in (
        ({"solver": "bullet"}, "steel, xpbd, mujoco, got bullet"),
        ({"rate": 0.0}, "rate must be positive"),
        ({"belts": [Belt("/Cell/Belt", 0, (0, 0, 0))]}, "/Cell/Belt: a belt's direction"),
        (
            {"drives": [JointDrive("/Cell/PendulumJoint", 0)]},
            "/Cell/PendulumJoint: it has no",
        ),
    ):
        with pytest.raises(BodiesError, match=message):
            BodiesPlan(scene=scene, name="bodies", **options)  # type: ignore[arg-type]
    with pytest.raises(BodiesError, match="/Nothing: there is no such prim"):
        read_scene(stage_of(cell()), "/Nothing")


def test_a_machine_in_pieces_needs_a_root() -> None:
    scene = Scene()
    scene.link("A", (0, 0, 2), 0.6, 3.0)
    scene.link("Other", (0, 3, 2), 0.6, 3.0)
    scene.link("B", (0.6, 0, 2), 0.5, 2.0, held="A", arm=0.3)
    with pytest.raises(BodiesError, match=r"/Cell/AJoint: .*ArticulationRootAPI"):
        read_scene(stage_of(scene), "/Cell")


def test_joints_without_a_root_are_machines_all_the_same() -> None:
    scene = Scene()
    scene.link("A", (0, 0, 2), 0.6, 3.0)
    scene.link("B", (0.6, 0, 2), 0.5, 2.0, held="A", arm=0.3)
    read = read_scene(stage_of(scene), "/Cell")
    assert list(read.builder.joint_articulation) == [0, 0]


def test_a_fingerprint_follows_the_scene() -> None:
    first, same = (read_scene(stage_of(cell()), "/Cell").revision for _ in range(2))
    heavier = cell()
    heavier.box("More", (5, 5, 1), (0.2, 0.2, 0.2), 1.0)
    assert first == same
    assert read_scene(stage_of(heavier), "/Cell").revision != first


def test_a_scene_is_read_again_only_after_a_change() -> None:
    stage = stage_of(cell())
    first = read_scene_once(stage, "/Cell")
    assert read_scene_once(stage, "/Cell") is first
    stage.GetAttributeAtPath("/Cell/Box.physics:mass").Set(5.0)
    again = read_scene_once(stage, "/Cell")
    assert again.builder.body_mass[again.bodies["/Cell/Box"]] == 5.0


def test_poses_come_back_to_prims_that_are_scaled_and_nested() -> None:
    scene = Scene(0.01, up="Y")
    scene.box("Flat", (1, 2, 3), (0.4, 0.2, 0.1), 1.0)
    scene.text += """
def Xform "Holder"
{
    double3 xformOp:translate = (10, 200, 0)
    double xformOp:rotateY = 30
    uniform token[] xformOpOrder = ["xformOp:translate", "xformOp:rotateY"]
    def Sphere "Ball" (prepend apiSchemas = ["PhysicsCollisionAPI", "PhysicsRigidBodyAPI"])
    {
        double radius = 10
        double3 xformOp:translate = (50, 100, 0)
        uniform token[] xformOpOrder = ["xformOp:translate"]
    }
    def Sphere "Free" (prepend apiSchemas = ["PhysicsCollisionAPI", "PhysicsRigidBodyAPI"])
    {
        double radius = 10
        double3 xformOp:translate = (50, 700, 0)
        uniform token[] xformOpOrder = ["!resetXformStack!", "xformOp:translate"]
    }
}
"""
    stage = stage_of(scene)
    before = {
        path: UsdGeom.XformCache().GetLocalToWorldTransform(stage.GetPrimAtPath(path))
        for path in ("/Cell/Flat", "/Cell/Holder/Ball", "/Cell/Holder/Free")
    }
    engine = plan_of(read_scene(stage, "/Cell"), belts=False).engine()
    shown = _shown(stage, engine)
    for path, matrix in before.items():
        assert np.array(shown[path]) == pytest.approx(np.array(matrix), abs=1e-3)
    engine.step(10)
    fallen = 100 * 9.81 * 0.5**2 / 2
    shown = _shown(stage, engine)
    for path, matrix in before.items():
        moved = np.array(matrix)
        moved[3, 1] -= fallen
        assert np.array(shown[path]) == pytest.approx(moved, abs=0.03 * fallen)
        assert np.array(shown[path])[:3, :3] == pytest.approx(moved[:3, :3], abs=1e-3)


def _shown(stage: Usd.Stage, engine: Engine) -> dict[str, Gf.Matrix4d]:
    """Write the poses of an engine to a layer, and return where USD sees the prims."""
    system = system_of(engine)
    layer = Sdf.Layer.CreateAnonymous("predicted.usda")
    stage.GetSessionLayer().subLayerPaths[:] = [layer.identifier]
    writer = PredictedLayer(stage, layer, {layer.identifier})
    writer.bind([], [Placed(p, bool(r)) for p, r in zip(system.paths, system.resets, strict=True)])
    writer.place(np.arange(len(system.paths), dtype=np.int32), system.poses())
    cache = UsdGeom.XformCache()
    shown = {p: cache.GetLocalToWorldTransform(stage.GetPrimAtPath(p)) for p in system.paths}
    stage.GetSessionLayer().subLayerPaths[:] = []
    return shown


def test_the_example_line_has_no_problem() -> None:
    stage = Usd.Stage.Open(str(factory_folder() / "bodies" / "line.usda"))
    found = read_plant(stage)
    assert [str(problem) for problem in found.problems] == []
    (plan,) = (s for s in found.plan.systems if isinstance(s, BodiesPlan))
    assert [belt.path for belt in plan.belts] == ["/World/C1/Surface", "/World/C2/Surface"]
    assert len(plan.paths) == 12


def test_a_resting_body_stays_where_it_was_written() -> None:
    engine = plan_of(read_scene(stage_of(cell()), "/Cell")).engine()
    engine.step(60)
    first = place(system_of(engine), "/Cell/Box")
    engine.step(20)
    assert place(system_of(engine), "/Cell/Box") == pytest.approx(first, abs=1e-5)
