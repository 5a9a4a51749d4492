"""The thread of a command client over MQTT: connects, writes what it is handed, reads, and ends.

What is written, and what is made of what comes in, is a protocol's own: MQTT's commander and
that of VDA 5050 stand on it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence

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
from stagetwin.ports import ChannelSpec, ConnectionSpec, ConnectionState
from stagetwin_bridges._sinks import SafeCommandSink
from stagetwin_bridges.mqtt._client import ClientSettings, back_off
from stagetwin_bridges.mqtt._command_client import CommandClient
from stagetwin_bridges.mqtt._waker import Waker

__all__ = ["CommandThread"]

logger = logging.getLogger(__name__)

_TICK = 1.0
_STEADY = 10.0
"""A connection that stood this long [s] lets the waiting times begin anew."""
_LONGEST_WAIT = 5.0
_STOP_TIMEOUT = 3.0
_REMEMBERED = 10_000
"""Ids of written commands that are known again."""


class CommandThread:
    """What every `Commander` over MQTT does.

    One thread connects, writes and reads. Nothing queues: each connection has a new client, and a
    command meets an open socket that takes it at once, or is withheld.

    Args:
        connection: the connection.
        settings: how to connect.
        targets: what may be commanded.
        sink: told of everything.
        clock: the clock of deadlines.
    """

    turn: float = _TICK
    """Longest wait for input [s]."""

    def __init__(
        self,
        connection: ConnectionSpec,
        settings: ClientSettings,
        targets: Sequence[CommandTarget],
        sink: CommandSink,
        clock: Clock | None = None,
    ) -> None:
        self._realm = connection.realm
        self._settings = settings
        self._sink = SafeCommandSink(sink)
        self._clock = clock if clock is not None else WallClock()
        self._gate = CommandGate(self._clock)
        self._lock = threading.Lock()
        self._waiting: deque[Transmission] = deque()
        self._written: dict[str, None] = {}
        self._online = False
        self._closing = False
        self._cause = ""
        self._targets: dict[str, CommandTarget] = {}
        self._problems: dict[str, str] = {}
        self._thread: threading.Thread | None = None
        self._waker = Waker()
        self.rebind(targets)

    # -- what a protocol adds --------------------------------------------------------------------

    def _problems_of(self, target: CommandTarget) -> list[str]:
        """Return what is wrong with a target; empty if nothing."""
        raise NotImplementedError

    def _client(self) -> CommandClient:
        """Return a client for one connection."""
        raise NotImplementedError

    def _write(self, client: CommandClient, transmission: Transmission) -> None:
        """Write one command, or withhold it."""
        raise NotImplementedError

    def _turned(self, client: CommandClient) -> None:
        """Do what is due after each wait for input."""

    def _second(self, client: CommandClient) -> None:
        """Do what is due once a second."""

    def _ended(self, cause: str) -> None:
        """Give up what waits for an answer: the connection ended."""

    # -- Commander -------------------------------------------------------------------------------

    def start(self) -> None:
        """See Commander."""
        if self._thread is not None or self._closing:
            return
        name = f"mqtt commands {self._settings.host}:{self._settings.port}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def rebind(self, targets: Sequence[CommandTarget]) -> None:
        """See Commander. A target with a problem is named in the log and takes no command."""
        sound: dict[str, CommandTarget] = {}
        problems: dict[str, str] = {}
        for target in targets:
            found = self._problems_of(target)
            if found:
                problems[target.path] = "; ".join(found)
                logger.warning("%s: %s", target.path, problems[target.path])
            else:
                sound[target.path] = target
        with self._lock:
            self._targets, self._problems = sound, problems

    def authorise(self, guards: Mapping[str, str]) -> None:
        """See Commander."""
        self._gate.authorise(guards)

    def send(self, transmission: Transmission) -> None:
        """See Commander.

        A command that was written before is not written again, and nothing is reported of the
        second attempt: what was reported of the first stands.
        """
        with self._lock:
            ready = self._online and not self._closing
            cause = "stopped" if self._closing else f"offline: {self._cause or 'not connected yet'}"
            if ready:
                self._waiting.append(transmission)
        if ready:
            self._waker.wake()
        else:
            self._withhold(transmission, cause)

    def read(self, request: int, channel: ChannelSpec) -> None:
        """See Commander. A broker has no values to ask for."""
        self._sink.reading(
            Reading(
                request=request,
                cause=f"{channel.prim}, {channel.signal}: MQTT cannot ask a device for a value",
                time=self._clock.wall(),
            )
        )

    def stop(self) -> None:
        """See Commander.

        Returns within 3 s. Looking up a host name cannot be called off: where one takes longer,
        the thread ends when it does, and connects to nothing.
        """
        with self._lock:
            first, self._closing = not self._closing, True
        self._waker.wake()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_STOP_TIMEOUT)
        if thread is None:
            self._waker.close()
        if first:
            self._go_offline("stopped")
            self._sink.state(ConnectionState.OFFLINE, "stopped")

    # -- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._keep_connected()
        finally:
            self._waker.close()

    def _keep_connected(self) -> None:
        waits = back_off(longest=_LONGEST_WAIT)
        while not self._closing:
            self._sink.state(ConnectionState.CONNECTING, self._cause)
            began = time.monotonic()
            client = self._client()
            try:
                if client.open():
                    self._serve(client)
            except Exception as error:
                # Whatever it is, the twin must come back: said loudly, and tried again.
                logger.exception("mqtt command client failed")
                client.cause, client.refused = f"client failed: {error!r}", True
            client.close()
            if self._closing:
                break
            self._go_offline(client.cause or "connection lost")
            self._sink.state(
                ConnectionState.FAILED if client.refused else ConnectionState.OFFLINE, self._cause
            )
            if time.monotonic() - began >= _STEADY:
                waits = back_off(longest=_LONGEST_WAIT)
            self._waker.wait(next(waits), lambda: self._closing)

    def _serve(self, client: CommandClient) -> None:
        """Read replies and write commands until the connection ends or `stop` is called."""
        tick = time.monotonic()
        while client.alive and not client.cause and not self._closing:
            if client.turn(self.turn):
                self._waker.drain()
            if client.granted and not self._online:
                with self._lock:
                    self._online = True
                self._sink.state(ConnectionState.ONLINE, "")
            self._write_waiting(client)
            self._turned(client)
            now = time.monotonic()
            if now - tick >= _TICK:
                tick = now
                client.keep()
                self._second(client)
                if self._online and client.alive:
                    self._sink.state(ConnectionState.ONLINE, "")

    def _write_waiting(self, client: CommandClient) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    return
                transmission = self._waiting.popleft()
            self._write(client, transmission)

    # -- small parts -----------------------------------------------------------------------------

    def _obstacle(self, transmission: Transmission) -> str:
        """Return why a command must not be made at all; empty if it may."""
        target = transmission.target
        with self._lock:
            known, problem = self._targets.get(target.path), self._problems.get(target.path, "")
        if self._closing:
            return "stopped"
        if known != target:
            return problem or f"{target.path} is not a target as the plant binds it now"
        if transmission.realm != self._realm:
            realm = transmission.realm
            return f"its realm is {realm!r} on a connection of realm {self._realm!r}"
        return ""

    def _is_new(self, number: str) -> bool:
        """Tell whether a command was not written before; one that was is never written again."""
        if number in self._written:
            logger.warning("command %s was written before and is not written again", number)
            return False
        return True

    def _note_written(self, number: str) -> None:
        self._written[number] = None
        if len(self._written) > _REMEMBERED:
            del self._written[next(iter(self._written))]

    def _go_offline(self, cause: str) -> None:
        """Withhold what waits to be written, and give up what waits for its reply."""
        with self._lock:
            self._online = False
            self._cause = cause
            unwritten = list(self._waiting)
            self._waiting.clear()
        for transmission in unwritten:
            self._withhold(transmission, cause if self._closing else f"offline: {cause}")
        self._ended(cause)

    def _withhold(self, transmission: Transmission, cause: str) -> None:
        self._report(transmission.id, Fate.WITHHELD, cause, final=True)

    def _report(self, number: str, fate: Fate, cause: str = "", *, final: bool = False) -> None:
        report = Report(id=number, fate=fate, cause=cause, time=self._clock.wall(), final=final)
        self._sink.report(report)
