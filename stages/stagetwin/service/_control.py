"""The control socket: how the command line talks to a running service.

A Unix socket of mode 0600, or 0660 for a group that is named: who may open it is decided by the
operating system. Its folder is the user's own and nobody else may write there; one that is made
here has mode 0700, or 0710 for the group. One JSON object a line each way, with null for a number
that is not finite; `watch` answers with a line per frame until the client leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import grp
import json
import logging
import math
import os
import pwd
import socket
import stat
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from stagetwin._errors import ServiceError, StagetwinError
from stagetwin.people import Principal

__all__ = ["ControlClient", "ControlServer", "asking", "asking_as", "peer_is_owner", "peer_user"]

_log = logging.getLogger(__name__)

Request = dict[str, Any]


class _Peer(NamedTuple):
    """Who connected: a user's name, empty if nobody can say, and whether that one may do all."""

    user: str
    owner: bool


_asking: contextvars.ContextVar[Principal] = contextvars.ContextVar("asking")


def asking() -> Principal:
    """Return who sent the request that is being answered.

    Over the control socket the operating system says it, not the client: it is the user that the
    client's process ran as when it connected. For all else the gateway says it.

    Raises:
        ServiceError: nothing is being answered.
    """
    who = _asking.get(None)
    if who is None:
        raise ServiceError("no request is being answered")
    return who


@contextlib.contextmanager
def asking_as(who: Principal) -> Iterator[None]:
    """Answer a request in somebody's name: what runs within finds them by `asking`."""
    token = _asking.set(who)
    try:
        yield
    finally:
        _asking.reset(token)


def peer_user() -> str:
    """Return the name of whoever is asking, for the record.

    Raises:
        ServiceError: nobody can say.
    """
    who = _asking.get(None)
    if who is None or not who.name:
        raise ServiceError("the system does not say who is asking")
    return who.name


def peer_is_owner() -> bool:
    """Tell whether the request that is answered comes from the service's own user, or from root."""
    who = _asking.get(None)
    return who is not None and who.owner


Handler = Callable[[Request], AsyncIterator[dict[str, Any]]]

_REFUSED = (
    StagetwinError,
    LookupError,
    TypeError,
    ValueError,
    ArithmeticError,
    OSError,
    RecursionError,
)
"""What a request may run into: errors raised on purpose, then wrong keys, numbers, paths, depth."""

MAX_LINE = 2**24
MAX_CLIENTS = 64
MAX_OTHERS = 48
"""Clients at which users other than the service's own are refused: it keeps a way in."""

MAX_PATH = 107
"""Longest path of a Unix socket [bytes]: `sun_path` has 108, one of them for the end."""


