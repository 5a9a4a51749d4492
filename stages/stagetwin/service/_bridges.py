"""Bridges under the service: each an OS process, watched, and started again when it falls."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

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
from stagetwin.signals import Samples

__all__ = ["BridgeProcess", "ConnectionSink", "InProcessBridge"]

_log = logging.getLogger(__name__)

BACKOFF_FIRST = 0.5
BACKOFF_LAST = 30.0
STABLE_AFTER = 60.0
"""A bridge that ran for this long starts over with the shortest pause [s]."""

HUNG_AFTER = 15 * wire.HEARTBEAT
"""Silence after which a bridge process counts as hung [s]."""

STOP_TIMEOUT = 5.0


@dataclass(slots=True)
class _Link:
    state: ConnectionState = ConnectionState.OFFLINE
    cause: str = "not started"
    seen: float = float("nan")


class ConnectionSink:
    """Takes what a bridge delivers, from any thread, and keeps the connection's state."""

    def __init__(self, name: str, hub: Hub) -> None:
        self.name = name
        self._hub = hub
        self._lock = threading.Lock()
        self._link = _Link()
        self._said: tuple[ConnectionState, str] | None = None

    def samples(self, batch: Samples) -> None:
        """Pass samples on to the hub."""
        with self._lock:
            self._link.seen = time.time()
        self._hub.submit(batch)

    def state(self, state: ConnectionState, cause: str = "") -> None:
        """Take the connection's state."""
        with self._lock:
            self._link.state, self._link.cause = state, cause
            if state is ConnectionState.ONLINE:
                self._link.seen = time.time()
            news = (state, cause) != self._said and state is not ConnectionState.CONNECTING
            if news:
                self._said = (state, cause)
        if news:
            # Attempts to connect are no news, nor is the same failure again.
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
            return self._link.state, self._link.cause, self._link.seen


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


class BridgeProcess:
    """A bridge in an OS process: a crash, a leak or a hang of a protocol stays there.

    Attributes:
        restarts: how often it had to be started again.
    """

    def __init__(
        self, connection: ConnectionSpec, sink: ConnectionSink, credential: Credential | None
    ) -> None:
        self.connection = connection
        self._sink = sink
        self._credential = credential
        self._process: asyncio.subprocess.Process | None = None
        self._frame: asyncio.Future[tuple[int, bytes]] | None = None
        self._channels: list[ChannelSpec] = []
        self.restarts = 0

    @property
    def pid(self) -> int:
        """Return the process id, 0 while none runs."""
        return self._process.pid if self._process is not None else 0

    async def run(self, channels: Sequence[ChannelSpec]) -> None:
        """Keep the process running until cancelled."""
        self._channels = list(channels)
        pause = BACKOFF_FIRST
        while True:
            started = time.monotonic()
            cause = await self._run_once()
            if time.monotonic() - started > STABLE_AFTER:
                pause = BACKOFF_FIRST
            self._sink.state(ConnectionState.OFFLINE, f"{cause}; again in {pause:.1f} s")
            # Jitter, so that the bridges of one plant do not all knock at once.
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
            pause = min(pause * 2, BACKOFF_LAST)
            self.restarts += 1

    async def _run_once(self) -> str:
        self._sink.state(ConnectionState.CONNECTING)
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "stagetwin.host",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**22,
        )
        credential = self._credential
        secret = None
        if credential is not None:
            secret = {**credential.model_dump(), "password": credential.password.get_secret_value()}
        request = wire.OpenRequest(self.connection, self._channels, secret)
        try:
            self._send(wire.encode(wire.Kind.OPEN, request))
            cause = await self._listen(process)
            self._sink.rejected(Reject.LOST, 0, f"{cause}: unknown how many were missed meanwhile")
            return cause
        finally:
            await self._end(process)

    async def _listen(self, process: asyncio.subprocess.Process) -> str:
        """Take frames until there is a reason to end, and return it."""
        while True:
            self._frame = self._frame or asyncio.ensure_future(_read_frame(process))
            done, _ = await asyncio.wait({self._frame}, timeout=HUNG_AFTER)
            if not done:
                # After a stall of our own the time is up before waiting bytes are looked at.
                done, _ = await asyncio.wait({self._frame}, timeout=2 * wire.HEARTBEAT)
            if not done:
                return f"bridge process {process.pid} hung"
            frame, self._frame = self._frame, None
            try:
                self._dispatch(*frame.result())
            except (asyncio.IncompleteReadError, ConnectionError):
                code = await process.wait()
                return f"bridge process {process.pid} ended with status {code}"
            except (ValueError, TypeError, msgspec.MsgspecError) as error:
                return f"bridge process {process.pid} sent what cannot be read: {error}"

    def _dispatch(self, kind: int, body: bytes) -> None:
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
        if self._process is not None and self._process.returncode is None:
            self._send(wire.encode(wire.Kind.REBIND, wire.RebindRequest(self._channels)))

    def _send(self, frame: bytes) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(frame)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """Close the input, which asks the process to stop; kill it if it does not."""
        if process.stdin is not None:
            process.stdin.close()
        # Shielded: also when the service is being cancelled, no process is left behind.
        await asyncio.shield(self._reap(process))
        self._process = None

    async def _reap(self, process: asyncio.subprocess.Process) -> None:
        """Take what the process still delivers while it says goodbye; kill it if it does not."""
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                with contextlib.suppress(
                    asyncio.IncompleteReadError, ConnectionError, ValueError, msgspec.MsgspecError
                ):
                    while True:
                        frame, self._frame = self._frame, None
                        self._dispatch(*await (frame or _read_frame(process)))
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _read_frame(process: asyncio.subprocess.Process) -> tuple[int, bytes]:
    assert process.stdout is not None  # it was opened as a pipe
    size, kind = wire.HEADER.unpack(await process.stdout.readexactly(wire.HEADER.size))
    body = await process.stdout.readexactly(size) if size else b""
    return kind, body
