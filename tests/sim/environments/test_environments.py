"""Environments: seeds, batches, resets, ends, views, noise, delays, randomisation and terms."""

from __future__ import annotations

import dataclasses
import gc
import math
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
import torch
import warp as wp
from hypothesis import strategies as st

from stagetwin.fleets import VehicleType
from stagetwin_sim.environments import (
    TASKS,
    ActionTerm,
    Environment,
    EnvironmentConfig,
    KinematicsConfig,
    NavigationConfig,
    Randomization,
    Range,
    RewardTerm,
    TaskError,
    ZoneReleaseConfig,
    find_config,
    make_environment,
)
from stagetwin_sim.fleet import DriveLimits, drive_step
from stagetwin_sim.policies import Term
from tests.sim.environments.worlds import actions_of, drive, everything

PURE = ("kinematics", "navigation", "zone-release")
CUDA = pytest.param("cuda", marks=pytest.mark.gpu)
DEVICES = ["cpu", CUDA]

# A task is compiled at its first use.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    """A device that is there."""
    name = str(request.param)
    if name == "cuda" and not wp.get_cuda_device_count():
        pytest.skip("no CUDA device")
    return name


def quiet(config: EnvironmentConfig) -> EnvironmentConfig:
    """Return a config whose levels stay as they are, and whose episodes are short."""
    for term in config.curriculum:
        config = config.changed("curriculum", term.name, params=(0.0, 0.0))
    return dataclasses.replace(config, episode=20 * config.dt * config.decimation)


SHORT: dict[str, Callable[[], EnvironmentConfig]] = {
    "kinematics": lambda: quiet(KinematicsConfig()),
    "navigation": lambda: quiet(NavigationConfig()),
    "zone-release": lambda: quiet(ZoneReleaseConfig()),
}


# -- seeds, batches and resets


@pytest.mark.parametrize("task", PURE)
def test_the_same_seed_gives_the_same_run(task: str, device: str) -> None:
    runs = [
        drive(make_environment(task, worlds=12, seed=seed, device=device), 60) for seed in (5, 5, 6)
    ]
    for name, shown in runs[0].items():
        assert torch.equal(shown, runs[1][name]), name
    assert not torch.equal(runs[0]["observation"], runs[2]["observation"])


@pytest.mark.parametrize("task", PURE)
def test_a_batch_of_one_is_any_one_of_a_batch_of_many(task: str) -> None:
    seeds = [3, 14, 159, 2653]
    many = drive(make_environment(task, worlds=4, seed=seeds), 80)
    for i, seed in enumerate(seeds):
        one = make_environment(task, worlds=1, seed=[seed])
        alone: dict[str, list[torch.Tensor]] = {"observation": [one.observation.clone()]}
        for actions in actions_of(make_environment(task, worlds=4, seed=seeds), 80)[:, i : i + 1]:
            observation, reward, terminated, *_ = one.step(actions)
            alone["observation"].append(observation.clone())
            alone.setdefault("reward", []).append(reward.clone())
            alone.setdefault("terminated", []).append(terminated.clone())
        for name, rows in alone.items():
            assert torch.equal(torch.stack(rows)[:, 0], many[name][:, i]), name


@pytest.mark.parametrize("task", PURE)
def test_a_reset_within_a_step_is_a_reset(task: str) -> None:
    config = SHORT[task]()
    stepped = make_environment(task, worlds=6, seed=8, config=config)
    reset = make_environment(task, worlds=6, seed=8, config=config)
    begun = torch.zeros(6, dtype=torch.int64)
    for actions in actions_of(stepped, 20):
        *_, info = stepped.step(actions)
        begun += info["done"]
        if info["done"].any():
            break
    world = int(info["done"].nonzero()[0, 0])
    assert begun[world] == 1
    reset.reset()
    for name, values in everything(stepped).items():
        assert torch.equal(values[world], everything(reset)[name][world]), name


