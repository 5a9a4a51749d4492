"""What `stagetwin calibrate` does."""

from __future__ import annotations

import getpass
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from stagetwin.opening import open_stage
from stagetwin_sim._errors import CalibrationError
from stagetwin_sim._quiet import begin_quietly
from stagetwin_sim.calibration._fit import fit, simulate
from stagetwin_sim.calibration._fitted import Fitted
from stagetwin_sim.calibration._gather import Gathered, gather
from stagetwin_sim.calibration._parameter_set import apply_parameter_set, write_parameter_set
from stagetwin_sim.calibration._plot import plot_fit
from stagetwin_sim.calibration._recorded import Recorded
from stagetwin_sim.calibration._telemetry import Telemetry
from stagetwin_sim.engine import Floats
from stagetwin_sim.plant import read_plant

__all__ = ["CalibrationRequest", "run_calibration"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationRequest:
    """What the command line asked for; see `stagetwin calibrate --help`."""

    stage: Path
    model: str
    data: Path
    free: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    out: Path | None = None
    apply: bool = False
    author: str = ""
    version: str = "1"
    robust: float = 0.0
    starts: int = 4
    step: float = 0.0
    begin: float = 0.0
    end: float = 0.0
    picture: Path | None = None
    time_column: str = ""
    sidecars: tuple[Path, ...] = ()
    json: bool = False


def run_calibration(request: CalibrationRequest) -> None:
    """Fit, and say what came of it.

    Raises:
        CalibrationError: what was asked for cannot be done; names what is there.
    """
    if request.apply and request.out is None:
        raise CalibrationError("--apply needs --out: a set of parameters is a layer of its own")
    begin_quietly()  # Warp's greeting is no part of the answer
    console = Console()
    plant = read_plant(open_stage(request.stage, request.sidecars))
    recorded = Recorded.open(request.data, request.time_column)
    columns = dict(_pair(text) for text in request.columns)
    gathered = gather(plant, request.model, recorded, columns, request.step or None)
    telemetry = _part(gathered.telemetry, request)
    fitted = _fit(console, request, gathered, telemetry)
    before = simulate(gathered.kind, telemetry, gathered.parameters, fitted.first)
    if request.json:
        console.print_json(json.dumps(_plain(fitted, telemetry, before)))
    else:
        _show(console, gathered, fitted, telemetry, before)
    if request.picture is not None:
        plot_fit(fitted, telemetry, request.picture, before=before)
    if request.out is not None:
        models = {i.binding.path: i.binding for i in gathered.instances}
        made = write_parameter_set(
            request.out,
            fitted,
            models,
            author=request.author or getpass.getuser(),
            version=request.version,
            source=request.data.name,
        )
        said = (
            f"{request.out}: version {made.version}, {sum(map(len, made.values.values()))} values"
        )
        if request.apply:
            apply_parameter_set(request.stage, request.out)
            said += f", now a sublayer of {request.stage}; approve its guards (stagetwin approve)"
        if not request.json:
            console.print(said, highlight=False, markup=False, soft_wrap=True)


def _pair(text: str) -> tuple[str, str]:
    port, equals, name = text.partition("=")
    if not equals or not port or not name:
        raise CalibrationError(f"--column {text}: expected PORT=COLUMN")
    return port, name


def _part(telemetry: Telemetry, request: CalibrationRequest) -> Telemetry:
    first = int(request.begin / telemetry.dt)
    last = math.ceil(request.end / telemetry.dt) if request.end else telemetry.rows
    part = telemetry.part(first, min(last, telemetry.rows))
    if part.rows < 3:
        raise CalibrationError(f"{request.data}: {part.rows} rows are left, at least 3 are needed")
    return part


def _fit(
    console: Console, request: CalibrationRequest, gathered: Gathered, telemetry: Telemetry
) -> Fitted:
    bar = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TimeElapsedColumn(),
    )
    quiet = request.json or not console.is_terminal
    with Progress(*bar, console=console, disable=quiet, transient=True) as progress:
        task = progress.add_task("fitting", total=1.0)

        def tell(share: float, what: str) -> None:
            progress.update(task, completed=share, description=what)

        return fit(
            gathered.kind,
            telemetry,
            free=request.free,
            parameters=gathered.parameters,
            robust=request.robust,
            starts=request.starts,
            progress=tell,
        )


