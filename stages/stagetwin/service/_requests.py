"""What a control client may ask."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Protocol

from stagetwin._errors import ServiceError
from stagetwin.bindings import TelemetryBinding
from stagetwin.people import Right
from stagetwin.service._alarm_requests import AlarmRequests
from stagetwin.service._command_requests import Commanding, CommandRequests
from stagetwin.service._control import asking, peer_is_owner
from stagetwin.service._model_requests import ModelRequests
from stagetwin.service._review_requests import ReviewRequests
from stagetwin.service._visible import Visible
from stagetwin.signals import Quality
from stagetwin.values import Bound, plain

__all__ = ["Requests", "Running"]

Reply = dict[str, Any]

MAX_RATE = 60.0
MAX_SIGNALS = 2000

_OWNERS = frozenset({"guards_approved", "snapshot", "stop", "web"})
"""What only the service's own user and root may ask for: it ends the service, or writes files."""


class Running(Commanding, Protocol):
    """What of a service a request may touch."""

    reviews: ReviewRequests
    alarms: AlarmRequests
    models: ModelRequests

    def status(self) -> Reply:
        """Return the state of everything."""
        ...

    def snapshot(self, path: Path) -> int:
        """Write a snapshot and return its size [bytes]."""
        ...

    def stop(self) -> None:
        """Ask the service to end."""

    def web(self) -> Reply:
        """Return how the owner's browser and programs come in."""
        ...


class Requests:
    """Answers requests about a running service, on its event loop."""

    def __init__(self, service: Running) -> None:
        self._service = service
        self._visible = Visible(service)
        self._once: dict[str, Callable[[Reply], Reply]] = {
            "status": lambda _: self._visible.status(),
            "problems": lambda _: {"problems": self._visible.problems()},
            "rejections": lambda _: {"examples": self._examples()},
            "values": self._values,
            "snapshot": self._snapshot,
            "guards_approved": lambda _: self._guards_approved(),
            "stop": lambda _: self._stop(),
            "web": lambda _: service.web(),
        }
        self._commands = CommandRequests(service)
        self._once |= self._commands.once
        self._once |= service.reviews.once
        self._once |= service.alarms.once
        self._once |= service.models.once
        self._streams = {
            "watch": self._watch,
            "follow": self._commands.follow,
            "verify_ledger": self._commands.verify_ledger,
            **self._commands.streams,
            **service.reviews.streams,
            **service.models.streams,
        }

    async def answer(self, request: Reply) -> AsyncIterator[Reply]:
        """Yield the replies to one request.

        Raises:
            ServiceError: an operation that does not exist or is not this user's, or a wrong
                argument.
        """
        operation = request.get("op")
        if not isinstance(operation, str):
            raise ServiceError(f"op must name an operation, got {operation!r:.80}")
        if operation in _OWNERS and not peer_is_owner():
            raise ServiceError(f"{operation} is for the service's own user and root alone")
        if operation in self._streams:
            async for reply in self._streams[operation](request):
                yield reply
            return
        if operation not in self._once:
            known = ", ".join(sorted((*self._once, *self._streams)))
            raise ServiceError(f"no operation {operation!r}; there are {known}")
        yield self._once[operation](request)

    async def _watch(self, request: Reply) -> AsyncIterator[Reply]:
        rate = float(request.get("rate", 5))
        if not 0 < rate <= MAX_RATE:
            raise ServiceError(f"rate must be in (0, {MAX_RATE:g}] Hz, got {rate:g}")
        table, seen = None, None
        rows: list[tuple[int, TelemetryBinding]] = []
        while True:
            roots = self._service.access.readable(asking())
            if table is not self._service.twin.table or roots != seen:
                # The first frame, and each one after bindings or rights changed, says what follows.
                table, seen, rows = self._service.twin.table, roots, self._rows(request)
                yield {"signals": self._signals(rows)}
            yield {"frame": self._frame(rows), "status": self._visible.status()}
            await asyncio.sleep(1 / rate)

    def _values(self, request: Reply) -> Reply:
        rows = self._rows(request)
        return {"signals": self._signals(rows), "frame": self._frame(rows)}

    def _rows(self, request: Reply) -> list[tuple[int, TelemetryBinding]]:
        prim = str(request.get("prim", "/"))
        rows = self._visible.signals(prim)
        if not rows:
            raise ServiceError(f"no signal is bound at or below {prim}")
        return rows[:MAX_SIGNALS]

    def _signals(self, rows: list[tuple[int, TelemetryBinding]]) -> list[Reply]:
        return [
            {
                "prim": b.prim,
                "signal": b.signal if b.element < 0 else f"{b.signal}[{b.element}]",
                "unit": b.unit,
                "type": b.type_name,
                "connection": b.connection,
                "address": b.address,
                "field": b.field,
                "target": b.target,
                "min": _bound(b.limits.hard_min),
                "max": _bound(b.limits.hard_max),
                "softMin": _bound(b.limits.soft_min),
                "softMax": _bound(b.limits.soft_max),
            }
            for _, b in rows
        ]

    def _frame(self, rows: list[tuple[int, TelemetryBinding]]) -> list[Reply]:
        twin = self._service.twin
        latest = twin.hub.latest
        now = twin.clock.steady()
        return [
            {
                "value": plain(twin.value_of(index)),
                "quality": Quality(int(latest.quality[index])).token,
                "status": int(latest.status[index]),
                "age": _finite(now - float(latest.seen[index])),
                "time": _finite(float(latest.source_time[index])),
                **self._expected(binding),
            }
            for index, binding in rows
        ]

    def _expected(self, binding: TelemetryBinding) -> Reply:
        """Return what a model expects of a signal, and the residual, where one does."""
        if binding.element >= 0:
            return {}
        value = self._service.twin.predicted.value
        stem = f"{binding.prim}.twin:telemetry:{binding.signal}"
        named = ("predicted", "residual", "residualSigma")
        found = {name: value(f"{stem}:{name}") for name in named}
        return {name: number for name, number in found.items() if math.isfinite(number)}

    def _examples(self) -> list[Reply]:
        self._service.access.require(asking(), Right.READ, "/")  # payloads of every prim
        return [
            {"connection": connection, "reason": reason, "examples": texts}
            for (connection, reason), texts in self._service.twin.hub.rejections.examples().items()
        ]

    def _snapshot(self, request: Reply) -> Reply:
        path = Path(str(request["path"]))
        if not path.is_absolute():
            raise ServiceError(f"a snapshot's path must be absolute, got {path}")
        return {"path": str(path), "bytes": self._service.snapshot(path)}

    def _guards_approved(self) -> Reply:
        self._service.twin.guards_approved()
        return {"demoted": self._service.twin.demoted}

    def _stop(self) -> Reply:
        self._service.stop()
        return {}


def _bound(bound: Bound) -> float | None:
    """Return a bound that is one finite number; a view has no room for more."""
    return _finite(bound) if isinstance(bound, float) else None


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
