"""A value asked of the device itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from asyncua.client.client import Client

from stagetwin.ports import ChannelSpec, ValueKind
from stagetwin_bridges.opcua._commander import OpcUaCommander
from stagetwin_bridges.opcua._options import Endpoint
from tests.bridges.conftest import channel, connection
from tests.bridges.opcua.commands.command_part import (
    PLANT,
    CommandRecorder,
    ServerProcess,
)
from tests.bridges.opcua.commands.command_proxy import CommandProxy
from tests.bridges.recording_sink import eventually

BAD_TYPE_MISMATCH, BAD_NODE_ID_UNKNOWN = 0x80740000, 0x80340000
NUMBER, TEXT, COMPOSITE = ValueKind.NUMBER, ValueKind.TEXT, ValueKind.COMPOSITE


@pytest.fixture
def commander(proxy: CommandProxy, sink: CommandRecorder) -> Iterator[OpcUaCommander]:
    spec = connection(f"opc.tcp://127.0.0.1:{proxy.port}/", security_profile="none")
    running = OpcUaCommander(spec, Endpoint.parse(spec.endpoint), [], sink, None)
    running.start()
    eventually(sink.online, 30)
    yield running
    running.stop()


def node(name: str, kind: ValueKind = NUMBER, field: str = "") -> ChannelSpec:
    return channel(0, f"nsu={PLANT};s={name}", field, kind)


@pytest.mark.parametrize(
    ("asked", "value", "status", "cause"),
    [
        (node("Speed"), 0.0, 0, ""),
        (node("Mode", TEXT), "Off", 0, ""),
        (node("Mode"), 0, 0, ""),
        (node("Run", ValueKind.BOOLEAN), False, 0, ""),
        (node("Profile", COMPOSITE), [0.0], 0, ""),
        (node("Profile", field="[0]"), 0.0, 0, ""),
        (node("Profile", field="[4]"), None, BAD_TYPE_MISMATCH, "expected a value at [4]"),
        (node("Name"), None, BAD_TYPE_MISMATCH, "expected a number, got a String ''"),
        (node("Nowhere"), None, BAD_NODE_ID_UNKNOWN, "BadNodeIdUnknown"),
        (channel(0, "nsu=http://gone;i=1"), None, 0x80000000, "no namespace 'http://gone'"),
        (channel(0, "x"), None, 0x80000000, "expected a NodeId"),
    ],
)
def test_a_reading_has_a_value_or_a_cause(
    commander: OpcUaCommander,
    sink: CommandRecorder,
    asked: ChannelSpec,
    value: Any,
    status: int,
    cause: str,
) -> None:
    before = time.time()
    commander.read(7, asked)
    (reading,) = eventually(lambda: sink.readings)
    assert (reading.request, reading.value, reading.status) == (7, value, status)
    assert cause in reading.cause
    assert bool(cause) == bool(reading.cause)
    assert before <= reading.time <= time.time()


def test_a_reading_sees_what_no_subscription_shows(
    server: ServerProcess, commander: OpcUaCommander, sink: CommandRecorder
) -> None:
    async def subscribed() -> list[float]:
        seen: list[float] = []

        class Handler:
            def datachange_notification(self, _node: Any, value: float, _data: Any) -> None:
                seen.append(value)

        async with Client(f"opc.tcp://127.0.0.1:{server.port}/") as client:
            index = await client.get_namespace_index(PLANT)
            subscription = await client.create_subscription(20, Handler())
            await subscription.subscribe_data_change(client.get_node(f"ns={index};s=Hidden"))
            for request in range(5):
                commander.read(request, node("Hidden"))
            await asyncio.to_thread(eventually, lambda: len(sink.readings) == 5)
            # Several publishing intervals: a subscription had its chance.
            await asyncio.sleep(0.2)
            await subscription.delete()
        return seen

    seen = asyncio.run(subscribed())
    values = [reading.value for reading in sink.readings]
    assert values == sorted(set(values))
    assert len(seen) <= 1
    assert values[-1] not in seen


def test_a_reading_ends_when_nobody_answers(
    proxy: CommandProxy, commander: OpcUaCommander, sink: CommandRecorder
) -> None:
    proxy.stall("to_client")
    commander.read(1, node("Speed"))
    (reading,) = eventually(lambda: sink.readings, 10)
    assert reading.value is None
    assert reading.status >> 31
    assert reading.cause
    eventually(lambda: not sink.online(), 10)
    proxy.resume()


def test_a_reading_while_offline_says_so_at_once(sink: CommandRecorder) -> None:
    spec = connection("opc.tcp://127.0.0.1:1/", security_profile="none")
    commander = OpcUaCommander(spec, Endpoint.parse(spec.endpoint), [], sink, None)
    commander.read(1, node("Speed"))
    commander.start()
    commander.read(2, node("Speed"))
    eventually(lambda: len(sink.readings) == 2)
    commander.stop()
    commander.read(3, node("Speed"))
    assert [reading.request for reading in sink.readings] == [1, 2, 3]
    assert all(reading.cause.startswith("offline") for reading in sink.readings)
    assert all(reading.status == 0x80310000 for reading in sink.readings)
