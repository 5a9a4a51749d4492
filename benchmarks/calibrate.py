"""Calibration: assets fitted per second.

The same two-node thermal model of motors, the same made-up telemetry, the same tolerance, first
guess, bounds and unknown first temperatures for all. `ours` is `fit`: parameters, intervals, noise
and identifiability of all assets at once. `scipy` is `scipy.optimize.least_squares` for each asset
with the model as a Python loop; `scipy_warp` is the same with the model as a compiled Warp kernel.
Both give parameters alone. `multistart` begins from four first guesses, ours with 20 iterations of
Adam on the tape first. The fitted parameters are compared before any time is told.

    python -m benchmarks.calibrate [--assets N] [--rows N] [--rounds N]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import warp as wp  # noqa: TID253
from scipy.optimize import least_squares

from benchmarks._report import Case, paired, report
from stagetwin_sim.calibration import Telemetry, fit, simulate
from stagetwin_sim.engine import Floats, Kind
from stagetwin_sim.process import MOTOR_THERMAL

FREE = ("winding_capacity", "frame_capacity", "winding_conductance", "frame_conductance")
FIRST = ("winding_temperature", "frame_temperature")
NAMES = [p.name for p in MOTOR_THERMAL.parameters]
ROWS_OF = [NAMES.index(name) for name in FREE]
BOUNDS: dict[str, tuple[float, float]] = dict(
    zip(FREE, [(500.0, 50e3), (5e3, 500e3), (0.5, 200.0), (0.5, 200.0)], strict=True)
)
DT, NOISE, TOLERANCE = 60.0, 0.3, 1e-8
PEERS = 8
"""Assets that the peers fit: each takes the same time."""


def made_up(kind: Kind, count: int, rows: int) -> tuple[Telemetry, Floats]:
    """Return telemetry of motors that differ, and their parameters, (parameter_count, count)."""
    rng = np.random.default_rng(0)
    truth = np.repeat(np.array([[p.value] for p in kind.parameters]), count, axis=1)
    truth[ROWS_OF] *= np.exp(rng.normal(0, 0.3, (len(FREE), count)))
    inputs = np.repeat(np.array([[p.value] for p in kind.inputs]), count, axis=1)
    inputs = np.repeat(inputs[None], rows, axis=0)
    blocks = -(-rows // 60)
    inputs[:, 0] = np.repeat(rng.uniform(0, 900, (blocks, count)), 60, axis=0)[:rows]
    dry = Telemetry(dt=DT, inputs=inputs, outputs=np.full((rows, len(kind.outputs), count), np.nan))
    first = kind.first_states(truth, inputs[0] * 0 + inputs[0])
    outputs = np.full_like(dry.outputs, np.nan)
    shown = simulate(kind, dry, truth, first, substeps=1)[:, :2]
    outputs[:, :2] = shown + rng.normal(0, NOISE, shown.shape)
    return Telemetry(dt=DT, inputs=inputs, outputs=outputs), truth


def guess_of(telemetry: Telemetry) -> Floats:
    """Return the first guess of all parameters."""
    values = np.array([[p.value] for p in MOTOR_THERMAL.parameters])
    return np.repeat(values, telemetry.count, axis=1)


def begin_of(telemetry: Telemetry, i: int) -> Floats:
    """Return the first guess of a peer: parameters, then first temperatures."""
    guess = guess_of(telemetry)[:, i]
    return np.array([*guess[ROWS_OF], *telemetry.outputs[0, :2, i]])


def python_model(telemetry: Telemetry, i: int) -> Callable[[Floats], Floats]:
    """Return the errors of one asset, with the model as a plain loop over floats."""
    fed = telemetry.inputs[:, :, i].tolist()
    measured = telemetry.outputs[:, :2, i]
    known = dict(zip(NAMES, guess_of(telemetry)[:, i].tolist(), strict=True))
    fan, rated = known["fan_conductance"], known["rated_speed"]

    def errors(x: Floats) -> Floats:
        c1, c2, g, h, winding, frame = x.tolist()
        shown = []
        for row in fed:
            shown.append((winding, frame))
            ambient = row[5]
            outward = h + fan * min(abs(row[4]) / rated, 1.0)
            k1, k2 = 2 * c1 / DT, 2 * c2 / DT
            a, d = k1 + g, k2 + g + outward
            r1 = row[0] + k1 * (winding - ambient)
            r2 = row[1] + k2 * (frame - ambient)
            over = 1 / (a * d - g * g)
            winding = 2 * ((r1 * d + g * r2) * over + ambient) - winding
            frame = 2 * ((a * r2 + g * r1) * over + ambient) - frame
        return (np.array(shown) - measured).ravel()

    return errors


def warp_model(telemetry: Telemetry, i: int) -> Callable[[Floats], Floats]:
    """Return the errors of one asset, with the model as a compiled kernel that is launched once."""
    from benchmarks._calibrate_kernels import trace

    fed: wp.array[Any] = wp.array(telemetry.inputs[:, :, i], dtype=wp.float64, device="cpu")
    measured = telemetry.outputs[:, :2, i]
    shown = wp.zeros(measured.shape, dtype=wp.float64, device="cpu")
    start = np.concatenate([guess_of(telemetry)[:, i], np.zeros(2)])
    values: wp.array[Any] = wp.array(start, dtype=wp.float64, device="cpu")
    host: Any = values.numpy()
    seen: Any = shown.numpy()  # views on the CPU

    def errors(x: Floats) -> Floats:
        host[ROWS_OF] = x[:4]
        host[-2:] = x[4:]
        wp.launch(trace, dim=1, inputs=[values, fed, wp.float64(DT)], outputs=[shown], device="cpu")
        left: Floats = (seen - measured).ravel()
        return left

    return errors


def peer(
    telemetry: Telemetry, model: Callable[[Telemetry, int], Callable[[Floats], Floats]], starts: int
) -> Floats:
    """Fit the first assets one by one; returns parameters, shape (free, PEERS)."""
    low = [BOUNDS[name][0] for name in FREE] + [-np.inf] * 2
    high = [BOUNDS[name][1] for name in FREE] + [np.inf] * 2
    found = []
    for i in range(min(PEERS, telemetry.count)):
        errors, rng = model(telemetry, i), np.random.default_rng(i)
        best: Any = None
        for start in range(starts):
            x = begin_of(telemetry, i)
            if start:
                x[:4] = np.clip(x[:4] * np.exp(rng.normal(0, 0.5, 4)), low[:4], high[:4])
            one = least_squares(
                errors, x, bounds=(low, high), x_scale="jac",
                ftol=TOLERANCE, xtol=TOLERANCE, gtol=TOLERANCE,
            )  # fmt: skip
            best = one if best is None or one.cost < best.cost else best
        found.append(best.x[:4])
    return np.array(found).T


def ours(telemetry: Telemetry, starts: int, descent: int) -> Floats:
    """Fit all assets; returns parameters, shape (free, count)."""
    fitted = fit(
        MOTOR_THERMAL, telemetry, free=FREE, parameters=guess_of(telemetry), bounds=BOUNDS,
        fit_first=FIRST, starts=starts, descent=descent, tolerance=TOLERANCE, substeps=1,
    )  # fmt: skip
    return fitted.values[:4]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=int, default=200)
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    telemetry, truth = made_up(MOTOR_THERMAL, asked.assets, asked.rows)
    cases = []
    for name, starts, descent in (("one_start", 1, 0), ("multistart", 4, 20)):
        mine = ours(telemetry, starts, descent)
        for model in (python_model, warp_model):
            theirs = peer(telemetry, model, starts)
            # Ours weighs the two temperatures by the noise that it finds, which moves parameters by
            # less than a hundredth of their standard errors.
            np.testing.assert_allclose(mine[:, : theirs.shape[1]], theirs, rtol=1e-3)
        assert np.median(np.abs(mine / truth[ROWS_OF] - 1)) < 0.02
        peers = min(PEERS, asked.assets)

        def rate(run: Callable[[], Any], count: int) -> Callable[[], float]:
            def timed() -> float:
                began = time.process_time()
                run()
                return count / (time.process_time() - began)

            return timed

        figures = paired(
            asked.rounds,
            rate(lambda s=starts, d=descent: ours(telemetry, s, d), asked.assets),  # type: ignore[misc]
            rate(lambda s=starts: peer(telemetry, python_model, s), peers),  # type: ignore[misc]
            rate(lambda s=starts: peer(telemetry, warp_model, s), peers),  # type: ignore[misc]
        )
        cases.append(Case(name, figures[0], {"scipy": figures[1], "scipy_warp": figures[2]}))
    report("calibrate", "assets/s", False, cases)


if __name__ == "__main__":
    main()
