"""The WebSocket `/sync`: hello, then whatever the client asks, while it is fed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from typing import Any

import msgspec
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from stagetwin._errors import ServiceError, SyncError
from stagetwin.gateway._client import Client, Subscription, message
from stagetwin.gateway._clients import Clients
from stagetwin.gateway._door import Door, Visitor
from stagetwin.gateway._link import Link, Refused
from stagetwin.gateway._parsing import parse_object
from stagetwin.gateway._problems import problem
from stagetwin.gateway._store import Store

__all__ = ["PROTOCOL", "SyncEndpoint"]

_log = logging.getLogger(__name__)

PROTOCOL = "stagetwin.sync.1"

HELLO_WITHIN = 10.0
"""Time that a client has to say hello [s]."""

MESSAGES_A_SECOND = 40
MESSAGES_AT_ONCE = 120
BYTES_A_SECOND = 2**20
BYTES_AT_ONCE = 2**24
MAX_ASKED = 16
"""Requests of one client that are answered at once."""

MAX_MISTAKES = 20
"""Messages that cannot be understood before a client is sent away."""


class _Pace:
    """Lets so much through in a second."""

    def __init__(self, rate: float, at_once: float) -> None:
        self._rate, self._most = rate, at_once
        self._left = at_once
        self._at = time.monotonic()

    def allows(self, amount: float) -> bool:
        """Count something; return whether it is within the pace."""
        now = time.monotonic()
        self._left = min(self._left + (now - self._at) * self._rate, self._most) - amount
        self._at = now
        return self._left >= 0


class _Wire:
    """The sending side of a WebSocket, with the transport's own word on whether it is full."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._drained = socket.scope["state"].get("drained")

    async def drained(self) -> None:
        """Wait until what was sent has left for the most part."""
        if self._drained is not None:
            await self._drained.wait()

    async def send(self, message: str | bytes) -> None:
        """Send a message."""
        if isinstance(message, str):
            await self._socket.send_text(message)
        else:
            await self._socket.send_bytes(message)


