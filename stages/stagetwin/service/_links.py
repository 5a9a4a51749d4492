"""The telemetry connections of a service: a bridge each, as the stage has them now."""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import Callable
from typing import Any

from stagetwin.ports import ConnectionSpec, ConnectionState
from stagetwin.service._bridges import BridgeProcess, ConnectionSink, InProcessBridge
from stagetwin.service._clocks import refusal, retiming
from stagetwin.service._config import ServiceConfig
from stagetwin.twin import Twin

__all__ = ["Links"]


@dataclasses.dataclass(slots=True)
class _Link:
    """One connection at work."""

    spec: ConnectionSpec
    sink: ConnectionSink
    bridge: BridgeProcess | InProcessBridge
    task: asyncio.Task[None]


class Links:
    """Starts, rebinds and ends bridges as the stage's connections come, change and go."""

    def __init__(self, config: ServiceConfig, twin: Twin, arrived: Callable[[], None]) -> None:
        """Prepare.

        Args:
            config: of the service.
            twin: what is fed.
            arrived: called, from any thread, after samples came in.
        """
        self._config, self._twin, self._arrived = config, twin, arrived
        self._links: dict[str, _Link] = {}

    async def use(self, group: asyncio.TaskGroup) -> None:
        """Bring the bridges to what the bindings want now."""
        wanted = self._wanted()
        for name in self._links.keys() - wanted.keys():
            await self._end(name)
        for name, spec in wanted.items():
            link = self._links.get(name)
            if link is not None and link.spec != spec:
                await self._end(name)
                link = None
            if link is None:
                self._links[name] = self._start(group, spec)
            else:
                link.bridge.rebind(self._twin.table.channels(name))

    def _wanted(self) -> dict[str, ConnectionSpec]:
        table = self._twin.table
        used = {binding.connection for binding in table.telemetry.values()}
        return {name: table.connections[name] for name in sorted(used)}

    def _start(self, group: asyncio.TaskGroup, spec: ConnectionSpec) -> _Link:
        retime = retiming(self._twin.clock, spec)
        sink = ConnectionSink(spec.name, self._twin.hub, self._arrived, retime)
        credential = self._config.credentials.get(spec.credential)
        kind = InProcessBridge if self._config.in_process else BridgeProcess
        bridge = kind(spec, sink, credential)
        work = bridge.run(self._twin.table.channels(spec.name))
        why = refusal(self._config, spec)
        if not why and spec.credential and credential is None:
            # Trying anonymously what was meant to be authenticated would be a guess.
            why = f"no credential named {spec.credential!r} here"
        if why:
            sink.state(ConnectionState.FAILED, why)
            work.close()
            work = _wait_for_ever()
        task = group.create_task(work, name=f"bridge {spec.name}")
        return _Link(spec, sink, bridge, task)

    async def _end(self, name: str) -> None:
        link = self._links.pop(name)
        link.task.cancel()
        await asyncio.wait([link.task])
        self._twin.connection(name, ConnectionState.OFFLINE, "not bound", math.nan)

    def cancel(self) -> None:
        """Ask every bridge to end."""
        for link in self._links.values():
            link.task.cancel()

    # -- how they are

    def show(self) -> None:
        """Put every connection's state on its prim."""
        for name, link in self._links.items():
            self._twin.connection(name, *link.sink.read())

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return state, cause and realm by name, for whoever may see the connection."""
        return {
            name: {"state": str(state), "cause": cause, "realm": link.spec.realm}
            for name, link in sorted(self._links.items())
            for state, cause, _ in (link.sink.read(),)
        }

    def status(self) -> dict[str, dict[str, Any]]:
        """Return everything about each, by name."""
        return {
            name: {
                **row,
                "seen": None if math.isnan(seen := link.sink.read()[2]) else seen,
                "endpoint": link.spec.endpoint,
                "pid": link.bridge.pid,
                "restarts": link.bridge.restarts,
            }
            for name, row in self.rows().items()
            for link in (self._links[name],)
        }

    def metrics(self) -> dict[str, tuple[str, int]]:
        """Return state and restarts by name."""
        return {
            name: (str(link.sink.read()[0]), link.bridge.restarts)
            for name, link in self._links.items()
        }


async def _wait_for_ever() -> None:
    await asyncio.Event().wait()
