"""`stagetwin policy advise`, `approve`, `status` and `end`: policies over fleet control."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from stagetwin.cli import errors_as_exit, socket_of
from stagetwin_sim.commands._policy import policy

__all__ = ["policy"]

PlantArgument = Annotated[
    Path, typer.Argument(metavar="PLANT", help="Root layer of the plant.", show_default=False)
]
SessionArgument = Annotated[
    str, typer.Argument(metavar="SESSION", help="Id of the session, or its beginning or end.")
]
SocketOption = Annotated[
    Path | None,
    typer.Option(help="Control socket; the plant's own by default.", show_default=False),
]
ReasonOption = Annotated[str, typer.Option(help="Why, for the record.")]


class _Stage(StrEnum):
    SHADOW = "shadow"
    ADVISORY = "advisory"
    LOOP = "loop"


@policy.command()
@errors_as_exit
def advise(
    plant: PlantArgument,
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="File of the policy.")],
    envelope: Annotated[
        Path,
        typer.Option(help="What it reads and may command, as TOML.", show_default=False),
    ],
    trust: Annotated[
        list[Path],
        typer.Option(metavar="KEY", help="Public key, or a folder of them, of bundles."),
    ],
    stage: Annotated[_Stage, typer.Option(help="The most that it may do.")] = _Stage.SHADOW,
    author: Annotated[
        Path | None,
        typer.Option(
            metavar="KEY", help="Your public key: it may not approve.", show_default=False
        ),
    ] = None,
    approver: Annotated[
        list[Path],
        typer.Option(metavar="KEY", help="Public key, or a folder of them, of who may approve."),
    ] = [],  # noqa: B006 - typer reads it
    first: Annotated[
        int, typer.Option(help="Sound decisions at one stage before the next.", min=1)
    ] = 10,
    record: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Append all that happens to it.", show_default=False),
    ] = None,
    socket: SocketOption = None,
) -> None:
    """Let a policy advise a running plant; ends when it is told to.

    It begins as a shadow, which only records. An adviser shows what it would command, for a person
    to do or not. A loop gives commands by itself, within its envelope, once somebody else has
    approved it. No safety function.
    """
    from stagetwin_sim.policies._advise_command import advise_plant
    from stagetwin_sim.policies._advisor import Stage

    advise_plant(
        bundle,
        socket_of(plant, socket),
        envelope,
        trust,
        highest=Stage(stage),
        author=author,
        approvers=approver,
        first=first,
        record=record,
    )


@policy.command()
@errors_as_exit
def approve(
    plant: PlantArgument,
    session: SessionArgument,
    key: Annotated[Path, typer.Option(help="Your private key.", show_default=False)],
    bundle: Annotated[
        Path | None,
        typer.Option(help="The bundle as you have it: refuse another.", show_default=False),
    ] = None,
    reason: ReasonOption = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    socket: SocketOption = None,
) -> None:
    """Let somebody else's adviser close its loop, within the envelope that is shown."""
    from stagetwin_sim.policies._advise_command import approve_session

    approve_session(socket_of(plant, socket), session, key, reason=reason, bundle=bundle, yes=yes)


@policy.command()
@errors_as_exit
def status(
    plant: PlantArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON lines.")] = False,
    socket: SocketOption = None,
) -> None:
    """Show advisers of a running plant, what they would command, and loops of the past."""
    from stagetwin_sim.policies._advise_command import show_sessions

    show_sessions(socket_of(plant, socket), as_json=as_json)


@policy.command()
@errors_as_exit
def end(
    plant: PlantArgument,
    session: SessionArgument,
    reason: ReasonOption = "",
    socket: SocketOption = None,
) -> None:
    """End a loop; its adviser goes on advising."""
    from stagetwin_sim.policies._advise_command import end_loop

    end_loop(socket_of(plant, socket), session, reason=reason)
