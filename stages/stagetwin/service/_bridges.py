"""Bridges under the service: each an OS process, watched, and started again when it falls."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stagetwin.host import wire
from stagetwin.hub import Hub
from stagetwin.ports import (
    Bridge,
    ChannelSpec,
    ConnectionSpec,
    ConnectionState,
    Credential,
    Reject,
    find_protocol,
)
from stagetwin.service._host_process import SILENT, HostProcess, secret_of
from stagetwin.signals import Samples

__all__ = ["BridgeProcess", "ConnectionSink", "InProcessBridge"]

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Link:
    state: ConnectionState = ConnectionState.OFFLINE
    cause: str = "not started"
    seen: float = float("nan")
    silent: bool = False

    def now(self) -> tuple[ConnectionState, str]:
        """Return state and cause: what was said, while whoever said it answers."""
        return (ConnectionState.OFFLINE, SILENT) if self.silent else (self.state, self.cause)


class ConnectionSink:
    """Takes what a bridge delivers, from any thread, and keeps the connection's state.

    Args:
        name: name of the connection.
        hub: where samples go.
        arrived: called after samples went there.
        retime: brings a batch into the time of the hub's clock; None where it is in it.
    """

    def __init__(
        self,
        name: str,
        hub: Hub,
        arrived: Callable[[], None] = lambda: None,
        retime: Callable[[Samples], None] | None = None,
    ) -> None:
        self.name = name
        self._retime = retime
        self._hub = hub
        self._arrived = arrived
        self._lock = threading.Lock()
        self._link = _Link()
        self._said: tuple[ConnectionState, str] | None = None
        hub.interrupted(name)

    def samples(self, batch: Samples) -> None:
        """Pass samples on to the hub."""
        with self._lock:
            self._link.seen = time.time()
        if self._retime is not None:
            self._retime(batch)
        self._hub.submit(batch)
        self._arrived()

    def state(self, state: ConnectionState, cause: str = "") -> None:
        """Take the connection's state."""
        with self._lock:
            self._link.state, self._link.cause, self._link.silent = state, cause, False
            if state is ConnectionState.ONLINE:
                self._link.seen = time.time()
            elif state is not ConnectionState.CONNECTING:
                self._hub.interrupted(self.name)
            self._tell()

    def answers(self, alive: bool) -> None:
        """Take note that the bridge's process fell silent, or speaks again after that."""
        with self._lock:
            self._link.silent = not alive
            self._tell()

    def _tell(self) -> None:
        """Tell the hub at once, and the log what is new."""
        state, cause = said = self._link.now()
        self._hub.connection_online(self.name, state is ConnectionState.ONLINE)
        if said != self._said and state is not ConnectionState.CONNECTING:
            # Attempts to connect are no news, nor is the same failure again.
            self._said = said
            wanted = state is ConnectionState.ONLINE or cause == "stopped"
            level = logging.INFO if wanted else logging.WARNING
            text = f": {cause}" if cause else ""
            _log.log(level, "connection %s is %s%s", self.name, state, text)

    def rejected(self, reason: Reject, count: int, example: str = "") -> None:
        """Count what was not used."""
        self._hub.rejections.add(self.name, reason, count, example)

    def vouch(self, channels: Sequence[int], alive: bool) -> None:
        """Pass word of devices on."""
        self._hub.vouch(channels, alive)

    def read(self) -> tuple[ConnectionState, str, float]:
        """Return state, cause and last sign of life [s, Unix]."""
        with self._lock:
            return *self._link.now(), self._link.seen


class InProcessBridge:
    """A bridge on threads of this process."""

    def __init__(
        self, connection: ConnectionSpec, sink: ConnectionSink, credential: Credential | None
    ) -> None:
        self.connection = connection
        self._sink = sink
        self._credential = credential
        self._bridge: Bridge | None = None
        self.restarts = 0

    async def run(self, channels: Sequence[ChannelSpec]) -> None:
        """Run until cancelled."""
        try:
            protocol = find_protocol(self.connection.endpoint)
            self._bridge = protocol.bridge(self.connection, channels, self._sink, self._credential)
            self._bridge.start()
        except Exception as error:
            # In a process of its own it would have fallen alone; here it must not take others down.
            _log.exception("the bridge of %s does not start", self.connection.name)
            self._sink.state(ConnectionState.FAILED, f"{type(error).__name__}: {error}")
        try:
            await asyncio.Event().wait()
        finally:
            if self._bridge is not None:
                self._bridge.stop()
            self._bridge = None

    def rebind(self, channels: Sequence[ChannelSpec]) -> None:
        """Replace the channels."""
        if self._bridge is not None:
            self._bridge.rebind(channels)

    @property
    def pid(self) -> int:
        """Return this process's id."""
        return os.getpid()


class BridgeProcess(HostProcess):
    """A bridge in an OS process."""

    def __init__(
        self, connection: ConnectionSpec, sink: ConnectionSink, credential: Credential | None
    ) -> None:
        super().__init__("bridge")
        self.connection = connection
        self._sink = sink
        self._credential = credential
        self._channels: list[ChannelSpec] = []

    async def run(self, channels: Sequence[ChannelSpec]) -> None:
        """Keep the process running until cancelled."""
        self._channels = list(channels)
        await self.keep()

    def opening(self) -> bytes:
        """See HostProcess."""
        secret = secret_of(self._credential)
        request = wire.OpenRequest(self.connection, self._channels, secret)
        return wire.encode(wire.Kind.OPEN, request)

    def starting(self) -> None:
        """See HostProcess."""
        self._sink.state(ConnectionState.CONNECTING)

    def answers(self, alive: bool) -> None:
        """See HostProcess."""
        self._sink.answers(alive)

    def ended(self, cause: str, pause: float) -> None:
        """See HostProcess."""
        self._sink.rejected(Reject.LOST, 0, f"{cause}: unknown how many were missed meanwhile")
        self._sink.state(ConnectionState.OFFLINE, f"{cause}; again in {pause:.1f} s")

    def take(self, kind: int, body: bytes) -> None:
        """See HostProcess."""
        if kind == wire.Kind.SAMPLES:
            self._sink.samples(wire.decode_samples(body))
        elif kind == wire.Kind.STATE:
            report: wire.StateReport = wire.decode(body, wire.StateReport)
            self._sink.state(ConnectionState(report.state), report.cause)
        elif kind == wire.Kind.REJECTED:
            rejected: wire.Rejected = wire.decode(body, wire.Rejected)
            self._sink.rejected(Reject(rejected.reason), rejected.count, rejected.example)
        elif kind == wire.Kind.VOUCH:
            vouch: wire.Vouch = wire.decode(body, wire.Vouch)
            self._sink.vouch(vouch.channels, vouch.alive)

    def rebind(self, channels: Sequence[ChannelSpec]) -> None:
        """Replace the channels; a process that is down gets them when it is up."""
        self._channels = list(channels)
        self.post(wire.encode(wire.Kind.REBIND, wire.RebindRequest(self._channels)))
