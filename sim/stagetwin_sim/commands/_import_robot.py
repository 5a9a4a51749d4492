"""`stagetwin import-robot`: a robot's file to a layer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["import_robot"]


def import_robot(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="URDF or MJCF file.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="LAYER", help="Layer to write.", show_default=False)
    ],
    prim: Annotated[
        str, typer.Option("--prim", help="Path of the robot's prim; by default /NAME.")
    ] = "",
    identity: Annotated[
        str, typer.Option("--id", help="Its twin:id; by default the prim's name.")
    ] = "",
    connection: Annotated[
        str, typer.Option("--connection", metavar="NAME", help="That its joints are measured over.")
    ] = "",
    address: Annotated[
        str,
        typer.Option("--address", help="Template of a joint's address; <joint>, <quantity>."),
    ] = "{twin:id}/joints/<joint>",
    field: Annotated[
        str, typer.Option("--field", help="Template of the field; <joint>, <quantity>.")
    ] = "<quantity>",
    floating: Annotated[
        bool | None,
        typer.Option(
            "--floating/--fixed", help="How its base is held; by default as the file says."
        ),
    ] = None,
    drive: Annotated[
        str,
        typer.Option(
            "--drive",
            metavar="STIFFNESS,DAMPING",
            help="Drives for joints without one [N.m/rad, N.m.s/rad; N/m, N.s/m].",
        ),
    ] = "",
    package: Annotated[
        list[Path],
        typer.Option("--package", metavar="DIR", help="Where package:// names are looked for."),
    ] = [],  # noqa: B006 - typer reads it
) -> None:
    """Write a robot from URDF or MJCF to a layer: bodies, joints, shapes, and joint telemetry."""
    from stagetwin_sim._quiet import begin_quietly

    begin_quietly()
    from stagetwin_sim import robots

    told = robots.Telemetry(connection=connection, address=address, field=field)
    robot = robots.import_robot(
        file,
        out,
        prim=prim,
        identity=identity,
        telemetry=told,
        floating=floating,
        drive=_gains(drive),
        packages=package,
    )
    said, aside = Console(), Console(stderr=True)
    for note in robot.notes:
        aside.print(Text.assemble(("note:", "yellow"), f" {note}"), soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("joint", "kind", "from", "to", "drive"):
        table.add_column(column, overflow="fold")
    for row in robots.joint_rows(robot):
        table.add_row(*(Text(cell) for cell in row))
    said.print(table)
    said.print(
        f"{robot.prim} of {out}: {len(robot.bodies)} bodies, {len(robot.joints)} joints, "
        f"{robot.shapes} shapes, {len(robot.signals)} signals",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _gains(text: str) -> tuple[float, float] | None:
    if not text:
        return None
    try:
        stiffness, damping = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not STIFFNESS,DAMPING", param_hint="--drive"
        ) from None
    return stiffness, damping
