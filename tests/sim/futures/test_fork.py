"""Futures: the whole present copied, bit for bit, and what drives it where nothing is measured."""

from __future__ import annotations

import math

import numpy as np
import pytest
import warp as wp

from stagetwin_sim._errors import SnapshotError
from stagetwin_sim.futures import Branch, Forecast, Present, RuleTimer, Setting, fork
from tests.sim.futures.plants import (
    DESIRED,
    INFLOW,
    KNOWN,
    LEVEL,
    basin_plant,
    basin_present,
)

SET = "/Plant/V1.position"


def test_fork_and_run_equals_run_bit_for_bit() -> None:
    plant = basin_plant(rules=False, gusts=0.5)
    engine = plant.at(KNOWN).plan.engine()
    engine.step(17)
    present = Present.of(plant, engine, values=KNOWN, desired={DESIRED: 0.5})
    future = fork(present, 3)
    engine.step(100)
    future.step(100)
    own = len(plant.plan.columns)
    assert np.array_equal(future.engine.read()[:, :own], np.repeat(engine.read(), 3, axis=0))
    state = future.moment(2).snapshot
    assert state.digest() == engine.save().digest()


def test_the_present_is_left_alone() -> None:
    present = basin_present()
    before = present.digest()
    fork(present, [Branch(settings=(Setting(DESIRED, 0.0),))]).step(50)
    assert present.digest() == before


def test_a_present_is_written_down_and_read_back_whole(tmp_path) -> None:
    plant = basin_plant()
    present = basin_present(
        plant,
        rules={"/Plant/V1.drain": RuleTimer(3.2, False, 0.0, 1.5)},
        parameters="7",
        stage="abc",
        time=12.5,
        observer={"covariance": np.eye(2)},
    )
    present.save(tmp_path / "a.present")
    again = Present.load(tmp_path / "a.present", plant)
    assert again.digest() == present.digest()
    assert (again.rules, again.time) == (present.rules, 12.5)
    assert np.array_equal(again.observer["covariance"], np.eye(2))
    with pytest.raises(SnapshotError, match="the stage's is"):
        Present.load(tmp_path / "a.present", basin_plant(gusts=0.5))
    with pytest.raises(SnapshotError, match="no saved present"):
        Present.from_bytes(b"nonsense", plant)
    with pytest.raises(SnapshotError, match="No such file"):
        Present.load(tmp_path / "b.present", plant)


def test_what_was_measured_is_held_and_what_is_forecast_goes_as_it_says() -> None:
    branches = [
        Branch(),
        Branch(forecasts={INFLOW: Forecast.ramp(36.0, 72.0, over=10.0)}),
        Branch(forecasts={INFLOW: Forecast.sine(36.0, 18.0, period=8.0)}),
        Branch(forecasts={INFLOW: Forecast.profile([(0, 36.0), (2, 0.0), (4, 9.0)], stepped=True)}),
    ]
    future = fork(basin_present(), branches)
    seen = []
    future.run(5.0, every=1, sample=lambda: seen.append(future.signal("/Plant/T1.inflow")))
    flows = np.array(seen)
    at = np.arange(100) * 0.05
    assert np.array_equal(flows[:, 0], np.full(100, 36.0))
    assert flows[:, 1] == pytest.approx(36.0 + 3.6 * at)
    assert flows[:, 2] == pytest.approx(36.0 + 18.0 * np.sin(2 * math.pi * at / 8.0))
    assert flows[:, 3] == pytest.approx(
        np.where(at < 2 - 1e-9, 36.0, np.where(at < 4 - 1e-9, 0, 9))
    )


def test_a_read_back_moves_to_its_set_point_at_the_rate_limit() -> None:
    future = fork(basin_present(), [Branch(settings=(Setting(DESIRED, 1.0, at=1.0),))])
    seen = []
    future.run(
        4.0, every=1, sample=lambda: seen.append(float(future.signal("/Plant/V1.opening")[0]))
    )
    at = np.arange(80) * 0.05
    expected = np.clip(0.5 + 0.2 * (at - 1.0 + 0.05), 0.5, 1.0)
    assert seen == pytest.approx(expected)


