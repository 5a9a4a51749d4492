"""What a control client may ask about commands. Authors come from the socket, not from a field."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from pydantic import ValidationError

from stagetwin._errors import CommandError, LedgerDamagedError
from stagetwin.commands import Command, PublishRequest
from stagetwin.people import Access, Right
from stagetwin.service._alarm_requests import AlarmRequests
from stagetwin.service._control import asking, peer_is_owner, peer_user
from stagetwin.service._desk import Desk
from stagetwin.service._loop_requests import LoopRequests
from stagetwin.service._reasons import reason_of
from stagetwin.service._target_rows import TargetRows
from stagetwin.service._visible import Visible
from stagetwin.twin import Twin

__all__ = ["NO_COMMANDS", "CommandRequests", "Commanding"]

_log = logging.getLogger(__name__)

Reply = dict[str, Any]

MAX_LISTED = 1000

NO_COMMANDS = "this service is read-only; commands need --allow-commands"


class Commanding(Protocol):
    """What of a service a request about commands may touch.

    Attributes:
        access: says who may do what.
        alarms: what may be asked of alarms.
        fault: why nothing can be commanded although it may.
    """

    twin: Twin
    desk: Desk | None
    access: Access
    alarms: AlarmRequests
    fault: str

    def status(self) -> Reply:
        """Return the state of everything."""
        ...


class CommandRequests:
    """Answers requests about commands and loops, on the service's event loop.

    Attributes:
        once: requests with one answer, by operation.
        streams: those of loops that wait for the ledger, by operation.
    """

    def __init__(self, service: Commanding) -> None:
        self._service = service
        self._visible = Visible(service)
        self._targets = TargetRows(service.twin, self._visible)
        self._verifying = False
        self._loops = LoopRequests(lambda: self._desk, self._visible)
        self.streams = self._loops.streams
        self.once: dict[str, Callable[[Reply], Reply]] = {
            "publish": self._publish,
            "commands": self._commands,
            "command": self._command,
            "cancel": self._cancel,
            "approve_command": self._approve,
            "deny_command": self._deny,
            "halt": self._halt,
            **self._loops.once,
            "targets": lambda request: {
                "targets": self._targets.below(str(request.get("prim", "/")), service.desk)
            },
        }

    async def follow(self, request: Reply) -> AsyncIterator[Reply]:
        """Yield a command's row at each transition until its end."""
        command = self._find(request)
        async for reply in self._desk.follow(command):
            if not self._visible.commands()(command):
                return  # the right was taken away meanwhile
            yield reply

    async def verify_ledger(self, _request: Reply) -> AsyncIterator[Reply]:
        """Check the whole ledger on a thread of its own; yield its entries, or what is wrong."""
        self._service.access.require(asking(), Right.READ, "/")
        desk = self._desk
        if self._verifying:
            raise CommandError("the ledger is being verified already")
        self._verifying = True
        try:
            yield {"entries": await asyncio.to_thread(desk.verify), "damage": ""}
        except LedgerDamagedError as error:
            _log.error("the ledger of commands is damaged: %s", error)
            yield {"entries": 0, "damage": str(error)}
        finally:
            self._verifying = False

    @property
    def _desk(self) -> Desk:
        if self._service.desk is None:
            raise CommandError(self._service.fault or NO_COMMANDS)
        return self._service.desk

    def _publish(self, request: Reply) -> Reply:
        fields = {key: value for key, value in request.items() if key != "op"}
        try:
            wanted = PublishRequest.model_validate(fields)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            where = ".".join(map(str, first["loc"])) or "request"
            raise CommandError(f"{where}: {first['msg']}, got {first['input']!r:.80}") from None
        desk = self._desk
        self._visible.require(wanted.target)
        by = desk.loops if wanted.session else desk.path
        command = by.publish(wanted, peer_user())
        return {"command": self._desk.row(command)}

    def _find(self, request: Reply) -> Command:
        """Return the command that is meant, if whoever asks may see it."""
        return self._desk.path.records.find_one(_text(request, "id"), self._visible.commands())

    def _commands(self, request: Reply) -> Reply:
        self._visible.roots()
        if self._service.fault:
            return {"commands": [], "allowed": False, "cause": self._service.fault}
        if self._service.desk is None:
            return {"commands": [], "allowed": False}
        limit = request.get("limit", 50)
        if isinstance(limit, bool) or not isinstance(limit, int) or not 0 < limit <= MAX_LISTED:
            raise CommandError(f"limit must be a number in [1, {MAX_LISTED}], got {limit!r}")
        prim, only_open = str(request.get("prim", "/")), bool(request.get("open", False))
        seen = self._visible.commands()
        found = self._desk.path.records.listed(prim, only_open, limit, seen)
        return {"commands": [self._desk.row(command) for command in found], "allowed": True}

    def _command(self, request: Reply) -> Reply:
        return {"command": self._desk.row(self._find(request), history=True)}

    def _cancel(self, request: Reply) -> Reply:
        reason, found = reason_of(request), self._find(request)
        command = self._desk.path.cancel(found.id, peer_user(), reason, owner=peer_is_owner())
        return {"command": self._desk.row(command)}

    def _approve(self, request: Reply) -> Reply:
        seen = _text(request, "hash") if "hash" in request else ""
        reason, found = reason_of(request), self._find(request)
        command = self._desk.path.approve(found.id, peer_user(), reason, seen)
        return {"command": self._desk.row(command)}

    def _deny(self, request: Reply) -> Reply:
        reason, found = reason_of(request), self._find(request)
        command = self._desk.path.deny(found.id, peer_user(), reason)
        return {"command": self._desk.row(command)}

    def _halt(self, request: Reply) -> Reply:
        desk, prim = self._desk, _text(request, "prim")
        self._service.access.require(asking(), Right.HALT, prim)
        reason = reason_of(request)
        desk.loops.halt(prim, peer_user())
        made = desk.path.halt(prim, peer_user(), reason)
        return {"commands": [self._desk.row(command) for command in made]}


def _text(request: Reply, key: str) -> str:
    value = request.get(key)
    if not isinstance(value, str) or not value:
        raise CommandError(f"{key} must be a text, got {value!r:.80}")
    return value
