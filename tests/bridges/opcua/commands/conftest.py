"""A server, a proxy before it, a sink, and commanders that end with the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stagetwin.actuation import CommandTarget
from stagetwin_bridges.opcua import Endpoint, OpcUaCommander
from tests.bridges.conftest import connection
from tests.bridges.opcua.commands.command_part import (
    ASSET,
    GUARD,
    CommandRecorder,
    Issuer,
    ServerProcess,
    free_port,
)
from tests.bridges.opcua.commands.command_proxy import CommandProxy
from tests.bridges.recording_sink import eventually

Make = Callable[..., OpcUaCommander]


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    """One server for all tests that leave it as it is."""
    with ServerProcess(free_port()) as process:
        yield process


@pytest.fixture
def proxy(server: ServerProcess) -> Iterator[CommandProxy]:
    with CommandProxy(server.port) as between:
        yield between


@pytest.fixture
def sink() -> CommandRecorder:
    return CommandRecorder()


@pytest.fixture
def issue() -> Issuer:
    return Issuer()


@pytest.fixture
def make(sink: CommandRecorder) -> Iterator[Make]:
    """Make a running commander into `sink`, authorised; all end with the test."""
    made: list[OpcUaCommander] = []

    def maker(port: int, *targets: CommandTarget, wait: bool = True, **more: Any) -> OpcUaCommander:
        spec = connection(f"opc.tcp://127.0.0.1:{port}/", security_profile="none")
        commander = OpcUaCommander(spec, Endpoint.parse(spec.endpoint), targets, sink, None, **more)
        made.append(commander)
        commander.authorise({ASSET: GUARD})
        commander.start()
        if wait:
            eventually(sink.online, 30)
        return commander

    yield maker
    for commander in made:
        commander.stop()
    left = [one.name for one in threading.enumerate() if one.name.startswith("opcua-commands")]
    assert not left
