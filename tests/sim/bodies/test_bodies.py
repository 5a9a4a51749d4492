"""Bodies that move: against mechanics, and the same from any saved moment on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import warp as wp
from scipy.special import ellipk

from stagetwin_sim._errors import ModelError, SnapshotError
from stagetwin_sim.bodies import Belt, BodiesPlan, BodyScene, Touch, read_scene
from stagetwin_sim.engine import Column, Engine, PlanBuilder, Snapshot, host_copy
from tests.sim.bodies.conftest import place, plan_of, seconds, system_of, value
from tests.sim.bodies.scenes import Scene, cell, slope, stage_of

# newton compiles for a minute the first time, for many on a busy machine.
pytestmark = pytest.mark.timeout(900)

GRAVITY = 9.81
ROD_LENGTH, ROD_MASS = 1.0, 2.0


def test_what_falls_comes_to_rest_on_the_ground(settled: Engine) -> None:
    assert place(system_of(settled), "/Cell/Box") == pytest.approx([0, 2, 0.2], abs=1e-3)
    assert np.abs(system_of(settled).twists()[3]).max() < 1e-3


@pytest.mark.parametrize(("world", "speed"), [(0, 0.5), (1, -0.25)])
def test_a_belt_carries_at_its_speed_in_each_world(
    settled: Engine, world: int, speed: float
) -> None:
    system = system_of(settled)
    row = list(system.paths).index("/Cell/Carton")
    assert system.twists(world)[row, 0] == pytest.approx(speed, rel=0.02)
    x, y, z = place(system, "/Cell/Carton", world)
    assert x == pytest.approx(-2 + 3 * speed, abs=0.08)
    assert y == pytest.approx(0, abs=0.01)
    assert z == pytest.approx(0.6, abs=1e-3)


def test_drives_hold_their_targets(settled: Engine) -> None:
    for name, target in (("Upper", -0.5), ("Fore", 0.524)):
        assert value(settled, f"{name}.position") == pytest.approx(target, abs=0.03)
        assert value(settled, f"{name}.velocity") == pytest.approx(0, abs=1e-3)
    # What holds two rods still is their weight on its lever; positive turns are downward.
    held = 3.0 * 0.3 * math.cos(-0.5) + 2.0 * (0.6 * math.cos(-0.5) + 0.25 * math.cos(0.024))
    assert value(settled, "Upper.effort") == pytest.approx(-held * GRAVITY, rel=0.02)


def test_an_actuator_holds_its_target_less_what_its_weight_takes(settled: Engine) -> None:
    sag = 1.0 * GRAVITY * 0.25 * math.cos(0.36) / 60
    assert value(settled, "Slow.position") == pytest.approx(-0.4 + sag, abs=2e-3)


def test_an_actuator_hears_its_target_late(scene: BodyScene) -> None:
    plan = plan_of(scene, frame=1 / 240)
    asked, other = plan.engine(), plan.engine()
    # What a delay holds back at first is the oldest target it knows.
    asked.step(8)
    other.step(8)
    asked.write([plan.column("Slow.target")], [0.3])
    for step in range(1, 8):
        asked.step()
        other.step()
        same = value(asked, "Slow.position") == value(other, "Slow.position")
        assert same == (step <= 5), step


def test_a_belt_takes_its_speed_from_the_bus_while_it_runs(settled: Engine) -> None:
    engine = settled.fork()
    engine.write([engine.plan.column("speed")], [0.0])
    seconds(engine, 1.0)
    row = list(system_of(engine).paths).index("/Cell/Carton")
    assert np.abs(system_of(engine).twists()[row]).max() < 1e-3


def test_a_load_passes_from_one_belt_to_the_next() -> None:
    scene = Scene()
    scene.box("First", (-1.52, 0, 0.4), (3, 0.8, 0.1))
    scene.box("Second", (1.52, 0, 0.4), (3, 0.8, 0.1))  # 4 cm apart
    scene.box("Carton", (-0.8, 0, 0.601), (0.4, 0.3, 0.3), mass=4)
    builder = PlanBuilder()
    speeds = [builder.column(Column(name, value=v)) for name, v in (("a", 0.5), ("b", 0.8))]
    belts = [
        Belt(f"/Cell/{name}", column, (1, 0, 0))
        for name, column in zip(("First", "Second"), speeds, strict=True)
    ]
    read = read_scene(stage_of(scene), "/Cell")
    builder.add(BodiesPlan(scene=read, name="bodies", belts=belts))
    engine = builder.build().engine()
    heights, places = [], []
    for _ in range(60):
        engine.step()
        x, _, z = place(system_of(engine), "/Cell/Carton")
        places.append(x)
        heights.append(z)
    assert heights == pytest.approx([0.6] * 60, abs=5e-3)
    assert np.diff(places).min() > 0.01  # it slows on the gap, and never stops
    assert places[-1] - places[-11] == pytest.approx(0.8 * 0.5, rel=0.02)


def test_a_pendulum_keeps_its_period_and_energy(scene: BodyScene) -> None:
    inertia = ROD_MASS * ROD_LENGTH**2 / 3
    torque = ROD_MASS * GRAVITY * ROD_LENGTH / 2
    period = 4 * math.sqrt(inertia / torque) * ellipk(math.sin(math.pi / 4) ** 2)
    engine = plan_of(scene, frame=1 / 120).engine()
    angles, speeds = [], []
    for _ in range(round(4.2 * period * 120)):
        engine.step()
        angles.append(value(engine, "Pendulum.position"))
        speeds.append(value(engine, "Pendulum.velocity"))
    angle, speed = np.array(angles), np.array(speeds)
    down = angle - math.pi / 2
    up = np.flatnonzero((down[:-1] < 0) & (down[1:] >= 0))
    crossings = up - down[up] / (down[up + 1] - down[up])
    assert np.diff(crossings) / 120 == pytest.approx(period, rel=0.005)
    energy = inertia * speed**2 / 2 - torque * np.sin(angle)
    assert np.abs(energy).max() < 0.01 * torque


def test_a_collision_keeps_momentum() -> None:
    scene = Scene(gravity=0.0)
    moves = "vector3f physics:velocity = (2, 0, 0)"
    scene.box("A", (0, 0, 5), (0.4, 0.4, 0.4), 3.0, moves)
    scene.box("B", (1, 0.05, 5.02), (0.4, 0.4, 0.4), 1.0)
    engine = plan_of(read_scene(stage_of(scene), "/Cell"), belts=False).engine()
    system = system_of(engine)
    seconds(engine, 1.0)
    speeds = system.twists()[:, :3]
    assert speeds[1, 0] > 1.0  # it was hit
    assert np.array([3.0, 1.0]) @ speeds == pytest.approx([6.0, 0, 0], abs=6e-4)


def test_what_falls_freely_gains_the_momentum_that_gravity_gives() -> None:
    scene = Scene()
    scene.box("A", (0, 0, 50), (0.4, 0.4, 0.4), 3.0)
    engine = plan_of(read_scene(stage_of(scene), "/Cell"), belts=False).engine()
    seconds(engine, 2.0)
    assert system_of(engine).twists()[0] == pytest.approx([0, 0, -2 * GRAVITY, 0, 0, 0], abs=1e-3)


def test_friction_holds_on_a_slope_and_may_differ_by_world() -> None:
    tilted = math.radians(15)
    engine = plan_of(read_scene(stage_of(slope(15)), "/Cell"), belts=False).engine(2)
    system = system_of(engine)
    first = place(system, "/Cell/Block")
    system.assign("/Cell.physics", "friction", [1.0, 0.1])  # tan(15 deg) is between
    saved = engine.save()
    seconds(engine, 2.0)
    assert place(system, "/Cell/Block", 0) == pytest.approx(first, abs=2e-3)
    slid = GRAVITY * (math.sin(tilted) - 0.1 * math.cos(tilted)) * 2**2 / 2
    gone = np.linalg.norm(np.subtract(place(system, "/Cell/Block", 1), first))
    assert gone == pytest.approx(slid, rel=0.05)
    again = engine.plan.engine(2)
    again.restore(saved)
    seconds(again, 2.0)
    assert again.save().digest() == engine.save().digest()


def test_only_friction_can_vary(settled: Engine) -> None:
    system = system_of(settled)
    with pytest.raises(ModelError, match="param:solver cannot vary"):
        system.assign("/Cell.physics", "solver", [1, 1])
    with pytest.raises(ModelError, match=r"2 numbers in \[0, 10\]"):
        system.assign("/Cell.physics", "friction", [1, -1])


@pytest.mark.parametrize("moment", [0, 30])
def test_fork_and_run_equals_run_bit_for_bit(scene: BodyScene, moment: int) -> None:
    engine = plan_of(scene).engine()
    engine.step(moment)
    saved = engine.save()
    fork = engine.fork(3)
    engine.step(9)
    fork.step(9)
    assert fork.save().world(2).digest() == engine.save().digest()
    ended = engine.save().digest()
    engine.restore(Snapshot.from_bytes(saved.to_bytes()))
    assert engine.save().digest() == saved.digest()
    engine.step(9)
    assert engine.save().digest() == ended


def test_a_world_among_many_is_as_if_alone(settled: Engine, scene: BodyScene) -> None:
    engine = plan_of(scene).engine()
    engine.write([engine.plan.column("speed")], [-0.25])
    seconds(engine, 3.0)
    assert engine.save().digest() == settled.save().world(1).digest()


def test_graph_and_single_launches_agree(scene: BodyScene) -> None:
    engine = plan_of(scene).engine()
    first = engine.save()
    engine.step(6)
    graph = engine.save().digest()
    engine.restore(first)
    engine.eager = True
    engine.step(6)
    assert engine.save().digest() == graph


def test_an_odd_number_of_steps_a_frame(scene: BodyScene) -> None:
    odd = plan_of(scene, frame=3 / 240).engine()
    even = plan_of(scene, frame=12 / 240).engine()
    odd.step(8)
    even.step(2)
    assert np.array_equal(system_of(odd).poses(), system_of(even).poses())


def test_a_state_of_another_scene_is_refused(settled: Engine) -> None:
    system = system_of(settled)
    saved = dict(system.save())
    saved["joint_q"] = saved["joint_q"][:, 1:]
    with pytest.raises(SnapshotError, match="joint_q has shape"):
        system.load(saved)


def test_what_does_not_fit_is_counted_by_cause(scene: BodyScene) -> None:
    engine = plan_of(scene, contacts=3).engine()
    seconds(engine, 1.0)
    assert value(engine, "dropped") > 0
    lost = system_of(engine).dropped
    assert lost["contacts"][0] > 0
    assert sum(counts[0] for counts in lost.values()) == value(engine, "dropped")


def test_nothing_is_dropped_where_there_is_room(settled: Engine) -> None:
    assert value(settled, "dropped") == 0
    assert system_of(settled).dropped == {}
    assert value(settled, "contacts") >= 8


def test_indices_lead_to_prims_and_back(settled: Engine) -> None:
    system = system_of(settled)
    for world in (0, 1):
        for find, back, paths in (
            (system.body, system.path_of_body, system.plan.scene.bodies),
            (system.shape, system.path_of_shape, system.plan.scene.shapes),
            (system.joint, system.path_of_joint, system.plan.scene.joints),
        ):
            for path in paths:
                assert back(find(path, world)) == (path, world)
    assert system.model.body_label[system.body("/Cell/Fore", 1)] == "/Cell/Fore"
    with pytest.raises(ModelError, match="/Cell/Nothing: no such part of bodies"):
        system.body("/Cell/Nothing")
    with pytest.raises(ModelError, match=r"world must be in \[0, 2\), got 2"):
        system.body("/Cell/Box", 2)


def test_corrected_joints_are_where_they_were_measured(settled: Engine) -> None:
    engine = settled.fork()
    column = engine.plan.column("Fore.position")
    assert system_of(engine).correct({column: 0.1, 999: 1.0}) == [column]
    engine.step()
    assert value(engine, "Fore.position") == pytest.approx(0.3, abs=0.25)
    assert value(engine, "Fore.velocity") > 0.5  # on its way back to the target


def test_a_machine_that_hits_something_is_seen() -> None:
    scene = Scene()
    scene.ground()
    scene.link("Upper", (0, 0, 1), 0.6, 3.0, drive=scene.drive(4000, 400), collides=True)
    scene.box("Post", (0.3, 0, 0.3), (0.1, 0.4, 0.6))
    scene.box("Far", (3, 0, 0.2), (0.4, 0.4, 0.4), mass=1.0)
    stage = stage_of(scene)
    for touchable, expected in (
        ((), [Touch(0, "/Cell/Upper", "/Cell/Post")]),
        (("/Cell/Post",), []),
    ):
        plan = plan_of(read_scene(stage, "/Cell"), belts=False, touchable=touchable)
        engine = plan.engine()
        engine.step()
        assert system_of(engine).touching() == ()
        engine.write([plan.column("Upper.target")], [1.2])
        seconds(engine, 1.0)
        assert list(system_of(engine).touching()) == expected


def test_units_and_axes_of_a_stage_do_not_matter(scene: BodyScene) -> None:
    other = read_scene(stage_of(cell(0.01, "Y", 0.001)), "/Cell")
    engines = [plan_of(s).engine() for s in (scene, other)]
    for engine in engines:
        seconds(engine, 2.0)
    first, second = (system_of(engine) for engine in engines)
    # The joints' axis points the other way, so what moves up by a positive turn now moves down.
    for path in ("/Cell/Carton", "/Cell/Box"):
        x, y, z = place(first, path)
        assert place(second, path) == pytest.approx([100 * x, 100 * z, -100 * y], abs=0.5)
    x, _, z = place(first, "/Cell/Pendulum")
    assert place(second, "/Cell/Pendulum") == pytest.approx([100 * x, 100 * z, -500], abs=0.5)
    assert value(engines[1], "Slow.position") == pytest.approx(-0.436, abs=2e-3)
    assert host_copy(second.model.body_mass) == pytest.approx(
        host_copy(first.model.body_mass), rel=1e-5
    )


def test_xpbd_moves_the_same_scene(scene: BodyScene) -> None:
    engine = plan_of(scene, solver="xpbd").engine()
    engine.step(20)
    fork = engine.fork(2)
    seconds(engine, 2.0)
    seconds(fork, 2.0)
    assert fork.save().world(1).digest() == engine.save().digest()
    system = system_of(engine)
    row = list(system.paths).index("/Cell/Carton")
    assert system.twists()[row, 0] == pytest.approx(0.5, rel=0.02)
    assert place(system, "/Cell/Box")[2] == pytest.approx(0.2, abs=2e-3)
    assert value(engine, "Upper.position") == pytest.approx(-0.5, abs=0.1)


@pytest.mark.slow
def test_mujoco_moves_what_has_no_belts(scene: BodyScene) -> None:
    engine = plan_of(scene, belts=False, solver="mujoco").engine()
    engine.step(20)
    fork = engine.fork(2)
    seconds(engine, 2.0)
    seconds(fork, 2.0)
    assert fork.save().world(1).digest() == engine.save().digest()
    assert place(system_of(engine), "/Cell/Box")[2] == pytest.approx(0.2, abs=2e-3)
    assert value(engine, "Upper.position") == pytest.approx(-0.5, abs=0.03)


@pytest.mark.gpu
def test_a_gpu_agrees_tightly_without_contacts() -> None:
    if not wp.is_cuda_available():
        pytest.skip("no CUDA device")
    scene = Scene()
    scene.link("Pendulum", (0, 5, 3), ROD_LENGTH, ROD_MASS)
    scene.link("Upper", (0, 8, 2), 0.6, 3.0, drive=scene.drive(4000, 400), root=True)
    scene.link("Fore", (0.6, 8, 2), 0.5, 2.0, held="Upper", arm=0.3, drive=scene.drive(3000, 300))
    scene.box("A", (0, 0, 50), (0.4, 0.4, 0.4), 3.0)
    plan = plan_of(read_scene(stage_of(scene), "/Cell"), belts=False, frame=1 / 240)
    engines = [plan.engine(device=device) for device in ("cpu", "cuda:0")]
    for engine in engines:
        engine.step(50)
    cpu, gpu = (system_of(engine).poses() for engine in engines)
    assert gpu == pytest.approx(cpu, abs=1e-5)


@pytest.mark.gpu
def test_a_gpu_comes_to_the_same_outcome_with_contacts(scene: BodyScene) -> None:
    if not wp.is_cuda_available():
        pytest.skip("no CUDA device")
    engine = plan_of(scene).engine(2, "cuda:0")
    seconds(engine, 3.0)
    system = system_of(engine)
    row = list(system.paths).index("/Cell/Carton")
    assert system.twists(1)[row, 0] == pytest.approx(0.5, rel=0.02)
    assert place(system, "/Cell/Box", 1)[2] == pytest.approx(0.2, abs=1e-3)
    assert value(engine, "Fore.position", 1) == pytest.approx(0.524, abs=0.03)
    fork = engine.fork()
    seconds(fork, 1.0)
    assert value(fork, "Upper.position") == pytest.approx(-0.5, abs=0.03)