@pytest.mark.parametrize("task", PURE)
def test_a_seed_begins_everything_anew(task: str) -> None:
    environment = make_environment(task, worlds=5, seed=2)
    first = everything(environment)
    drive(environment, 50)
    environment.reset(seed=2)
    again = everything(environment)
    for name, values in first.items():
        assert torch.equal(values, again[name]), name
    environment.reset()
    assert not torch.equal(environment.observation, first["observation"])


def test_a_graph_does_what_its_launches_do(device: str) -> None:
    runs = [
        drive(make_environment("navigation", worlds=8, seed=1, device=device, capture=capture), 40)
        for capture in (True, False)
    ]
    for name, shown in runs[0].items():
        assert torch.equal(shown, runs[1][name]), name


@pytest.mark.gpu
@pytest.mark.parametrize("task", PURE)
def test_a_gpu_does_nearly_what_a_cpu_does(task: str) -> None:
    if not wp.get_cuda_device_count():
        pytest.skip("no CUDA device")
    here, there = (
        make_environment(task, worlds=64, seed=4, device=device) for device in ("cpu", "cuda")
    )
    assert torch.allclose(here.observation, there.observation.cpu(), atol=1e-4)
    first = drive(here, 3)["observation"], drive(there, 3)["observation"].cpu()
    close = torch.isclose(*first, atol=1e-3).all(-1).float().mean()
    assert close > 0.9  # a world may meet a threshold a little earlier or later


# -- ends


@pytest.mark.parametrize("task", PURE)
def test_time_outs_are_no_terminations(task: str) -> None:
    environment = make_environment(task, worlds=16, seed=3, config=SHORT[task]())
    assert environment.max_steps == 20
    ended = {"terminated": 0, "truncated": 0}
    for actions in actions_of(environment, 41):
        before = environment.steps.clone()
        _, _, terminated, truncated, info = environment.step(actions)
        assert not (terminated & truncated).any()
        assert torch.equal(terminated | truncated, info["done"])
        assert (before[truncated] == 19).all()
        assert torch.equal(info["time_outs"], truncated)
        assert (environment.steps[info["done"]] == 0).all()
        assert (info["episode_steps"][info["done"]] == before[info["done"]] + 1).all()
        assert (info["cause"][info["done"]] >= 0).all()
        assert (info["cause"][~info["done"]] == -1).all()
        ended["terminated"] += int(terminated.sum())
        ended["truncated"] += int(truncated.sum())
    assert ended["truncated"] > 0


def test_the_last_observation_of_an_episode_is_kept() -> None:
    config = dataclasses.replace(KinematicsConfig(), episode=0.5)
    environment = make_environment("kinematics", worlds=4, seed=1, config=config)
    longer = make_environment("kinematics", worlds=4, seed=1)
    for actions in actions_of(environment, 5):
        *_, truncated, info = environment.step(actions)
        going_on = longer.step(actions)[0]
    assert truncated.all()
    assert torch.equal(info["final_observation"], going_on)
    assert not torch.equal(environment.observation, going_on)


def test_sums_of_an_episode_are_those_of_its_steps() -> None:
    config = dataclasses.replace(NavigationConfig(), episode=1.0)
    environment = make_environment("navigation", worlds=8, seed=1, config=config)
    total = torch.zeros(8)
    for actions in actions_of(environment, 30):
        _, reward, _, _, info = environment.step(actions)
        total += reward
        done = info["done"]
        parts = sum(info["terms"].values())
        assert torch.allclose(info["episode_reward"][done], total[done], atol=1e-4)
        assert torch.allclose(parts[done], total[done], atol=1e-4)
        total[done] = 0.0


# -- views and numbers


@pytest.mark.parametrize("task", PURE)
def test_tensors_are_views_and_no_step_allocates(task: str, device: str) -> None:
    environment = make_environment(task, worlds=16, seed=1, device=device)
    actions = actions_of(environment, 1)[0]
    first = environment.step(actions)
    names = list(environment.state_names)
    held = [environment.state(name).data_ptr() for name in names]
    pointers = [tensor.data_ptr() for tensor in first[:4]]
    assert pointers[0] == environment.observation.data_ptr()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(200):
        step = environment.step(actions)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 2000
    assert step is first
    assert [tensor.data_ptr() for tensor in step[:4]] == pointers
    assert [environment.state(name).data_ptr() for name in names] == held


