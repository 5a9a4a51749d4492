"""The peer of `benchmarks.mirrors`: one JSON object per value over WebSocket."""

from __future__ import annotations

import asyncio
import sys

import msgspec
import numpy as np
from websockets.asyncio.server import ServerConnection, broadcast, serve

from benchmarks._mirror_signals import SIGNALS, path
from stagetwin.gateway import wire
from stagetwin.host import wire as host_wire

__all__ = ["Peer"]


class _Sample(msgspec.Struct):
    path: str
    value: float
    quality: str
    time: float


class Peer:
    """One JSON object per value, for everybody."""

    def __init__(self) -> None:
        self._clients: set[ServerConnection] = set()
        self._newest: wire.State | None = None
        self._news = asyncio.Event()
        self._paths = [path(row) for row in range(SIGNALS)]

    async def run(self) -> None:
        """Serve until the pipe ends."""
        async with serve(self._join, "127.0.0.1", 0, compression=None) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            sending = asyncio.create_task(self._send())
            reader = asyncio.StreamReader(limit=2**22)
            loop = asyncio.get_running_loop()
            await loop.connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
            )
            sys.stdout.buffer.write(wire.encode(wire.Kind.LISTENING, wire.Listening(port)))
            sys.stdout.buffer.flush()
            try:
                while True:
                    head = await reader.readexactly(host_wire.HEADER.size)
                    size, kind = host_wire.HEADER.unpack(head)
                    body = await reader.readexactly(size)
                    if kind == wire.Kind.STATE:
                        self._newest = wire.decode(body, wire.State)
                        self._news.set()
            except asyncio.IncompleteReadError:
                sending.cancel()

    async def _join(self, client: ServerConnection) -> None:
        self._clients.add(client)
        try:
            await client.wait_closed()
        finally:
            self._clients.discard(client)

    async def _send(self) -> None:
        encoder = msgspec.json.Encoder()
        while True:
            await self._news.wait()
            self._news.clear()
            newest = self._newest
            assert newest is not None
            values = np.frombuffer(newest.values).tolist()
            times = np.frombuffer(newest.times).tolist()
            for start in range(0, SIGNALS, 50):
                for row in range(start, start + 50):
                    sample = _Sample(self._paths[row], values[row], "good", times[row])
                    broadcast(self._clients, encoder.encode(sample).decode())
                await self._drained()

    async def _drained(self) -> None:
        """Wait for those who are behind, so that nothing piles up."""
        while any(c.transport.get_write_buffer_size() > 2**16 for c in self._clients):
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)
