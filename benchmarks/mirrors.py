"""What it costs to keep viewers up to date: 10,000 signals that all change 30 times a second.

Both contenders are processes of their own that are fed the same columns through the same pipe and
serve the same clients over WebSocket (no compression, loopback). `ours` is the gateway as the
service runs it: frames of columns, values with source times and qualities. `json` sends what many
dashboards do: one JSON object per value, with the same four things in it. It is written to be
fast: encoded once per value for all clients by msgspec, sent by `websockets.broadcast`; it takes
the newest state whenever it is done with the one before, and so need not keep up.

The figure is CPU seconds of the contender's process per value that its clients received; what
clients spend is theirs. `bytes` is what came over the wire per value, `staleness` the 99th
percentile of the time from the tick to the client, all on one machine. Before a figure counts,
every client of ours must hold exactly what was sent last, and what is looked at of the peer must
be the value of its signal.

    python -m benchmarks.mirrors [--seconds S] [--clients N,N,...]
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import numpy as np
import psutil  # type: ignore[import-untyped]

from benchmarks._mirror_clients import be_clients
from benchmarks._mirror_peer import Peer
from benchmarks._mirror_signals import RATE, SIGNALS, TOKEN, path, value_of
from benchmarks._report import Case, report
from stagetwin.gateway import wire
from stagetwin.host import wire as host_wire

GOAL = 5
"""How many times less than the peer ours is to take."""

_WARM = 0.5


# -- what feeds both


def opening() -> bytes:
    """Return the frames that begin a contender's life."""
    first = wire.Opening(
        run="benchmark",
        stage="benchmark",
        tick_rate=RATE,
        commands=False,
        host="127.0.0.1",
        port=0,
        certificate="",
        key="",
        people="",
        origins=[],
        clients=1000,
        owner="benchmark",
        bearer=hashlib.sha256(TOKEN.encode()).hexdigest(),
        sessions=[],
        tokens=[],
    )
    rows = []
    for i in range(SIGNALS):
        prim, _, signal = path(i).partition(".")
        row = {"path": path(i), "prim": prim, "signal": signal, "element": -1, "type": "double"}
        rows.append({**row, "target": f"{prim}.twin:telemetry:{signal}:value", "unit": "1"})
    table = wire.Table(1, rows, [], [], {})
    return wire.encode(wire.Kind.OPEN, first) + wire.encode(wire.Kind.TABLE, table)


def state(tick: int) -> bytes:
    """Return the frame of a tick in which everything changed."""
    now = time.time()
    return wire.encode(
        wire.Kind.STATE,
        wire.State(
            tick,
            now,
            rows=np.arange(SIGNALS, dtype=np.int32).tobytes(),
            values=value_of(tick).tobytes(),
            times=np.full(SIGNALS, now).tobytes(),
            qualities=bytes(SIGNALS),
            status=bytes(4 * SIGNALS),
        ),
    )


class Contender:
    """A process that serves clients, fed through its standard input."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "STAGETWIN_LEVEL": "WARNING"},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self._known = psutil.Process(self._process.pid)
        self._stopped = threading.Event()
        self.tick = 0
        self._in.write(opening())
        self.port = self._listening()
        # It must not wait for us to read that it lives.
        threading.Thread(target=self._out.read, daemon=True).start()
        self._feeder = threading.Thread(target=self._feed, daemon=True)
        self._feeder.start()

    def _listening(self) -> int:
        while True:
            kind, body = read_frame(self._out)
            if kind == wire.Kind.LISTENING:
                port: int = wire.decode(body, wire.Listening).port
                return port

    def _feed(self) -> None:
        due = time.monotonic()
        while not self._stopped.is_set():
            self.tick += 1
            self._in.write(state(self.tick))
            self._in.flush()
            due = max(due + 1 / RATE, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))

    def cpu(self) -> float:
        """Return the CPU seconds of the process so far."""
        times = self._known.cpu_times()
        return float(times.user + times.system)

    def quiet(self) -> None:
        """Feed no more."""
        self._stopped.set()
        self._feeder.join()

    def close(self) -> None:
        """End the process."""
        self.quiet()
        self._in.close()
        try:
            self._process.wait(10)
        finally:
            self._process.kill()
            self._process.wait()


def read_frame(stream: IO[bytes]) -> tuple[int, bytes]:
    """Return kind and body of a frame on a pipe."""
    head = stream.read(host_wire.HEADER.size)
    if len(head) < host_wire.HEADER.size:
        raise EOFError("the contender ended")
    size, kind = host_wire.HEADER.unpack(head)
    return kind, stream.read(size)


# -- the frame around them


@dataclass
class Figures:
    """What one run measured: CPU [us] and bytes per value, staleness [s], values delivered."""

    cpu: float
    bytes: float
    staleness: float
    values: int


@contextmanager
def child(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run this module in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.mirrors", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait(20)


def measure(name: str, count: int, seconds: float) -> Figures:
    """Run one contender with so many clients."""
    ours = name == "ours"
    contender = (
        Contender("stagetwin.gateway") if ours else Contender("benchmarks.mirrors", "--peer")
    )
    try:
        with child("--be-clients", str(contender.port), str(count), name) as process:

            def told(line: str) -> str:
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(line + "\n")
                process.stdin.flush()
                return process.stdout.readline()

            assert told("hello") == "ready\n"
            time.sleep(_WARM)
            assert told("count") == "counting\n"
            before = contender.cpu()
            time.sleep(seconds)
            values, size, staleness = json.loads(told("tell"))
            cpu = contender.cpu() - before
            contender.quiet()
            if ours:
                assert told(f"check {contender.tick}") == "right\n"
    finally:
        contender.close()
    assert values, f"{name} delivered nothing to {count} clients"
    return Figures(cpu / values * 1e6, size / values, staleness, values)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--be-clients", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one run [s]")
    parser.add_argument("--clients", default="1,10,100", help="numbers of clients")
    options = parser.parse_args()
    if options.peer:
        # Clients that leave in the middle of a tick are no news.
        logging.getLogger("asyncio").setLevel(logging.ERROR)
        asyncio.run(Peer().run())
        return
    if options.be_clients:
        port, count, name = options.be_clients
        asyncio.run(be_clients(int(port), int(count), name == "json"))
        return
    found: dict[int, dict[str, Figures]] = {}
    for count in map(int, options.clients.split(",")):
        for name in ("ours", "json"):
            result = measure(name, count, options.seconds)
            found.setdefault(count, {})[name] = result
            print(
                f"{count:>4} clients  {name:<5} {result.cpu:9.4f} us CPU/value "
                f"{result.bytes:8.2f} bytes/value  staleness p99 {result.staleness * 1e3:9.1f} ms"
                f"  {result.values / options.seconds / count:>9,.0f} values/s a client",
                flush=True,
            )

    def cases(read: Callable[[Figures], float], limited: bool) -> list[Case]:
        out = []
        for count, both in found.items():
            peer = read(both["json"])
            against = {"json": peer, **({"limit": peer / GOAL} if limited else {})}
            out.append(Case(f"{count} clients", read(both["ours"]), against))
        return out

    report(
        "mirrors_staleness", "ms, 99th percentile", True, cases(lambda f: f.staleness * 1e3, False)
    )
    report("mirrors_bytes", "bytes per value", True, cases(lambda f: f.bytes, True))
    report("mirrors", "CPU us per delivered value", True, cases(lambda f: f.cpu, True))


if __name__ == "__main__":
    main()
