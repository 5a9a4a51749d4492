"""Which vehicles of a plant play which part in the demo."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pxr import Usd

from stagetwin.bindings import BindingTable, CommandBinding
from stagetwin.maps import NoRouteError, RoadMap
from stagetwin.ports import ConnectionSpec, ValueKind, scheme_of
from stagetwin_bridges.commands._vehicle_places import places_shown

__all__ = ["FleetCast", "Goal", "is_fleet"]

_WORK = ("pick", "drop", "transfer")
_DRIVERS = 2
_CANCEL, _ORDER, _ONLINE = "cancelOrder", "order", "online"


def is_fleet(spec: ConnectionSpec) -> bool:
    """Return whether a connection's devices are vehicles that speak VDA 5050."""
    return scheme_of(spec.endpoint).startswith("vda5050+")


@dataclass(frozen=True, slots=True)
class Goal:
    """A vehicle, and where it could be sent from where it stands at first.

    Attributes:
        command: its goal.
        vehicle: `MANUFACTURER/SERIAL`.
        station: where to.
        node: the nearest node on its way there.
        cancel: path of the command that cancels its order; empty if there is none.
        online: path of the signal that tells whether it is online; empty if there is none.
    """

    command: CommandBinding
    vehicle: str
    station: str
    node: str
    cancel: str = ""
    online: str = ""

    @property
    def name(self) -> str:
        """The vehicle as people call it."""
        return self.command.asset.rpartition("/")[2]

    @property
    def label(self) -> str:
        """Vehicle and command."""
        return f"{self.name}.{self.command.signal}"


@dataclass(frozen=True, slots=True)
class FleetCast:
    """Who plays which part; empty or None where the plant has nobody for it.

    Attributes:
        drivers: are sent to stations and drive there; those with the shortest ways.
        edited: gets an order by an edit of the stage, and is cancelled.
        lost: its process dies.
        others: all others that could be sent somewhere.
        vehicles: by connection, `MANUFACTURER/SERIAL` of all vehicles.
    """

    drivers: tuple[Goal, ...] = ()
    edited: Goal | None = None
    lost: Goal | None = None
    others: tuple[Goal, ...] = ()
    vehicles: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def of(cls, stage: Usd.Stage, table: BindingTable) -> FleetCast:
        """Choose vehicles whose goal needs no approval and that stand on the map.

        Args:
            stage: the plant's stage.
            table: its bindings.
        """
        fleets = {name: spec for name, spec in table.connections.items() if is_fleet(spec)}
        vehicles = tuple((name, _vehicles(table, name)) for name in fleets)
        goals = [g for n, spec in fleets.items() for g in _goals(stage, table, n, spec)]
        drivers = tuple(goals[:_DRIVERS])
        rest = goals[_DRIVERS:]
        edited = next((g for g in rest if g.cancel and g.command.publish == "settled"), None)
        lost = next((g for g in reversed(rest) if g.online and g is not edited), None)
        others = tuple(g for g in rest if g not in (edited, lost))
        return cls(drivers, edited, lost, others, vehicles)


def _vehicles(table: BindingTable, connection: str) -> tuple[str, ...]:
    return tuple(sorted({c.address for c in table.channels(connection) if c.address}))


def _goals(
    stage: Usd.Stage, table: BindingTable, connection: str, spec: ConnectionSpec
) -> list[Goal]:
    """Return what each vehicle could do, the shortest way first, no station twice."""
    if not spec.map:
        return []
    road_map = RoadMap.decode(spec.map)
    stations = [s.id for s in road_map.stations.values() if s.kind in _WORK]
    shown = places_shown(stage, table, connection)
    ways = sorted(
        (length, command.asset, station, node)
        for command in _commands(table, connection)
        if (place := shown.get(command.address)) is not None
        for length, station, node in _ways(road_map, place[0], place[1], stations)
    )
    by_asset = {command.asset: command for command in _commands(table, connection)}
    found: list[Goal] = []
    taken: set[str] = set()
    for _, asset, station, node in ways:
        if asset not in taken and station not in taken:
            taken |= {asset, station}
            found.append(_goal(table, by_asset[asset], station, node))
    return found


def _commands(table: BindingTable, connection: str) -> Iterator[CommandBinding]:
    for command in table.commands:
        asset = table.assets.get(command.asset)
        if (
            command.connection == connection
            and command.field == _ORDER
            and command.approval == "none"
            and command.value_type.kind is ValueKind.TEXT
            and asset is not None
            and asset.level == "twin"
            and asset.roles
        ):
            yield command


def _ways(
    road_map: RoadMap, x: float, y: float, stations: Iterable[str]
) -> Iterator[tuple[float, str, str]]:
    """Tell length [m], station and next node of every way from where a vehicle stands."""
    start = min(road_map.nodes.values(), key=lambda node: math.dist((x, y), (node.x, node.y)))
    for station in stations:
        try:
            route = road_map.route(start.id, station)
        except NoRouteError:
            continue
        if len(route.nodes) > 1:
            yield round(route.length, 3), station, route.nodes[1]


def _goal(table: BindingTable, command: CommandBinding, station: str, node: str) -> Goal:
    cancel = next(
        (c.path for c in table.commands if c.asset == command.asset and c.field == _CANCEL), ""
    )
    online = next(
        (
            b.path
            for b in table.telemetry.values()
            if b.asset == command.asset and b.field == "online"
        ),
        "",
    )
    return Goal(command, command.address, station, node, cancel, online)
