"""A fit: from a first guess to parameters with intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from stagetwin_sim._errors import CalibrationError
from stagetwin_sim.calibration._fitted import Fitted
from stagetwin_sim.calibration._free import INITIAL, Coordinates, Prior
from stagetwin_sim.calibration._problem import FitProblem
from stagetwin_sim.calibration._statistics import (
    Information,
    autocorrelation,
    information,
    output_noise,
    quantile,
    score_covariance,
)
from stagetwin_sim.calibration._telemetry import Telemetry
from stagetwin_sim.engine import Floats, Kind

__all__ = ["Progress", "fit", "simulate"]

Progress = Callable[[float, str], None]
"""Told what share of the work is done, and what is being done."""

_ROUNDS = 3
"""How often the noise is estimated again, at most."""


def fit(
    kind: Kind,
    telemetry: Telemetry,
    *,
    free: Sequence[str] = (),
    parameters: Floats | None = None,
    first: Floats | None = None,
    fit_first: bool | Sequence[str] = True,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    priors: Mapping[str, Prior] | None = None,
    noise: Mapping[str, float] | None = None,
    robust: float = 0.0,
    starts: int = 4,
    descent: int = 20,
    iterations: int = 60,
    tolerance: float = 1e-10,
    level: float = 0.95,
    substeps: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Fitted:
    """Fit parameters of all instances of a kind to what their machines did.

    From several starts, Adam goes down the gradient of a tape; from the better half of them least
    squares finish, and the best end counts. The model runs free: it is told the inputs and never
    the outputs.

    Args:
        kind: whose.
        telemetry: what the machines did.
        free: names of parameters; empty for all.
        parameters: first guess of all, shape (parameter_count, count); None is the kind's.
        first: first states, shape (state_count, count); None takes them from outputs of the same
            name, then from the kind.
        fit_first: whether first states are fitted too, or which; true is all but counters (states
            that are declared free of noise).
        bounds: narrower ones than the kind's, by name.
        priors: what is known of parameters beforehand, by name.
        noise: first guess of the noise of outputs, by name [unit]; it is estimated.
        robust: errors beyond so many standard deviations count less (Huber); 0 for never.
        starts: how many first guesses; the first is the one given.
        descent: iterations of Adam; 0, and for a kind that has no gradients, for none.
        iterations: of least squares, at most.
        tolerance: of the relative change of cost and coordinates.
        level: of the intervals.
        substeps: steps between two rows; None is by the kind's rate.
        seed: of the starts.
        device: Warp's name of it.
        progress: told how far it is.

    Raises:
        CalibrationError: the telemetry does not fit the kind, or a name, bound or guess is
            impossible.
    """
    telemetry.checked(kind)
    tell = progress or _silent
    guess = _guess(kind, telemetry, parameters)
    begin = _first_states(kind, telemetry, guess) if first is None else np.array(first, np.float64)
    coordinates = Coordinates.of(kind, free, guess, begin, fit_first, bounds or {})
    prior = _priors(coordinates, priors or {}, telemetry.count)
    steps = substeps if substeps is not None else max(1, round(telemetry.dt * kind.rate))
    problem = FitProblem(kind, telemetry, coordinates, guess, begin, prior, robust, steps, device)
    sigma = _first_noise(kind, telemetry, noise or {})
    problem.weigh(sigma)
    points = _starts(coordinates, guess, kind, starts, telemetry.count, seed)
    if descent and kind.differentiable:
        tell(0.05, "descending")
        points, losses = problem.descend(points, descent, 0.05)
        order = np.argsort(losses, axis=0)[: -(-len(points) // 2)]
        points = np.take_along_axis(points, order[:, None], axis=0)
    tell(0.5, "least squares")
    ends, costs, squares, done = problem.solve(points, iterations, tolerance)
    best = np.argmin(np.where(np.isfinite(costs), costs, math.inf), axis=0)
    lowest = np.take_along_axis(costs, best[None], axis=0)[0]
    if not np.isfinite(lowest).all():
        worst = telemetry.places[int(np.argmin(np.isfinite(lowest)))]
        raise CalibrationError(f"{worst}: the model left the finite numbers from every start")
    agreement = (costs <= lowest * 1.001 + 1e-9).mean(axis=0)
    z = np.take_along_axis(ends, best[None, None], axis=0)[0]
    left = np.take_along_axis(squares, best[None, None], axis=0)[0]
    known = np.isfinite(telemetry.outputs).sum(axis=0)
    for turn in range(_ROUNDS):
        tell(0.7 + 0.08 * turn, "noise")
        if robust > 0:
            shown, _, _ = problem.look(z)
            found = _robust_noise(telemetry.outputs - shown)
        else:
            found = _noise(left * sigma**2, known, coordinates.count)
        settled = _same_weights(sigma, found, known, exact=robust > 0 or bool(priors))
        left = left * (sigma / found) ** 2
        sigma = found
        problem.weigh(sigma)
        if settled.all():
            break
        ends, _, squares, more = problem.solve(z[None], iterations, tolerance, 1e-8, settled)
        z, left, done = ends[0], np.where(settled, left, squares[0]), done + more
    tell(0.9, "intervals")
    shown, score, normal = problem.look(z)
    return _fitted(
        kind, telemetry, coordinates, guess, begin, z, shown, score, normal, prior, sigma, level,
        robust, agreement, done,
    )  # fmt: skip


def simulate(
    kind: Kind,
    telemetry: Telemetry,
    parameters: Floats,
    first: Floats,
    substeps: int | None = None,
    device: str = "cpu",
) -> Floats:
    """Run models free over the inputs of telemetry.

    Args:
        kind: whose.
        telemetry: inputs; its outputs are not looked at.
        parameters: shape (parameter_count, count).
        first: first states, shape (state_count, count).
        substeps: steps between two rows; None is by the kind's rate.
        device: Warp's name of it.

    Returns:
        Outputs, shape (rows, output_count, count).
    """
    count = telemetry.count
    coordinates = Coordinates.of(kind, (), parameters, first, False, {})
    steps = substeps if substeps is not None else max(1, round(telemetry.dt * kind.rate))
    prior = np.zeros((2, coordinates.count, count))
    problem = FitProblem(kind, telemetry, coordinates, parameters, first, prior, 0.0, steps, device)
    shown, _, _ = problem.look(coordinates.bare(parameters))
    return shown


def _silent(share: float, what: str) -> None:
    del share, what


def _guess(kind: Kind, telemetry: Telemetry, parameters: Floats | None) -> Floats:
    shape = (len(kind.parameters), telemetry.count)
    if parameters is None:
        default = np.array([[p.value] for p in kind.parameters]).reshape(-1, 1)
        return np.ascontiguousarray(np.broadcast_to(default, shape))
    if parameters.shape != shape:
        raise CalibrationError(
            f"{kind.name}: parameters have shape {shape}, got {parameters.shape}"
        )
    return np.array(parameters, np.float64)


def _first_states(kind: Kind, telemetry: Telemetry, guess: Floats) -> Floats:
    first = kind.first_states(guess, telemetry.inputs[0])
    outputs = [port.name for port in kind.outputs]
    for j, state in enumerate(kind.states):
        if state.name in outputs:
            measured = telemetry.outputs[0, outputs.index(state.name)]
            first[j] = np.where(np.isfinite(measured), measured, first[j])
    return first


def _priors(coordinates: Coordinates, priors: Mapping[str, Prior], count: int) -> Floats:
    if unknown := sorted(set(priors) - set(coordinates.names)):
        raise CalibrationError(
            f"a prior of {', '.join(unknown)}, which is not free; free are "
            f"{', '.join(coordinates.names)}"
        )
    table: Floats = np.zeros((2, coordinates.count, count))
    for name, prior in priors.items():
        if not prior.sigma > 0:
            raise CalibrationError(f"the prior of {name} must have a positive sigma")
        row = coordinates.names.index(name)
        table[0, row], table[1, row] = prior.mean, 1 / prior.sigma
    return table


def _first_noise(kind: Kind, telemetry: Telemetry, noise: Mapping[str, float]) -> Floats:
    """Return a first guess of the noise, shape (output_count, count): what changes row by row."""
    steps = np.diff(telemetry.outputs, axis=0)
    known = np.isfinite(steps)
    squares = np.where(known, steps, 0.0) ** 2
    sigma: Floats = np.sqrt(squares.sum(axis=0) / np.maximum(2 * known.sum(axis=0), 1))
    sigma = np.maximum(sigma, 1e-9)
    for j, port in enumerate(kind.outputs):
        if port.name in noise:
            sigma[j] = noise[port.name]
    return sigma


def _starts(
    coordinates: Coordinates, guess: Floats, kind: Kind, starts: int, count: int, seed: int
) -> Floats:
    """Return where to begin, shape (starts, free, count)."""
    names = [p.name for p in kind.parameters]
    values = np.zeros((coordinates.count, count))
    for k, name in enumerate(coordinates.names):
        if not name.startswith(INITIAL):
            values[k] = guess[names.index(name)]
    z = coordinates.bare(values)
    points = np.repeat(z[None], max(starts, 1), axis=0)
    rng = np.random.default_rng(seed)
    points[1:] += rng.normal(0, 1, points[1:].shape)
    states = np.array([name.startswith(INITIAL) for name in coordinates.names])
    points[1:, states] = z[states]
    return points


def _noise(squares: Floats, known: npt.NDArray[np.intp], free: int) -> Floats:
    """Return the standard deviation of errors from their sums of squares and numbers."""
    total = np.maximum(known.sum(axis=0), 1)
    freedom = np.maximum(known * (1 - free / np.maximum(total, free + 1)), 1)
    sigma: Floats = np.maximum(np.sqrt(squares / freedom), 1e-12)
    return np.where(known > 0, sigma, 1.0)


def _robust_noise(errors: Floats) -> Floats:
    """Return the standard deviation of errors without outliers, by the median of their sizes."""
    known: npt.NDArray[np.bool_] = np.isfinite(errors).max(axis=0)
    sigma = np.ones(known.shape)
    for index in np.ndindex(known.shape):
        if known[index]:
            own = errors[(slice(None), *index)]
            sigma[index] = 1.4826 * np.nanmedian(np.abs(own - np.nanmedian(own)))
    result: Floats = np.maximum(sigma, 1e-12)
    return result


def _same_weights(
    before: Floats, after: Floats, known: npt.NDArray[np.intp], exact: bool
) -> npt.NDArray[np.bool_]:
    """Return whether outputs weigh against each other as before, within 3 %.

    Where priors or a robust loss set a scale (`exact`), a common factor counts too.
    """
    ratio = np.where(known > 0, after / before, np.nan)
    if not exact:
        with np.errstate(invalid="ignore"):
            ratio = ratio / np.where(known > 0, ratio, 0.0).max(axis=0)
    largest: Floats = np.nan_to_num(np.abs(ratio - 1)).max(axis=0)
    return largest < 0.03


def _fitted(
    kind: Kind,
    telemetry: Telemetry,
    coordinates: Coordinates,
    guess: Floats,
    begin: Floats,
    z: Floats,
    shown: Floats,
    score: Floats,
    normal: Floats,
    prior: Floats,
    noise: Floats,
    level: float,
    robust: float,
    agreement: Floats,
    iterations: int,
) -> Fitted:
    errors = telemetry.outputs - shown
    known = np.isfinite(errors).sum(axis=0)
    bound = 3 / np.sqrt(np.maximum(known, 1))
    correlated = (np.abs(np.nan_to_num(autocorrelation(errors))) > bound).any(axis=0)
    values = coordinates.natural(z)
    slopes = (coordinates.natural(z + 1e-5) - coordinates.natural(z - 1e-5)) / 2e-5
    told = np.zeros(z.shape, bool)
    deviation = np.zeros_like(z)
    found: list[Information] = []
    for i in range(telemetry.count):
        info = information(normal[:, :, i])
        covariance = info.inverse
        if correlated[i] or robust > 0:
            own = score[:, :, i]
            spread = score_covariance(own) if correlated[i] else own.T @ own
            spread = spread + np.diag((slopes[:, i] * prior[1, :, i]) ** 2)
            covariance = info.inverse @ spread @ info.inverse
        deviation[:, i] = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        told[:, i] = ~info.unidentifiable
        found.append(info)
    half = quantile(level, known.sum(axis=0) - float(coordinates.count)) * deviation
    ends = np.stack([coordinates.natural(z - half), coordinates.natural(z + half)])
    low = np.where(told, ends.min(axis=0), -math.inf)
    high = np.where(told, ends.max(axis=0), math.inf)
    stderr = np.where(told, np.abs(slopes) * deviation, math.inf)
    parameters, first = guess.copy(), begin.copy()
    names, states = [p.name for p in kind.parameters], [s.name for s in kind.states]
    for k, name in enumerate(coordinates.names):
        if name.startswith(INITIAL):
            j = states.index(name.removeprefix(INITIAL))
            for row in (values, low, high):
                row[k] += begin[j]
            first[j] = values[k]
        else:
            parameters[names.index(name)] = values[k]
    white, walking = output_noise(errors, telemetry.dt)
    return Fitted(
        kind=kind,
        places=tuple(telemetry.places),
        names=coordinates.names,
        units=coordinates.units,
        parameters=parameters,
        first=first,
        values=values,
        stderr=stderr,
        low=low,
        high=high,
        level=level,
        noise=noise,
        measurement_noise=white,
        process_noise=walking,
        correlated=correlated,
        agreement=agreement,
        outputs=shown,
        iterations=iterations,
        information=tuple(found),
        bounded=coordinates.at_bound(z),
        data=telemetry.digest(),
        rows=telemetry.rows,
        dt=telemetry.dt,
    )
