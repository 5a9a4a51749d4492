"""Arms: angles for a pose, motions within limits, and a carton that goes from belt to pallet."""

from __future__ import annotations

import math

import newton
import numpy as np
import numpy.typing as npt
import pytest
import warp as wp
from pxr import Usd

from stagetwin_sim._errors import SnapshotError
from stagetwin_sim.arms import (
    ArmError,
    ArmIk,
    Gripper,
    Phase,
    PickSystem,
    TargetRamp,
    plan_motion,
    read_chain,
    read_tool,
)
from stagetwin_sim.bodies import BodiesPlan, BodiesSystem, BodyScene, JointDrive, read_scene
from stagetwin_sim.bodies._poses import matrices
from stagetwin_sim.engine import Column, Engine, PlanBuilder, Snapshot, host_copy
from tests.sim.arms.cells import ARM, JOINTS, PARTS, SLOTS, TOOL, pick_plan

# newton compiles for minutes the first time on a busy machine.
pytestmark = pytest.mark.timeout(900)

DOWN = (1.0, 0.0, 0.0, 0.0)
BENT = (0.3, 0.4, 0.2, 0.1, 1.0, -0.2)


def value(engine: Engine, name: str, world: int = 0) -> float:
    """Return what a column holds."""
    return float(engine.read([engine.plan.column(name)])[world, 0])


def part(engine: Engine, index: int, world: int = 0) -> npt.NDArray[np.float64]:
    """Return x, y, z and turn of a part."""
    columns = [engine.plan.column(f"part{index}.{name}") for name in ("x", "y", "z", "turn")]
    values: npt.NDArray[np.float64] = engine.read(columns)[world]
    return values


def system_of(engine: Engine) -> BodiesSystem:
    system = engine.systems["bodies"]
    assert isinstance(system, BodiesSystem)
    return system


# -- angles for a pose


def test_a_chain_brings_the_tool_where_newton_does(stage: Usd.Stage) -> None:
    scene = read_scene(stage, ARM)
    chain = read_chain(stage, scene, TOOL)
    model = scene.builder.finalize(device="cpu")
    state = model.state()
    model.joint_q.assign(np.array(BENT, np.float32))
    newton.eval_fk(model, model.joint_q, model.joint_qd, state)
    body = matrices(host_copy(state.body_q)[5:6])[0]
    tool = matrices(np.array([chain.site.pose]))[0] @ body
    assert chain.tools(BENT)[0] == pytest.approx(tool, abs=1e-5)


def test_angles_bring_the_tool_to_its_pose(ik: ArmIk) -> None:
    targets = [
        (0.0, 0.0, 1.2, *DOWN),
        (0.6, -1.45, 0.5, *DOWN),
        (-0.4, 0.1, 1.4, math.cos(0.3), math.sin(0.3), 0.0, 0.0),
        (0.2, -0.1, 1.3, -math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5)),
        (0.7, -0.8, 1.0, *DOWN),
    ]
    found = ik.solve(targets, BENT)
    assert found.reached.all()
    tools = ik.chain.tools(found.require())
    assert tools[:, 3, :3] == pytest.approx(np.array(targets)[:, :3], abs=1e-3)
    assert (found.angles >= ik.chain.lower).all()
    assert (found.angles <= ik.chain.upper).all()
    # Z of the tool looks down, but in the fourth pose.
    assert tools[[0, 1, 2, 4], 2, 2] == pytest.approx([-1.0] * 4, abs=1e-4)


def test_what_is_out_of_reach_is_said(ik: ArmIk) -> None:
    found = ik.solve([(0.0, 0.0, 1.2, *DOWN), (3.0, 0.0, 1.0, *DOWN)], BENT)
    assert found.reached.tolist() == [True, False]
    assert found.position_errors[1] > 0.5
    with pytest.raises(ArmError, match=r"/World/Arm/Link6/Tool: cannot reach \(3.000, 0.000, 1.0"):
        found.require()


def test_the_same_question_has_the_same_answer_whoever_else_asks(ik: ArmIk) -> None:
    goal, other = (0.4, -0.3, 1.1, *DOWN), (-0.3, 0.1, 1.3, *DOWN)
    near = ik.solve([goal], BENT).angles[0]
    alone = ik.follow([goal], near).angles[0]
    among = ik.follow([other, goal, other], near).angles[1]
    assert np.array_equal(alone, among)
    assert np.abs(alone - near).max() < 1e-3  # it stays in its branch


