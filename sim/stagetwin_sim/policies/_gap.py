"""Predicted against measured, signal by signal."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stagetwin_sim._errors import PolicyError

__all__ = ["BANDS", "Gap", "SignalGap", "Trajectory", "measure_gap", "read_trajectory"]

Floats = npt.NDArray[np.float64]
BANDS = (0.0, 0.2, 1.0, 5.0)
"""Edges of the bands that a spectrum is summed up in [Hz]; the last goes on to the highest."""
_LONGEST_DELAY = 2.0
"""How far trajectories are shifted against each other [s]."""


class Trajectory(NamedTuple):
    """Signals over time.

    Attributes:
        time: rising [s], shape (rows,).
        signals: by name, shape (rows,) each.
    """

    time: Floats
    signals: Mapping[str, Floats]


@dataclass(frozen=True, kw_only=True)
class SignalGap:
    """How far a prediction is from what was measured.

    Attributes:
        signal: name.
        rmse: root of the mean square of predicted - measured [unit].
        bias: mean of predicted - measured [unit].
        drift: slope of predicted - measured by least squares [unit/s].
        delay: how much later the measured signal is than the predicted one, where their
            correlation is greatest [s]; NaN where a signal does not vary.
        correlation: at that delay.
        spectrum: share of power, measured over predicted, in each of `BANDS`; NaN where the
            prediction has none.
        scale: standard deviation of the measured signal [unit], to judge the others by.
    """

    signal: str
    rmse: float
    bias: float
    drift: float
    delay: float
    correlation: float
    spectrum: tuple[float, ...]
    scale: float


@dataclass(frozen=True, kw_only=True)
class Gap:
    """The gaps of all signals that both trajectories have.

    Attributes:
        signals: in order.
        missing: names that only one of them has.
        seconds: that both cover [s].
        step: between two rows that were compared [s].
        time, recorded, predicted: what was compared.
        label: what is compared with what, such as `sim-to-sim`.
    """

    signals: tuple[SignalGap, ...]
    missing: tuple[str, ...]
    seconds: float
    step: float
    time: Floats
    recorded: Mapping[str, Floats]
    predicted: Mapping[str, Floats]
    label: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the figures; null where nobody knows one."""

        def known(value: float) -> float | None:
            return value if math.isfinite(value) else None

        return {
            "label": self.label,
            "seconds": self.seconds,
            "step": self.step,
            "bands": list(BANDS),
            "missing": list(self.missing),
            "signals": {
                one.signal: {
                    "rmse": known(one.rmse),
                    "bias": known(one.bias),
                    "drift": known(one.drift),
                    "delay": known(one.delay),
                    "correlation": known(one.correlation),
                    "spectrum": [known(part) for part in one.spectrum],
                    "scale": known(one.scale),
                }
                for one in self.signals
            },
        }