def test_state_may_be_written_through_its_view() -> None:
    environment = make_environment("kinematics", worlds=3, seed=1)
    environment.state("pose")[:] = torch.tensor([1.0, 2.0, 0.5])
    environment.state("goal")[:] = torch.tensor([5.0, 2.0, 0.0])
    environment.step(torch.zeros(3, 2))
    distance = environment.observation_terms[0]
    shown = distance.offset + distance.scale * environment.observation[:, 0]
    assert torch.allclose(shown, torch.full((3,), 4.0), atol=1e-5)


@pytest.mark.parametrize("task", PURE)
def test_what_is_seen_is_within_what_is_declared(task: str) -> None:
    environment = make_environment(task, worlds=64, seed=9)
    low, high = (
        torch.tensor([t.bounds[end] for t in environment.critic_terms for _ in range(t.size)])
        for end in (0, 1)
    )
    shown = drive(environment, 150)
    count = environment.observation_count
    assert environment.critic_count == len(low) >= count
    for seen in (shown["observation"], shown["critic"][..., :count]):
        assert (seen >= low[:count] - 1e-6).all()
        assert (seen <= high[:count] + 1e-6).all()
    assert torch.isfinite(shown["critic"]).all()
    spread = shown["observation"].flatten(0, 1).std(0)
    assert (spread > 0).all()  # every number tells something


def test_actions_are_bounded_and_refused() -> None:
    environment = make_environment("kinematics", worlds=3, seed=1)
    given = torch.tensor([[math.nan, 0.5], [9.0, -9.0], [math.inf, 0.0]])
    environment.step(given)
    last = environment.observation[:, -2:]
    assert torch.equal(last, torch.tensor([[0.0, 0.5], [1.0, -1.0], [0.0, 0.0]]))
    assert environment.info["refused"].tolist() == [1, 0, 1]
    assert torch.isfinite(environment.observation).all()
    with pytest.raises(TaskError, match=r"shape \(3, 2\), got \(2, 2\)"):
        environment.step(given[:2])


# -- the vehicle


@wp.kernel
def _drive(
    limits: DriveLimits,
    command: wp.vec2,
    dt: wp.float32,
    poses: wp.array(dtype=wp.vec3),
    twists: wp.array(dtype=wp.vec2),
) -> None:
    i = wp.tid()
    x, y, theta, v, omega = drive_step(poses[i], twists[i], command, limits, wp.vec2(0.0, 0.0), dt)
    poses[i] = wp.vec3(x, y, theta)
    twists[i] = wp.vec2(v, omega)


def plain(**physics: float) -> KinematicsConfig:
    """Return the bare vehicle with physics that are the same in every world."""
    config = dataclasses.replace(KinematicsConfig(), randomization=(), actions=undelayed())
    terms = [Randomization(parameter=n, range=Range(v, v)) for n, v in physics.items()]
    return config.with_randomization(*terms)


def undelayed() -> tuple[ActionTerm, ...]:
    return tuple(dataclasses.replace(t, delay=Range(0, 0)) for t in KinematicsConfig().actions)


def test_the_vehicle_is_the_fleets() -> None:
    environment = make_environment(plain(lag=0.2, friction=2.0), worlds=1, seed=1)
    vehicle = VehicleType()
    limits = DriveLimits()
    for name in ("speed", "reverse_speed", "acceleration", "deceleration", "rotation_speed"):
        setattr(limits, name, getattr(vehicle, name))
    limits.rotation_acceleration, limits.lag = vehicle.rotation_acceleration, 0.2
    poses = wp.array(environment.state("pose").numpy(), dtype=wp.vec3)
    twists = wp.zeros(1, dtype=wp.vec2)
    for said in (1.0, -0.5, 0.3) * 5:
        environment.step(torch.tensor([[said, -said]]))
        command = wp.vec2(max(said * 1.5, -0.3), -said * 1.5)
        wp.launch(_drive, dim=1, inputs=[limits, command, 0.1, poses, twists], device="cpu")
        assert np.allclose(environment.state("pose").numpy(), poses.numpy(), atol=1e-5)


