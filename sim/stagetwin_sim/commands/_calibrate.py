"""What `stagetwin calibrate` takes; what it does is imported when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["calibrate"]


def calibrate(
    stage: Annotated[
        Path,
        typer.Argument(metavar="STAGE", help="Root layer of the plant.", show_default=False),
    ],
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="PRIM.NAME of a model, or a kind for all of it.",
            show_default=False,
        ),
    ],
    data: Annotated[
        Path,
        typer.Option("--data", metavar="FILE", help="Recorded CSV or Parquet.", show_default=False),
    ],
    free: Annotated[
        str,
        typer.Option(help="Parameters to fit, with commas; all by default.", show_default=False),
    ] = "",
    column: Annotated[
        list[str],
        typer.Option(
            "--column",
            metavar="PORT=COLUMN",
            help="Column of a port, in its signal's unit; {prim} is the prim's name. By default "
            "the one named as the port's signal.",
        ),
    ] = [],  # noqa: B006 - typer reads the default and never changes it
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Layer to write the parameters to.", show_default=False),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Make that layer a sublayer of the plant.")
    ] = False,
    author: Annotated[
        str, typer.Option(help="Who fits; the user of this process by default.", show_default=False)
    ] = "",
    version: Annotated[str, typer.Option(help="Version of the set of parameters.")] = "1",
    robust: Annotated[
        float,
        typer.Option(help="Errors beyond so many standard deviations count less; 0: never.", min=0),
    ] = 0.0,
    starts: Annotated[int, typer.Option(help="First guesses to start from.", min=1)] = 4,
    step: Annotated[
        float, typer.Option(help="Time between rows \\[s]; 0: the recording's own.", min=0)
    ] = 0.0,
    begin: Annotated[float, typer.Option(help="Leave out what is before \\[s].", min=0)] = 0.0,
    end: Annotated[
        float, typer.Option(help="Leave out what is after \\[s]; 0: nothing.", min=0)
    ] = 0.0,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the fit (png, svg, pdf).", show_default=False)
    ] = None,
    time_column: Annotated[
        str, typer.Option("--time-column", help="Column that tells the time.", show_default=False)
    ] = "",
    sidecar: Annotated[
        list[Path], typer.Option("--sidecar", help="Layer with bindings for the stage.")
    ] = [],  # noqa: B006
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fit parameters of models to what their machines did, with intervals and what is not known."""
    from stagetwin_sim.calibration._command import CalibrationRequest, run_calibration

    run_calibration(
        CalibrationRequest(
            stage=stage,
            model=model,
            data=data,
            free=tuple(name for name in free.split(",") if name),
            columns=tuple(column),
            out=out,
            apply=apply,
            author=author,
            version=version,
            robust=robust,
            starts=starts,
            step=step,
            begin=begin,
            end=end,
            picture=picture,
            time_column=time_column,
            sidecars=tuple(sidecar),
            json=json_,
        )
    )