def read_trajectory(path: str | os.PathLike[str], time: str = "time") -> Trajectory:
    """Read a CSV with a header, and one column that tells the time [s].

    Raises:
        PolicyError: it cannot be read, or its time does not rise.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        names, values = (
            rows[0],
            np.array(
                [[float(cell) if cell else math.nan for cell in row] for row in rows[1:]],
                np.float64,
            ).reshape(len(rows) - 1, len(rows[0])),
        )
    except (OSError, ValueError, IndexError) as error:
        raise PolicyError(f"{path}: no table of numbers can be read ({error})") from None
    if time not in names:
        raise PolicyError(f"{path}: no column {time!r}; there are {', '.join(names)}")
    columns = {name: values[:, i] for i, name in enumerate(names)}
    return Trajectory(columns.pop(time), columns)


def measure_gap(recorded: Trajectory, predicted: Trajectory, *, label: str = "") -> Gap:
    """Compare trajectories over the time that both cover, on the coarser one's step.

    Args:
        recorded: what was measured.
        predicted: what was expected.
        label: what is compared with what.

    Raises:
        PolicyError: they have less than eight rows, or no time or no signal in common.
    """
    for what, one in (("recorded", recorded), ("predicted", predicted)):
        if len(one.time) < 8 or not (np.diff(one.time) > 0.0).all():
            raise PolicyError(f"{what}: at least 8 rows with a rising time, got {len(one.time)}")
    begin = max(recorded.time[0], predicted.time[0])
    end = min(recorded.time[-1], predicted.time[-1])
    step = float(max(np.median(np.diff(recorded.time)), np.median(np.diff(predicted.time))))
    count = math.floor((end - begin) / step + 1e-9) + 1
    if count < 8:
        raise PolicyError(
            f"trajectories have {max(end - begin, 0.0):.3g} s in common, at least 8 rows"
        )
    names = [name for name in recorded.signals if name in predicted.signals]
    if not names:
        raise PolicyError("trajectories have no signal in common")
    time = begin + step * np.arange(count)
    ours = {name: _at(recorded, name, time) for name in names}
    theirs = {name: _at(predicted, name, time) for name in names}
    return Gap(
        signals=tuple(_gap_of(name, ours[name], theirs[name], step) for name in names),
        missing=tuple(sorted({*recorded.signals} ^ {*predicted.signals})),
        seconds=float(time[-1] - time[0]),
        step=step,
        time=time - begin,
        recorded=ours,
        predicted=theirs,
        label=label,
    )


def _at(trajectory: Trajectory, name: str, time: Floats) -> Floats:
    """Return a signal at other times; what is unknown is left out between its neighbours."""
    values = np.asarray(trajectory.signals[name], np.float64)
    known = np.isfinite(values)
    if not known.any():
        return np.full(len(time), math.nan)
    found = values[known]
    if name.rpartition("/")[2] in ("theta", "heading", "yaw"):
        found = np.unwrap(found)
    return np.interp(time, trajectory.time[known], found)


def _gap_of(name: str, recorded: Floats, predicted: Floats, step: float) -> SignalGap:
    off = predicted - recorded
    seconds = step * np.arange(len(off))
    around = seconds - seconds.mean()
    delay, correlation = _delay(recorded, predicted, step)
    return SignalGap(
        signal=name,
        rmse=float(np.sqrt(np.mean(off * off))),
        bias=float(off.mean()),
        drift=float(around @ off / (around @ around)),
        delay=delay,
        correlation=correlation,
        spectrum=_spectrum(recorded, predicted, step),
        scale=float(recorded.std()),
    )


def _delay(recorded: Floats, predicted: Floats, step: float) -> tuple[float, float]:
    """Return where the correlation is greatest, to a part of a step by a parabola.

    Source: Knapp and Carter, The Generalized Correlation Method for Estimation of Time Delay, IEEE
    Transactions on Acoustics, Speech, and Signal Processing 24, 1976 (without weights).
    """
    most = min(round(_LONGEST_DELAY / step), len(recorded) // 2)
    lags = range(-most, most + 1)
    found = np.array([_correlation(recorded, predicted, lag) for lag in lags])
    if not np.isfinite(found).any():
        return math.nan, math.nan
    best = int(np.nanargmax(found))
    shift = 0.0
    if 0 < best < len(found) - 1:
        left, middle, right = found[best - 1 : best + 2]
        bend = left - 2.0 * middle + right
        shift = 0.5 * (left - right) / bend if bend < 0.0 else 0.0
    return float((best - most + shift) * step), float(found[best])


def _correlation(recorded: Floats, predicted: Floats, lag: int) -> float:
    """Return the correlation of the prediction with what was measured `lag` rows later."""
    count = len(recorded) - abs(lag)
    a = recorded[max(lag, 0) : max(lag, 0) + count]
    b = predicted[max(-lag, 0) : max(-lag, 0) + count]
    a, b = a - a.mean(), b - b.mean()
    size = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / size if size > 1e-12 else math.nan


def _spectrum(recorded: Floats, predicted: Floats, step: float) -> tuple[float, ...]:
    """Return power of what was measured over what was predicted, band by band (Hann window)."""
    window = np.hanning(len(recorded))
    frequency = np.fft.rfftfreq(len(recorded), step)

    def power(values: Floats) -> Floats:
        found: Floats = np.abs(np.fft.rfft((values - values.mean()) * window)) ** 2
        return found

    ours, theirs = power(recorded), power(predicted)
    floor = 1e-9 * max(float(theirs.sum()), 1e-12)
    ratios = []
    for low, high in zip(BANDS, (*BANDS[1:], math.inf), strict=True):
        band = (frequency >= low) & (frequency < high)
        below = float(theirs[band].sum())
        ratios.append(float(ours[band].sum()) / below if below > floor else math.nan)
    return tuple(ratios)


def pairs_of(gap: Gap) -> Sequence[tuple[SignalGap, Floats, Floats]]:
    """Return each signal's gap with what was compared."""
    return [(one, gap.recorded[one.signal], gap.predicted[one.signal]) for one in gap.signals]
