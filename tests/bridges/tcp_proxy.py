"""A proxy between a client and a server that records every byte, and can cut and stall."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

__all__ = ["Chunk", "Direction", "TcpProxy"]

Direction = Literal["to_server", "to_client"]

_CHUNK = 65_536


class Chunk(NamedTuple):
    """Bytes that went through.

    Attributes:
        time: when they came in [s, monotonic].
        connection: number of the connection, from 0.
        direction: whom they were for.
        data: the bytes.
    """

    time: float
    connection: int
    direction: Direction
    data: bytes


class TcpProxy:
    """Listens on a free loopback port and passes everything on, until told otherwise.

    Args:
        host, port: the server; may be changed for the connections to come.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.target = (host, port)
        self.port = 0
        self._chunks: list[Chunk] = []
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy")
        self._server: asyncio.Server | None = None
        self._links: dict[int, list[asyncio.StreamWriter]] = {}
        self._count = 0
        self._flowing: dict[Direction, asyncio.Event] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._open())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # -- what a test does ------------------------------------------------------------------------

    def cut(self) -> int:
        """End every connection hard, and go on listening; return how many there were."""
        return self._do(self._cut())

    def refuse(self) -> None:
        """End every connection and listen no longer."""
        self._do(self._refuse())

    def accept(self) -> None:
        """Listen again, on the same port."""
        self._do(self._open())

    def stall(self, *directions: Direction) -> None:
        """Keep the connections and pass nothing on, in these directions or both."""
        self._do(self._flow(False, directions))

    def resume(self, *directions: Direction) -> None:
        """Pass on again what was held back and what comes."""
        self._do(self._flow(True, directions))

    # -- what a test looks at --------------------------------------------------------------------

    @property
    def connections(self) -> int:
        """How many connections there were so far."""
        return self._count

    @property
    def standing(self) -> int:
        """How many connections stand."""
        return len(self._links)

    @property
    def chunks(self) -> list[Chunk]:
        """Everything that came in, in order."""
        with self._lock:
            return list(self._chunks)

    def sent(self, direction: Direction, connection: int | None = None) -> bytes:
        """Return the bytes of one direction, of one connection or all."""
        return b"".join(
            chunk.data
            for chunk in self.chunks
            if chunk.direction == direction and connection in (None, chunk.connection)
        )

    def forget(self) -> None:
        """Empty the record."""
        with self._lock:
            self._chunks.clear()

    # -- on the loop's thread --------------------------------------------------------------------

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _open(self) -> None:
        if not self._flowing:
            self._flowing = {"to_server": asyncio.Event(), "to_client": asyncio.Event()}
            await self._flow(True, ())
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _close(self) -> None:
        await self._flow(True, ())
        await self._refuse()
        if left := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(left, timeout=5)

    async def _cut(self) -> int:
        links = list(self._links.values())
        for writers in links:
            for writer in writers:
                writer.transport.abort()
        return len(links)

    async def _flow(self, on: bool, directions: tuple[Direction, ...]) -> None:
        for direction in directions or ("to_server", "to_client"):
            if on:
                self._flowing[direction].set()
            else:
                self._flowing[direction].clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, self._count = self._count, self._count + 1
        self._links[number] = [writer]
        try:
            there, onward = await asyncio.open_connection(*self.target)
            self._links[number].append(onward)
            await asyncio.gather(
                self._pump(number, "to_server", reader, onward),
                self._pump(number, "to_client", there, writer),
            )
        except OSError:
            pass  # Nobody listens there; the client sees its connection end.
        finally:
            for one in self._links.pop(number, []):
                one.transport.abort()

    async def _pump(
        self,
        number: int,
        direction: Direction,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                with self._lock:
                    self._chunks.append(Chunk(time.monotonic(), number, direction, data))
                await self._flowing[direction].wait()
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError, RuntimeError):
            writer.close()