class ControlServer:
    """Serves requests on a Unix socket until closed."""

    def __init__(
        self,
        path: Path,
        handler: Handler,
        group: str = "",
        who_is: Callable[[str, bool], Principal] = Principal,
    ) -> None:
        """Prepare.

        Args:
            path: of the socket.
            handler: answers requests.
            group: users of this group may open it too; nobody else if empty.
            who_is: returns who a user of the operating system is, and whether that one is the
                service's own.
        """
        self._path = path
        self._handler = handler
        self._who_is = who_is
        self._group = group
        self._gid: int | None = None
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen.

        Raises:
            ServiceError: another service listens there, or the folder, the path or the group is
                not fit.
        """
        _check_length(self._path)
        if self._group:
            self._gid = _gid_of(self._group)
        _private_folder(self._path.parent, self._gid)
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
        if self._gid is not None:
            try:
                os.chown(self._path, -1, self._gid)
                self._path.chmod(0o660)
            except OSError as error:
                await self.close()
                raise _no_group(self._path, self._group, error) from None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # streams call their callback in a task
        self._clients.add(task)
        peer = _peer_of(writer.get_extra_info("socket"), alone=self._gid is None)
        try:
            if len(self._clients) > (MAX_CLIENTS if peer.owner else MAX_OTHERS):
                await self._turn_away(writer)
                return
            while line := await reader.readline():
                # Asked each time: the people of a plant change while a client stays.
                _asking.set(self._who_is(*peer))
                await self._answer(line, writer)
        except (ConnectionError, asyncio.LimitOverrunError, ValueError):
            pass  # the client left, or sends what is no line: its connection ends here
        except asyncio.CancelledError:
            # Ended by close(); re-raising would only make the stream callback log it.
            pass
        finally:
            self._clients.discard(task)
            writer.close()

    async def _turn_away(self, writer: asyncio.StreamWriter) -> None:
        text = f"{len(self._clients) - 1} clients ask this service already; try again later"
        writer.write(_encoded({"ok": False, "error": text, "kind": "ServiceError"}))
        await writer.drain()

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise ServiceError("a request is a JSON object")
            async for reply in self._handler(request):
                writer.write(_encoded({"ok": True, **reply}))
                await writer.drain()
        except ConnectionError:
            raise  # the client left: there is nobody to answer
        except _REFUSED as error:
            reply = {"ok": False, "error": str(error), "kind": type(error).__name__}
            writer.write(_encoded(reply))
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
        _check_length(path)
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
        """Send a request and return its reply.

        Raises:
            ServiceError: it was refused, or the service ended before it answered.
        """
        self._send(request)
        try:
            return self._receive()
        except EOFError:
            raise ServiceError("the service ended the connection") from None

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
            # It may have said why.
            with contextlib.suppress(EOFError):
                self._receive()
            raise ServiceError(f"the service at {self._path} left ({error})") from None

    def _receive(self) -> dict[str, Any]:
        try:
            line = self._file.readline()
        except TimeoutError:
            raise ServiceError(f"the service at {self._path} does not answer") from None
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            raise EOFError  # nothing more, or a reply that was cut off
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


def _private_folder(folder: Path, gid: int | None) -> None:
    """Make a folder for its user alone, and for a group to pass, or check the one that is there.

    One that others may read will do, since the socket in it is closed to them; one that they may
    write will not: they could put a socket of their own in its place.
    """
    made = not folder.exists()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if made and gid is not None:
            os.chown(folder, -1, gid)
            folder.chmod(0o710)
        status = folder.lstat()
    except OSError as error:
        raise ServiceError(
            f"no folder for a socket at {folder} ({error.strerror or error})"
        ) from None
    if not stat.S_ISDIR(status.st_mode):
        raise ServiceError(f"{folder} is a link, not a folder; name a socket elsewhere")
    if status.st_uid != os.getuid():
        raise ServiceError(f"{folder} belongs to another user; name a socket elsewhere")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ServiceError(f"{folder} can be written by others; name a socket elsewhere")
    if gid is not None and not _lets_pass(status, gid):
        _log.warning("the socket's group cannot enter %s (chgrp, and chmod 710)", folder)


def _lets_pass(status: os.stat_result, gid: int) -> bool:
    bit = stat.S_IXGRP if status.st_gid == gid else stat.S_IXOTH
    return bool(status.st_mode & bit)


def _gid_of(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except (KeyError, ValueError):
        raise ServiceError(f"there is no group {group!r} here for the control socket") from None


def _no_group(path: Path, group: str, error: OSError) -> ServiceError:
    return ServiceError(
        f"{path} cannot be given to the group {group!r} ({error.strerror or error}); the service's "
        f"user must be one of it"
    )


def _check_length(path: Path) -> None:
    size = len(os.fsencode(path))
    if size > MAX_PATH:
        raise ServiceError(
            f"a socket's path has at most {MAX_PATH} bytes, {path} has {size}; name a shorter one"
        )


def _peer_of(peer: Any, *, alone: bool) -> _Peer:
    """Return who is at the other end of a socket.

    Args:
        peer: the socket.
        alone: whether only the service's own user can have opened it, which counts where the system
            does not tell.
    """
    option = getattr(socket, "SO_PEERCRED", None)
    if peer is None or option is None:
        return _Peer("", owner=alone)
    _, uid, _ = struct.unpack(
        "iII", peer.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("iII"))
    )
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = f"uid-{uid}"
    return _Peer(user, owner=uid in (0, os.geteuid()))


def _encoded(reply: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(reply, allow_nan=False)
    except ValueError:
        text = json.dumps(_json(reply), allow_nan=False)
    return text.encode() + b"\n"


def _json(value: Any) -> Any:
    """Return a reply with null where a number is not finite: JSON has no word for it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    return [_json(item) for item in value] if isinstance(value, (list, tuple)) else value


def _answers(path: Path) -> bool:
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
