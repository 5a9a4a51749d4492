"""Processes of bridges and command clients that fall silent, or cannot be started."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from stagetwin.actuation import Reading, Report
from stagetwin.clock import ManualClock
from stagetwin.hub import Hub
from stagetwin.ports import ConnectionSpec, ConnectionState
from stagetwin.service._bridges import BridgeProcess, ConnectionSink
from stagetwin.service._commanders import Commanders
from stagetwin.signals import Quality, Samples
from tests.stages.plants import HEADER, connection, prim, table_of, telemetry

ONLINE, OFFLINE = ConnectionState.ONLINE, ConnectionState.OFFLINE
SILENT = "its process does not answer"
SPEC = ConnectionSpec(name="line", prim="/line", endpoint="soft://silence")
TABLE = table_of(
    HEADER
    + connection()
    + prim("P1", 'uniform token twin:connection = "line"', telemetry("flow", address="a"))
)


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not what():
            await asyncio.sleep(0.02)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Let a process stand still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def run(
    scenario: Callable[[BridgeProcess, ConnectionSink], Awaitable[None]],
    kind: type[BridgeProcess] = BridgeProcess,
) -> None:
    """Run a bridge in a process of its own and a scenario beside it."""

    async def both() -> None:
        sink = ConnectionSink("line", Hub(ManualClock()))
        bridge = kind(SPEC, sink, None)
        task = asyncio.create_task(bridge.run([]))
        try:
            await scenario(bridge, sink)
        finally:
            task.cancel()
            await asyncio.wait([task])

    asyncio.run(both())


def test_a_bridge_that_stands_still_is_offline_long_before_it_is_killed() -> None:
    async def scenario(bridge: BridgeProcess, sink: ConnectionSink) -> None:
        await until(lambda: sink.read()[0] is ONLINE)
        pid = bridge.pid
        with stopped(pid):
            await until(lambda: sink.read()[:2] == (OFFLINE, SILENT))
            assert bridge.pid == pid
        await until(lambda: sink.read()[0] is ONLINE)
        assert (bridge.pid, bridge.restarts) == (pid, 0)

    run(scenario)


def test_a_process_that_cannot_be_started_is_tried_again() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    causes: list[str] = []

    class Watched(BridgeProcess):
        def ended(self, cause: str, pause: float) -> None:
            causes.append(cause)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            super().ended(cause, pause)

        def starting(self) -> None:
            if not causes:
                # What is open stays open, and nothing more can be opened.
                resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
            super().starting()

    async def scenario(bridge: BridgeProcess, sink: ConnectionSink) -> None:
        await until(lambda: sink.read()[0] is ONLINE)
        assert bridge.restarts == 1
        assert len(causes) == 1
        assert "no bridge process can be started: [Errno 24]" in causes[0]

    try:
        run(scenario, Watched)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Events:
    """What the command path would be told."""

    def __init__(self) -> None:
        self.losses: list[tuple[str, str]] = []

    def report(self, report: Report) -> None:
        raise AssertionError(report)

    def reading(self, reading: Reading) -> None:
        raise AssertionError(reading)

    def lost(self, connection: str, cause: str) -> None:
        self.losses.append((connection, cause))


def test_a_command_client_that_stands_still_is_offline_and_not_given_up() -> None:
    async def scenario() -> None:
        clients = Commanders({}, in_process=False)
        clients.events = events = Events()
        async with asyncio.TaskGroup() as group:
            await clients.use({"line": (SPEC, [])}, group)
            await until(lambda: clients.link("line")[0] is ONLINE)
            pid = clients.status()["line"]["pid"]
            assert isinstance(pid, int)
            with stopped(pid):
                await until(lambda: clients.link("line") == (OFFLINE, SILENT))
                assert events.losses == [], "what it was given may still leave"
            await until(lambda: clients.link("line")[0] is ONLINE)
            assert clients.status()["line"]["restarts"] == 0
            clients.cancel()

    asyncio.run(scenario())


def bound() -> tuple[Hub, ConnectionSink, ManualClock]:
    clock = ManualClock()
    hub = Hub(clock)
    hub.bind(TABLE.telemetry, 1)
    sink = ConnectionSink("line", hub)
    sink.state(ONLINE)
    sink.samples(Samples.of([0], [1.0], receive_time=clock.wall()))
    sink.vouch([0], True)
    clock.advance(60)
    assert quality(hub) is Quality.GOOD
    return hub, sink, clock


def quality(hub: Hub) -> Quality:
    hub.drain()
    return Quality(int(hub.latest.quality[0]))


def test_word_of_a_device_ends_with_the_silence_of_its_process() -> None:
    hub, sink, clock = bound()
    sink.answers(False)
    assert quality(hub) is Quality.GOOD, "its last word was a moment ago"
    clock.advance(11)
    assert quality(hub) is Quality.STALE
    sink.answers(True)
    sink.vouch([0], True)
    assert quality(hub) is Quality.STALE, "what came meanwhile is not known"
    sink.samples(Samples.of([0], [1.0], receive_time=clock.wall()))
    clock.advance(60)
    assert quality(hub) is Quality.GOOD


@pytest.mark.parametrize("state", [OFFLINE, ConnectionState.FAILED, ConnectionState.CONNECTING])
def test_the_hub_knows_at_once_that_a_connection_is_gone(state: ConnectionState) -> None:
    hub, sink, clock = bound()
    sink.state(state, "cut")
    sink.state(ONLINE)
    sink.vouch([0], True)
    clock.advance(11)
    assert quality(hub) is Quality.STALE


def test_attempts_that_fail_are_sessions_of_their_own() -> None:
    hub, sink, clock = bound()
    sink.state(OFFLINE, "cut")
    sink.samples(Samples.of([0], [1.0], receive_time=clock.wall()))
    sink.state(OFFLINE, "cut again before all was subscribed")
    sink.state(ONLINE)
    sink.vouch([0], True)
    clock.advance(11)
    assert quality(hub) is Quality.STALE


def test_what_another_bridge_brought_is_not_the_word_of_this_one() -> None:
    hub, _, clock = bound()
    sink = ConnectionSink("line", hub)
    sink.state(ONLINE)
    sink.vouch([0], True)
    clock.advance(11)
    assert quality(hub) is Quality.STALE
