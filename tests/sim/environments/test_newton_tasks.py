"""Tasks on newton: the arm is the stage's, resets leave nothing behind, and a pole can be held."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
import warp as wp
from pxr import Usd

from stagetwin._data import factory_folder
from stagetwin_sim.arms import read_chain
from stagetwin_sim.bodies import read_scene
from stagetwin_sim.environments import (
    ArmReachConfig,
    Environment,
    Randomization,
    Range,
    TaskError,
    make_environment,
)
from tests.sim.environments.worlds import actions_of, drive, everything

# newton compiles for minutes the first time on a busy machine.
pytestmark = pytest.mark.timeout(900)

TASKS = ("arm-reach", "cart-pole")
CUDA = pytest.param("cuda", marks=pytest.mark.gpu)


@pytest.fixture(scope="module")
def arm() -> Environment:
    """The arm in four worlds."""
    return make_environment("arm-reach", worlds=4, seed=[1, 2, 3, 4])


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize("task", TASKS)
def test_the_same_seed_gives_the_same_run(task: str, device: str) -> None:
    if device == "cuda" and not wp.get_cuda_device_count():
        pytest.skip("no CUDA device")
    runs = [
        drive(make_environment(task, worlds=4, seed=5, device=device, capture=capture), 25)
        for capture in (True, False)
    ]
    for name, shown in runs[0].items():
        assert torch.equal(shown, runs[1][name]), name


@pytest.mark.parametrize("task", TASKS)
def test_a_world_is_the_same_alone(task: str) -> None:
    many = drive(make_environment(task, worlds=3, seed=[7, 8, 9]), 30)
    last = make_environment(task, worlds=1, seed=[9])
    for k, actions in enumerate(actions_of(make_environment(task, worlds=3), 30)[:, 2:]):
        observation, reward, *_ = last.step(actions)
        assert torch.allclose(observation[0], many["observation"][k + 1, 2], atol=1e-6)
        assert torch.allclose(reward[0], many["reward"][k, 2], atol=1e-6)


@pytest.mark.parametrize("task", TASKS)
def test_a_reset_leaves_nothing_behind(task: str) -> None:
    stepped, fresh = (make_environment(task, worlds=3, seed=4) for _ in range(2))
    drive(stepped, 12)
    stepped.reset()
    fresh.reset()
    for name, values in everything(stepped).items():
        assert torch.equal(values, everything(fresh)[name]), name
    after = [drive(environment, 10, seed=1)["observation"] for environment in (stepped, fresh)]
    assert torch.allclose(*after, atol=1e-6)


@pytest.mark.parametrize("task", TASKS)
def test_what_is_seen_is_within_what_is_declared(task: str) -> None:
    environment = make_environment(task, worlds=32, seed=6)
    low, high = (
        torch.tensor([t.bounds[end] for t in environment.observation_terms for _ in range(t.size)])
        for end in (0, 1)
    )
    seen = drive(environment, 60)["observation"]
    assert torch.isfinite(seen).all()
    assert (seen >= low).all()
    assert (seen <= high).all()


def test_the_tool_is_where_the_stages_chain_brings_it(arm: Environment) -> None:
    config = ArmReachConfig()
    stage = Usd.Stage.Open(str(factory_folder() / "bodies" / "pick.usda"))
    scene = read_scene(stage, config.arm)
    chain = read_chain(stage, scene, config.tool)
    drive(arm, 20)
    tools = chain.tools(arm.state("joint_q").numpy())[:, 3, :3]
    base = np.array(list(scene.builder.joint_X_p[0])[:3])
    assert arm.critic[:, 12:15].numpy() == pytest.approx(tools - base, abs=1e-4)
    left = arm.state("goal") - arm.critic[:, 12:15]
    assert torch.allclose(arm.critic[:, 15:18], left, atol=1e-5)


def test_joints_follow_their_leads_within_limits(arm: Environment) -> None:
    arm.set_params("terminations", "target", (0.0, 0.0))
    arm.reset(seed=[1, 2, 3, 4])
    start = arm.state("joint_q").clone()
    said = torch.tensor([[0.5, -0.5, 0.5, 0.5, -0.5, 0.5]]).repeat(4, 1)
    for _ in range(30):
        arm.step(said)
    way = arm.state("joint_q") - start
    delays = torch.stack([arm.physics[f"delay.joint_speeds.{j}"] for j in range(6)], -1)
    assert torch.allclose(way, said * (30 - delays) / 30, atol=0.05)
    assert len(delays.unique()) > 1
    for _ in range(200):
        arm.step(torch.ones(4, 6))
    target, reached = arm.state("target"), arm.state("joint_q")
    assert (reached < target + 0.1).all()
    assert arm.steps.min() == 230
    arm.set_params("terminations", "target", (0.05, 0.5))


def test_softer_drives_sag_more() -> None:
    sag = []
    for gain in (1.0, 0.1):
        config = dataclasses.replace(ArmReachConfig(), curriculum=ArmReachConfig().curriculum)
        config = config.with_randomization(
            Randomization(parameter="stiffness_gain", range=Range(gain, gain)),
            Randomization(parameter="damping_gain", range=Range(gain, gain)),
        )
        environment = make_environment(config, worlds=1, seed=1)
        for _ in range(90):
            environment.step(torch.zeros(1, 6))
        sag.append(float((environment.state("joint_q") - environment.state("target"))[0, 1].abs()))
    assert sag[1] > 5 * sag[0] > 0


def test_targets_are_reached_by_going_down_the_gradient(arm: Environment) -> None:
    arm.set_params("commands", "target", (0.3, 0.3))
    arm.reset(seed=[11, 12, 13, 14])
    config = ArmReachConfig()
    stage = Usd.Stage.Open(str(factory_folder() / "bodies" / "pick.usda"))
    chain = read_chain(stage, read_scene(stage, config.arm), config.tool)
    succeeded = np.zeros(4, bool)
    for _ in range(150):
        angles = arm.state("joint_q").numpy().astype(float)
        at = chain.tools(angles)[:, 3, :3]
        said = np.zeros((4, 6))
        for j in range(6):
            moved = angles.copy()
            moved[:, j] += 1e-4
            column = (chain.tools(moved)[:, 3, :3] - at) / 1e-4
            said[:, j] = (column * arm.critic[:, 15:18].numpy()).sum(-1)
        *_, info = arm.step(torch.as_tensor(np.clip(2.0 * said, -1, 1), dtype=torch.float32))
        succeeded |= info["success"].numpy()
    arm.set_params("commands", "target", (0.4, 1.2))
    assert succeeded.all()


def test_a_pole_is_held_up() -> None:
    environment = make_environment("cart-pole", worlds=16, seed=1)
    environment.set_params("events", "lean", (0.3,))
    environment.reset(seed=1)
    gains = torch.tensor([3.0, 2.4, 0.3, 0.8])
    for _ in range(environment.max_steps - 1):
        seen = environment.observation
        _, _, terminated, _, _ = environment.step((seen @ gains).clamp(-1, 1)[:, None])
        assert not terminated.any()
    assert environment.observation[:, 0].abs().max() < 0.05
    assert environment.step(torch.zeros(16, 1))[3].all()


def test_a_pole_falls_as_physics_says() -> None:
    """A rod on a hinge that is held starts to fall at 1.5 g / L sin(angle)."""
    environment = make_environment("cart-pole", worlds=1, seed=1)
    environment.state("joint_q")[:] = torch.tensor([[0.0, 0.2]])
    environment._simulation.begin()  # type: ignore[union-attr]
    environment.step(torch.zeros(1, 1))
    free = float(environment.state("joint_qd")[0, 1]) * 60.0
    cart, pole, half = 1.0, 0.1, 0.5
    # Source: Barto, Sutton and Anderson, IEEE Trans. SMC 13, 1983, appendix (no friction).
    wanted = 9.81 * np.sin(0.2) / (half * (4 / 3 - pole * np.cos(0.2) ** 2 / (cart + pole)))
    assert free == pytest.approx(wanted, rel=0.01)


def test_an_arm_that_is_not_so_is_refused() -> None:
    with pytest.raises(TaskError, match=r"6 joints move and 6 lead to .* starts 5"):
        make_environment(ArmReachConfig(starts=(0.0,) * 5), worlds=1)


def test_vehicles_need_no_newton() -> None:
    code = (
        "import sys; from stagetwin_sim.environments import TASKS, find_config; "
        "[find_config(task)() for task in TASKS]; find_config('navigation')().layout(); "
        "assert not {'newton', 'gymnasium', 'rsl_rl', 'tensordict'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
