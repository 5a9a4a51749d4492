"""One bridge, or one command client, in a process of its own: `python -m stagetwin.host`.

The service writes frames to its standard input and reads frames from its standard output; its
standard error is the service's log. It ends when its input ends, so no bridge outlives its service.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import BinaryIO

from stagetwin._errors import StagetwinError
from stagetwin.actuation import (
    Commander,
    CommandProtocol,
    Reading,
    Renewal,
    RenewedCommander,
    Report,
    Transmission,
)
from stagetwin.host import _wire as wire
from stagetwin.host._logging import configure_logging
from stagetwin.ports import Bridge, ConnectionState, Credential, Reject, find_protocol
from stagetwin.signals import Samples

__all__ = ["PipeSink", "main"]

_log = logging.getLogger(__name__)

REQUEST_TIMEOUT = 20.0
"""A bridge that works on one request for longer is stuck, and says no more that it lives [s]."""

MAX_ROWS = 1_000_000
"""Samples held for a service that does not read; past it the oldest batch goes, counted."""


class PipeSink:
    """Delivers to the service through a pipe; its writer thread is the only one that may block."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._wake = threading.Condition()
        self._frames: deque[tuple[int, bytes]] = deque()
        self._rows = 0
        self._closed = False
        self._writer = threading.Thread(target=self._write, name="pipe-writer", daemon=True)
        self._writer.start()

    def samples(self, batch: Samples) -> None:
        """Queue a batch."""
        self._put(len(batch), wire.encode_samples(batch))

    def state(self, state: ConnectionState, cause: str = "") -> None:
        """Queue a state."""
        self._put(0, wire.encode(wire.Kind.STATE, wire.StateReport(str(state), cause)))

    def rejected(self, reason: Reject, count: int, example: str = "") -> None:
        """Queue a count."""
        body = wire.Rejected(str(reason), count, example)
        self._put(0, wire.encode(wire.Kind.REJECTED, body))

    def vouch(self, channels: Sequence[int], alive: bool) -> None:
        """Queue word of devices."""
        self._put(0, wire.encode(wire.Kind.VOUCH, wire.Vouch(list(channels), alive)))

    def report(self, report: Report) -> None:
        """Queue news of a transmission."""
        self._put(0, wire.encode(wire.Kind.REPORT, report))

    def reading(self, reading: Reading) -> None:
        """Queue an answer of the device."""
        self._put(0, wire.encode(wire.Kind.READING, reading))

    def alive(self) -> None:
        """Queue a sign of life of the process."""
        self._put(0, wire.HEADER.pack(0, wire.Kind.ALIVE))

    def _put(self, rows: int, frame: bytes) -> None:
        dropped = 0
        with self._wake:
            self._frames.append((rows, frame))
            self._rows += rows
            while self._rows > MAX_ROWS:
                dropped += self._drop_oldest_batch()
            self._wake.notify()
        if dropped:
            self.rejected(Reject.OVERFLOW, dropped, "the service reads too slowly")

    def _drop_oldest_batch(self) -> int:
        for i, (rows, _) in enumerate(self._frames):
            if rows:
                del self._frames[i]
                self._rows -= rows
                return rows
        return 0

    def _write(self) -> None:
        while True:
            with self._wake:
                while not self._frames and not self._closed:
                    self._wake.wait()
                if not self._frames:
                    return
                frames = [frame for _, frame in self._frames]
                self._frames.clear()
                self._rows = 0
            try:
                self._out.write(b"".join(frames))
                self._out.flush()
            except OSError:
                # The service is gone; so is the need for this process.
                os._exit(0)

    def close(self) -> None:
        """Write what is queued and end the thread."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._writer.join(5)
        with contextlib.suppress(OSError):
            self._out.close()


def _read_frame(stream: BinaryIO) -> tuple[int, bytes] | None:
    header = stream.read(wire.HEADER.size)
    if len(header) < wire.HEADER.size:
        return None
    size, kind = wire.HEADER.unpack(header)
    body = stream.read(size)
    return (kind, body) if len(body) == size else None


class _Progress:
    """Whether the thread that serves requests gets anywhere."""

    def __init__(self) -> None:
        self._since: float | None = None

    def __enter__(self) -> None:
        self._since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._since = None

    @property
    def stuck(self) -> bool:
        since = self._since
        return since is not None and time.monotonic() - since > REQUEST_TIMEOUT


def _beat(sink: PipeSink, progress: _Progress, stopped: threading.Event) -> None:
    while not stopped.wait(wire.HEARTBEAT):
        if not progress.stuck:
            sink.alive()


class _Hosted:
    """The bridge or the command client that this process is for, and what it is asked."""

    def __init__(self, sink: PipeSink) -> None:
        self._sink = sink
        self._bridge: Bridge | None = None
        self._commander: Commander | None = None

    def obey(self, kind: int, body: bytes) -> None:
        """Do what one frame asks."""
        if kind in (wire.Kind.OPEN, wire.Kind.OPEN_COMMANDS):
            try:
                self._begin(kind, body)
            except StagetwinError as error:
                # Starting again would not mend an endpoint, a credential or a missing package.
                _log.error("%s", error)
                self._sink.state(ConnectionState.FAILED, str(error))
        elif self._bridge is not None and kind == wire.Kind.REBIND:
            self._bridge.rebind(wire.decode(body, wire.RebindRequest).channels)
        elif self._commander is not None:
            self._command(self._commander, kind, body)

    def _begin(self, kind: int, body: bytes) -> None:
        if kind == wire.Kind.OPEN:
            self._open(wire.decode(body, wire.OpenRequest))
        else:
            self._open_commands(wire.decode(body, wire.OpenCommandsRequest))

    def _open(self, request: wire.OpenRequest) -> None:
        protocol = find_protocol(request.connection.endpoint)
        self._bridge = protocol.bridge(
            request.connection, request.channels, self._sink, _credential(request.credential)
        )
        self._bridge.start()

    def _open_commands(self, request: wire.OpenCommandsRequest) -> None:
        protocol = find_protocol(request.connection.endpoint)
        if not isinstance(protocol, CommandProtocol):
            self._sink.state(ConnectionState.FAILED, "its protocol carries no commands")
            return
        self._commander = protocol.commander(
            request.connection, request.targets, self._sink, _credential(request.credential)
        )
        self._commander.authorise(request.guards)
        self._commander.start()

    @staticmethod
    def _command(commander: Commander, kind: int, body: bytes) -> None:
        if kind == wire.Kind.SEND:
            commander.send(wire.decode(body, Transmission))
        elif kind == wire.Kind.RENEW and isinstance(commander, RenewedCommander):
            commander.renew(wire.decode(body, Renewal))
        elif kind == wire.Kind.READ:
            request: wire.ReadRequest = wire.decode(body, wire.ReadRequest)
            commander.read(request.request, request.channel)
        elif kind == wire.Kind.AUTHORISE:
            commander.authorise(wire.decode(body, wire.AuthoriseRequest).guards)
        elif kind == wire.Kind.TARGETS:
            commander.rebind(wire.decode(body, wire.TargetsRequest).targets)

    def stop(self) -> None:
        """End what runs."""
        for each in (self._bridge, self._commander):
            if each is not None:
                each.stop()


def _credential(secret: dict[str, str] | None) -> Credential | None:
    return Credential.model_validate(secret) if secret is not None else None


def _serve(stream: BinaryIO, sink: PipeSink, progress: _Progress) -> None:
    hosted = _Hosted(sink)
    try:
        while (frame := _read_frame(stream)) is not None:
            with progress:
                hosted.obey(*frame)
    finally:
        hosted.stop()


def main() -> int:
    """Run until the input ends; returns the exit status."""
    configure_logging(
        os.environ.get("STAGETWIN_LOG", "text"), os.environ.get("STAGETWIN_LEVEL", "INFO")
    )
    # Frames own the real standard output; whatever a library prints goes to the log instead.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sink = PipeSink(out)
    stopped, progress = threading.Event(), _Progress()
    threading.Thread(
        target=_beat, args=(sink, progress, stopped), name="heartbeat", daemon=True
    ).start()
    try:
        _serve(sys.stdin.buffer, sink, progress)
    except KeyboardInterrupt:
        # Ctrl-C reaches the whole process group; the service closes the input in its own time.
        pass
    finally:
        stopped.set()
        sink.close()
    return 0
