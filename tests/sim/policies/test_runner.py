"""A runner acts by its bundle alone, and falls back when it should not believe its policy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagetwin_sim._errors import PolicyError
from stagetwin_sim.policies import (
    ActionSpec,
    Bundle,
    Fallback,
    Novelty,
    Reading,
    Runner,
    SigningKey,
    Status,
)

from .small_bundles import (
    ACTIONS,
    HOLD,
    OBSERVATIONS,
    bundle_of,
    counting_bundle,
    linear_model,
    novelty,
    readings,
    spec_of,
)


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def runner_of(
    clock: Clock | None = None, bundle: Bundle | None = None, **changes: object
) -> Runner:
    chosen = bundle if bundle is not None else bundle_of(**changes)
    return Runner(chosen, clock or Clock(), untrusted=True)


def test_a_bundle_that_nobody_vouches_for_does_not_run() -> None:
    with pytest.raises(PolicyError, match="not trusted"):
        Runner(bundle_of())
    assert Runner(bundle_of().sign(SigningKey.make())).act(readings()).status is Status.STOP


def test_values_become_numbers_and_numbers_values() -> None:
    action = runner_of().act(readings(distance=5.0))
    assert action.status is Status.POLICY
    assert action.values["speed"] == pytest.approx([0.75])
    assert action.values["rotation"] == pytest.approx([1.0])
    assert action.numbers == pytest.approx([0.5, 0.5])
    assert action.latency > 0.0


def test_observations_are_clipped_as_in_training() -> None:
    near, far = (runner_of().act(readings(distance=d)).numbers for d in (10.0, 1e6))
    assert near.tolist() == far.tolist() == [1.0, 1.0]


def test_order_frames_and_what_is_not_asked_for_do_not_matter() -> None:
    given = readings()
    turned = {"else": Reading(1.0, 0.0), **dict(reversed(given.items()))}
    assert runner_of().act(turned).numbers.tolist() == runner_of().act(given).numbers.tolist()


def test_what_was_said_last_is_seen() -> None:
    weights = np.zeros((7, 2), np.float32)
    weights[0], weights[5], weights[6] = 0.1, (1.0, 0.0), (0.0, -1.0)
    runner = runner_of(bundle=bundle_of(weights))
    said = [runner.act(readings(distance=5.0)).numbers.tolist() for _ in range(3)]
    assert said == [
        pytest.approx([0.05, 0.05]),
        pytest.approx([0.1, 0.0]),
        pytest.approx([0.15, 0.05]),
    ]


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({}, "missing: distance"),
        ({"distance": Reading(5.0, 0.0)}, "missing: rays"),
        (readings(time=-0.25), "stale: rays is 0.25 s old, at most 0.2 s"),
        (readings(time=math.nan), "stale: distance"),
        (readings(time=1.0), "stale: distance is from 1 s ahead"),
        (readings(distance=math.nan), "not finite: distance"),
        (readings(rays=(1.0, math.inf, 1.0, 1.0)), "not finite: rays"),
        (readings(rays=(1.0, 1.0)), "malformed: rays has 4 numbers, got 2"),
        ({**readings(), "rays": Reading(["a", 1, 2, 3], 0.0)}, "malformed: rays is no array"),
    ],
)
def test_what_cannot_be_used_is_a_fallback(given: dict[str, Reading], cause: str) -> None:
    runner = runner_of()
    action = runner.act(given)
    assert action.status is Status.STOP
    assert action.cause.startswith(cause)
    assert action.values["speed"].tolist() == [0.0]
    assert np.isnan(action.numbers).all()
    assert runner.counts == {"stop": 1, cause.partition(":")[0]: 1}


def test_each_term_has_its_own_age() -> None:
    late = {"distance": Reading(5.0, -0.29), "rays": Reading([6.0] * 4, -0.19)}
    assert runner_of().act(late).status is Status.POLICY


def test_what_training_did_not_see_is_a_fallback() -> None:
    runner = runner_of(novelty=novelty())
    assert runner.act(readings(distance=5.0)).status is Status.POLICY
    action = runner.act(readings(distance=9.0))
    assert action.status is Status.STOP
    assert action.cause == "unfamiliar: distance is 0.9, training saw [0.4, 0.6]"
    rays = runner.act(readings(rays=(6.0, 6.0, 1.0, 6.0)))
    assert rays.cause.startswith("unfamiliar: rays[2] is 1")
    assert runner.counts["unfamiliar"] == 2


def test_numbers_that_are_known_one_by_one_may_be_unknown_together() -> None:
    # Distance and the first ray go together: 0.9 of correlation.
    precision = np.linalg.inv(np.array([[1.0, 0.9], [0.9, 1.0]]))
    whole = np.eye(7) * 1e-9
    whole[:2, :2] = precision
    known = Novelty(mean=(0.5, 3.0, *[0.0] * 5), precision=tuple(whole.ravel()), threshold=2.0)
    runner = runner_of(novelty=known)
    together = readings(distance=10.0, rays=(3.5, 0.0, 0.0, 0.0))
    against = readings(distance=10.0, rays=(2.5, 0.0, 0.0, 0.0))
    assert runner.act(together).status is Status.POLICY
    assert runner.act(against).cause == "unfamiliar: distance 2.24, at most 2"


def test_a_hold_is_held_for_a_while_and_then_a_stop() -> None:
    clock = Clock()
    runner = runner_of(clock, fallback=HOLD)
    assert runner.act(readings()).values["speed"] == pytest.approx([0.75])
    found = []
    for step in range(1, 6):
        clock.now = 0.1 * step
        action = runner.act({})
        found.append((action.status, round(float(action.values["speed"][0]), 6)))
    held, stopped = (Status.HOLD, 0.75), (Status.STOP, 0.0)
    assert found == [held, held, held, stopped, stopped]
    clock.now = 0.6
    assert runner.act(readings(time=0.6)).status is Status.POLICY


def test_it_speaks_again_only_after_sound_steps() -> None:
    runner = runner_of(fallback=Fallback(resume=3))
    assert runner.act(readings()).status is Status.POLICY
    runner.act({})
    found = [runner.act(readings()).status for _ in range(4)]
    assert found == [Status.STOP, Status.STOP, Status.POLICY, Status.POLICY]
    assert runner.counts["resuming"] == 2


def test_limits_and_rate_limits_bound_what_leaves() -> None:
    clock = Clock()
    slow = (ActionSpec(term=ACTIONS[0].term, rate_limit=2.0), ACTIONS[1])
    runner = runner_of(clock, actions=slow)
    found = []
    for step in range(6):
        clock.now = 0.1 * step
        found.append(runner.act(readings(distance=10.0, time=clock.now)))
    assert [round(float(one.values["speed"][0]), 6) for one in found] == [
        0.2,
        0.4,
        0.6,
        0.8,
        1.0,
        1.2,
    ]
    assert found[0].status is Status.LIMITED
    assert found[0].cause == "limited: speed"
    back = runner_of(bundle=bundle_of(np.full((7, 2), -1.0, np.float32)))
    assert back.act(readings()).values["speed"].tolist() == [-0.3]


def test_a_long_silence_earns_no_jump() -> None:
    clock = Clock()
    slow = (ActionSpec(term=ACTIONS[0].term, rate_limit=1.0), ACTIONS[1])
    runner = runner_of(clock, actions=slow)
    runner.act(readings())
    clock.now = 60.0
    assert runner.act(readings(time=60.0)).values["speed"] == pytest.approx([0.3])


@given(st.lists(st.floats(-50.0, 50.0), min_size=2, max_size=20), st.floats(0.0, 0.3))
def test_nothing_beyond_limits_ever_leaves(distances: list[float], gap: float) -> None:
    clock = Clock()
    slow = tuple(ActionSpec(term=one.term, rate_limit=3.0) for one in ACTIONS)
    weights = np.zeros((7, 2), np.float32)
    weights[0], weights[1] = (3.0, -2.0), (-1.0, 4.0)
    runner = runner_of(clock, bundle_of(weights, actions=slow, fallback=HOLD))
    before = np.zeros(2)
    for distance in distances:
        clock.now += 0.05 + gap
        action = runner.act(readings(distance=distance, time=clock.now))
        now = np.array([action.values[name][0] for name in ("speed", "rotation")])
        assert (now >= [-0.3, -2.0]).all()
        assert (now <= [1.5, 2.0]).all()
        assert (np.abs(now - before) <= 3.0 * 0.2 + 1e-9).all()
        before = now


def test_history_is_stacked_oldest_first() -> None:
    weights = np.zeros((21, 2), np.float32)
    weights[0], weights[7], weights[14] = (1.0, 0.0), (0.0, 1.0), (0.0, -0.5)
    spec = spec_of(history=3)
    runner = runner_of(bundle=Bundle(spec=spec, model=linear_model(weights)))
    said = [runner.act(readings(distance=d)).numbers.tolist() for d in (2.0, 4.0, 6.0, 8.0)]
    # The first step stands for those before it.
    assert said[0] == pytest.approx([0.2, 0.1])
    assert said[3] == pytest.approx([0.4, 0.2])


def test_a_state_goes_round_and_a_gap_ends_it() -> None:
    runner = runner_of(bundle=counting_bundle())
    said = [round(float(runner.act(readings()).numbers[0]), 4) for _ in range(3)]
    assert said == [0.1, 0.2, 0.3]
    runner.act({})
    assert runner.act(readings()).numbers[0] == pytest.approx(0.1)
    runner.reset()
    assert runner.act(readings()).numbers[0] == pytest.approx(0.1)


def test_what_the_network_says_must_be_numbers() -> None:
    weights = np.full((7, 2), math.nan, np.float32)
    action = runner_of(bundle=bundle_of(weights)).act(readings())
    assert action.status is Status.STOP
    assert action.cause == "not finite: the policy's output"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (b"", "cannot be loaded"),
        (linear_model(np.zeros((3, 2), np.float32)), r"input must be \(batch, 7\)"),
        (counting_bundle().model, "must take"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(model: bytes, words: str) -> None:
    with pytest.raises(PolicyError, match=words):
        runner_of(bundle=Bundle(spec=spec_of(), model=model))


def test_terms_tell_their_bounds() -> None:
    assert OBSERVATIONS[0].term.bounds == (0.0, 1.0)
    assert ACTIONS[0].term.bounds == pytest.approx((-0.2, 1.0))
