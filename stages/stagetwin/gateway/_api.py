"""HTTP beside the WebSocket: values, commands, alarms, topics, health and metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from stagetwin._errors import ServiceError
from stagetwin.gateway._clients import Clients
from stagetwin.gateway._door import Door, Visitor
from stagetwin.gateway._link import Link, Refused
from stagetwin.gateway._openapi import OPENAPI
from stagetwin.gateway._parsing import parse_object
from stagetwin.gateway._problems import Json, problem, status_of
from stagetwin.gateway._rows import flat, value_rows
from stagetwin.gateway._store import Store
from stagetwin.people import Right

__all__ = ["Api"]

Row = dict[str, Any]
Handler = Callable[[Request], Awaitable[Response]]

MAX_ROWS = 100_000

_COMMAND_TURNS = {"approve": "approve_command", "deny": "deny_command", "cancel": "cancel"}
_ALARM_TURNS = {
    "acknowledge": "acknowledge_alarm",
    "shelve": "shelve_alarm",
    "unshelve": "unshelve_alarm",
}
_QUALITIES = ("good", "uncertain", "bad", "stale")


class _Wrong(Exception):
    """A request that is not as it must be; its text says how it must be."""


class Api:
    """Answers programs; whoever asks is known before anything is looked at."""

    def __init__(self, store: Store, door: Door, clients: Clients, link: Link) -> None:
        self._store, self._door, self._clients, self._link = store, door, clients, link

    def known(self, handler: Callable[[Request, Visitor], Awaitable[Response]]) -> Handler:
        """Return a handler that is reached by those who are known alone."""

        async def guarded(request: Request) -> Response:
            visitor = self._door.visitor(request.headers)
            if visitor is None:
                return problem(401, "show a token (Authorization: Bearer ...), or log in")
            changes = request.method not in ("GET", "HEAD")
            sent = {"origin", "sec-fetch-site"} & set(request.headers.keys())
            if visitor.browser and changes and not sent:
                return problem(403, "a session's cookie counts from a browser's own page alone")
            try:
                return await handler(request, visitor)
            except _Wrong as error:
                return problem(400, str(error))
            except Refused as error:
                return problem(status_of(error.kind), str(error))
            except ServiceError as error:
                return problem(503, str(error), {"Retry-After": "1"})

        return guarded

    # -- what is known here

    async def openapi(self, _request: Request) -> Response:
        """Serve the description of this API; it says nothing of the plant."""
        return Json(OPENAPI)

    async def values(self, request: Request, visitor: Visitor) -> Response:
        """Serve values as flat rows."""
        query = request.query_params
        quality = query.get("quality", "")
        if quality and quality not in _QUALITIES:
            raise _Wrong(f"quality is one of {', '.join(_QUALITIES)}, got {quality!r:.40}")
        prim = query.get("prim", "/")
        limit = _whole(query.get("limit", str(MAX_ROWS)), "limit", MAX_ROWS)
        return self._rows((await self._values(visitor, prim, quality))[:limit])

    async def value(self, request: Request, visitor: Visitor) -> Response:
        """Serve one signal, `World/P101.flow`; of an array each element is a row."""
        path = "/" + request.path_params["path"].lstrip("/")
        rows = await self._values(visitor, path, "")
        if not rows or "." not in path:
            return problem(404, f"there is no signal {path:.200} here")
        return self._rows(rows)

    async def _values(self, visitor: Visitor, prim: str, quality: str) -> list[Row]:
        if not prim.startswith("/") or len(prim) > 1024:
            raise _Wrong(f"prim is a path from the root, got {prim!r:.80}")
        board = self._store.board
        roots = self._door.access.readable(visitor.who)
        return await value_rows(board, board.select((prim,), within=roots), quality)

    def _rows(self, rows: list[Row]) -> Response:
        board = self._store.board
        return Json({"tick": board.tick, "time": board.time, "count": len(rows), "rows": rows})

    # -- what the service is asked

    def listed(
        self, operation: str, arguments: Mapping[str, Callable[[str], Any]]
    ) -> Callable[[Request, Visitor], Awaitable[Response]]:
        """Return a handler that serves rows of the service under the name of the operation."""

        async def handler(request: Request, visitor: Visitor) -> Response:
            asked: Row = {"op": operation}
            for name, read in arguments.items():
                if name in request.query_params:
                    try:
                        asked[name] = read(request.query_params[name])
                    except ValueError:
                        raise _Wrong(f"{name} is not {request.query_params[name]!r:.40}") from None
            reply = await self._link.ask(visitor.who, asked)
            found = reply.get(operation, reply.get("entries", []))
            rest = {k: v for k, v in reply.items() if not isinstance(v, list)}
            if request.query_params.get("full") != "1":
                found = [flat(row) for row in found]
            return Json({**rest, "count": len(found), "rows": found})

        return handler

    def asked(self, operation: str) -> Callable[[Request, Visitor], Awaitable[Response]]:
        """Return a handler that passes a body, and an id of the path, on to the service."""

        async def handler(request: Request, visitor: Visitor) -> Response:
            body = {} if request.method == "GET" else await _body(request, empty=True)
            asked = {**body, **request.path_params, "op": operation}
            return Json(await self._link.ask(visitor.who, asked))

        return handler

    async def publish(self, request: Request, visitor: Visitor) -> Response:
        """Publish a request for a command; the same id again is the same request."""
        body = await _body(request)
        reply = await self._link.ask(visitor.who, {**body, "op": "publish"})
        return Json(reply, 202)

    async def command(self, request: Request, visitor: Visitor) -> Response:
        """Serve one command with its history."""
        asked = {"op": "command", "id": request.path_params["id"]}
        return Json(await self._link.ask(visitor.who, asked))

    async def turn_command(self, request: Request, visitor: Visitor) -> Response:
        """Approve, deny or cancel a command."""
        turn = _COMMAND_TURNS.get(request.path_params["turn"])
        if turn is None:
            return problem(404, "a command is approved, denied or cancelled")
        body = await _body(request, empty=True)
        asked = {**body, "op": turn, "id": request.path_params["id"]}
        return Json(await self._link.ask(visitor.who, asked))

    async def turn_alarm(self, request: Request, visitor: Visitor) -> Response:
        """Acknowledge, shelve or unshelve an alarm; its id is in the path or in the body."""
        turn = _ALARM_TURNS.get(request.path_params["turn"])
        if turn is None:
            return problem(404, "an alarm is acknowledged, shelved or unshelved")
        body = await _body(request, empty=True)
        asked = {**body, "op": turn, "id": "/" + request.path_params["id"].lstrip("/")}
        return Json(await self._link.ask(visitor.who, asked))

    # -- health

    async def health(self, request: Request) -> Response:
        """Say whether the service runs; more of it only to those who are known."""
        visitor = self._door.visitor(request.headers)
        alive = self._store.alive
        body: Row = {"status": "ok" if alive else "unavailable"}
        if visitor is not None:
            board = self._store.board
            body |= {"tick": board.tick, "time": board.time, "epoch": board.epoch}
            body |= {"clients": len(self._clients), "signals": self._readable_signals(visitor)}
        return Json(body, 200 if alive else 503)

    def _readable_signals(self, visitor: Visitor) -> int:
        roots = self._door.access.readable(visitor.who)
        return len(self._store.board.select(("/",), within=roots).channels)

    async def metrics(self, request: Request) -> Response:
        """Serve metrics to whoever may read the whole plant, and to this host."""
        visitor = self._door.visitor(request.headers)
        reads = visitor is not None and self._door.access.may(visitor.who, Right.READ, "/")
        if not reads and not request.scope["state"].get("loopback"):
            return problem(401 if visitor is None else 403, "metrics need the right to read /")
        counts, board = self._clients.counts, self._store.board
        lines: list[str] = []
        for name, kind, text, figure in (
            ("clients", "gauge", "Clients connected", len(self._clients)),
            ("frames_total", "counter", "Frames sent", counts.frames),
            ("messages_total", "counter", "Messages sent, frames among them", counts.messages),
            ("bytes_total", "counter", "Bytes sent in them", counts.bytes),
            ("slow_total", "counter", "Clients closed because they did not read", counts.slow),
            ("refused_total", "counter", "Clients refused", counts.refused),
            ("faults_total", "counter", "Values that their type cannot hold", board.faults),
            ("tick", "gauge", "Newest tick known", board.tick),
            ("service_alive", "gauge", "1 while the service speaks", int(self._store.alive)),
        ):
            lines.append(f"# HELP stagetwin_gateway_{name} {text}")
            lines.append(f"# TYPE stagetwin_gateway_{name} {kind}")
            lines.append(f"stagetwin_gateway_{name} {figure}")
        text = "\n".join(lines) + "\n"
        try:
            reply = await self._link.ask(self._store.owner, {"op": "metrics"})
            text += str(reply["metrics"])
        except ServiceError:
            pass  # its own figures stand; that it is silent is among them
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")


async def _body(request: Request, *, empty: bool = False) -> Row:
    """Return the JSON object that a request carries."""
    data = await request.body()
    if not data and empty:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # A form of another site could send anything else without being asked first.
        raise _Wrong(f"the body is application/json, got {kind or 'nothing'!r:.40}")
    try:
        return parse_object(data)
    except ValueError as error:
        raise _Wrong(f"the body: {error}") from None


def _whole(text: str, name: str, most: int) -> int:
    # Python itself refuses numbers of thousands of digits.
    fits = text.isascii() and text.isdigit() and len(text) <= 9
    if not fits or not 0 < int(text) <= most:
        raise _Wrong(f"{name} is a number in [1, {most}], got {text!r:.40}")
    return int(text)
