"""A command's whole life on loopback, beside a bare request and reply to the same device.

`ours` is the time from `publish` on the control socket to VERIFIED as its follower sees it: guards,
validation, the durable ledger, the command client in its own process, the device's answer, and a
read-back that shows the value. `bare` is what a client needs for one request and its reply: an MQTT
5 request with a response topic, a Write to an OPC UA server. Commands go one after another, each
with another value, to a device in a process of its own.

The figure is the 99th percentile [ms]; the median is printed above. Before it counts, every command
must have ended VERIFIED, and the device must have executed each exactly once.

    python -m benchmarks.command_roundtrip [--commands N] [--case mqtt|opcua]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as paho
from asyncua import ua
from asyncua.client.client import Client
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from benchmarks._report import Case, report
from stagetwin._errors import ServiceError
from stagetwin.guards import GuardBook, GuardStage
from stagetwin.opening import open_stage
from stagetwin.ports import Credential
from stagetwin.service import ControlClient
from stagetwin_bridges.broker import LocalBroker

LIMIT = 50.0
"""What the 99th percentile may be at most [ms]."""

URI = "urn:stagetwin:benchmark"
TARGET = "/Pump.speed"
ADDRESSES = {
    # case: telemetry, command
    "mqtt": ("pump/speed", "pump/cmd/speed"),
    "opcua": (f"nsu={URI};s=pump.speed", f"nsu={URI};s=pump.speed"),
}


def stage_text(case: str, endpoint: str) -> str:
    """Return a plant of one pump."""
    telemetry, command = ADDRESSES[case]
    credentials = (
        'uniform string twin:credential = "reader"\n'
        'uniform string twin:commandCredential = "commander"\n'
    )
    return f"""#usda 1.0
def TwinConnection "line" {{
    uniform string twin:endpoint = "{endpoint}"
    {credentials if case == "mqtt" else ""}
}}
def Xform "Pump" (
    prepend apiSchemas = ["TwinAssetAPI", "TwinTelemetryAPI:speed", "TwinCommandAPI:speed"]
) {{
    uniform string twin:id = "pump"
    uniform token twin:level = "twin"
    uniform token[] twin:roles = ["operator"]
    uniform token twin:connection = "line"
    uniform string twin:telemetry:speed:address = "{telemetry}"
    double twin:telemetry:speed:value
    uniform string twin:command:speed:address = "{command}"
    uniform token twin:command:speed:approval = "none"
    rel twin:command:speed:readback = </Pump.twin:telemetry:speed:value>
    double twin:command:speed:desired
}}
"""


# -- devices, each in a process of its own


def mqtt_device(port: int, user: str, password: str, pipe: Connection) -> None:
    """Obey, answer, and say the new value; tell at the end how often."""
    executed = 0

    def obey(client: paho.Client, _: Any, message: paho.MQTTMessage) -> None:
        nonlocal executed
        executed += 1
        asked: Any = message.properties
        answer = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        answer.CorrelationData = asked.CorrelationData
        text = json.dumps({"id": asked.CorrelationData.decode(), "ok": True})
        client.publish(asked.ResponseTopic, text, properties=answer)
        client.publish(ADDRESSES["mqtt"][0], message.payload)

    client = mqtt_client(port, user, password)
    client.on_message = obey
    client.subscribe(ADDRESSES["mqtt"][1])
    client.loop_start()
    client.publish(ADDRESSES["mqtt"][0], "0")
    pipe.send("ready")
    pipe.recv()
    client.publish(ADDRESSES["mqtt"][0], "0")
    pipe.recv()
    pipe.send(executed)
    client.disconnect()
    client.loop_stop()


def opcua_device(port: int, pipe: Connection) -> None:
    """Serve one writable variable; tell at the end how often it was written."""

    async def serve() -> None:
        server = Server()
        await server.init()
        server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        index = await server.register_namespace(URI)
        node = await server.nodes.objects.add_variable(
            ua.NodeId.from_string(f"ns={index};s=pump.speed"), "speed", 0.0, ua.VariantType.Double
        )
        await node.set_writable()
        written = 0

        async def count(*_: object) -> None:
            nonlocal written
            written += 1

        async with server:
            server.iserver.aspace.add_datachange_callback(node.nodeid, AttributeIds.Value, count)
            pipe.send("ready")
            for _ in range(2):
                await asyncio.to_thread(pipe.recv)
            pipe.send(written)

    asyncio.run(serve())


def without_delay(_client: paho.Client, _data: Any, sock: Any) -> None:
    """Switch Nagle's algorithm off."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def mqtt_client(port: int, user: str, password: str) -> paho.Client:
    """Return a connected MQTT 5 client without Nagle's delay."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.username_pw_set(user, password)
    client.on_socket_open = without_delay
    client.connect("127.0.0.1", port)
    return client


@contextlib.contextmanager
def device(target: Callable[..., None], *args: Any) -> Iterator[Connection]:
    """Run a device; it is ready when this returns."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=target, args=(*args, theirs))
    process.start()
    try:
        assert ours.recv() == "ready"
        yield ours
    finally:
        process.terminate()
        process.join(10)


