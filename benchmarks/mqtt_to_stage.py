"""MQTT messages through mosquitto to composed attributes, against two ways of doing it by hand.

One publisher process sends the same pre-encoded messages to each contender in turn: 1,000 signals,
JSON, QoS 0, paced. `one` is a value a message (1,000 topics), `ten` is ten values a message (100
topics). Every contender uses paho-mqtt. `ours` is the MQTT bridge, hub and live layer with times,
quality and health, at 60 ticks a second, all in one process. `naive` is on_message, json.loads,
`attr.Set` on a cached handle. `iot_samples` has the shape of NVIDIA's connector: decode the text,
json.loads, one change block a message, each spec looked up by its path.

The figure is values taken in per CPU-second of the consuming process, all of its threads together.
Before it counts, every attribute must hold what was published last.

    python -m benchmarks.mqtt_to_stage [--seconds S] [--rounds N] [--one RATE] [--ten RATE]
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import socket
import struct
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from pxr import Sdf, Usd
from pydantic import SecretStr

import stagetwin  # noqa: F401 - registers the schema before the first stage
from benchmarks._report import Case, report
from stagetwin.ports import Credential, find_protocol
from stagetwin.service._bridges import ConnectionSink
from stagetwin.twin import Twin
from stagetwin_bridges.broker import LocalBroker

SIGNALS = 1_000
PER_MESSAGE = {"one": 1, "ten": 10}
PEERS = ("naive", "iot_samples")
QUIET = 1.0


@dataclass
class Outcome:
    """What one contender did: values taken in, CPU seconds, latency [s], values lost."""

    values: int
    cpu: float
    p50: float
    p99: float
    lost: int

    @property
    def rate(self) -> float:
        """Values per CPU-second."""
        return self.values / self.cpu


def topic(device: int) -> str:
    """Return the topic of a device."""
    return f"plant1/line{device % 4}/dev{device}/data"


def fields(case: str) -> list[str]:
    """Return the value fields of a message."""
    return [f"v{i}" for i in range(PER_MESSAGE[case])]


def path(device: int, name: str) -> str:
    """Return the attribute that a field drives."""
    return f"/World/dev{device}.twin:telemetry:{name}:value"


def plant(case: str, endpoint: str) -> Sdf.Layer:
    """Return a root layer with the devices of a case."""
    names = fields(case)
    lines = [
        "#usda 1.0",
        'def Xform "World" {',
        '    uniform token twin:connection = "field"',
        '    def TwinConnection "field" {',
        f'        uniform string twin:endpoint = "{endpoint}"',
        '        uniform token twin:securityProfile = "none"',
        "    }",
    ]
    apis = ", ".join(f'"TwinTelemetryAPI:{name}"' for name in names)
    for device in range(SIGNALS // len(names)):
        lines.append(f'    def Xform "dev{device}" ( prepend apiSchemas = [{apis}] ) {{')
        for name in names:
            prefix = f"twin:telemetry:{name}"
            lines.append(f"        double {prefix}:value")
            lines.append(f'        uniform string {prefix}:address = "{topic(device)}"')
            lines.append(f'        uniform string {prefix}:field = "{name}"')
        lines.append("    }")
    lines.append("}")
    layer = Sdf.Layer.CreateAnonymous("plant.usda")
    layer.ImportFromString("\n".join(lines) + "\n")
    return layer


# -- the publisher, a process of its own


def publish(port: int, login: tuple[str, str], case: str, rate: float, seconds: float) -> None:
    """Send QoS 0 messages at a pace [1/s]; a client library would be the limit, so a raw socket."""
    connection = socket.create_connection(("127.0.0.1", port))
    texts = [b"bench-publisher", *(part.encode() for part in login)]
    body = struct.pack("!H4sBBH", 4, b"MQTT", 4, 0xC2, 600)
    body += b"".join(struct.pack("!H", len(text)) + text for text in texts)
    connection.sendall(b"\x10" + bytes([len(body)]) + body)
    assert connection.recv(4)[3] == 0, "the broker refused the publisher"
    names = fields(case)
    topics = [topic(d).encode() for d in range(SIGNALS // len(names))]
    total = int(rate * seconds)
    started = time.perf_counter()
    sent = 0
    while sent < total:
        due = min(total, int((time.perf_counter() - started) * rate) + 1)
        packets = []
        now = time.time()
        for n in range(sent, due):
            device = n % len(topics)
            values = ",".join(f'"{name}":{(n + i) % 9973 / 7:.4f}' for i, name in enumerate(names))
            payload = f'{{"ts":{now:.4f},{values}}}'.encode()
            rest = struct.pack("!H", len(topics[device])) + topics[device] + payload
            size = len(rest)
            head = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
            packets.append(b"\x30" + head + rest)
        connection.sendall(b"".join(packets))
        sent = due
        time.sleep(0.001)
    connection.sendall(b"\xe0\x00")
    connection.close()


def expected(case: str, total: int) -> dict[str, float]:
    """Return what every attribute must hold at the end."""
    names = fields(case)
    devices = SIGNALS // len(names)
    last: dict[str, float] = {}
    for n in range(max(0, total - devices), total):
        for i, name in enumerate(names):
            last[path(n % devices, name)] = float(f"{(n + i) % 9973 / 7:.4f}")
    return last


# -- the contenders, each in a process of its own


def consume(contender: str, case: str, port: int, total: int, credential: Credential) -> Outcome:
    """Run a contender until everything came, or nothing more comes."""
    run = {"ours": run_ours, "naive": run_naive, "iot_samples": run_iot_samples}[contender]
    return run(case, port, total, credential)


def outcome(
    stage: Usd.Stage, case: str, total: int, messages: int, cpu: float, lags: Any
) -> Outcome:
    """Check the stage against what was published, then build the outcome."""
    each = PER_MESSAGE[case]
    lost = (total - messages) * each
    if not lost:
        for attr_path, value in expected(case, total).items():
            seen = stage.GetAttributeAtPath(attr_path).Get()
            assert seen == value, f"{attr_path} is {seen}, {value} was published last"
    p50, p99 = (float(x) for x in np.percentile(lags, (50, 99)))
    return Outcome(messages * each, cpu, p50, p99, lost)


def run_ours(case: str, port: int, total: int, credential: Credential) -> Outcome:
    """Bridge, hub and live layer in this process."""
    stage = Usd.Stage.Open(plant(case, f"mqtt://127.0.0.1:{port}?time=ts&subscribe=plant1/%23"))
    twin = Twin(stage)
    assert not twin.table.problems, twin.table.problems[0]
    sink = ConnectionSink("field", twin.hub)
    connection = twin.table.connections["field"]
    bridge = find_protocol(connection.endpoint).bridge(
        connection, twin.table.channels("field"), sink, credential
    )
    bridge.start()
    while sink.read()[0] != "online":
        time.sleep(0.01)
    time.sleep(0.3)  # the subscription is acknowledged
    ready()
    latest = twin.hub.latest
    known = np.full(latest.size, -math.inf)
    lags: list[np.ndarray] = []
    each = PER_MESSAGE[case]
    started, cpu_started = time.monotonic(), time.process_time()
    seen, changed_at, cpu, second = 0, started, 0.0, started
    due = started
    while seen < total * each and time.monotonic() - changed_at < QUIET + 2:
        twin.tick()
        now = time.time()
        newer = latest.source_time > known  # False where nothing has come yet
        if newer.any():
            lags.append(now - latest.source_time[newer])
            known[newer] = latest.source_time[newer]
        if twin.hub.fates.received != seen:
            seen = twin.hub.fates.received
            changed_at = time.monotonic()
            cpu = time.process_time() - cpu_started
        if time.monotonic() - second >= 1:
            second = time.monotonic()
            twin.refresh_health()
        due = max(due + 1 / 60, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))
    bridge.stop()
    twin.tick()
    fates = twin.hub.fates
    assert fates.balanced(), fates
    assert not fates.rejected, twin.hub.rejections.examples()
    return outcome(stage, case, total, seen // each, cpu, np.concatenate(lags))


def paho_client(port: int, credential: Credential, on_message: Any) -> paho.Client:
    """Return a connected, subscribed plain paho client whose loop is not running yet."""
    subscribed = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.username_pw_set(credential.username, credential.password.get_secret_value())
    client.on_message = on_message
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", port)
    client.subscribe("plant1/#")
    client.loop_start()
    assert subscribed.wait(5)
    ready()
    return client


def follow(client: paho.Client, counter: list[int], total: int) -> tuple[int, float]:
    """Wait for the end; returns messages and CPU seconds."""
    cpu_started = time.process_time()
    seen, changed_at, cpu = 0, time.monotonic(), 0.0
    while seen < total and time.monotonic() - changed_at < QUIET + 2:
        time.sleep(0.05)
        if counter[0] != seen:
            seen, changed_at = counter[0], time.monotonic()
            cpu = time.process_time() - cpu_started
    client.loop_stop()
    client.disconnect()
    return seen, cpu


def run_naive(case: str, port: int, total: int, credential: Credential) -> Outcome:
    """on_message, json.loads, attr.Set on a cached handle."""
    stage = Usd.Stage.Open(plant(case, "soft://unused"))
    live = Sdf.Layer.CreateAnonymous("live.usda")
    stage.GetSessionLayer().subLayerPaths.append(live.identifier)
    stage.SetEditTarget(live)
    names = fields(case)
    handles = {
        topic(d): [(name, stage.GetAttributeAtPath(path(d, name))) for name in names]
        for d in range(SIGNALS // len(names))
    }
    for pairs in handles.values():
        for _, attr in pairs:
            attr.Set(0.0)
    counter, lags = [0], []

    def on_message(_client: Any, _data: Any, message: Any) -> None:
        payload = json.loads(message.payload)
        for name, attr in handles[message.topic]:
            attr.Set(payload[name])
        counter[0] += 1
        lags.append(time.time() - payload["ts"])

    seen, cpu = follow(paho_client(port, credential, on_message), counter, total)
    return outcome(stage, case, total, seen, cpu, lags)


def run_iot_samples(case: str, port: int, total: int, credential: Credential) -> Outcome:
    """The shape of NVIDIA's connector: a change block a message, specs looked up by path."""
    stage = Usd.Stage.Open(plant(case, "soft://unused"))
    live = Sdf.Layer.CreateAnonymous("live.usda")
    stage.GetSessionLayer().subLayerPaths.append(live.identifier)
    stage.SetEditTarget(live)
    names = fields(case)
    devices = {topic(d): d for d in range(SIGNALS // len(names))}
    for d in devices.values():
        for name in names:
            stage.GetAttributeAtPath(path(d, name)).Set(0.0)
    counter, lags = [0], []

    def on_message(_client: Any, _data: Any, message: Any) -> None:
        payload = json.loads(message.payload.decode())
        device = devices[message.topic]
        with Sdf.ChangeBlock():
            for name, value in payload.items():
                if name == "ts":
                    continue
                attr = live.GetAttributeAtPath(f"/World/dev{device}.twin:telemetry:{name}:value")
                if not attr:
                    raise LookupError(name)
                attr.default = value
        counter[0] += 1
        lags.append(time.time() - payload["ts"])

    seen, cpu = follow(paho_client(port, credential, on_message), counter, total)
    return outcome(stage, case, total, seen, cpu, lags)


# -- the frame around them


def ready() -> None:
    """Tell the parent that the contender is subscribed."""
    print("ready", flush=True)


def measure(contender: str, case: str, broker: LocalBroker, rate: float, seconds: float) -> Outcome:
    """Run one contender in a process of its own, with the publisher in another."""
    total, port = int(rate * seconds), broker.port
    logins = [
        (c.username, c.password.get_secret_value())
        for c in (broker.credential("publisher"), broker.credential("subscriber"))
    ]
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "benchmarks.mqtt_to_stage"),
            *("--contender", contender, case, str(port), str(total)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        # Through the pipe, because arguments can be read by everybody.
        child.stdin.write(json.dumps(logins[1]) + "\n")
        child.stdin.flush()
        assert child.stdout.readline() == "ready\n"
        sender = multiprocessing.get_context("spawn").Process(
            target=publish, args=(port, logins[0], case, rate, seconds)
        )
        sender.start()
        answer = child.stdout.readline()
        sender.join()
    return Outcome(**json.loads(answer))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--contender", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one run [s]")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each contender")
    parser.add_argument("--one", type=float, default=20_000, help="messages per second [1/s]")
    parser.add_argument("--ten", type=float, default=8_000, help="messages per second [1/s]")
    options = parser.parse_args()
    if options.contender:
        name, case, port, total = options.contender
        username, password = json.loads(sys.stdin.readline())
        credential = Credential(username=username, password=SecretStr(password))
        result = consume(name, case, int(port), int(total), credential)
        print(json.dumps(asdict(result)), flush=True)
        return
    cases: list[Case] = []
    with LocalBroker() as broker:
        for case, rate in (("one", options.one), ("ten", options.ten)):
            found: dict[str, list[Outcome]] = {}
            for _ in range(options.rounds):
                for contender in ("ours", *PEERS):
                    result = measure(contender, case, broker, rate, options.seconds)
                    found.setdefault(contender, []).append(result)
                    print(
                        f"{case:<4}{contender:<12}{result.rate:>10,.0f} values/CPU-s  "
                        f"p50 {result.p50 * 1e3:7.2f} ms  p99 {result.p99 * 1e3:7.2f} ms  "
                        f"lost {result.lost}",
                        flush=True,
                    )
            best = {name: max(o.rate for o in runs) for name, runs in found.items()}
            cases.append(Case(case, best["ours"], {peer: best[peer] for peer in PEERS}))
    report("mqtt_to_stage", "values per CPU-second", False, cases)


if __name__ == "__main__":
    main()
