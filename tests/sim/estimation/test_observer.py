"""The observer of a plant: corrections, residuals, and what is not to be believed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stagetwin_sim._errors import ModelError, SnapshotError
from stagetwin_sim.estimation import Fate, Measured, Observer
from tests.sim.estimation.small_plants import LAG, POWER, THERMAL, TankPlan, plant_of

OUT = "/P0.out"
NOISE = {"process:value": 0.1, "measurement:out": 0.2}


def test_a_model_that_hears_nothing_runs_as_without_an_observer() -> None:
    plant = plant_of(THERMAL, 2)
    alone, beside = plant.plan.engine(), plant.plan.engine()
    observer = Observer(plant, beside)
    for engine in (alone, beside):
        engine.write([0], [500.0])
    for _ in range(50):
        alone.step()
        beside.step()
        observer.update({})
    assert beside.save().digest() == alone.save().digest()
    assert observer.counts == {Fate.MISSING: 50 * 4}
    assert np.isnan(observer.residuals().residual).all()


def test_states_follow_what_is_measured_and_forks_start_there() -> None:
    plant = plant_of(LAG, 1, noise=NOISE)
    engine = plant.plan.engine()
    observer = Observer(plant, engine)
    rng = np.random.default_rng(0)
    for _ in range(200):
        engine.step()
        observer.update({OUT: 0.6 + rng.normal(0, 0.2)})
    # the model would be at 0; the filter weighs its own noise against the measurement's
    assert engine.read([1])[0, 0] == pytest.approx(
        engine.systems["test-lag"].state.numpy()[0, 0, 0]
    )
    assert 0.05 < engine.read([1])[0, 0] < 0.6
    fork = engine.fork()
    assert fork.read([1])[0, 0] == engine.read([1])[0, 0]


def test_residuals_are_white_on_a_right_model_and_biased_on_a_fault() -> None:
    def run(fault: float) -> tuple[np.ndarray, np.ndarray]:
        plant = plant_of(LAG, 1, noise=NOISE, scale=10.0, offset=5.0)
        engine = plant.plan.engine()
        observer = Observer(plant, engine)
        rng = np.random.default_rng(3)
        truth, scores, found = 0.0, [], []
        for k in range(1200):
            u = math.sin(k / 40)
            engine.write([0], [u])
            engine.step()
            share = 1 - math.exp(-0.05)
            truth += (u + fault - truth) * share + rng.normal(0, 0.1 * math.sqrt(0.05))
            observer.update({OUT: (truth + rng.normal(0, 0.2)) * 10 + 5})
            residual = observer.residuals()[OUT]
            assert residual.residual == residual.measured - residual.expected
            if k >= 200:
                scores.append(residual.score)
                found.append(residual.residual)
        return np.array(scores), np.array(found)

    scores, residuals = run(0.0)
    n = len(scores)
    assert abs(scores.mean()) < 3 / math.sqrt(n)
    assert scores.var() == pytest.approx(1.0, abs=4 * math.sqrt(2 / n))
    white = [np.corrcoef(scores[lag:], scores[:-lag])[0, 1] for lag in (1, 2, 3)]
    assert np.abs(white).max() < 4 / math.sqrt(n)
    assert residuals.std() == pytest.approx(2.3, abs=0.4)  # in the signal's unit: 10 times the bus

    scores, _ = run(1.0)
    assert scores.mean() > 10 / math.sqrt(n)


def test_an_outlier_is_counted_and_corrects_nothing() -> None:
    plant = plant_of(LAG, 1, noise=NOISE)
    engine = plant.plan.engine()
    observer = Observer(plant, engine)
    for k in range(40):
        engine.step()
        observer.update({OUT: 0.01 * math.cos(k)})
    before = engine.read([1])[0, 0]
    engine.step()
    observer.update({OUT: 50.0})
    assert observer.residuals()[OUT].fate is Fate.OUTLIER
    assert observer.residuals()[OUT].residual == pytest.approx(50.0, abs=0.1)
    assert engine.read([1])[0, 0] == pytest.approx(before * math.exp(-0.05), rel=1e-12)
    assert observer.counts[Fate.OUTLIER] == 1


def test_a_filter_that_is_lost_starts_anew_after_its_patience() -> None:
    plant = plant_of(LAG, 1, noise=NOISE)
    engine = plant.plan.engine()
    observer = Observer(plant, engine, patience=2.0)
    for k in range(60):
        engine.step()
        observer.update({OUT: 50.0 + 0.1 * math.cos(k)})
    assert observer.counts[Fate.RELOCKED] >= 1
    assert observer.counts[Fate.OUTLIER] >= 39


def test_what_is_missing_bad_or_stale_is_skipped() -> None:
    plant = plant_of(LAG, 1, noise=NOISE)
    engine, alone = plant.plan.engine(), plant.plan.engine()
    observer = Observer(plant, engine)
    said: list[dict[str, float | Measured]] = [
        {},
        {OUT: Measured(0.4, good=False)},
        {OUT: Measured(0.4, fresh=False)},
        {OUT: math.nan},
        {"/elsewhere": 1.0},
    ]
    for each in said:
        engine.step()
        alone.step()
        observer.update(each)
        assert math.isnan(observer.residuals()[OUT].residual)
    assert engine.save().digest() == alone.save().digest()
    assert observer.counts == {Fate.MISSING: 2, Fate.BAD: 3}


def test_an_unchanged_value_is_compared_at_once_and_counts_again_after_a_while() -> None:
    plant = plant_of(LAG, 1, noise=NOISE)
    engine = plant.plan.engine()
    observer = Observer(plant, engine)
    fates = []
    for _ in range(41):
        engine.step()
        observer.update({OUT: 0.3})
        fates.append(observer.residuals()[OUT].fate)
        assert math.isfinite(observer.residuals()[OUT].residual)
    assert [k for k, fate in enumerate(fates) if fate is Fate.USED] == [0, 20, 40]
    assert fates.count(Fate.HELD) == 38


def test_a_slow_group_is_followed_in_its_own_turns() -> None:
    """A 1 Hz model in 20 Hz frames: its covariance grows by steps that it did, and no others."""
    plant = plant_of(THERMAL, 1, noise={"process:winding_rise": 0.2, "process:frame_rise": 0.2})
    engine = plant.plan.engine()
    observer = Observer(plant, engine)
    wide = []
    for _ in range(41):
        engine.step()
        observer.update({})
        wide.append(observer.standard_deviations("test-thermal")[0, 1, 0])
    assert [k for k in range(1, 41) if wide[k] != wide[k - 1]] == [20, 40]


def test_a_kind_without_states_has_residuals_that_know_its_inputs_noise() -> None:
    plant = plant_of(POWER, 1, noise={"measurement:power": 2.0}, measured_inputs=True, scale=1e-3)
    engine = plant.plan.engine()
    observer = Observer(plant, engine)
    engine.write([0, 1], [0.02, 2e5])
    engine.step()
    observer.update({"/P0.power": 6.1})
    residual = observer.residuals()["/P0.power"]
    assert residual.expected == pytest.approx(6.0)
    assert residual.residual == pytest.approx(0.1)
    # by default 1 % of the first value, 0 here: at least 1 % of 0.1 in the unit of the bus
    spread = math.hypot(2.0, 1.5 * 2e5 * 1e-3, 1.5 * 0.02 * 1e-3) * 1e-3
    assert residual.sigma == pytest.approx(spread, rel=1e-6)


def test_a_tank_that_is_no_kind_follows_its_measured_level() -> None:
    plant = plant_of(LAG, 1, extra=(TankPlan,))
    engine = plant.plan.engine()
    observer = Observer(plant, engine)
    for k in range(60):
        engine.step()
        observer.update({"/T.level": 212.0 + 0.1 * math.sin(k)})  # [cm]
    assert engine.systems["tank"].volume[0] == pytest.approx(4.24, abs=0.01)
    residual = observer.residuals()["/T.level"]
    assert abs(residual.residual) < 1.0
    assert residual.sigma > 2.0  # 1 % of the first 2 m


def test_saved_and_loaded_it_goes_on_bit_for_bit() -> None:
    plant = plant_of(LAG, 2, noise=NOISE, extra=(TankPlan,))
    first, second = plant.plan.engine(), plant.plan.engine()
    one, two = Observer(plant, first), Observer(plant, second)

    def drive(observer: Observer, engine: object, begin: int, end: int) -> None:
        for k in range(begin, end):
            engine.step()  # type: ignore[attr-defined]
            observer.update({OUT: math.cos(k), "/P1.out": math.sin(k), "/T.level": 200.0 + k})

    drive(one, first, 0, 25)
    second.restore(first.save())
    two.load(one.save())
    assert np.array_equal(two.residuals().residual, one.residuals().residual)
    drive(one, first, 25, 50)
    drive(two, second, 25, 50)
    assert first.save().digest() == second.save().digest()
    assert np.array_equal(two.residuals().sigma, one.residuals().sigma)
    with pytest.raises(SnapshotError, match="no saved observer"):
        two.load({})
    with pytest.raises(SnapshotError, match="residuals"):
        Observer(plant_of(LAG, 5), plant_of(LAG, 5).plan.engine()).load(one.save())


def test_noise_that_cannot_be_is_a_problem_of_one_model_alone() -> None:
    plant = plant_of(LAG, 1, noise={"process:value": -1.0, "measurement:out": 0.0})
    engine = plant.plan.engine()
    observer = Observer(plant, engine)
    assert "param:" in observer.problems["/P0.m"]
    engine.step()
    observer.update({OUT: 0.001})
    assert observer.residuals()[OUT].fate is Fate.USED
    with pytest.raises(ModelError, match="no signal corrects nothing"):
        observer.standard_deviations("nothing")