# -- bare: a request and its reply


def bare_mqtt(port: int, credential: Credential, count: int) -> list[float]:
    """Return round-trip times of MQTT 5 requests [ms]."""
    arrived = threading.Event()
    client = mqtt_client(port, credential.username, credential.password.get_secret_value())
    client.on_message = lambda *_: arrived.set()
    subscribed = threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    client.loop_start()
    client.subscribe("stagetwin/reply/bare")
    assert subscribed.wait(5)
    times: list[float] = []
    for number in range(count):
        request = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        request.ResponseTopic = "stagetwin/reply/bare"
        request.CorrelationData = str(number).encode()
        arrived.clear()
        started = time.perf_counter()
        client.publish(ADDRESSES["mqtt"][1], str(float(number)), properties=request)
        assert arrived.wait(5), "no reply"
        times.append((time.perf_counter() - started) * 1e3)
    client.disconnect()
    client.loop_stop()
    return times


def bare_opcua(port: int, count: int) -> list[float]:
    """Return times of Writes to the same variable [ms]."""

    async def write() -> list[float]:
        times: list[float] = []
        async with Client(f"opc.tcp://127.0.0.1:{port}/") as client:
            index = await client.get_namespace_index(URI)
            node = client.get_node(ua.NodeId.from_string(f"ns={index};s=pump.speed"))
            for number in range(count):
                value = ua.DataValue(ua.Variant(number + 0.5, ua.VariantType.Double))
                started = time.perf_counter()
                await node.write_attribute(AttributeIds.Value, value)
                times.append((time.perf_counter() - started) * 1e3)
        return times

    return asyncio.run(write())


# -- ours: from publish to VERIFIED


@contextlib.contextmanager
def service(case: str, endpoint: str, credentials: dict[str, Credential]) -> Iterator[Path]:
    """Run `stagetwin run` with commands allowed; yield its control socket."""
    with tempfile.TemporaryDirectory(prefix="stw-") as name:
        folder = Path(name)
        stage, state = folder / "plant.usda", folder / "state"
        stage.write_text(stage_text(case, endpoint), encoding="utf-8")
        state.mkdir(mode=0o700)
        hashes = GuardStage(open_stage(stage).GetRootLayer()).hashes()
        GuardBook(state / "guards.json").approve(hashes, getpass.getuser(), time.time())
        secrets = folder / "credentials.toml"
        secrets.touch(mode=0o600)
        secrets.write_text("".join(toml(n, c) for n, c in credentials.items()), encoding="utf-8")
        control = folder / "s.sock"
        command = [
            *(sys.executable, "-m", "stagetwin", "run", str(stage), "--allow-commands"),
            *("--role", f"operator={getpass.getuser()}", "--socket", str(control)),
            *("--state-dir", str(state), "--credentials", str(secrets)),
            *("--log-level", "warning"),
        ]
        process = subprocess.Popen(command, env=os.environ | {"PYTHONWARNINGS": "default"})
        try:
            yield control
        finally:
            process.terminate()
            process.wait(20)


def toml(name: str, credential: Credential) -> str:
    """Return a credential as a TOML table."""
    password = credential.password.get_secret_value()
    return f'["{name}"]\nusername = "{credential.username}"\npassword = "{password}"\n'


