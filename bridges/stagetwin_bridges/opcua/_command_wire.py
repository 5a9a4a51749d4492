"""The one place where a command's bytes are handed to the socket.

asyncua's own calls write and wait in one go. A command must know the moment between the two, and
that nothing of it lies in a buffer from where it would leave later.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Any

from asyncua.client.client import Client
from asyncua.common.utils import Buffer

from stagetwin_bridges._errors import BridgeError, NotConnectedError
from stagetwin_bridges.opcua._command_plan import Request

__all__ = ["NotWrittenError", "Wire"]

_UNACKNOWLEDGED_MS = 3000
_POLL = 0.005


class NotWrittenError(BridgeError):
    """A request was not written; not one byte of it left."""


class Wire:
    """The transport of one client.

    Attributes:
        lost: set when the connection has gone.
    """

    def __init__(self, client: Client) -> None:
        """Take over the transport of a connected client.

        Raises:
            NotConnectedError: the connection has gone already.
        """
        protocol = client.uaclient.protocol
        if protocol is None or protocol.transport is None:
            raise NotConnectedError("connection lost")
        self.lost = asyncio.Event()
        self._protocol = protocol
        self._transport = protocol.transport
        told = protocol.on_connection_lost

        def on_lost(error: Exception | None) -> None:
            self.lost.set()
            if told is not None:
                told(error)

        protocol.on_connection_lost = on_lost
        plug: Any = self._transport.get_extra_info("socket")
        with contextlib.suppress(AttributeError, OSError):
            # However it ends, the kernel throws away what it still holds.
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # Else it offers the bytes of a cut-off command for a quarter of an hour.
            plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)

    def obstacle(self) -> str:
        """Return why nothing can be written at this moment; empty if it can."""
        if self.lost.is_set() or self._transport.is_closing():
            return "connection lost"
        if self._transport.get_write_buffer_size():
            return "the server takes no bytes: earlier ones have not left"
        return ""

    def write(self, request: Request, timeout: float) -> asyncio.Future[Buffer]:
        """Write a request, once, and return what becomes its answer.

        Args:
            request: what to write.
            timeout: the server is told that nobody waits longer for the answer [s].

        Raises:
            NotWrittenError: not one byte left.
        """
        protocol = self._protocol
        # The number of a request is taken immediately before its bytes go to the transport.
        before = protocol._request_id  # noqa: SLF001
        try:
            answer: asyncio.Future[Buffer] = protocol._send_request(  # noqa: SLF001
                request, timeout
            )
        except Exception as error:
            if protocol._request_id == before:  # noqa: SLF001
                raise NotWrittenError(f"{type(error).__name__}: {error}") from error
            answer = asyncio.get_running_loop().create_future()
            answer.set_exception(error)
        return answer

    async def drained(self, timeout: float) -> None:
        """Return when the kernel has all that was written, or end the connection at `timeout` [s].

        What it has not taken by then must not leave at a moment that nobody chose.
        """
        until = asyncio.get_running_loop().time() + timeout
        while not self._transport.is_closing() and self._transport.get_write_buffer_size():
            left = until - asyncio.get_running_loop().time()
            if left <= 0:
                self.reset()
            await asyncio.sleep(max(min(left, _POLL), 0.0))

    def reset(self) -> None:
        """End the connection hard: what has not left will not."""
        self._transport.abort()
