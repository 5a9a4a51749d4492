"""One device process: `python -m stagetwin_bridges.devices CONFIG.json`.

It ends when its standard input ends, so no device outlives whoever started it; and on SIGTERM, or
when its control socket says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from stagetwin import StagetwinError
from stagetwin.ports import scheme_of
from stagetwin.service._control import ControlServer
from stagetwin_bridges._errors import BridgeError
from stagetwin_bridges.devices._config import DeviceConfig, load_config
from stagetwin_bridges.devices._controller import Controller
from stagetwin_bridges.devices._misbehaviour import Misbehaviour
from stagetwin_bridges.devices._mqtt import MqttTransport
from stagetwin_bridges.devices._transport import Transport

__all__ = ["main"]

_log = logging.getLogger(__name__)

_SELDOM = 1.0
"""Time between two messages of a switch or text that need not change [s]."""


class DeviceProcess:
    """Cycles a controller, keeps its transport as it is told to be, and answers questions."""

    def __init__(self, config: DeviceConfig, say: Callable[[dict[str, Any]], None]) -> None:
        self._say = say
        self._controller = Controller(config)
        self._transport = _transport(self._controller, config)
        self._control = ControlServer(config.control, self._answer)
        self._period = 1 / config.rate
        self._stopped = asyncio.Event()
        self._changed = asyncio.Event()
        self._controller.on_misbehaviour = self._changed.set
        self._up = False

    def stop(self) -> None:
        """End `run`."""
        self._stopped.set()

    async def run(self) -> None:
        """Serve until stopped; says on standard output when it can be reached."""
        await self._control.start()
        try:
            await self._go(up=True)
            self._say({"ready": self._transport.online})
            async with asyncio.TaskGroup() as tasks:
                cycle = tasks.create_task(self._cycle(), name="cycle")
                switch = tasks.create_task(self._switch(), name="switch")
                await self._stopped.wait()
                cycle.cancel()
                switch.cancel()
        finally:
            await self._go(up=False)
            await self._control.close()
            self._controller.log.close()

    async def _go(self, *, up: bool) -> None:
        if up != self._up:
            self._up = up
            await (self._transport.start() if up else self._transport.stop())

    async def _switch(self) -> None:
        """Take the transport up and down as misbehaviour wants it."""
        while True:
            self._changed.clear()
            await self._go(up=not self._controller.offline)
            await self._changed.wait()

    async def _cycle(self) -> None:
        due = time.monotonic()
        seldom_due = due
        while True:
            await asyncio.sleep(max(due - time.monotonic(), 0.0))
            now = time.monotonic()
            seldom = now >= seldom_due
            if seldom:
                seldom_due = now + _SELDOM
            await self._transport.publish(self._controller.values(), seldom=seldom)
            due = max(due + self._period, time.monotonic())

    # -- the control socket

    async def _answer(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        match request.get("op"):
            case "devices":
                rows = self._controller.describe()
                yield {
                    "devices": [{**row, "protocol": self._transport.protocol} for row in rows],
                    "online": self._transport.online,
                }
            case "misbehave":
                yield self._misbehave(str(request["asset"]), str(request["mode"]))
            case "log":
                yield {"log": self._controller.log.newest()}
            case "fault":
                where, kind = str(request["where"]), str(request["kind"])
                how = dict(request.get("how") or {})
                yield {"taken": self._controller.fail(where, kind, how)}
            case "faults":
                yield self._controller.faults(str(request.get("asset", "")))
            case "stop":
                yield {}
                self.stop()
            case other:
                allowed = "devices, misbehave, fault, faults, log or stop"
                raise BridgeError(f"op {other!r}: expected {allowed}")

    def _misbehave(self, asset: str, mode: str) -> dict[str, Any]:
        known = [row["asset"] for row in self._controller.describe()]
        if asset not in known:
            raise BridgeError(f"no asset {asset!r} here; there are {', '.join(known)}")
        how = Misbehaviour.parse(mode)
        self._controller.misbehave(asset, how)
        return {"asset": asset, "misbehaviour": str(how), "meaning": how.mode.meaning}


def _transport(controller: Controller, config: DeviceConfig) -> Transport:
    scheme = scheme_of(controller.connection.endpoint)
    if scheme in ("mqtt", "mqtts"):
        return MqttTransport(controller, config.credential)
    if scheme == "opc.tcp":
        # asyncua takes most of a second to import, which devices on a broker need not spend.
        from stagetwin_bridges.devices._opcua import OpcUaTransport

        return OpcUaTransport(controller, config.server)
    raise BridgeError(f"no simulated device speaks {scheme!r}; allowed: mqtt, mqtts, opc.tcp")


def _watch_input(loop: asyncio.AbstractEventLoop, stop: Any) -> None:
    """Stop when nobody is left at the other end of standard input."""
    # Not sys.stdin: the interpreter could not take its lock from this thread at the end.
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(stop)


async def _serve(config: DeviceConfig, say: Callable[[dict[str, Any]], None]) -> None:
    process = DeviceProcess(config, say)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, process.stop)
    threading.Thread(
        target=_watch_input, args=(loop, process.stop), name="input", daemon=True
    ).start()
    await process.run()


def main(arguments: list[str]) -> int:
    """Run one device process; returns the exit status."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    if len(arguments) != 1:
        print("usage: python -m stagetwin_bridges.devices CONFIG.json", file=sys.stderr)  # noqa: T201
        return 2
    # What libraries print, as compilers do, must not stand where somebody waits for a word.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as output:
        os.dup2(2, 1)
        return _run(
            Path(arguments[0]), lambda said: print(json.dumps(said), file=output, flush=True)
        )


def _run(path: Path, say: Callable[[dict[str, Any]], None]) -> int:
    try:
        asyncio.run(_serve(load_config(path), say))
    except StagetwinError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0
