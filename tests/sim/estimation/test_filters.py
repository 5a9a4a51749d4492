"""The filter against Kalman's, and whether it knows how wrong it is."""

from __future__ import annotations

import math

import numpy as np
import pytest
import warp as wp
from scipy import stats

from stagetwin_sim._errors import ModelError
from stagetwin_sim.engine import Engine, Floats, Group
from stagetwin_sim.estimation import FilterBank
from tests.sim.engine.first_order import lag_plan
from tests.sim.estimation.small_plants import LAG, THERMAL, plant_of

PRESENT = 3


def bank_of(engine: Engine, name: str, **noise: Floats) -> tuple[Group, FilterBank]:
    group = engine.systems[name]
    assert isinstance(group, Group)
    count = len(group.plan.places)
    noise.setdefault("inputs", np.zeros((len(group.plan.kind.inputs), count)))
    return group, FilterBank(group, engine.context, **noise)


def test_on_a_linear_model_it_is_the_kalman_filter() -> None:
    tau, gain = np.array([0.5, 2.0]), np.array([1.0, 3.0])
    plant = plant_of(LAG, 2, parameters=np.array([tau, gain]))
    engine = plant.plan.engine()
    group, bank = bank_of(
        engine,
        "test-lag",
        process=np.array([[0.1, 0.3]]),
        outputs=np.array([[0.2, 0.5]]),
        first=np.array([[1.0, 2.0]]),
        inputs=np.array([[0.4, 0.0]]),
    )
    rng = np.random.default_rng(0)
    a = np.exp(-0.05 / tau)
    b = gain * (1 - a)
    x, p, q, r = np.zeros(2), np.array([1.0, 4.0]), np.array([0.01, 0.09]), np.array([0.04, 0.25])
    for k in range(60):
        u = np.sin(k / 5)
        engine.write([0, 2], [u, u])
        engine.step()
        z = rng.normal(0, 0.3, 2)
        bank.update(z[None, None], np.full((1, 1, 2), PRESENT, np.int32), 0.05, 1, 0.05)
        x, p = a * x + b * u, a * a * p + q * 0.05 + (b * [0.4, 0.0]) ** 2
        s = p + r
        np.testing.assert_allclose(bank.expected[0, 0], x, rtol=0, atol=1e-9)
        np.testing.assert_allclose(bank.deviation[0, 0], np.sqrt(s), rtol=1e-9)
        x, p = x + p / s * (z - x), p - p * p / s
        np.testing.assert_allclose(group.state.numpy()[0, 0], x, rtol=0, atol=1e-9)
        np.testing.assert_allclose(bank.standard_deviations()[0, 0], np.sqrt(p), rtol=1e-9)


def test_two_states_and_two_measurements_are_the_kalman_filter_too() -> None:
    plant = plant_of(THERMAL, 1)
    engine = plant.plan.engine()
    c1, c2, g, h = (p.value for p in THERMAL.parameters)
    a = np.array([[1 - g / c1, g / c1], [g / c2, 1 - (g + h) / c2]])
    q, r = np.diag([0.2, 0.1]) ** 2, np.diag([0.5, 0.3]) ** 2
    group, bank = bank_of(
        engine,
        "test-thermal",
        process=np.array([[0.2], [0.1]]),
        outputs=np.array([[0.5], [0.3]]),
        first=np.array([[3.0], [2.0]]),
    )
    x, p = np.zeros(2), np.diag([9.0, 4.0])
    rng = np.random.default_rng(1)
    engine.write([0, 1], [400.0, 293.15])
    for _ in range(40):
        engine.step(20)
        z = x + rng.normal(0, 0.5, 2) + 293.15
        bank.update(z[None, :, None], np.full((1, 2, 1), PRESENT, np.int32), 1.0, 1, 1.0)
        x, p = a @ x + [400.0 / c1, 0], a @ p @ a.T + q
        s = p + r
        k = p @ np.linalg.inv(s)
        x, p = x + k @ (z - 293.15 - x), p - k @ s @ k.T
        np.testing.assert_allclose(group.state.numpy()[0, :, 0], x, rtol=0, atol=1e-9)
        np.testing.assert_allclose(bank.covariance.numpy()[0, :, 0], p.ravel(), rtol=0, atol=1e-9)


def test_a_kind_that_draws_widens_its_own_covariance() -> None:
    engine = lag_plan([0.5], noise=0.2).engine()
    _, bank = bank_of(
        engine,
        "lag",
        process=np.zeros((1, 1)),
        outputs=np.array([[0.1], [np.nan]]),
        first=np.array([[1.0]]),
    )
    engine.step(7)
    bank.update(np.zeros((1, 2, 1)), np.zeros((1, 2, 1), np.int32), 0.05, 7, 0.35)
    p = 1.0
    for _ in range(7):
        p = p * np.exp(-0.1 / 0.5) + 0.2**2
    assert bank.standard_deviations()[0, 0, 0] == pytest.approx(np.sqrt(p), rel=1e-9)


