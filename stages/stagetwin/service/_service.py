"""The service: one plant's stage kept live, headless, until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import logging
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stagetwin._errors import LedgerDamagedError, ServiceError
from stagetwin.guards import GuardBook
from stagetwin.people import Access
from stagetwin.service._alarm_requests import AlarmRequests
from stagetwin.service._clocks import clock_of, refuse_plants
from stagetwin.service._command_requests import NO_COMMANDS
from stagetwin.service._config import ServiceConfig
from stagetwin.service._control import ControlServer
from stagetwin.service._desk import Desk
from stagetwin.service._events import Events
from stagetwin.service._gateway import NO_GATEWAY, Gateway
from stagetwin.service._links import Links
from stagetwin.service._metrics import MetricsListener, MetricsSnapshot, metrics_text
from stagetwin.service._model_requests import ModelRequests
from stagetwin.service._notify import Notifier
from stagetwin.service._requests import Requests
from stagetwin.service._review_requests import ReviewRequests
from stagetwin.service._simulation import Simulation
from stagetwin.service._snapshot import write_snapshot
from stagetwin.service._visible import roles_at
from stagetwin.twin import Twin, open_stage

__all__ = ["Service", "settle_memory"]

_log = logging.getLogger(__name__)


MAX_ERRORS = 20
"""Bad bindings that a status names; `stagetwin check` names all."""

SHORTEST_REST = 0.002
"""Time between two ticks at least, however much a command waits for its proof [s]."""

READ_BUDGET = 0.01
"""Longest time that a tick gives to reading a structural edit [s]."""


def settle_memory() -> None:
    """Take what was bound out of the garbage collector's sight.

    Specs, bindings and attributes live as long as the bindings do; walking hundreds of thousands of
    them again and again costs ticks up to a third of their time.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


