"""A live plant with its alarms, for tests: real stage, hub, journal; only time is moved by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stagetwin.alarms import AlarmBook, AlarmJournal
from stagetwin.guards import GuardBook
from stagetwin.people import Principal
from stagetwin.ports import ConnectionState
from tests.stages.plants import Part, Plant, literal, stage_of

ADA = Principal("ada")
ONLINE, OFFLINE = ConnectionState.ONLINE, ConnectionState.OFFLINE

_TYPES = {
    "kind": "token",
    "side": "token",
    "limit": "double",
    "hysteresis": "double",
    "comparison": "token",
    "onDelay": "double",
    "offDelay": "double",
    "priority": "token",
    "message": "string",
    "advice": "string",
}


def alarm(name: str, signal: str = "", *, gate: str = "", value: str = "", **fields: Any) -> Part:
    """An authored alarm; `value` is usda text with its type, such as `bool 1`."""
    lines = []
    for rel, target in (("signal", signal), ("activeWhile", gate)):
        if target:
            lines.append(f"rel twin:alarm:{name}:{rel} = [<{target}>]")
    if value:
        type_name, text = value.split(" ", 1)
        lines.append(f"uniform {type_name} twin:alarm:{name}:value = {text}")
    for key, given in fields.items():
        lines.append(f"uniform {_TYPES[key]} twin:alarm:{name}:{key} = {literal(given)}")
    return Part(f"TwinAlarmAPI:{name}", "\n".join(lines) + "\n")


class Watched:
    """A plant whose alarms are judged.

    Attributes:
        plant: the live plant.
        book: its alarms.
        told: rows that listeners were told, in order.
    """

    def __init__(
        self, source: Any, folder: Path | None = None, guards: GuardBook | None = None
    ) -> None:
        stage = stage_of(source) if isinstance(source, str) else source
        self.plant = Plant(stage, guards)
        self.clock = self.plant.clock
        journal = AlarmJournal(folder / "alarms.db") if folder is not None else None
        self.book = AlarmBook(self.plant.twin, journal)
        self.told: list[dict[str, Any]] = []
        self.book.on_changed.append(self.told.append)

    def link(self, name: str, state: ConnectionState, cause: str = "") -> None:
        """Say what a connection is."""
        self.plant.twin.connection(name, state, cause, self.clock.wall())

    def run(self, seconds: float = 0.1) -> None:
        """Let time pass, ten passes a second."""
        for _ in range(max(round(seconds / 0.1), 1)):
            self.clock.advance(0.1)
            self.plant.twin.tick()
            self.book.step(self.clock.steady())

    def feel(self, address: str, value: Any, seconds: float = 0.1, **extra: Any) -> None:
        """Let a device send, and go on."""
        self.plant.send(address, value, **extra)
        self.run(seconds)

    def states(self, prim: str = "/") -> dict[str, str]:
        """Return the states of all that is not NORMAL, by id."""
        rows = self.book.rows(prim)
        return {row["id"]: row["state"] for row in rows if row["state"] != "NORMAL"}

    def row(self, alarm_id: str) -> dict[str, Any]:
        """Return the row of one alarm."""
        (row,) = [row for row in self.book.rows() if row["id"] == alarm_id]
        return row

    def get(self, path: str) -> Any:
        return self.plant.attr(path).Get()

    def close(self) -> None:
        self.book.close()
        self.plant.close()
