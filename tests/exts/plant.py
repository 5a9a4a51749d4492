"""A small plant with a gateway in front of it, for the tests of what looks at it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from stagetwin.cli._people import people as people_app
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

__all__ = ["LivePlant", "live_plant", "people"]

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
        tokens: by account.
    """

    stage: Path
    url: str
    service: PlantService
    field: Field
    policy: Path
    tokens: dict[str, str]

    @property
    def socket_url(self) -> str:
        """Where viewers that are no browsers connect."""
        return self.url.replace("http", "ws", 1)


def people(policy: Path, *words: str, line: str = "") -> str:
    """Run `stagetwin people` and return what it printed."""
    done = CliRunner().invoke(people_app, [str(policy), *words], input=line)
    assert done.exit_code == 0, done.output
    return done.output


def _at(x: float, y: float, z: float = 0.0) -> str:
    """Place a prim."""
    return (
        f"double3 xformOp:translate = ({x}, {y}, {z})\n"
        'uniform token[] xformOpOrder = ["xformOp:translate"]\n'
    )


BOX = 'def Cube "Body"\n{\ndouble size = 1\n}\n'
"""A shape, so that a machine can be seen and clicked."""

SHED = """
def Xform "Shed" (
    variants = {
        string roof = "flat"
    }
    prepend variantSets = "roof"
)
{
    double3 xformOp:translate = (4, 3, 0)
    uniform token[] xformOpOrder = ["xformOp:translate"]
    variantSet "roof" = {
        "flat" {
            def Cube "Roof"
            {
                double size = 1
            }
        }
        "tall" {
            def Cube "Roof"
            {
                double size = 4
            }
        }
    }
}
"""

RACK = """
def PointInstancer "Rack"
{
    double3 xformOp:translate = (0, -3, 0)
    uniform token[] xformOpOrder = ["xformOp:translate"]
    int[] protoIndices = [0, 0, 0]
    point3f[] positions = [(0, 0, 0), (2, 0, 0), (4, 0, 0)]
    rel prototypes = </World/Rack/Crate>
    def Cube "Crate"
    {
        double size = 1
    }
}
"""


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
        _at(1, 2),
        BOX,
    )
    lift = prim(
        "Lift",
        asset("lift", "shadow", "line"),
        telemetry("at", "double3", "lift/at", target="/World/Lift.xformOp:translate"),
        telemetry("load", address="lift/load", soft=(0, 10)),
        _at(-3, 0),
        BOX,
    )
    flow = telemetry("flow", address="pump/flow", soft=(0, 100))
    text = plant_text(
        drive("Pump", flow, _at(0, 0), BOX),
        drive("Fan", _at(4, 0), BOX, approval="single", expiry=60.0),
        cart,
        lift,
        RACK,
        SHED,
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
    tokens = {}
    for name, role in (("ada", "operator"), ("ben", "approver"), ("eve", "viewer")):
        people(policy, "add", name, "--role", role, "--below", "/", line=f"{name}-secret-words\n")
        printed = people(policy, "token", f"{name}-key", "--account", name)
        found = re.search(r"\bstagetwin_\S+", printed)
        assert found, printed
        tokens[name] = found.group()
    stage = _stage(folder)
    with LocalBroker("mosquitto") as broker, Field(broker) as field:
        listen = ("--listen", "127.0.0.1:0", "--people", str(policy))
        with command_service(stage, folder, broker, roles={}, extra=listen) as service:
            found = wait_for(lambda: re.search(r"at (http://\S+)", service.log))
            for topic, value in (
                *(("pump/speed", 1200.0), ("pump/ready", True), ("pump/flow", 42.5)),
                *(("fan/speed", 800.0), ("fan/ready", True), ("cart/goal", [1.0, 2.0, 0.0])),
                *(("lift/at", [-3.0, 0.0, 0.0]), ("lift/load", 2.5)),
            ):
                field.say(topic, value)
            ready(service)
            with _heartbeat(field):
                yield LivePlant(stage, found.group(1), service, field, policy, tokens)


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