class SyncEndpoint:
    """Serves one WebSocket after another; each in a task of its own."""

    def __init__(self, store: Store, door: Door, clients: Clients, link: Link) -> None:
        self._store, self._door, self._clients, self._link = store, door, clients, link

    async def serve(self, socket: WebSocket) -> None:
        """Serve one client until it leaves or is sent away."""
        visitor = self._door.visitor(socket.headers)
        refusal = self._refusal(socket, visitor)
        if refusal is not None or visitor is None:
            self._clients.counts.refused += 1
            refusal = refusal or problem(401, "log in first")
            if "origin" in socket.headers and PROTOCOL in socket.scope.get("subprotocols", ()):
                # A page is not told why its handshake fails, only why a socket is closed.
                await socket.accept(subprotocol=PROTOCOL)
                with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                    await socket.close(4000 + refusal.status_code, "see the protocol of /sync")
                return
            await socket.send_denial_response(refusal)
            return
        await socket.accept(subprotocol=PROTOCOL)
        with contextlib.suppress(WebSocketDisconnect):
            await self._greet(socket, visitor)

    def _refusal(self, socket: WebSocket, visitor: Visitor | None) -> JSONResponse | None:
        if visitor is None:
            return problem(401, "log in first, or show a token")
        if visitor.browser and "origin" not in socket.headers:
            return problem(403, "a session's cookie counts from a browser's own page alone")
        if PROTOCOL not in socket.scope.get("subprotocols", ()):
            return problem(400, f"the protocol here is {PROTOCOL}")
        opening = self._store.opening
        assert opening is not None  # nothing listens before
        local = bool(socket.scope["state"].get("loopback"))
        if self._clients.places_left(opening.clients, local) <= 0:
            return problem(503, f"{len(self._clients)} clients are here already; try again later")
        if not self._door.access.readable(visitor.who):
            return problem(403, f"{visitor.who.name} may read nothing here")
        return None

    async def _greet(self, socket: WebSocket, visitor: Visitor) -> None:
        try:
            async with asyncio.timeout(HELLO_WITHIN):
                hello = _parsed(await socket.receive_text())
            if hello.get("op") != "hello":
                raise SyncError(f"the first message is hello, got {hello.get('op')!r:.40}")
            client = self._client(socket, visitor, hello)
            resume = self._resume(hello.get("resume"))
            wanted = Subscription.of(hello["subscribe"]) if "subscribe" in hello else None
        except TimeoutError:
            await _bid(socket, "no hello came")
            return
        except (SyncError, KeyError, TypeError) as error:
            await _bid(socket, str(error))
            return
        await socket.send_text(self._welcome(client))
        await self._serve(socket, client, resume, wanted)

    def _client(self, socket: WebSocket, visitor: Visitor, hello: dict[str, Any]) -> Client:
        roots = self._door.access.readable(visitor.who)
        session = secrets.token_hex(8)
        client = Client(visitor, session, roots, self._store, _Wire(socket), self._clients.counts)
        client.program = str(hello.get("client", ""))[:80]
        return client

    def _resume(self, said: Any) -> tuple[int, int] | None:
        """Return table and tick of what the client has, if that is of this life of the service."""
        opening = self._store.opening
        if not isinstance(said, dict) or opening is None or said.get("run") != opening.run:
            return None
        table, tick = said.get("table"), said.get("tick")
        if isinstance(table, bool) or not isinstance(table, int) or not isinstance(tick, int):
            return None
        return table, tick

    def _welcome(self, client: Client) -> str:
        opening, board = self._store.opening, self._store.board
        assert opening is not None  # nothing listens before
        return message(
            "welcome",
            run=opening.run,
            epoch=board.epoch,
            tick=board.tick,
            session=client.session,
            user=client.who.name,
            rights=self._door.access.rights(client.who),
            stage=opening.stage,
            tick_rate=opening.tick_rate,
            commands=opening.commands,
        )

    # -- while it stays

    async def _serve(
        self,
        socket: WebSocket,
        client: Client,
        resume: tuple[int, int] | None,
        wanted: Subscription | None,
    ) -> None:
        said: list[str] = []
        ending = asyncio.Event()

        def leave(why: str) -> None:
            said.append(why)
            ending.set()

        listener = _Listener(self._link, self._door, self._clients, client, resume)
        tasks: list[asyncio.Task[Any]] = []
        try:
            self._clients.join(client, leave)
            if wanted is not None:
                listener.subscribe(wanted)
            tasks += [
                asyncio.create_task(client.serve(), name=f"serve {client.session}"),
                asyncio.create_task(listener.listen(socket), name=f"listen {client.session}"),
                asyncio.create_task(ending.wait(), name=f"ending {client.session}"),
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        except SyncError as refusal:
            said.append(str(refusal))
        finally:
            # Also one that could not be told what stands: its place is free again.
            self._clients.part(client)
            listener.cancel()
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
        for task in tasks:
            error = None if task.cancelled() else task.exception()
            if isinstance(error, SyncError):
                said.append(str(error))
            elif error is not None and not isinstance(error, WebSocketDisconnect):
                _log.error("a client was not served to its end", exc_info=error)
        if said:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await _bid(socket, said[0])


class _Listener:
    """Obeys what one client sends."""

    def __init__(
        self,
        link: Link,
        door: Door,
        clients: Clients,
        client: Client,
        resume: tuple[int, int] | None,
    ) -> None:
        self._link, self._door, self._clients, self._client = link, door, clients, client
        self._resume = resume
        self._asked: set[asyncio.Task[None]] = set()
        self._messages = _Pace(MESSAGES_A_SECOND, MESSAGES_AT_ONCE)
        self._bytes = _Pace(BYTES_A_SECOND, BYTES_AT_ONCE)
        self._mistakes = 0

    async def listen(self, socket: WebSocket) -> None:
        """Take messages until the client leaves.

        Raises:
            SyncError: it is to be sent away, for what it sends.
        """
        while True:
            received = await socket.receive()
            if received["type"] == "websocket.disconnect":
                return
            text = received.get("text")
            if not self._messages.allows(1):
                raise SyncError(f"more than {MESSAGES_A_SECOND} messages a second")
            if not self._bytes.allows(len(text or "")):
                raise SyncError(f"more than {BYTES_A_SECOND} bytes a second")
            self._door.touch(self._client.visitor)
            said: dict[str, Any] = {}
            try:
                said = _parsed(text)
                self._obey(said)
            except (SyncError, RecursionError) as error:
                self._mistakes += 1
                if self._mistakes > MAX_MISTAKES:
                    raise SyncError("too many messages that cannot be understood") from None
                self._reply(said.get("id"), {"error": str(error), "kind": type(error).__name__})

    def _obey(self, said: dict[str, Any]) -> None:
        operation = said.get("op")
        if operation == "subscribe":
            self.subscribe(Subscription.of(said))
        elif operation == "ask":
            self._ask(said)
        elif operation == "presence":
            self._clients.presence(self._client, said)
        elif operation == "draft":
            self._clients.draft(self._client, said)
        else:
            raise SyncError(f"no message {operation!r:.40}; see the protocol of /sync")

    def subscribe(self, wanted: Subscription) -> None:
        """Replace the subscription; the first one may go on from what the client has."""
        resume, self._resume = self._resume, None
        self._client.subscribe(wanted, resume)
        self._clients.look_at_wishes()

    def _ask(self, said: dict[str, Any]) -> None:
        request = said.get("request")
        if not isinstance(request, dict):
            raise SyncError("request must be an object with op")
        if len(self._asked) >= MAX_ASKED:
            raise SyncError(f"at most {MAX_ASKED} requests of one client are answered at once")
        task = asyncio.create_task(self._answer(said.get("id"), request))
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    async def _answer(self, number: Any, request: dict[str, Any]) -> None:
        try:
            reply = await self._link.ask(self._client.who, request, self._client.session)
            self._reply(number, {**reply, "ok": True})
        except Refused as error:
            self._reply(number, {"error": str(error), "kind": error.kind})
        except ServiceError as error:
            self._reply(number, {"error": str(error), "kind": "ServiceError"})

    def _reply(self, number: Any, fields: dict[str, Any]) -> None:
        number = number if isinstance(number, (int, str)) and len(str(number)) <= 80 else None
        body = {"ok": False, **fields, "op": "reply", "id": number}
        with contextlib.suppress(SyncError):  # it does not read what it asked for
            self._client.put("reply", str(number), msgspec.json.encode(body).decode())

    def cancel(self) -> None:
        """Forget what was asked and not yet answered."""
        for task in self._asked:
            task.cancel()


def _parsed(text: Any) -> dict[str, Any]:
    if not isinstance(text, str):
        raise SyncError("messages of clients are JSON texts")
    try:
        return parse_object(text)
    except ValueError as error:
        raise SyncError(str(error)) from None


async def _bid(socket: WebSocket, why: str) -> None:
    """Say goodbye and why, and close."""
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        await socket.send_text(message("bye", why=why))
        await socket.close(1000 if why == "going down" else 1008, why[:100])
