"""The pipe to the service, at the gateway's end."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import Any

from stagetwin._errors import ServiceError
from stagetwin.gateway import _wire as wire
from stagetwin.host import wire as host_wire
from stagetwin.people import Principal

__all__ = ["Link", "Refused"]

_log = logging.getLogger(__name__)

ANSWER_WITHIN = 30.0
"""How long the service may take for one answer [s]."""

MAX_ASKED = 256


class Refused(ServiceError):
    """The service refused a request.

    Attributes:
        kind: name of the error.
    """

    def __init__(self, text: str, kind: str) -> None:
        super().__init__(text)
        self.kind = kind


class Link:
    """Frames in and out, and what was asked and not yet answered."""

    def __init__(self, reader: asyncio.StreamReader, writer: Callable[[bytes], None]) -> None:
        self._reader = reader
        self._write = writer
        self._numbers = itertools.count(1)
        self._open: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def read(self) -> tuple[int, bytes] | None:
        """Return the next frame, None once the service has gone."""
        try:
            head = await self._reader.readexactly(host_wire.HEADER.size)
            size, kind = host_wire.HEADER.unpack(head)
            return kind, await self._reader.readexactly(size) if size else b""
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    def post(self, kind: wire.Kind, body: Any) -> None:
        """Send a frame."""
        self._write(wire.encode(kind, body))

    def alive(self) -> None:
        """Say that this process lives."""
        self._write(host_wire.HEADER.pack(0, host_wire.Kind.ALIVE))

    async def ask(
        self, who: Principal, request: dict[str, Any], session: str = ""
    ) -> dict[str, Any]:
        """Ask the service in somebody's name and return its reply.

        Raises:
            Refused: the service refused, with its words.
            ServiceError: it does not answer, or has too much to do.
        """
        if len(self._open) >= MAX_ASKED:
            raise ServiceError("too much is asked at once; try again")
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._open[number] = answer
        ask = wire.Ask(number, who.name, who.owner, who.via, session, request)
        try:
            self.post(wire.Kind.ASK, ask)
            async with asyncio.timeout(ANSWER_WITHIN):
                return await answer
        except TimeoutError:
            raise ServiceError("the service does not answer") from None
        except (ValueError, OverflowError, TypeError, RecursionError):
            raise Refused("a request has numbers of at most 64 bits", "ValueError") from None
        finally:
            del self._open[number]

    def answered(self, answer: wire.Answer) -> None:
        """Pass an answer on to whoever asked, if they still wait."""
        waiting = self._open.get(answer.number)
        if waiting is None or waiting.done():
            return
        if answer.ok:
            waiting.set_result(answer.body)
        else:
            body = answer.body
            waiting.set_exception(Refused(str(body.get("error")), str(body.get("kind"))))
