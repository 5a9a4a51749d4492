"""A model of the recorded water-pump test bed, and how its free run is judged.

    python -m tests.sim.calibration.pump_bed SKAB_FOLDER [PICTURE]

Two heat balances (the motor's body, the water in the loop), a flow that follows the water's
viscosity, and a current that follows the voltage. It is told the voltage and nothing else.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import warp as wp

from stagetwin_sim.calibration import Fitted, Recorded, Telemetry, fit, plot_fit, simulate
from stagetwin_sim.engine import Floats, Kind, Parameter, Port, StateVariable

SKAB = Path(__file__).resolve().parents[4] / "shared" / "data" / "skab"
ANOMALY_FREE = SKAB / "anomaly-free" / "anomaly-free.csv"
TRAINING = 0.6
"""Share of the recording that the parameters are fitted to; the rest is only compared."""


@wp.func
def bed_advance(x: Any, u: Any, p: Any, w: Any, dt: wp.float64):
    # x: body, water [Cel]; p: end and time constant of both
    y = x
    y[0] = x[0] + (p[0] - x[0]) * (wp.float64(1.0) - wp.exp(-dt / p[1]))
    y[1] = x[1] + (p[2] - x[1]) * (wp.float64(1.0) - wp.exp(-dt / p[3]))
    return y


@wp.func
def bed_observe(x: Any, u: Any, p: Any):
    warmer = x[1] - wp.float64(28.0)
    flow = p[4] + p[5] * warmer
    current = p[6] + p[7] * (u[0] - wp.float64(228.0))
    return wp.vector(x[0], x[1], flow, current, p[8])


COLUMNS = ("Temperature", "Thermocouple", "Volume Flow RateRMS", "Current", "Pressure")
BED = Kind(
    name="test-bed",
    doc="water-pump test bed",
    source="heat balances of two lumps; linear in water temperature and voltage otherwise",
    inputs=(Port("voltage", "V"),),
    outputs=(
        Port("body", "Cel"),
        Port("water", "Cel"),
        Port("flow", "l/min"),
        Port("current", "A"),
        Port("pressure", "bar"),
    ),
    parameters=(
        Parameter("body_end", "Cel", 88.0, 0.0, 200.0),
        Parameter("body_time", "s", 4000.0, 100.0, 1e5),
        Parameter("water_end", "Cel", 30.0, 0.0, 100.0),
        Parameter("water_time", "s", 4000.0, 100.0, 1e5),
        Parameter("flow", "l/min", 125.0, 1.0, 500.0),
        Parameter("flow_by_water", "l/(min.K)", 1.0, -20.0, 20.0),
        Parameter("current", "A", 2.4, 0.1, 20.0),
        Parameter("current_by_voltage", "A/V", 0.02, -1.0, 1.0),
        Parameter("pressure", "bar", 0.1, -5.0, 20.0),
    ),
    states=(StateVariable("body", "Cel", 90.0), StateVariable("water", "Cel", 27.0)),
    rate=1.0,
    advance=bed_advance,
    observe=bed_observe,
)


@dataclass(frozen=True)
class Judged:
    """Root mean square errors over the rows that were not fitted to, shape (output_count,).

    Attributes:
        fitted: to the rows before.
        free: of the model, told the voltage alone.
        persistence: of the last value before.
        steady: of the mean of the last minute before.
    """

    fitted: Fitted
    free: Floats
    persistence: Floats
    steady: Floats
    telemetry: Telemetry


def telemetry_of(path: Path) -> Telemetry:
    """Return a recording of the bed."""
    recorded = Recorded.open(path)
    _, bare, held = recorded.on_grid(1.0)
    return Telemetry(
        dt=1.0,
        inputs=held["Voltage"][:, None, None],
        outputs=np.stack([bare[name] for name in COLUMNS], axis=1)[:, :, None],
        places=("test bed",),
    )


def judge(telemetry: Telemetry) -> Judged:
    """Fit to the first part, run on freely over the rest, and hold the last value beside it."""
    cut = int(TRAINING * telemetry.rows)
    fitted = fit(BED, telemetry.part(0, cut))
    run = simulate(BED, telemetry, fitted.parameters, fitted.first)
    rest = telemetry.outputs[cut:, :, 0]
    before = [column[np.isfinite(column)] for column in telemetry.outputs[:cut, :, 0].T]
    last = np.array([column[-1] for column in before])
    minute = np.array([column[-60:].mean() for column in before])

    def rms(errors: Floats) -> Floats:
        squares: Floats = np.sqrt(np.nanmean(errors**2, axis=0))
        return squares

    errors = [rms(rest - shown) for shown in (run[cut:, :, 0], last, minute)]
    return Judged(fitted, *errors, telemetry.part(0, cut))


if __name__ == "__main__":
    found = judge(telemetry_of(Path(sys.argv[1]) / "anomaly-free" / "anomaly-free.csv"))
    for j, column in enumerate(COLUMNS):
        errors = found.free[j], found.persistence[j], found.steady[j]
        print(f"{column:<22} free %.4g  persistence %.4g  last minute %.4g" % errors)
    print(found.fitted.report(0))
    for k, name in enumerate(found.fitted.names):
        ends = found.fitted.low[k, 0], found.fitted.high[k, 0]
        print(f"{name:<20} {found.fitted.values[k, 0]:.5g}  {ends[0]:.5g} to {ends[1]:.5g}")
    print("correlated", bool(found.fitted.correlated[0]), "agreement", found.fitted.agreement)
    if len(sys.argv) > 2:
        plot_fit(found.fitted, found.telemetry, Path(sys.argv[2]))
