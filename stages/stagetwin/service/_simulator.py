"""A simulator under the service: an OS process, watched, asked, and started again when it falls."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from stagetwin._errors import SimulatorError
from stagetwin.service._host_process import SILENT, HostProcess
from stagetwin.simulation import wire

__all__ = ["Progress", "Simulator", "SimulatorEvents"]

_log = logging.getLogger(__name__)

Progress = Callable[[float, str], None]
"""Takes how far a question has come, 0 to 1, and what is being done."""

MAX_ASKED = 16
"""Questions that one simulator is asked at once."""

_POLITE = 10
"""How nice a process is that nobody's machine waits for; see nice(2)."""


class SimulatorEvents(Protocol):
    """Who is told what a simulator says; on the event loop."""

    def table(self, table: wire.Table) -> None:
        """Take what it made of the stage."""

    def columns(self, kind: wire.Kind, columns: wire.Columns) -> None:
        """Take expected values, or poses, of its newest table."""

    def health(self, health: wire.Health) -> None:
        """Take how it does."""

    def down(self, cause: str) -> None:
        """Take note that nothing it said counts any more; empty once it speaks again."""


class Simulator(HostProcess):
    """One simulator of one role.

    Attributes:
        role: what it is for.
        name: what it is called; its role where there is one of that.
        table: what it made of the stage; None until it says.
        health: how it does; None until it says.
        state: `starting`, `running` or `offline`.
        cause: why it is offline.
    """

    def __init__(
        self,
        module: str,
        role: wire.Role,
        opening: Callable[[wire.Role], wire.Open],
        events: SimulatorEvents | None = None,
        name: str = "",
        polite: bool = False,
    ) -> None:
        """Prepare.

        Args:
            module: what runs in the process.
            role: what it is for.
            opening: returns its first frame.
            events: who is told what it says; nobody if None.
            name: what it is called; empty is its role.
            polite: whether other processes go before it.
        """
        self.name = name or role
        super().__init__(f"simulator ({self.name})")
        self._polite = polite
        self.module = module
        self.role: wire.Role = role
        self._open_frame, self._events = opening, events
        self._numbers = itertools.count(1)
        self._asked: dict[int, tuple[asyncio.Future[wire.Answer], Progress | None]] = {}
        self.table: wire.Table | None = None
        self.health: wire.Health | None = None
        self.state, self.cause = "starting", ""

    @property
    def busy(self) -> bool:
        """Whether a question waits for its answer."""
        return bool(self._asked)

    def reopen(self) -> None:
        """Have it read the plant's files anew; it answers with another table."""
        self.post(self.opening())

    # -- HostProcess

    def opening(self) -> bytes:
        """See HostProcess."""
        if self._polite and self.pid:
            with contextlib.suppress(OSError):  # it has ended already
                os.setpriority(os.PRIO_PROCESS, self.pid, _POLITE)
        return wire.encode(wire.Kind.OPEN, self._open_frame(self.role))

    def starting(self) -> None:
        """See HostProcess."""
        self.state, self.cause = "starting", ""

    def answers(self, alive: bool) -> None:
        """See HostProcess."""
        if alive:
            self.state, self.cause = ("running" if self.table else "starting"), ""
        else:
            self.state, self.cause = "offline", SILENT
            _log.warning("%s: %s", self._what, SILENT)
        if self._events is not None:
            self._events.down(self.cause)

    def ended(self, cause: str, pause: float) -> None:
        """See HostProcess."""
        _log.error("%s; again in %.1f s", cause, pause)
        self._gone(f"{cause}; again in {pause:.1f} s")

    def _gone(self, cause: str) -> None:
        self.state, self.cause = "offline", cause
        self.table = self.health = None
        for future, _ in self._asked.values():
            if not future.done():
                future.set_exception(SimulatorError(cause, "gone"))
        if self._events is not None:
            self._events.down(cause)

    async def run(self) -> None:
        """Keep it running until cancelled."""
        try:
            await self.keep()
        finally:
            self._gone("stopped")

    def take(self, kind: int, body: bytes) -> None:
        """See HostProcess."""
        if kind in (wire.Kind.PREDICTED, wire.Kind.POSES):
            columns = wire.decode_columns(body)
            current = self.table is not None and columns.table == self.table.number
            if current and self._events is not None:
                self._events.columns(wire.Kind(kind), columns)
        elif kind == wire.Kind.TABLE:
            table: wire.Table = wire.decode(body, wire.Table)
            self.table, self.state, self.cause = table, "running", ""
            if self._events is not None:
                self._events.table(table)
        elif kind == wire.Kind.HEALTH:
            health: wire.Health = wire.decode(body, wire.Health)
            self.health = health
            if self._events is not None:
                self._events.health(health)
        elif kind == wire.Kind.ANSWER:
            self._answered(wire.decode(body, wire.Answer))
        elif kind == wire.Kind.PROGRESS:
            said: wire.Progress = wire.decode(body, wire.Progress)
            _, progress = self._asked.get(said.number, (None, None))
            if progress is not None:
                progress(min(max(said.done, 0.0), 1.0), said.text)

    # -- questions

    async def ready(self, most: float) -> None:
        """Wait while it starts, until it says what it made of the stage, or for so long [s]."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most):
                while self.table is None and self.state == "starting":
                    await asyncio.sleep(0.01)

    async def ask(
        self,
        operation: str,
        given: Mapping[str, Any],
        data: bytes = b"",
        *,
        budget: float = 0.0,
        progress: Progress | None = None,
    ) -> wire.Answer:
        """Ask, and wait for the answer; cancelling the wait cancels the question.

        Args:
            operation: what is asked for.
            given: its arguments, plain data.
            data: what goes with it.
            budget: how long it may take [s]; 0 for as long as it takes.
            progress: told how far it has come.

        Raises:
            SimulatorError: it does not run, fell, refused, was asked too much, or took too long.
        """
        if len(self._asked) >= MAX_ASKED:
            raise SimulatorError(f"{MAX_ASKED} questions wait for the simulator already", "busy")
        number = next(self._numbers)
        ask = wire.Ask(number, operation, dict(given), data, budget)
        if self.state == "offline" or not self.post(wire.encode(wire.Kind.ASK, ask)):
            why = self.cause or "it is starting"
            raise SimulatorError(f"the simulator ({self.name}) does not run: {why}", "gone")
        answer: asyncio.Future[wire.Answer] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer, progress
        try:
            async with asyncio.timeout(budget or None):
                return await answer
        except TimeoutError:
            text = f"{operation} took longer than its budget of {budget:.3g} s"
            raise SimulatorError(text, "over-budget") from None
        finally:
            del self._asked[number]
            if not answer.done() or answer.cancelled():
                self.post(wire.encode(wire.Kind.CANCEL, wire.Cancel(number)))

    def _answered(self, answer: wire.Answer) -> None:
        future, _ = self._asked.get(answer.number, (None, None))
        if future is None or future.done():
            return  # nobody waits for it any more
        if answer.fault is None:
            future.set_result(answer)
        else:
            future.set_exception(SimulatorError(answer.fault.message, answer.fault.code))
