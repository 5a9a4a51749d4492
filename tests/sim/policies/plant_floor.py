"""A running service with a second door: whoever comes in there is somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from stagetwin.people import Principal
from stagetwin.service import Service, ServiceConfig
from stagetwin.service._control import ControlServer
from stagetwin.service._requests import Requests

__all__ = ["DOOR", "PERSON", "run_beside"]

PERSON = "bob"
"""Who comes in by the second door."""

DOOR = "bob.sock"
"""Name of its socket, beside the service's own."""


def run_beside(config: ServiceConfig, scenario: Callable[[Service], None]) -> None:
    """Run a service, and a scenario beside it on a thread of its own."""

    async def both() -> None:
        service = Service(config)
        run = asyncio.create_task(service.run())
        await asyncio.wait_for(service.ready.wait(), 30)
        door = ControlServer(
            config.socket.parent / DOOR,
            Requests(service).answer,
            who_is=lambda _user, _owner: Principal(PERSON),
        )
        await door.start()
        try:
            await asyncio.to_thread(scenario, service)
        finally:
            await door.close()
            service.stop()
            await asyncio.wait_for(run, 30)

    asyncio.run(both())
