"""A process of our own that hosts a bridge or a command client: watched, and started again."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import random
import sys
import time

import msgspec

from stagetwin.host import wire
from stagetwin.ports import Credential

__all__ = ["SILENT", "HostProcess", "secret_of"]

BACKOFF_FIRST = 0.5
BACKOFF_LAST = 30.0
STABLE_AFTER = 60.0
"""A process that ran for this long starts over with the shortest pause [s]."""

SILENT_AFTER = 3 * wire.HEARTBEAT
"""Silence after which nothing that a process said counts as being so now [s]."""

SILENT = "its process does not answer"
"""Cause of a connection whose process is silent."""

HUNG_AFTER = 15 * wire.HEARTBEAT
"""Silence after which a process counts as hung [s]."""

STOP_TIMEOUT = 5.0

_LATE = 0.5
"""Being called this much later than asked for is a stall of our own [s]."""


def secret_of(credential: Credential | None) -> dict[str, str] | None:
    """Return a credential in the clear, for the first frame into the pipe and nowhere else."""
    if credential is None:
        return None
    return {**credential.model_dump(), "password": credential.password.get_secret_value()}


class HostProcess(abc.ABC):
    """A Python process under the service: a crash, a leak or a hang stays there.

    Attributes:
        module: what runs in it.
        restarts: how often it had to be started again.
    """

    module: str = "stagetwin.host"

    def __init__(self, what: str) -> None:
        self._what = what
        self._process: asyncio.subprocess.Process | None = None
        self._frame: asyncio.Future[tuple[int, bytes]] | None = None
        self.restarts = 0

    # -- what a kind of host does

    @abc.abstractmethod
    def opening(self) -> bytes:
        """Return the first frame to a new process."""

    @abc.abstractmethod
    def take(self, kind: int, body: bytes) -> None:
        """Take a frame; raises ValueError, TypeError or MsgspecError if it cannot be read."""

    @abc.abstractmethod
    def starting(self) -> None:
        """Take note that a process is about to start."""

    @abc.abstractmethod
    def answers(self, alive: bool) -> None:
        """Take note that the process fell silent, or speaks again after that."""

    @abc.abstractmethod
    def ended(self, cause: str, pause: float) -> None:
        """Take note that a process ended, and that the next starts after a pause [s]."""

    @property
    def pid(self) -> int:
        """Return the process id, 0 while none runs."""
        return self._process.pid if self._process is not None else 0

    async def keep(self) -> None:
        """Keep a process running until cancelled."""
        pause = BACKOFF_FIRST
        while True:
            started = time.monotonic()
            try:
                cause = await self._run_once()
            except OSError as error:
                # No memory or no file descriptors for a process: there may be some later.
                cause = f"no {self._what} process can be started: {error}"
            if time.monotonic() - started > STABLE_AFTER:
                pause = BACKOFF_FIRST
            self.ended(cause, pause)
            # Jitter, so that the bridges of one plant do not all knock at once.
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
            pause = min(pause * 2, BACKOFF_LAST)
            self.restarts += 1

    async def _run_once(self) -> str:
        self.starting()
        self._process = process = await self._spawned()
        try:
            self.post(self.opening())
            return await self._listen(process)
        finally:
            await self._end(process)

    async def _spawned(self) -> asyncio.subprocess.Process:
        """Return a new process; one that comes to be while we are cancelled is ended at once."""
        spawning = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self.module,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=2**22,
            )
        )
        try:
            return await asyncio.shield(spawning)
        except asyncio.CancelledError:
            await self._end(await spawning)
            raise

    async def _listen(self, process: asyncio.subprocess.Process) -> str:
        """Take frames until there is a reason to end, and return it."""
        spoke = False
        while True:
            self._frame = self._frame or asyncio.ensure_future(_read_frame(process))
            if not await self._arrives(self._frame, SILENT_AFTER):
                if spoke:  # before that it is starting, which may take longer
                    self.answers(False)
                if not await self._arrives(self._frame, HUNG_AFTER - SILENT_AFTER):
                    return f"{self._what} process {process.pid} hung"
                if self._frame.exception() is None:
                    self.answers(True)
            spoke = True
            frame, self._frame = self._frame, None
            try:
                self.take(*frame.result())
            except (asyncio.IncompleteReadError, ConnectionError):
                code = await process.wait()
                return f"{self._what} process {process.pid} ended with status {code}"
            except (ValueError, TypeError, msgspec.MsgspecError) as error:
                return f"{self._what} process {process.pid} sent what cannot be read: {error}"

    @staticmethod
    async def _arrives(frame: asyncio.Future[tuple[int, bytes]], timeout: float) -> bool:
        """Wait for a frame; return whether it, or the end of the process, came in time."""
        asked = time.monotonic()
        done, _ = await asyncio.wait({frame}, timeout=timeout)
        if not done:
            # After a stall of our own the time is up before waiting bytes are looked at.
            stalled = time.monotonic() - asked > timeout + _LATE
            done, _ = await asyncio.wait({frame}, timeout=2 * wire.HEARTBEAT if stalled else _LATE)
        return bool(done)

    def post(self, frame: bytes) -> bool:
        """Write a frame to the process; return whether there is one."""
        process = self._process
        if process is None or process.returncode is not None or process.stdin is None:
            return False
        process.stdin.write(frame)
        return True

    @property
    def waiting(self) -> int:
        """Return what was written to the process and not yet taken [B]."""
        process = self._process
        if process is None or process.stdin is None:
            return 0
        return process.stdin.transport.get_write_buffer_size()

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
                        self.take(*await (frame or _read_frame(process)))
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _read_frame(process: asyncio.subprocess.Process) -> tuple[int, bytes]:
    assert process.stdout is not None  # it was opened as a pipe
    size, kind = wire.HEADER.unpack(await process.stdout.readexactly(wire.HEADER.size))
    body = await process.stdout.readexactly(size) if size else b""
    return kind, body
