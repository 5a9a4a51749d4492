"""What of a running service somebody who asks may see."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Protocol

from stagetwin._errors import AccessError
from stagetwin.bindings import TelemetryBinding, is_below
from stagetwin.commands import Command
from stagetwin.people import Access, Right
from stagetwin.service._alarm_requests import AlarmRequests
from stagetwin.service._control import asking
from stagetwin.twin import Twin

__all__ = ["Seen", "Visible", "roles_at"]


class Seen(Protocol):
    """What of a service is looked at.

    Attributes:
        twin: the live stage.
        access: says who may see what.
        alarms: what may be asked of alarms.
    """

    twin: Twin
    access: Access
    alarms: AlarmRequests

    def status(self) -> dict[str, Any]:
        """Return the state of everything."""
        ...


def roles_at(twin: Twin, prim: str) -> Collection[str]:
    """Return the roles that the asset at a prim names: its own, or that of the nearest ancestor."""
    assets = twin.guarded.assets if twin.guarded is not None else {}
    while prim:
        if (asset := assets.get(prim)) is not None:
            return asset.roles
        prim = prim.rpartition("/")[0]
    return ()


class Visible:
    """Leaves out what whoever asks may not read."""

    def __init__(self, service: Seen) -> None:
        self._service = service

    def roots(self) -> tuple[str, ...]:
        """Return the prims that whoever asks may read below.

        Raises:
            AccessError: there are none.
        """
        roots = self._service.access.readable(asking())
        if not roots:
            raise AccessError(f"{asking().name or 'who asks'} may read nothing here")
        return roots

    def reads(self, path: str) -> bool:
        """Tell whether whoever asks may read at a path."""
        return self._service.access.may(asking(), Right.READ, path)

    def require(self, path: str) -> None:
        """Do nothing if whoever asks may read at a path, or everywhere, be it a path or not.

        Raises:
            AccessError: they may not.
        """
        if "/" not in self.roots():
            self._service.access.require(asking(), Right.READ, path)

    def commands(self) -> Callable[[Command], bool]:
        """Return what tells whether whoever asks may see a command; for one request."""
        roots = self._service.access.readable(asking())
        return lambda command: any(is_below(command.target, root) for root in roots)

    def signals(self, prim: str) -> list[tuple[int, TelemetryBinding]]:
        """Return what is bound at or below a path and may be seen, with its channels.

        Raises:
            AccessError: nothing there may be seen by whoever asks.
        """
        roots = self.roots()
        if not any(is_below(prim, root) or is_below(root, prim) for root in roots):
            self._service.access.require(asking(), Right.READ, prim)
        table = self._service.twin.table.telemetry
        found = [(i, binding) for i, binding in table.items() if is_below(binding.path, prim)]
        if "/" in roots:
            return found
        return [(i, b) for i, b in found if any(is_below(b.prim, root) for root in roots)]

    def problems(self) -> list[str]:
        """Return what is wrong on the stage."""
        roots = self.roots()
        return [
            str(problem)
            for problem in self._service.twin.table.problems
            if any(is_below(problem.prim, root) for root in roots)
        ]

    def status(self) -> dict[str, Any]:
        """Return the state of everything, or of what concerns the prims that may be read."""
        roots, status = self.roots(), self._service.status()
        if "/" in roots:
            return status
        table = self._service.twin.table
        used = {
            binding.connection
            for binding in table.telemetry.values()
            if any(is_below(binding.prim, root) for root in roots)
        }
        commands = {k: v for k, v in status["commands"].items() if k in ("allowed", "cause")}
        return {
            **status,
            "connections": {n: row for n, row in status["connections"].items() if n in used},
            "rejections": [row for row in status["rejections"] if row["connection"] in used],
            "errors": (errors := [p for p in self.problems() if p.startswith("error")])[:20],
            "error_count": len(errors),
            "unreadable": {},
            "demoted": {
                asset: why
                for asset, why in status["demoted"].items()
                if any(is_below(asset, root) for root in roots)
            },
            "commands": commands,
            "alarms": self._service.alarms.status(roots),
            "models": {**status["models"], "states": {}},
        }
