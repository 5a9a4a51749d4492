"""A small plant with a gateway in front of it, for the tests of what looks at it."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stagetwin_bridges.broker import LocalBroker
from tests.bridges.plant_service import PlantService, wait_for
from tests.bridges.way_down.field import (
    Field,
    command_service,
    drive,
    plant_text,
    ready,
    value_of,
)
from tests.stages.plants import asset, command, prim, telemetry

__all__ = ["LivePlant", "live_plant", "people", "token_of"]

PUMP = "/World/Pump.speed"
FAN = "/World/Fan.speed"
CART = "/World/Cart.goal"


@dataclass(frozen=True, slots=True)
class LivePlant:
    """What a test may touch.

    Attributes:
        stage: root layer.
        url: where the gateway listens.
        service: the service.
        field: the devices behind the broker.
        policy: the policy file.
    """

    stage: Path
    url: str
    service: PlantService
    field: Field
    policy: Path


def people(policy: Path, *words: str, line: str = "") -> str:
    """Run `stagetwin people` and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "stagetwin", "people", str(policy), *words],
        input=line,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def token_of(policy: Path, account: str) -> str:
    """Return a new token that is an account."""
    printed = people(policy, "token", f"{account}-key", "--account", account)
    found = re.search(r"\bstagetwin_\S+", printed)
    assert found, printed
    return found.group()


def _stage(folder: Path) -> Path:
    cart = prim(
        "Cart",
        asset("cart", "twin", "line", ["operator"]),
        telemetry("goal", "double3", "cart/goal"),
        command(
            "goal",
            "double3",
            "cart/cmd/goal",
            approval="none",
            settleTime=2.0,
            readback=value_of("/World/Cart", "goal"),
        ),
        "double3 xformOp:translate = (1, 2, 0)\n"
        'uniform token[] xformOpOrder = ["xformOp:translate"]\n',
    )
    text = plant_text(
        drive("Pump", telemetry("flow", address="pump/flow", soft=(0, 100))),
        drive("Fan", approval="single", expiry=60.0),
        cart,
    )
    stage = folder / "plant.usda"
    stage.write_text(text, encoding="utf-8")
    return stage


@contextmanager
def live_plant(folder: Path) -> Iterator[LivePlant]:
    """Run it: mosquitto, devices, service and gateway, each a process or thread of its own."""
    folder.mkdir(mode=0o700, exist_ok=True)
    policy = folder / "people.toml"
    people(policy, "init")
    for name, role in (("ada", "operator"), ("ben", "approver"), ("eve", "viewer")):
        people(policy, "add", name, "--role", role, "--below", "/", line=f"{name}-secret-words\n")
    stage = _stage(folder)
    with LocalBroker("mosquitto") as broker, Field(broker) as field:
        listen = ("--listen", "127.0.0.1:0", "--people", str(policy))
        with command_service(stage, folder, broker, roles={}, extra=listen) as service:
            found = wait_for(lambda: re.search(r"at (http://\S+)", service.log))
            for topic, value in (
                *(("pump/speed", 1200.0), ("pump/ready", True), ("pump/flow", 42.5)),
                *(("fan/speed", 800.0), ("fan/ready", True), ("cart/goal", [1.0, 2.0, 0.0])),
            ):
                field.say(topic, value)
            ready(service)
            with _heartbeat(field):
                yield LivePlant(stage, found.group(1), service, field, policy)


@contextmanager
def _heartbeat(field: Field) -> Iterator[None]:
    """Have the devices say all that they hold every second, as real ones do."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(1.0):
            field.repeat()

    thread = threading.Thread(target=beat, name="heartbeat")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
