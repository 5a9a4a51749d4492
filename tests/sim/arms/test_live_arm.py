"""A live arm on a stage: its physics beside it, and the difference as a signal."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from pxr import Usd

from stagetwin_sim.engine import Engine
from stagetwin_sim.plant import PlantModel, read_plant
from tests.sim.arms.cells import ARM, cell_stage

# newton compiles for minutes the first time on a busy machine.
pytestmark = pytest.mark.timeout(900)

START = np.array([0.2, 0.4, 0.1, 0.0, 0.9, 0.0])
AXES = range(1, 7)
LOAD = 15.0


def signal(name: str) -> str:
    return f"{ARM}.twin:telemetry:{name}:value"


def shown(plant: PlantModel, engine: Engine, name: str) -> float:
    """Return an output of the model, in SI units."""
    (found,) = (o for o in plant.outputs if o.path == f"{ARM}.twin:model:motion:out:{name}")
    return float(engine.read([found.column])[0, 0])


def expected(plant: PlantModel, engine: Engine, name: str) -> npt.NDArray[np.float64]:
    """Return what the signals of all axes should say, in the stage's units."""
    by_path = {output.path: output for output in plant.outputs}
    found = [by_path[f"{ARM}.twin:telemetry:{name}{i}:predicted"] for i in AXES]
    bus = engine.read()[0]
    return np.array([bus[o.column] * o.scale + o.offset for o in found])


def feed(plant: PlantModel, engine: Engine, name: str, values: npt.NDArray[np.float64]) -> None:
    """Put the signals of all axes on the bus, in the stage's units."""
    for i, value in zip(AXES, values, strict=True):
        for fed in plant.measured[signal(f"{name}{i}")]:
            engine.write([fed.column], [fed.of(float(value))])


def begun(plant: PlantModel) -> PlantModel:
    """Return the plant where the arm stands at START."""
    angles = np.degrees(START).tolist()
    said = {
        signal(f"{name}{i}"): v
        for name in ("joint", "target")
        for i, v in zip(AXES, angles, strict=True)
    }
    return plant.at(said)


@pytest.fixture(scope="module")
def plant() -> PlantModel:
    return begun(read_plant(cell_stage()))


@pytest.fixture(scope="module")
def laden() -> PlantModel:
    """The machine, whose tool is heavier than its twin knows."""
    stage = cell_stage()
    with Usd.EditContext(stage, stage.GetSessionLayer()):
        mass = stage.GetAttributeAtPath(f"{ARM}/Link6.physics:mass")
        mass.Set(mass.Get() + LOAD)
        plant = begun(read_plant(stage))
    stage.GetSessionLayer().Clear()
    return plant


def test_a_twin_begins_where_its_arm_stands(plant: PlantModel) -> None:
    assert [str(problem) for problem in plant.problems] == []
    engine = plant.plan.engine()
    engine.step()
    assert expected(plant, engine, "joint") == pytest.approx(np.degrees(START), abs=0.3)


def run(machine: PlantModel, twin: PlantModel, seconds: float) -> tuple[Engine, Engine]:
    """Run a machine and its twin from the same set-points; the twin hears the machine."""
    there, here = machine.plan.engine(), twin.plan.engine()
    for frame in range(round(seconds / 0.05)):
        swing = 0.2 * math.sin(math.pi * min(frame * 0.05, 1.0) / 2) ** 2
        target = np.degrees(START + np.array([swing, 0, 0, 0, 0, 0]))
        feed(machine, there, "target", target)
        there.step()
        feed(twin, here, "target", target)
        feed(twin, here, "joint", expected(machine, there, "joint"))
        feed(twin, here, "effort", expected(machine, there, "effort"))
        here.step()
    return there, here


