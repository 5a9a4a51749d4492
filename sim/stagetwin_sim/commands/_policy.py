"""`stagetwin policy`: keys, signatures, what is in a bundle, and gaps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stagetwin.cli import errors_as_exit

__all__ = ["policy"]

policy = typer.Typer(help="Bundles of trained policies, and their advisers.", no_args_is_help=True)

BundleArgument = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="File of the policy.", show_default=False)
]
TrustOption = Annotated[
    list[Path],
    typer.Option("--trust", metavar="KEY", help="Public key, or a folder of them (*.pub.pem)."),
]


@policy.command()
@errors_as_exit
def keygen(
    name: Annotated[Path, typer.Argument(help="Of the two files, without their ends.")],
) -> None:
    """Make a pair of keys: NAME.key.pem (yours alone) and NAME.pub.pem."""
    from stagetwin_sim.policies._command import make_keys

    make_keys(name)


@policy.command()
@errors_as_exit
def sign(
    bundle: BundleArgument,
    key: Annotated[Path, typer.Option(help="Private key.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Another file.", show_default=False)
    ] = None,
) -> None:
    """Sign a bundle: its content is checked first, and what is shown is what you vouch for."""
    from stagetwin_sim.policies._command import sign_bundle

    sign_bundle(bundle, key, out)


@policy.command()
@errors_as_exit
def verify(bundle: BundleArgument, trust: TrustOption) -> None:
    """Check a bundle. Exit status: 0 signed by a trusted key and whole, 2 anything else."""
    from stagetwin_sim.policies._command import verify_bundle

    verify_bundle(bundle, trust)


@policy.command()
@errors_as_exit
def show(
    bundle: BundleArgument,
    trust: TrustOption = [],  # noqa: B006 - typer reads it
    as_json: Annotated[bool, typer.Option("--json", help="Print the policy as JSON.")] = False,
) -> None:
    """Show what a bundle says, whoever signed it."""
    from stagetwin_sim.policies._command import show_bundle

    show_bundle(bundle, trust, as_json=as_json)


@policy.command()
@errors_as_exit
def gap(
    recorded: Annotated[
        Path, typer.Argument(help="What was measured, as CSV; or a folder of both.")
    ],
    predicted: Annotated[
        Path | None, typer.Argument(help="What was expected, as CSV.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write gap.json, .md, .png.", show_default=False),
    ] = None,
    label: Annotated[str, typer.Option(help="What is compared with what.")] = "",
    time: Annotated[str, typer.Option(help="Column that tells the time \\[s].")] = "time",
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Compare a measured trajectory with a predicted one, signal by signal.

    A folder has `recorded.csv` and `predicted.csv`.
    """
    from stagetwin_sim.policies._command import report_gap

    report_gap(recorded, predicted, out, label=label, time=time, as_json=as_json)


@policy.command()
@errors_as_exit
def run(
    bundle: BundleArgument,
    trust: TrustOption,
    dead_man: Annotated[
        float, typer.Option("--dead-man", help="Stop after so long without a decision \\[s].")
    ] = 0.5,
) -> None:
    """Run a policy beside a vehicle: readings in, velocities out, one JSON object a line.

    Ends, with a stop, when its input ends. No safety function: the vehicle's own protective field
    and emergency stop are final.
    """
    from stagetwin_sim.policies._process import run_lines

    run_lines(bundle, trust, dead_man=dead_man)


@policy.command()
@errors_as_exit
def transfer(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the report.")],
    iterations: Annotated[int, typer.Option(help="Of each training.", min=1)] = 40,
    worlds: Annotated[int, typer.Option(help="Of each training.", min=1)] = 256,
    seeds: Annotated[int, typer.Option(help="Trainings of each variant.", min=1)] = 3,
    vehicles: Annotated[int, typer.Option(help="In newton, each another one.", min=1)] = 8,
    episodes: Annotated[int, typer.Option(help="Of each vehicle and training.", min=1)] = 10,
    hidden: Annotated[int, typer.Option(help="Seed of the hidden parameters.")] = 0,
) -> None:
    """Train with and without randomisation, and try each policy on vehicles in newton.

    The vehicles' parameters are hidden from training. Sim-to-sim: it says nothing about a real one.
    """
    from stagetwin_sim.training._transfer_command import run_transfer

    run_transfer(out, iterations, worlds, seeds, vehicles, episodes, hidden)
