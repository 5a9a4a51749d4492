"""What a fit is worth: covariance, intervals, and what the data cannot tell.

Sources: G. Seber, C. Wild, Nonlinear Regression, 1989, chapter 2 (covariance from the normal
equations) and section 6.4 (correlated errors); W. Newey, K. West, Econometrica 55 (1987) 703-708
(covariance of sums of correlated scores); D. Andrews, Econometrica 59 (1991) 817-858 (its bandwidth
from first-order autoregressions).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from stagetwin_sim.engine import Floats

__all__ = ["Information", "autocorrelation", "information", "output_noise", "score_covariance"]

WEAK = 2.0
"""Standard error of a coordinate beyond which the data say nothing: the whole of a range, or a
factor of 7 where there is but one bound."""


@dataclass(frozen=True, slots=True, eq=False)
class Information:
    """The Fisher information of one instance, in the coordinates of the fit.

    Attributes:
        eigenvalues: ascending, shape (free,): its profile.
        directions: columns are eigenvectors, shape (free, free).
        rank: how many directions the data determine.
        condition: largest over smallest eigenvalue; infinite where that is none.
        unidentifiable: which coordinates the data do not determine, shape (free,).
        inverse: of the directions that are determined, shape (free, free).
    """

    eigenvalues: Floats
    directions: Floats
    rank: int
    condition: float
    unidentifiable: npt.NDArray[np.bool_]
    inverse: Floats


def information(normal: Floats) -> Information:
    """Analyse normal equations, weighted by the noise, shape (free, free)."""
    eigenvalues, directions = np.linalg.eigh((normal + normal.T) / 2)
    top = max(float(eigenvalues[-1]), 0.0)
    # Sensitivities are differences: what is below their error is nothing.
    floor = max(1 / WEAK**2, 1e-15 * top)
    weak = eigenvalues <= floor
    shares = (directions[:, weak] ** 2).sum(axis=1)
    strong = directions[:, ~weak]
    inverse: Floats = (strong / np.maximum(eigenvalues[~weak], 1e-300)) @ strong.T
    unidentifiable = (shares > 0.01) | (np.sqrt(np.maximum(np.diag(inverse), 0)) > WEAK)
    lowest = float(eigenvalues[0])
    return Information(
        eigenvalues=np.maximum(eigenvalues, 0.0),
        directions=directions,
        rank=int((~weak).sum()),
        condition=top / lowest if lowest > 1e-15 * top and lowest > 0 else math.inf,
        unidentifiable=unidentifiable,
        inverse=inverse,
    )


def autocorrelation(errors: Floats, lag: int = 1) -> Floats:
    """Return the autocorrelation of errors, shape (rows, ...) to (...); NaN rows are left out."""
    known = np.isfinite(errors)
    bare = np.where(known, errors, 0.0)
    centred = np.where(known, bare - bare.sum(axis=0) / np.maximum(known.sum(axis=0), 1), 0.0)
    pairs = (known[lag:] & known[:-lag]).sum(axis=0)
    across = (centred[lag:] * centred[:-lag]).sum(axis=0) / np.maximum(pairs, 1)
    own = (centred**2).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    result: Floats = np.divide(across, own, out=np.zeros_like(own), where=own > 0)
    return result


def score_covariance(score: Floats) -> Floats:
    """Return the covariance of summed scores that may be correlated in time.

    Args:
        score: gradient of each row's loss, shape (rows, free).

    Returns:
        Shape (free, free).
    """
    rows = len(score)
    rho = np.clip(np.nan_to_num(autocorrelation(score)), -0.99, 0.99)
    alpha = 4 * rho**2 / ((1 - rho) ** 2 * (1 + rho) ** 2)
    lags = min(int(1.1447 * (float(alpha.max(initial=0.0)) * rows) ** (1 / 3)) + 1, rows // 3)
    total: Floats = score.T @ score
    for lag in range(1, lags + 1):
        across = score[lag:].T @ score[:-lag]
        total = total + (1 - lag / (lags + 1)) * (across + across.T)
    return total


def output_noise(errors: Floats, dt: float) -> tuple[Floats, Floats]:
    """Return measurement and process noise of outputs, by the autocovariance of their errors.

    What is white is the measurement; what decays from row to row is the model that walks away from
    the machine, taken as a first-order process: c1 = f s2, c2 = f2 s2 (R. Mehra, IEEE Trans. Autom.
    Control 15 (1970) 175-184, for a scalar state that is measured directly).

    Args:
        errors: shape (rows, ...), NaN where nothing was measured.
        dt: time between rows [s].

    Returns:
        Standard deviations [unit], and of what disturbs the outputs in a second [unit/sqrt(s)].
    """
    known = np.isfinite(errors)
    count = np.maximum(known.sum(axis=0), 1)
    bare = np.where(known, errors, 0.0)
    mean = bare.sum(axis=0) / count
    variance = np.where(known, (bare - mean) ** 2, 0.0).sum(axis=0) / count
    first, second = (autocorrelation(errors, lag) for lag in (1, 2))
    wanders = (first > 2 / np.sqrt(count)) & (second > 0)
    decay = np.minimum(np.divide(second, first, out=np.ones_like(first), where=wanders), 0.999)
    wandering = np.where(wanders, np.minimum(first * variance / decay, variance), 0.0)
    process: Floats = np.sqrt(wandering * (1 - decay**2) / dt)
    white: Floats = np.sqrt(np.maximum(variance - wandering, 1e-4 * variance))
    return white, process


def quantile(level: float, freedom: Floats) -> Floats:
    """Return two-sided quantiles of Student's distribution."""
    quantiles: Floats = stats.t.ppf(0.5 + level / 2, np.maximum(freedom, 1.0))
    return quantiles
