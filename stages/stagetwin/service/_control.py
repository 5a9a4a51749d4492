"""The control socket: how the command line talks to a running service.

A Unix socket of mode 0600 in a folder of mode 0700: who may open it is decided by the operating
system. One JSON object a line each way; `watch` answers with a line per frame until the client
leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

from stagetwin._errors import ServiceError, StagetwinError

__all__ = ["ControlClient", "ControlServer"]

Request = dict[str, Any]
Handler = Callable[[Request], AsyncIterator[dict[str, Any]]]

MAX_LINE = 2**24


class ControlServer:
    """Serves requests on a Unix socket until closed."""

    def __init__(self, path: Path, handler: Handler) -> None:
        self._path = path
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen.

        Raises:
            ServiceError: another service listens there, or the folder is not safe.
        """
        _private_folder(self._path.parent)
        if _answers(self._path):
            raise ServiceError(f"another service listens at {self._path}")
        self._path.unlink(missing_ok=True)
        # The mask, not a later chmod: the socket is never open to others, not for a moment.
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(
                self._serve, path=self._path, limit=MAX_LINE
            )
        finally:
            os.umask(mask)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # streams call their callback in a task
        self._clients.add(task)
        try:
            while line := await reader.readline():
                await self._answer(line, writer)
        except (ConnectionError, asyncio.LimitOverrunError, ValueError):
            pass  # the client left, or sends what is no line: its connection ends here
        except asyncio.CancelledError:
            # Ended by close(); re-raising would only make the stream callback log it.
            pass
        finally:
            self._clients.discard(task)
            writer.close()

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise ServiceError("a request is a JSON object")
            async for reply in self._handler(request):
                writer.write(json.dumps({"ok": True, **reply}).encode() + b"\n")
                await writer.drain()
        except (StagetwinError, json.JSONDecodeError, KeyError, TypeError) as error:
            reply = {"ok": False, "error": str(error), "kind": type(error).__name__}
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()

    async def close(self) -> None:
        """Stop listening, end the clients, remove the socket."""
        if self._server is not None:
            self._server.close()
        for task in list(self._clients):
            task.cancel()
        if self._clients:
            await asyncio.wait(self._clients, timeout=2)
        self._path.unlink(missing_ok=True)


class ControlClient:
    """Talks to a running service; blocking, for the command line."""

    def __init__(self, path: Path, timeout: float = 10.0) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise ServiceError(
                f"no service listens at {path} ({error.strerror or error})"
            ) from None
        self._file = self._socket.makefile("rb")

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and return its reply; raises ServiceError if it was refused."""
        self._send(request)
        return self._receive()

    def follow(self, **request: Any) -> Iterator[dict[str, Any]]:
        """Send a request and yield its replies until the service ends."""
        self._send(request)
        while True:
            try:
                yield self._receive()
            except EOFError:
                return

    def _send(self, request: Request) -> None:
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise ServiceError(f"the service at {self._path} left ({error})") from None

    def _receive(self) -> dict[str, Any]:
        try:
            line = self._file.readline()
        except TimeoutError:
            raise ServiceError(f"the service at {self._path} does not answer") from None
        except OSError:
            line = b""
        if not line:
            raise EOFError
        reply: dict[str, Any] = json.loads(line)
        if not reply.pop("ok"):
            raise ServiceError(reply["error"])
        return reply

    def close(self) -> None:
        """Leave."""
        self._file.close()
        self._socket.close()

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _private_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid != os.getuid():
        raise ServiceError(f"{folder} belongs to another user; name a socket elsewhere")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ServiceError(f"{folder} can be written by others; name a socket elsewhere")


def _answers(path: Path) -> bool:
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
