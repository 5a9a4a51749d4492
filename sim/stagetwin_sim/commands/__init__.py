"""Commands that this package adds to `stagetwin`: `calibrate` and `whatif`.

What they need is imported when they run, so that the command line's help stays quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stagetwin_sim.commands._calibrate import calibrate
from stagetwin_sim.commands._fleet import fleet
from stagetwin_sim.commands._import_robot import import_robot
from stagetwin_sim.commands._policy_advise import policy
from stagetwin_sim.commands._train import train

__all__ = ["calibrate", "fleet", "import_robot", "policy", "train", "whatif"]


def whatif(
    stage: Annotated[
        Path,
        typer.Argument(metavar="STAGE", help="Root layer of the plant.", show_default=False),
    ],
    scenario: Annotated[
        Path,
        typer.Argument(metavar="SCENARIO", help="What is asked, as TOML.", show_default=False),
    ],
    present: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Recorded state to start from; by default the models' first state.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Write result.json, plot.png and a stage for each future there.",
            show_default=False,
        ),
    ] = None,
    stages: Annotated[
        int, typer.Option("--stages", help="Futures that get a stage in --out.", min=0)
    ] = 4,
    device: Annotated[
        str, typer.Option("--device", help="Warp's name of the device: cpu, cuda:0.")
    ] = "cpu",
    sidecar: Annotated[
        list[Path],
        typer.Option("--sidecar", help="Layer with bindings for the stage; strongest first."),
    ] = [],  # noqa: B006 - typer reads it
    allow_missing: Annotated[
        bool,
        typer.Option("--allow-missing", help="Go on without models that do not run, or stop."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Run the futures of a scenario, and compare them.

    Needs no service: nothing real is read or moved. Ctrl-C ends it. Exit status: 0 all models ran,
    1 some did not, and the figures are without them.
    """
    from stagetwin_sim.commands._whatif import WhatIf, run_whatif

    run_whatif(
        WhatIf(
            stage=stage,
            scenario=scenario,
            present=present,
            out=out,
            stages=stages,
            device=device,
            sidecars=tuple(sidecar),
            allow_missing=allow_missing,
            as_json=as_json,
        )
    )
