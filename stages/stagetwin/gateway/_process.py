"""The gateway's process: `python -m stagetwin.gateway`, fed and ended by its service."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from stagetwin._errors import StagetwinError
from stagetwin.gateway import _wire as wire
from stagetwin.gateway._clients import Clients
from stagetwin.gateway._config import server_tls
from stagetwin.gateway._door import Door
from stagetwin.gateway._files import Files, viewer_folder
from stagetwin.gateway._link import Link
from stagetwin.gateway._routes import make_app
from stagetwin.gateway._scene import Scenes
from stagetwin.gateway._server import Server, listening_socket, make_server
from stagetwin.gateway._store import Store
from stagetwin.host import configure_logging
from stagetwin.host import wire as host_wire

__all__ = ["main"]

_log = logging.getLogger(__name__)

BYE_WITHIN = 0.3
"""Time for clients to be told that this ends [s]."""


class _CannotListen(Exception):
    """The place is taken, or what is needed to listen there cannot be used."""


class _Gateway:
    """One gateway, from the first frame of its service to the last."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._store = Store()
        self._door: Door | None = None
        self._clients: Clients | None = None
        self._scenes: Scenes | None = None
        self._server: Server | None = None
        self._tasks: list[asyncio.Task[Any]] = []

    async def run(self) -> None:
        """Run until the pipe ends."""
        self._tasks.append(asyncio.create_task(self._live(), name="heartbeat"))
        try:
            with contextlib.suppress(_CannotListen):  # the service tries again in its own time
                while (frame := await self._link.read()) is not None:
                    await self._take(*frame)
        finally:
            await self._end()

    async def _live(self) -> None:
        while True:
            self._link.alive()
            await asyncio.sleep(host_wire.HEARTBEAT)

    async def _take(self, kind: int, body: bytes) -> None:
        if kind == wire.Kind.STATE:
            self._store.take_state(wire.decode(body, wire.State))
        elif kind == wire.Kind.ANSWER:
            self._link.answered(wire.decode(body, wire.Answer))
        elif kind == wire.Kind.EVENT:
            self._store.take_event(wire.decode(body, wire.Event))
        elif kind == wire.Kind.TABLE:
            self._store.take_table(wire.decode(body, wire.Table))
            self._look_at_wishes()
        elif kind == wire.Kind.OPEN:
            await self._open(wire.decode(body, wire.Opening))
        elif self._door is not None and kind == wire.Kind.TOKEN:
            self._door.admit(wire.decode(body, wire.Token))
        elif self._scenes is not None and kind == wire.Kind.GLB:
            self._scenes.take_part(wire.decode(body, wire.GlbPart))
        elif self._scenes is not None and kind == wire.Kind.SCENE:
            scene: wire.Scene = wire.decode(body, wire.Scene)
            self._scenes.take(scene)
            self._store.take_scene(scene.epoch)

    def _look_at_wishes(self) -> None:
        if self._clients is not None:
            self._clients.look_at_wishes()

    async def _open(self, opening: wire.Opening) -> None:
        try:
            listener = listening_socket(opening.host, opening.port)
            key = Path(opening.key) if opening.key else None
            tls = server_tls(Path(opening.certificate), key) if opening.certificate else None
            port = int(listener.getsockname()[1])
            made, ended = wire.Kind.SESSION_MADE, wire.Kind.SESSION_ENDED
            self._door = door = Door(opening, port, self._post(made), self._post(ended))
        except (OSError, StagetwinError) as error:
            said = getattr(error, "strerror", None) or str(error)
            where = f"{opening.host}:{opening.port}"
            self._link.post(wire.Kind.LISTENING, wire.Listening(0, f"{where}: {said}"))
            raise _CannotListen from None
        self._store.opening = opening
        wants = self._post(wire.Kind.WANTS)
        self._clients = Clients(self._store, door, lambda *wished: wants(wire.Wants(*wished)))
        self._scenes = Scenes(door)
        files = Files(viewer_folder())
        app = make_app(opening, self._store, door, self._clients, self._link, self._scenes, files)
        self._server = make_server(
            app, tls, self._clients.counts, opening.clients, bool(opening.origins)
        )
        for work, name in (
            (self._server.serve([listener]), "server"),
            (self._clients.beat(), "beat"),
            (self._clients.tell_presence(), "presence"),
            (self._clients.look_after(), "look after"),
        ):
            self._tasks.append(asyncio.create_task(work, name=name))
        self._link.post(wire.Kind.LISTENING, wire.Listening(port))

    def _post(self, kind: wire.Kind) -> Callable[[Any], None]:
        return lambda body: self._link.post(kind, body)

    async def _end(self) -> None:
        if self._clients is not None:
            self._clients.send_away("going down")
            await asyncio.sleep(BYE_WITHIN)
        if self._server is not None:
            self._server.should_exit = True
            serving = [task for task in self._tasks if task.get_name() == "server"]
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.wait(serving), 3.5)
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)


async def _run(out: BinaryIO) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=2**22)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)

    def write(frame: bytes) -> None:
        # The service reads this pipe before anything else; there is no use in waiting otherwise.
        try:
            out.write(frame)
            out.flush()
        except OSError:
            os._exit(0)  # the service is gone, and so is the need for this process

    task = asyncio.current_task()
    assert task is not None  # this runs in one
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    # Ctrl-C reaches the whole process group; the service ends this one in its own time.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    with contextlib.suppress(asyncio.CancelledError):
        await _Gateway(Link(reader, write)).run()


def main() -> int:
    """Run until the input ends; returns the exit status."""
    configure_logging(
        os.environ.get("STAGETWIN_LOG", "text"), os.environ.get("STAGETWIN_LEVEL", "INFO")
    )
    for chatty in ("uvicorn", "uvicorn.error", "websockets"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Frames own the real standard output; whatever a library prints goes to the log instead.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        asyncio.run(_run(out))
    except msgspec.MsgspecError as error:
        _log.error("what the service sent cannot be read: %s", error)
        return 1
    return 0
