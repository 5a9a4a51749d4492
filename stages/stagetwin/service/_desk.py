"""The command side of a service: ledger, command clients, command path and rules as one."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

from stagetwin.actuation import CommandTarget
from stagetwin.commands import Command, CommandPath, Ledger, Loops, RuleBook
from stagetwin.people import Access
from stagetwin.ports import ConnectionSpec
from stagetwin.service._commanders import Commanders
from stagetwin.service._config import ServiceConfig
from stagetwin.twin import Twin

__all__ = ["Desk"]

STALL = 0.5
"""Time between two ticks after which what is known may be of before a stall [s]."""

AFTER_STALL = 1.2
"""How long telemetry may take to catch up after a stall, longer than a heartbeat [s]."""

Wanted = dict[str, tuple[ConnectionSpec, list[CommandTarget]]]


class Desk:
    """Everything that a service needs to command; a read-only service has none.

    Attributes:
        path: the command path.
        commanders: the command clients.
        loops: sessions of policies.
    """

    def __init__(self, config: ServiceConfig, twin: Twin, access: Access) -> None:
        """Open the ledger.

        Args:
            config: of the service.
            twin: the live stage.
            access: says who may command and approve.

        Raises:
            LedgerDamagedError: it is damaged.
            LedgerError: another service owns it, or its folder cannot be written.
        """
        self._twin = twin
        self._ticked, self._calm_from = -math.inf, -math.inf
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pumping = False
        self._followers: set[asyncio.Event] = set()
        self._ledger = Ledger(config.state_dir / "commands.db", config.ledger_anchor)
        self.commanders = Commanders(config.credentials, in_process=config.in_process)
        try:
            self.path = CommandPath(
                twin, self._ledger, self.commanders, access, self._wake, self._is_calm
            )
        except BaseException:
            self._ledger.close()
            raise
        self.commanders.events = self.path
        self._rules = RuleBook(twin, self.path)
        self.loops = Loops(self.path, self._ledger, access)
        self.path.records.on_entered.append(self._tell_followers)

    # -- life

    def start(self) -> None:
        """Begin: what a service before this one left is taken up.

        Raises:
            LedgerDamagedError: the ledger cannot be read.
        """
        self._loop = asyncio.get_running_loop()
        self.path.recover()
        self.loops.recover()
        self._wake()

    async def keep_clients(self, group: asyncio.TaskGroup) -> None:
        """Start, rebind and end command clients after the bindings changed."""
        await self.commanders.use(self._wanted(), group)

    def _wanted(self) -> Wanted:
        table = self._twin.guarded
        wanted: Wanted = {}
        for binding in table.commands if table is not None else ():
            spec = table.connections[binding.connection]  # type: ignore[union-attr]
            wanted.setdefault(binding.connection, (spec, []))[1].append(binding.wire())
        return wanted

    @property
    def broken(self) -> str:
        """Why the ledger cannot be written at the moment, so that nothing leaves; or empty."""
        return self._ledger.broken

    def verify(self) -> int:
        """Check the whole ledger and return its number of entries; may be called from any thread.

        Raises:
            LedgerError: it was changed, or closed meanwhile.
        """
        return self._ledger.verify()

    @property
    def awaits_evidence(self) -> bool:
        """Whether a command that was sent waits for samples; may be asked from any thread."""
        return self.path.records.sent > 0

    def tick(self) -> None:
        """Look at rules and commands; call after each tick of the twin."""
        now = self._twin.clock.steady()
        if now - self._ticked > STALL:
            # Whatever came in meanwhile may still lie in a pipe.
            self._calm_from = now + AFTER_STALL
        self._ticked = now
        self._rules.step(self._twin.clock.steady())
        self.path.tick()

    def rule_timers(self) -> dict[str, dict[str, Any]]:
        """Return how each rule stands; see `RuleBook.timers`."""
        return self._rules.timers(self._twin.clock.steady())

    def displaced(self) -> dict[str, Any]:
        """Return what is in force in place of requests that have not left, by path of `desired`.

        None where nothing was in force before.
        """
        return {
            life.target.binding.target: life.displaced[0]
            for life in self.path.records.lives()
            if life.unsent and life.target.desired[1] == life.command.id
        }

    def _is_calm(self) -> bool:
        """Tell whether the service keeps up, so that what it knows is of now."""
        now = self._twin.clock.steady()
        return now - self._ticked <= STALL and now >= self._calm_from

    def housekeeping(self) -> None:
        """Call about once a second."""
        self.loops.look()
        self.path.housekeeping()

    def close(self) -> None:
        """End what is unsent, make the ledger durable and give it up."""
        self.loops.close()
        self.path.close()
        self._loop = None
        self._ledger.close()

    # -- events

    def _wake(self) -> None:
        """Have the loop take up events; any thread may ask, and many at once are one."""
        loop = self._loop
        if loop is not None and not self._pumping and not loop.is_closed():
            self._pumping = True
            loop.call_soon_threadsafe(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        self.path.pump()

    def _tell_followers(self, _command: Command) -> None:
        for event in self._followers:
            event.set()

    async def follow(self, command: Command) -> AsyncIterator[dict[str, Any]]:
        """Yield a command's row now and whenever its history grows, until it has ended."""
        changed = asyncio.Event()
        self._followers.add(changed)
        seen = -1
        try:
            while True:
                changed.clear()
                if len(command.history) != seen:
                    seen = len(command.history)
                    yield {"command": self.row(command, history=True)}
                if command.ended:
                    return
                await changed.wait()
        finally:
            self._followers.discard(changed)

    def row(self, command: Command, *, history: bool = False) -> dict[str, Any]:
        """Return a command as clients see it."""
        return command.row(self._twin.clock.steady(), history=history)