def test_errors_and_innovations_are_as_large_as_the_filter_says() -> None:
    """NEES and NIS over 200 seeds, within the chi-square bounds (Bar-Shalom 2001, section 5.4)."""
    runs, steps = 200, 60
    plant = plant_of(THERMAL, 1)
    engine = plant.plan.engine(runs)
    noise = {"process": np.array([[0.3], [0.2]]), "outputs": np.array([[0.5], [0.4]])}
    first = np.array([[2.0], [1.0]])
    group, bank = bank_of(engine, "test-thermal", first=first, **noise)
    c1, c2, g, h = (p.value for p in THERMAL.parameters)
    a = np.array([[1 - g / c1, g / c1], [g / c2, 1 - (g + h) / c2]])
    rng = np.random.default_rng(7)
    truth = rng.normal(0, 1, (runs, 2)) * first[:, 0]
    engine.write([0, 1], [300.0, 0.0])
    nees, nis = [], []
    for _ in range(steps):
        engine.step(20)
        truth = truth @ a.T + [300.0 / c1, 0] + rng.normal(0, 1, (runs, 2)) * noise["process"][:, 0]
        z = truth + rng.normal(0, 1, (runs, 2)) * noise["outputs"][:, 0]
        bank.update(z[:, :, None], np.full((runs, 2, 1), PRESENT, np.int32), 1.0, 1, 1.0)
        error = group.state.numpy()[:, :, 0] - truth
        p = bank.covariance.numpy()[:, :, 0].reshape(runs, 2, 2)
        nees.append(np.einsum("ri,rij,rj->r", error, np.linalg.inv(p), error).mean())
        score = (z - bank.expected[:, :, 0]) / bank.deviation[:, :, 0]
        nis.append((score**2).mean())
    low, high = stats.chi2.ppf([0.0005, 0.9995], 2 * runs) / runs
    assert np.mean((np.array(nees) > low) & (np.array(nees) < high)) >= 0.95
    assert np.mean(nees) == pytest.approx(2.0, rel=0.05)
    assert np.mean(nis) == pytest.approx(1.0, rel=0.05)


def test_a_batch_of_one_equals_a_batch_of_many() -> None:
    def run(taus: list[float]) -> Floats:
        plant = plant_of(LAG, len(taus), parameters=np.array([taus, [1.0] * len(taus)]))
        engine = plant.plan.engine()
        shape = (1, len(taus))
        group, bank = bank_of(
            engine,
            "test-lag",
            process=np.full(shape, 0.1),
            outputs=np.full(shape, 0.2),
            first=np.full(shape, 1.0),
        )
        for k in range(20):
            engine.step()
            z = np.full((1, 1, len(taus)), np.cos(k))
            bank.update(z, np.full(z.shape, PRESENT, np.int32), 0.05, 1, 0.05)
        state: Floats = group.state.numpy()[0, 0]
        return state

    assert run([0.5])[0] == run([0.5, 1.0, 3.0])[0]


def test_impossible_noise_names_the_model() -> None:
    engine = plant_of(LAG, 1).plan.engine()
    one = np.ones((1, 1))
    with pytest.raises(ModelError, match=r"/P0\.m: param:process:value must not be negative"):
        bank_of(engine, "test-lag", process=-one, outputs=one, first=one)
    with pytest.raises(ModelError, match=r"/P0\.m: param:measurement:out must be positive"):
        bank_of(engine, "test-lag", process=one, outputs=0 * one, first=one)


@pytest.mark.gpu
@pytest.mark.skipif(not wp.is_cuda_available(), reason="no CUDA device")
def test_cuda_filters_as_the_cpu_does() -> None:
    def run(device: str) -> Floats:
        engine = plant_of(THERMAL, 3).plan.engine(device=device)
        shape = (2, 3)
        group, bank = bank_of(
            engine,
            "test-thermal",
            process=np.full(shape, 0.2),
            outputs=np.full(shape, 0.5),
            first=np.full(shape, 2.0),
        )
        for k in range(40):
            engine.step(20)
            z = np.full((1, 2, 3), 293.15 + math.cos(k))
            bank.update(z, np.full(z.shape, PRESENT, np.int32), 1.0, 1, 1.0)
        state: Floats = group.save()["state"]
        return state

    np.testing.assert_allclose(run("cuda:0"), run("cpu"), rtol=1e-10, atol=1e-10)
