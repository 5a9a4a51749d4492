"""Devices whose models stand in for them, as an HMI sees them on the wire; and their faults."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.client.client import Client

from stagetwin.bindings import read_bindings
from stagetwin.opening import open_stage
from stagetwin.ports import find_model
from stagetwin_bridges import BridgeError
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.devices import DevicePark
from tests.bridges.devices.commanding import TestCommander
from tests.bridges.devices.test_mqtt_devices import stagetwin
from tests.bridges.devices.test_opcua_devices import free_port
from tests.bridges.recording_sink import eventually
from tests.sim.faults.lines import P1, RATED_HEAD, T1, line_text, own, pump, tank, valve
from tests.sim.faults.test_stand_in import flow_of
from tests.sim.plant.stages import model
from tests.stages.plants import HEADER, connection, prim

SPEED, OPENING = "plant/p1/cmd/speed", "plant/v1/cmd/opening"
MQTT, OPC = "mqtt://127.0.0.1:1", "opc.tcp://127.0.0.1:1"


def on_opc(text: str) -> str:
    """Return a prim with addresses of nodes in place of topics."""
    return re.sub(r'"plant/', '"nsu=urn:plant;s=plant/', text)


def two_ways() -> str:
    """The line, with the pump on a broker, and tank and valve on a server."""
    end = prim("End", own("End"), model("hydraulics", "reservoir"))
    parts = (on_opc(tank("plc")), pump(), on_opc(valve("plc")), end)
    lines = connection("line", MQTT) + connection("plc", OPC)
    return HEADER + lines + prim("World", prim("Line1", *parts))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plant") / "plant.usda"
    path.write_text(line_text(lines=connection("line", MQTT)))
    return path


def park_of(stage: Path, folder: Path, broker: LocalBroker, **more: Any) -> DevicePark:
    more.setdefault("endpoints", {"line": broker.endpoint()})
    return DevicePark(
        stage, folder, credentials={"line": broker.credential("device")}, rate=10.0, **more
    )


@pytest.fixture(scope="module")
def running(
    broker: LocalBroker, stage: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DevicePark]:
    with park_of(stage, tmp_path_factory.mktemp("d") / "dev", broker) as park:
        yield park


@pytest.fixture
def park(running: DevicePark) -> Iterator[DevicePark]:
    yield running
    for name in ("p1", "v1", "t1"):
        running.fault(name, "none")


def near(expected: float, share: float = 0.02) -> Callable[[Any], bool]:
    return lambda value: abs(value - expected) <= share * abs(expected)


def level_of(commander: TestCommander) -> float:
    level: float = commander.wait_for("plant/t1/level")
    return level


def ordered(commander: TestCommander, topic: str, value: Any, order: str) -> None:
    assert commander.order(topic, value, order)["ok"]


# -- an HMI cannot tell


def test_on_a_broker_what_is_said_is_what_the_model_makes_of_what_was_ordered(
    park: DevicePark, commander: TestCommander
) -> None:
    ordered(commander, OPENING, 80.0, "open-1")
    ordered(commander, SPEED, 2280.0, "fast-1")
    commander.wait_for("plant/p1/flow", near(flow_of(level_of(commander), 2280.0, 0.8)))
    ordered(commander, SPEED, 1500.0, "slow-1")
    commander.wait_for("plant/p1/flow", near(flow_of(level_of(commander), 1500.0, 0.8)))
    ordered(commander, OPENING, 0.0, "shut-1")
    commander.wait_for("plant/p1/flow", lambda flow: flow < 0.01)
    shutoff = 1.25 * RATED_HEAD * (1500 / 2850) ** 2 + level_of(commander)
    commander.wait_for("plant/p1/p", near(shutoff * 998.2 * 9.80665 / 1e5))
    refused = commander.order(SPEED, 9000.0, "wild-1")
    assert not refused["ok"]
    ordered(commander, OPENING, 80.0, "open-2")
    ordered(commander, SPEED, 2280.0, "fast-2")


def test_topics_payloads_and_marks_are_those_of_a_device_without_models(
    broker: LocalBroker, stage: Path, park: DevicePark, tmp_path: Path
) -> None:
    def seen(client: TestCommander) -> Any:
        def all_there() -> dict[str, Any]:
            found = {
                heard.topic: (type(heard.value), tuple(sorted(heard.user.items())))
                for heard in client.heard
                if heard.topic.startswith("plant/")
            }
            return found if len(found) == 11 else {}

        client.forget()
        return eventually(all_there, 20)

    with TestCommander(broker) as client:
        modelled = seen(client)
    with LocalBroker("mosquitto") as other:
        simple = park_of(stage, tmp_path / "d", other, models=False)
        with simple, TestCommander(other) as client:
            assert seen(client) == modelled
    assert park.pids


class Server:
    """The OPC UA side of a plant, as an HMI asks it."""

    def __init__(self, url: str) -> None:
        self._url = url

    def _run(self, what: Callable[[Client, Callable[[str], Any]], Awaitable[Any]]) -> Any:
        async def session() -> Any:
            async with Client(self._url, timeout=10) as client:
                index = await client.get_namespace_index("urn:plant")

                def node(name: str) -> Any:
                    return client.get_node(ua.NodeId.from_string(f"ns={index};s=plant/{name}"))

                return await what(client, node)

        return asyncio.run(session())

    def read(self, name: str) -> Any:
        async def read(_: Client, node: Callable[[str], Any]) -> Any:
            return await node(name).read_value()

        return self._run(read)

    def write(self, name: str, value: float) -> None:
        async def write(_: Client, node: Callable[[str], Any]) -> None:
            await node(name).write_value(ua.DataValue(ua.Variant(value, ua.VariantType.Double)))

        self._run(write)


def test_a_network_over_a_broker_and_a_server_is_one(tmp_path: Path) -> None:
    stage = tmp_path / "two.usda"
    stage.write_text(two_ways())
    url = f"opc.tcp://127.0.0.1:{free_port()}"
    with (
        LocalBroker("mosquitto") as broker,
        park_of(
            stage, tmp_path / "d", broker, endpoints={"line": broker.endpoint(), "plc": url}
        ) as park,
        TestCommander(broker) as client,
    ):
        hmi = Server(url)
        assert set(park.pids) == {"line", "plc"}
        assert {row["asset"]: row["connection"] for row in park.devices()}[T1] == "plc"
        expected = flow_of(hmi.read("t1/level"), 2280.0, 0.8)
        client.wait_for("plant/p1/flow", near(expected))
        hmi.write("v1/cmd/opening", 0.0)
        eventually(lambda: hmi.read("v1/opening") < 0.1, 20)
        client.wait_for("plant/p1/flow", lambda flow: flow < 0.01)
        # A fault is felt by all who reckon with the machine: the pump trips, its tank is dry.
        park.fault("t1", "leak", amount=1.0, unit="m2")
        client.wait_for("plant/p1/ready", lambda ready: ready is False)
        assert hmi.read("t1/level") < 0.1
        assert hmi.read("t1/low") is False


# -- faults


def test_a_fault_on_demand_shows_on_the_wire_and_is_told(
    park: DevicePark, commander: TestCommander
) -> None:
    ordered(commander, OPENING, 80.0, "open-3")
    ordered(commander, SPEED, 2280.0, "fast-3")
    commander.wait_for("plant/p1/flow", near(flow_of(level_of(commander), 2280.0, 0.8)))
    park.fault("p1", "wear", amount=0.3)
    worn = flow_of(level_of(commander), 2280.0, 0.8, wear=0.3)
    commander.wait_for("plant/p1/flow", near(worn))
    assert {row["id"]: row["faults"] for row in park.devices()}["p1"] == ["wear"]
    park.fault("p1", "none")
    park.fault("p1.flow", "bias", amount=30.0)
    commander.wait_for("plant/p1/flow", near(flow_of(level_of(commander), 2280.0, 0.8) + 30))
    park.fault("p1.flow", "none")
    park.fault("p1.flow", "freeze")
    eventually(lambda: len(set(commander.of("plant/p1/flow")[-5:])) == 1, 20)


def test_what_a_sensor_does_not_say_is_not_sent(park: DevicePark, commander: TestCommander) -> None:
    park.fault("t1.level", "dropout", amount=1.0)
    commander.wait_for("plant/t1/volume")
    commander.forget()
    eventually(lambda: len(commander.of("plant/t1/volume")) >= 5, 20)
    assert commander.of("plant/t1/level") == []
    park.fault("t1.level", "none")
    assert 0 < commander.wait_for("plant/t1/level") <= 3


def test_the_command_line_lets_machines_and_sensors_fail_and_lists_what_can(
    park: DevicePark, commander: TestCommander
) -> None:
    def fault(*words: str) -> str:
        done = stagetwin("fault", *words, "--devices", str(park.folder))
        assert done.returncode == 0, done.stderr
        return " ".join(done.stdout.split())

    listed = fault("p1")
    assert "wear hydraulics 0 to 0.95 1" in listed
    assert "bias, drift, gain" in listed
    assert fault("p1", "wear:30", "unit=%", "for=600") == "p1: wear:30 %"
    commander.wait_for("plant/p1/flow", near(flow_of(level_of(commander), 2280.0, 0.8, wear=0.3)))
    assert "p1: wear 30 %, 100 % there" in fault("p1").replace(P1, "p1")
    assert fault("p1.flow", "drift:0.5").startswith("p1.flow: drift:0.5 m³/h")
    assert "wear" in stagetwin("list", str(park.folder)).stdout
    fault("p1", "none")
    assert "there" not in fault("p1")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["q1", "wear:0.1"], "no device 'q1'"),
        (["p1", "wear:2"], f"{P1}: wear must be in [0, 0.95] 1, got 2"),
        (["p1", "rust:2"], "cannot have 'rust'; it can have"),
        (["p1.flaw", "bias:2"], "no signal"),
        (["p1", "wear:much"], "expected a number, got 'much'"),
        (["p1", "wear:0.1", "speed=3"], "expected unit=..., model=..."),
        (["p1", "wear:0.1", "ramp=-3"], "ramp: Input should be greater than or equal to 0"),
        ([], "expected: devices fault DEVICE"),
    ],
)
def test_the_command_line_says_what_is_wrong(park: DevicePark, words: list[str], said: str) -> None:
    done = stagetwin("fault", *words, "--devices", str(park.folder))
    assert done.returncode == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr


def test_a_script_of_the_park_plays_from_its_start(
    broker: LocalBroker, stage: Path, tmp_path: Path
) -> None:
    script = tmp_path / "day.toml"
    script.write_text('[[fault]]\nasset = "p1"\nkind = "wear"\namount = 0.3\n')
    with LocalBroker("mosquitto") as other:
        park = park_of(stage, tmp_path / "d", other, faults=script)
        with park, TestCommander(other) as client:
            level = client.wait_for("plant/t1/level")
            client.wait_for("plant/p1/flow", near(flow_of(level, 2280.0, 0.8, wear=0.3)))
    script.write_text('[[fault]]\nasset = "p1"\nkind = "wear"\namount = 3\n')
    wrong = park_of(stage, tmp_path / "e", broker, faults=script)
    with pytest.raises(BridgeError, match=r"fault 1: .*wear must be in \[0, 0.95\] 1, got 3"):
        wrong.start()


def test_the_park_of_machines_is_found_by_its_entry_point(stage: Path) -> None:
    opened = open_stage(stage)
    table = read_bindings(opened)
    park = find_model("machines").of_stage(opened, table, 1, whole=table)
    assert park.modelled.physics.ready
