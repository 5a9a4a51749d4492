"""Ends the wait of a thread that polls: a pair of sockets, of which one becomes readable."""

from __future__ import annotations

import logging
import math
import select
import socket
import time
from collections.abc import Callable

__all__ = ["Waker"]

logger = logging.getLogger(__name__)


class Waker:
    """Wakes one thread from any other.

    The thread polls `fileno` for input beside its own sockets, and calls `drain` when it is ready.
    """

    def __init__(self) -> None:
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)

    def fileno(self) -> int:
        """Return the file descriptor that is readable once `wake` was called."""
        return self._read.fileno()

    def wake(self) -> None:
        """Make it readable; never waits, and does nothing after `close`."""
        try:
            self._write.send(b"\0")
        except BlockingIOError:
            pass  # enough are underway
        except OSError:
            logger.debug("woken after close")

    def drain(self) -> None:
        """Make it wait again."""
        try:
            while len(self._read.recv(4096)) == 4096:
                pass
        except BlockingIOError:
            pass

    def wait(self, seconds: float, over: Callable[[], bool]) -> None:
        """Wait for some time [s]; a wake after which `over` is true ends it."""
        until = time.monotonic() + seconds
        # A process with thousands of connections has descriptors that select cannot take.
        poller = select.poll()
        poller.register(self._read, select.POLLIN)
        while not over() and (left := until - time.monotonic()) > 0:
            if poller.poll(math.ceil(left * 1000)):
                self.drain()

    def close(self) -> None:
        """Close both sockets."""
        self._read.close()
        self._write.close()