@hypothesis.settings(max_examples=12)
@hypothesis.given(first=st.integers(0, 3), second=st.integers(0, 3))
def test_a_delay_delays_by_its_steps(first: int, second: int) -> None:
    environment = delayed()
    environment.set_range("delay.speed", first, first)
    environment.set_range("delay.rotation", second, second)
    environment.reset(seed=3)
    moved = torch.zeros(6, 2)
    for i in range(6):
        environment.step(torch.tensor([[1.0, -1.0], [0.0, 0.0]]))
        moved[i] = environment.state("twist")[0].abs()
        assert (environment.state("twist")[1] == 0).all()
    assert [int(n) for n in (moved > 0).int().argmax(0)] == [first, second]


_delayed: list[Environment] = []


def delayed() -> Environment:
    """Return two worlds of the bare vehicle, made once."""
    if not _delayed:
        config = dataclasses.replace(KinematicsConfig(), randomization=())
        _delayed.append(make_environment(config, worlds=2, seed=3))
    return _delayed[0]


def test_a_heavier_vehicle_and_a_smoother_floor_are_slower_to_move() -> None:
    reached = {}
    for name, value in {"mass": 150.0, "heavy": 450.0, "friction": 0.02}.items():
        physics = {"mass": value} if name != "friction" else {"friction": value}
        physics = {"mass" if n == "heavy" else n: v for n, v in physics.items()}
        environment = make_environment(plain(**physics, lag=0.0), worlds=1, seed=1)
        for _ in range(3):
            environment.step(torch.ones(1, 2))
        reached[name] = float(environment.state("twist")[0, 0])
    assert reached["mass"] == pytest.approx(0.24, rel=1e-4)  # 0.8 m/s2
    assert reached["heavy"] == pytest.approx(0.08, rel=1e-4)
    assert reached["friction"] == pytest.approx(0.3 * 0.02 * 9.81, rel=1e-4)


# -- randomisation, noise and what changes without compiling


def test_physics_are_drawn_within_their_ranges() -> None:
    terms = {
        "lag": Range(0.05, 0.25),
        "mass": Range(100.0, 400.0, "log-uniform"),
        "slip": Range(-0.1, 0.1, "normal"),
        "delay.speed": Range(1, 3, "integers"),
        "friction": Range(0.3, 0.9),
    }
    config = KinematicsConfig().with_randomization(
        *(Randomization(parameter=n, range=r) for n, r in terms.items() if n != "friction"),
        Randomization(parameter="friction", range=terms["friction"], mode="startup"),
    )
    environment = make_environment(config, worlds=4000, seed=1)
    drawn = {name: values.clone() for name, values in environment.physics.items()}
    for name, within in terms.items():
        assert (drawn[name] >= within.low).all(), name
        assert (drawn[name] <= within.high).all(), name
        assert drawn[name].unique().numel() > (2 if name.startswith("delay") else 1000)
    assert drawn["delay.speed"].unique().tolist() == [1.0, 2.0, 3.0]
    assert drawn["mass"].log().mean() == pytest.approx(math.log(200.0), abs=0.02)
    assert drawn["slip"].abs().le(0.05).float().mean() == pytest.approx(0.683, abs=0.03)
    joint = torch.corrcoef(torch.stack([drawn["lag"], drawn["slip"], drawn["mass"]]))
    assert (joint - torch.eye(3)).abs().max() < 0.06  # independent
    environment.reset()
    assert torch.equal(environment.physics["friction"], drawn["friction"])
    assert not torch.equal(environment.physics["lag"], drawn["lag"])
    environment.set_range("lag", 0.5, 0.6)
    environment.reset()
    assert (environment.physics["lag"] >= 0.5).all()