class Service:
    """Runs a twin: ticks, bridges, control socket, metrics.

    Attributes:
        twin: the live stage; belongs to the event loop's thread.
        desk: the command side; None while nothing may be commanded.
        fault: why nothing can be commanded although it may; empty while there is no such fault.
        access: says who may do what; every request passes it.
        events: what happens, for whoever follows it.
        reviews: topics and proposals, and what may be asked of them.
        alarms: alarms, and what may be asked of them.
        simulation: the stage's models, in processes of their own.
        models: what may be asked of models.
        gateway: the way in for browsers, shells and programs; None where there is none.
        ready: set once the stage is open and every bridge was started.
    """

    def __init__(self, config: ServiceConfig, notify_address: str = "") -> None:
        self._config = config
        self._notifier = Notifier(notify_address)
        self._stop = asyncio.Event()
        self._rebind = asyncio.Event()
        self._evidence = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._metrics = MetricsSnapshot()
        self.ready = asyncio.Event()
        self.metrics_port = 0
        if config.people is not None:
            self.access = Access.of_file(config.people)
        else:
            self.access = Access.of_roles(config.roles)
        clock = clock_of(config)
        stage = open_stage(config.stage, config.sidecars, config.endpoints)
        guards = GuardBook(config.state_dir / "guards.json")
        self.twin = Twin(stage, clock=clock, guards=guards)
        refuse_plants(config, self.twin.table)
        self._links = Links(config, self.twin, self._arrived)
        self.desk: Desk | None = None
        self.fault = ""
        self.events = Events()
        self.gateway: Gateway | None = None
        self.reviews = ReviewRequests(
            self.twin, self.access, self.events, config.state_dir, config.site_layer
        )
        self.alarms = AlarmRequests(self.twin, self.access, self.events, config.state_dir)
        self.simulation = Simulation(config, self.twin)
        self.models = ModelRequests(self.twin, self.access, self.simulation, config.state_dir)
        self.access.roles_at = lambda prim: roles_at(self.twin, prim)
        self._requests = Requests(self)
        if config.listen is not None:
            answer = self._requests.answer
            self.gateway = Gateway(
                config, config.listen, self.twin, self.events, answer, self._metrics_text
            )

    # -- life

    async def run(self) -> None:
        """Run until `stop` is called or SIGTERM or SIGINT arrives.

        Raises:
            ServiceError: another service runs this stage's socket.
            LedgerError: another service owns the ledger of commands.
        """
        self._loop = loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        if self._config.allow_commands:
            with self._read_only_if_damaged():
                self.desk = Desk(self._config, self.twin, self.access)
        config = self._config
        answer = self._requests.answer
        control = ControlServer(config.socket, answer, config.socket_group, self.access.user)
        metrics: MetricsListener | None = None
        try:
            await control.start()
            self.reviews.start()
            self.alarms.start()
            if self.desk is not None:
                self.alarms.follow(self.desk)
                self.desk.path.rehearsals.rehearser = self.models.rehearser
                self.simulation.rules = self.desk.rule_timers
                self.simulation.displaced = self.desk.displaced
            with self._read_only_if_damaged():
                if self.desk is not None:
                    self.desk.start()
            if self._config.metrics_port:
                metrics = MetricsListener(self._config.metrics_port, lambda: self._metrics)
                self.metrics_port = metrics.port
            self.twin.on_rebind.append(self._rebind.set)
            self.twin.on_rebind.append(settle_memory)
            if self.gateway is not None:
                self.gateway.attach(self.desk)
                self.twin.on_rebind.append(self.gateway.rebound)
            settle_memory()
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._tick(), name="tick"),
                    group.create_task(self._housekeeping(), name="housekeeping"),
                    group.create_task(self._keep_links(group), name="links"),
                    group.create_task(self.simulation.run(), name="simulation"),
                ]
                if self.gateway is not None:
                    tasks.append(group.create_task(self.gateway.run(), name="gateway"))
                self._notifier.send("READY=1")
                _log.info(
                    "%s is live: %d signals, control socket %s",
                    self._config.stage,
                    len(self.twin.table.telemetry),
                    self._config.socket,
                )
                self.ready.set()
                await self._stop.wait()
                self._notifier.send("STOPPING=1")
                _log.info("stopping")
                for task in tasks:
                    task.cancel()
                self._links.cancel()
                if self.desk is not None:
                    self.desk.commanders.cancel()
            self.twin.tick()
        finally:
            await control.close()
            await self.reviews.close()
            self.models.close()
            if self.desk is not None:
                self.desk.close()
            self.alarms.close()
            if metrics is not None:
                metrics.close()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
        _log.info("stopped, %d samples applied", self.twin.hub.fates.applied)

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stop.set()

    @contextlib.contextmanager
    def _read_only_if_damaged(self) -> Iterator[None]:
        """Go on without commands where their ledger is damaged: telemetry needs none."""
        try:
            yield
        except LedgerDamagedError as error:
            self.fault = f"nothing can be commanded, its ledger is unfit: {error}"
            _log.error("%s", self.fault)
            if self.desk is not None:
                self.desk.close()
                self.desk = None

    # -- tasks

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        period = 1 / self._config.tick_rate
        due = loop.time()
        while True:
            started = loop.time()
            self._evidence.clear()
            self.twin.tick()
            if self.twin.reading or (self.desk is not None and not self.twin.settled):
                # Commands wait for guards that are those of the stage as it is now.
                self._sync()
            if self.desk is not None:
                self.desk.tick()
            self.simulation.step()
            self.alarms.step()
            if self.gateway is not None:
                self.gateway.after_tick()
            now = loop.time()
            # A tick that overran does not make the next ones hurry.
            due = max(due + period, now) if now >= due else due
            await self._rest(due, max(SHORTEST_REST, 4 * (now - started)))

    async def _rest(self, due: float, least: float) -> None:
        """Wait until the next tick is due, or, after a while, for a sample that proves a command.

        Args:
            due: when the next tick is due [s, loop's clock].
            least: time that passes at least [s], so that proof may not take the whole machine.
        """
        loop = asyncio.get_running_loop()
        least = min(loop.time() + least, due)
        await asyncio.sleep(least - loop.time())
        try:
            async with asyncio.timeout_at(due):
                await self._evidence.wait()
        except TimeoutError:
            pass

    def _arrived(self) -> None:
        """Take note of samples, from any thread: a command that was sent may wait for them."""
        if self.desk is not None and self.desk.awaits_evidence and self._loop is not None:
            self._loop.call_soon_threadsafe(self._evidence.set)

    async def _housekeeping(self) -> None:
        while True:
            self._sync()
            self._links.show()
            if self.desk is not None:
                self.desk.housekeeping()
            self.reviews.housekeeping()
            if self.gateway is not None:
                self.gateway.connections(self._links.rows())
            self._publish_metrics(self.twin.refresh_health())
            self._notifier.send("WATCHDOG=1")
            await asyncio.sleep(1.0)

    def _sync(self) -> None:
        try:
            self.twin.sync_structure(READ_BUDGET)
        except Exception:
            # An edit that cannot be followed must not take down what ran before it.
            _log.exception("the stage's edit cannot be followed, what ran runs on")

    def _publish_metrics(self, health: Mapping[str, float]) -> None:
        self._metrics = MetricsSnapshot(
            health,
            self.twin.hub.rejections.counts(),
            self._links.metrics(),
            len(self.twin.table.errors()),
            len(self.twin.unreadable),
            dict(self.desk.path.records.counts) if self.desk is not None else {},
            len(self.desk.path.records) if self.desk is not None else 0,
            bool(self.fault or (self.desk is not None and self.desk.broken)),
            self.alarms.book.counts() if self.alarms.book is not None else {},
            self.simulation.status(),
        )

    async def _keep_links(self, group: asyncio.TaskGroup) -> None:
        while True:
            self._rebind.clear()
            await self._links.use(group)
            if self.desk is not None:
                await self.desk.keep_clients(group)
            await self._rebind.wait()

    # -- what requests ask for

    def _metrics_text(self) -> str:
        return metrics_text(self._metrics)

    def web(self) -> dict[str, Any]:
        """Return how the owner's browser and programs come in.

        Raises:
            ServiceError: there is no gateway.
        """
        if self.gateway is None:
            raise ServiceError(NO_GATEWAY)
        return self.gateway.enter()

    def status(self) -> dict[str, Any]:
        """Return the state of everything, as the command line shows it."""
        return {
            "stage": str(self._config.stage),
            "clock": {
                "kind": self._config.clock,
                "rate": self.twin.clock.rate,
                "time": self.twin.clock.wall(),
            },
            "health": dict(self._metrics.health),
            "connections": self._links.status(),
            "rejections": [
                {"connection": c, "reason": r, "count": n}
                for (c, r), n in sorted(self.twin.hub.rejections.counts().items())
            ],
            "fates": dataclasses.asdict(self.twin.hub.fates),
            "state_dir": str(self._config.state_dir.resolve()),
            "errors": [str(p) for p in self.twin.table.errors()[:MAX_ERRORS]],
            "error_count": len(self.twin.table.errors()),
            "unreadable": self.twin.unreadable,
            "demoted": self.twin.demoted,
            "commands": self._command_status(),
            "reviews": self.reviews.status(),
            "alarms": self.alarms.status(),
            "models": self.simulation.status(),
        }

    def _command_status(self) -> dict[str, Any]:
        if self.desk is None:
            return {"allowed": False, "cause": self.fault or NO_COMMANDS}
        records = self.desk.path.records
        return {
            "allowed": True,
            "open": len(records),
            "ended": dict(records.counts),
            "clients": self.desk.commanders.status(),
            "ledger": {"broken": self.desk.broken},
        }

    def snapshot(self, path: Path) -> int:
        """Write a snapshot; returns its size [bytes]."""
        self.twin.tick()
        return write_snapshot(self.twin.stage, path)
