"""Training follows its configuration, can be gone on with, and says what came of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typer.testing import CliRunner

from stagetwin.cli import app
from stagetwin.cli._app import add_installed_commands
from stagetwin_sim._errors import TaskError, TrainingError
from stagetwin_sim.policies import Bundle
from stagetwin_sim.training import (
    BundlePolicy,
    Checkpoint,
    Progress,
    RandomPolicy,
    RulePolicy,
    Run,
    TrainingConfig,
    baselines,
    environment_config,
    evaluate,
    train,
    write_report,
)

SMALL = TrainingConfig(
    task="kinematics",
    worlds=256,
    steps=16,
    iterations=6,
    minibatches=4,
    save_every=3,
    evaluation_seeds=3,
    episodes=4,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return train(SMALL, out=folder)


def weights(of: Run) -> list[torch.Tensor]:
    return [value.clone() for value in of.policy.actor.state_dict().values()]


def test_the_same_configuration_gives_the_same_run(run: Run) -> None:
    told: list[Progress] = []
    again = train(SMALL, progress=told.append)
    assert all(map(torch.equal, weights(run), weights(again)))
    assert [one.iteration for one in told] == [1, 2, 3, 4, 5, 6]
    assert told[-1].steps == run.steps == 256 * 16 * 6
    assert told[-1].left == 0.0
    other = train(few_of_seed(2))
    assert not all(map(torch.equal, weights(run), weights(other)))


def few_of_seed(seed: int) -> TrainingConfig:
    return msgspec.structs.replace(SMALL, seed=seed, iterations=2)


def test_checkpoints_are_gone_on_with(run: Run, folder: Path, tmp_path: Path) -> None:
    kept = sorted(file.name for file in (folder / "checkpoints").iterdir())
    assert kept == ["000003.pt", "000006.pt"]
    assert run.checkpoint == folder / "checkpoints" / "000006.pt"
    before = Checkpoint.read(folder / "checkpoints" / "000003.pt")
    assert (before.iteration, before.steps) == (3, 3 * 256 * 16)
    resumed = train(SMALL, out=tmp_path, resume=folder / "checkpoints" / "000003.pt")
    assert resumed.steps == run.steps
    assert len(resumed.curves["train/reward"]) == 6
    assert resumed.curves["loss/value"][:3] == run.curves["loss/value"][:3]
    # And a resumed run is the same each time.
    again = train(SMALL, resume=folder / "checkpoints" / "000003.pt")
    assert all(map(torch.equal, weights(resumed), weights(again)))


def test_what_is_resumed_from_must_fit(run: Run, folder: Path, tmp_path: Path) -> None:
    file = folder / "checkpoints" / "000006.pt"
    with pytest.raises(TrainingError, match="above the 6 that are done, got 6"):
        train(SMALL, resume=file)
    more = msgspec.structs.replace(SMALL, iterations=9)
    for changes, words in (
        ({"hidden": (32,)}, r"hidden must be \(64, 64\)"),
        ({"task": "navigation"}, "task must be 'kinematics'"),
        ({"environment": {"episode": 5.0}}, "environment"),
    ):
        with pytest.raises(TrainingError, match=words):
            train(msgspec.structs.replace(more, **changes), resume=file)
    (tmp_path / "bad.pt").write_bytes(b"no checkpoint")
    with pytest.raises(TrainingError, match="no checkpoint can be read"):
        train(more, resume=tmp_path / "bad.pt")


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (print, ("ran",))

    torch.save({"config": Bomb()}, tmp_path / "bomb.pt")
    with pytest.raises(TrainingError, match="no checkpoint can be read"):
        Checkpoint.read(tmp_path / "bomb.pt")


def test_tensorboard_has_the_curves(run: Run, folder: Path) -> None:
    events = EventAccumulator(str(folder))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    assert {"train/reward", "loss/value", "perf/steps_per_second", "policy/std"} <= tags
    values = events.Scalars("loss/value")
    assert [value.step for value in values] == [256 * 16 * k for k in range(1, 7)]
    assert [value.value for value in values] == pytest.approx(run.curves["loss/value"])


def test_the_report_says_everything(run: Run, tmp_path: Path) -> None:
    said: list[str] = []
    report = write_report(run, tmp_path, tell=said.append)
    names = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*")}
    stills = {f"stills/kinematics-{k}.png" for k in range(6)}
    assert {"config.toml", "curves.csv", "curves.png", "report.md", "report.json"} | stills <= names
    content = json.loads((tmp_path / "report.json").read_text())
    assert [one["policy"] for one in content["evaluations"]] == ["trained", "random", "rule"]
    assert content["evaluations"][0]["episodes"] == 12
    assert content["versions"]["torch"] == torch.__version__
    assert TrainingConfig.read(tmp_path / "config.toml") == SMALL
    text = (tmp_path / "report.md").read_text()
    for policy in ("trained", "random", "rule"):
        assert f"| {policy} | " in text
    rule = content["evaluations"][2]["success"]
    assert f"| rule | {100 * rule[0]:.1f} % [{100 * rule[1]:.1f}, {100 * rule[2]:.1f}] |" in text
    bundle = Bundle.read(tmp_path / "policy.bundle", unsigned=True)
    assert bundle.report == (tmp_path / "report.json").read_bytes()
    assert bundle.spec.provenance.config == SMALL.digest
    assert bundle.spec.provenance.steps == run.steps
    assert bundle.digest == report.bundle.digest
    assert bundle.spec.novelty.samples == 256 * 16
    # The bundle in place of the actor: the same episodes.
    actor, exported = (
        evaluate(policy, "kinematics", range(3), episodes=4)
        for policy in (run.policy, BundlePolicy(bundle))
    )
    assert np.array_equal(actor.succeeded, exported.succeeded)
    assert actor.seconds == pytest.approx(exported.seconds)


def test_seeds_give_the_same_worlds_to_every_policy() -> None:
    one, two = (evaluate(RulePolicy(), "kinematics", [3, 7], episodes=5) for _ in range(2))
    assert np.array_equal(one.seconds, two.seconds)
    (alone,) = evaluate(RulePolicy(), "kinematics", [7], episodes=5).seconds
    assert alone.tolist() == one.seconds[1].tolist()
    assert evaluate(RandomPolicy(), "kinematics", range(4)).success.high < 0.5
    with pytest.raises(TrainingError, match="at least one seed"):
        evaluate(RulePolicy(), "kinematics", [])


def test_baselines_are_ranked_as_one_would_think() -> None:
    names = {task: [p.name for p in baselines(task)] for task in ("navigation", "zone-release")}
    assert names == {"navigation": ["random", "rule", "ORCA"], "zone-release": ["random", "rule"]}
    random, rule, orca = (
        evaluate(policy, "navigation", range(10), episodes=6) for policy in baselines("navigation")
    )
    assert random.success.high < 0.1 < rule.success.low < orca.success.low
    assert orca.success.value > 0.75
    assert orca.failure.value < 0.1
    first, come = (
        evaluate(policy, "zone-release", range(10), episodes=2)
        for policy in baselines("zone-release")
    )
    assert come.success.low > first.success.high
    assert come.reward.low > first.reward.high


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"worlds": 0}, "worlds must be at least 1, got 0"),
        ({"gamma": 1.1}, r"gamma must be within \[0, 1\]"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"hidden": ()}, "hidden"),
        ({"recurrent": "gru", "worlds": 6, "minibatches": 4}, "multiple of minibatches"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        TrainingConfig(task="kinematics", **changes)


def test_a_file_of_settings(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(
        'task = "navigation"\nworlds = 64\n[environment]\npillars = 2\nothers = 0\n'
        '[environment.rewards]\ngoal = 5\n[environment.params]\n"events.pose" = [0.4]\n'
    )
    config = TrainingConfig.read(file, seed=9)
    assert (config.worlds, config.seed) == (64, 9)
    made: Any = environment_config(config.task, config.environment)
    assert (made.pillars, made.others) == (2, 0)
    assert next(term.weight for term in made.rewards if term.name == "goal") == 5.0
    assert next(term.params for term in made.events if term.name == "pose") == (0.4,)
    (tmp_path / "b.toml").write_text(config.to_toml())
    assert TrainingConfig.read(tmp_path / "b.toml") == config
    for text, words in (
        ("speed = 1\n", "speed"),
        ('task = "a"\nworlds = "many"\n', "worlds"),
        ('task = "a"\nworlds = 0\n', "at least 1"),
        ("[", "a.toml"),
    ):
        file.write_text(text)
        with pytest.raises(TrainingError, match=words):
            TrainingConfig.read(file)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"walls": 1}, "no number 'walls'"),
        ({"pillars": 1.5}, "pillars must be of int"),
        ({"episode": "long"}, "episode must be of float"),
        ({"rewards": {"joy": 1.0}}, "no rewards named 'joy'"),
        ({"rewards": 3}, "navigation"),
        ({"params": {"events.pillars": ["a"]}}, "navigation"),
        ({"params": {"pillars": [1.0]}}, "terms are in"),
    ],
)
def test_environments_that_cannot_be_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises((TaskError, TrainingError), match=words):
        environment_config("navigation", changes)


def test_recurrent_policies_train_and_are_run() -> None:
    config = TrainingConfig(
        task="kinematics",
        worlds=32,
        steps=8,
        iterations=2,
        minibatches=2,
        recurrent="gru",
        recurrent_size=16,
        hidden=(16,),
    )
    run = train(config)
    found = evaluate(run.policy, "kinematics", [1], episodes=3)
    assert found.seconds.shape == (1, 3)
    # Whoever begins anew remembers nothing: the same episodes again.
    assert np.array_equal(
        evaluate(run.policy, "kinematics", [1], episodes=3).rewards, found.rewards
    )


def test_training_ends_early_where_it_is_told_to() -> None:
    easy = msgspec.structs.replace(SMALL, iterations=40, stop_at=0.01)
    assert len(train(easy).curves["steps"]) < 40


def test_the_command_line_trains_and_goes_on(tmp_path: Path) -> None:
    if not any(group.name == "train" for group in app.registered_commands):
        add_installed_commands()
    runner, out = CliRunner(), tmp_path / "run"
    few = ["--worlds", "64", "--out", str(out)]
    (tmp_path / "c.toml").write_text(
        'task = "kinematics"\nminibatches = 2\nepisodes = 1\nevaluation_seeds = 2\n'
    )
    config = ["--config", str(tmp_path / "c.toml")]
    first = runner.invoke(app, ["train", "kinematics", "--iterations", "2", *few, *config])
    assert first.exit_code == 0, first.output
    assert "trained" in first.output
    kept = out / "checkpoints" / "000002.pt"
    on = ["train", "kinematics", "--iterations", "3", "--no-compare", "--resume", str(kept)]
    second = runner.invoke(app, [*on, "--out", str(out)])
    assert second.exit_code == 0, second.output
    assert json.loads((out / "report.json").read_text())["iterations"] == 3
    wrong = runner.invoke(app, ["train", "flying"])
    assert wrong.exit_code == 2
    assert "no task 'flying'" in wrong.output