def test_a_range_may_grow_with_the_level() -> None:
    term = Randomization(parameter="slip", range=Range(-0.1, 0.3), curriculum=True)
    environment = make_environment(KinematicsConfig().with_randomization(term), worlds=500, seed=1)
    assert (environment.physics["slip"] == 0.0).all()
    environment.level.fill_(0.5)
    environment.reset()
    assert -0.05 <= float(environment.physics["slip"].min()) < -0.04
    assert 0.14 < float(environment.physics["slip"].max()) <= 0.15


def test_noise_and_dropout_are_what_they_are_said_to_be() -> None:
    config = NavigationConfig().with_randomization(
        Randomization(parameter="sensor_noise", range=Range(1.0, 1.0))
    )
    environment = make_environment(config, worlds=3000, seed=2)
    count = environment.observation_count
    distance = environment.observation_terms[0]
    rays = slice(count - 24, count)

    def errors() -> torch.Tensor:
        return environment.observation - environment.critic[:, :count]

    middle = (environment.critic[:, 0] > 0.1) & (environment.critic[:, 0] < 0.9)
    assert errors()[middle, 0].std() * distance.scale == pytest.approx(0.02, rel=0.1)
    assert errors()[:, 7:9].abs().max() == 0.0  # what was said last has no noise
    far = environment.critic[:, rays] < 0.9
    missing = (environment.observation[:, rays] == 1.0) & far
    assert missing.sum() / far.sum() == pytest.approx(0.01, rel=0.25)
    environment.set_noise("lidar", 0.0, 0.3)
    environment.set_noise("goal_distance", 0.1)
    environment.reset(seed=2)
    missing = (environment.observation[:, rays] == 1.0) & far
    assert missing.sum() / far.sum() == pytest.approx(0.3, rel=0.05)
    assert errors()[:, rays][far & ~missing].abs().max() == 0.0
    assert errors()[middle, 0].std() * distance.scale == pytest.approx(0.1, rel=0.1)


def test_a_task_without_noise_gets_some() -> None:
    environment = make_environment("kinematics", worlds=500, seed=2)
    plain = make_environment("kinematics", worlds=500, seed=2)
    assert torch.equal(environment.critic, environment.observation)
    environment.set_noise("speed", 0.1)
    actions = torch.full((500, 2), 0.5)
    for _ in range(20):
        environment.step(actions)
        plain.step(actions)
    same = plain.steps == 20
    assert torch.equal(environment.critic[same], plain.observation[same])
    error = environment.observation - environment.critic
    assert error[:, [0, 1, 2, 4, 5, 6]].abs().max() == 0.0
    assert error[:, 3].std() * 1.5 == pytest.approx(0.1, rel=0.25)
    assert environment.info["final_critic"].shape == (500, 7)


def test_weights_params_and_commands_change_without_compiling() -> None:
    environment = make_environment("kinematics", worlds=50, seed=2)
    graphs = dict(environment._graphs)
    for name in ("progress", "time", "goal"):
        environment.set_weight(name, 0.0)
    actions = torch.ones(50, 2)
    assert (environment.step(actions)[1] == 0).all()
    environment.set_weight("time", -3.0)
    assert torch.allclose(environment.step(actions)[1], torch.tensor(-0.3))
    environment.set_params("terminations", "goal", (100.0, 4.0, 2.0))
    environment.set_params("commands", "goal", (9.0, 9.0))
    *_, info = environment.step(actions)
    assert info["success"].all()
    assert (environment.observation[:, 0] * 10.0).allclose(torch.tensor(9.0), atol=1e-4)
    assert environment._graphs.keys() >= graphs.keys()
    assert all(environment._graphs[k] is graph for k, graph in graphs.items())


