"""`stagetwin virtual-fleet`: simulated vehicles behind the broker of a connection."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from stagetwin.bindings import BindingTable, read_bindings
from stagetwin.fleets import VehicleType
from stagetwin.maps import RoadMap
from stagetwin.opening import open_stage
from stagetwin.ports import ConnectionSpec
from stagetwin_bridges._errors import ConnectionConfigError
from stagetwin_bridges.commands._opening import credential_of, endpoints_of, interruptible
from stagetwin_bridges.commands._vehicle_places import places_on, places_shown
from stagetwin_bridges.vda5050.virtual import Pace, VirtualFleet, allow_open_files

__all__ = ["VirtualFleetRequest", "run_virtual_fleet"]

_MANUFACTURER = "stagetwin"
_PATIENCE = 30.0
_LINES = 10.0
"""Between two lines on a pipe, unless all are online just now, or none any more [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualFleetRequest:
    """What the command line asked for; see `stagetwin virtual-fleet --help`."""

    stage: Path
    connection: str
    count: int = 0
    vehicles: tuple[str, ...] = ()
    state_interval: float = 1.0
    visualization_interval: float = 0.2
    seconds: float | None = None
    seed: int = 0
    bodies: str = "simulated"
    body_options: Mapping[str, object] = field(default_factory=dict)
    credentials: Path | None = None
    credential: str = ""
    sidecars: tuple[Path, ...] = ()
    endpoints: tuple[str, ...] = ()


def run_virtual_fleet(request: VirtualFleetRequest) -> None:
    """Run vehicles until interrupted, or for so long, and say what they did.

    Raises:
        RealmError: the connection is none of a simulation.
        ConnectionConfigError: there is no such connection, or no place for so many vehicles.
    """
    console = Console()
    stage = open_stage(request.stage, request.sidecars, endpoints_of(request.endpoints))
    table = read_bindings(stage)
    connection = table.connections.get(request.connection)
    if connection is None:
        known = ", ".join(sorted(table.connections)) or "none"
        raise ConnectionConfigError(
            f"no connection {request.connection!r} on the stage; there are {known}"
        )
    road_map = RoadMap.decode(connection.map) if connection.map else None
    names = _names(request, table, connection)
    shown = places_shown(stage, table, connection.name)
    allow_open_files(2 * len(names))
    fleet = VirtualFleet(
        connection,
        names,
        places_on(road_map, len(names), [shown.get(name) for name in names]),
        [VehicleType()],
        credential=credential_of(request.credential or connection.credential, request.credentials),
        bodies=request.bodies,
        body_options=request.body_options,
        road_map=road_map,
        pace=Pace(
            state_interval=request.state_interval,
            visualization_interval=request.visualization_interval,
        ),
        seed=request.seed,
    )
    # What lives as long as the process: the garbage collector would pause 2,500 vehicles for 0.2 s.
    gc.collect()
    gc.freeze()
    begun = time.monotonic()
    with interruptible() as interrupt, fleet, _shown(console, fleet) as live:
        live.update(_said(fleet))
        while not interrupt.wait(1.0):
            run = time.monotonic() - begun
            live.update(_said(fleet))
            if request.seconds is not None and run >= request.seconds:
                break
            # A broker that has been there comes back: vehicles wait for it as real ones do.
            if not fleet.counts.messages and fleet.counts.refused and run > _PATIENCE:
                raise ConnectionConfigError(
                    f"{connection.prim}: no vehicle got through to the broker: "
                    f"{fleet.counts.refused}"
                )
        said = _said(fleet)
    console.print(said, highlight=False, soft_wrap=True)


def _names(
    request: VirtualFleetRequest, table: BindingTable, connection: ConnectionSpec
) -> list[str]:
    """Return the vehicles: those named, else those of the stage, filled up to the count."""
    names = list(dict.fromkeys(request.vehicles)) or sorted(
        {channel.address for channel in table.channels(connection.name) if channel.address}
    )
    if request.count:
        more = (f"{_MANUFACTURER}/V{k:04d}" for k in range(1, request.count + 1))
        names = [*names, *(name for name in more if name not in names)][: request.count]
    if not names:
        raise ConnectionConfigError(
            f"{connection.prim}: the stage names no vehicle on this connection; say how many with "
            f"--count"
        )
    return names


def _said(fleet: VirtualFleet) -> Text:
    counts = fleet.counts
    parts: Sequence[str] = (
        f"{fleet.online} of {len(fleet)} vehicles online",
        f"{counts.messages} messages sent ({counts.sent.get('state', 0)} states)",
        f"{counts.heard} heard ({counts.orders} orders)",
        *((f"{counts.malformed} could not be read",) if counts.malformed else ()),
        *((f"{counts.late} step{'' if counts.late == 1 else 's'} late",) if counts.late else ()),
        *((counts.refused,) if counts.refused and not fleet.online else ()),
    )
    return Text(", ".join(parts))


@contextlib.contextmanager
def _shown(console: Console, fleet: VirtualFleet) -> Iterator[Live | _Lines]:
    if not console.is_terminal:
        yield _Lines(console, fleet)
        return
    with Live(console=console, refresh_per_second=2, transient=True) as live:
        yield live


class _Lines:
    """For a pipe, which has no line that changes: one at the start, and so on."""

    def __init__(self, console: Console, fleet: VirtualFleet) -> None:
        self._console = console
        self._fleet = fleet
        self._online = -1
        self._due = 0.0

    def update(self, said: Text) -> None:
        """Say how it stands, where that is news or nothing was said for a while."""
        now, online = time.monotonic(), self._fleet.online
        news = online != self._online and online in (0, len(self._fleet))
        if news or now >= self._due:
            self._online, self._due = online, now + _LINES
            self._console.print(said, highlight=False, soft_wrap=True)