def test_a_sound_arm_does_as_its_twin(plant: PlantModel) -> None:
    _, twin = run(plant, plant, 2.0)
    assert shown(plant, twin, "joint_deviation") < 1e-5
    assert shown(plant, twin, "effort_deviation") < 0.1
    assert expected(plant, twin, "joint")[0] == pytest.approx(math.degrees(0.4), abs=0.1)


def test_a_load_that_the_twin_does_not_know_shows(plant: PlantModel, laden: PlantModel) -> None:
    _, twin = run(laden, plant, 3.0)
    # On the shoulder: the weight at its lever; the tool's mass is 0.08 m before its axis.
    q = START
    pitch = q[1] + q[2]
    wrist = pitch + q[4]
    reach = 0.70 * math.sin(q[1]) + 0.70 * math.cos(pitch) + 0.10 * math.sin(pitch)
    lever = reach + (0.11 + 0.08) * math.cos(wrist)
    torque = -LOAD * 9.81 * lever  # a positive turn is downward
    assert shown(plant, twin, "effort_difference2") == pytest.approx(torque, rel=0.02)
    assert shown(plant, twin, "effort_deviation") == pytest.approx(abs(torque), rel=0.02)
    # It sags by what its drive's stiffness lets it.
    assert shown(plant, twin, "joint_difference2") == pytest.approx(-torque / 2e5, rel=0.05)


def test_an_axis_that_sticks_shows(plant: PlantModel) -> None:
    engine = plant.plan.engine()
    stuck = np.degrees(START)
    for frame in range(40):
        feed(plant, engine, "target", stuck + np.array([min(frame, 20) * 0.5, 0, 0, 0, 0, 0]))
        feed(plant, engine, "joint", stuck)
        engine.step()
    assert shown(plant, engine, "joint_difference1") == pytest.approx(math.radians(-10), abs=2e-3)
    assert shown(plant, engine, "joint_difference4") == pytest.approx(0, abs=2e-3)
    assert shown(plant, engine, "joint_deviation") == pytest.approx(math.radians(10), abs=2e-3)


def test_an_arm_without_set_points_is_followed() -> None:
    stage = cell_stage()
    with Usd.EditContext(stage, stage.GetSessionLayer()):
        reads = stage.GetRelationshipAtPath(f"{ARM}.twin:model:motion:reads")
        kept = [path for path in reads.GetTargets() if "target" not in str(path)]
        reads.SetTargets(kept)
        plant = begun(read_plant(stage))
    stage.GetSessionLayer().Clear()
    assert [str(problem) for problem in plant.problems] == []
    engine = plant.plan.engine()
    for frame in range(30):
        angles = np.degrees(START + 0.01 * min(frame, 20))
        feed(plant, engine, "joint", angles)
        engine.step()
    assert expected(plant, engine, "joint") == pytest.approx(np.degrees(START + 0.2), abs=0.3)


def test_a_twin_at_work_goes_on_from_any_moment(plant: PlantModel) -> None:
    engine = plant.plan.engine()
    feed(plant, engine, "target", np.degrees(START + 0.1))
    engine.step(3)
    fork = engine.fork(2)
    engine.step(5)
    fork.step(5)
    assert fork.save().world(1).digest() == engine.save().digest()


@pytest.mark.parametrize(
    ("property_", "target", "code"),
    [
        ("motion:joints", "/World/Carton1", "arm_chain"),
        ("vacuum:tool", "/World/Pallet", "arm_tool"),
        ("vacuum:parts", "/World/Pallet", "gripper_part"),
    ],
)
def test_a_problem_names_the_arm(property_: str, target: str, code: str) -> None:
    stage = cell_stage()
    with Usd.EditContext(stage, stage.GetSessionLayer()):
        stage.GetRelationshipAtPath(f"{ARM}.twin:model:{property_}").SetTargets([target])
        found = read_plant(stage)
    stage.GetSessionLayer().Clear()
    assert (ARM, code) in [(problem.prim, problem.code) for problem in found.problems]
    assert "/World.physics" in found.instances
