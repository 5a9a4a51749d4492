"""Orders to many vehicles at once: how soon a goal is an order on the wire, and what it costs.

python -m benchmarks.orders [--vehicles 250] [--loss 0.3]

Virtual vehicles in a process of their own stand in lanes of their own behind a real broker. The
command client sends each a goal at the same moment, and renews all of them each second as the
service does; a listener of its own takes the time at which each order passed the broker. Then the
same again, with vehicles that do not hear a share of what is sent to them: the identical order is
repeated until a state shows it. Checked first: every vehicle got one order by its command's id, was
acknowledged, and stands at its goal; what was sent again is what was sent before.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks._report import Case, report
from stagetwin.actuation import CommandTarget, Fate, Renewal, Report, Transmission
from stagetwin.clock import WallClock
from stagetwin.fleets import VehicleType
from stagetwin.identifiers import uuid7
from stagetwin.maps import Lane, Node, RoadMap
from stagetwin.ports import ConnectionSpec, ConnectionState, Credential, ValueKind
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.vda5050 import Vda5050Protocol
from stagetwin_bridges.vda5050.messages import Codec, Order
from stagetwin_bridges.vda5050.virtual import Pace, VirtualFleet, allow_open_files

ASSET, GUARD = "/World", "g"
PITCH, STOPS = 3.0, 5
CLOCK = WallClock()


def floor(count: int) -> RoadMap:
    """Return a lane of five nodes for each vehicle."""
    nodes = {
        f"n{k}-{i}": Node(id=f"n{k}-{i}", x=PITCH * i, y=2.0 * k)
        for k in range(count)
        for i in range(STOPS)
    }
    lanes = {
        f"l{k}-{i}": Lane(id=f"l{k}-{i}", start=f"n{k}-{i}", end=f"n{k}-{i + 1}", both=True)
        for k in range(count)
        for i in range(STOPS - 1)
    }
    return RoadMap(id="floor", nodes=nodes, lanes=lanes)


def connection(port: int, count: int, credential: str) -> ConnectionSpec:
    """Return the fleet's connection; 100 m may be driven blind, so that an order is one message."""
    options = "version=3.0&blind=100&blind_time=1000"
    return ConnectionSpec(
        name="fleet",
        prim="/fleet",
        endpoint=f"vda5050+mqtt://127.0.0.1:{port}/vda5050?{options}",
        credential=credential,
        map=floor(count).encode().decode(),
    )


def run_fleet(port: int, count: int, loss: float, user: str, password: str) -> None:
    """Be the vehicles, until the input ends; a share of what is sent to them is not heard."""
    poses = np.zeros((count, 3))
    poses[:, 1] = 2.0 * np.arange(count)
    fast = VehicleType(speed=2.0, acceleration=2.0, deceleration=2.0)
    fleet = VirtualFleet(
        connection(port, count, "device"),
        [f"KIT/{k:04d}" for k in range(count)],
        poses,
        [fast],
        credential=Credential(username=user, password=password),  # type: ignore[arg-type]
        road_map=floor(count),
        pace=Pace(step=0.2, visualization_interval=0.0, state_interval=5.0),
    )
    chance = np.random.default_rng(1)
    for vehicle in fleet.vehicles.values():
        hear = vehicle.receive

        def receive(message: Any, now: float, hear: Any = hear) -> None:
            if not (isinstance(message, Order) and chance.random() < loss):
                hear(message, now)

        vehicle.receive = receive  # type: ignore[method-assign]
    with fleet:
        print("running", flush=True)
        sys.stdin.read()


class Desk:
    """What the service is to a command client: takes its reports, and renews each second."""

    def __init__(self) -> None:
        self.heard: dict[str, dict[Fate, tuple[float, Report]]] = defaultdict(dict)
        self.finished: set[str] = set()
        self.online = threading.Event()

    def state(self, state: ConnectionState, cause: str = "") -> None:
        """See CommandSink."""
        del cause
        if state is ConnectionState.ONLINE:
            self.online.set()

    def report(self, report: Report) -> None:
        """See CommandSink."""
        self.heard[report.id].setdefault(report.fate, (time.monotonic(), report))
        if "the vehicle finished it" in report.cause:
            self.finished.add(report.id)

    def reading(self, reading: Any) -> None:
        """See CommandSink."""


