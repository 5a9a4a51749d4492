"""Commands that this package adds to `stagetwin`: `demo`, `devices`, `replay`, `virtual-fleet`.

What they need is imported when they run, so that the command line's help stays quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["demo", "devices", "replay", "virtual_fleet"]


def replay(
    recording: Annotated[
        Path, typer.Argument(metavar="FILE", help="Recorded CSV or Parquet.", show_default=False)
    ],
    stage: Annotated[
        Path, typer.Option("--stage", help="Root layer of the plant.", show_default=False)
    ],
    connection: Annotated[
        str, typer.Option("--connection", help="Publish as this connection.", show_default=False)
    ],
    topic: Annotated[
        str,
        typer.Option(
            "--topic",
            help="Address to publish to; {column} makes it one a column. By default the one that "
            "the stage's signals share.",
            show_default=False,
        ),
    ] = "",
    speed: Annotated[
        float, typer.Option(help="2 is twice as fast, 0 as fast as it can be taken.", min=0.0)
    ] = 1.0,
    rebase: Annotated[
        bool, typer.Option("--rebase", help="Send the time of playing as source time.")
    ] = False,
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end.")] = False,
    time_column: Annotated[
        str, typer.Option("--time-column", help="Column that tells the time.", show_default=False)
    ] = "",
    credentials: Annotated[
        Path | None,
        typer.Option(
            "--credentials",
            help="TOML file, or folder of them, with a credential that may publish.",
            show_default=False,
        ),
    ] = None,
    credential: Annotated[
        str,
        typer.Option(
            "--credential",
            help="Name of the credential to publish with; the connection's own by default.",
            show_default=False,
        ),
    ] = "",
    sidecar: Annotated[
        list[Path], typer.Option("--sidecar", help="Layer with bindings for the stage.")
    ] = [],
    endpoint: Annotated[
        list[str],
        typer.Option(
            "--endpoint", metavar="NAME=URI", help="Use this endpoint for a connection here."
        ),
    ] = [],
) -> None:
    """Publish a recording through the real broker of a connection, by its own time stamps.

    Never to a plant: the connection's realm must be replay or simulation.
    """
    from stagetwin_bridges.commands._replay import ReplayRequest, run_replay

    run_replay(
        ReplayRequest(
            recording=recording,
            stage=stage,
            connection=connection,
            topic=topic,
            speed=speed,
            rebase=rebase,
            loop=loop,
            time_column=time_column or None,
            credentials=credentials,
            credential=credential,
            sidecars=tuple(sidecar),
            endpoints=tuple(endpoint),
        )
    )


def demo(
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds",
            help="End after this long \\[s]; by default when you quit, or, where nobody can, when "
            "everything was shown.",
            show_default=False,
            min=1.0,
        ),
    ] = None,
    no_failure: Annotated[
        bool,
        typer.Option("--no-failure", help="Leave the broker and the machines alone."),
    ] = False,
    recording: Annotated[
        Path | None,
        typer.Option(
            "--recording",
            help="Recording of the water-pump test bed to play; a made-up one by default.",
            show_default=False,
        ),
    ] = None,
    rate: Annotated[
        float, typer.Option(help="Simulated samples of each signal per second [Hz].", min=0.2)
    ] = 5.0,
    broker: Annotated[
        str,
        typer.Option(help="mosquitto or nats; by default what is installed.", show_default=False),
    ] = "",
    faults: Annotated[
        Path | None,
        typer.Option(
            "--faults",
            metavar="FILE",
            help="TOML file with faults of machines and sensors, by time.",
            show_default=False,
        ),
    ] = None,
    plant: Annotated[
        str,
        typer.Option(
            "--plant",
            metavar="NAME",
            help="factory, or fleet: eight vehicles that speak VDA 5050.",
            show_default="factory",
        ),
    ] = "",
    stage: Annotated[
        Path | None,
        typer.Option(
            "--stage",
            help="Root layer of another plant, such as out/factory-5/factory.usda; all its "
            "machines are simulated, unless the recording has a column for each signal of its one "
            "replay topic. What it has no machine for is left out.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Bring a plant to life on this machine, command it, and show what it survives.

    Starts a broker of its own with generated passwords, the real service with commands allowed,
    simulated machines and, for the example plant, a recording. Then a machine obeys, one refuses,
    one lies, a gateway drops off, and the broker is killed; vehicles drive to stations, one is
    cancelled, one dies and comes back. Exit status 1 if anything of it comes
    out otherwise than it should. All connections lead to this broker, those of OPC UA to servers
    on free ports of this machine, whatever the stage says, so that no real device is reached.
    Nothing is left behind.
    """
    from stagetwin_bridges.commands._demo import DemoRequest, run_demo

    run_demo(
        DemoRequest(
            seconds=seconds,
            failure=not no_failure,
            recording=recording,
            rate=rate,
            broker=broker,
            plant=plant,
            stage=stage,
            faults=faults,
        )
    )


