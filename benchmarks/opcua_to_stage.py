"""OPC UA values through a subscription to composed attributes, against asyncua's own ways.

One server process (asyncua's) writes 1,000 Doubles in rounds, at a pace. Each contender subscribes
to all of them every 100 ms, with queues that hold whatever the server writes meanwhile. `ours` is
the OPC UA bridge, hub and live layer with times, quality and health, at 60 ticks a second, all in
one process: values end on the stage. `bare` is an asyncua handler that does nothing but count;
`iterator` is asyncua's iterator with an unbounded queue, and counts. Neither touches a stage.

The figure is values taken in per CPU-second of the consuming process, all of its threads together.
Before it counts, not one value may be missing; and of ours every attribute must hold what was
written last.

    python -m benchmarks.opcua_to_stage [--rounds N] [--rate RATE] [--seconds S]
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import logging
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from asyncua import ua
from asyncua.client.client import Client
from asyncua.server.server import Server
from pxr import Sdf, Usd

import stagetwin  # noqa: F401 - registers the schema before the first stage
from benchmarks._report import Case, report
from stagetwin.ports import find_protocol
from stagetwin.service._bridges import ConnectionSink
from stagetwin.twin import Twin

SIGNALS = 1_000
PEERS = ("bare", "iterator")
NAMESPACE = "http://plant.example/bench"
QUEUE = 1_000
QUIET = 5.0


@dataclass
class Outcome:
    """What one contender did: values taken in, CPU seconds, values lost."""

    values: int
    cpu: float
    lost: int

    @property
    def rate(self) -> float:
        """Values per CPU-second."""
        return self.values / self.cpu


def plant(endpoint: str) -> Sdf.Layer:
    """Return a root layer with the devices."""
    lines = [
        "#usda 1.0",
        'def Xform "World" {',
        '    uniform token twin:connection = "field"',
        '    def TwinConnection "field" {',
        f'        uniform string twin:endpoint = "{endpoint}?queue={QUEUE}"',
        "    }",
    ]
    for device in range(SIGNALS):
        lines += [
            f'    def Xform "dev{device}" ( prepend apiSchemas = ["TwinTelemetryAPI:flow"] ) {{',
            "        double twin:telemetry:flow:value",
            f'        uniform string twin:telemetry:flow:address = "nsu={NAMESPACE};s=v{device}"',
            "    }",
        ]
    lines.append("}")
    layer = Sdf.Layer.CreateAnonymous("plant.usda")
    layer.ImportFromString("\n".join(lines) + "\n")
    return layer


# -- the server, a process of its own


async def serve(port: int) -> None:
    """Hold the variables; write them in rounds when a line says how many, and at which pace."""
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/plant")
    namespace = await server.register_namespace(NAMESPACE)
    nodes: list[ua.NodeId] = []
    for row in range(SIGNALS):
        name: Any = ua.NodeId.from_string(f"ns={namespace};s=v{row}")
        nodes.append((await server.nodes.objects.add_variable(name, f"v{row}", 0.0)).nodeid)
    await server.start()
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print("ready", flush=True)
    written = 0.0
    while line := await reader.readline():
        rounds, pause = json.loads(line)
        due = time.perf_counter()
        for _ in range(rounds):
            written += 1
            now: Any = datetime.datetime.now(datetime.UTC)
            for node in nodes:
                held = ua.Variant(written, ua.VariantType.Double)
                await server.write_attribute_value(node, ua.DataValue(held, SourceTimestamp=now))
            due += pause
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
        print(json.dumps(written), flush=True)
    await server.stop()


# -- the contenders, each in a process of its own


def ready() -> None:
    """Tell the parent that every value there is has come, and the writing may begin."""
    print("ready", flush=True)


def run_ours(endpoint: str, total: int) -> Outcome:
    """Bridge, hub and live layer in this process."""
    stage = Usd.Stage.Open(plant(endpoint))
    twin = Twin(stage)
    assert not twin.table.problems, twin.table.problems[0]
    sink = ConnectionSink("field", twin.hub)
    connection = twin.table.connections["field"]
    bridge = find_protocol(connection.endpoint).bridge(
        connection, twin.table.channels("field"), sink, None
    )
    bridge.start()
    fates = twin.hub.fates
    while fates.received < SIGNALS:
        twin.tick()
        time.sleep(0.01)
    ready()
    started, cpu_started = time.monotonic(), time.process_time()
    seen, changed_at, cpu, second = 0, started, 0.0, started
    due = started
    while seen < total and time.monotonic() - changed_at < QUIET:
        twin.tick()
        if fates.received - SIGNALS != seen:
            seen = fates.received - SIGNALS
            changed_at = time.monotonic()
            cpu = time.process_time() - cpu_started
        if time.monotonic() - second >= 1:
            second = time.monotonic()
            twin.refresh_health()
        due = max(due + 1 / 60, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))
    bridge.stop()
    twin.tick()
    assert fates.balanced(), fates
    assert not fates.rejected, twin.hub.rejections.examples()
    final = json.loads(sys.stdin.readline())
    for device in range(SIGNALS):
        held = stage.GetAttributeAtPath(f"/World/dev{device}.twin:telemetry:flow:value").Get()
        assert held == final, f"dev{device} holds {held}, {final} was written last"
    return Outcome(seen, cpu, total - seen)


class Counter:
    """A handler that counts."""

    def __init__(self) -> None:
        self.seen = 0

    def datachange_notification(self, node: Any, val: Any, data: Any) -> None:
        """Count one value."""
        self.seen += 1


async def run_asyncua(endpoint: str, total: int, iterate: bool) -> Outcome:
    """asyncua's client and subscription alone."""
    counter = Counter()
    async with Client(endpoint) as client:
        namespace = await client.get_namespace_index(NAMESPACE)
        nodes = [client.get_node(f"ns={namespace};s=v{i}") for i in range(SIGNALS)]
        if iterate:
            subscription = await client.create_subscription(100, queue_maxsize=0)
        else:
            subscription = await client.create_subscription(100, counter)

        async def count() -> None:
            async for _ in subscription:
                counter.seen += 1

        counting = asyncio.create_task(count()) if iterate else None
        await subscription.subscribe_data_change(nodes, queuesize=QUEUE)
        while counter.seen < SIGNALS:
            await asyncio.sleep(0.01)
        ready()
        cpu_started = time.process_time()
        seen, changed_at, cpu = 0, time.monotonic(), 0.0
        while seen < total and time.monotonic() - changed_at < QUIET:
            await asyncio.sleep(0.02)
            if counter.seen - SIGNALS != seen:
                seen = counter.seen - SIGNALS
                changed_at = time.monotonic()
                cpu = time.process_time() - cpu_started
        if counting is not None:
            counting.cancel()
    return Outcome(seen, cpu, total - seen)