def target_of(control: Path) -> dict[str, Any]:
    """Return the one target as the service shows it."""
    with ControlClient(control) as client:
        (found,) = client.ask(op="targets", prim="/")["targets"]
    return dict(found)


def wait_until_ready(control: Path) -> None:
    """Wait until a command could leave and its read-back is known."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with contextlib.suppress(ServiceError), ControlClient(control) as client:
            clients = client.ask(op="status")["commands"]["clients"]
            online = [each["state"] for each in clients.values()] == ["online"]
            if online and target_of(control)["reported"] is not None:
                return
        time.sleep(0.05)
    raise SystemExit("the service is not ready for commands within 30 s")


def ours(control: Path, count: int) -> list[float]:
    """Return times from publish to VERIFIED [ms]."""
    times: list[float] = []
    revision = target_of(control)["revision"]
    with ControlClient(control) as client:
        for number in range(count):
            started = time.perf_counter()
            asked = client.ask(
                op="publish", target=TARGET, value=1000.0 + number, revision=revision
            )
            row = asked["command"]
            for frame in client.follow(op="follow", id=row["id"]):
                row = frame["command"]
                if row["ended"]:
                    break
            times.append((time.perf_counter() - started) * 1e3)
            if row["state"] != "VERIFIED":
                raise SystemExit(f"command {number} ended {row['state']}: {row['cause']}")
            revision = row["revision"]
    return times


def measure_mqtt(count: int) -> tuple[list[float], list[float]]:
    """Return our times and the bare ones over mosquitto [ms]."""
    with LocalBroker("mosquitto") as broker:
        role = broker.credential("device")
        secret = role.password.get_secret_value()
        with device(mqtt_device, broker.port, role.username, secret) as pipe:
            bare = bare_mqtt(broker.port, role, count)
            names = {
                "reader": broker.credential("subscriber"),
                "commander": broker.credential("commander"),
            }
            with service("mqtt", broker.endpoint(), names) as control:
                wait_until_online(control)
                pipe.send("say your value")
                wait_until_ready(control)
                times = ours(control, count)
            pipe.send("how often")
            executed = pipe.recv()
    assert executed == 2 * count, f"{executed} executed, {2 * count} were sent"
    return times, bare


def wait_until_online(control: Path) -> None:
    """Wait until telemetry can come in."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with contextlib.suppress(ServiceError), ControlClient(control) as client:
            links = client.ask(op="status")["connections"]
            if links and all(link["state"] == "online" for link in links.values()):
                return
        time.sleep(0.05)
    raise SystemExit("the service is not online within 30 s")


def measure_opcua(count: int) -> tuple[list[float], list[float]]:
    """Return our times and the bare ones against an asyncua server [ms]."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with device(opcua_device, port) as pipe:
        bare = bare_opcua(port, count)
        pipe.send("go on")
        with service("opcua", f"opc.tcp://127.0.0.1:{port}/", {}) as control:
            wait_until_ready(control)
            times = ours(control, count)
        pipe.send("how often")
        executed = pipe.recv()
    assert executed == 2 * count, f"{executed} written, {2 * count} were sent"
    return times, bare


def main() -> None:
    """Measure, check, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--commands", type=int, default=400, help="commands of each contender")
    parser.add_argument("--case", choices=("mqtt", "opcua"), help="measure one case alone")
    arguments = parser.parse_args()
    cases: list[Case] = []
    for case, measure in (("mqtt", measure_mqtt), ("opcua", measure_opcua)):
        if arguments.case not in (None, case):
            continue
        times, bare = measure(arguments.commands)
        p99, bare99 = (float(np.percentile(each, 99)) for each in (times, bare))
        print(
            f"{case}: p50 {statistics.median(times):.1f} ms, p99 {p99:.1f} ms, "
            f"bare p50 {statistics.median(bare):.2f} ms, p99 {bare99:.2f} ms; "
            f"{len(times)} commands, all VERIFIED, each executed once"
        )
        cases.append(Case(case, p99, {"bare": bare99, "limit": LIMIT}))
    report("command_roundtrip", "ms", True, cases)
    late = [case.case for case in cases if case.ours > LIMIT]
    if late:
        raise SystemExit(f"above {LIMIT:g} ms: {', '.join(late)}")


if __name__ == "__main__":
    main()