def test_without_a_rate_limit_it_settles_within_2_percent_after_its_settle_time() -> None:
    plant = basin_plant(valve={"rateLimit": math.inf, "settleTime": 4.0})
    future = fork(basin_present(plant), [Branch(settings=(Setting(DESIRED, 1.0),))])
    future.run(4.0)
    left = 1.0 - float(future.signal("/Plant/V1.opening")[0])
    assert left == pytest.approx(0.5 * math.exp(-4.0), rel=1e-9)


def test_a_rule_acts_once_its_timer_has_run_out_and_goes_on_from_the_present() -> None:
    rising = {INFLOW: Forecast.value(72.0)}
    for held, wait in ((None, 5.0), (4.0, 1.0)):
        rules = {"/Plant/V1.drain": RuleTimer(held=held)}
        plant = basin_plant()
        values = {**KNOWN, LEVEL: 2.6}
        engine = plant.at(values).plan.engine()
        system = engine.systems["test-basin"]
        state = system.save()
        state["state"][0, 0, 0] = 2.6
        system.load(state)
        present = Present.of(plant, engine, values=values, desired={DESIRED: 0.5}, rules=rules)
        future = fork(present, [Branch(forecasts=rising)])
        future.run(wait - 0.1)
        assert future.signal(SET)[0] == 0.5
        future.run(0.2)
        assert future.signal(SET)[0] == 1.0


def test_a_rule_is_refused_while_a_permissive_is_not_true_and_asks_again() -> None:
    plant = basin_plant()
    values = {LEVEL: 2.6}
    ready = "/Plant/V1.twin:telemetry:ready:value"
    present = basin_present(plant, values={**values, ready: 0.0})
    late = {ready: Forecast.profile([(0, 0.0), (7.0, 1.0)], stepped=True)}
    level = {LEVEL: Forecast.value(2.6)}
    future = fork(present, [Branch(forecasts=level), Branch(forecasts={**level, **late})])
    future.run(9.9)
    assert future.signal(SET).tolist() == [0.5, 0.5]
    future.run(6.0)
    assert future.signal(SET).tolist() == [0.5, 1.0]


def test_a_rule_that_waits_for_a_person_does_not_act_by_itself() -> None:
    present = basin_present(basin_plant(approval="single"))
    branch = Branch(forecasts={LEVEL: Forecast.value(2.6)})
    alone = fork(present, [branch])
    assert alone.wiring.silent == {
        "/Plant/V1.drain": "/Plant/V1.position waits for the approval of a person"
    }
    agreed = fork(present, [branch], approve_rules=True)
    agreed.run(6.0)
    assert agreed.signal(SET)[0] == 1.0


@pytest.mark.parametrize("worlds", [1, 3])
def test_a_future_is_forked_like_a_present(worlds: int) -> None:
    branches = [
        Branch(forecasts={INFLOW: Forecast.sine(36.0, 18.0, period=8.0)}),
        Branch(forecasts={INFLOW: Forecast.ramp(36.0, 90.0, over=20.0)}),
    ]
    future = fork(basin_present(basin_plant(gusts=0.3)), branches)
    future.run(3.0)
    copy = future.fork(1, worlds)
    future.run(6.0)
    copy.run(6.0)
    expected = future.engine.save().world(1)
    assert copy.engine.save().world(worlds - 1).digest() == expected.digest()


def test_the_seed_decides_the_draws_of_a_world() -> None:
    present = basin_present(basin_plant(gusts=0.5))
    future = fork(present, [Branch(seed=1), Branch(seed=2), Branch(seed=1)])
    future.run(5.0)
    first, other, again = future.signal("/Plant/T1.level")
    assert first == again != other


@pytest.mark.gpu
@pytest.mark.skipif(not wp.is_cuda_available(), reason="no CUDA device")
def test_a_gpu_comes_to_the_same() -> None:
    branches = [
        Branch(forecasts={INFLOW: Forecast.sine(36.0, 18.0, period=8.0)}),
        Branch(settings=(Setting(DESIRED, 0.0, at=1.0),)),
    ]
    present = basin_present(basin_plant(gusts=0.3))
    here, there = (fork(present, branches, device=device) for device in ("cpu", "cuda:0"))
    for future in (here, there):
        future.step(50)
    assert there.engine.read() == pytest.approx(here.engine.read(), rel=1e-9, abs=1e-12)
