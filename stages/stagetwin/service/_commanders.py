"""Command clients under the service: one process a connection, beside the telemetry bridge's."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from stagetwin.actuation import (
    Commander,
    CommandProtocol,
    CommandSink,
    CommandTarget,
    Fate,
    Reading,
    Renewal,
    RenewedCommander,
    Report,
    Transmission,
)
from stagetwin.host import wire
from stagetwin.ports import (
    ChannelSpec,
    ConnectionSpec,
    ConnectionState,
    Credential,
    find_protocol,
)
from stagetwin.service._host_process import SILENT, HostProcess, secret_of

__all__ = ["CommandEvents", "Commanders"]

_log = logging.getLogger(__name__)


class CommandEvents(Protocol):
    """Who is told what becomes of commands; every method may be called from any thread."""

    def report(self, report: Report) -> None:
        """Take news of a transmission."""

    def reading(self, reading: Reading) -> None:
        """Take an answer of a device."""

    def lost(self, connection: str, cause: str) -> None:
        """Take note that a command client is gone with whatever it knew."""


class _Link:
    """One connection's command client: its state, and the sink of an in-process one."""

    def __init__(
        self, spec: ConnectionSpec, targets: Sequence[CommandTarget], events: CommandEvents
    ) -> None:
        self.spec, self.targets = spec, list(targets)
        self.events = events
        self.said: tuple[ConnectionState, str] = (ConnectionState.OFFLINE, "not started")
        self._before_silence: tuple[ConnectionState, str] | None = None
        protocol = find_protocol(spec.endpoint)
        self.reads = isinstance(protocol, CommandProtocol) and protocol.reads
        self.renews = bool(getattr(protocol, "renews", False))
        self.repeats = bool(getattr(protocol, "repeats", False))

    def state(self, state: ConnectionState, cause: str = "") -> None:
        """Take the client's state."""
        self._before_silence = None
        self._say(state, cause)

    def answers(self, alive: bool) -> None:
        """Take note that the client's process fell silent, or speaks again after that."""
        if alive and self._before_silence is not None:
            self.state(*self._before_silence)
        elif not alive:
            self._before_silence = self.said
            self._say(ConnectionState.OFFLINE, SILENT)

    def _say(self, state: ConnectionState, cause: str) -> None:
        before, self.said = self.said, (state, cause)
        if before != self.said and state is not ConnectionState.CONNECTING:
            wanted = state is ConnectionState.ONLINE or cause == "stopped"
            level = logging.INFO if wanted else logging.WARNING
            text = f": {cause}" if cause else ""
            _log.log(level, "commands on %s are %s%s", self.spec.name, state, text)

    def report(self, report: Report) -> None:
        """Pass news of a transmission on."""
        self.events.report(report)

    def reading(self, reading: Reading) -> None:
        """Pass an answer on."""
        self.events.reading(reading)


class _CommanderProcess(HostProcess):
    """A command client in an OS process."""

    def __init__(
        self, link: _Link, guards: Mapping[str, str], credential: Credential | None
    ) -> None:
        super().__init__("command")
        self._link, self._credential = link, credential
        self.guards = dict(guards)

    def opening(self) -> bytes:
        """See HostProcess."""
        link = self._link
        request = wire.OpenCommandsRequest(
            link.spec, link.targets, self.guards, secret_of(self._credential)
        )
        return wire.encode(wire.Kind.OPEN_COMMANDS, request)

    def take(self, kind: int, body: bytes) -> None:
        """See HostProcess."""
        if kind == wire.Kind.REPORT:
            self._link.report(wire.decode(body, Report))
        elif kind == wire.Kind.READING:
            self._link.reading(wire.decode(body, Reading))
        elif kind == wire.Kind.STATE:
            report: wire.StateReport = wire.decode(body, wire.StateReport)
            self._link.state(ConnectionState(report.state), report.cause)

    def starting(self) -> None:
        """See HostProcess."""
        self._link.state(ConnectionState.CONNECTING)

    def answers(self, alive: bool) -> None:
        """See HostProcess."""
        self._link.answers(alive)

    def ended(self, cause: str, pause: float) -> None:
        """See HostProcess."""
        self._link.state(ConnectionState.OFFLINE, f"{cause}; again in {pause:.1f} s")
        self._link.events.lost(self._link.spec.name, cause)

    def send(self, transmission: Transmission) -> bool:
        """Hand a command over; return whether there is a process to take it."""
        return self.post(wire.encode(wire.Kind.SEND, transmission))

    def renew(self, renewal: Renewal) -> None:
        """Hand a renewal over."""
        self.post(wire.encode(wire.Kind.RENEW, renewal))

    def read(self, number: int, channel: ChannelSpec) -> bool:
        """Hand a question over; see `send`."""
        return self.post(wire.encode(wire.Kind.READ, wire.ReadRequest(number, channel)))

    def authorise(self, guards: Mapping[str, str]) -> None:
        """Hand the guards in force over; a process to come gets them first of all."""
        self.guards = dict(guards)
        self.post(wire.encode(wire.Kind.AUTHORISE, wire.AuthoriseRequest(self.guards)))

    def rebind(self, targets: Sequence[CommandTarget]) -> None:
        """Hand the targets over."""
        self._link.targets = list(targets)
        self.post(wire.encode(wire.Kind.TARGETS, wire.TargetsRequest(self._link.targets)))


