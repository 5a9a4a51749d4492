"""A command desk for tests: real stage, guards, hub and ledger; only the wire is a recording."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pxr import Usd

from stagetwin.actuation import Fate, Reading, Renewal, Report, Transmission
from stagetwin.commands import Command, CommandPath, Ledger, PublishRequest, RuleBook, Target
from stagetwin.guards import GuardBook, GuardStage
from stagetwin.people import Access
from stagetwin.ports import ChannelSpec, ConnectionState
from stagetwin.signals import Samples
from tests.stages.plants import (
    HEADER,
    Part,
    Plant,
    asset,
    command,
    connection,
    prim,
    stage_of,
    telemetry,
)

SPEED = "/Pump.speed"
RPM = "/Pump.twin:telemetry:rpm:value"
READY = "/Pump.twin:telemetry:ready:value"
DESIRED = "/Pump.twin:command:speed:desired"
ROLES = {"operator": frozenset({"ann", "bob", "cyd"})}


def speed(*, readback: str = RPM, **fields: Any) -> Part:
    """The command that most tests give: a speed in [0, 3000] with a read-back."""
    fields = {"hard": (0, 3000), "approval": "none", "settleTime": 1.0, "unit": "1/min", **fields}
    return command("speed", address="set/speed", readback=readback or (), **fields)


def pump(
    *parts: Part | str, level: str = "twin", roles: Sequence[str] = ("operator",), **fields: Any
) -> str:
    """A stage with one pump; its command is `speed` unless parts are given."""
    own = parts or (speed(),)
    return (
        HEADER
        + connection(**fields.pop("line", {}))
        + prim(
            "Pump",
            asset("P-1", level=level, connection="line", roles=roles, **fields),
            telemetry("rpm", address="rpm", unit="1/min"),
            telemetry("ready", "bool", address="ready"),
            *own,
        )
    )


class Wire:
    """The transport of a test: it records, and answers only as the test says.

    Attributes:
        sent: what was handed over, in order.
        guards: the guards in force as the clients have them.
        states: state and cause by connection; online unless said.
        reads: whether devices can be asked.
        asked: numbers and channels of the questions.
        follows: whether its protocol renews and repeats.
        renewals: what was renewed, in order.
        on_send: called with each transmission before it counts as sent.
    """

    def __init__(self) -> None:
        self.sent: list[Transmission] = []
        self.guards: dict[str, str] = {}
        self.states: dict[str, tuple[ConnectionState, str]] = {}
        self.reads = False
        self.asked: list[tuple[int, ChannelSpec]] = []
        self.on_send: Callable[[Transmission], None] | None = None
        self.follows = False
        self.renewals: list[Renewal] = []

    def send(self, connection: str, transmission: Transmission) -> None:
        del connection
        self.sent.append(transmission)
        if self.on_send is not None:
            self.on_send(transmission)

    def read(self, connection: str, number: int, channel: ChannelSpec) -> bool:
        del connection
        if self.reads:
            self.asked.append((number, channel))
        return self.reads

    def renews(self, connection: str) -> bool:
        del connection
        return self.follows

    def repeats(self, connection: str) -> bool:
        del connection
        return self.follows

    def renew(self, connection: str, renewal: Renewal) -> None:
        del connection
        self.renewals.append(renewal)

    def link(self, connection: str) -> tuple[ConnectionState, str]:
        return self.states.get(connection, (ConnectionState.ONLINE, ""))

    def authorise(self, guards: dict[str, str]) -> None:
        self.guards = guards


class Desk:
    """A live plant with approved guards and its command path.

    Attributes:
        plant, wire, ledger, path, rules: the parts.
        book: the approved guards.
        entered: (id, state) of every callback.
    """

    def __init__(
        self,
        stage: Usd.Stage,
        folder: Path,
        *,
        approved: bool = True,
        roles: Mapping[str, frozenset[str]] = ROLES,
        access: Access | None = None,
    ) -> None:
        self.book = GuardBook(folder / "guards.json")
        if approved:
            self.book.approve(GuardStage(stage.GetRootLayer()).hashes(), "ada", 0.0)
        self.plant = Plant(stage, self.book)
        self.clock = self.plant.clock
        self.twin = self.plant.twin
        self.wire = Wire()
        self.ledger = Ledger(folder / "commands.db")
        self._woken = threading.Event()
        self.path = CommandPath(
            self.twin, self.ledger, self.wire, access or Access.of_roles(roles), self._woken.set
        )
        self.rules = RuleBook(self.twin, self.path)
        self.entered: list[tuple[str, str]] = []
        self.path.records.on_entered.append(
            lambda command: self.entered.append((command.id, str(command.state)))
        )

    # -- devices

    def feel(self, signal: str, value: Any, *, status: int = 0, age: float = 0.0) -> None:
        """Let a sample of `/Prim.signal` arrive, and look at it."""
        self.twin.hub.submit(
            Samples.of(
                [self.plant.index(signal)],
                [value],
                receive_time=self.clock.wall() - age,
                status=status,
            )
        )
        self.tick()

    def report(self, command: Command, *fates: Fate, cause: str = "", **extra: Any) -> None:
        """Let the command client report, now."""
        for fate in fates:
            fields = {"time": self.clock.wall(), **extra}
            self.path.report(Report(id=command.id, fate=fate, cause=cause, **fields))
        self.path.pump()

    def answer(self, value: Any, **fields: Any) -> None:
        """Let the device answer the newest question."""
        number = self.wire.asked[-1][0]
        self.path.reading(Reading(request=number, value=value, **fields))
        self.path.pump()

    # -- time

    def tick(self, seconds: float = 0.0) -> None:
        """Move the clock on and tick: telemetry, rules, commands."""
        self.clock.advance(seconds)
        self.twin.tick()
        self.rules.step(self.clock.steady())
        self.path.tick()

    def flush(self) -> None:
        """Wait until what is being written ahead is durable, and go on from there."""
        while any(life.committing for life in self.path.records.lives()):
            assert self._woken.wait(30)
            self._woken.clear()
            self.path.pump()

    def durable(self) -> None:
        """Wait until the ledger has everything."""
        done = threading.Event()
        self.ledger.append("", "MARK", 0.0, {}, lambda _: done.set())
        assert done.wait(30)

    # -- people

    def target(self, path: str = SPEED) -> Target:
        found = self.path.targets.get(path)
        assert found is not None
        return found

    def publish(
        self, value: Any = 1500.0, author: str = "ann", target: str = SPEED, **fields: Any
    ) -> Command:
        """Publish with the revision in force, and go on as far as it goes."""
        fields.setdefault("revision", self.target(target).revision)
        request = PublishRequest(target=target, value=value, **fields)
        made = self.path.publish(request, author)
        self.flush()
        return made

    def sent(self, value: Any = 1500.0, **fields: Any) -> Command:
        """Publish a command that is sent and acknowledged."""
        made = self.publish(value, **fields)
        assert made.state == "SENT", (made.state, made.cause)
        self.report(made, Fate.SENT, Fate.ACKNOWLEDGED)
        return made

    def desired(self, path: str = DESIRED) -> Any:
        attr = self.plant.attr(path)
        return attr.Get() if attr else None

    def word(self, name: str, prim: str = "/Pump", signal: str = "speed") -> Any:
        """Return what stands on the prim: `request`, `status` or `cause` of a command."""
        attr = self.plant.attr(f"{prim}.twin:command:{signal}:{name}")
        return attr.Get() if attr else None

    def states(self, made: Command) -> list[str]:
        """Return the states of a command as the ledger has them."""
        self.durable()
        return [entry.state for entry in self.ledger.entries(made.id)]

    def edit_plant(self, path: str, value: Any) -> None:
        """Edit the plant's own layer, and read it."""
        self.plant.attr(path).Set(value)
        self.twin.sync_structure()

    def approve_guards(self) -> None:
        stage = GuardStage(self.plant.stage.GetRootLayer())
        self.book.approve(stage.hashes(), "ada", 1.0)
        self.twin.guards_approved()

    def close(self) -> None:
        self.path.close()
        self.ledger.close()
        self.plant.close()


def running(text: str, folder: Path, **fields: Any) -> Desk:
    """Return a desk for usda text, its pump at 1000 rpm and ready."""
    desk = Desk(stage_of(text), folder, **fields)
    for signal, value in (("/Pump.rpm", 1000.0), ("/Pump.ready", True)):
        if any(b.path == signal for b in desk.twin.table.telemetry.values()):
            desk.feel(signal, value)
    return desk
