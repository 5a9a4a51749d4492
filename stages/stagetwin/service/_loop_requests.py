"""What advisers and people may ask about loops of policies. Who asks comes from the socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from stagetwin._errors import CommandError
from stagetwin.commands import Loop, Loops
from stagetwin.envelopes import Envelope
from stagetwin.service._control import peer_is_owner, peer_user
from stagetwin.service._desk import Desk
from stagetwin.service._reasons import reason_of
from stagetwin.service._visible import Visible

__all__ = ["LoopRequests"]

Reply = dict[str, Any]

MAX_SAID = 4096
"""Longest of what an adviser tells of itself, as JSON text [characters]."""


MAX_ENVELOPE = 262_144
"""Longest envelope, as JSON text [characters]."""


class Deciding(Protocol):
    """What gives the command side of a service.

    Raises:
        CommandError: the service is read-only, or its commands do not run.
    """

    def __call__(self) -> Desk: ...


class LoopRequests:
    """Answers requests about loops, on the service's event loop.

    Attributes:
        once: requests with one answer, by operation.
        streams: those that wait for the ledger, by operation.
    """

    def __init__(self, desk: Deciding, visible: Visible) -> None:
        self._desk, self._visible = desk, visible
        self.once: dict[str, Callable[[Reply], Reply]] = {
            "loops": lambda _: {"loops": self._loops.rows(visible.reads)},
            "loop_open": self._open,
            "loop_beat": self._beat,
            "loop_leave": self._leave,
            "loop_close": self._close,
            "loop_stop": self._stop,
        }
        self.streams: dict[str, Callable[[Reply], AsyncIterator[Reply]]] = {
            "loop_approve": self._approve
        }

    @property
    def _loops(self) -> Loops:
        return self._desk().loops

    def _row(self, loop: Loop) -> Reply:
        return {"loop": self._loops.row(loop)}

    def _open(self, request: Reply) -> Reply:
        policy, session, envelope = (request.get(key) for key in ("policy", "session", "envelope"))
        if not isinstance(policy, str) or len(policy) > 200:
            raise CommandError(
                f"policy must be a text of at most 200 characters, got {policy!r:.80}"
            )
        if len(json.dumps(envelope)) > MAX_ENVELOPE:
            raise CommandError(f"an envelope has at most {MAX_ENVELOPE} characters as JSON")
        for one in Envelope.of(envelope).commands:
            self._visible.require(one.target)
        return self._row(self._loops.announce(session, policy, envelope, peer_user()))

    def _beat(self, request: Reply) -> Reply:
        said = [request.get(key, {}) for key in ("counts", "advice")]
        for one in said:
            if not isinstance(one, dict) or len(json.dumps(one)) > MAX_SAID:
                raise CommandError(
                    f"counts and advice are objects of at most {MAX_SAID} characters"
                )
        loop = self._loops.beat(
            _id(request),
            peer_user(),
            str(request.get("stage", "")),
            ready=request.get("ready") is True,
            counts=said[0],
            advice=said[1],
        )
        return self._row(loop)

    def _leave(self, request: Reply) -> Reply:
        return self._row(self._loops.leave(_id(request), peer_user(), reason_of(request)))

    def _close(self, request: Reply) -> Reply:
        return self._row(self._loops.close_session(_id(request), peer_user()))

    def _stop(self, request: Reply) -> Reply:
        self._find(request)
        reason = reason_of(request)
        loop = self._loops.stop(_id(request), peer_user(), reason, owner=peer_is_owner())
        return self._row(loop)

    async def _approve(self, request: Reply) -> AsyncIterator[Reply]:
        """Approve a loop, and answer once the ledger has it."""
        self._find(request)
        written: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def told(why: str) -> None:
            if not written.done():
                written.set_result(why)

        loop = self._loops.approve(_id(request), request.get("statement"), peer_user(), told)
        if why := await written:
            raise CommandError(f"session {loop.session.id} has no loop: {why}")
        yield self._row(loop)

    def _find(self, request: Reply) -> Loop:
        """Return an open session whose commands whoever asks may see."""
        loop = self._loops.find(_id(request))
        if not all(self._visible.reads(one.target) for one in loop.envelope.commands):
            raise CommandError(f"no open session {_id(request)!r:.80}")
        return loop


def _id(request: Reply) -> str:
    value = request.get("id")
    if not isinstance(value, str) or not 0 < len(value) <= 64:
        raise CommandError(f"id must be that of a session, got {value!r:.80}")
    return value
