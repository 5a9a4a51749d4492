"""A virtual fleet through mosquitto to composed attributes: VDA 5050 3.0 at full rate.

Each vehicle has a connection of its own, drives an order of many nodes on simulated bodies, and
sends a state at least once a second and at each event, and five visualizations a second. Three
processes beside the broker: the generator (vehicles, bodies and connections), the stage (bridge,
hub and live layer at 60 ticks a second, four signals a vehicle: pose, charge, driving, last node),
and this one, which sends the orders. The lag is from the time in a message to the tick that put it
on the stage. CPU is told of each party apart: generator, broker, bridge, and hub with live layer.
Before a figure counts, every message that was sent has arrived and none was refused.

`writer` compares the generator's own packets with paho-mqtt's publish, one connection each.

    python -m benchmarks.vda5050 [--connections N] [--seconds S]
"""

from __future__ import annotations

import argparse
import json
import math
import socket
import subprocess
import sys
import time
from typing import Any

import paho.mqtt.client as paho
import psutil  # type: ignore[import-untyped]
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks._report import Case, report
from benchmarks._vda5050_roles import (
    INTERFACE,
    MANUFACTURER,
    PER_STATE,
    SPACING,
    SPEED,
    generate,
    names,
    show,
)
from stagetwin.ports import Credential
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.vda5050.messages import (
    Codec,
    Edge,
    Headers,
    Identity,
    Node,
    NodePosition,
    Order,
    topic_of,
)
from stagetwin_bridges.vda5050.virtual import allow_open_files
from stagetwin_bridges.vda5050.virtual._packets import (
    connect_packet,
    publish_packet,
    topic_bytes,
)

# -- the frame around them


class Child:
    """One of the processes."""

    def __init__(self, role: str, port: int, count: int, account: Credential) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.vda5050", "--role", role, str(port), str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert account.password is not None
        self._write(json.dumps([account.username, account.password.get_secret_value()]))
        self.read()

    def ask(self, what: str = "mark") -> dict[str, Any]:
        """Return the answer to a line."""
        self._write(what)
        return self.read()

    def read(self) -> dict[str, Any]:
        """Return the next answer; Warp's own words are passed over."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise RuntimeError(f"a process ended with {self._process.wait()}")

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process.wait()

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


def way(k: int, seconds: float) -> Order:
    """Return an order of nodes that a vehicle passes for so long: events beside the clock's."""
    count = math.ceil(seconds * SPEED / SPACING) + 2
    y = SPACING * k
    return Order(
        order_id="bench",
        order_update_id=0,
        nodes=tuple(
            Node(
                node_id=f"n{i}",
                sequence_id=2 * i,
                released=True,
                node_position=NodePosition(x=SPACING * i, y=y, map_id="map"),
                actions=(),
            )
            for i in range(count)
        ),
        edges=tuple(
            Edge(edge_id=f"e{i}", sequence_id=2 * i + 1, released=True, actions=())
            for i in range(count - 1)
        ),
    )


def send_orders(port: int, account: Credential, count: int, seconds: float) -> None:
    """Send each vehicle its order."""
    client = paho_client(port, account)
    codec = Codec("3.0.0")
    for k, name in enumerate(names(count)):
        who = Identity(INTERFACE, "3.0.0", MANUFACTURER, name.partition("/")[2])
        data = codec.encode(Headers(who).stamp(way(k, seconds)), checked=k == 0)
        client.publish(topic_of(who, "order"), data).wait_for_publish(10.0)
    client.disconnect()
    client.loop_stop()


def paho_client(port: int, account: Credential) -> paho.Client:
    """Return a connected paho client whose loop runs."""
    client = paho.Client(CallbackAPIVersion.VERSION2)
    assert account.password is not None
    client.username_pw_set(account.username, account.password.get_secret_value())
    client.connect("127.0.0.1", port)
    client.loop_start()
    while not client.is_connected():
        time.sleep(0.01)
    return client


def writer(port: int, account: Credential, count: int = 20_000) -> tuple[float, float]:
    """Return messages per CPU-second that our packets and paho write."""
    payload = b"x" * 500
    assert account.password is not None
    with socket.create_connection(("127.0.0.1", port)) as sock:
        will = ("bench/will", b"gone")
        word = account.password.get_secret_value()
        sock.sendall(connect_packet("bench-writer", 60, will, account.username, word))
        assert sock.recv(4)[3] == 0
        topic = topic_bytes("bench/out")
        started = time.process_time()
        for _ in range(count):
            sock.sendall(publish_packet(topic, payload))
        ours = count / (time.process_time() - started)
    client = paho_client(port, account)
    started = time.process_time()
    for _ in range(count - 1):
        client.publish("bench/out", payload)
    client.publish("bench/out", payload).wait_for_publish(60.0)
    theirs = count / (time.process_time() - started)
    client.disconnect()
    client.loop_stop()
    return ours, theirs