def consume(contender: str, endpoint: str, total: int) -> Outcome:
    """Run a contender until everything came, or nothing more comes."""
    if contender == "ours":
        return run_ours(endpoint, total)
    return asyncio.run(run_asyncua(endpoint, total, contender == "iterator"))


# -- the frame around them


def process(*arguments: str) -> subprocess.Popen[str]:
    """Start this module as a process and wait until it is ready."""
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.opcua_to_stage", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n", f"{arguments} did not start"
    return child


def ask(child: subprocess.Popen[str], line: str) -> str:
    """Write one line and return the answer."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(line + "\n")
    child.stdin.flush()
    return child.stdout.readline()


def measure(
    contender: str, endpoint: str, server: subprocess.Popen[str], writes: int, pause: float
) -> Outcome:
    """Run one contender in a process of its own while the server writes."""
    with process("--contender", contender, endpoint, str(writes * SIGNALS)) as child:
        final = ask(server, json.dumps([writes, pause]))
        answer = ask(child, final.strip())
    found = Outcome(**json.loads(answer))
    assert not found.lost, f"{contender} lost {found.lost} of {writes * SIGNALS} values"
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--contender", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=2, help="runs of each contender")
    parser.add_argument("--rate", type=float, default=8_000, help="values per second [1/s]")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one run [s]")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if options.serve:
        asyncio.run(serve(options.serve))
        return
    if options.contender:
        name, endpoint, total = options.contender
        print(json.dumps(asdict(consume(name, endpoint, int(total)))), flush=True)
        return
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    endpoint = f"opc.tcp://127.0.0.1:{port}/plant"
    writes = max(1, int(options.rate * options.seconds / SIGNALS))
    pause = SIGNALS / options.rate
    best: dict[str, float] = {}
    with process("--serve", str(port)) as server:
        for _ in range(options.rounds):
            for contender in ("ours", *PEERS):
                found = measure(contender, endpoint, server, writes, pause)
                best[contender] = max(best.get(contender, 0.0), found.rate)
                print(
                    f"{contender:<12}{found.rate:>10,.0f} values/CPU-s  lost {found.lost}",
                    flush=True,
                )
        assert server.stdin is not None
        server.stdin.close()
    cases = [Case("1000_doubles", best["ours"], {peer: best[peer] for peer in PEERS})]
    report("opcua_to_stage", "values per CPU-second", False, cases)


if __name__ == "__main__":
    main()
