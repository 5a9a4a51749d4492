"""Engines: right, the same by seed, the same in any number of worlds, saved and forked anywhere."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stagetwin_sim._errors import DivergedError, ModelError, SnapshotError
from stagetwin_sim.engine import Plan, PlanBuilder, Snapshot
from tests.sim.engine.first_order import LAG, lag_plan


def run(plan: Plan, frames: int, worlds: int = 1, eager: bool = False) -> np.ndarray:
    engine = plan.engine(worlds)
    engine.eager = eager
    engine.write([plan.column("/L0.in")], [1.0])
    engine.step(frames)
    return engine.read()


def test_a_lag_follows_its_analytic_solution() -> None:
    plan = lag_plan([0.5, 2.0])
    values = run(plan, 20)
    assert values[0, plan.column("/L0.out")] == pytest.approx(1 - math.exp(-1.0 / 0.5), rel=1e-12)
    assert values[0, plan.column("/L1.out")] == 0


@pytest.mark.parametrize("rate", [1000.0, 20.0, 10.0, 1.0])
def test_any_rate_that_fits_the_frames(rate: float) -> None:
    plan = lag_plan([0.5], rate=rate)
    engine = plan.engine()
    engine.write([plan.column("/L0.in")], [1.0])
    engine.step(40)
    done = math.ceil(40 * 0.05 * rate) / rate
    expected = 1 - math.exp(-done / 0.5)
    assert engine.read()[0, plan.column("/L0.out")] == pytest.approx(expected, rel=1e-9)


def test_a_rate_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ModelError, match="neither a multiple nor a divisor"):
        lag_plan([0.5], rate=30.0).engine()


def test_graph_and_single_launches_agree_bit_for_bit() -> None:
    plan = lag_plan([0.5, 1.5], noise=0.1, seed=3)
    assert np.array_equal(run(plan, 33), run(plan, 33, eager=True))


def test_one_world_equals_many() -> None:
    plan = lag_plan([0.5, 1.5], noise=0.1, seed=3)
    many = run(plan, 25, worlds=7)
    assert np.array_equal(many, np.repeat(run(plan, 25), 7, axis=0))


def test_a_batch_of_one_equals_a_batch_of_many() -> None:
    alone, among = lag_plan([0.5], noise=0.1), lag_plan([0.5, 3.0, 9.0], noise=0.1)
    assert run(alone, 30)[0, 1] == run(among, 30)[0, 1]


def test_the_seed_decides_and_another_gives_another_run() -> None:
    first, again, other = (run(lag_plan([0.5], 0.1, seed=s), 30) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("moment", [0, 1, 7, 19, 20])
def test_fork_and_run_equals_run_at_any_step(moment: int) -> None:
    plan = lag_plan([0.5, 1.5], noise=0.1, rate=10.0, seed=3)
    engine = plan.engine()
    engine.write([plan.column("/L0.in")], [1.0])
    engine.step(moment)
    fork = engine.fork(3)
    engine.step(24)
    fork.step(24)
    assert np.array_equal(fork.read(), np.repeat(engine.read(), 3, axis=0))
    assert fork.save().world(2).digest() == engine.save().digest()


def test_a_fork_leaves_the_present_alone() -> None:
    plan = lag_plan([0.5], noise=0.1)
    engine = plan.engine()
    engine.step(5)
    before = engine.save().digest()
    fork = engine.fork(2)
    fork.write([0], [[5.0], [6.0]])
    fork.step(10)
    assert engine.save().digest() == before


def test_a_state_survives_being_written_down() -> None:
    plan = lag_plan([0.5, 1.5], noise=0.1)
    engine = plan.engine(2)
    engine.step(11)
    kept = Snapshot.from_bytes(engine.save().to_bytes())
    engine.step(9)
    expected = engine.read()
    engine.restore(kept)
    engine.step(9)
    assert np.array_equal(engine.read(), expected)


def test_states_of_another_plan_are_refused() -> None:
    state = lag_plan([0.5]).engine().save()
    with pytest.raises(SnapshotError, match="the state is of plan"):
        lag_plan([0.5, 1.0]).engine().restore(state)
    with pytest.raises(SnapshotError, match="this has 2"):
        lag_plan([0.5]).engine(2).restore(state)
    with pytest.raises(SnapshotError, match="no saved state"):
        Snapshot.from_bytes(b"nonsense")


def test_what_is_not_finite_never_reaches_the_bus() -> None:
    plan = lag_plan([0.5])
    engine = plan.engine()
    with pytest.raises(ModelError, match=r"/L0\.in: .* finite"):
        engine.write([0], [math.nan])
    engine.context.bus.assign(np.full((1, 3), math.inf))
    with pytest.raises(DivergedError, match=r"/L0\.in is not finite"):
        engine.check()


def test_parameters_outside_their_range_name_prim_and_range() -> None:
    with pytest.raises(ModelError, match=r"/P: param:tau must be in \[0\.001, 1000\] s, got 0"):
        LAG.parameter_values({"tau": 0.0}, "/P")
    with pytest.raises(ModelError, match="no parameter tua; it has noise, tau"):
        LAG.parameter_values({"tua": 1.0}, "/P")


def test_an_empty_plan_runs() -> None:
    engine = PlanBuilder().build().engine()
    engine.step(3)
    assert engine.time == pytest.approx(0.15)
