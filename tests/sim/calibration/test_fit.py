"""Fits: gradients, intervals that cover, and what the data cannot tell."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import warp as wp

from stagetwin_sim._errors import CalibrationError
from stagetwin_sim.calibration import Prior, Telemetry, fit, simulate
from stagetwin_sim.calibration._free import Coordinates
from stagetwin_sim.calibration._problem import FitProblem
from stagetwin_sim.engine import Floats, Kind, Parameter, Port, StateVariable
from stagetwin_sim.process import MOTOR_THERMAL
from tests.sim.estimation.small_plants import LAG, THERMAL

NAMES = [p.name for p in THERMAL.parameters]
TRUTH = np.array([1300.0, 4000.0, 14.0, 12.0])


def runs(kind: Kind, truth: Floats, count: int, rows: int = 400, seed: int = 0) -> Telemetry:
    """Return what machines with these parameters do, without noise; losses jump now and then."""
    rng = np.random.default_rng(seed)
    inputs = np.repeat(
        np.array([[[port.value]] for port in kind.inputs]).reshape(1, -1, 1), rows, axis=0
    )
    inputs = np.repeat(inputs, count, axis=2)
    inputs[:, 0] = np.repeat(rng.uniform(0, 800, (-(-rows // 50), count)), 50, axis=0)[:rows]
    outputs = np.zeros((rows, len(kind.outputs), count))
    dry = Telemetry(dt=1.0, inputs=inputs, outputs=outputs)
    parameters = np.repeat(truth[:, None], count, axis=1)
    first = kind.first_states(parameters, inputs[0])
    return Telemetry(dt=1.0, inputs=inputs, outputs=simulate(kind, dry, parameters, first))


def noisy(clean: Telemetry, sigma: Floats, seed: int = 1) -> Telemetry:
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 1, clean.outputs.shape) * sigma[:, None]
    return Telemetry(dt=clean.dt, inputs=clean.inputs, outputs=clean.outputs + noise)


def problem(kind: Kind, telemetry: Telemetry, free: tuple[str, ...]) -> tuple[FitProblem, Floats]:
    count = telemetry.count
    guess = np.repeat(np.array([[p.value] for p in kind.parameters]), count, axis=1)
    first = kind.first_states(guess, telemetry.inputs[0])
    coordinates = Coordinates.of(kind, free, guess, first, True, {})
    prior = np.zeros((2, coordinates.count, count))
    prior[:, 0] = [[guess[0, 0] * 1.1], [1e-3]]
    made = FitProblem(kind, telemetry, coordinates, guess, first, prior, 1.5, 2, "cpu")
    made.weigh(np.full((len(kind.outputs), count), 0.5))
    names = [p.name for p in kind.parameters]
    values = np.zeros((coordinates.count, count))
    for k, name in enumerate(coordinates.names):
        if name in names:
            values[k] = guess[names.index(name)]
    return made, coordinates.bare(values)


@pytest.mark.parametrize(
    ("kind", "free"),
    [(THERMAL, ()), (MOTOR_THERMAL, ("winding_capacity", "winding_conductance"))],
)
def test_gradients_of_the_tape_are_those_of_finite_differences(
    kind: Kind, free: tuple[str, ...]
) -> None:
    """With a prior, a robust loss and substeps; the scores of least squares agree too."""
    truth = np.array([p.value for p in kind.parameters])
    clean = runs(kind, truth, 2, rows=60)
    telemetry = noisy(clean, np.full(len(kind.outputs), 1.0))
    telemetry.outputs[:, 2:] = math.nan  # two temperatures are measured
    made, z = problem(kind, telemetry, free)
    _, gradient = made.gradient(z[None])
    step = 1e-5
    for k in range(len(z)):
        ends = []
        for sign in (1, -1):
            moved = z.copy()
            moved[k] += sign * step
            ends.append(made.gradient(moved[None])[0][0])
        slope = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(gradient[0, k], slope, rtol=1e-5, atol=1e-4)
    score = made.look(z)[1].sum(axis=0)
    np.testing.assert_allclose(score[1:], gradient[0, 1:], rtol=1e-6, atol=1e-5)


def test_intervals_cover_the_truth_over_100_seeds() -> None:
    sigma = np.array([0.3, 0.5])
    clean = runs(THERMAL, TRUTH, 100)
    fitted = fit(THERMAL, noisy(clean, sigma))
    for k, name in enumerate(NAMES):
        row = fitted.row(name)
        covered = (fitted.low[row] <= TRUTH[k]) & (TRUTH[k] <= fitted.high[row])
        assert 0.90 <= covered.mean() <= 0.99, name
        error = fitted.values[row] - TRUTH[k]
        assert np.std(error) == pytest.approx(fitted.stderr[row].mean(), rel=0.3)
    np.testing.assert_allclose(fitted.noise.mean(axis=1), sigma, rtol=0.02)
    assert all(fitted.unidentifiable(i) == () for i in range(100))
    assert fitted.agreement.min() >= 0.5


def test_without_noise_the_truth_comes_back() -> None:
    fitted = fit(THERMAL, runs(THERMAL, TRUTH, 1), tolerance=1e-14)
    np.testing.assert_allclose(fitted.parameters[:, 0], TRUTH, rtol=1e-6)
    np.testing.assert_allclose(fitted.first[:, 0], 0.0, atol=1e-5)


def test_a_batch_of_one_equals_a_batch_of_many() -> None:
    many = noisy(runs(THERMAL, TRUTH, 3, rows=120), np.array([0.3, 0.5]))
    one = Telemetry(dt=1.0, inputs=many.inputs[:, :, 1:2], outputs=many.outputs[:, :, 1:2])
    wide = fit(THERMAL, many, starts=1)
    assert np.array_equal(fit(THERMAL, one, starts=1).values[:, 0], wide.values[:, 1])


@wp.func
def twin_advance(x: Any, u: Any, p: Any, w: Any, dt: wp.float64):
    y = x
    y[0] = x[0] + dt * (p[0] * p[1] * u[0] - x[0]) / p[2]
    return y


@wp.func
def twin_observe(x: Any, u: Any, p: Any):
    return wp.vector(x[0], length=1, dtype=wp.float64)


PLANTED = Kind(
    name="test-planted",
    doc="a lag of which only the product of two gains can be seen, and a parameter without effect",
    source="made to be unidentifiable",
    inputs=(Port("in", "1"),),
    outputs=(Port("out", "1"),),
    parameters=(
        Parameter("gain", "1", 1.0, 0.0),
        Parameter("factor", "1", 1.0, 0.0),
        Parameter("tau", "s", 20.0, 1.0, 1000.0),
        Parameter("idle", "1", 0.5, 0.0, 1.0),
    ),
    states=(StateVariable("value", "1"),),
    rate=1.0,
    advance=twin_advance,
    observe=twin_observe,
)


def test_what_the_data_cannot_tell_is_named_and_has_no_interval() -> None:
    telemetry = noisy(runs(PLANTED, np.array([2.0, 1.5, 30.0, 0.3]), 3), np.array([5.0]))
    fitted = fit(PLANTED, telemetry)
    for i in range(3):
        assert set(fitted.unidentifiable(i)) == {"gain", "factor", "idle"}
        report = fitted.report(i)
        assert report.rank == len(fitted.names) - 2
        assert report.condition > 1e10
        assert "do not determine gain, factor, idle" in str(report)
    for name in ("gain", "factor", "idle"):
        assert np.isinf(fitted.low[fitted.row(name)]).all()
        assert np.isinf(fitted.high[fitted.row(name)]).all()
        assert np.isinf(fitted.stderr[fitted.row(name)]).all()
    tau = fitted.row("tau")
    assert (fitted.low[tau] < 30).all()
    assert (fitted.high[tau] > 30).all()
    assert (fitted.high[tau] - fitted.low[tau] < 5).all()

    known = fit(PLANTED, telemetry, free=("gain", "tau"))
    assert known.unidentifiable(0) == ()
    # with the factor at its default, all of the product is the gain
    assert known.values[0, 0] == pytest.approx(3.0, rel=0.02)


def test_a_prior_determines_what_the_data_do_not() -> None:
    telemetry = noisy(runs(PLANTED, np.array([2.0, 1.5, 30.0, 0.3]), 1), np.array([5.0]))
    fitted = fit(
        PLANTED, telemetry, free=("gain", "factor", "tau"), priors={"factor": Prior(1.5, 0.05)}
    )
    assert fitted.unidentifiable(0) == ()
    gain = fitted.row("gain")
    assert fitted.low[gain, 0] < 2.0 < fitted.high[gain, 0]
    assert fitted.stderr[gain, 0] == pytest.approx(2.0 * 0.05 / 1.5, rel=0.2)
    assert any({a, b} == {"gain", "factor"} for a, b, _ in fitted.report(0).entangled())


def test_a_robust_loss_is_not_led_astray_by_outliers() -> None:
    clean = runs(THERMAL, TRUTH, 20)
    spoilt = noisy(clean, np.array([0.3, 0.5]))
    rng = np.random.default_rng(5)
    wrong = rng.random(spoilt.outputs.shape) < 0.05
    outputs = spoilt.outputs + wrong * 40.0
    bad = Telemetry(dt=1.0, inputs=spoilt.inputs, outputs=outputs)
    plain, robust = fit(THERMAL, bad), fit(THERMAL, bad, robust=1.345)

    def error(fitted: Any) -> float:
        return float(np.abs(fitted.parameters / TRUTH[:, None] - 1).mean())

    assert error(robust) < 0.2 * error(plain)
    row = robust.row("between")
    covered = (robust.low[row] <= TRUTH[2]) & (TRUTH[2] <= robust.high[row])
    assert covered.mean() >= 0.8


def test_missing_rows_and_unknown_first_states_are_no_harm() -> None:
    clean = runs(THERMAL, TRUTH, 1, rows=600).part(150, 600)  # begins warm
    telemetry = noisy(clean, np.array([0.3, 0.5]))
    telemetry.outputs[20:90, 0] = math.nan
    telemetry.outputs[::3, 1] = math.nan
    fitted = fit(THERMAL, telemetry)
    for k, name in enumerate(NAMES):
        row = fitted.row(name)
        assert abs(fitted.values[row, 0] - TRUTH[k]) < 4 * fitted.stderr[row, 0]
    assert fitted.first[0, 0] > 5.0


def test_errors_that_are_correlated_widen_intervals_and_are_split_into_two_noises() -> None:
    """A lag that is disturbed all the time: what the model knows nothing of."""
    rows, count, tau, gain = 1500, 100, 20.0, 2.0
    rng = np.random.default_rng(2)
    inputs = np.repeat(rng.uniform(-1, 1, (rows // 50, 1, count)), 50, axis=0)
    decay = math.exp(-1 / tau)
    state, outputs = np.zeros(count), np.zeros((rows, 1, count))
    for t in range(rows):
        outputs[t, 0] = state + rng.normal(0, 0.1, count)
        state = decay * state + (1 - decay) * gain * inputs[t, 0] + rng.normal(0, 0.05, count)
    fitted = fit(LAG, Telemetry(dt=1.0, inputs=inputs, outputs=outputs), substeps=1)
    assert fitted.correlated.all()
    for name, truth in (("tau", tau), ("gain", gain)):
        row = fitted.row(name)
        covered = (fitted.low[row] <= truth) & (truth <= fitted.high[row])
        assert 0.85 <= covered.mean() <= 0.99, name
    assert np.median(fitted.measurement_noise) == pytest.approx(0.1, rel=0.15)
    assert np.median(fitted.process_noise) == pytest.approx(0.05, rel=0.3)


def test_a_parameter_at_its_bound_is_said_to_be() -> None:
    telemetry = noisy(runs(THERMAL, TRUTH, 1), np.array([0.3, 0.5]))
    fitted = fit(THERMAL, telemetry, bounds={"between": (15.0, 40.0)})
    assert fitted.report(0).at_bound == ("between",)
    assert math.isinf(fitted.high[fitted.row("between"), 0])


def test_what_cannot_be_fitted_is_refused_with_names() -> None:
    telemetry = runs(THERMAL, TRUTH, 1, rows=50)
    with pytest.raises(CalibrationError, match="has no parameter mass; it has winding_capacity"):
        fit(THERMAL, telemetry, free=("mass",))
    with pytest.raises(CalibrationError, match=r"first guess of between must be in \[30, 40\] W/K"):
        fit(THERMAL, telemetry, bounds={"between": (30.0, 40.0)})
    with pytest.raises(CalibrationError, match="2 inputs \\(loss, ambient\\), the telemetry 1"):
        fit(THERMAL, Telemetry(dt=1.0, inputs=telemetry.inputs[:, :1], outputs=telemetry.outputs))
    gap = telemetry.inputs.copy()
    gap[3, 1] = math.nan
    with pytest.raises(CalibrationError, match="0: input ambient has a gap"):
        fit(THERMAL, Telemetry(dt=1.0, inputs=gap, outputs=telemetry.outputs))
    nothing = np.full_like(telemetry.outputs, math.nan)
    with pytest.raises(CalibrationError, match="nothing was measured"):
        fit(THERMAL, Telemetry(dt=1.0, inputs=telemetry.inputs, outputs=nothing))


@pytest.mark.gpu
@pytest.mark.skipif(not wp.is_cuda_available(), reason="no CUDA device")
def test_cuda_fits_what_the_cpu_fits() -> None:
    telemetry = noisy(runs(THERMAL, TRUTH, 8), np.array([0.3, 0.5]))
    here, there = (fit(THERMAL, telemetry, device=name) for name in ("cpu", "cuda:0"))
    np.testing.assert_allclose(there.parameters, here.parameters, rtol=1e-6)
    np.testing.assert_allclose(there.stderr, here.stderr, rtol=1e-4)