@pytest.mark.parametrize(
    ("pose", "message"),
    [((0, 0, math.nan, *DOWN), "7 finite numbers"), ((0, 0, 1, 0, 0, 0, 0), "has a length")],
)
def test_a_pose_that_is_none_is_refused(ik: ArmIk, pose: tuple[float, ...], message: str) -> None:
    with pytest.raises(ArmError, match=message):
        ik.solve([pose])


def test_a_tool_is_on_a_chain_of_joints(stage: Usd.Stage, scene: BodyScene) -> None:
    for path, message in (
        ("/World/Nothing", "no such prim"),
        ("/World/Pallet", "lies on a body"),
        ("/World/Carton1/Box", "not held by a joint"),
    ):
        with pytest.raises(ArmError, match=message):
            read_chain(stage, scene, path)
    with pytest.raises(ArmError, match="something else than the arm"):
        ArmIk(stage, "/World", TOOL)


# -- motions


def test_a_motion_keeps_its_limits() -> None:
    start, end = np.zeros(3), np.array([1.0, -2.0, 0.05])
    speeds, hard = np.array([1.0, 1.5, 0.5]), np.array([4.0, 5.0, 6.0])
    motion = plan_motion(start, end, speeds, hard)
    times = np.linspace(0, motion.duration, 4001)
    way = np.array([motion.at(t) for t in times])
    step = times[1]
    speed = np.diff(way, axis=0) / step
    assert way[0] == pytest.approx(start)
    assert way[-1] == pytest.approx(end)
    assert (np.abs(speed).max(axis=0) <= speeds + 1e-6).all()
    assert (np.abs(np.diff(speed, axis=0) / step).max(axis=0) <= hard + 1e-4).all()
    # The second joint decides: way / speed + speed / acceleration.
    assert motion.duration == pytest.approx(2.0 / 1.5 + 1.5 / 5.0)


def test_a_short_motion_never_cruises() -> None:
    motion = plan_motion([0.0], [0.1], 2.0, 4.0)
    assert motion.duration == pytest.approx(2 * math.sqrt(0.1 / 4.0))
    assert motion.at(motion.duration / 2) == pytest.approx([0.05])
    assert plan_motion([0.3], [0.3], 1.0, 1.0).at(5.0) == pytest.approx([0.3])
    with pytest.raises(ArmError, match="must be positive"):
        plan_motion([0.0], [1.0], 0.0, 1.0)


# -- from the belt to the pallet


def test_a_belt_carries_the_part_until_it_is_taken(stage: Usd.Stage, scene: BodyScene) -> None:
    engine = pick_plan(stage, scene).engine()
    engine.step(10)
    before = part(engine, 1)
    engine.step(20)
    moved = part(engine, 1) - before
    assert moved[0] == pytest.approx(0.2 * 1.0, rel=0.02)
    assert moved[1:] == pytest.approx([0, 0, 0], abs=2e-3)
    assert value(engine, "holding") == 0


def test_parts_go_from_the_moving_belt_to_their_places(carried: Engine) -> None:
    engine = carried.plan.engine(2)
    engine.restore(carried.save())
    heights = []
    for _ in range(320):
        engine.step()
        heights.append(part(engine, 1)[2])
    for world in (0, 1):
        assert value(engine, "placed", world) == 2
        assert value(engine, "missed", world) == 0
        assert value(engine, "holding", world) == 0
        for index, place in enumerate(SLOTS, 1):
            x, y, z, turn = part(engine, index, world)
            assert (x, y) == pytest.approx(place[:2], abs=0.01)
            assert z == pytest.approx(place[2], abs=2e-3)
            assert math.remainder(turn - place[3], math.pi) == pytest.approx(0, abs=0.02)
    assert max(heights) > 0.98  # it was lifted over the belt's edge
    assert value(engine, "dropped") == 0
    assert np.abs(system_of(engine).twists()[6:]).max() < 1e-3
    assert value(engine, "phase") == Phase.WAIT
    assert system_of(engine).touching() == ()