def measure(broker: LocalBroker, count: int, loss: float) -> dict[str, float]:
    """Send every vehicle to the end of its lane; return what was measured [ms, s]."""
    device, own = broker.credential("device"), broker.credential("commander")
    assert device.password is not None
    secret = device.password.get_secret_value()
    role = [sys.executable, "-m", "benchmarks.orders", "--fleet", str(broker.port), str(count)]
    role += [str(loss), device.username, secret]
    desk, passed = Desk(), defaultdict[str, list[tuple[float, bytes]]](list)
    targets = [
        CommandTarget(
            prim=f"/World/V{k}",
            command="goal",
            address=f"KIT/{k:04d}",
            field="order",
            kind=ValueKind.TEXT,
            type_name="string",
        )
        for k in range(count)
    ]
    listener = paho.Client(CallbackAPIVersion.VERSION2)
    listener.username_pw_set(device.username, secret)
    spoken: set[str] = set()

    def hear(_client: Any, _data: Any, message: Any) -> None:
        if message.topic.endswith("/order"):
            passed[message.topic].append((time.monotonic(), message.payload))
        else:
            spoken.add(message.topic)

    topics = [(f"vda5050/v3/+/+/{topic}", 0) for topic in ("order", "state")]

    def subscribe(client: paho.Client, *_: Any) -> None:
        client.subscribe(topics)

    listener.on_connect = subscribe
    listener.on_message = hear
    listener.connect("127.0.0.1", broker.port)
    listener.loop_start()
    spec = connection(broker.port, count, "commander")
    commander = Vda5050Protocol().commander(spec, targets, desk, own)
    commander.authorise({ASSET: GUARD})
    vehicles = subprocess.Popen(role, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert vehicles.stdout is not None
        vehicles.stdout.readline()
        before = set(threading.enumerate())
        commander.start()
        (thread,) = set(threading.enumerate()) - before
        assert desk.online.wait(30)
        spoken.clear()
        # What the listener has heard of a vehicle since then, the command client has heard too.
        wait(lambda: len(spoken) == count, 120)
        time.sleep(2.0)
        return _ordered(commander, thread, desk, passed, targets)
    finally:
        assert vehicles.stdin is not None
        vehicles.stdin.close()
        commander.stop()
        listener.loop_stop()
        vehicles.wait(60)


def wait(holds: Callable[[], bool], seconds: float) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def _ordered(
    commander: Any,
    thread: threading.Thread,
    desk: Desk,
    passed: dict[str, list[tuple[float, bytes]]],
    targets: list[CommandTarget],
) -> dict[str, float]:
    """Send the goals, renew them to their ends, and return what was measured."""
    assert thread.ident is not None
    cpu = time.pthread_getcpuclockid(thread.ident)
    spent, sent = time.clock_gettime(cpu), []
    began: dict[str, float] = {}
    for number, target in enumerate(targets):
        now = CLOCK.steady()
        sent.append(
            Transmission(
                id=uuid7(),
                target=target,
                value=f"n{number}-{STOPS - 1}",
                asset=ASSET,
                guard=GUARD,
                token=(1, number + 1),
                deadline=now + 30.0,
                expires=now + 60.0,
            )
        )
        began[sent[-1].id] = time.monotonic()
        commander.send(sent[-1])
    running, end = list(sent), time.monotonic() + 120
    while len(desk.finished) < len(sent):
        assert time.monotonic() < end, f"{len(desk.finished)} of {len(sent)} finished"
        running = [each for each in running if each.id not in desk.finished]
        for each in running:
            until = CLOCK.steady() + 2.0
            commander.renew(
                Renewal(id=each.id, target=each.target, asset=ASSET, guard=GUARD, until=until)
            )
        time.sleep(1.0)
    spent = time.clock_gettime(cpu) - spent
    return _checked(desk, passed, sent, began) | {"cpu": spent}


def _checked(
    desk: Desk,
    passed: dict[str, list[tuple[float, bytes]]],
    sent: list[Transmission],
    began: dict[str, float],
) -> dict[str, float]:
    """Check what came of all orders, and return the times [ms] and repetitions."""
    codec, orders, answers, repeats = Codec("3.0.0"), [], [], 0
    for each in sent:
        topic = f"vda5050/v3/{each.target.address}/order"
        bare = [
            msgspec.structs.replace(codec.decode(topic, data), header_id=0, timestamp="")
            for _, data in passed[topic]
        ]
        assert bare, f"{each.target.address} got no order"
        assert all(order == bare[0] for order in bare), "a repetition is what was sent before"
        assert isinstance(bare[0], Order)
        assert bare[0].order_id == each.id
        repeats += len(bare) - 1
        orders.append(passed[topic][0][0] - began[each.id])
        answers.append(desk.heard[each.id][Fate.ACKNOWLEDGED][0] - began[each.id])
    return {
        "order": 1e3 * float(np.percentile(orders, 99)),
        "order median": 1e3 * float(np.percentile(orders, 50)),
        "answer": 1e3 * float(np.percentile(answers, 99)),
        "repeats": repeats / len(sent),
    }


def main() -> None:
    """Run the benchmark, or be the vehicles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vehicles", type=int, default=250)
    parser.add_argument("--loss", type=float, default=0.3)
    parser.add_argument("--fleet", nargs=5, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    allow_open_files(2 * asked.vehicles + 100)
    if asked.fleet:
        port, count, loss, user, password = asked.fleet
        run_fleet(int(port), int(count), float(loss), user, password)
        return
    with LocalBroker("mosquitto") as broker:
        found = {loss: measure(broker, asked.vehicles, loss) for loss in (0.0, asked.loss)}
    plain, lossy = found[0.0], found[asked.loss]
    for loss, row in found.items():
        print(f"loss {loss:4.0%}: " + ", ".join(f"{k} {v:.3g}" for k, v in row.items()))
    per_order = 1e3 * plain["cpu"] / asked.vehicles
    name = f"{asked.vehicles} vehicles"
    report(
        "orders",
        "ms",
        True,
        [
            Case(f"goal to order p99, {name}", plain["order"], {"limit": 2000.0}),
            Case(f"goal to answer p99, {name}", plain["answer"], {"limit": 4000.0}),
            Case(f"the same, {asked.loss:.0%} lost", lossy["answer"], {"limit": 20_000.0}),
            Case("CPU of a whole order", per_order, {"limit": 50.0}),
        ],
    )


if __name__ == "__main__":
    main()
