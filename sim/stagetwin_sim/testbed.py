"""A made-up recording of the water-pump test bed, for demos and tests.

    python -m stagetwin_sim.testbed stages/factory/recordings/testbed_synthetic.csv

It has the columns of the SKAB benchmark, so that a real recording of it can take its place, and
none of its data: every number is computed here. One row a second; in the middle a valve closes part
of the way and opens again.
"""

from __future__ import annotations

import csv
import datetime
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stagetwin_sim._loads import wander

__all__ = ["COLUMNS", "make_rows", "write_recording"]

COLUMNS = (
    "datetime",
    "Accelerometer1RMS",
    "Accelerometer2RMS",
    "Current",
    "Pressure",
    "Temperature",
    "Thermocouple",
    "Voltage",
    "Volume Flow RateRMS",
    "anomaly",
    "changepoint",
)
_BEGIN = datetime.datetime(2026, 1, 1, 8, 0, 0)
_CLOSES, _OPENS = 0.45, 0.7
"""When the valve begins to close and to open again, as shares of the recording."""


def make_rows(rows: int = 600, seed: int = 7) -> list[list[str]]:
    """Return the rows as text.

    Args:
        rows: how many; one a second.
        seed: of the noise.

    Raises:
        ValueError: fewer than 10 rows.
    """
    if rows < 10:
        raise ValueError(f"rows must be at least 10, got {rows}")
    rng = np.random.default_rng(seed)
    closed = _valve(rows)
    slow, fast = _noise(rows, 20.0, rng), _noise(rows, 1.5, rng)
    flow = 122.0 - 52.0 * closed + 1.2 * slow[0] + 0.8 * fast[0]
    pressure = 0.05 + 0.9 * closed + 0.06 * fast[1]
    current = 1.32 + 0.55 * closed + 0.05 * slow[1] + 0.04 * fast[2]
    heat = np.cumsum(closed) / rows
    columns = (
        (0.0268 + 0.021 * closed + 0.0009 * fast[3], 6),
        (0.0402 + 0.034 * closed + 0.0012 * fast[4], 6),
        (current, 5),
        (pressure, 6),
        (79.2 + 14.0 * heat + 0.25 * slow[2], 4),
        (26.0 + 2.4 * heat + 0.05 * slow[3], 4),
        (231.0 + 3.0 * fast[5], 3),
        (flow, 3),
    )
    anomalous = closed > 0.02
    changes = np.zeros(rows, bool)
    changes[1:] = anomalous[1:] != anomalous[:-1]
    lines: list[list[str]] = []
    for i in range(rows):
        moment = _BEGIN + datetime.timedelta(seconds=i)
        numbers = [f"{values[i]:.{digits}f}" for values, digits in columns]
        labels = [f"{float(anomalous[i]):.1f}", f"{float(changes[i]):.1f}"]
        lines.append([str(moment), *numbers, *labels])
    return lines


def write_recording(path: Path, rows: int = 600, seed: int = 7) -> None:
    """Write a recording as CSV with semicolons, as SKAB's files are."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(make_rows(rows, seed))


def _valve(rows: int) -> npt.NDArray[np.float64]:
    """Return how far the valve is closed, 0 to 1, shape (rows,)."""
    at = np.arange(rows) / rows
    edge = 0.03
    closing = np.clip((at - _CLOSES) / edge, 0, 1)
    opening = np.clip((at - _OPENS) / edge, 0, 1)
    share: npt.NDArray[np.float64] = closing - opening
    return share * share * (3 - 2 * share)


def _noise(rows: int, time_constant: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return six standard Ornstein-Uhlenbeck processes, one row a second, shape (6, rows)."""
    state = rng.standard_normal(6)
    out = np.empty((6, rows))
    for i in range(rows):
        wander(state, 1.0, time_constant, 1.0, rng)
        out[:, i] = state
    return out


if __name__ == "__main__":
    write_recording(Path(sys.argv[1]))