def devices(
    action: Annotated[
        str, typer.Argument(metavar="ACTION", help="list, misbehave or fault.", show_default=False)
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOCKET_OR_FOLDER | ASSET MODE | DEVICE KIND:AMOUNT]",
            help="Of list: a control socket, or a folder of them. Of misbehave: a device by id, "
            "name or prim path, and refuse, delay:SECONDS, drift, freeze, lie, offline, mute or "
            "none. Of fault: a device, or DEVICE.SIGNAL for a sensor, and a kind of fault with its "
            "amount, or none; then unit=UNIT, model=NAME, ramp=SECONDS, for=SECONDS as wanted; "
            "without a kind it lists what the device can have.",
            show_default=False,
        ),
    ] = None,
    place: Annotated[
        Path | None,
        typer.Option(
            "--devices",
            metavar="DIR",
            help="Folder with the control sockets of the devices, or one of them.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show the simulated devices of a demo, let one misbehave, or let a machine or sensor fail.

    stagetwin devices list DIR

    stagetwin devices misbehave line1-p101 delay:3 --devices DIR

    stagetwin devices fault line1-p101 wear:0.3 ramp=60 --devices DIR

    stagetwin devices fault line1-tk101.level_a drift:0.01 --devices DIR
    """
    from stagetwin_bridges.commands._devices import run_devices

    run_devices(action, words or [], place)


def virtual_fleet(
    stage: Annotated[
        Path,
        typer.Argument(metavar="STAGE", help="Root layer of the plant.", show_default=False),
    ],
    connection: Annotated[
        str,
        typer.Option(
            "--connection",
            help="Connect as vehicles of this connection; its realm must be simulation.",
            show_default=False,
        ),
    ],
    count: Annotated[
        int,
        typer.Option(
            "--count",
            help="How many vehicles; by default those that the stage's signals name.",
            show_default=False,
            min=0,
        ),
    ] = 0,
    vehicle: Annotated[
        list[str],
        typer.Option("--vehicle", metavar="MANUFACTURER/SERIAL", help="Be this vehicle."),
    ] = [],
    state: Annotated[
        float, typer.Option(help="Longest time between two states of a vehicle \\[s].", min=0.05)
    ] = 1.0,
    visualization: Annotated[
        float, typer.Option(help="Time between two visualizations \\[s]; 0 sends none.", min=0.0)
    ] = 0.2,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds",
            help="End after this long \\[s]; by default when it is interrupted.",
            show_default=False,
            min=0.0,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the simulation.")] = 0,
    policy: Annotated[
        Path | None,
        typer.Option(
            "--policy",
            metavar="BUNDLE",
            help="Let this policy drive them; by default they follow their paths.",
            show_default=False,
        ),
    ] = None,
    trust: Annotated[
        list[Path],
        typer.Option(
            "--trust", metavar="KEY", help="Public key, or a folder of them, of policies."
        ),
    ] = [],
    credentials: Annotated[
        Path | None,
        typer.Option(
            "--credentials",
            help="TOML file, or folder of them, with a credential that may publish and subscribe.",
            show_default=False,
        ),
    ] = None,
    credential: Annotated[
        str,
        typer.Option(
            "--credential",
            help="Name of the credential; the connection's own by default.",
            show_default=False,
        ),
    ] = "",
    sidecar: Annotated[
        list[Path], typer.Option("--sidecar", help="Layer with bindings for the stage.")
    ] = [],
    endpoint: Annotated[
        list[str],
        typer.Option(
            "--endpoint", metavar="NAME=URI", help="Use this endpoint for a connection here."
        ),
    ] = [],
) -> None:
    """Run simulated VDA 5050 vehicles behind the real broker of a connection.

    Each has a connection, a session and a last will of its own, drives on the connection's map,
    and takes orders as a real one does.
    """
    from stagetwin_bridges.commands._virtual_fleet import VirtualFleetRequest, run_virtual_fleet

    run_virtual_fleet(
        VirtualFleetRequest(
            stage=stage,
            connection=connection,
            count=count,
            vehicles=tuple(vehicle),
            state_interval=state,
            visualization_interval=visualization,
            seconds=seconds,
            seed=seed,
            bodies="simulated" if policy is None else "policy",
            body_options={} if policy is None else {"bundle": str(policy), "trust": trust},
            credentials=credentials,
            credential=credential,
            sidecars=tuple(sidecar),
            endpoints=tuple(endpoint),
        )
    )