def measure(broker: LocalBroker, count: int, seconds: float) -> dict[str, float]:
    """Run the fleet against the stage, check what came of it, and return figures."""
    device = broker.credential("device")
    stage = Child("stage", broker.port, count, broker.credential("subscriber"))
    generator = Child("generator", broker.port, count, device)
    assert broker.pid is not None
    process = psutil.Process(broker.pid)
    try:
        send_orders(broker.port, device, count, seconds + 15.0)
        until_steady(generator, count)
        stage.ask()
        first, shown, spent = generator.ask(), stage.ask(), sum(process.cpu_times()[:2])
        time.sleep(seconds)
        last, seen, used = generator.ask(), stage.ask(), sum(process.cpu_times()[:2])
        total = generator.ask("stop")
        end = last_word(stage, total)
    finally:
        generator.close()
        stage.close()
    check(total, end, count)
    length = last["at"] - first["at"]
    kinds = ("state", "visualization")
    sent = {kind: last["sent"][kind] - first["sent"][kind] for kind in kinds}
    messages = sum(sent.values())
    return {
        "messages": messages / length,
        "states": sent["state"] / length / count,
        "visualizations": sent["visualization"] / length / count,
        "p50": seen["p50"],
        "p99": seen["p99"],
        "generator": (last["cpu"] - first["cpu"]) / length,
        "bridge": (seen["bridge_cpu"] - shown["bridge_cpu"]) / length,
        "stage": (seen["cpu"] - shown["cpu"]) / length,
        "broker": (used - spent) / length,
        "late": last["late"] - first["late"],
    }


def until_steady(generator: Child, count: int) -> None:
    """Wait until all vehicles have their orders and speak at their pace, 20 s at most.

    Before that they take orders in, and hold the first message of each topic against the schema.
    """
    end = time.monotonic() + 20.0
    before = generator.ask()
    while time.monotonic() < end:
        time.sleep(1.0)
        now = generator.ask()
        shown = now["sent"].get("visualization", 0) - before["sent"].get("visualization", 0)
        if now["heard"] >= count and shown >= 4.8 * count * (now["at"] - before["at"]):
            return
        before = now


def wanted(total: dict[str, Any]) -> int:
    """Return how many samples all messages make."""
    return int(PER_STATE * total["sent"]["state"] + total["sent"]["visualization"])


def last_word(stage: Child, total: dict[str, Any]) -> dict[str, Any]:
    """Wait until all came, or nothing more comes, and end the stage."""
    received, since = 0, time.monotonic()
    while received < wanted(total) and time.monotonic() - since < 5.0:
        now = stage.ask()["received"]
        if now != received:
            received, since = now, time.monotonic()
        time.sleep(0.2)
    return stage.ask("stop")


def check(total: dict[str, Any], end: dict[str, Any], count: int) -> None:
    """Make sure that the figures are of what they say."""
    assert total["losses"] == 0, total
    assert total["unread"] == 0, total
    assert not any(end["rejected"].values()), end["rejected"]
    assert end["received"] == wanted(total), (end["received"], wanted(total))
    assert len(end["nodes"]) == count
    assert end["nodes"] == total["nodes"]
    assert max(int(node[1:]) for node in end["nodes"]) > 0, "no vehicle passed a node"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--role", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--connections", type=int, default=500, help="vehicles")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the run [s]")
    options = parser.parse_args()
    if options.role:
        role, port, count = options.role
        (generate if role == "generator" else show)(int(port), int(count))
        return
    count = options.connections
    if allow_open_files(3 * count) < 2 * count + 100:
        sys.exit(f"this user may not open files enough for {count} connections")
    with LocalBroker("mosquitto") as broker:
        ours, theirs = writer(broker.port, broker.credential("device"))
        found = measure(broker, count, options.seconds)
    offered = 6.0 * count
    parts = {
        "generator": found["generator"],
        "broker": found["broker"],
        "bridge": found["bridge"],
        "hub_and_live_layer": found["stage"] - found["bridge"],
    }
    print(
        f"{count} connections: {found['messages']:,.0f} messages/s to the stage "
        f"({found['states']:.2f} states and {found['visualizations']:.2f} visualizations a second "
        f"of each), lag p50 {found['p50'] * 1e3:.1f} ms, p99 {found['p99'] * 1e3:.1f} ms\n"
        f"CPU in cores: {', '.join(f'{name} {cores:.2f}' for name, cores in parts.items())}, "
        f"together {sum(parts.values()):.2f}; {found['late']:.0f} steps late"
    )
    report("vda5050_lag", "s", True, [Case(f"p99_{count}", found["p99"], {"limit": 0.25})])
    report(
        "vda5050_cpu",
        "CPU microseconds per message",
        True,
        [Case(name, 1e6 * cores / found["messages"], {}) for name, cores in parts.items()],
    )
    report(
        "vda5050",
        "messages per second, or per CPU-second",
        False,
        [
            Case(f"to_stage_{count}", found["messages"], {"limit": offered}),
            Case("bridge_per_cpu_s", found["messages"] / max(found["bridge"], 1e-9), {}),
            Case("generator_per_cpu_s", found["messages"] / max(found["generator"], 1e-9), {}),
            Case("writer_per_cpu_s", ours, {"paho": theirs}),
        ],
    )


if __name__ == "__main__":
    main()
