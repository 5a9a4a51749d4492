"""What training knows of each task: its sides, its figure, its rules, and what suits it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tensordict import TensorDict

from stagetwin_sim.environments import TASKS, Environment, ZoneReleaseConfig, make_environment
from stagetwin_sim.training import TrainingConfig, baselines, evaluate, train, write_report
from stagetwin_sim.training._baselines import columns_of
from stagetwin_sim.training._defaults import DEFAULTS
from stagetwin_sim.training._resolved_rate import ResolvedRatePolicy
from stagetwin_sim.training._symmetry import SideTurns

# A task is compiled at its first use, and newton with the arm's.
pytestmark = pytest.mark.timeout(900)

WORLDS = 200


def quiet_junction() -> Environment:
    """Return a junction where nobody arrives, no exit is blocked and no release comes late."""
    environment = make_environment("zone-release", worlds=WORLDS, seed=4)
    environment.set_range("arrivals", 0.0, 0.0)
    environment.set_params("events", "blocked_exit", (0.0, 0.0))
    for side in range(4):
        environment.set_range(f"delay.release.{side}", 0, 0)
    environment.reset(seed=4)
    return environment


def test_a_junction_that_is_turned_is_a_junction() -> None:
    plain, turned = quiet_junction(), quiet_junction()
    turns = SideTurns(plain)
    generator = torch.Generator().manual_seed(1)
    torch.manual_seed(3)
    _, _ = turns(env=None, obs=TensorDict({}, batch_size=[0]), actions=None)
    for name in ("along", "speed", "turn", "released", "waited", "blocked"):
        sides = plain.state(name).reshape(WORLDS, 4, -1).roll(turns.turn, 1)
        turned.state(name).copy_(sides.reshape(WORLDS, -1))
    for _ in range(15):
        actions = torch.rand(WORLDS, 4, generator=generator) * 2.0 - 1.0
        _, said = turns(env=None, obs=None, actions=actions)
        assert said is not None
        assert torch.equal(said[:WORLDS], actions)
        plain.step(actions)
        turned.step(said[WORLDS:])
    order = turns.order["policy"][turns.turn]
    running = (plain.steps == 15) & (turned.steps == 15)
    assert running.sum() > WORLDS / 2

    def equal(seen: torch.Tensor) -> float:
        far = (seen - turned.observation).abs().amax(dim=1)
        return float((far[running] < 1e-3).float().mean())

    # Vehicles move one after another: who follows in an exit may see a tenth of a second less.
    assert equal(plain.observation[:, order]) > 0.9
    assert equal(plain.observation) < 0.2


def test_the_figure_of_a_junction_is_what_left_it() -> None:
    policy = baselines("zone-release")[1]
    found = evaluate(policy, "zone-release", [5], episodes=8)
    assert found.figures is not None
    seeds = np.random.SeedSequence([5, 1]).generate_state(8).tolist()
    environment = make_environment("zone-release", worlds=8, seed=seeds)
    environment.level.fill_(1.0)
    environment.reset()
    left = torch.zeros(8)
    for _ in range(environment.max_steps - 1):
        environment.step(policy.act(environment))
        left += environment.state("gone")
    counted = torch.tensor(found.figures[0]) * 120.0 / 3600.0
    in_the_last_second = counted - left  # one from each side at most
    assert torch.allclose(counted, counted.round(), atol=1e-4)
    assert (in_the_last_second >= -1e-4).all()
    assert (in_the_last_second <= 4.0).all()
    assert found.figure_titles == ("throughput [vehicles/h]",)
    assert found.to_json()["figure"][0] == pytest.approx(found.figures.mean())
    without = ZoneReleaseConfig().without("rewards", "throughput")
    assert evaluate(policy, "zone-release", [5], episodes=2, config=without).figures is None


def test_near_misses_come_of_releasing_all_and_not_of_one_at_a_time() -> None:
    def missed(say: float | None) -> float:
        environment = make_environment("zone-release", worlds=48, seed=7)
        rule, total = baselines("zone-release")[1], 0.0
        for _ in range(60):
            shape = (48, 4)
            actions = rule.act(environment) if say is None else torch.full(shape, say)
            environment.step(actions)
            total += float(environment.state("missed").sum())
        return total / 48

    assert missed(-1.0) == 0.0
    assert missed(None) < 0.1 < missed(1.0)


def test_a_resolved_rate_knows_the_arm() -> None:
    environment = make_environment("arm-reach", worlds=6, seed=2)
    environment.set_noise("joint_positions", 0.0)
    environment.reset(seed=2)
    rule = ResolvedRatePolicy()
    rule.begin(environment)
    q = columns_of(environment, "joint_positions")
    tool = columns_of(environment, "tool")
    assert q is not None
    assert tool is not None
    jacobian = rule.jacobian(q, tool)

    def after(joint: int, turn: float) -> torch.Tensor:
        """Return where the tool is one idle step after a joint was turned by hand."""
        environment.reset(seed=2)
        for name in ("joint_q", "target"):
            environment.state(name)[:, joint] += turn
        environment.step(torch.zeros(6, 6))
        seen = columns_of(environment, "tool")
        assert seen is not None
        return seen

    small = 0.02
    for j in range(6):
        moved = (after(j, small) - after(j, -small)) / (2.0 * small)
        assert torch.allclose(moved, jacobian[:, :, j], atol=0.05)


def test_rules_do_what_chance_does_not() -> None:
    for task, least in (("arm-reach", 0.9), ("cart-pole", 0.6)):
        random, rule = (evaluate(p, task, range(5), episodes=8) for p in baselines(task))
        assert [random.policy, rule.policy] == ["random", "rule"]
        assert random.success.high < 0.1 < least < rule.success.low


def test_a_task_has_settings_of_its_own(tmp_path: Path) -> None:
    assert set(DEFAULTS) <= set(TASKS)
    for task in TASKS:
        config = TrainingConfig.of(task, seed=9)
        assert config == TrainingConfig(task=task, seed=9, **DEFAULTS.get(task, {}))
    file = tmp_path / "a.toml"
    file.write_text('task = "zone-release"\nworlds = 64\n')
    assert TrainingConfig.read(file) == TrainingConfig.of("zone-release", worlds=64)


def test_a_junction_is_learnt_with_its_sides_and_reported_with_its_figure(tmp_path: Path) -> None:
    config = TrainingConfig.of(
        "zone-release",
        worlds=32,
        iterations=2,
        steps=8,
        minibatches=2,
        evaluation_seeds=2,
        episodes=2,
        environment={"episode": 20.0},
    )
    run = train(config)
    assert len(run.curves["loss/symmetry"]) == 2
    report = write_report(run, tmp_path)
    assert [one.figures is not None for one in report.evaluations] == [True] * 3
    assert "throughput [vehicles/h]" in (tmp_path / "report.md").read_text()