class _InProcessCommander:
    """A command client on threads of this process, for tests and small demos."""

    restarts = 0
    pid = 0

    def __init__(
        self, link: _Link, guards: Mapping[str, str], credential: Credential | None
    ) -> None:
        self._link, self._guards, self._credential = link, dict(guards), credential
        self._commander: Commander | None = None

    async def keep(self) -> None:
        """Run until cancelled."""
        sink: CommandSink = self._link
        try:
            protocol = find_protocol(self._link.spec.endpoint)
            assert isinstance(protocol, CommandProtocol)  # a target is bound to it
            self._commander = protocol.commander(
                self._link.spec, self._link.targets, sink, self._credential
            )
            self._commander.authorise(self._guards)
            self._commander.start()
        except Exception as error:
            _log.exception("the command client of %s does not start", self._link.spec.name)
            self._link.state(ConnectionState.FAILED, f"{type(error).__name__}: {error}")
        try:
            await asyncio.Event().wait()
        finally:
            if self._commander is not None:
                self._commander.stop()
            self._commander = None

    def send(self, transmission: Transmission) -> bool:
        """Hand a command over; return whether there is a client to take it."""
        if self._commander is None:
            return False
        self._commander.send(transmission)
        return True

    def renew(self, renewal: Renewal) -> None:
        """Hand a renewal over."""
        if isinstance(self._commander, RenewedCommander):
            self._commander.renew(renewal)

    def read(self, number: int, channel: ChannelSpec) -> bool:
        """Hand a question over; see `send`."""
        if self._commander is None:
            return False
        self._commander.read(number, channel)
        return True

    def authorise(self, guards: Mapping[str, str]) -> None:
        """Hand the guards in force over."""
        self._guards = dict(guards)
        if self._commander is not None:
            self._commander.authorise(guards)

    def rebind(self, targets: Sequence[CommandTarget]) -> None:
        """Hand the targets over."""
        self._link.targets = list(targets)
        if self._commander is not None:
            self._commander.rebind(targets)


_Client = _CommanderProcess | _InProcessCommander


class Commanders:
    """All command clients of a service: the `Transport` of its command path.

    Attributes:
        events: who is told; must be set before anything is sent.
    """

    events: CommandEvents

    def __init__(self, credentials: Mapping[str, Credential], *, in_process: bool) -> None:
        self._credentials = credentials
        self._kind = _InProcessCommander if in_process else _CommanderProcess
        self._links: dict[str, tuple[_Link, _Client, asyncio.Task[None] | None]] = {}
        self._guards: dict[str, str] = {}

    # -- connections

    async def use(
        self,
        wanted: Mapping[str, tuple[ConnectionSpec, list[CommandTarget]]],
        group: asyncio.TaskGroup,
    ) -> None:
        """Start, rebind and end clients, so that there is one for each connection wanted."""
        for name in list(self._links):
            if name not in wanted or self._links[name][0].spec != wanted[name][0]:
                await self._end(name)
        for name, (spec, targets) in wanted.items():
            if name in self._links:
                if self._links[name][0].targets != targets:
                    self._links[name][1].rebind(targets)
            else:
                self._start(name, _Link(spec, targets, self.events), group)

    def _start(self, name: str, link: _Link, group: asyncio.TaskGroup) -> None:
        wanted = link.spec.command_credential or link.spec.credential
        credential = self._credentials.get(wanted)
        client = self._kind(link, self._guards, credential)
        task = None
        if wanted and credential is None:
            link.state(ConnectionState.FAILED, f"no credential named {wanted!r} here")
        else:
            task = group.create_task(client.keep(), name=f"commands {name}")
        self._links[name] = link, client, task

    async def _end(self, name: str) -> None:
        _, _, task = self._links.pop(name)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self.events.lost(name, "the connection changed")

    def cancel(self) -> None:
        """Ask every client to end; the task group waits for them."""
        for _, _, task in self._links.values():
            if task is not None:
                task.cancel()

    def status(self) -> dict[str, dict[str, object]]:
        """Return state, cause, process id and restarts by connection."""
        return {
            name: {
                "state": str(link.said[0]),
                "cause": link.said[1],
                "pid": client.pid,
                "restarts": client.restarts,
            }
            for name, (link, client, _) in sorted(self._links.items())
        }

    # -- Transport

    def send(self, connection: str, transmission: Transmission) -> None:
        """See Transport."""
        found = self._links.get(connection)
        if found is None or not found[1].send(transmission):
            cause = "no command client runs"
            self.events.report(
                Report(id=transmission.id, fate=Fate.WITHHELD, cause=cause, time=time.time())
            )

    def read(self, connection: str, number: int, channel: ChannelSpec) -> bool:
        """See Transport."""
        found = self._links.get(connection)
        if found is None or not found[0].reads or found[0].said[0] is not ConnectionState.ONLINE:
            return False
        return found[1].read(number, channel)

    def renews(self, connection: str) -> bool:
        """See Transport."""
        found = self._links.get(connection)
        return found is not None and found[0].renews

    def repeats(self, connection: str) -> bool:
        """See Transport."""
        found = self._links.get(connection)
        return found is not None and found[0].repeats

    def renew(self, connection: str, renewal: Renewal) -> None:
        """See Transport."""
        found = self._links.get(connection)
        if found is not None:
            found[1].renew(renewal)

    def link(self, connection: str) -> tuple[ConnectionState, str]:
        """See Transport."""
        found = self._links.get(connection)
        return found[0].said if found is not None else (ConnectionState.OFFLINE, "not started")

    def authorise(self, guards: Mapping[str, str]) -> None:
        """See Transport."""
        self._guards = dict(guards)
        for _, client, _ in self._links.values():
            client.authorise(self._guards)
