"""A small service on a real WebSocket: the sync protocol over a board, with answers of its own."""

from __future__ import annotations

import json
import logging
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from stagetwin.sync import Board, Selection

Message = dict[str, Any]
_quiet = logging.getLogger("tests.tiny_service")
_quiet.setLevel(logging.CRITICAL)


class Client:
    """One connection: what it subscribed, and the tick that it was sent last."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.resume: Message = {}
        self.selection: Selection | None = None
        self.prims: list[str] = ["/"]
        self.sent = 0


class TinyService:
    """Serves until closed.

    Attributes:
        board: what clients are sent from.
        answers: by operation, what answers a request.
        said: what clients said, in order.
        headers: of each handshake.
        opening: events that a new client is told.
        run: id of this life.
        redirect: where clients are sent instead.
    """

    def __init__(
        self, token: str = "", tls: ssl.SSLContext | None = None, board: Board | None = None
    ) -> None:
        self.board = Board() if board is None else board
        self.token = token
        self.answers: dict[str, Callable[[Message], Message]] = {}
        self.said: list[Message] = []
        self.headers: list[dict[str, str]] = []
        self.opening: list[Message] = []
        self.run = "run-1"
        self.redirect = ""
        self.clients: list[Client] = []
        self.lock = threading.RLock()
        self._server: Server = serve(
            self._serve,
            "127.0.0.1",
            0,
            ssl=tls,
            subprotocols=["stagetwin.sync.1"],
            process_request=self._let_in,
            compression=None,
            logger=_quiet,
            close_timeout=1,
        )
        self.port = int(self._server.socket.getsockname()[1])
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="tiny service")
        self._thread.start()

    def _let_in(self, socket: ServerConnection, request: Any) -> Any:
        self.headers.append({"path": request.path, **dict(request.headers.raw_items())})
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return socket.respond(401, "log in first")
        if self.redirect:
            answer = socket.respond(302, "")
            answer.headers["Location"] = self.redirect
            return answer
        return None

    def _serve(self, socket: ServerConnection) -> None:
        client = Client(socket)
        try:
            for text in socket:
                self._hear(client, json.loads(text))
        except ConnectionClosed:
            pass
        finally:
            with self.lock:
                if client in self.clients:
                    self.clients.remove(client)

    def _hear(self, client: Client, said: Message) -> None:
        with self.lock:
            self.said.append(said)
            if said["op"] == "hello":
                client.resume = said.get("resume", {})
                welcome = {"op": "welcome", "run": self.run, "epoch": self.board.epoch}
                welcome |= {"tick": self.board.tick, "session": f"s{len(self.headers)}"}
                welcome |= {"user": "ada", "rights": ["read"], "stage": "plant.usda"}
                self.send(client, {**welcome, "tick_rate": 60.0, "commands": True})
                for event in self.opening:
                    self.send(client, event)
            elif said["op"] == "subscribe":
                client.prims = said["prims"]
                self._subscribe(client)
            elif said["op"] == "ask":
                self._answer(client, said)

    def _subscribe(self, client: Client) -> None:
        first = client.selection is None
        client.selection = self.board.select(client.prims)
        known = client.resume
        same = known.get("run") == self.run and known.get("table") == client.selection.number
        client.sent = int(known["tick"]) if first and same else 0
        client.resume = {}
        client.socket.send(self.board.message(client.selection, resumed=bool(client.sent)))
        if client not in self.clients:
            self.clients.append(client)
        self.push_to(client)

    def _answer(self, client: Client, said: Message) -> None:
        request = said["request"]
        handler = self.answers.get(request["op"])
        reply: Message = {"op": "reply", "id": said["id"], "ok": True}
        if handler is None:
            error = f"no operation {request['op']!r}"
            reply |= {"ok": False, "error": error, "kind": "ServiceError"}
        else:
            reply |= handler(request)
        self.send(client, reply)

    def send(self, client: Client, message: Message) -> None:
        client.socket.send(json.dumps(message))

    def event(self, message: Message) -> None:
        """Tell all."""
        with self.lock:
            for client in self.clients:
                self.send(client, message)

    def push_to(self, client: Client) -> None:
        assert client.selection is not None
        data = self.board.encoded(client.selection, client.sent)
        if data:
            client.socket.send(data)
        client.sent = self.board.tick

    def push(self) -> None:
        """Send each client what changed since it was sent something."""
        with self.lock:
            for client in self.clients:
                self.push_to(client)

    def update(self, rows: list[int], values: list[float], time: float = 1_700_000_000.0) -> None:
        """Take numbers of a new tick, all good, and push."""
        with self.lock:
            n = len(rows)
            self.board.update(
                self.board.tick + 1,
                time,
                np.array(rows),
                np.array(values, np.float64),
                times=np.full(n, time),
                qualities=np.zeros(n, np.uint8),
                status=np.zeros(n, np.uint32),
            )
            self.push()

    def cut(self) -> None:
        """Break every connection."""
        with self.lock:
            clients = list(self.clients)
        for client in clients:
            client.socket.close()

    def asked(self, operation: str) -> list[Message]:
        """Return the requests of an operation, and what else was said under that name."""
        with self.lock:
            found = [s["request"] for s in self.said if s["op"] == "ask"]
            return [r for r in (*found, *self.said) if r["op"] == operation]

    def close(self) -> None:
        self._server.shutdown()
        self.cut()
        self._thread.join(10)
        assert not self._thread.is_alive()


def until(what: Callable[[], Any], limit: float = 30.0) -> Any:
    """Wait until something is so, and return it; fail after a generous while."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.005)
    raise AssertionError("it never came true")
