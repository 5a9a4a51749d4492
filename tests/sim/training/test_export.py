"""What leaves as ONNX says what torch says, and tells nothing of the machine it comes from."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensordict import TensorDict

from stagetwin_sim.environments import as_rsl_rl, make_environment
from stagetwin_sim.policies import Bundle, Novelty, Reading, Runner, Status
from stagetwin_sim.policies._inputs import distance
from stagetwin_sim.policies._network import Network
from stagetwin_sim.training import TrainingConfig, export_bundle, novelty_of
from stagetwin_sim.training._actor import make_algorithm

Floats = npt.NDArray[np.float32]
TOLERANCE = 1e-5
ROWS = 8


@pytest.fixture(scope="module", params=["", "gru", "lstm"])
def exported(request: pytest.FixtureRequest) -> tuple[Any, Bundle]:
    """An actor whose normaliser and layers are not those of a beginning, and its bundle."""
    torch.manual_seed(3)
    torch.set_num_threads(1)
    environment = make_environment("kinematics", worlds=16, seed=2)
    config = TrainingConfig(task="kinematics", worlds=16, recurrent=request.param)
    actor = make_algorithm(config, as_rsl_rl(environment)).get_policy()
    seen = TensorDict({"policy": 3.0 * torch.randn(500, 7) + 1.0}, batch_size=[500])
    actor.train()
    actor.update_normalization(seen)
    with torch.no_grad():
        for parameter in actor.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    numbers = np.random.default_rng(0).normal(size=(400, 7))
    return actor.eval(), export_bundle(actor, environment.config, observations=numbers)


def compared(actor: Any, bundle: Bundle, steps: Floats) -> float:
    """Return the greatest difference between torch and ONNX over steps, shape (steps, rows, n)."""
    rows = steps.shape[1] if not bundle.spec.recurrent else 1
    network = Network(bundle.model, bundle.spec, rows)
    actor.reset()
    worst = 0.0
    with torch.inference_mode():
        for step in steps[:, :rows]:
            shown = TensorDict({"policy": torch.from_numpy(step)}, batch_size=[rows])
            worst = max(worst, float(np.abs(network.run(step) - actor(shown).numpy()).max()))
    return worst


finite = st.floats(-1.0, 1.0, width=32)


@given(values=hnp.arrays(np.float32, (4, ROWS, 7), elements=finite))
def test_random_inputs(exported: tuple[Any, Bundle], values: Floats) -> None:
    assert compared(*exported, values) <= TOLERANCE


@pytest.mark.parametrize("edge", [0.0, -0.0, 1.0, -1.0, 1e-30, 1e-45, 10.0, -10.0])
def test_edges(exported: tuple[Any, Bundle], edge: float) -> None:
    values = np.full((3, ROWS, 7), edge, np.float32)
    values[1, :, ::2] = -1.0
    assert compared(*exported, values) <= TOLERANCE


def test_long_runs_do_not_drift_apart(exported: tuple[Any, Bundle]) -> None:
    values = np.random.default_rng(5).uniform(-1, 1, (500, 2, 7)).astype(np.float32)
    assert compared(*exported, values) <= TOLERANCE


def test_the_file_holds_its_weights_and_nothing_of_the_machine(
    exported: tuple[Any, Bundle],
) -> None:
    _, bundle = exported
    model = onnx.load_from_string(bundle.model)
    onnx.checker.check_model(model, full_check=True)
    assert {one.domain: one.version for one in model.opset_import}[""] == bundle.spec.model.opset
    assert not any(part.external_data for part in model.graph.initializer)
    assert sum(len(part.raw_data) for part in model.graph.initializer) > 10_000
    for word in (b"site-packages", b"/home", b".py"):
        assert word not in bundle.model
    spec = bundle.spec
    assert spec.model.batch == (1 if spec.recurrent else 0)
    states = {1: 0, 2: 1, 3: 2}
    assert len(spec.recurrent) == states[len(model.graph.input)]


# Once is enough of what follows: exporting is what takes the time.
@pytest.mark.parametrize("exported", ["gru"], indirect=True)
def test_the_same_actor_gives_the_same_bytes(exported: tuple[Any, Bundle]) -> None:
    actor, bundle = exported
    environment = make_environment("kinematics", worlds=1)
    assert export_bundle(actor, environment.config).model == bundle.model


def test_terms_are_those_of_the_environment(exported: tuple[Any, Bundle]) -> None:
    spec = exported[1].spec
    environment = make_environment("kinematics", worlds=1)
    assert tuple(one.term for one in spec.observations) == environment.observation_terms
    assert tuple(one.term for one in spec.actions) == environment.action_terms
    assert spec.rate == pytest.approx(1.0 / environment.step_seconds)
    assert [one.delay for one in spec.actions] == [pytest.approx((0.0, 0.3))] * 2
    assert spec.provenance.versions["torch"] == torch.__version__


@pytest.mark.parametrize("exported", [""], indirect=True)
def test_a_runner_says_what_the_environment_heard(exported: tuple[Any, Bundle]) -> None:
    """Observations of an environment, given as readings [unit], lead to the same actions."""
    environment = make_environment("kinematics", worlds=1, seed=4)
    actor, bundle = exported
    spec = msgspec.structs.replace(bundle.spec, novelty=Novelty())  # nothing is unfamiliar
    runner = Runner(dataclasses.replace(bundle, spec=spec), lambda: 0.0, untrusted=True)
    for _ in range(30):
        numbers = environment.observation[0].numpy().astype(np.float64)
        readings, column = {}, 0
        for term in environment.observation_terms:
            part = numbers[column : column + term.size]
            readings[term.name] = Reading(term.offset + term.scale * part, 0.0)
            column += term.size
        action = runner.act(readings)
        shown = TensorDict({"policy": environment.observation}, batch_size=[1])
        with torch.inference_mode():
            said = actor(shown)
        assert action.numbers == pytest.approx(said[0].numpy(), abs=TOLERANCE)
        assert action.status in (Status.POLICY, Status.LIMITED)
        environment.step(said)


def test_statistics_hold_what_training_saw_and_little_else() -> None:
    rng = np.random.default_rng(1)
    seen = rng.normal(size=(4000, 3)) @ np.array([[1.0, 0.9, 0.0], [0.0, 0.4, 0.0], [0, 0, 0.1]])
    novelty = novelty_of(seen)
    assert (distance(novelty, seen) <= novelty.threshold).all()
    assert ((seen >= novelty.low) & (seen <= novelty.high)).all()
    # Against the correlation, though each number alone is common.
    assert distance(novelty, np.array([2.5, -2.5, 0.0])) > novelty.threshold
    still = novelty_of(np.ones((10, 2)))
    assert np.isfinite(still.precision).all()
    assert still.threshold > 0.0
