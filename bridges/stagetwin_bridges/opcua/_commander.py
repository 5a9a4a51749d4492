"""The command client of an OPC UA connection: a session of its own, on a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Mapping, Sequence

from asyncua.client.client import Client

from stagetwin.actuation import (
    CommandGate,
    CommandSink,
    CommandTarget,
    Fate,
    Reading,
    Report,
    Transmission,
)
from stagetwin.clock import Clock, WallClock
from stagetwin.ports import ChannelSpec, ConnectionSpec, Credential
from stagetwin.signals import Status
from stagetwin_bridges._sinks import SafeCommandSink
from stagetwin_bridges.opcua._command_link import CommandLink
from stagetwin_bridges.opcua._command_reading import ask
from stagetwin_bridges.opcua._command_session import CommandSession
from stagetwin_bridges.opcua._options import Endpoint

__all__ = ["OpcUaCommander"]

_STOP = 3.0
_ANSWER = 10.0


class OpcUaCommander:
    """`Commander` of one OPC UA connection.

    It shares nothing with the telemetry client; what cannot be written at once is withheld.
    """

    def __init__(
        self,
        connection: ConnectionSpec,
        endpoint: Endpoint,
        targets: Sequence[CommandTarget],
        sink: CommandSink,
        credential: Credential | None,
        *,
        clock: Clock | None = None,
        answer_timeout: float = _ANSWER,
    ) -> None:
        """Prepare; nothing happens before `start`.

        Args:
            connection: as the stage declares it.
            endpoint: its endpoint, parsed.
            targets: what may be commanded.
            sink: told what becomes of everything.
            credential: for the server; None is anonymous.
            clock: that of the deadlines; the machine's where none is given.
            answer_timeout: how long an answer is waited for [s].
        """
        self._connection = connection
        self._sink = SafeCommandSink(sink)
        self._clock = clock if clock is not None else WallClock()
        self._answer_timeout = answer_timeout
        self._gate = CommandGate(self._clock)
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._serving: asyncio.Task[None] | None = None
        # Of the loop's thread alone, as soon as there is one.
        self._link = CommandLink(
            connection, endpoint, credential, targets, self._open_session, self._sink.state
        )

    # -- Commander -------------------------------------------------------------------------------

    def start(self) -> None:
        """See Commander."""
        with self._lock:
            if self._thread is not None:
                return
            loop = self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=self._run,
                args=(loop,),
                name=f"opcua-commands-{self._connection.name}",
                daemon=True,
            )
            self._thread.start()

    def rebind(self, targets: Sequence[CommandTarget]) -> None:
        """See Commander."""
        new = dict.fromkeys(targets)
        with self._lock:
            if self._loop is None:
                self._link.targets = new
            else:
                self._loop.call_soon_threadsafe(self._rebind, new)

    def authorise(self, guards: Mapping[str, str]) -> None:
        """See Commander."""
        self._gate.authorise(guards)

    def send(self, transmission: Transmission) -> None:
        """See Commander."""
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._send, transmission)
                return
        self._report(transmission.id, Fate.WITHHELD, f"offline: {self._link.cause}")

    def read(self, request: int, channel: ChannelSpec) -> None:
        """See Commander."""
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._read, request, channel)
                return
        self._no_reading(request)

    def stop(self) -> None:
        """See Commander. Takes 3 s at most, whatever the server does."""
        with self._lock:
            loop, self._loop = self._loop, None
            if loop is not None:
                # Whatever was handed over before is dealt with before.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._end)
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_STOP)

    # -- on the loop's thread --------------------------------------------------------------------

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            with contextlib.suppress(asyncio.CancelledError):
                loop.run_until_complete(self._start())
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        finally:
            asyncio.set_event_loop(None)
            # Not asyncio.run: it would wait for a look-up of the host's name, however long.
            loop.close()

    def _open_session(self, client: Client) -> CommandSession:
        return CommandSession(client, self._gate, self._clock, self._report, self._answer_timeout)

    async def _start(self) -> None:
        self._serving = asyncio.ensure_future(self._link.serve())
        await self._serving

    def _end(self) -> None:
        if self._serving is None:
            asyncio.get_running_loop().call_soon(self._end)
        else:
            self._serving.cancel()

    def _rebind(self, targets: dict[CommandTarget, None]) -> None:
        self._link.targets = targets
        if self._link.session is not None:
            session = self._link.session
            session.spawn(self._link.rebind(session), "bind")

    def _send(self, transmission: Transmission) -> None:
        session = self._link.session
        if session is None or not self._link.online:
            cause = f"offline: {self._link.cause}" if self._link.cause else "offline"
        elif transmission.target not in self._link.targets:
            cause = f"{transmission.target.path} is not among the targets bound now"
        elif transmission.realm != self._connection.realm:
            cause = (
                f"its realm is {transmission.realm}, and that of {self._connection.prim} is "
                f"{self._connection.realm}"
            )
        else:
            session.send(transmission)
            return
        self._report(transmission.id, Fate.WITHHELD, cause)

    def _read(self, request: int, channel: ChannelSpec) -> None:
        session = self._link.session
        if session is None or not self._link.online:
            self._no_reading(request)
        else:
            session.spawn(self._answer(session, request, channel), f"read {request}")

    async def _answer(self, session: CommandSession, request: int, channel: ChannelSpec) -> None:
        self._sink.reading(await ask(session, request, channel, self._clock))

    # -- telling ---------------------------------------------------------------------------------

    def _report(self, id: str, fate: Fate, cause: str) -> None:
        self._sink.report(
            Report(
                id=id,
                fate=fate,
                cause=cause,
                time=self._clock.wall(),
                final=fate is not Fate.SENT,
            )
        )

    def _no_reading(self, request: int) -> None:
        self._sink.reading(
            Reading(
                request=request,
                status=int(Status.BAD_NO_COMMUNICATION),
                cause=f"offline: {self._link.cause}" if self._link.cause else "offline",
                time=self._clock.wall(),
            )
        )