def test_the_curriculum_follows_success() -> None:
    config = dataclasses.replace(NavigationConfig(), episode=0.2)
    environment = make_environment("navigation", worlds=4, seed=2, config=config)
    environment.level.fill_(0.5)
    environment.set_params("terminations", "goal", (100.0, 4.0, 9.0))
    environment.step(torch.zeros(4, 2))
    assert torch.allclose(environment.level, torch.tensor(0.6))
    environment.set_params("terminations", "goal", (0.0, 0.0, 0.0))
    for _ in range(2):
        environment.step(torch.zeros(4, 2))
    assert torch.allclose(environment.level, torch.tensor(0.55))


# -- tasks


def test_the_room_has_room() -> None:
    config = NavigationConfig()
    environment = make_environment(config, worlds=400, seed=3)
    environment.level.fill_(1.0)
    environment.reset()
    pillars, pose = environment.state("pillars"), environment.state("pose")
    there = pillars[..., 2] > 0
    assert there.sum(1).min() >= 1
    assert there.sum(1).max() == config.pillars
    apart = (pillars[:, :, None, :2] - pillars[:, None, :, :2]).norm(dim=-1)
    room = apart - pillars[:, :, None, 2] - pillars[:, None, :, 2]
    both = there[:, :, None] & there[:, None] & ~torch.eye(config.pillars, dtype=torch.bool)
    assert room[both].min() > config.gap
    goal = environment.state("goal")
    for point in (pose, goal):
        away = (pillars[..., :2] - point[:, None, :2]).norm(dim=-1) - pillars[..., 2]
        assert away[there].min() > 0.5
        assert point[:, :2].abs().max() < config.room / 2
    others = environment.state("others")
    assert (others[..., :2] - pose[:, None, :2]).norm(dim=-1).min() > 1.0


def test_rays_end_where_things_are() -> None:
    environment = make_environment("navigation", worlds=100, seed=3)
    rays = environment.critic[:, 10:34] * 6.0
    pose = environment.state("pose")
    circles = torch.cat(
        [
            environment.state("pillars"),
            torch.cat([environment.state("others")[..., :2], torch.full((100, 2, 1), 0.45)], -1),
        ],
        1,
    )
    for i in range(24):
        angle = pose[:, 2] + i * 2 * math.pi / 24
        way = torch.stack([angle.cos(), angle.sin()], -1)
        to = circles[..., :2] - pose[:, None, :2]
        ahead = (to * way[:, None]).sum(-1)
        off = to[..., 0] * way[:, None, 1] - to[..., 1] * way[:, None, 0]
        inside = circles[..., 2].square() - off.square()
        hit = torch.where(
            (inside >= 0) & (ahead > 0) & (circles[..., 2] > 0), ahead - inside.clamp(0).sqrt(), 6.0
        )
        walls = ((way.sign() * 5.0 - pose[:, :2]) / way).min(-1).values
        wanted = torch.minimum(hit.min(-1).values, walls).clamp(0.0, 6.0)
        grazing = (inside.abs() < 2e-3).any(-1)
        assert torch.allclose(rays[~grazing, i], wanted[~grazing], atol=2e-3)


def test_a_collision_ends_the_episode_and_is_no_success() -> None:
    blind = dataclasses.replace(NavigationConfig(), field=False)
    environment = make_environment(blind, worlds=64, seed=3)
    failed = 0
    for _ in range(120):
        _, reward, terminated, _, info = environment.step(torch.tensor([[1.0, 0.0]]).repeat(64, 1))
        hit = info["cause"] == 0
        assert torch.equal(hit, terminated & ~info["success"])
        assert (reward[hit] < -5).all()
        failed += int(hit.sum())
    assert failed > 64


