"""`stagetwin train`: a policy for a task, with a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["train"]


def train(
    task: Annotated[
        str,
        typer.Argument(metavar="TASK", help="Name of the environment.", show_default=False),
    ],
    worlds: Annotated[
        int | None, typer.Option(help="Stepped together.", min=1, show_default=False)
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(help="Of collecting and learning, in all.", min=1, show_default=False),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of worlds and torch.", show_default=False)
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda:0.", show_default=False)] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder of the run.", show_default=False),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="CHECKPOINT", help="Go on from here.", show_default=False),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Settings, as TOML.", show_default=False),
    ] = None,
    compare: Annotated[bool, typer.Option(help="Evaluate the baselines as well.")] = True,
) -> None:
    """Train a policy for a task, evaluate it, and write a folder with a report and a bundle.

    Ctrl-C ends it; the newest checkpoint stays.
    """
    from stagetwin_sim.training._command import run_training

    over: dict[str, Any] = {
        name: value
        for name, value in {
            "worlds": worlds,
            "iterations": iterations,
            "seed": seed,
            "device": device,
        }.items()
        if value is not None
    }
    run_training(task, over, out=out, resume=resume, file=config, compare=compare)
