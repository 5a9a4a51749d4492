"""The web server: uvicorn, with what it does not know: patience has an end, and says when."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from asyncio.transports import BaseTransport
from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from stagetwin.gateway._client import Counts
from stagetwin.gateway._config import is_loopback

__all__ = ["Server", "listening_socket", "make_server"]

NOT_DRAINED_FOR = 30.0
"""Time that a client may leave what was sent to it in our buffer before it is closed [s]."""

REQUEST_WITHIN = 20.0
"""Time that a client has for the whole of a request [s]."""

MAX_MESSAGE = 2**22
"""Largest message of a client on the WebSocket [B]: a comment may carry a picture."""

MORE_CONNECTIONS = 256
"""Connections at once besides one for each client: pages, models, programs."""

PINGS_A_SECOND = 5.0
PINGS_AT_ONCE = 100.0
"""Pings of one client that are answered; whoever sends more is closed: their answers queue."""

UNSENT = 2**17
"""What the system may hold unsent for one client [B]: the rest is decided late, and so is new."""

_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25)


class _Patience:
    """Closes a connection whose buffer stays full; a mixin for both protocols."""

    counts = Counts()
    most = 1000
    _impatience: asyncio.TimerHandle | None = None

    def watch(self, transport: Any) -> None:
        transport.set_write_buffer_limits(high=2**16)
        connection = transport.get_extra_info("socket")
        if connection is not None and hasattr(socket, "IPPROTO_TCP"):
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, UNSENT)

    def grow_impatient(self, transport: Any) -> None:
        loop = asyncio.get_running_loop()
        self._impatience = loop.call_later(NOT_DRAINED_FOR, self._give_up, transport)

    def be_patient(self) -> None:
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None

    def _give_up(self, transport: Any) -> None:
        self.counts.slow += 1
        transport.abort()


class _Http(_Patience, H11Protocol):
    """HTTP: a request must come in whole, in time."""

    _deadline: asyncio.TimerHandle | None = None
    _host = ""
    proxied = False
    hosts: ClassVar[Counter[str]] = Counter()
    """Connections that have not become a WebSocket, by the host they come from."""

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self.watch(transport)
        self._expect()
        if self.client is not None and not self.proxied:
            self._host = self.client[0]
            self.hosts[self._host] += 1
        # One host alone, which need not even log in, must not take all the room.
        crowded = self.hosts[self._host] > self.most // 2 if self._host else False
        if crowded or len(self.connections) > self.most:
            self.transport.abort()

    def _count_out(self) -> None:
        if self._host:
            self.hosts[self._host] -= 1
            if self.hosts[self._host] <= 0:
                del self.hosts[self._host]
            self._host = ""

    def _expect(self) -> None:
        if self._deadline is None:
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(REQUEST_WITHIN, self._too_late)

    def _too_late(self) -> None:
        self._deadline = None
        cycle = self.cycle
        if cycle is None or (not cycle.response_complete and cycle.more_body):
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self._expect()
        super().data_received(data)

    def on_response_complete(self) -> None:
        self._forget()
        super().on_response_complete()

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        self._count_out()
        self.be_patient()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._forget()
        self._count_out()
        super().handle_websocket_upgrade(event)

    def pause_writing(self) -> None:
        self.grow_impatient(self.transport)
        super().pause_writing()

    def resume_writing(self) -> None:
        self.be_patient()
        super().resume_writing()


class _WebSocket(_Patience, WebSocketsSansIOProtocol):
    """WebSocket: who sends can see whether there is room."""

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        self.watch(transport)

    _pings, _pinged = PINGS_AT_ONCE, 0.0

    def handle_ping(self) -> None:
        now = asyncio.get_running_loop().time()
        self._pings = min(self._pings + (now - self._pinged) * PINGS_A_SECOND, PINGS_AT_ONCE) - 1
        self._pinged = now
        if self._pings < 0:
            self.counts.slow += 1
            self.transport.abort()
        else:
            super().handle_ping()

    async def run_asgi(self) -> None:
        self.scope.setdefault("state", {})["drained"] = self.writable
        await super().run_asgi()

    def connection_lost(self, exc: Exception | None) -> None:
        self.be_patient()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        self.grow_impatient(self.transport)
        super().pause_writing()

    def resume_writing(self) -> None:
        self.be_patient()
        super().resume_writing()


class _Located:
    """Says of each request whether it comes from this host."""

    def __init__(self, app: ASGIApp, proxied: bool) -> None:
        self._app, self._proxied = app, proxied

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            client = scope.get("client")
            # Behind a proxy on this host everybody seems to come from here.
            local = client is not None and is_loopback(client[0]) and not self._proxied
            scope.setdefault("state", {}).update(loopback=local, proxied=self._proxied)
        await self._app(scope, receive, send)


class Server(uvicorn.Server):
    """A server whose end is decided by the pipe to the service, not by signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        OSError: that place is taken, or is none of this host's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=256)


def make_server(
    app: ASGIApp, tls: ssl.SSLContext | None, counts: Counts, clients: int, proxied: bool
) -> Server:
    """Return a server for an app.

    Args:
        app: what is served.
        tls: how it is spoken to; None for plain.
        counts: where clients are counted that were closed.
        clients: most clients on the WebSocket at once.
        proxied: whether a reverse proxy stands in front of it.
    """
    _Patience.counts, _Patience.most = counts, clients + MORE_CONNECTIONS
    _Http.proxied = proxied
    config = uvicorn.Config(
        _Located(app, proxied),
        http=_Http,
        ws=_WebSocket,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ws_max_size=MAX_MESSAGE,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        ws_per_message_deflate=False,
        timeout_keep_alive=20,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=2**15,
    )
    config.load()
    config.ssl = tls
    return Server(config)