@pytest.mark.parametrize("said", [(1.0, 0.0), (-0.2, 0.0), (0.0, 1.0), (0.5, 0.5)])
def test_a_protective_field_stops_the_vehicle_before_what_stands(said: tuple[float, ...]) -> None:
    config = NavigationConfig()
    environment = make_environment(config, worlds=200, seed=3)
    environment.level.fill_(1.0)
    environment.set_params("curriculum", "distance", (0.0, 0.0))
    environment.reset()
    environment.state("others")[..., 3] = 0.0
    heavy = environment.physics["mass"] > 300.0
    came_near = torch.zeros(200, dtype=torch.bool)
    rest = torch.zeros(200, dtype=torch.bool)
    fresh = torch.zeros(200, dtype=torch.bool)
    for _ in range(100):
        environment.step(torch.tensor([said]).repeat(200, 1))
        fresh |= environment.info["done"]
        assert not (environment.info["cause"] == 0)[~fresh].any()
        assert (environment.state("clear")[~fresh] > 0.0).all()
        came_near |= (environment.state("clear") < 0.3) & ~fresh
        rest |= (environment.state("twist").abs().sum(1) < 1e-3) & ~fresh
    if said[0] and not said[1]:
        assert (came_near & heavy & rest).sum() > 10


def test_a_field_reckons_with_the_worst_brakes_of_its_ranges() -> None:
    config = NavigationConfig()
    smooth = config.with_randomization(Randomization(parameter="friction", range=Range(0.02, 0.9)))
    light = config.with_randomization(Randomization(parameter="mass", range=Range(150.0, 150.0)))
    found = [one.layout().values["field"] for one in (config, smooth, light)]
    assert found[0].deceleration == pytest.approx(150.0 / 350.0)
    assert found[1].deceleration == pytest.approx(0.02 * 9.81)
    assert found[2].deceleration == pytest.approx(1.0)
    assert [one.looks for one in found] == [3, 7, 2]
    assert found[2].rotation_deceleration == pytest.approx(2.0)


def test_a_vehicle_knows_its_load() -> None:
    environment = make_environment("navigation", worlds=50, seed=3)
    names = [term.name for term in environment.observation_terms]
    assert names[-2:] == ["load", "lidar"]
    load = environment.observation[:, 9] * 200.0
    assert torch.allclose(load, environment.physics["mass"] - 150.0, atol=1e-3)
    assert load.max() - load.min() > 100.0


def junction(policy: Callable[[torch.Tensor], torch.Tensor], steps: int = 90) -> dict[str, Any]:
    """Return what came of a junction under a policy."""
    environment = make_environment("zone-release", worlds=48, seed=7)
    causes, left = torch.zeros(4), 0.0
    for _ in range(steps):
        _, _, _, _, info = environment.step(policy(environment.observation))
        left += float(environment.state("gone").sum())
        causes += torch.bincount(info["cause"] + 1, minlength=4)[:4]
        along = environment.state("along")
        speed = environment.state("speed")[along > -1e6]
        assert (speed >= 0).all()
        assert (speed <= VehicleType().speed + 1e-5).all()
    return {"collision": causes[1], "deadlock": causes[2], "left": left / 48 / steps}


def one_at_a_time(observation: torch.Tensor) -> torch.Tensor:
    """Release whoever waits longest once the junction is empty; keep to it until it is through."""
    first = observation[:, :36].view(-1, 4, 9)
    inside = observation[:, 36:56].view(-1, 4, 5)[:, :, 0].sum(1)
    said = observation[:, 64:68] > 0
    asks = first[:, :, 0] * (1 + first[:, :, 3] + 50 * said + 100 * first[:, :, 5])
    chosen = torch.nn.functional.one_hot(asks.argmax(1), 4)
    go = chosen.bool() & (inside == 0)[:, None] & (asks > 0)
    return torch.where(go, 1.0, -1.0)


def test_a_junction_needs_somebody_who_says_who_goes_first() -> None:
    hold = junction(lambda seen: -torch.ones(len(seen), 4))
    assert (hold["left"], hold["collision"], hold["deadlock"]) == (0.0, 0.0, 0.0)
    release = junction(lambda seen: torch.ones(len(seen), 4))
    assert release["collision"] + release["deadlock"] > 40
    rule = junction(one_at_a_time)
    assert rule["left"] > 0.1
    assert rule["collision"] == 0
    assert rule["deadlock"] == 0


