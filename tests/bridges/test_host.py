"""A bridge process that is told what cannot work says so, and does not start again and again."""

from __future__ import annotations

import asyncio

from stagetwin.clock import WallClock
from stagetwin.hub import Hub
from stagetwin.ports import ConnectionSpec, ConnectionState
from stagetwin.service._bridges import BridgeProcess, ConnectionSink


def test_a_configuration_that_cannot_work_is_a_state_and_no_crash() -> None:
    spec = ConnectionSpec(
        name="plc",
        prim="/World/plc",
        endpoint="opc.tcp://127.0.0.1:4840/",
        security_profile="Basic256Sha256",
    )

    async def run() -> tuple[ConnectionState, str, int]:
        sink = ConnectionSink("plc", Hub(WallClock()))
        bridge = BridgeProcess(spec, sink, None)
        task = asyncio.create_task(bridge.run([]))
        async with asyncio.timeout(30):
            while sink.read()[0] is not ConnectionState.FAILED:
                await asyncio.sleep(0.05)
        await asyncio.sleep(1.0)  # longer than the first pause before another attempt
        state, cause, _ = sink.read()
        task.cancel()
        await asyncio.wait([task])
        return state, cause, bridge.restarts

    state, cause, restarts = asyncio.run(run())
    assert state is ConnectionState.FAILED
    assert "ca_file" in cause
    assert restarts == 0
