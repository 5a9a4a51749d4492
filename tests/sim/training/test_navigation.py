"""The whole way: a policy is trained, leaves as a signed bundle, and drives through a broker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tensordict import TensorDict

from stagetwin_sim.environments import make_environment
from stagetwin_sim.policies import Bundle, SigningKey
from stagetwin_sim.policies._network import Network
from stagetwin_sim.training import (
    Run,
    TrainingConfig,
    evaluate,
    make_bundle,
    train,
)
from tests.sim.policies.through_broker import drive_through_broker

WALLS = {"pillars": 0, "others": 0, "turn_weight": 0.15}
"""A room of walls alone: what is learnt within half a minute on one core."""

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def run() -> Run:
    return train(
        TrainingConfig(
            task="navigation",
            worlds=256,
            minibatches=4,
            iterations=90,
            settle=0.3,
            desired_kl=0.02,
            environment=WALLS,
        )
    )


@pytest.fixture(scope="module")
def bundle(run: Run) -> Bundle:
    return make_bundle(run, name="walls")


def test_a_policy_reaches_95_percent_success(run: Run) -> None:
    found = evaluate(
        run.policy, "navigation", range(20), episodes=20, config=run.environment_config
    )
    assert found.success_by_seed.value >= 0.95, found.success_by_seed
    # Of trainings by five seeds the worst had 96.5 % [94.7, 98.0].
    assert found.success_by_seed.low >= 0.94, found.success_by_seed


def test_onnx_and_torch_agree_on_what_it_sees(run: Run, bundle: Bundle) -> None:
    environment = make_environment(run.environment_config, worlds=64, seed=3)
    network = Network(bundle.model, bundle.spec, 64)
    worst = 0.0
    for _ in range(100):
        shown = TensorDict({"policy": environment.observation}, batch_size=[64])
        with torch.inference_mode():
            said = run.policy.actor(shown)
        exported = network.run(environment.observation.numpy())
        worst = max(worst, float(np.abs(exported - said.numpy()).max()))
        environment.step(said)
    assert worst <= 1e-5


def test_its_bundle_drives_vehicles_through_the_broker(bundle: Bundle, tmp_path: Path) -> None:
    key = SigningKey.make()
    file = bundle.write(tmp_path / "policy.bundle", key)
    key.public.save(tmp_path / "plant.pub.pem")
    said = drive_through_broker(file, tmp_path).counts
    assert said["policy"] + said["limited"] > 30
    assert said["stop"] + said["hold"] <= 0.05 * said.total()
