"""A service with a gateway in a process of its own, whose devices are lines on standard input.

Each line is a JSON list: `["send", address, value]`, `["storm", seconds]` (every number changes at
each step; answers with what was sent last), `["gateway"]`. Each is answered by a line.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
import time
from pathlib import Path
from typing import Any

from stagetwin.service import Service, ServiceConfig
from stagetwin.signals import Samples
from stagetwin.soft import soft_bridge


def storm(service: Service, seconds: float) -> dict[str, float]:
    """Change every number of both lines again and again; return what each was set to last."""
    table = dict(service.twin.table.telemetry)
    rows = [i for i, b in table.items() if b.type_name == "double"]
    until, step = time.monotonic() + seconds, 0
    last: list[float] = []
    while time.monotonic() < until:
        step += 1
        last = [float(step * 1000 + k % 997) for k in range(len(rows))]
        service.twin.hub.submit(Samples.of(rows, last, receive_time=time.time()))
        time.sleep(0.02)
    return {table[i].path: value for i, value in zip(rows, last, strict=True)}


def obey(service: Service, loop: asyncio.AbstractEventLoop, name: str) -> None:
    """Do what the lines say until they end."""
    for line in sys.stdin:
        operation, *arguments = json.loads(line)
        answer: Any = None
        if operation == "send":
            soft_bridge(name).send(*arguments)
        elif operation == "storm":
            answer = storm(service, *arguments)
        elif operation == "gateway":
            gateway = service.gateway
            assert gateway is not None
            answer = {"pid": gateway.pid, "restarts": gateway.restarts}
        print(json.dumps(answer), flush=True)
    loop.call_soon_threadsafe(service.stop)


async def main(config: ServiceConfig, name: str) -> None:
    service = Service(config)
    loop = asyncio.get_running_loop()
    thread = threading.Thread(target=obey, args=(service, loop, name), daemon=True)
    run = asyncio.ensure_future(service.run())
    await service.ready.wait()
    thread.start()
    await run


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    described = Path(sys.argv[1]).read_text()
    asyncio.run(main(ServiceConfig.model_validate_json(described), sys.argv[2]))