def _errors(telemetry: Telemetry, outputs: Floats) -> Floats:
    """Return root mean squares of errors, shape (output_count, count)."""
    squares = (telemetry.outputs - outputs) ** 2
    known = np.isfinite(squares)
    total = np.where(known, squares, 0.0).sum(axis=0)
    rms: Floats = np.sqrt(total / np.maximum(known.sum(axis=0), 1))
    return np.where(known.any(axis=0), rms, np.nan)


def _show(
    console: Console, gathered: Gathered, fitted: Fitted, telemetry: Telemetry, before: Floats
) -> None:
    console.print(
        f"{fitted.kind.name}: {len(fitted.places)} fitted, {fitted.rows} rows, "
        f"{fitted.dt:g} s apart"
    )
    table = Table(box=None, header_style="bold")
    for name in ("model", "parameter", "before", "fitted", "95 % interval", "unit"):
        table.add_column(name, justify="right" if name in ("before", "fitted") else "left")
    names = [p.name for p in fitted.kind.parameters]
    for i, place in enumerate(fitted.places):
        for k, name in enumerate(fitted.names):
            if name not in names:
                continue
            low, high = float(fitted.low[k, i]), float(fitted.high[k, i])
            told = math.isfinite(high - low)
            table.add_row(
                escape(place) if k == 0 else "",
                name,
                f"{gathered.parameters[names.index(name), i]:.5g}",
                f"{fitted.values[k, i]:.5g}",
                f"{low:.5g} to {high:.5g}" if told else "[yellow]not determined[/]",
                escape(fitted.units[k]),
            )
    console.print(table)
    errors = Table(box=None, header_style="bold")
    for name in ("model", "output", "error before", "fitted", "noise", "unit"):
        errors.add_column(name, justify="left" if name in ("model", "output", "unit") else "right")
    old, new = _errors(telemetry, before), _errors(telemetry, fitted.outputs)
    for i, place in enumerate(fitted.places):
        for j, port in enumerate(fitted.kind.outputs):
            if math.isfinite(new[j, i]):
                figures = (old[j, i], new[j, i], fitted.measurement_noise[j, i])
                errors.add_row(
                    escape(place), port.name, *[f"{v:.4g}" for v in figures], escape(port.unit)
                )
    console.print(errors)
    for i in range(len(fitted.places)):
        report = fitted.report(i)
        if report.unidentifiable or report.at_bound or report.entangled():
            console.print(str(report), style="yellow", markup=False, highlight=False)
        if fitted.correlated[i]:
            console.print(
                f"{fitted.places[i]}: errors are correlated in time: the model misses something, "
                "and intervals are wider for it",
                style="yellow",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )


def _plain(fitted: Fitted, telemetry: Telemetry, before: Floats) -> dict[str, Any]:
    old, new = _errors(telemetry, before), _errors(telemetry, fitted.outputs)

    def number(value: float) -> float | None:
        return float(value) if math.isfinite(value) else None

    models = []
    for i, place in enumerate(fitted.places):
        report = fitted.report(i)
        parameters = {
            name: {
                "value": number(fitted.values[k, i]),
                "stderr": number(fitted.stderr[k, i]),
                "low": number(fitted.low[k, i]),
                "high": number(fitted.high[k, i]),
                "unit": fitted.units[k],
            }
            for k, name in enumerate(fitted.names)
        }
        outputs = {
            port.name: {
                "error_before": number(old[j, i]),
                "error": number(new[j, i]),
                "measurement_noise": number(fitted.measurement_noise[j, i]),
                "process_noise": number(fitted.process_noise[j, i]),
                "unit": port.unit,
            }
            for j, port in enumerate(fitted.kind.outputs)
            if math.isfinite(new[j, i])
        }
        models.append(
            {
                "model": place,
                "parameters": parameters,
                "outputs": outputs,
                "unidentifiable": list(report.unidentifiable),
                "at_bound": list(report.at_bound),
                "rank": report.rank,
                "condition": number(report.condition),
                "correlated": bool(fitted.correlated[i]),
            }
        )
    return {"kind": fitted.kind.name, "rows": fitted.rows, "dt": fitted.dt, "models": models}
