"""What a control client may ask about commands. Authors come from the socket, not from a field."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from pydantic import ValidationError

from stagetwin._errors import CommandError, LedgerDamagedError
from stagetwin.bindings import BindingTable, CommandBinding, is_below
from stagetwin.commands import PublishRequest, Target
from stagetwin.service._control import peer_is_owner, peer_user
from stagetwin.service._desk import Desk
from stagetwin.twin import Twin
from stagetwin.values import Bound, plain

__all__ = ["NO_COMMANDS", "CommandRequests", "Commanding"]

_log = logging.getLogger(__name__)

Reply = dict[str, Any]

MAX_LISTED = 1000

NO_COMMANDS = "this service is read-only; commands need --allow-commands"


class Commanding(Protocol):
    """What of a service a request about commands may touch.

    Attributes:
        fault: why nothing can be commanded although it may.
    """

    twin: Twin
    desk: Desk | None
    fault: str


class CommandRequests:
    """Answers requests about commands, on the service's event loop."""

    def __init__(self, service: Commanding) -> None:
        self._service = service
        self._twin = service.twin
        self._verifying = False
        self.once: dict[str, Callable[[Reply], Reply]] = {
            "publish": self._publish,
            "commands": self._commands,
            "command": self._command,
            "cancel": self._cancel,
            "approve_command": self._approve,
            "deny_command": self._deny,
            "halt": self._halt,
            "targets": self._targets,
        }

    async def follow(self, request: Reply) -> AsyncIterator[Reply]:
        """Yield a command's row at each transition until its end."""
        command = self._desk.path.records.find_one(_text(request, "id"))
        async for reply in self._desk.follow(command):
            yield reply

    async def verify_ledger(self, _request: Reply) -> AsyncIterator[Reply]:
        """Check the whole ledger on a thread of its own; yield its entries, or what is wrong."""
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
        command = self._desk.path.publish(wanted, peer_user())
        return {"command": self._desk.row(command)}

    def _commands(self, request: Reply) -> Reply:
        if self._service.fault:
            return {"commands": [], "allowed": False, "cause": self._service.fault}
        if self._service.desk is None:
            return {"commands": [], "allowed": False}
        limit = request.get("limit", 50)
        if isinstance(limit, bool) or not isinstance(limit, int) or not 0 < limit <= MAX_LISTED:
            raise CommandError(f"limit must be a number in [1, {MAX_LISTED}], got {limit!r}")
        prim, only_open = str(request.get("prim", "/")), bool(request.get("open", False))
        found = self._desk.path.records.listed(prim, only_open, limit)
        return {"commands": [self._desk.row(command) for command in found], "allowed": True}

    def _command(self, request: Reply) -> Reply:
        command = self._desk.path.records.find_one(_text(request, "id"))
        return {"command": self._desk.row(command, history=True)}

    def _cancel(self, request: Reply) -> Reply:
        command = self._desk.path.cancel(
            _text(request, "id"), peer_user(), _reason(request), owner=peer_is_owner()
        )
        return {"command": self._desk.row(command)}

    def _approve(self, request: Reply) -> Reply:
        command = self._desk.path.approve(_text(request, "id"), peer_user(), _reason(request))
        return {"command": self._desk.row(command)}

    def _deny(self, request: Reply) -> Reply:
        command = self._desk.path.deny(_text(request, "id"), peer_user(), _reason(request))
        return {"command": self._desk.row(command)}

    def _halt(self, request: Reply) -> Reply:
        made = self._desk.path.halt(_text(request, "prim"), peer_user(), _reason(request))
        return {"commands": [self._desk.row(command) for command in made]}

    # -- what can be commanded

    def _targets(self, request: Reply) -> Reply:
        prim = str(request.get("prim", "/"))
        table = self._twin.guarded
        if table is None:
            return {"targets": []}
        if self._service.desk is not None:
            found = [(t.binding, t) for t in self._service.desk.path.targets.below(prim)]
            return {"targets": [self._target(table, binding, t) for binding, t in found]}
        below = [b for b in table.commands if is_below(b.path, prim)]
        return {"targets": [self._target(table, binding, None) for binding in below]}

    def _target(self, table: BindingTable, binding: CommandBinding, target: Target | None) -> Reply:
        asset = table.assets.get(binding.asset)
        level = asset.level if asset is not None else "model"
        if binding.asset in self._twin.demoted:
            level = "shadow"
        attr = self._twin.stage.GetAttributeAtPath(binding.target)
        return {
            "path": binding.path,
            "prim": binding.prim,
            "command": binding.signal,
            "label": attr.GetDisplayName() if attr else "",
            "type": binding.type_name,
            "unit": binding.unit,
            "min": _bound(binding.limits.hard_min),
            "max": _bound(binding.limits.hard_max),
            "desired": plain(target.desired[0]) if target is not None else None,
            "reported": self._reported(binding),
            "revision": target.revision if target is not None else 0,
            "approval": binding.approval,
            "publish": binding.publish,
            "debounce": binding.debounce,
            "policy": binding.policy_class,
            "operation": binding.operation,
            "readback": binding.readback,
            "safe": binding.safe,
            "level": level,
            "realm": table.connections[binding.connection].realm,
            "connection": binding.connection,
            "status": target.status if target is not None else "idle",
            "cause": target.cause if target is not None else "",
        }

    def _reported(self, binding: CommandBinding) -> Any:
        if self._service.desk is None or not binding.readback:
            return None
        known = self._service.desk.path.inputs.one(binding.readback)
        return known.value if known is not None else None


def _text(request: Reply, key: str) -> str:
    value = request.get(key)
    if not isinstance(value, str) or not value:
        raise CommandError(f"{key} must be a text, got {value!r:.80}")
    return value


def _reason(request: Reply) -> str:
    reason = request.get("reason", "")
    if not isinstance(reason, str) or len(reason) > 1000:
        raise CommandError("reason must be a text of at most 1000 characters")
    return reason


def _bound(bound: Bound) -> float | None:
    finite = isinstance(bound, float) and abs(bound) != float("inf")
    return bound if finite else None  # type: ignore[return-value]
