"""The recording proxy, which can also cut at the moment when a command passes."""

from __future__ import annotations

import asyncio
import contextlib
import time

from tests.bridges.tcp_proxy import Chunk, Direction, TcpProxy

__all__ = ["CommandProxy"]

_COMMANDS = (b"\x01\x00\xa1\x02", b"\x01\x00\xc8\x02")
"""How the bodies of a WriteRequest and a CallRequest begin."""


class CommandProxy(TcpProxy):
    """`TcpProxy` that knows commands, as long as nothing is encrypted.

    Attributes:
        cut_on_command: end the connection `before` a command reaches the server, or `after`.
    """

    cut_on_command = ""

    @property
    def streams(self) -> list[bytes]:
        """What the client sent on each connection, whether it reached the server or not."""
        return [self.sent("to_server", number) for number in range(self.connections)]

    async def _pump(
        self,
        number: int,
        direction: Direction,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        if direction == "to_client":
            await super()._pump(number, direction, reader, writer)
            return
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                with self._lock:
                    self._chunks.append(Chunk(time.monotonic(), number, direction, data))
                await self._flowing[direction].wait()
                command = data[24:28] in _COMMANDS
                if not (command and self.cut_on_command == "before"):
                    writer.write(data)
                    await writer.drain()
                if command and self.cut_on_command:
                    break
        for one in self._links.get(number, []):
            one.transport.abort()
