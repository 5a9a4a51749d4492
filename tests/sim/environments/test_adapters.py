"""Environments behind Gymnasium's and rsl_rl's interfaces, as those say that they are to be."""

from __future__ import annotations

import dataclasses
import warnings

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import ClipReward, RecordEpisodeStatistics
from rsl_rl.algorithms import PPO
from rsl_rl.env import VecEnv
from rsl_rl.runners import OnPolicyRunner
from tensordict import TensorDict

from stagetwin_sim.environments import (
    Environment,
    KinematicsConfig,
    as_env,
    as_rsl_rl,
    as_vector_env,
    make_environment,
)

pytestmark = pytest.mark.timeout(600)


def worlds(count: int = 8, episode: float = 1.0) -> Environment:
    """Return worlds whose episodes are short."""
    config = dataclasses.replace(KinematicsConfig(), episode=episode)
    return make_environment(config, worlds=count, seed=1)


# -- Gymnasium, many worlds


def test_a_vector_env_has_spaces_and_says_how_it_resets() -> None:
    env = as_vector_env(worlds())
    assert isinstance(env, gymnasium.vector.VectorEnv)
    assert env.num_envs == 8
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert env.single_observation_space.shape == (7,)
    assert env.observation_space.shape == (8, 7)
    assert env.single_action_space == gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    observation, info = env.reset(seed=3)
    assert env.observation_space.contains(observation)
    assert info == {}
    env.action_space.seed(0)
    for _ in range(30):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert env.observation_space.contains(observation)
        assert (reward.dtype, reward.shape) == (np.float32, (8,))
        assert (terminated.dtype, truncated.dtype) == (np.bool_, np.bool_)
        assert (terminated.shape, truncated.shape) == ((8,), (8,))
    env.close()


def test_what_a_vector_env_returns_is_its_callers() -> None:
    env = as_vector_env(worlds())
    first, _ = env.reset(seed=3)
    kept = first.copy()
    second = env.step(np.ones((8, 2), np.float32))[0]
    assert np.array_equal(first, kept)
    second[:] = 9.0
    assert env.environment.observation.max() <= 1.0


def test_a_vector_env_resets_within_the_step_as_it_declares() -> None:
    env, longer = (as_vector_env(worlds(episode=episode)) for episode in (1.0, 20.0))
    env.reset(seed=3)
    longer.reset(seed=3)
    actions = np.full((8, 2), 0.3, np.float32)
    for _ in range(9):
        assert "final_obs" not in env.step(actions)[4]
        longer.step(actions)
    observation, _, terminated, truncated, info = env.step(actions)
    last = longer.step(actions)[0]
    assert truncated.all()
    assert not terminated.any()
    assert info["_final_obs"].all()
    assert np.array_equal(info["final_obs"], last)
    assert not np.array_equal(observation, last)
    assert env.observation_space.contains(observation)
    assert info["final_info"]["episode_steps"].tolist() == [10.0] * 8
    assert not info["final_info"]["success"].any()
    assert env.step(actions)[3].sum() == 0  # the next step is an episode's first, not a reset's


def test_a_vector_env_takes_a_seed_for_each_world() -> None:
    env = as_vector_env(worlds(3))
    all_of_them, _ = env.reset(seed=[5, 6, 7])
    again, _ = env.reset(seed=[7, 6, 5])
    assert np.array_equal(all_of_them[::-1], again)
    going_on, _ = env.reset()
    assert not np.array_equal(going_on, again)


def test_gymnasiums_wrappers_take_it() -> None:
    env = ClipReward(RecordEpisodeStatistics(as_vector_env(worlds())), -1.0, 1.0)
    env.reset(seed=1)
    finished = 0
    for _ in range(25):
        *_, info = env.step(np.zeros((8, 2), np.float32))
        if "episode" in info:
            finished += int(info["_episode"].sum())
            assert (info["episode"]["l"][info["_episode"]] == 10).all()
    assert finished == 16


# -- Gymnasium, one world


def test_one_world_passes_gymnasiums_check() -> None:
    with warnings.catch_warnings():
        # It was not made by gymnasium.make, and nothing is drawn.
        warnings.filterwarnings("ignore", message=".*(not within the minimum|render|spec).*")
        check_env(as_env("kinematics", seed=1), skip_render_check=True)


def test_one_world_waits_for_its_reset() -> None:
    config = dataclasses.replace(KinematicsConfig(), episode=0.3)
    env = as_env("kinematics", seed=1, config=config)
    first, _ = env.reset(seed=4)
    for _ in range(3):
        last, _, _, truncated, _ = env.step(np.ones(2, np.float32))
    assert truncated
    second, _ = env.reset()
    assert not np.array_equal(second, last)
    same = make_environment(config, worlds=1, seed=[4])
    assert np.array_equal(first, same.observation[0].numpy())
    for _ in range(3):
        same.step(torch.ones(1, 2))
    assert np.array_equal(second, same.observation[0].numpy())


# -- rsl_rl


def test_a_vec_env_has_what_rsl_rl_asks_for() -> None:
    environment = worlds(episode=20.0)
    env = as_rsl_rl(environment)
    assert isinstance(env, VecEnv)
    assert (env.num_envs, env.num_actions, env.max_episode_length) == (8, 2, 200)
    before = env.get_observations()
    assert isinstance(before, TensorDict)
    assert {name: tuple(value.shape) for name, value in before.items()} == {
        "policy": (8, 7),
        "critic": (8, 7),
    }
    kept = before["policy"].clone()
    observations, rewards, dones, extras = env.step(torch.zeros(8, 2))
    assert torch.equal(before["policy"], kept)
    assert torch.equal(observations["policy"], environment.observation)
    assert (rewards.shape, dones.shape) == ((8,), (8,))
    assert not extras["time_outs"].any()
    assert "log" not in extras
    env.episode_length_buf = torch.randint_like(env.episode_length_buf, high=200)
    env.episode_length_buf = torch.full((8,), 199)
    _, _, dones, extras = env.step(torch.zeros(8, 2))
    assert dones.all()
    assert extras["time_outs"].all()
    assert (env.episode_length_buf == 0).all()
    assert extras["log"]["/episode/success"].tolist() == [0.0] * 8
    assert {"/episode/reward", "/reward/progress", "/curriculum/level"} <= extras["log"].keys()


def test_rsl_rl_learns_with_it() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    network = {"class_name": "MLPModel", "hidden_dims": [16], "activation": "elu"}
    actor = {"distribution_cfg": {"class_name": "GaussianDistribution", "init_std": 0.6}}
    config = {
        "num_steps_per_env": 8,
        "save_interval": 100,
        "obs_groups": {"actor": ["policy"], "critic": ["critic"]},
        "actor": network | actor,
        "critic": dict(network),
        "algorithm": {"class_name": PPO.__name__, "rnd_cfg": None, "symmetry_cfg": None},
        "multi_gpu": None,
    }
    env = as_rsl_rl(worlds(16, episode=20.0))
    runner = OnPolicyRunner(env, config, log_dir=None, device="cpu")
    first = {name: value.clone() for name, value in runner.alg.actor.state_dict().items()}
    runner.learn(2, init_at_random_ep_len=True)
    learned = runner.alg.actor.state_dict()
    assert any(not torch.equal(value, first[name]) for name, value in learned.items())
    assert all(torch.isfinite(value).all() for value in learned.values())
