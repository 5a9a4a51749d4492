"""A simulator's end of the pipes: what comes in, what goes out, and its signs of life."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

from stagetwin.simulation import wire

__all__ = ["STUCK_AFTER", "Line"]

STUCK_AFTER = 20.0
"""A simulator that takes nothing for longer is stuck, and says no more that it lives [s]."""


class Line:
    """Frames in and out, for one thread that works.

    One thread of its own reads, so that a cancellation is known while work goes on; one writes, so
    that a slow service does not hold up a step; one says once a second that the process lives, for
    as long as the thread that works comes back to `take` or calls `alive`.

    Args:
        source: where frames come in.
        out: where frames go out.
    """

    def __init__(self, source: BinaryIO, out: BinaryIO) -> None:
        self._source, self._out = source, out
        self._frames: queue.SimpleQueue[tuple[wire.Kind, bytes] | None] = queue.SimpleQueue()
        self._leaving: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        self._ended = False
        self._limit = time.monotonic() + STUCK_AFTER
        self._stopped = threading.Event()
        threads = [
            threading.Thread(target=work, name=f"line-{name}", daemon=True)
            for name, work in (("read", self._read), ("write", self._write), ("beat", self._beat))
        ]
        self._writer = threads[1]
        for thread in threads:
            thread.start()

    @classmethod
    def standard(cls) -> Line:
        """Return the line over standard input and output; what is printed goes to the log."""
        out = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        return cls(sys.stdin.buffer, out)

    @property
    def ended(self) -> bool:
        """Whether the service closed its end: there is nobody to work for."""
        return self._ended

    def take(self, timeout: float | None = None) -> tuple[wire.Kind, bytes] | None:
        """Return the next frame; None after a time-out [s], or at the end of the input."""
        self.alive()
        if timeout is None or timeout > STUCK_AFTER / 2:
            with self.busy(float("inf") if timeout is None else timeout + STUCK_AFTER):
                return self._next(timeout)
        return self._next(timeout)

    def _next(self, timeout: float | None) -> tuple[wire.Kind, bytes] | None:
        try:
            frame = self._frames.get(timeout is None or timeout > 0, timeout)
        except queue.Empty:
            return None
        if frame is None:
            self._frames.put(None)  # the end stays the end
        return frame

    def put(self, frame: bytes) -> None:
        """Send a frame; returns at once."""
        self._leaving.put(frame)

    def say(self, kind: wire.Kind, body: Any) -> None:
        """Send a frame with a msgpack body; returns at once."""
        self.put(wire.encode(kind, body))

    def cancelled(self, number: int) -> bool:
        """Tell whether nobody waits for the answer of this number any more."""
        return self._ended or number in self._cancelled

    def alive(self) -> None:
        """Take note that the thread that works gets on."""
        self._limit = time.monotonic() + STUCK_AFTER

    @contextlib.contextmanager
    def busy(self, limit: float = 600.0) -> Iterator[None]:
        """Say that the process lives for up to this long [s], as while kernels are compiled."""
        self._limit = time.monotonic() + limit
        try:
            yield
        finally:
            self.alive()

    def close(self) -> None:
        """Write what is queued."""
        self._stopped.set()
        self._leaving.put(None)
        self._writer.join(5)

    # -- threads

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while len(head := self._source.read(wire.HEADER.size)) == wire.HEADER.size:
                size, number = wire.HEADER.unpack(head)
                body = self._source.read(size)
                if len(body) < size:
                    break
                kind = wire.Kind(number)
                if kind is wire.Kind.CANCEL:
                    self._cancelled.add(wire.decode(body, wire.Cancel).number)
                else:
                    self._frames.put((kind, body))
        self._ended = True
        self._frames.put(None)

    def _write(self) -> None:
        while (frame := self._leaving.get()) is not None:
            try:
                self._out.write(frame)
                if self._leaving.empty():
                    self._out.flush()
            except (OSError, ValueError):
                return  # the service is gone; the reader sees the end of the input
        with contextlib.suppress(OSError, ValueError):
            self._out.flush()

    def _beat(self) -> None:
        while not self._stopped.wait(wire.HEARTBEAT):
            if time.monotonic() < self._limit:
                self.put(wire.encode(wire.Kind.ALIVE))