def test_the_page_names_every_term_of_every_task() -> None:
    page = (Path(__file__).parents[3] / "docs" / "environments.md").read_text(encoding="utf-8")
    parts = re.split(r"^### `([a-z-]+)`$", page, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert set(sections) == set(TASKS)
    for task, section in sections.items():
        config = find_config(task)()
        groups = ("actions", "observations", "privileged", "rewards", "terminations", "events")
        for group in (*groups, "commands", "curriculum"):
            for term in getattr(config, group):
                assert f"`{term.name}`" in section, (task, group, term.name)


# -- what cannot be


def test_what_cannot_be_composed_is_refused() -> None:
    config = KinematicsConfig()
    with pytest.raises(TaskError, match="no task 'fly'"):
        make_environment("fly", worlds=1)
    with pytest.raises(TaskError, match="the config is of kinematics"):
        make_environment("navigation", worlds=1, config=config)
    with pytest.raises(TaskError, match="at least one world, got 0"):
        make_environment(config, worlds=0)
    with pytest.raises(TaskError, match="3 worlds need a seed each"):
        make_environment(config, worlds=3, seed=[1, 2])
    twice = (*config.rewards, config.rewards[0])
    with pytest.raises(TaskError, match="named alike: progress"):
        make_environment(dataclasses.replace(config, rewards=twice), worlds=1)
    with pytest.raises(TaskError, match="no terminations"):
        make_environment(dataclasses.replace(config, terminations=()), worlds=1)
    wind = Randomization(parameter="wind", range=Range(0, 1))
    late = Randomization(parameter="lag", range=Range(1, 9))
    with pytest.raises(TaskError, match="no parameter wind"):
        make_environment(config.with_randomization(wind), worlds=1)
    with pytest.raises(TaskError, match=r"lag can be within \[0, 5\] s, got the range \[1, 9\]"):
        make_environment(config.with_randomization(late), worlds=1)
    with pytest.raises(TaskError, match="no rewards named 'none'"):
        config.changed("rewards", "none", weight=1.0)
    with pytest.raises(TaskError, match="room is above"):
        make_environment(dataclasses.replace(NavigationConfig(), room=1.0), worlds=1)
    environment = make_environment("kinematics", worlds=1)
    with pytest.raises(TaskError, match="'friction2' is not randomised"):
        environment.set_range("friction2", 0.1, 0.2)
    with pytest.raises(TaskError, match="no state 'speed'"):
        environment.state("speed")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Range(2, 1), "finite ends in order"),
        (lambda: Range(0, 1, "log-uniform"), "positive"),
        (lambda: Range(0, 1.5, "integers"), "whole ends"),
        (lambda: ActionTerm(term=Term(name="a"), delay=Range(0, 4)), r"within \[0, 3\] steps"),
        (
            lambda: RewardTerm(name="r", function=None, weight=1.0, params=(1, 2, 3, 4, 5)),
            "at most 4",
        ),
        (lambda: RewardTerm(name="r", function=None, weight=math.nan), "finite"),
        (lambda: Term(name="t", scale=0.0), "not 0"),
        (lambda: Term(name="t", low=1.0, high=0.0), "low must be below high"),
        (lambda: Term(name="t", shape=(0,)), "must have numbers"),
    ],
)
def test_terms_that_cannot_be_are_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


def test_configs_are_changed_by_name() -> None:
    config = NavigationConfig().changed("rewards", "goal", weight=20.0)
    assert {term.name: term.weight for term in config.rewards}["goal"] == 20.0
    assert "time" not in [t.name for t in config.without("rewards", "time").rewards]
    assert len(NavigationConfig.of(VehicleType(), others=0).privileged) == 1
    wide = NavigationConfig.of(VehicleType(speed=2.0), rays=36, reach=8.0, others=1)
    assert sum(term.term.size for term in wide.observations) == 10 + 36
    assert wide.actions[0].term.scale == 2.0
    empty = make_environment(dataclasses.replace(wide, pillars=0), worlds=4, seed=1)
    assert torch.isfinite(drive(empty, 10)["observation"]).all()