def test_a_world_at_work_is_as_if_alone_and_goes_on_from_any_moment(carried: Engine) -> None:
    alone = carried.plan.engine()
    alone.step(60)
    saved = alone.save()
    assert value(alone, "holding") == 1
    assert saved.digest() == carried.save().world(0).digest()
    alone.step(25)
    ended = alone.save().digest()
    alone.restore(Snapshot.from_bytes(saved.to_bytes()))
    alone.step(25)
    assert alone.save().digest() == ended


def test_a_tool_that_is_too_weak_loses_its_part(stage: Usd.Stage, scene: BodyScene) -> None:
    engine = pick_plan(stage, scene, limit=50.0).engine()  # it weighs 59 N
    engine.step(120)
    assert value(engine, "missed") >= 1
    assert value(engine, "placed") == 0
    assert part(engine, 1)[2] == pytest.approx(0.835, abs=2e-3)  # still on the belt


def test_a_place_out_of_reach_is_refused_before_anything_moves(
    stage: Usd.Stage, scene: BodyScene
) -> None:
    plan = pick_plan(stage, scene, places=((2.5, -1.45, 0.144, 0.0),))
    with pytest.raises(ArmError, match=r"cannot reach \(2.500, -1.450"):
        plan.engine()


def test_a_program_of_another_arm_is_refused(carried: Engine) -> None:
    program = carried.systems["pick"]
    assert isinstance(program, PickSystem)
    with pytest.raises(SnapshotError, match="program has shape"):
        program.load({"program": np.zeros((2, 3))})


def test_what_is_held_hangs_by_its_weight(stage: Usd.Stage, scene: BodyScene) -> None:
    builder = PlanBuilder()
    close, force = (builder.column(Column(name)) for name in ("close", "force"))
    holding = builder.column(Column("holding"))
    tool = read_tool(stage, scene, TOOL)
    gripper = Gripper(site=tool, parts=PARTS, close=close, reach=5.0, holding=holding, force=force)
    shoulder = builder.column(Column("shoulder"))
    builder.add(
        BodiesPlan(
            scene=scene,
            name="bodies",
            drives=[JointDrive(JOINTS[1], shoulder)],
            hooks=[TargetRamp(JOINTS[1:2], [shoulder]), gripper],
        )
    )
    engine = builder.build().engine()
    system = system_of(engine)
    row = list(system.paths).index(PARTS[0])
    engine.step(10)
    lying = system.poses()[row]
    engine.write([close], [1.0])
    for k in range(1, 21):
        engine.write([shoulder], [-0.01 * k])
        engine.step()
    engine.step(40)
    hanging = system.poses()[row]
    assert value(engine, "holding") == 1
    assert value(engine, "force") == pytest.approx(6 * 9.81, rel=1e-3)
    # It turned with the tool, about the arm's shoulder.
    assert hanging[:3] == pytest.approx([1, 0, 0], abs=0.02)
    assert math.acos(hanging[10]) == pytest.approx(0.2, abs=0.02)
    assert np.linalg.norm(hanging[12:15] - lying[12:15]) > 0.1
    engine.write([close], [0.0])
    engine.step(30)
    assert value(engine, "force") == 0
    assert value(engine, "holding") == 0
    assert system.poses()[row, 14] < hanging[14] - 0.05


@pytest.mark.gpu
def test_a_gpu_brings_an_arm_to_the_same_target(scene: BodyScene) -> None:
    if not wp.is_cuda_available():
        pytest.skip("no CUDA device")
    builder = PlanBuilder()
    targets = [builder.column(Column(f"target{i}", value=q)) for i, q in enumerate(BENT)]
    shown = [builder.column(Column(f"position{i}")) for i in range(6)]
    drives = [JointDrive(*each) for each in zip(JOINTS, targets, shown, strict=True)]
    builder.add(
        BodiesPlan(scene=scene, name="bodies", drives=drives, hooks=[TargetRamp(JOINTS, targets)])
    )
    plan = builder.build()
    engines = [plan.engine(device=device) for device in ("cpu", "cuda:0")]
    for engine in engines:
        engine.step(40)
    cpu, gpu = (engine.read(shown)[0] for engine in engines)
    assert gpu == pytest.approx(cpu, abs=0.03)
    assert gpu == pytest.approx(BENT, abs=0.03)
